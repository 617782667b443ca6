//! `mod_wsgi.so`: hosts Python web applications for Apache httpd. Knows httpd; contains no Python.
//!
//! The rooms in reading order: what the administrator wrote (`config`), httpd (`apache`), which application a request is for
//! (`request`, `names`, `environ`), how it is answered (`response`) and how long that took (`slow`), who may have it (`auth`), and the two ways to Python: `embedded` and `daemon`.

#[cfg(panic = "abort")]
compile_error!("a panic must cost one request, not the process: build with panic = \"unwind\"");

mod config;

#[expect(unsafe_code, reason = "C calls in, and lends its structures for the length of a call")]
mod apache;

mod request;

mod names;

mod paths;

mod environ;

mod response;

mod slow;

mod auth;

#[expect(unsafe_code, reason = "loads libpython and the host, and exchanges tables of C functions with it")]
mod embedded;

mod daemon;

mod server;

#[cfg(test)]
mod properties;
