//! How many workers a group should have, between `min-processes` and `max-processes`: one more when requests wait, one less when they
//! have not been needed for a while.
//!
//! Judged by looks at the group that are some tenths of a second apart. A queue that is not empty at one look may be empty a millisecond
//! later, so only what is still so at the next looks counts.

use std::time::{Duration, Instant};

/// How long there must always have been somebody in the queue.
const IMPATIENCE: Duration = Duration::from_millis(300);

/// How long the workers must have had too little to do.
const IDLENESS: Duration = Duration::from_secs(30);

/// What is seen of a group at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    /// Whether some request waits in the queue.
    pub(super) waiting: bool,
    /// Request threads that are busy.
    pub(super) busy: usize,
    /// Requests that were served so far by those who serve.
    pub(super) served: u64,
    /// Workers that serve.
    pub(super) workers: usize,
    /// Request threads of each.
    pub(super) threads: usize,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// One more.
    Grow,
    /// One less.
    Shrink,
    /// Nothing.
    Stay,
}

/// What was seen before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Demand {
    waiting_since: Option<Instant>,
    idle_since: Option<Instant>,
    served: u64,
}

impl Demand {
    /// Looks once more.
    pub(super) fn look(&mut self, seen: Use, now: Instant) -> Change {
        let since = |before: Option<Instant>, is_so: bool| is_so.then(|| before.unwrap_or(now));
        self.waiting_since = since(self.waiting_since, seen.waiting);
        // The last one goes only when there is nothing at all to do; of several, one goes when the others would be half busy at most.
        let is_idle = match seen.workers {
            0 => false,
            1 => seen.busy == 0 && seen.served == self.served,
            several => seen.busy * 2 <= (several - 1) * seen.threads,
        };
        self.idle_since = since(self.idle_since, is_idle && !seen.waiting);
        self.served = seen.served;
        let is_over = |since: Option<Instant>, limit| since.is_some_and(|since| now >= since + limit);
        if is_over(self.waiting_since, IMPATIENCE) {
            // The next one, if this is not enough, after as long again.
            self.waiting_since = Some(now);
            Change::Grow
        } else if is_over(self.idle_since, IDLENESS) {
            self.idle_since = Some(now);
            Change::Shrink
        } else {
            Change::Stay
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Use = Use { waiting: false, busy: 0, served: 7, workers: 2, threads: 5 };

    /// Looks ten times a second, and counts what follows.
    fn watch(seen: impl Fn(u64) -> Use, seconds: u64) -> (usize, usize) {
        let (mut demand, start) = (Demand::default(), Instant::now());
        let changes: Vec<Change> =
            (0..seconds * 10).map(|tenth| demand.look(seen(tenth), start + Duration::from_millis(100 * tenth))).collect();
        let count = |which| changes.iter().filter(|change| **change == which).count();
        (count(Change::Grow), count(Change::Shrink))
    }

    #[test]
    fn a_queue_that_stays_makes_the_group_grow_step_by_step() {
        assert_eq!(watch(|_| Use { waiting: true, busy: 10, ..IDLE }, 1), (3, 0));
        assert_eq!(watch(|tenth| Use { waiting: tenth % 2 == 0, busy: 10, ..IDLE }, 60), (0, 0), "it was empty in between");
    }

    #[test]
    fn workers_that_are_not_needed_go_one_by_one() {
        assert_eq!(watch(|_| IDLE, 29), (0, 0));
        assert_eq!(watch(|_| IDLE, 61), (0, 2));
        assert_eq!(watch(|_| Use { busy: 2, ..IDLE }, 31), (0, 1), "the other one can do that");
        assert_eq!(watch(|_| Use { busy: 3, ..IDLE }, 61), (0, 0));
        assert_eq!(watch(|tenth| Use { busy: if tenth % 100 == 0 { 9 } else { 0 }, ..IDLE }, 90), (0, 0), "every ten seconds they are");
    }

    #[test]
    fn the_last_one_stays_as_long_as_anybody_asks() {
        let last = Use { workers: 1, ..IDLE };
        assert_eq!(watch(|tenth| Use { served: tenth / 100, ..last }, 90), (0, 0), "a request every ten seconds");
        assert_eq!(watch(|_| last, 31), (0, 1));
        assert_eq!(watch(|_| Use { workers: 0, ..IDLE }, 90), (0, 0));
    }
}
