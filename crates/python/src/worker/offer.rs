//! What this worker offers in the shared counters: its free threads, each of which an httpd child may reserve for a request that it then
//! sends to this worker alone ([`WorkerSlot::offer`]).

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use wire::counters::{Audit, WorkerSlot};

/// The offer of one worker.
pub(super) struct Offer {
    pid: u32,
    threads: u32,
    open: AtomicBool,
}

impl Offer {
    /// Of this process with so many request threads, none of which it offers yet.
    pub(super) fn new(threads: u32) -> Self {
        Self { pid: std::process::id(), threads, open: AtomicBool::new(false) }
    }

    /// Offers all threads.
    pub(super) fn open(&self, slot: WorkerSlot<'_>) {
        self.open.store(true, SeqCst);
        slot.offer(self.pid, self.threads);
    }

    /// Offers none any more, nor what is given back later.
    pub(super) fn close(&self, slot: WorkerSlot<'_>) {
        self.open.store(false, SeqCst);
        slot.withdraw(self.pid);
    }

    /// Whether threads are offered: no longer once the worker drains, and not yet while it waits for the word to accept.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(SeqCst)
    }

    /// Takes a thread for a request that nobody has reserved one for.
    pub(super) fn take(&self, slot: WorkerSlot<'_>) {
        slot.take(self.pid);
    }

    /// Gives a thread back.
    pub(super) fn give_back(&self, slot: WorkerSlot<'_>) {
        slot.release(self.pid, self.threads);
    }

    /// Looks whether the books fit the threads that are busy.
    pub(super) fn look(&self, audit: &mut Audit, slot: WorkerSlot<'_>, busy: u32) {
        audit.look(slot, self.pid, self.threads, busy);
    }
}
