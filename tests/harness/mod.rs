//! What a test needs of the world: a server, a client, its log and its processes.
//!
//! A test reads as a sentence: `Httpd::new(mode).app("hello.wsgi").start().get("/")`. What is checked after every test
//! (log, processes, sockets) is checked when the [`Httpd`] goes out of scope, so no test can forget it.

mod client;
mod config;
mod error_log;
mod facts;
mod httpd;
mod load;
mod machine;
mod place;
mod processes;
pub(crate) mod python;
mod tls;

pub(crate) use client::{Client, Request, Response};
pub(crate) use config::Builder;
pub(crate) use error_log::ErrorLog;
pub(crate) use facts::Facts;
pub(crate) use httpd::Httpd;
pub(crate) use load::Load;
pub(crate) use machine::{
    UnderTest, built, free_threaded_hosts, is_root, not_on_this_machine, reference, server_ids, under_test, usual_mpm, wsgi_module,
};
pub(crate) use place::{Folder, free_port, wait_until};
pub(crate) use processes::Process;

/// Where the application runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// In the httpd child.
    Embedded,
    /// In a process of its own.
    Daemon,
}

impl Mode {
    /// Both of them: a test claims each mode unless it says why not.
    pub(crate) const ALL: [Self; 2] = [Self::Embedded, Self::Daemon];

    /// Those in which two connections meet the same process of the application: with prefork each has a child of httpd to itself.
    pub(crate) fn with_one_process() -> &'static [Self] {
        if usual_mpm() == Mpm::Prefork { &[Self::Daemon] } else { &[Self::Embedded, Self::Daemon] }
    }
}

/// httpd's way of handling connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mpm {
    /// Threads, and one that keeps idle connections.
    Event,
    /// Threads, one per connection.
    Worker,
    /// Processes, one per connection.
    Prefork,
}

impl Mpm {
    /// Those that Linux has.
    pub(crate) const ALL: [Self; 3] = [Self::Event, Self::Worker, Self::Prefork];

    /// The name in `mpm_NAME_module`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Worker => "worker",
            Self::Prefork => "prefork",
        }
    }
}

/// Ends a test that mod_wsgi cannot pass, and says for the list of differences why.
macro_rules! only_ours {
    ($reason:literal) => {
        if differs!($reason) {
            return;
        }
    };
}

/// Whether mod_wsgi is under test, where it is known to behave differently; says so for the list of differences.
macro_rules! differs {
    ($reason:literal) => {
        $crate::harness::differs($reason)
    };
}

/// Notes a known difference when mod_wsgi is under test. Written to the standard error beneath libtest's capture, so that the list is always seen.
pub(crate) fn differs(reason: &str) -> bool {
    use std::io::Write as _;
    let theirs = under_test() == UnderTest::Theirs;
    if theirs {
        let test = std::thread::current().name().unwrap_or("?").to_owned();
        let line = format!("\ndifference: {test}: {reason}\n");
        std::io::stderr().write_all(line.as_bytes()).expect("standard error is open");
    }
    theirs
}
