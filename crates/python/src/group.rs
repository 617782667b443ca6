//! An application group: an interpreter, prepared for applications, and the scripts that are loaded in it.

#![forbid(unsafe_code)]

use crate::host::{HostSettings, Mode};
use crate::module::State;
use crate::python::{Interpreter, InterpreterError, Report, attach};
use crate::report::Place;
use crate::script::Scripts;
use std::sync::Arc;
use std::time::Duration;
use wire::codes;
use wire::log::Level;

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
        Self::prepare(Arc::clone(main), settings, "main interpreter", "")
    }

    /// A group with a sub-interpreter of its own. Creations must not overlap; the calling thread is in no interpreter.
    pub(crate) fn create(main: &Arc<Interpreter>, settings: &HostSettings, name: &str) -> Result<Self, GroupError> {
        let place = format!("sub-interpreter '{name}'");
        settings.log.log(Level::Info, &format!("Creating {place} {}.", process(&settings.mode)));
        let interpreter = match Interpreter::create(main) {
            Ok(interpreter) => interpreter,
            Err(error) => {
                settings.log.log(codes::SUB_INTERPRETER.level, &codes::SUB_INTERPRETER.line(format!("{place}: {error}")));
                return Err(error.into());
            }
        };
        let group = Self::prepare(Arc::clone(&interpreter), settings, &place, name);
        if group.is_err() {
            // It is tried again for the next request, in a fresh interpreter; if this one cannot be ended, it stays behind, unused.
            let _unused = interpreter.end(Duration::from_secs(1));
        }
        group
    }

    fn prepare(interpreter: Arc<Interpreter>, settings: &HostSettings, place: &str, name: &str) -> Result<Self, GroupError> {
        let place = Place { interpreter: place.to_owned(), process: process(&settings.mode) };
        let state = attach(&interpreter, |py| {
            State::prepare(py, settings, place.clone(), name).map_err(|exception| {
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

/// The process in the words of log lines.
pub(crate) fn process(mode: &Mode) -> String {
    match mode {
        Mode::Embedded => String::from("in embedded mode"),
        Mode::Daemon { group, .. } => format!("of daemon process '{group}'"),
    }
}
