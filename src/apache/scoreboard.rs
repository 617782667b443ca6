//! httpd's scoreboard, copied: what each of its threads does.
//!
//! The memory is shared by httpd's processes and changes while it is read, as it does for mod_status.

use super::ffi;
use std::ffi::{c_char, c_int};
use wire::scoreboard::{Process, Scoreboard, Worker};
use wire::settings::Octets;

/// The scoreboard as it is now; `None` when there is none.
pub(crate) fn read() -> Option<Scoreboard> {
    // SAFETY: asks only; the image exists from before there are children until the process ends.
    let global = unsafe {
        if ffi::ap_exists_scoreboard_image() == 0 {
            return None;
        }
        ffi::ap_get_scoreboard_global().as_ref()?
    };
    let count = |number: c_int| u32::try_from(number).unwrap_or(0);
    Some(Scoreboard {
        server_limit: count(global.server_limit),
        thread_limit: count(global.thread_limit),
        running_generation: count(global.running_generation),
        restart_time: time(global.restart_time),
        processes: (0..global.server_limit).filter_map(|child| process(child, global.thread_limit)).collect(),
    })
}

/// The pids of httpd's children; in the parent while it restarts gracefully, of those that are to end.
pub(crate) fn children() -> Vec<i32> {
    read().into_iter().flat_map(|scoreboard| scoreboard.processes).map(|process| process.pid).filter(|pid| *pid > 0).collect()
}

fn process(child: c_int, threads: c_int) -> Option<Process> {
    // SAFETY: null, or the place of a child below the limit, in memory that lives as long as the process.
    let process = unsafe { ffi::ap_get_scoreboard_process(child).as_ref()? };
    Some(Process {
        pid: process.pid,
        generation: process.generation,
        quiescing: process.quiescing != 0,
        workers: (0..threads).filter_map(|thread| worker(child, thread)).collect(),
    })
}

fn worker(child: c_int, thread: c_int) -> Option<Worker> {
    // SAFETY: null, or the place of a thread below the limits, in memory that lives as long as the process. Only fields are read that
    // every httpd of our module magic number has at these places.
    let worker = unsafe { ffi::ap_get_scoreboard_worker_from_indexes(child, thread).as_ref()? };
    Some(Worker {
        thread_num: worker.thread_num,
        generation: worker.generation,
        status: worker.status,
        access_count: worker.access_count,
        bytes_served: u64::try_from(worker.bytes_served).unwrap_or(0),
        start_time: time(worker.start_time),
        stop_time: time(worker.stop_time),
        last_used: time(worker.last_used),
        client: text(&worker.client),
        request: text(&worker.request),
        vhost: text(&worker.vhost),
    })
}

fn time(time: ffi::apr_time_t) -> u64 {
    u64::try_from(time).unwrap_or(0)
}

/// A text up to its NUL, or all of it.
fn text(characters: &[c_char]) -> Octets {
    Octets::from(characters.iter().take_while(|character| **character != 0).map(|character| character.cast_unsigned()).collect::<Vec<u8>>())
}
