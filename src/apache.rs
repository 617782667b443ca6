//! The safe view of httpd and APR. The one place, with `embedded`, that may hold a C pointer.
//!
//! C's things are lent for the length of a call: a [`Request`](request::Request) lives as long as the hook that was given it, and so
//! does everything borrowed from it. Nothing here is kept from one request to the next.

mod auth;
pub(crate) mod boundary;
pub(crate) mod brigade;
pub(crate) mod child;
pub(crate) mod command;
mod ffi;
pub(crate) mod hook;
pub(crate) mod log;
pub(crate) mod module;
pub(crate) mod pool;
pub(crate) mod regex;
pub(crate) mod request;
pub(crate) mod scoreboard;
pub(crate) mod server;
pub(crate) mod status;
pub(crate) mod table;
