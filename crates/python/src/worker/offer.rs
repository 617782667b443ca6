//! What this worker offers in the shared counters: its free threads, each of which an httpd child may reserve for a request that it then
//! sends to this worker alone.
//!
//! A reservation passes from the child to the thread that serves its request, and is given back when that ends. Who takes a request out
//! of the group's queue reserves a thread as a child does. If all are promised, the request is served all the same, and the next
//! reservation that is given back is kept for it: a debt.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use wire::counters::WorkerSlot;

/// How often in a row the books must be wrong before they are put right: what is on its way is no mistake.
const AUDITS: u32 = 3;

/// The offer of one worker.
pub(super) struct Offer {
    threads: u32,
    debt: AtomicU32,
    open: AtomicBool,
}

impl Offer {
    /// Of a worker with so many request threads, which offers none of them yet.
    pub(super) fn new(threads: u32) -> Self {
        Self { threads, debt: AtomicU32::new(0), open: AtomicBool::new(false) }
    }

    /// Offers all threads.
    pub(super) fn open(&self, slot: WorkerSlot<'_>) {
        self.open.store(true, SeqCst);
        slot.set_free(self.threads);
    }

    /// Offers none any more.
    pub(super) fn close(&self, slot: WorkerSlot<'_>) {
        self.open.store(false, SeqCst);
        slot.set_free(0);
    }

    /// Whether threads are offered: no longer once the worker drains, and not yet while it waits for the word to accept.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(SeqCst)
    }

    /// Reserves a thread for a request that nobody has reserved one for.
    pub(super) fn reserve(&self, slot: WorkerSlot<'_>) {
        if !slot.reserve() {
            self.debt.fetch_add(1, SeqCst);
        }
    }

    /// Gives a reservation back.
    pub(super) fn give_back(&self, slot: WorkerSlot<'_>) {
        let paid = self.debt.fetch_update(SeqCst, SeqCst, |debt| debt.checked_sub(1)).is_ok();
        if !paid && self.is_open() {
            slot.release(self.threads);
        }
    }

    /// By how many reservations the books do not fit `busy` threads: those on their way, or lost with a child that has died.
    fn unaccounted(&self, slot: WorkerSlot<'_>, busy: u32) -> i64 {
        i64::from(self.threads) - i64::from(slot.free()) - i64::from(busy) + i64::from(self.debt.load(SeqCst))
    }
}

/// A look at the books now and then.
#[derive(Debug, Default)]
pub(super) struct Audit {
    times: u32,
    least: i64,
    most: i64,
}

impl Audit {
    /// Compares the offer with `busy` threads. What was missing every time for some times is offered again; what was too much is taken
    /// back, should requests on their way have been taken for lost ones.
    pub(super) fn look(&mut self, offer: &Offer, slot: WorkerSlot<'_>, busy: u32) {
        let unaccounted = offer.unaccounted(slot, busy);
        let (least, most) = if self.times == 0 { (unaccounted, unaccounted) } else { (self.least, self.most) };
        *self = Self { times: self.times + 1, least: least.min(unaccounted), most: most.max(unaccounted) };
        if !offer.is_open() || (self.least <= 0 && self.most >= 0) {
            *self = Self::default();
        } else if self.times == AUDITS {
            for _ in 0..self.least {
                slot.release(offer.threads);
            }
            for _ in self.most..0 {
                let _unless_taken = slot.reserve();
            }
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;
    use wire::counters::{Counters, Shape};

    fn with_slot(test: impl FnOnce(Offer, WorkerSlot<'_>)) {
        let shape = Shape::new(1, 2);
        let words: Vec<AtomicU64> = (0..shape.words()).map(|_| AtomicU64::new(0)).collect();
        let counters = Counters::format(&words, shape).expect("large enough");
        let (offer, slot) = (Offer::new(2), counters.worker(0).expect("a slot"));
        offer.open(slot);
        test(offer, slot);
    }

    #[test]
    fn a_debt_is_paid_by_the_next_that_is_given_back() {
        with_slot(|offer, slot| {
            assert!(slot.reserve() && slot.reserve(), "two children");
            offer.reserve(slot);
            offer.give_back(slot);
            assert_eq!(slot.free(), 0, "two requests are still served");
            offer.give_back(slot);
            offer.give_back(slot);
            assert_eq!(slot.free(), 2);
        });
    }

    #[test]
    fn what_is_given_back_after_the_end_is_not_offered() {
        with_slot(|offer, slot| {
            offer.reserve(slot);
            offer.close(slot);
            offer.give_back(slot);
            assert_eq!(slot.free(), 0);
        });
    }

    #[test]
    fn a_worker_that_does_not_accept_yet_has_lost_nothing() {
        with_slot(|_, slot| {
            slot.set_free(0);
            let (offer, mut audit) = (Offer::new(2), Audit::default());
            for _ in 0..=AUDITS {
                audit.look(&offer, slot, 0);
            }
            assert_eq!(slot.free(), 0);
        });
    }

    #[test]
    fn a_reservation_that_was_lost_comes_back_and_one_on_its_way_does_not() {
        with_slot(|offer, slot| {
            let mut audit = Audit::default();
            assert!(slot.reserve(), "by a child that dies");
            for _ in 1..AUDITS {
                audit.look(&offer, slot, 0);
                assert_eq!(slot.free(), 1);
            }
            audit.look(&offer, slot, 0);
            assert_eq!(slot.free(), 2);
            assert!(slot.reserve(), "by a child that sends its request");
            for busy in [0, 1, 0, 1] {
                audit.look(&offer, slot, busy);
            }
            assert_eq!(slot.free(), 1);
            slot.release(2);
            for _ in 0..AUDITS {
                audit.look(&offer, slot, 1);
            }
            assert_eq!(slot.free(), 1, "and one too many is taken back");
        });
    }
}
