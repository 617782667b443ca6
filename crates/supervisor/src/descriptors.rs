//! The descriptors that the supervisor is started with, as values that own them.

use std::os::fd::OwnedFd;
use wire::control::{CONTROL_FD, LISTENER_FD};

/// What httpd's parent has given.
pub(crate) struct Given {
    /// The control socket to the parent.
    pub(crate) control: OwnedFd,
    /// The group's listening socket.
    pub(crate) listener: OwnedFd,
}

/// Takes them over; `None` when this program was not started by httpd's parent. Called once, first of all.
pub(crate) fn take() -> Option<Given> {
    // SAFETY: this is the first thing that main does, nothing has opened or taken descriptors before, and it is called once.
    let (control, listener) = unsafe { (sys::process::inherited(CONTROL_FD), sys::process::inherited(LISTENER_FD)) };
    sys::process::close_on_exec_from(CONTROL_FD);
    Some(Given { control: control?, listener: listener? })
}
