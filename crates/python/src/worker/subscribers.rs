//! Signals that are for the application: told one after the other on a thread of their own, because a callback may take long.

#![forbid(unsafe_code)]

use crate::host::Host;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use sys::nix::sys::signal::Signal;

/// How many signals may wait; of a burst the rest is dropped, as the kernel does with signals of one number.
const WAITING: usize = 64;

/// Where signals are given to.
pub(super) struct Subscribers(SyncSender<Signal>);

/// Where they come out.
pub(super) struct Told(Receiver<Signal>);

/// Both ends. The thread that tells them ends when the other is dropped.
pub(super) fn subscribers() -> (Subscribers, Told) {
    let (sender, receiver) = sync_channel(WAITING);
    (Subscribers(sender), Told(receiver))
}

impl Subscribers {
    /// Gives a signal to those who want to know of it.
    pub(super) fn tell(&self, signal: Signal) {
        match self.0.try_send(signal) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

impl Told {
    /// Tells signals until no more can come.
    pub(super) fn serve(&self, host: &Host) {
        while let Ok(signal) = self.0.recv() {
            host.tell_signal(sys::signals::number(signal), signal.as_str());
        }
    }
}
