//! A service script: the program of a group with `threads=0`.
//!
//! It runs on the process's main thread, as a program of its own would, and signals end it as they end a program: by `SystemExit`, raised
//! where it is. What the supervisor says is heard on another thread and becomes such a signal.

#![forbid(unsafe_code)]

use super::{StartError, end, log, path, tell};
use crate::host::{Ending, Host};
use std::sync::{Arc, OnceLock};
use std::thread::Builder;
use sys::control::{Channel, ChannelError};
use sys::nix::sys::signal::Signal;
use wire::control::{FromWorker, StopReason, ToWorker};
use wire::log::Level;
use wire::settings::GroupSettings;

/// What ends a service script.
const SIGNALS: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR1, Signal::SIGXCPU];

/// Runs the group's scripts one after the other. The calling thread is Python's main thread, and in no interpreter.
pub(super) fn run(host: &Host, channel: &Arc<Channel>, group: &GroupSettings) -> Result<Ending, StartError> {
    channel.send(&FromWorker::Ready, &[])?;
    let told = Arc::new(OnceLock::new());
    // Until it is wanted it has nothing to end in order, and a signal ends the process.
    if is_wanted(channel, &told) {
        host.signals_end(&SIGNALS, true);
        hear_beside(channel, &told).map_err(StartError::Thread)?;
        for import in group.imports.iter().take_while(|_| told.get().is_none()) {
            log::write(Level::Info, &format!("Running service script '{}' of daemon process '{}'.", path(import), group.name));
            // The log has why it failed.
            let _ended = host.load(import);
        }
        host.signals_end(&SIGNALS, false);
    }
    match told.get() {
        // Only then is its end no surprise.
        Some(_) => tell(channel, &FromWorker::Drained),
        None => log::write(Level::Info, &format!("The service script of daemon process '{}' has ended.", group.name)),
    }
    Ok(end(host, group, told.get().copied().unwrap_or(StopReason::ShutdownSignal)))
}

/// Waits for the word to begin; `false` when it will not come.
fn is_wanted(channel: &Channel, told: &OnceLock<StopReason>) -> bool {
    loop {
        let reason = match channel.wait::<ToWorker>(None) {
            Ok(Some((ToWorker::Accept, _))) => return true,
            Ok(Some((ToWorker::Drain(reason) | ToWorker::Stop(reason), _))) => reason,
            Err(ChannelError::Gone) => StopReason::ShutdownSignal,
            Ok(_) | Err(_) => continue,
        };
        told.get_or_init(|| reason);
        return false;
    }
}

/// Listens to the supervisor on a thread of its own, for as long as the process lives.
fn hear_beside(channel: &Arc<Channel>, told: &Arc<OnceLock<StopReason>>) -> std::io::Result<()> {
    let (channel, told) = (Arc::clone(channel), Arc::clone(told));
    // A signal interrupts the thread that it is delivered to, which has to be the one with the script.
    let _blocked = sys::signals::block_all()?;
    let hears = Builder::new().name("wsgi-control".to_owned()).spawn(move || {
        loop {
            let (reason, goes_on) = match channel.wait::<ToWorker>(None) {
                Ok(Some((ToWorker::Drain(reason) | ToWorker::Stop(reason), _))) => (reason, true),
                Err(ChannelError::Gone) => (StopReason::ShutdownSignal, false),
                Ok(_) | Err(_) => continue,
            };
            told.get_or_init(|| reason);
            sys::signals::raise_in_process(sys::signals::number(Signal::SIGTERM));
            if !goes_on {
                return;
            }
        }
    });
    hears.map(drop)
}
