//! The descriptors that a worker is started with.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use wire::control::{CONTROL_FD, COUNTERS_FD, LISTENER_FD};

static TAKEN: AtomicBool = AtomicBool::new(false);

/// What the supervisor has left open for us.
pub(super) struct Inherited {
    /// The way to the supervisor.
    pub(super) control: OwnedFd,
    /// The group's listener.
    pub(super) listener: OwnedFd,
    /// The group's counters.
    pub(super) counters: OwnedFd,
}

/// Takes them over; `None` when they are not there, or were taken before.
pub(super) fn take() -> Option<Inherited> {
    if TAKEN.swap(true, SeqCst) {
        return None;
    }
    let [control, listener, counters] = [CONTROL_FD, LISTENER_FD, COUNTERS_FD].map(|number| {
        // SAFETY: a worker is started with these numbers for our use (wire::control), the flag above lets nobody take them twice, and
        // the bootstrap that has imported us has opened and closed files of its own above them only.
        unsafe { sys::process::inherited(number) }
    });
    Some(Inherited { control: control?, listener: listener?, counters: counters? })
}
