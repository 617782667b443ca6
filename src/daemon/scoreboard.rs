//! Tells a worker httpd's scoreboard, because its application asks: the worker has nothing of httpd's memory.

#![forbid(unsafe_code)]

use crate::apache::scoreboard;
use std::io::IoSlice;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use sys::nix::errno::Errno;
use sys::socket::{self, Readiness};

/// How long the worker may take to read it; a thread of its own waits for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes the scoreboard to a socket of the worker's. Should it not be taken in time, it ends early, which the reader sees.
pub(super) fn tell(socket: &OwnedFd) {
    let Some(octets) = scoreboard::read().map(|scoreboard| scoreboard.encode()) else { return };
    let deadline = Instant::now() + PATIENCE;
    let mut sent = 0;
    while sent < octets.len() {
        match socket::send(socket, &[IoSlice::new(&octets[sent..])], &[]) {
            Ok(length) => sent += length,
            Err(Errno::EAGAIN) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() || !socket::wait(socket, Readiness::Write, Some(left)).unwrap_or(false) {
                    return;
                }
            }
            // Whatever came as a descriptor, it is no socket that takes octets.
            Err(_) => return,
        }
    }
}
