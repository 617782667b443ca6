//! The suite: each test starts an httpd of its own and talks to it as a client would.
//!
//! It runs against our module, or with `WSGI_UNDER_TEST=theirs` against mod_wsgi, which shows that a test is right.
//! One binary, so that it links once; one file per behaviour, and `tests/apps` holds one small application per behaviour.

#[macro_use]
mod harness;

mod environ;
mod hello;
mod input;
mod logging;
mod output;
mod start_response;
