//! The layout of a group's shared counters: words of a memfd that workers and the supervisor write and httpd children read.
//!
//! They are for seeing, not for deciding: who scribbles over them hurts only the figures of its own group. Readers check every number
//! against bounds. The view works on a slice of atomics; who maps the memory is elsewhere.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
};

/// The number of the first word: says that this is our memory, and in which layout.
pub const MAGIC: u64 = 0x6d6f_645f_7773_6731;

const HEADER_WORDS: usize = 8;
const WORKER_WORDS: usize = 8;
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

    /// The size of the memory in words of eight octets.
    #[must_use]
    pub fn words(self) -> usize {
        HEADER_WORDS + DEATHS * DEATH_WORDS + self.workers as usize * (WORKER_WORDS + self.threads as usize)
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

    /// Records how the worker `pid` ended.
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
        slot[0].store(u64::from(pid), std::sync::atomic::Ordering::Release);
        // It takes nothing any more; its slot may stay unused for long.
        self.workers().filter(|(_, worker)| worker.pid() == u64::from(pid)).for_each(|(_, worker)| worker.set_free(0));
    }

    /// How the worker `pid` ended, if that is among the last that did.
    #[must_use]
    pub fn death_of(&self, pid: u32) -> Option<Cause> {
        let ring = &self.words[HEADER_WORDS..HEADER_WORDS + DEATHS * DEATH_WORDS];
        ring.chunks_exact(DEATH_WORDS).find(|slot| slot[0].load(std::sync::atomic::Ordering::Acquire) == u64::from(pid)).map(|slot| {
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
        let length = WORKER_WORDS + self.shape.threads as usize;
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
            let runs = worker.words[WORKER_WORDS..].iter().any(|word| word.load(Relaxed) == request);
            if runs { u32::try_from(worker.words[0].load(Relaxed)).ok() } else { None }
        })
    }
}

/// The words of one worker.
#[derive(Clone, Copy)]
pub struct WorkerSlot<'m> {
    words: &'m [AtomicU64],
}

impl WorkerSlot<'_> {
    /// Takes the slot for a new worker.
    pub fn reset(&self, pid: u32, generation: u64) {
        for word in self.words {
            word.store(0, Relaxed);
        }
        self.words[1].store(generation, Relaxed);
        self.words[0].store(u64::from(pid), Relaxed);
    }

    /// The worker's pid; 0 when the slot was never used.
    #[must_use]
    pub fn pid(&self) -> u64 {
        self.words[0].load(Relaxed)
    }

    /// Says how many requests may be sent to this worker directly: one for each free thread. 0 for a worker that takes none.
    pub fn set_free(&self, threads: u32) {
        self.words[3].store(u64::from(threads), SeqCst);
    }

    /// How many threads are free, as far as is known.
    #[must_use]
    pub fn free(&self) -> u32 {
        self.words[3].load(SeqCst).try_into().unwrap_or(0)
    }

    /// Reserves a free thread for a request about to be sent directly; `false` when there is none.
    #[must_use]
    pub fn reserve(&self) -> bool {
        self.words[3].fetch_update(SeqCst, SeqCst, |free| free.checked_sub(1)).is_ok()
    }

    /// Gives a thread back: at most `threads` are free, whatever happened to the word.
    pub fn release(&self, threads: u32) {
        let _always = self.words[3].fetch_update(SeqCst, SeqCst, |free| Some(free.saturating_add(1).min(u64::from(threads))));
    }

    /// Says that `thread` executes `request`.
    pub fn begin(&self, thread: u32, request: u64) {
        if let Some(word) = self.words.get(WORKER_WORDS + thread as usize) {
            word.store(request, Relaxed);
        }
    }

    /// Says that `thread` has finished, and counts the request.
    pub fn finish(&self, thread: u32) {
        if let Some(word) = self.words.get(WORKER_WORDS + thread as usize) {
            word.store(0, Relaxed);
        }
        self.words[2].fetch_add(1, Relaxed);
    }

    /// Requests served.
    #[must_use]
    pub fn served(&self) -> u64 {
        self.words[2].load(Relaxed)
    }

    /// Threads that execute a request now.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.words[WORKER_WORDS..].iter().filter(|word| word.load(Relaxed) != 0).count()
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
        slot.reset(4711, 1);
        slot.set_free(15);
        slot.begin(14, 99);
        assert_eq!(counters.worker_of(99), Some(4711));
        counters.record_death(4711, Cause::Signal(9));
        assert_eq!(slot.free(), 0);
        assert_eq!(Counters::view(&words).expect("ours").death_of(4711), Some(Cause::Signal(9)));
        slot.finish(14);
        assert_eq!((slot.busy(), slot.served()), (0, 1));
    }

    #[test]
    fn a_thread_is_reserved_once() {
        let words = memory(Shape::new(1, 2));
        let slot = Counters::format(&words, Shape::new(1, 2)).and_then(|counters| counters.worker(0)).expect("a slot");
        assert!(!slot.reserve(), "nobody serves yet");
        slot.set_free(2);
        assert_eq!((slot.reserve(), slot.reserve(), slot.reserve(), slot.free()), (true, true, false, 0));
        slot.release(2);
        slot.release(2);
        slot.release(2);
        assert_eq!(slot.free(), 2);
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
