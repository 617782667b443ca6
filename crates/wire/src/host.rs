//! The C table of embedded mode: what mod_wsgi.so and mod_wsgi_python.so offer to each other inside an httpd child.
//!
//! mod_wsgi.so looks up [`ENTRY`] in the host, calls it with its own [`ServerTable`] and gets a [`HostTable`]. A table begins with its
//! version and its size; one of another version is refused. Functions must not unwind.

use std::ffi::{c_char, c_int, c_void};

/// The version of both tables.
pub const TABLE_VERSION: u32 = 4;

/// The host's exported symbol, an [`Entry`].
pub const ENTRY: &std::ffi::CStr = c"mod_wsgi_host";

/// The type of [`ENTRY`]: `null` when the version does not fit. Both tables live as long as the process.
pub type Entry = unsafe extern "C" fn(server: *const ServerTable) -> *const HostTable;

/// A request on its way through the host; only mod_wsgi.so knows what it points to, and it is valid during `serve` or `check` only.
pub type RequestPointer = *mut c_void;

/// Takes octets, which do not live longer than the call.
pub type TakeOctets = unsafe extern "C" fn(taker: *mut c_void, octets: *const u8, length: usize);

/// What mod_wsgi.so does for the host. `int` results are 0 for success.
#[repr(C)]
pub struct ServerTable {
    /// [`TABLE_VERSION`].
    pub version: u32,
    /// The size of this struct in octets.
    pub size: u32,
    /// Reads up to `length` octets of the request body into `buffer`, waiting for at least one. Returns their number, 0 at the end, or
    /// -1 after writing a NUL-terminated reason of at most `reason_length` octets to `reason`.
    pub read:
        unsafe extern "C" fn(request: RequestPointer, buffer: *mut u8, length: usize, reason: *mut c_char, reason_length: usize) -> isize,
    /// Sets status and headers from an encoded [`crate::head::ResponseHead`].
    pub send_head: unsafe extern "C" fn(request: RequestPointer, head: *const u8, length: usize) -> c_int,
    /// Sends octets of the response body, then flushes if `flush` is not 0. 1: the client has gone.
    pub send: unsafe extern "C" fn(request: RequestPointer, octets: *const u8, length: usize, flush: c_int) -> c_int,
    /// Sends a part of a regular file; `fd` stays the caller's. 1: the client has gone.
    pub send_file: unsafe extern "C" fn(request: RequestPointer, fd: c_int, offset: u64, length: u64) -> c_int,
    /// Writes a line of UTF-8 to the error log; `request` may be null: then the line belongs to no request.
    pub log: unsafe extern "C" fn(request: RequestPointer, level: u8, text: *const u8, length: usize),
    /// The same for a line that has come about at a line of a source file, whose name ends with NUL.
    pub log_at: unsafe extern "C" fn(request: RequestPointer, level: u8, text: *const u8, length: usize, file: *const c_char, line: u32),
    /// Gives an encoded [`crate::scoreboard::Scoreboard`] to `take`, together with `taker`, if there is one.
    pub scoreboard: unsafe extern "C" fn(taker: *mut c_void, take: TakeOctets),
    /// Takes an encoded [`crate::access::Answer`] to what `check` asks.
    pub answer: unsafe extern "C" fn(request: RequestPointer, octets: *const u8, length: usize),
    /// The value of one of mod_ssl's variables and its length, which live as long as the request; null where there is none.
    pub ssl_variable: unsafe extern "C" fn(request: RequestPointer, name: *const u8, length: usize, value_length: *mut usize) -> *const u8,
    /// httpd's own record of the request; null unless `WSGIPassApacheRequest` is on.
    pub request_record: unsafe extern "C" fn(request: RequestPointer) -> *mut c_void,
}

/// What the host does for mod_wsgi.so.
#[repr(C)]
pub struct HostTable {
    /// [`TABLE_VERSION`].
    pub version: u32,
    /// The size of this struct in octets.
    pub size: u32,
    /// Starts Python once per process, by encoded [`crate::settings::EmbeddedSettings`] (with [`crate::control::encode`]). 0: it runs.
    pub start: unsafe extern "C" fn(settings: *const u8, length: usize) -> c_int,
    /// Serves a request from an encoded [`crate::head::RequestHead`], on the calling thread.
    pub serve: unsafe extern "C" fn(request: RequestPointer, head: *const u8, length: usize) -> Outcome,
    /// Asks a script, by an encoded [`crate::access::Question`]. The answer comes through [`ServerTable::answer`] before this returns;
    /// that none came is a failure.
    pub check: unsafe extern "C" fn(request: RequestPointer, question: *const u8, length: usize),
    /// Gives back what the calling thread has of Python, before it waits for [`HostTable::stop`] to end on another thread.
    pub leave: unsafe extern "C" fn(),
    /// Ends Python in order; nothing else is called afterwards.
    pub stop: unsafe extern "C" fn(),
}

/// How a request ended in the host.
pub type Outcome = c_int;

/// The response is complete.
pub const OUTCOME_DONE: Outcome = 0;
/// Failed before the head was sent; the log has the reason: 500.
pub const OUTCOME_FAILED: Outcome = 1;
/// Ended after the head was sent; the client must see that the response is cut short.
pub const OUTCOME_TRUNCATED: Outcome = 2;
/// The client went away.
pub const OUTCOME_CLIENT_GONE: Outcome = 3;
