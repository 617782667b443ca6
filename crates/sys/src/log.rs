//! Lines for httpd's error log from processes that are not httpd: each is one write(2) to a descriptor, so lines do not mix.

use std::os::fd::AsFd;
use wire::log::Level;

/// Writes one line in httpd's format. A log that cannot be written is no reason to stop serving, so a failure is ignored.
pub fn write(log: impl AsFd, level: Level, text: &str) {
    let tid = nix::unistd::gettid().as_raw();
    let line = wire::log::line(crate::clock::local_time(), level, std::process::id(), u64::try_from(tid).unwrap_or(0), text);
    let mut rest = line.as_bytes();
    while let Ok(written) = nix::unistd::write(&log, rest) {
        rest = &rest[written..];
        if rest.is_empty() || written == 0 {
            break;
        }
    }
}
