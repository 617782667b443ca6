//! `mod_wsgi.server_metrics()`: httpd's scoreboard, as applications see it.
//!
//! In embedded mode it is in the memory of the process. In daemon mode it is in httpd's, which a worker must not have, and asks.

#![forbid(unsafe_code)]

use super::{Dict, Figures};
use crate::module::State;
use crate::python::{Attached, Exception, Method, Object, This};
use crate::wsgi::arguments;
use crate::wsgi::environ::seconds;
use std::ffi::CStr;
use wire::scoreboard::{Process, Scoreboard, Worker};

pub(super) struct ServerMetrics;
impl Method for ServerMetrics {
    type Class = Figures;
    const NAME: &'static CStr = c"server_metrics";

    fn call(py: Attached<'_>, this: This<'_, Figures>, arguments: &[Object]) -> Result<Object, Exception> {
        arguments::count(py, "server_metrics", arguments, 0, 0)?;
        match scoreboard(py, &this.0) {
            Some(scoreboard) => figures(py, &scoreboard),
            None => Ok(py.none()),
        }
    }
}

fn scoreboard(py: Attached<'_>, state: &State) -> Option<Scoreboard> {
    if !state.server_metrics {
        return None;
    }
    let octets = py.detach(|| (state.scoreboard)())?;
    Scoreboard::decode(&octets).ok()
}

fn figures(py: Attached<'_>, scoreboard: &Scoreboard) -> Result<Object, Exception> {
    let now = sys::clock::epoch_micros();
    let figures = Dict::new(py)?;
    figures.int("server_limit", scoreboard.server_limit.into())?;
    figures.int("thread_limit", scoreboard.thread_limit.into())?;
    figures.int("running_generation", scoreboard.running_generation.into())?;
    figures.float("restart_time", seconds(scoreboard.restart_time))?;
    figures.float("current_time", seconds(now))?;
    figures.int("running_time", now.saturating_sub(scoreboard.restart_time) / 1_000_000)?;
    figures.list("processes", (0..).zip(&scoreboard.processes).map(|(number, child)| process(py, number, child)))?;
    Ok(figures.object)
}

fn process(py: Attached<'_>, number: u64, child: &Process) -> Result<Object, Exception> {
    let figures = Dict::new(py)?;
    figures.int("process_num", number)?;
    figures.set("pid", &py.int(child.pid.into())?)?;
    figures.set("generation", &py.int(child.generation.into())?)?;
    figures.set("quiescing", &py.bool(child.quiescing))?;
    figures.list("workers", child.workers.iter().map(|thread| worker(py, thread)))?;
    Ok(figures.object)
}

fn worker(py: Attached<'_>, thread: &Worker) -> Result<Object, Exception> {
    let figures = Dict::new(py)?;
    figures.set("thread_num", &py.int(thread.thread_num.into())?)?;
    figures.set("generation", &py.int(thread.generation.into())?)?;
    figures.set("status", &py.text(thread.sign())?)?;
    figures.int("access_count", thread.access_count)?;
    figures.int("bytes_served", thread.bytes_served)?;
    figures.float("start_time", seconds(thread.start_time))?;
    figures.float("stop_time", seconds(thread.stop_time))?;
    figures.float("last_used", seconds(thread.last_used))?;
    figures.set("client", &py.latin1(&thread.client)?)?;
    figures.set("request", &py.latin1(&thread.request)?)?;
    figures.set("vhost", &py.latin1(&thread.vhost)?)?;
    Ok(figures.object)
}
