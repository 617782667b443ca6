//! The word in which a worker offers its free threads, each of which an httpd child may reserve for a request that it then sends to this
//! worker alone.
//!
//! A reservation passes from the child to the thread that serves its request, and is given back when that ends. Who takes a request out
//! of the group's queue takes a thread as well; if all are promised, the request is served all the same, the balance goes below zero, and
//! somebody's request will wait: the worker sends it on to the queue.
//!
//! The pid stands in the same word: what a child does with a place that another worker has taken over meanwhile changes nothing there,
//! and what is given back after the end is not offered. Every change is one atomic step, so their order is all that there is to get
//! wrong; `order` tries each.

use super::{OFFER, WorkerSlot};
use std::sync::atomic::Ordering::SeqCst;

/// How often in a row the books must be wrong before they are put right: what is on its way is no mistake.
const AUDITS: u32 = 3;

/// What the word says: nothing is offered as long as there is no pid.
#[derive(Clone, Copy)]
struct Word {
    pid: u32,
    balance: i32,
}

impl Word {
    fn decode(word: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = word.to_le_bytes();
        Self { pid: u32::from_le_bytes([e, f, g, h]), balance: i32::from_le_bytes([a, b, c, d]) }
    }

    fn encode(self) -> u64 {
        let ([a, b, c, d], [e, f, g, h]) = (self.balance.to_le_bytes(), self.pid.to_le_bytes());
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl WorkerSlot<'_> {
    /// Offers so many threads of the worker `pid`.
    pub fn offer(&self, pid: u32, threads: u32) {
        let balance = i32::try_from(threads).unwrap_or(i32::MAX);
        self.words[OFFER].store(Word { pid, balance }.encode(), SeqCst);
    }

    /// Offers nothing any more of the worker `pid`, nor what is given back later.
    pub fn withdraw(&self, pid: u32) {
        self.change(|word| (word.pid == pid).then_some(Word { pid: 0, balance: 0 }));
    }

    /// Threads that are free less requests that will wait for one, as far as is known.
    #[must_use]
    pub fn balance(&self) -> i32 {
        Word::decode(self.words[OFFER].load(SeqCst)).balance
    }

    /// How many threads may be reserved.
    #[must_use]
    pub fn free(&self) -> u32 {
        self.balance().try_into().unwrap_or(0)
    }

    /// Reserves a free thread for a request about to be sent directly to the worker whose pid this returns; `None` when there is none.
    #[must_use]
    pub fn reserve(&self) -> Option<u32> {
        self.change(|word| (word.balance > 0).then_some(Word { balance: word.balance - 1, ..word })).map(|word| word.pid)
    }

    /// Takes a thread of the worker `pid` for a request that nobody has reserved one for, even if all are promised.
    pub fn take(&self, pid: u32) {
        self.change(|word| (word.pid == pid).then_some(Word { balance: word.balance.saturating_sub(1), ..word }));
    }

    /// Gives a thread of the worker `pid` back: at most `threads` are free, whatever happened to the word.
    pub fn release(&self, pid: u32, threads: u32) {
        let most = i32::try_from(threads).unwrap_or(i32::MAX);
        self.change(|word| (word.pid == pid).then_some(Word { balance: word.balance.saturating_add(1).min(most), ..word }));
    }

    /// What the word was, if it was changed.
    fn change(&self, how: impl Fn(Word) -> Option<Word>) -> Option<Word> {
        self.words[OFFER].fetch_update(SeqCst, SeqCst, |word| how(Word::decode(word)).map(Word::encode)).ok().map(Word::decode)
    }
}

/// A look at the books of a worker now and then: a reservation is lost with the child that has made it.
#[derive(Debug, Default)]
pub struct Audit {
    times: u32,
    least: i64,
    most: i64,
}

impl Audit {
    /// Compares what the worker `pid` offers of its `threads` with those that are `busy`. What was missing every time for some times is
    /// offered again; what was too much is taken back, should requests on their way have been taken for lost ones.
    pub fn look(&mut self, slot: WorkerSlot<'_>, pid: u32, threads: u32, busy: u32) {
        let unaccounted = i64::from(threads) - i64::from(slot.balance()) - i64::from(busy);
        let (least, most) = if self.times == 0 { (unaccounted, unaccounted) } else { (self.least, self.most) };
        *self = Self { times: self.times + 1, least: least.min(unaccounted), most: most.max(unaccounted) };
        if self.least <= 0 && self.most >= 0 {
            *self = Self::default();
        } else if self.times == AUDITS {
            (0..self.least).for_each(|_| slot.release(pid, threads));
            (self.most..0).for_each(|_| slot.take(pid));
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Counters, Shape};
    use super::*;
    use std::sync::atomic::AtomicU64;

    const PID: u32 = 4711;

    fn with_slot(test: impl FnOnce(WorkerSlot<'_>)) {
        let shape = Shape::new(1, 2);
        let words: Vec<AtomicU64> = (0..shape.words()).map(|_| AtomicU64::new(0)).collect();
        let slot = Counters::format(&words, shape).and_then(|counters| counters.worker(0)).expect("a slot");
        test(slot);
    }

    #[test]
    fn a_thread_is_reserved_once() {
        with_slot(|slot| {
            assert_eq!(slot.reserve(), None, "nobody serves yet");
            slot.offer(PID, 2);
            assert_eq!((slot.reserve(), slot.reserve(), slot.reserve(), slot.free()), (Some(PID), Some(PID), None, 0));
            (0..3).for_each(|_| slot.release(PID, 2));
            assert_eq!(slot.free(), 2);
        });
    }

    #[test]
    fn a_thread_that_is_taken_twice_is_free_when_it_was_given_back_twice() {
        with_slot(|slot| {
            slot.offer(PID, 2);
            assert!(slot.reserve().is_some() && slot.reserve().is_some(), "two children");
            slot.take(PID);
            slot.release(PID, 2);
            assert_eq!((slot.free(), slot.reserve()), (0, None), "two requests are still served");
            slot.release(PID, 2);
            slot.release(PID, 2);
            assert_eq!(slot.free(), 2);
        });
    }

    #[test]
    fn what_concerns_a_former_worker_changes_nothing() {
        with_slot(|slot| {
            slot.offer(PID, 2);
            assert_eq!(slot.reserve(), Some(PID));
            slot.withdraw(PID);
            slot.release(PID, 2);
            assert_eq!(slot.free(), 0, "it has ended");
            slot.offer(PID + 1, 1);
            assert_eq!(slot.reserve(), Some(PID + 1));
            slot.release(PID, 2);
            assert_eq!(slot.free(), 0);
            slot.release(PID + 1, 1);
            slot.withdraw(PID);
            assert_eq!(slot.free(), 1);
        });
    }

    #[test]
    fn a_reservation_that_was_lost_comes_back_and_one_on_its_way_does_not() {
        with_slot(|slot| {
            let mut audit = Audit::default();
            slot.offer(PID, 2);
            assert!(slot.reserve().is_some(), "by a child that dies");
            for _ in 1..AUDITS {
                audit.look(slot, PID, 2, 0);
                assert_eq!(slot.free(), 1);
            }
            audit.look(slot, PID, 2, 0);
            assert_eq!(slot.free(), 2);
            assert!(slot.reserve().is_some(), "by a child that sends its request");
            for busy in [0, 1, 0, 1] {
                audit.look(slot, PID, 2, busy);
            }
            assert_eq!(slot.free(), 1);
            slot.release(PID, 2);
            for _ in 0..AUDITS {
                audit.look(slot, PID, 2, 1);
            }
            assert_eq!(slot.free(), 1, "and one too many is taken back");
        });
    }

    #[test]
    fn a_worker_that_offers_nothing_has_lost_nothing() {
        with_slot(|slot| {
            let mut audit = Audit::default();
            (0..=AUDITS).for_each(|_| audit.look(slot, PID, 2, 0));
            assert_eq!(slot.free(), 0);
        });
    }
}
