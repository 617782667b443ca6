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

/// Which worker died with the request, and how: the counters say who executed it, its supervisor how it ended.
pub(super) fn what_happened(group: &Served, number: u64, worker: Option<u32>) -> String {
    let counters = Counters::view(&group.counters);
    let pid = worker.or_else(|| counters.and_then(|counters| counters.worker_of(number)));
    let Some((pid, counters)) = pid.zip(counters) else {
        return format!("the worker of the daemon group '{}' that had this request is gone", group.name);
    };
    let until = Instant::now() + CAUSE_WAIT;
    loop {
        match counters.death_of(pid) {
            Some(Cause::Signal(signal)) => {
                let signal = sys::process::signal_name(signal);
                return format!(
                    "the worker (pid {pid}) of the daemon group '{}' was killed by {signal} while it executed this request",
                    group.name
                );
            }
            Some(Cause::OutOfMemory) => {
                return format!(
                    "the worker (pid {pid}) of the daemon group '{}' was killed by the kernel for lack of memory while it executed this request",
                    group.name
                );
            }
            Some(Cause::Exit(status)) => {
                return format!(
                    "the worker (pid {pid}) of the daemon group '{}' exited with status {status} while it executed this request",
                    group.name
                );
            }
            None if Instant::now() >= until => {
                return format!(
                    "the worker (pid {pid}) of the daemon group '{}' closed the connection while it executed this request",
                    group.name
                );
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}
