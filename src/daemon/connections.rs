//! Connections to single workers, kept from one request to the next.
//!
//! A worker says in the shared counters how many of its threads are free. Who has a request reserves a thread of the worker with most
//! of them, and sends it over a connection that was kept, or over a new one to that worker alone. If no worker has a free thread, the
//! request goes into the group's queue instead: no worker owns a request that it has not begun.

#![forbid(unsafe_code)]

use parking_lot::Mutex;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;
use sys::nix::errno::Errno;
use sys::socket;
use wire::counters::{Counters, WorkerSlot};
use wire::settings::GroupSettings;

/// How long a request waits for its worker before it looks at its client.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often a request looks for a free thread before it goes into the queue: workers may write what they like into the counters.
const TRIES: u32 = 100;

/// The connections of this httpd child to the workers of one group.
pub(super) struct Connections {
    /// The workers' addresses begin so.
    address: Vec<u8>,
    /// Who the workers are; `None` where httpd is not root, and they are itself.
    uid: Option<u32>,
    /// Request threads of each.
    threads: u32,
    idle: Mutex<Vec<Kept>>,
    /// The slot that was used last, which wins a tie: it is warm.
    last: AtomicU32,
}

/// A connection, and whose it is.
pub(super) struct Kept {
    slot: u32,
    /// The worker's process.
    pub(super) pid: u32,
    /// The connection.
    pub(super) socket: OwnedFd,
}

impl Connections {
    /// No connections yet.
    pub(super) fn new(address: Vec<u8>, uid: Option<u32>, threads: u32) -> Self {
        Self { address, uid, threads, idle: Mutex::new(Vec::new()), last: AtomicU32::new(0) }
    }

    /// A connection to a worker with a free thread, which is reserved for the request; `None` if there is none.
    pub(super) fn take(&self, counters: &Counters<'_>) -> Option<Kept> {
        for _ in 0..TRIES {
            let (slot, worker) = self.most_free(counters)?;
            // Another child, or another thread of this one, may have been quicker.
            let Some(pid) = worker.reserve() else { continue };
            let kept = self.idle_to(slot, pid).map_or_else(|| Ok(Kept { slot, pid, socket: self.connect(pid)? }), Ok);
            match kept {
                Ok(_) => self.last.store(slot, Relaxed),
                // It has ended, whatever its word in the counters says.
                Err(Errno::ECONNREFUSED) => worker.withdraw(pid),
                Err(_) => worker.release(pid, self.threads),
            }
            // The queue is for all others.
            return kept.ok();
        }
        None
    }

    fn most_free<'m>(&self, counters: &Counters<'m>) -> Option<(u32, WorkerSlot<'m>)> {
        let last = self.last.load(Relaxed);
        let free = counters.workers().filter(|(_, worker)| worker.free() > 0);
        free.max_by_key(|(slot, worker)| (worker.free(), *slot == last))
    }

    /// The connection to a worker that was used last. Those to workers that have ended are dropped on the way.
    fn idle_to(&self, slot: u32, pid: u32) -> Option<Kept> {
        let mut idle = self.idle.lock();
        while let Some(index) = idle.iter().rposition(|kept| kept.slot == slot) {
            let kept = idle.remove(index);
            if kept.pid == pid {
                return Some(kept);
            }
        }
        None
    }

    fn connect(&self, pid: u32) -> Result<OwnedFd, Errno> {
        let socket = socket::connected_abstract(&GroupSettings::direct_address(&self.address, pid))?;
        // Anybody could listen there: the request, and the group's secret with it, are for the worker only.
        let peer = socket::peer(&socket)?;
        let is_worker = peer.uid() == self.uid.unwrap_or_else(sys::identity::effective_uid) && peer.pid().unsigned_abs() == pid;
        if !is_worker {
            return Err(Errno::EACCES);
        }
        socket::set_waiting(&socket, PATIENCE)?;
        Ok(socket)
    }

    /// Keeps a connection whose worker waits for another request.
    pub(super) fn give_back(&self, kept: Kept) {
        self.idle.lock().push(kept);
    }
}
