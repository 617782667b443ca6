//! What the counters know of a request whose worker is gone: who executed it, since when, and how its process ended.

#![forbid(unsafe_code)]

use super::group::Served;
use std::time::{Duration, Instant};
use wire::counters::{Cause, Counters};
use wire::frame::Times;

/// How long a dead worker's cause is waited for: its supervisor reaps it at once.
const CAUSE_WAIT: Duration = Duration::from_millis(250);

/// Who executed the request when it ended, if that is known, and since when.
pub(super) fn execution(group: &Served, number: u64) -> Option<Times> {
    let counters = Counters::view(&group.counters)?;
    Some(Times { pid: counters.worker_of(number)?, begun: counters.begun(number)? })
}

/// Whether a worker's process has ended. One that goes on, and has only lost the connection, may have executed what it was sent.
pub(super) fn has_ended(group: &Served, pid: u32) -> bool {
    cause_of(group, pid).is_some()
}

/// How a worker's process has ended, if it has: its supervisor says so in a moment.
fn cause_of(group: &Served, pid: u32) -> Option<Cause> {
    let counters = Counters::view(&group.counters)?;
    let until = Instant::now() + CAUSE_WAIT;
    loop {
        match counters.death_of(pid) {
            None if Instant::now() < until => std::thread::sleep(Duration::from_millis(2)),
            cause => return cause,
        }
    }
}

/// Which worker died with the request, and how: the counters say who executed it, its supervisor how it ended.
pub(super) fn what_happened(group: &Served, number: u64, worker: Option<u32>) -> String {
    let pid = worker.or_else(|| Counters::view(&group.counters)?.worker_of(number));
    let Some(pid) = pid else {
        return format!("the worker of the daemon group '{}' that had this request is gone", group.name);
    };
    let end = match cause_of(group, pid) {
        Some(Cause::Signal(signal)) => format!("was killed by {}", sys::process::signal_name(signal)),
        Some(Cause::OutOfMemory) => "was killed by the kernel for lack of memory".to_owned(),
        Some(Cause::Exit(status)) => format!("exited with status {status}"),
        None => "closed the connection".to_owned(),
    };
    format!("the worker (pid {pid}) of the daemon group '{}' {end} while it executed this request", group.name)
}
