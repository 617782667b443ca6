//! The host: Python web applications, embedded in an httpd child or in a worker process.
//!
//! It knows CPython and PEP 3333, and no httpd. One file serves every CPython from 3.10 on, dlopen'ed by mod_wsgi.so or imported by a
//! worker's own interpreter. In reading order: what its owners see (`host`); where an application lives (`group`, `module`, `script`);
//! CPython (`python`); a request (`wsgi`, `lend`, `report`); the two owners (`embedded`, `worker`).

mod host;

mod access;
mod group;
mod module;
mod script;

#[expect(unsafe_code, reason = "the fence around CPython's C API")]
mod python;

mod wsgi;

#[expect(unsafe_code, reason = "lends an exchange to Python objects that may outlive it")]
mod lend;
mod report;

#[expect(unsafe_code, reason = "exchanges tables of C functions with mod_wsgi.so")]
mod embedded;

mod worker;
