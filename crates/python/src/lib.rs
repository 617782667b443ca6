//! The host: Python web applications, embedded in an httpd child or in a worker process.
//!
//! It knows CPython and PEP 3333, and no httpd. One file serves every CPython from 3.10 on, dlopen'ed by mod_wsgi.so or imported by a
//! worker's own interpreter.

mod host;
#[expect(unsafe_code, reason = "the fence around CPython's C API")]
mod python;
mod worker;
mod wsgi;
