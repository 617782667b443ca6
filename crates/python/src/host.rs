//! The host as its two owners see it: embedded mode and a worker.
//!
//! A [`Host`] holds the interpreters of the process, one per application group, and serves requests in them. It knows neither httpd
//! nor frames: who carries a request gives it an [`Exchange`].

#![forbid(unsafe_code)]

mod board;
mod watch;

pub(crate) use watch::Ticket;

use crate::access;
use crate::group::{self, Group, GroupError, latin1};
use crate::lend::lend;
use crate::module::events;
use crate::module::metrics::Meter;
use crate::python::{Attached, Interpreter, Object, attach, runtime};
use crate::script::ScriptError;
use crate::wsgi::exchange::{Exchange, Outcome};
use crate::wsgi::request::Request;
use crate::wsgi::run;
use board::Board;
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use wire::access::{Answer, Question};
use wire::codes;
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
    /// Called after each load of a script, on the thread that loaded it, in no interpreter; with its modification time, and whether it
    /// was loaded for a request that reloads it when it changes.
    pub(crate) loaded: Box<dyn Fn(Import, i64, bool) + Send + Sync>,
    /// Counts requests.
    pub(crate) meter: Arc<Meter>,
    /// Gives httpd's encoded scoreboard, for which it may wait.
    pub(crate) scoreboard: Arc<dyn Fn() -> Option<Vec<u8>> + Send + Sync>,
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
        /// Whether it runs a service script: all application groups live in the main interpreter, where signals reach them.
        service: bool,
    },
}

impl Mode {
    /// Whether it runs a service script.
    pub(crate) fn is_service(&self) -> bool {
        matches!(self, Self::Daemon { service: true, .. })
    }
}

/// Told the path and modification time of a script that has changed.
pub(crate) type Changed = dyn Fn(&[u8], i64) + Send + Sync;

/// What becomes of a script that has changed on disk.
pub(crate) enum ReloadPolicy {
    /// It is executed again, in a new module.
    InPlace,
    /// The old code goes on, in a process that is to be replaced.
    Report {
        /// Called with path and modification time, each time that a request meets the change.
        changed: Box<Changed>,
        /// Called when a handler script asks to be loaded again (`reload_required`).
        asked: Box<dyn Fn() + Send + Sync>,
    },
}

/// Where log lines go that belong to no request.
pub(crate) trait LogSink: Send + Sync {
    /// Writes one line; levels that nobody wants are dropped here.
    fn log(&self, level: Level, line: &str);
}

/// For what somebody else tells.
struct Silence;

impl LogSink for Silence {
    fn log(&self, _: Level, _: &str) {}
}

/// A script could not be loaded; the log has the reason in full.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// Its interpreter could not be made.
    #[error("no interpreter for application group '{0}': {1}")]
    Interpreter(String, String),
    /// It could not be read, compiled or executed.
    #[error(transparent)]
    Script(#[from] ScriptError),
}

impl LoadError {
    /// The modification time of what could not be loaded, if it could be read.
    pub(crate) fn modified(&self) -> Option<i64> {
        match self {
            Self::Interpreter(..) => None,
            Self::Script(error) => error.modified(),
        }
    }
}

/// How often a request lets others replace the script that it is about to run.
const REPLACEMENTS: u32 = 5;

/// Why a script was not run.
pub(crate) enum NotRun {
    /// Its interpreter could not be made.
    Interpreter(GroupError),
    /// It could not be loaded; the log has the reason.
    Script,
    /// Its interpreter, or the script, is just ending.
    Stopped,
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
    main_group: Arc<Group>,
    /// The application group whose home is the main interpreter, once that is known; empty for `%{GLOBAL}`.
    resident: OnceLock<Vec<u8>>,
    groups: RwLock<HashMap<Vec<u8>, Arc<Group>>>,
    /// Held while a group is created, by a thread that is in no interpreter.
    creating: Mutex<()>,
    board: Board,
}

impl Host {
    /// Adopts the Python that has imported us: the calling thread is its main thread.
    pub(crate) fn start_in_process(py: Attached<'_>, settings: HostSettings) -> Result<&'static Self, HostError> {
        Self::start(runtime::adopt(py), settings)
    }

    /// Starts Python in this process: the calling thread becomes its main thread.
    pub(crate) fn start_python(settings: HostSettings) -> Result<&'static Self, HostError> {
        let Python { home, optimize, dont_write_bytecode, warnings, hash_seed, free_threading, .. } = &settings.python;
        let location = home.as_ref().map(|home| runtime::Location::of_home(Path::new(OsStr::from_bytes(home))));
        settings.log.log(Level::Info, &format!("Initializing Python runtime {}.", group::process(&settings.mode)));
        let main = runtime::start(&runtime::StartSettings {
            location: location.unwrap_or_default(),
            optimize: *optimize,
            dont_write_bytecode: *dont_write_bytecode,
            warnings: warnings.clone(),
            hash_seed: hash_seed.clone(),
            free_threading: *free_threading,
        })?;
        Self::start(main, settings)
    }

    fn start(main: Arc<Interpreter>, settings: HostSettings) -> Result<&'static Self, HostError> {
        log_panics(Arc::clone(&settings.log));
        let main_group = Arc::new(Group::main(&main, &settings).map_err(|error| HostError::Prepare(error.to_string()))?);
        let (resident, groups, creating) = (OnceLock::new(), RwLock::default(), Mutex::new(()));
        // Nobody watches over requests in httpd's children.
        let board = Board::new(if settings.mode == Mode::Embedded { 0 } else { settings.threads_per_process });
        Ok(Box::leak(Box::new(Self { settings, main, main_group, resident, groups, creating, board })))
    }

    /// Loads a script before its first request; returns its modification time in microseconds since the epoch.
    pub(crate) fn load(&self, import: &Import) -> Result<i64, LoadError> {
        self.load_telling(&self.settings.log, import)
    }

    /// The same where another process loads it too, and tells why it fails.
    pub(crate) fn load_silently(&self, import: &Import) -> Result<i64, LoadError> {
        self.load_telling(&(Arc::new(Silence) as Arc<dyn LogSink>), import)
    }

    fn load_telling(&self, sink: &Arc<dyn LogSink>, import: &Import) -> Result<i64, LoadError> {
        let group = self
            .group(&import.application_group)
            .map_err(|error| LoadError::Interpreter(String::from_utf8_lossy(&import.application_group).into_owned(), error.to_string()))?;
        let script = group.scripts.get(&import.script, false);
        match script.ensure_telling(sink, &group, &self.settings.reload, false, 0)? {
            Some(modified) => {
                (self.settings.loaded)(import.clone(), modified, false);
                Ok(modified)
            }
            None => Ok(script.modified()),
        }
    }

    /// Serves a request on the calling thread, which is in no interpreter. `thread` is its number, from 1.
    pub(crate) fn serve(&self, thread: u32, head: &RequestHead<'_>, exchange: &mut dyn Exchange) -> Outcome {
        lend(exchange, |lent| {
            Request::execute(thread, head, lent, |request| {
                let _place = self.board.enter(head, request);
                self.settings.meter.count(request, head, || self.execute(head, request))
            })
        })
    }

    /// Whether a request is for a script that has changed since it was loaded here; whoever wants to know of changes is told.
    pub(crate) fn is_outdated(&self, head: &RequestHead<'_>) -> bool {
        // Who cannot have a group has loaded nothing there either.
        let group = self.group(head.application_group).ok().filter(|_| head.script_reloading);
        group.is_some_and(|group| group.scripts.get(head.script, head.fold_case).is_outdated(&self.settings.reload, head.script_modified))
    }

    /// Asks a script about a request, as [`Host::serve`] serves one.
    pub(crate) fn check(&self, thread: u32, question: &Question<'_>, exchange: &mut dyn Exchange) -> Answer {
        lend(exchange, |lent| Request::execute(thread, &question.head, lent, |request| access::ask(self, question, request)))
    }

    /// Asks a handler script whether it is to be loaded again before this request for one of its resources.
    fn ask_handler(&self, head: &RequestHead<'_>) {
        // Whoever has no interpreter has loaded nothing there either.
        let Ok(group) = self.group(head.application_group) else { return };
        let script = group.scripts.get(head.script, head.fold_case);
        attach(&group.interpreter, |py| {
            if script.asks_for_reload(py, &group.state, head.filename) {
                match &self.settings.reload {
                    ReloadPolicy::InPlace => script.forget(py),
                    ReloadPolicy::Report { asked, .. } => asked(),
                }
            }
        });
    }

    fn execute(&self, head: &RequestHead<'_>, request: &Arc<Request>) -> Outcome {
        // A script that is requested itself is its own resource.
        if head.script_reloading && head.script != head.filename {
            self.ask_handler(head);
        }
        let run = |py: Attached<'_>, group: &Arc<Group>, module: &Object| {
            self.board.call(py, request.thread, group, || run::run(py, &group.state, request, head, module))
        };
        match self.in_script(head, run) {
            Ok(outcome) => outcome,
            Err(NotRun::Interpreter(error)) => {
                let name = String::from_utf8_lossy(head.application_group);
                let what = request.marked(&format!("no interpreter for application group '{name}': {error}"));
                request.log_outside(codes::NO_INTERPRETER.level, &codes::NO_INTERPRETER.line(what));
                Outcome::Failed
            }
            // The log has it.
            Err(NotRun::Script | NotRun::Stopped) => Outcome::Failed,
        }
    }

    /// Runs `work` in the interpreter of a request's application group, with its script loaded.
    pub(crate) fn in_script<R>(
        &self,
        head: &RequestHead<'_>,
        work: impl FnOnce(Attached<'_>, &Arc<Group>, &Object) -> R,
    ) -> Result<R, NotRun> {
        let group = self.group(head.application_group).map_err(NotRun::Interpreter)?;
        let script = group.scripts.get(head.script, head.fold_case);
        let mut work = Some(work);
        // Another thread may replace the module between the two steps, and fail: then this one tries, and has the reason in its log.
        for _ in 0..REPLACEMENTS {
            match script.ensure(&group, &self.settings.reload, head.script_reloading, head.script_modified) {
                Ok(None) => {}
                Ok(Some(modified)) => {
                    let import = Import { script: head.script.to_vec().into(), application_group: head.application_group.to_vec().into() };
                    (self.settings.loaded)(import, modified, head.script_reloading);
                }
                Err(_) => return Err(NotRun::Script),
            }
            let result = attach(&group.interpreter, |py| {
                let module = script.module(py)?;
                Some(work.take()?(py, &group, &module))
            });
            if let Some(result) = result.flatten() {
                return Ok(result);
            }
        }
        Err(NotRun::Stopped)
    }

    /// Leaves Python on its main thread for the time of `work`, so that other threads can serve.
    pub(crate) fn release_gil<R>(&self, py: Attached<'_>, work: impl FnOnce() -> R + Send) -> R {
        py.detach(work)
    }

    /// Ends in order: tells the applications why (`None` in embedded mode), then ends the sub-interpreters. The main interpreter stays:
    /// it ends with the process that it came with. `patience` bounds the wait for requests in each interpreter.
    pub(crate) fn stop(&self, reason: Option<StopReason>, patience: Duration) -> Ending {
        let groups: Vec<Arc<Group>> = self.groups.read().values().map(Arc::clone).collect();
        for group in std::iter::once(&self.main_group).chain(&groups) {
            attach(&group.interpreter, |py| events::process_stopping(py, &group.state, reason.map_or("", StopReason::word)));
        }
        if !self.settings.python.destroy_interpreter {
            return Ending::ThreadsRemain;
        }
        let process = group::process(&self.settings.mode);
        self.settings.log.log(Level::Info, &format!("Destroying Python sub-interpreters {process}."));
        let mut ending = Ending::Clean;
        for group in &groups {
            self.settings.log.log(Level::Info, &format!("Destroying {} {process}.", group.state.place.interpreter));
            if let Err(error) = group.interpreter.end(patience) {
                self.settings.log.log(Level::Info, &format!("{} is left to the end of the process: {error}.", group.state.place));
                ending = Ending::ThreadsRemain;
            }
        }
        ending
    }

    /// Ends Python itself, after [`Host::stop`], where we have started it.
    pub(crate) fn stop_python(&self, ending: Ending, patience: Duration) {
        let process = group::process(&self.settings.mode);
        self.settings.log.log(Level::Info, &format!("Terminating Python runtime {process}."));
        let ended = match ending {
            Ending::Clean => runtime::finalize(&self.main, patience).is_ok(),
            Ending::ThreadsRemain => false,
        };
        if ended {
            self.settings.log.log(Level::Info, &format!("Python runtime has shut down {process}."));
        } else if self.settings.python.destroy_interpreter {
            attach(&self.main, runtime::run_exit_functions);
        }
    }

    /// The group with a name, made on first use.
    fn group(&self, name: &[u8]) -> Result<Arc<Group>, GroupError> {
        if self.is_resident(name) {
            return Ok(Arc::clone(&self.main_group));
        }
        if let Some(group) = self.groups.read().get(name) {
            return Ok(Arc::clone(group));
        }
        let _creating = self.creating.lock();
        if let Some(group) = self.groups.read().get(name) {
            return Ok(Arc::clone(group));
        }
        let group = Arc::new(Group::create(&self.main, &self.settings, name)?);
        self.groups.write().insert(name.to_vec(), Arc::clone(&group));
        Ok(group)
    }

    /// Whether a group lives in the main interpreter: the empty name always does, and in a worker that keeps nothing for `%{GLOBAL}` so
    /// does the first that is used, because some extension modules work nowhere else.
    pub(crate) fn is_resident(&self, name: &[u8]) -> bool {
        if name.is_empty() {
            if !matches!(self.settings.mode, Mode::Embedded) {
                self.resident.get_or_init(Vec::new);
            }
            return true;
        }
        match &self.settings.mode {
            Mode::Embedded | Mode::Daemon { uses_global: true, service: false, .. } => false,
            Mode::Daemon { service: true, .. } => {
                attach(&self.main, |py| self.main_group.state.set_group(py, &latin1(name)).is_ok()).is_some()
            }
            Mode::Daemon { .. } => {
                let resident = self.resident.get_or_init(|| {
                    attach(&self.main, |py| self.main_group.state.set_group(py, &latin1(name)).is_ok());
                    name.to_vec()
                });
                resident == name
            }
        }
    }
}

/// Makes a panic one line in the log.
fn log_panics(log: Arc<dyn LogSink>) {
    std::panic::set_hook(Box::new(move |panic| log.log(codes::INTERNAL.level, &codes::INTERNAL.line(panic))));
}
