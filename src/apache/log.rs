//! httpd's error log: lines in the context of a request, a server, or neither.

use super::ffi;
use super::module;
use super::request::Request;
use super::server::Server;
use std::ffi::{CString, c_int};
use wire::frame::Source;
use wire::log::Level;

fn text(line: &str) -> CString {
    CString::new(line.replace('\0', "\\x00")).expect("NULs are replaced")
}

fn level(level: Level) -> c_int {
    level as c_int
}

/// A line in a request's context: that virtual host's log, its format and its level.
pub(crate) fn request(request: &Request<'_>, at: Level, line: &str) {
    if request.keeps_level(at) {
        // SAFETY: the request is live; the format takes the one string given.
        unsafe {
            ffi::ap_log_rerror_(c"mod_wsgi".as_ptr(), 0, module::index(), level(at), 0, request.raw(), c"%s".as_ptr(), text(line).as_ptr());
        }
    }
}

/// The same, for a line that has come about at a line of a source file (`%F`).
pub(crate) fn request_at(request: &Request<'_>, at: Level, line: &str, source: Source<'_>) {
    if request.keeps_level(at) {
        let file = text(&String::from_utf8_lossy(source.file));
        let number = c_int::try_from(source.line).unwrap_or(0);
        // SAFETY: the request is live; the format takes the one string given; httpd keeps neither string.
        unsafe {
            let index = module::index();
            ffi::ap_log_rerror_(file.as_ptr(), number, index, level(at), 0, request.raw(), c"%s".as_ptr(), text(line).as_ptr());
        }
    }
}

/// A line in a server's log.
pub(crate) fn server(server: Server<'_>, at: Level, line: &str) {
    // SAFETY: the server is live; the format takes the one string given. httpd drops what its level does not keep.
    unsafe {
        if c_int::from(at as u8) <= ffi::ap_get_server_module_loglevel(server.raw(), module::index()) {
            ffi::ap_log_error_(c"mod_wsgi".as_ptr(), 0, module::index(), level(at), 0, server.raw(), c"%s".as_ptr(), text(line).as_ptr());
        }
    }
}

/// A line in the main server's log, or on stderr while there is no main server.
pub(crate) fn main_server(at: Level, line: &str) {
    match Server::main() {
        Some(main) => server(main, at, line),
        // SAFETY: httpd takes a null server and writes to stderr.
        None => unsafe {
            ffi::ap_log_error_(
                c"mod_wsgi".as_ptr(),
                0,
                module::index(),
                level(at) | ffi::APLOG_STARTUP,
                0,
                std::ptr::null(),
                c"%s".as_ptr(),
                text(line).as_ptr(),
            );
        },
    }
}
