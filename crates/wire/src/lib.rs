//! What crosses a process: frames, settings, control messages, the layout of the shared counters, and the C table of embedded mode.
//!
//! Everything here is pure: values in, values out. No socket, no clock, neither httpd nor Python.

#![forbid(unsafe_code)]

pub mod access;
pub mod codes;
pub mod control;
pub mod counters;
pub mod frame;
pub mod head;
pub mod host;
pub mod log;
pub mod scoreboard;
pub mod settings;

/// The version of everything in this crate; frames of another version are refused by name. It is raised with each change of a layout:
/// `tests/layout.rs` notices.
pub const VERSION: u8 = 5;

/// The level of compatibility that applications compare with, `mod_wsgi.version`.
pub const MOD_WSGI_VERSION: (u8, u8, u8) = (6, 1, 1);
