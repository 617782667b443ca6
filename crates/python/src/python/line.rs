//! The line in front of an interpreter's lock: threads of ours get it in the order in which they came.
//!
//! CPython's lock goes to whoever comes first after it is released. That is mostly the thread that has just released it, because the one
//! that was waiting has yet to wake: it then waits on, for as long as requests come. And each of many waiters wakes every 5 ms to see
//! whether it should ask for the lock. So only one of ours waits for the lock itself, the others stand in line.
//!
//! But passing the lock on costs two switches, and the memory of the next thread is cold. So a thread that was inside just now may go in
//! again past the line, until the first in it has waited for [`PATIENCE`].

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long the first in the line lets others pass: less than CPython's switch interval, by which it would get the lock anyway.
const PATIENCE: Duration = Duration::from_micros(2_500);

/// How long ago a thread may have left to count as having just left.
const JUST_NOW: Duration = Duration::from_micros(100);

/// The line of one lock, which several interpreters may share.
pub(super) struct Line {
    queue: Mutex<Queue>,
    /// Since when the first has been waiting, in microseconds since `start`; 0 when nobody waits.
    since: AtomicU64,
    start: Instant,
}

/// Who stands in it.
#[derive(Default)]
struct Queue {
    /// Whether somebody is first, and waits for the lock itself.
    has_first: bool,
    others: VecDeque<Arc<Turn>>,
}

/// A thread that waits to become the first. It sleeps at once: the lock is mostly held for longer than spinning would be worth.
struct Turn {
    thread: Thread,
    has_come: AtomicBool,
}

impl Line {
    pub(super) fn new() -> Self {
        Self { queue: Mutex::default(), since: AtomicU64::new(0), start: Instant::now() }
    }

    /// Calls `enter`, which waits for the lock, when it is the calling thread's turn. The thread came at `now` and was inside last at `left`.
    pub(super) fn wait(&self, now: Instant, left: Option<Instant>, enter: impl FnOnce()) {
        // The line of the process that has forked this one may never move here.
        if sys::forks::is_forked() || self.may_pass(now, left) {
            return enter();
        }
        self.become_first();
        self.since.store(self.micros(now), Relaxed);
        enter();
        self.since.store(0, Relaxed);
        self.move_up();
    }

    fn become_first(&self) {
        let turn = {
            let mut queue = self.queue.lock();
            if !std::mem::replace(&mut queue.has_first, true) {
                return;
            }
            let turn = Arc::new(Turn { thread: thread::current(), has_come: AtomicBool::new(false) });
            queue.others.push_back(Arc::clone(&turn));
            turn
        };
        while !turn.has_come.load(Acquire) {
            thread::park();
        }
    }

    fn move_up(&self) {
        let next = {
            let mut queue = self.queue.lock();
            let next = queue.others.pop_front();
            queue.has_first = next.is_some();
            next
        };
        if let Some(turn) = next {
            turn.has_come.store(true, Release);
            turn.thread.unpark();
        }
    }

    fn may_pass(&self, now: Instant, left: Option<Instant>) -> bool {
        let since = self.since.load(Relaxed);
        let waited = Duration::from_micros(self.micros(now).saturating_sub(since));
        since != 0 && waited < PATIENCE && left.is_some_and(|left| now.saturating_duration_since(left) < JUST_NOW)
    }

    fn micros(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_micros()).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_inside_just_now_passes_until_the_first_has_waited_long() {
        let (line, start) = (Line::new(), Instant::now());
        let after = |micros: u64| start + Duration::from_micros(micros);
        assert!(!line.may_pass(after(50), Some(start)), "nobody waits");
        line.since.store(line.micros(start), Relaxed);
        assert!(line.may_pass(after(50), Some(start)));
        assert!(!line.may_pass(after(50), None) && !line.may_pass(after(1_000), Some(start)), "a thread that comes anew");
        assert!(!line.may_pass(after(2_600), Some(after(2_590))));
    }

    #[test]
    fn threads_go_in_as_they_came() {
        let (line, order) = (Line::new(), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            line.become_first();
            for number in 0..5 {
                let (line, order) = (&line, &order);
                scope.spawn(move || line.wait(Instant::now(), None, || order.lock().push(number)));
                std::thread::sleep(Duration::from_millis(20));
            }
            line.move_up();
        });
        assert_eq!(*order.lock(), [0, 1, 2, 3, 4]);
    }
}
