//! The layout of a group's shared counters: words of a memfd that workers and the supervisor write and httpd children read.
//! [`Counters::snapshot`] is how figures are read; the rest is for those who write.
//!
//! They are for seeing: who scribbles over them hurts only the figures of its own group. Readers check every number against bounds. One
//! word of each worker decides something: whether a request may be sent to it alone (`offer`). The view works on a slice of atomics; who
//! maps the memory is elsewhere.

mod offer;
#[cfg(test)]
mod order;
mod snapshot;

pub use offer::Audit;
pub use snapshot::{GroupSnapshot, ThreadSnapshot, WorkerSnapshot};

use crate::control::StopReason;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// The number of the first word: says that this is our memory, and in which layout.
pub const MAGIC: u64 = 0x6d6f_645f_7773_6733;

/// The group's own words: the mark, the shape twice, the state, starts, deaths, then these.
const HEADER_WORDS: usize = 32;
const QUEUED: usize = 6;
const TAKEN: usize = 7;
const ENDED_BY_SIGNAL: usize = 8;
const ENDED_WELL: usize = 9;
const ENDED_BADLY: usize = 10;
const OUT_OF_MEMORY: usize = 11;
/// One word for each [`StopReason`].
const STOPS: usize = 16;

/// A worker's own words: pid, generation, requests that are over, then these.
const WORKER_WORDS: usize = 16;
const OFFER: usize = 3;
const STARTED: usize = 4;
const BUSY: usize = 5;
const WAITED: usize = 6;
const LONGEST_WAIT: usize = 7;
const THINKING: usize = 8;
/// One word for each class of status from 1xx on.
const STATUSES: usize = 9;
const UNANSWERED: usize = 14;
const WEIGHT: usize = 15;

/// A thread's words: the number of the request that it executes, or 0, then these, which stay until the next request.
const THREAD_WORDS: usize = 4;
const HANDED_OVER: usize = 1;
const BEGUN: usize = 2;
const ANSWERED: usize = 3;

const DEATH_WORDS: usize = 4;
const DEATHS: usize = 64;

/// How many workers and threads the memory has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Worker slots: both generations of a switch, and some that drain.
    pub workers: u32,
    /// Request threads of each.
    pub threads: u32,
}

impl Shape {
    /// Room for `processes` workers in a switch, and as many that drain.
    #[must_use]
    pub fn new(processes: u32, threads: u32) -> Self {
        Self { workers: processes.saturating_mul(3).saturating_add(4).min(4096), threads: threads.clamp(1, 65_533) }
    }

    fn worker_words(self) -> usize {
        WORKER_WORDS + self.threads as usize * THREAD_WORDS
    }

    /// The size of the memory in words of eight octets.
    #[must_use]
    pub fn words(self) -> usize {
        HEADER_WORDS + DEATHS * DEATH_WORDS + self.workers as usize * self.worker_words()
    }
}

/// What a group does, for httpd children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum GroupState {
    /// No worker is ready yet; requests wait in the queue.
    Starting = 0,
    /// At least one worker serves.
    Serving = 1,
    /// No worker can be started; the log says why. Requests are answered 503 at once.
    Failed = 2,
    /// The group serves, but its newest script could not be loaded.
    ReloadFailed = 3,
}

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// By a signal.
    Signal(i32),
    /// With an exit status.
    Exit(i32),
    /// By the kernel, which had no memory left.
    OutOfMemory,
}

/// A group's counters over its words.
#[derive(Clone, Copy)]
pub struct Counters<'m> {
    words: &'m [AtomicU64],
    shape: Shape,
}

impl<'m> Counters<'m> {
    /// Marks fresh memory as ours.
    ///
    /// Returns `None` when there are too few words for `shape`.
    #[must_use]
    pub fn format(words: &'m [AtomicU64], shape: Shape) -> Option<Self> {
        let counters = Self::sized(words, shape)?;
        words[1].store(u64::from(shape.workers), Relaxed);
        words[2].store(u64::from(shape.threads), Relaxed);
        words[0].store(MAGIC, Relaxed);
        Some(counters)
    }

    /// The view of memory that somebody else has marked.
    ///
    /// Returns `None` when it is not ours or does not have the size it says.
    #[must_use]
    pub fn view(words: &'m [AtomicU64]) -> Option<Self> {
        if words.len() < HEADER_WORDS || words[0].load(Relaxed) != MAGIC {
            return None;
        }
        let small = |word: usize| u32::try_from(words[word].load(Relaxed)).ok();
        let shape = Shape { workers: small(1).filter(|n| *n <= 4096)?, threads: small(2).filter(|n| *n <= 65_533)? };
        Self::sized(words, shape)
    }

    fn sized(words: &'m [AtomicU64], shape: Shape) -> Option<Self> {
        (words.len() >= shape.words()).then_some(Self { words, shape })
    }

    /// The size the memory was made for.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// What the group does.
    #[must_use]
    pub fn state(&self) -> GroupState {
        match self.words[3].load(Relaxed) {
            1 => GroupState::Serving,
            2 => GroupState::Failed,
            3 => GroupState::ReloadFailed,
            _ => GroupState::Starting,
        }
    }

    /// Says what the group does.
    pub fn set_state(&self, state: GroupState) {
        self.words[3].store(state as u64, Relaxed);
    }

    /// Counts workers that were started.
    pub fn count_start(&self) {
        self.words[4].fetch_add(1, Relaxed);
    }

    /// How many workers were started.
    #[must_use]
    pub fn starts(&self) -> u64 {
        self.words[4].load(Relaxed)
    }

    /// Counts a worker that was told to end, for this reason.
    pub fn count_stop(&self, reason: StopReason) {
        self.words[STOPS + reason as usize].fetch_add(1, Relaxed);
    }

    /// Counts a worker that has ended, in order or not.
    pub fn count_end(&self, cause: Cause) {
        let total = match cause {
            Cause::Signal(_) => ENDED_BY_SIGNAL,
            Cause::OutOfMemory => OUT_OF_MEMORY,
            Cause::Exit(0) => ENDED_WELL,
            Cause::Exit(_) => ENDED_BADLY,
        };
        self.words[total].fetch_add(1, Relaxed);
    }

    /// Counts a request that was put into the group's queue.
    pub fn count_queued(&self) {
        self.words[QUEUED].fetch_add(1, Relaxed);
    }

    /// Counts a request that was taken out of the group's queue, still wanted or not.
    pub fn count_taken(&self) {
        self.words[TAKEN].fetch_add(1, Relaxed);
    }

    /// Says that the queue was seen empty: should somebody have died between an act and its count, that is made up for.
    pub fn queue_is_empty(&self) {
        let queued = self.words[QUEUED].load(Relaxed);
        if self.words[TAKEN].load(Relaxed) != queued {
            self.words[TAKEN].store(queued, Relaxed);
        }
    }

    /// Records how the worker `pid` ended, for requests that it may have been executing.
    pub fn record_death(&self, pid: u32, cause: Cause) {
        let number = self.words[5].fetch_add(1, Relaxed);
        let slot = &self.words[HEADER_WORDS + (number as usize % DEATHS) * DEATH_WORDS..][..DEATH_WORDS];
        let (kind, code) = match cause {
            Cause::Signal(signal) => (1, signal),
            Cause::Exit(status) => (2, status),
            Cause::OutOfMemory => (3, 0),
        };
        slot[1].store(kind, Relaxed);
        slot[2].store(u64::from(code.unsigned_abs()), Relaxed);
        slot[0].store(u64::from(pid), Release);
        // It takes nothing any more; its slot may stay unused for long.
        self.workers().filter(|(_, worker)| worker.pid() == u64::from(pid)).for_each(|(_, worker)| worker.withdraw(pid));
    }

    /// How the worker `pid` ended, if that is among the last that did.
    #[must_use]
    pub fn death_of(&self, pid: u32) -> Option<Cause> {
        let ring = &self.words[HEADER_WORDS..HEADER_WORDS + DEATHS * DEATH_WORDS];
        ring.chunks_exact(DEATH_WORDS).find(|slot| slot[0].load(Acquire) == u64::from(pid)).map(|slot| {
            let code = i32::try_from(slot[2].load(Relaxed) & 0xffff).unwrap_or(0);
            match slot[1].load(Relaxed) {
                1 => Cause::Signal(code),
                3 => Cause::OutOfMemory,
                _ => Cause::Exit(code),
            }
        })
    }

    /// The slot of a worker.
    #[must_use]
    pub fn worker(&self, slot: u32) -> Option<WorkerSlot<'m>> {
        let length = self.shape.worker_words();
        let start = HEADER_WORDS + DEATHS * DEATH_WORDS + slot as usize * length;
        (slot < self.shape.workers).then(|| WorkerSlot { words: &self.words[start..start + length] })
    }

    /// Every worker slot, with its number.
    pub fn workers(&self) -> impl Iterator<Item = (u32, WorkerSlot<'m>)> {
        let counters = *self;
        (0..self.shape.workers).filter_map(move |slot| Some((slot, counters.worker(slot)?)))
    }

    /// The pid of the worker that executes `request`.
    #[must_use]
    pub fn worker_of(&self, request: u64) -> Option<u32> {
        (0..self.shape.workers).filter_map(|slot| self.worker(slot)).find_map(|worker| {
            let runs = worker.threads().any(|thread| thread[0].load(Relaxed) == request);
            if runs { u32::try_from(worker.words[0].load(Relaxed)).ok() } else { None }
        })
    }

    /// When the worker that executes `request` began it, in microseconds since the epoch.
    #[must_use]
    pub fn begun(&self, request: u64) -> Option<u64> {
        let workers = (0..self.shape.workers).filter_map(|slot| self.worker(slot));
        workers
            .flat_map(|worker| worker.threads())
            .find(|thread| thread[0].load(Relaxed) == request)
            .map(|thread| thread[BEGUN].load(Relaxed))
    }
}

/// The words of one worker.
#[derive(Clone, Copy)]
pub struct WorkerSlot<'m> {
    words: &'m [AtomicU64],
}

impl<'m> WorkerSlot<'m> {
    /// Takes the slot for a new worker, which starts at `now`, in microseconds since the epoch.
    pub fn reset(&self, pid: u32, generation: u64, now: u64) {
        for word in self.words {
            word.store(0, Relaxed);
        }
        self.words[STARTED].store(now, Relaxed);
        self.words[1].store(generation, Relaxed);
        self.words[0].store(u64::from(pid), Relaxed);
    }

    /// The worker's pid; 0 when the slot was never used.
    #[must_use]
    pub fn pid(&self) -> u64 {
        self.words[0].load(Relaxed)
    }

    /// Says that `thread` executes `request`, which httpd handed over at `handed_over`. Times are microseconds since the epoch.
    pub fn begin(&self, thread: u32, request: u64, handed_over: u64, now: u64) {
        let waited = if handed_over == 0 { 0 } else { now.saturating_sub(handed_over) };
        self.words[WAITED].fetch_add(waited, Relaxed);
        if waited > self.words[LONGEST_WAIT].load(Relaxed) {
            self.words[LONGEST_WAIT].fetch_max(waited, Relaxed);
        }
        if let Some(words) = self.thread(thread) {
            words[HANDED_OVER].store(handed_over, Relaxed);
            words[BEGUN].store(now, Relaxed);
            words[ANSWERED].store(0, Relaxed);
            words[0].store(request, Release);
        }
    }

    /// Says that the application of `thread` has given the head of its response, with this status.
    pub fn answer(&self, thread: u32, status: u16, now: u64) {
        if let Some(count) = usize::from(status / 100).checked_sub(1).filter(|class| *class < 5) {
            self.words[STATUSES + count].fetch_add(1, Relaxed);
        }
        if let Some(words) = self.thread(thread) {
            self.words[THINKING].fetch_add(now.saturating_sub(words[BEGUN].load(Relaxed)), Relaxed);
            words[ANSWERED].store(now, Relaxed);
        }
    }

    /// Says that `thread` has finished, and counts the request.
    pub fn finish(&self, thread: u32, now: u64) {
        if let Some(words) = self.thread(thread) {
            self.words[BUSY].fetch_add(now.saturating_sub(words[BEGUN].load(Relaxed)), Relaxed);
            if words[ANSWERED].load(Relaxed) == 0 {
                self.words[UNANSWERED].fetch_add(1, Relaxed);
            }
            words[0].store(0, Relaxed);
        }
        self.words[2].fetch_add(1, Relaxed);
    }

    fn thread(&self, thread: u32) -> Option<&'m [AtomicU64]> {
        self.words.get(WORKER_WORDS + thread as usize * THREAD_WORDS..)?.get(..THREAD_WORDS)
    }

    fn threads(&self) -> impl Iterator<Item = &'m [AtomicU64]> + use<'m> {
        self.words[WORKER_WORDS..].chunks_exact(THREAD_WORDS)
    }

    /// Requests served.
    #[must_use]
    pub fn served(&self) -> u64 {
        self.words[2].load(Relaxed)
    }

    /// Says how much memory the worker takes, shared pages counted in parts (PSS), in octets.
    pub fn weigh(&self, octets: u64) {
        self.words[WEIGHT].store(octets, Relaxed);
    }

    /// How much memory the worker has said that it takes; 0 when it has not.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.words[WEIGHT].load(Relaxed)
    }

    /// Threads that execute a request now.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.threads().filter(|thread| thread[0].load(Relaxed) != 0).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(shape: Shape) -> Vec<AtomicU64> {
        (0..shape.words()).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn a_dead_workers_cause_is_found_by_the_request_it_executed() {
        let words = memory(Shape::new(2, 15));
        let counters = Counters::format(&words, Shape::new(2, 15)).expect("large enough");
        let slot = counters.worker(3).expect("a slot");
        slot.reset(4711, 1, 10);
        slot.offer(4711, 15);
        slot.begin(14, 99, 20, 30);
        assert_eq!((counters.worker_of(99), counters.begun(99)), (Some(4711), Some(30)));
        counters.record_death(4711, Cause::Signal(9));
        assert_eq!(slot.free(), 0);
        assert_eq!(Counters::view(&words).expect("ours").death_of(4711), Some(Cause::Signal(9)));
        slot.finish(14, 40);
        assert_eq!((slot.busy(), slot.served()), (0, 1));
    }

    #[test]
    fn scribbled_sizes_are_refused() {
        let words = memory(Shape::new(1, 1));
        Counters::format(&words, Shape::new(1, 1)).expect("large enough");
        words[1].store(u64::MAX, Relaxed);
        assert!(Counters::view(&words).is_none());
        words[1].store(4096, Relaxed);
        assert!(Counters::view(&words).is_none(), "more workers than there is memory for");
    }
}
