//! Lines that belong to no request: to the group's error log, which is this process's stderr.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use wire::codes::Code;
use wire::log::Level;

/// The lowest level that is written; `LogLevel wsgi:` of the group's server.
static LEVEL: AtomicU8 = AtomicU8::new(Level::Warn as u8);

/// Sets the lowest level that is written.
pub(super) fn set_level(octet: u8) {
    LEVEL.store(octet, Relaxed);
}

/// Writes a line, unless its level is below what is wanted.
pub(super) fn write(level: Level, text: &str) {
    if level as u8 <= LEVEL.load(Relaxed) {
        sys::log::write(std::io::stderr(), level, text);
    }
}

/// Writes a line with a code.
pub(super) fn coded(code: &Code, what: impl std::fmt::Display) {
    write(code.level, &code.line(what));
}
