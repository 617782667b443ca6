//! The host as its two owners see it: embedded mode and a worker.
//!
//! A [`Host`] holds the interpreters of the process, one per application group, and serves requests in them. It knows neither httpd
//! nor frames: who carries a request gives it an [`Exchange`].

use crate::python::{Attached, Interpreter, runtime};
use crate::wsgi::exchange::{Exchange, Outcome};
use std::sync::Arc;
use std::time::Duration;
use wire::control::StopReason;
use wire::head::RequestHead;
use wire::log::Level;
use wire::settings::{Import, Octets, Python};

/// What a host is told at its start.
pub(crate) struct HostSettings {
    /// Python's settings.
    pub(crate) python: Python,
    /// Where we are.
    pub(crate) mode: Mode,
    /// `wsgi.multithread`.
    pub(crate) multithread: bool,
    /// `wsgi.multiprocess`.
    pub(crate) multiprocess: bool,
    /// `wsgi.run_once`.
    pub(crate) run_once: bool,
    /// `mod_wsgi.maximum_processes`.
    pub(crate) maximum_processes: u32,
    /// `mod_wsgi.threads_per_process`.
    pub(crate) threads_per_process: u32,
    /// What becomes of a script that has changed.
    pub(crate) reload: ReloadPolicy,
    /// Called after each load of a script, on the thread that loaded it, in no interpreter.
    pub(crate) loaded: Box<dyn Fn(Import, i64) + Send + Sync>,
    /// Where lines go that belong to no request.
    pub(crate) log: Arc<dyn LogSink>,
}

/// Where an application runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// In an httpd child.
    Embedded,
    /// In a worker of a daemon group.
    Daemon {
        /// The group's name.
        group: String,
        /// `home=`: becomes `sys.path[0]`.
        home: Option<Octets>,
        /// Whether the main interpreter is kept for `%{GLOBAL}`; otherwise the first application group that is used lives in it.
        uses_global: bool,
    },
}

/// What becomes of a script that has changed on disk.
pub(crate) enum ReloadPolicy {
    /// It is executed again, in a new module.
    InPlace,
    /// The old code goes on, and this is called with path and modification time: each time that a request meets the change.
    Report(Box<dyn Fn(&[u8], i64) + Send + Sync>),
}

/// Where log lines go that belong to no request.
pub(crate) trait LogSink: Send + Sync {
    /// Writes one line; levels that nobody wants are dropped here.
    fn log(&self, level: Level, line: &str);
}

/// A script could not be loaded; the log has the reason in full.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// Its interpreter could not be made.
    #[error("the interpreter for application group '{0}' could not be created")]
    Interpreter(String),
    /// It could not be read, compiled or executed.
    #[error("{0}")]
    Script(String),
}

/// The host could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HostError {
    /// CPython could not be started.
    #[error(transparent)]
    Start(#[from] runtime::StartError),
    /// The main interpreter could not be prepared; the log has the traceback.
    #[error("the main interpreter could not be prepared: {0}")]
    Prepare(String),
}

/// How a host has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nothing of ours is left in the interpreters: Python may be finalised, or has been.
    Clean,
    /// Threads are still inside; the process must leave by `_exit`, because a finalised Python would pull the ground from under them.
    /// The `atexit` functions have been called.
    ThreadsRemain,
}

/// Python in this process. It lives as long as the process.
pub(crate) struct Host {
    settings: HostSettings,
    main: Arc<Interpreter>,
}

impl Host {
    /// Adopts the Python that has imported us: the calling thread is its main thread.
    pub(crate) fn start_in_process(py: Attached<'_>, settings: HostSettings) -> Result<&'static Self, HostError> {
        Self::start(runtime::adopt(py), settings)
    }

    fn start(main: Arc<Interpreter>, settings: HostSettings) -> Result<&'static Self, HostError> {
        Ok(Box::leak(Box::new(Self { settings, main })))
    }

    /// Loads a script before its first request; returns its modification time in microseconds since the epoch.
    pub(crate) fn load(&self, import: &Import) -> Result<i64, LoadError> {
        Err(LoadError::Interpreter(String::from_utf8_lossy(&import.application_group).into_owned()))
    }

    /// Whether the script of a request is loaded and has changed since; its modification time now.
    pub(crate) fn changed(&self, _head: &RequestHead<'_>) -> Option<i64> {
        None
    }

    /// Serves a request on the calling thread, which is in no interpreter. `thread` is its number, from 1.
    pub(crate) fn serve(&self, _thread: u32, _head: &RequestHead<'_>, exchange: &mut dyn Exchange) -> Outcome {
        exchange.log(Level::Error, "WSGI0087: not yet");
        Outcome::Failed
    }

    /// Leaves Python on its main thread for the time of `work`, so that other threads can serve.
    pub(crate) fn release_gil<R>(&self, py: Attached<'_>, work: impl FnOnce() -> R + Send) -> R {
        py.detach(work)
    }

    /// Ends in order: tells the application why, then ends the sub-interpreters. `patience` bounds the wait for requests.
    pub(crate) fn stop(&self, _reason: Option<StopReason>, _patience: Duration) -> Ending {
        self.settings.log.log(Level::Info, "Destroying Python sub-interpreters");
        let _ = &self.main;
        Ending::Clean
    }
}
