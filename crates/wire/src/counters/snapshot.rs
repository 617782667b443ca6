//! The counters as plain values, for who shows them: each number is what its word said at some moment of the reading.
//!
//! Workers may write what they like. Whoever reads finds odd figures then, and nothing worse.

use super::{
    ANSWERED, BEGUN, BUSY, Counters, ENDED_BADLY, ENDED_BY_SIGNAL, ENDED_WELL, GroupState, HANDED_OVER, LONGEST_WAIT, OUT_OF_MEMORY,
    QUEUED, STARTED, STATUSES, STOPS, TAKEN, THINKING, UNANSWERED, WAITED, WorkerSlot,
};
use crate::control::StopReason;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// A group. Times are microseconds, moments are since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSnapshot {
    /// What the group does.
    pub state: GroupState,
    /// Workers that were started.
    pub starts: u64,
    /// Workers that have ended by a signal, by the kernel for want of memory, with status 0, and with another status.
    pub ended_by_signal: u64,
    /// See `ended_by_signal`.
    pub out_of_memory: u64,
    /// See `ended_by_signal`.
    pub ended_well: u64,
    /// See `ended_by_signal`.
    pub ended_badly: u64,
    /// How often a worker was told to end, for which reason; reasons that never were are left out.
    pub stops: Vec<(StopReason, u64)>,
    /// Requests that were put into the queue because no worker had a free thread.
    pub queued: u64,
    /// Requests that wait in the queue now.
    pub waiting: u64,
    /// The workers, those included that have ended and whose place nobody has taken since.
    pub workers: Vec<WorkerSnapshot>,
}

/// A worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSnapshot {
    /// Its process.
    pub pid: u32,
    /// Its generation, counted since the supervisor started.
    pub generation: u64,
    /// When it was started.
    pub started: u64,
    /// Requests that are over.
    pub served: u64,
    /// Threads that others may reserve.
    pub free: u32,
    /// How long its threads were busy with requests that are over; the rest of the time they were idle.
    pub busy: u64,
    /// How long requests have waited, from httpd's hand-over until they were begun: all together, and the longest.
    pub waited: u64,
    /// See `waited`.
    pub longest_wait: u64,
    /// How long applications took until they gave the head of their responses, all together.
    pub thinking: u64,
    /// Responses with a status of 1xx to 5xx.
    pub statuses: [u64; 5],
    /// Requests that have ended without the head of a response.
    pub unanswered: u64,
    /// Its request threads.
    pub threads: Vec<ThreadSnapshot>,
}

/// A request thread, and the request that it executes, if it does, or else the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadSnapshot {
    /// The request's number; 0 when it is over.
    pub request: u64,
    /// When httpd handed it over.
    pub handed_over: u64,
    /// When it was begun.
    pub begun: u64,
    /// When the application gave the head of its response; 0 when it has not.
    pub answered: u64,
}

impl Counters<'_> {
    /// All figures.
    #[must_use]
    pub fn snapshot(&self) -> GroupSnapshot {
        let word = |at: usize| self.words[at].load(Relaxed);
        // The later word first: what goes through the queue in between is not counted as waiting twice.
        let taken = word(TAKEN);
        let queued = word(QUEUED);
        let stops = StopReason::ALL.into_iter().map(|reason| (reason, word(STOPS + reason as usize)));
        GroupSnapshot {
            state: self.state(),
            starts: self.starts(),
            ended_by_signal: word(ENDED_BY_SIGNAL),
            out_of_memory: word(OUT_OF_MEMORY),
            ended_well: word(ENDED_WELL),
            ended_badly: word(ENDED_BADLY),
            stops: stops.filter(|(_, count)| *count > 0).collect(),
            queued,
            waiting: queued.saturating_sub(taken),
            workers: self.workers().filter(|(_, worker)| worker.pid() != 0).map(|(_, worker)| worker.snapshot()).collect(),
        }
    }
}

impl WorkerSlot<'_> {
    fn snapshot(&self) -> WorkerSnapshot {
        let word = |at: usize| self.words[at].load(Relaxed);
        let threads = self.threads().map(|words| {
            let request = words[0].load(Acquire);
            let [handed_over, begun, answered] = [HANDED_OVER, BEGUN, ANSWERED].map(|at| words[at].load(Relaxed));
            ThreadSnapshot { request, handed_over, begun, answered }
        });
        WorkerSnapshot {
            pid: u32::try_from(self.pid()).unwrap_or(0),
            generation: word(1),
            started: word(STARTED),
            served: self.served(),
            free: self.free(),
            busy: word(BUSY),
            waited: word(WAITED),
            longest_wait: word(LONGEST_WAIT),
            thinking: word(THINKING),
            statuses: std::array::from_fn(|class| word(STATUSES + class)),
            unanswered: word(UNANSWERED),
            threads: threads.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cause, Shape};
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn what_is_written_is_read() {
        let shape = Shape::new(1, 2);
        let words: Vec<AtomicU64> = (0..shape.words()).map(|_| AtomicU64::new(0)).collect();
        let counters = Counters::format(&words, shape).expect("large enough");
        counters.set_state(GroupState::Serving);
        counters.count_start();
        let slot = counters.worker(6).expect("the last one");
        slot.reset(4711, 3, 1_000);
        slot.offer(4711, 2);
        counters.count_queued();
        counters.count_queued();
        counters.count_taken();
        slot.begin(0, 70, 2_000, 2_300);
        slot.answer(0, 404, 2_500);
        slot.finish(0, 3_300);
        slot.begin(1, 71, 4_000, 4_100);
        slot.finish(1, 4_150);
        slot.begin(1, 72, 5_000, 5_050);
        slot.answer(1, 200, 5_060);
        counters.count_stop(StopReason::ScriptReload);
        // The last one: a reason that `ALL` leaves out would be counted and seen by nobody.
        counters.count_stop(StopReason::MemoryLimit);
        let causes = [Cause::Signal(9), Cause::Exit(0), Cause::Exit(1), Cause::Exit(255)];
        causes.into_iter().for_each(|cause| counters.count_end(cause));

        let seen = Counters::view(&words).expect("ours").snapshot();
        assert_eq!((seen.state, seen.starts, seen.queued, seen.waiting), (GroupState::Serving, 1, 2, 1));
        assert_eq!((seen.ended_by_signal, seen.ended_well, seen.ended_badly), (1, 1, 2));
        assert_eq!(seen.stops, [(StopReason::ScriptReload, 1), (StopReason::MemoryLimit, 1)]);
        let [worker] = seen.workers.try_into().expect("one worker");
        assert_eq!((worker.pid, worker.generation, worker.started, worker.served, worker.free), (4711, 3, 1_000, 2, 2));
        assert_eq!((worker.busy, worker.waited, worker.longest_wait, worker.thinking), (1_050, 450, 300, 210));
        assert_eq!((worker.statuses, worker.unanswered), ([0, 1, 0, 1, 0], 1));
        assert_eq!(worker.threads[0], ThreadSnapshot { request: 0, handed_over: 2_000, begun: 2_300, answered: 2_500 });
        assert_eq!(worker.threads[1], ThreadSnapshot { request: 72, handed_over: 5_000, begun: 5_050, answered: 5_060 });

        counters.queue_is_empty();
        assert_eq!(counters.snapshot().waiting, 0);
    }

    #[test]
    fn each_reason_has_a_word_of_its_own() {
        assert!(StopReason::ALL.into_iter().enumerate().all(|(at, reason)| at == reason as usize));
        assert!(STOPS + StopReason::ALL.len() <= super::super::HEADER_WORDS);
    }
}
