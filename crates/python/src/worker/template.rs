//! The template of a generation's workers: the process that was executed as the first of them, while it has one thread only; with `preload=`
//! when it has loaded the scripts, otherwise when its interpreter is there and nothing of the application's is. The first worker goes on
//! as a copy of it, so that what only an import needs is in no worker's memory, and in none at all when the template has ended.
//!
//! It waits for the supervisor's word and forks a worker for each. Python is asked to fork, so that what the application has registered
//! with `os.register_at_fork` runs in each new process, `random` is seeded anew, and nothing is left of locks.

#![forbid(unsafe_code)]

use super::{DONE, NOT_READY, StartError, be_named, imports, load, log, tell};
use crate::host::Host;
use crate::python::{Attached, Exception};
use std::os::fd::{AsFd, OwnedFd};
use sys::control::{Channel, ChannelError};
use sys::forks::{Side, fork_beside};
use sys::nix::sys::signal::Signal;
use wire::codes;
use wire::control::{FromWorker, ToWorker, WorkerSettings};
use wire::settings::Import;

/// Loads what the template is to have and becomes it. Returns in each worker that is forked, with its settings; where there can be no
/// template, in the calling process.
pub(super) fn preload(
    py: Attached<'_>,
    host: &'static Host,
    channel: &Channel,
    settings: Box<WorkerSettings>,
) -> Result<Box<WorkerSettings>, StartError> {
    let of_template = |settings: &WorkerSettings| -> Vec<Import> {
        imports(settings).filter(|import| belongs(host, settings, import)).cloned().collect()
    };
    host.release_gil(py, || of_template(&settings).iter().try_for_each(|import| load(host, channel, &settings, import)))?;
    let (settings, is_first) = divide(py, channel, settings)?;
    if !is_first {
        be_named(&settings.group);
        // It is there already; the supervisor wants to know of each process what it has.
        host.release_gil(py, || {
            for import in of_template(&settings) {
                if let Ok(modified) = host.load(&import) {
                    tell(channel, &FromWorker::Loaded { import, modified, reloads: false });
                }
            }
        });
    }
    Ok(settings)
}

/// Whether a script belongs in a template.
fn belongs(host: &Host, settings: &WorkerSettings, import: &Import) -> bool {
    // No other interpreter than the main one survives a fork.
    settings.group.preload && host.is_resident(&import.application_group)
}

/// Whether a worker has loaded a script for its template.
pub(super) fn has_loaded(host: &Host, settings: &WorkerSettings, import: &Import) -> bool {
    settings.makes_template && belongs(host, settings, import)
}

/// Becomes the template; returns as [`preload`] does, and whether in the first worker.
fn divide(py: Attached<'_>, channel: &Channel, settings: Box<WorkerSettings>) -> Result<(Box<WorkerSettings>, bool), StartError> {
    if let Err(reason) = prepare(py) {
        tell(channel, &FromWorker::NoTemplate(reason));
        return Ok((settings, true));
    }
    let (theirs, ours) = Channel::pair().map_err(|error| StartError::Os("cannot make a socket pair", error))?;
    match fork(py) {
        Ok(Side::New) => {
            drop(ours);
            sys::process::end_with_parent(Signal::SIGUSR1);
            channel.send(&FromWorker::Template { pid: std::process::id() }, &[theirs.as_fd()])?;
            Ok((settings, true))
        }
        Ok(Side::Old) => {
            drop(theirs);
            sys::process::end_with_parent(Signal::SIGKILL);
            Ok((be_template(py, channel, ours, &settings.group.name), false))
        }
        Err(error) => {
            tell(channel, &FromWorker::NoTemplate(format!("cannot fork: {error}")));
            Ok((settings, true))
        }
    }
}

/// Whether this process may be forked; if not, why.
fn prepare(py: Attached<'_>) -> Result<(), String> {
    let threads = (|| {
        let globals = py.dict()?;
        py.execute(&py.compile(&py.text(include_str!("template.py"))?, &py.text("<mod_wsgi template.py>")?)?, &globals)?;
        let found = globals.dict_get(py, &py.text("threads")?)?;
        Ok(found.and_then(|list| list.items(py)).unwrap_or_default().iter().map(|name| name.to_text(py)).collect())
    })();
    let threads: Vec<String> = threads.map_err(|error: Exception| error.report(py).text)?;
    if threads.is_empty() { Ok(()) } else { Err(format!("a copy would lack the threads that are there by now: {}", threads.join(", "))) }
}

fn fork(py: Attached<'_>) -> sys::nix::Result<Side> {
    fork_beside(|| {
        let pid = py.import(c"os").and_then(|os| os.call_method(py, c"fork", &[])).and_then(|pid| pid.to_i64(py));
        pid.ok().and_then(|pid| i32::try_from(pid).ok())
    })
}

/// Forks workers until the supervisor ends this; returns in each of them, with its settings.
fn be_template(py: Attached<'_>, channel: &Channel, socket: OwnedFd, name: &str) -> Box<WorkerSettings> {
    let _shown_if_possible = sys::title::set(format!("(wsgi-template:{name})").as_bytes());
    begin_to_speak(channel, socket);
    loop {
        let (settings, sockets) = match channel.wait::<ToWorker>(None) {
            Ok(Some((ToWorker::Configure(settings), sockets))) => (settings, sockets),
            Ok(_) => continue,
            Err(ChannelError::Gone) => sys::process::exit_now(DONE),
            Err(error) => {
                log::coded(&codes::CONTROL, error);
                sys::process::exit_now(NOT_READY);
            }
        };
        let Some(socket) = sockets.into_iter().next() else { continue };
        match fork(py) {
            Ok(Side::Old) => {}
            Ok(Side::New) => {
                sys::process::end_with_parent(Signal::SIGUSR1);
                begin_to_speak(channel, socket);
                return settings;
            }
            // The supervisor sees that the socket is closed.
            Err(error) => log::coded(&codes::FORK, format_args!("the template of group '{name}' cannot fork: {error}")),
        }
    }
}

/// Takes the place of the process that this one is a copy of, and says who it is.
fn begin_to_speak(channel: &Channel, socket: OwnedFd) {
    if sys::process::replace_descriptor(channel, socket).is_err() {
        // It would speak in the other one's name.
        sys::process::exit_now(NOT_READY);
    }
    tell(channel, &FromWorker::Forked { pid: std::process::id() });
}
