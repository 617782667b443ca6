//! An application group: an interpreter, prepared for applications, and the scripts that are loaded in it.

#![forbid(unsafe_code)]

use crate::host::{HostSettings, Mode};
use crate::module::State;
use crate::python::{Gil, Interpreter, InterpreterError, Report, attach, runtime};
use crate::report::Place;
use crate::script::Scripts;
use std::sync::Arc;
use std::time::Duration;
use wire::codes;
use wire::log::Level;
use wire::settings::InterpreterOptions;

/// An application group.
pub(crate) struct Group {
    /// The interpreter it lives in.
    pub(crate) interpreter: Arc<Interpreter>,
    /// What that interpreter has of ours.
    pub(crate) state: Arc<State>,
    /// Its scripts.
    pub(crate) scripts: Scripts,
}

/// An application group could not be made; the log has the traceback.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GroupError {
    /// There is no interpreter for it.
    #[error(transparent)]
    Interpreter(#[from] InterpreterError),
    /// Its interpreter could not be prepared.
    #[error("{}: {}", .0.type_name, .0.text)]
    Prepare(Report),
}

impl Group {
    /// The group that lives in the main interpreter.
    pub(crate) fn main(main: &Arc<Interpreter>, settings: &HostSettings) -> Result<Self, GroupError> {
        let mut options = settings.python.interpreter(b"");
        if settings.python.free_threading && !runtime::is_free_threaded() {
            let (major, minor) = runtime::version();
            let what = format!("Python {major}.{minor} {} keeps its lock", process(&settings.mode));
            settings.log.log(codes::NOT_FREE_THREADED.level, &codes::NOT_FREE_THREADED.line(what));
        }
        if runs_without_lock(settings) {
            drop_interval(settings, &mut options, "main interpreter");
        }
        Self::prepare(Arc::clone(main), settings, &options, "main interpreter", "")
    }

    /// A group with a sub-interpreter of its own. Creations must not overlap; the calling thread is in no interpreter.
    pub(crate) fn create(main: &Arc<Interpreter>, settings: &HostSettings, name: &[u8]) -> Result<Self, GroupError> {
        let mut options = settings.python.interpreter(name);
        let name = &latin1(name);
        let place = format!("sub-interpreter '{name}'");
        let gil = gil(settings, &mut options, &place);
        let with = if gil == Gil::Own { " with own GIL" } else { "" };
        settings.log.log(Level::Info, &format!("Creating {place} {}{with}.", process(&settings.mode)));
        let interpreter = match Interpreter::create(main, gil) {
            Ok(interpreter) => interpreter,
            Err(error) => {
                settings.log.log(codes::SUB_INTERPRETER.level, &codes::SUB_INTERPRETER.line(format!("{place}: {error}")));
                return Err(error.into());
            }
        };
        let group = Self::prepare(Arc::clone(&interpreter), settings, &options, &place, name);
        if group.is_err() {
            // It is tried again for the next request, in a fresh interpreter; if this one cannot be ended, it stays behind, unused.
            let _unused = interpreter.end(Duration::from_secs(1));
        }
        group
    }

    fn prepare(
        interpreter: Arc<Interpreter>,
        settings: &HostSettings,
        options: &InterpreterOptions<'_>,
        place: &str,
        name: &str,
    ) -> Result<Self, GroupError> {
        let place = Place { interpreter: place.to_owned(), process: process(&settings.mode) };
        let state = attach(&interpreter, |py| {
            State::prepare(py, settings, options, place.clone(), name).map_err(|exception| {
                let (sink, report) = (&settings.log, exception.report(py));
                sink.log(codes::PREPARE.level, &codes::PREPARE.line(format!("cannot prepare {place}")));
                sink.log(codes::SET_UP.level, &codes::SET_UP.line(format!("{} exception raised preparing {place}", report.type_name)));
                report.lines.iter().filter(|line| !line.is_empty()).for_each(|line| sink.log(Level::Error, line));
                report
            })
        });
        match state {
            Some(Ok(state)) => Ok(Self { interpreter, state, scripts: Scripts::default() }),
            Some(Err(report)) => Err(GroupError::Prepare(report)),
            None => Err(GroupError::Interpreter(InterpreterError::Stopped)),
        }
    }
}

/// Which lock a sub-interpreter gets, and what of its options goes with that.
fn gil(settings: &HostSettings, options: &mut InterpreterOptions<'_>, place: &str) -> Gil {
    if runs_without_lock(settings) {
        if options.own_gil {
            let what = format!("{place} has no lock of its own");
            settings.log.log(codes::NO_GIL_TO_OWN.level, &codes::NO_GIL_TO_OWN.line(what));
        }
        if options.interval_is_own {
            drop_interval(settings, options, place);
        }
        options.switch_interval = None;
        return Gil::Shared;
    }
    if options.own_gil {
        let (major, minor) = runtime::version();
        if (major, minor) >= Gil::OWN_SINCE {
            return Gil::Own;
        }
        let what = format!("{place} shares the lock of the main interpreter, because Python {major}.{minor} runs it");
        settings.log.log(codes::OWN_GIL.level, &codes::OWN_GIL.line(what));
    }
    // The interval belongs to the lock, so it is the main interpreter's.
    if let (true, Some(seconds)) = (options.interval_is_own, options.switch_interval) {
        let what = format!("the switch interval of {seconds} s is not set for {place}, which shares the lock of the main interpreter");
        settings.log.log(codes::SHARED_INTERVAL.level, &codes::SHARED_INTERVAL.line(what));
    }
    options.switch_interval = None;
    Gil::Shared
}

/// Whether Python runs without its lock in this process.
fn runs_without_lock(settings: &HostSettings) -> bool {
    settings.python.free_threading && runtime::is_free_threaded()
}

/// Says that a switch interval has no effect without a lock.
fn drop_interval(settings: &HostSettings, options: &mut InterpreterOptions<'_>, place: &str) {
    if let Some(seconds) = options.switch_interval.take() {
        let what = format!("the switch interval of {seconds} s is not set for the {place}");
        settings.log.log(codes::NO_GIL_TO_SWITCH.level, &codes::NO_GIL_TO_SWITCH.line(what));
    }
}

/// Octets as text, a character each.
pub(crate) fn latin1(octets: &[u8]) -> String {
    octets.iter().copied().map(char::from).collect()
}

/// The process in the words of log lines.
pub(crate) fn process(mode: &Mode) -> String {
    match mode {
        Mode::Embedded => String::from("in embedded mode"),
        Mode::Daemon { group, .. } => format!("of daemon process '{group}'"),
    }
}
