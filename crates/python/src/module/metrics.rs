//! `mod_wsgi.start_recording_metrics`, `request_metrics`, `process_metrics` and `server_metrics`: what is measured, as applications see it.

#![forbid(unsafe_code)]

mod interval;
mod meter;
mod server;

pub(crate) use meter::{Cpu, Meter};

use super::State;
use crate::python::{Attached, Class, Exception, Method, MethodDef, Object, This, bind};
use crate::wsgi::arguments;
use crate::wsgi::environ::seconds;
use interval::{Interval, Phase};
use meter::{Measurement, ProcessUsage, ThreadMeasurement};
use server::ServerMetrics;
use std::ffi::{CStr, CString};
use std::sync::Arc;

/// What the functions are methods of.
pub(super) struct Figures(Arc<State>);

impl Class for Figures {
    const NAME: &'static CStr = c"mod_wsgi.Figures";
    const METHODS: &'static [MethodDef] = &[MethodDef::END];
}

const _: () = assert!(!<Figures as Class>::PUBLIC, "only we make the object behind mod_wsgi's functions");

/// Puts the functions into the module.
pub(super) fn add(py: Attached<'_>, state: &Arc<State>, module: &Object) -> Result<(), Exception> {
    let class = &state.figures;
    let instance = class.instance(py, Figures(Arc::clone(state)))?;
    module.set_attr(py, StartRecording::NAME, &bind::<StartRecording>(py, class, &instance)?)?;
    module.set_attr(py, RequestMetrics::NAME, &bind::<RequestMetrics>(py, class, &instance)?)?;
    module.set_attr(py, ProcessMetrics::NAME, &bind::<ProcessMetrics>(py, class, &instance)?)?;
    module.set_attr(py, ServerMetrics::NAME, &bind::<ServerMetrics>(py, class, &instance)?)
}

struct StartRecording;
impl Method for StartRecording {
    type Class = Figures;
    const NAME: &'static CStr = c"start_recording_metrics";

    fn call(py: Attached<'_>, this: This<'_, Figures>, arguments: &[Object]) -> Result<Object, Exception> {
        arguments::count(py, "start_recording_metrics", arguments, 0, 0)?;
        if !this.0.has_telemetry {
            this.0.meter.start_recording();
        }
        Ok(py.none())
    }
}

struct RequestMetrics;
impl Method for RequestMetrics {
    type Class = Figures;
    const NAME: &'static CStr = c"request_metrics";

    fn call(py: Attached<'_>, this: This<'_, Figures>, arguments: &[Object]) -> Result<Object, Exception> {
        arguments::count(py, "request_metrics", arguments, 0, 0)?;
        let state = &this.0;
        // Nobody is in the way of a thread that ends its request, though the answer takes its time.
        match state.meter.measure() {
            Some(measurement) => request_metrics(py, state, &measurement),
            None => Ok(py.none()),
        }
    }
}

struct ProcessMetrics;
impl Method for ProcessMetrics {
    type Class = Figures;
    const NAME: &'static CStr = c"process_metrics";

    fn call(py: Attached<'_>, this: This<'_, Figures>, arguments: &[Object]) -> Result<Object, Exception> {
        arguments::count(py, "process_metrics", arguments, 0, 0)?;
        if this.0.meter.is_recording() { process_metrics(py, &this.0.meter) } else { Ok(py.none()) }
    }
}

fn request_metrics(py: Attached<'_>, state: &State, measurement: &Measurement) -> Result<Object, Exception> {
    let figures = Dict::new(py)?;
    let Measurement { asked, period, cpu, total, occupied, threads } = measurement;
    let usage = ProcessUsage::now();
    let maximum = state.meter.maximum();
    let rate = |amount: f64| if *period > 0.0 { amount / period } else { 0.0 };

    figures.int("pid", u64::from(std::process::id()))?;
    // As mod_wsgi has it: both are the end of the interval.
    figures.float("start_time", seconds(*asked))?;
    figures.float("stop_time", seconds(*asked))?;
    figures.float("sample_period", *period)?;

    for (name, micros) in [("cpu_user", cpu.user), ("cpu_system", cpu.system), ("cpu", cpu.user + cpu.system)] {
        figures.float(&format!("{name}_time"), rate(seconds(micros)))?;
        figures.float(&format!("{name}_utilization"), rate(seconds(micros)))?;
    }
    figures.int("memory_rss", usage.rss)?;
    figures.int("memory_max_rss", usage.max_rss)?;

    let is_active = |thread: &&ThreadMeasurement| thread.current > 0 || thread.interval.requests > 0;
    figures.int("request_threads_maximum", u64::from(maximum))?;
    figures.int("request_threads_started", threads.len() as u64)?;
    figures.int("request_threads_active", threads.iter().filter(is_active).count() as u64)?;
    let capacity = rate(seconds(*occupied)) / f64::from(maximum.max(1));
    figures.float("capacity_utilization", capacity.min(1.0))?;
    figures.int("request_count", total.requests)?;
    figures.float("request_throughput", rate(total.requests as f64))?;
    for (class, count) in (1..).zip(total.statuses) {
        figures.int(&format!("status_{class}xx"), count)?;
    }
    figures.int("input_bytes", total.input.0)?;
    figures.int("input_reads", total.input.1)?;
    figures.int("output_bytes", total.output.0)?;
    figures.int("output_writes", total.output.1)?;
    figures.int("gil_wait_count", total.gil_waits)?;
    phases(py, &figures, total, !state.daemon)?;
    of_threads(py, &figures, threads)?;
    Ok(figures.object)
}

fn phases(py: Attached<'_>, figures: &Dict<'_>, total: &Interval, is_embedded: bool) -> Result<(), Exception> {
    for (phase, times) in Phase::ALL.into_iter().zip(&total.times) {
        let name = phase.name();
        let exists = phase.is_everywhere() || !is_embedded;
        if exists {
            figures.float(name, seconds(times.total) / total.requests.max(1) as f64)?;
        } else {
            figures.set(name, &py.none())?;
        }
        let (least, most) = times.extremes.filter(|_| exists).unzip();
        figures.optional_int(&format!("{name}_min_us"), least)?;
        figures.optional_int(&format!("{name}_max_us"), most)?;
        let buckets = if exists { times.buckets } else { [0; interval::BUCKETS] };
        figures.list(&format!("{name}_buckets"), buckets.iter().map(|count| py.int((*count).into())))?;
    }
    Ok(())
}

fn of_threads(py: Attached<'_>, figures: &Dict<'_>, threads: &[ThreadMeasurement]) -> Result<(), Exception> {
    let times =
        |name: &str, of: fn(&ThreadMeasurement) -> u64| figures.list(name, threads.iter().map(|thread| py.float(seconds(of(thread)))));
    for name in ["request_threads_buckets", "request_threads_completed"] {
        figures.list(name, threads.iter().map(|thread| int(py, thread.interval.requests)))?;
    }
    times("request_threads_busy_time", |thread| thread.interval.busy)?;
    times("request_threads_cpu_time", |thread| thread.interval.cpu)?;
    times("request_threads_current_elapsed", |thread| thread.current)?;
    times("request_threads_max_duration", |thread| thread.interval.longest)
}

fn process_metrics(py: Attached<'_>, meter: &Meter) -> Result<Object, Exception> {
    let figures = Dict::new(py)?;
    let (totals, usage, now) = (meter.totals(), ProcessUsage::now(), sys::clock::epoch_micros());
    figures.int("pid", u64::from(std::process::id()))?;
    figures.float("request_busy_time", seconds(totals.busy))?;
    figures.int("request_count", totals.requests)?;
    figures.int("memory_max_rss", usage.max_rss)?;
    figures.int("memory_rss", usage.rss)?;
    figures.float("cpu_user_time", seconds(usage.cpu.user))?;
    figures.float("cpu_system_time", seconds(usage.cpu.system))?;
    figures.float("cpu_time", seconds(usage.cpu.user + usage.cpu.system))?;
    figures.float("restart_time", seconds(totals.started))?;
    figures.float("current_time", seconds(now))?;
    figures.int("running_time", now.saturating_sub(totals.started) / 1_000_000)?;
    figures.int("request_threads", totals.threads.len() as u64)?;
    figures.int("active_requests", totals.active)?;
    let threads = totals.threads.iter().map(|thread| {
        let entry = Dict::new(py)?;
        entry.int("thread_id", u64::from(thread.thread))?;
        entry.int("request_count", thread.requests)?;
        Ok(entry.object)
    });
    figures.list("threads", threads)?;
    Ok(figures.object)
}

fn int(py: Attached<'_>, value: u64) -> Result<Object, Exception> {
    py.int(i64::try_from(value).unwrap_or(i64::MAX))
}

/// A dict of figures that is being filled.
struct Dict<'py> {
    py: Attached<'py>,
    object: Object,
}

impl<'py> Dict<'py> {
    fn new(py: Attached<'py>) -> Result<Self, Exception> {
        Ok(Self { py, object: py.dict()? })
    }

    fn set(&self, name: &str, value: &Object) -> Result<(), Exception> {
        self.object.dict_set_name(self.py, &CString::new(name).unwrap_or_default(), value)
    }

    fn int(&self, name: &str, value: u64) -> Result<(), Exception> {
        self.set(name, &int(self.py, value)?)
    }

    fn optional_int(&self, name: &str, value: Option<u64>) -> Result<(), Exception> {
        match value {
            Some(value) => self.int(name, value),
            None => self.set(name, &self.py.none()),
        }
    }

    fn float(&self, name: &str, value: f64) -> Result<(), Exception> {
        self.set(name, &self.py.float(value)?)
    }

    fn list(&self, name: &str, items: impl Iterator<Item = Result<Object, Exception>>) -> Result<(), Exception> {
        let items = items.collect::<Result<Vec<_>, _>>()?;
        self.set(name, &self.py.list(&items.iter().collect::<Vec<_>>())?)
    }
}
