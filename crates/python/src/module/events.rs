//! The events that applications subscribe to.
//!
//! A callback is called with the name of the event and its payload as keywords. It may return a dict, which is added to the payload of
//! those after it; a failure is logged and stops nobody.

#![forbid(unsafe_code)]

use super::State;
use crate::python::{Attached, Exception, Object};
use crate::report::with_reader;
use crate::wsgi::environ::seconds;
use crate::wsgi::request::{self, Measured, Request, Traffic};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use wire::codes;
use wire::head::RequestHead;

/// The events of a request and of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The application is about to be called.
    RequestStarted,
    /// `start_response` was called.
    ResponseStarted,
    /// The request is over.
    RequestFinished,
    /// The application has raised an exception.
    RequestException,
    /// The process stops.
    ProcessStopping,
    /// The process got a signal that is for the application.
    ProcessSignal,
}

impl Event {
    fn name(self) -> &'static str {
        match self {
            Self::RequestStarted => "request_started",
            Self::ResponseStarted => "response_started",
            Self::RequestFinished => "request_finished",
            Self::RequestException => "request_exception",
            Self::ProcessStopping => "process_stopping",
            Self::ProcessSignal => "process_signal",
        }
    }
}

/// Whether anybody listens.
pub(crate) fn is_wanted(py: Attached<'_>, state: &State, event: Event) -> bool {
    lists(state, event).any(|list| list.is_true(py).unwrap_or(false))
}

fn lists(state: &State, event: Event) -> impl Iterator<Item = &Object> {
    let own = match event {
        Event::ProcessStopping => Some(&state.shutdown_callbacks),
        Event::ProcessSignal => Some(&state.signal_callbacks),
        _ => None,
    };
    std::iter::once(&state.event_callbacks).chain(own)
}

/// `request_started`; gives the application that is to be called.
pub(crate) fn request_started(
    py: Attached<'_>,
    state: &State,
    request: &Request,
    head: &RequestHead<'_>,
    application: &Object,
    environ: &Object,
    application_start: f64,
) -> Object {
    let payload = (|| {
        let payload = times(py, state, request, head)?;
        payload.dict_set_name(py, c"daemon_connects", &py.int(0)?)?;
        payload.dict_set_name(py, c"daemon_restarts", &py.int(0)?)?;
        payload.dict_set_name(py, c"application_start", &py.float(application_start)?)?;
        payload.dict_set_name(py, c"application_object", application)?;
        payload.dict_set_name(py, c"callable_object", &py.latin1(head.callable)?)?;
        payload.dict_set_name(py, c"request_environ", environ)?;
        publish(py, state, Event::RequestStarted, &payload);
        payload.dict_get(py, &py.text("application_object")?)
    })();
    match payload {
        Ok(Some(replaced)) => replaced,
        Ok(None) => application.clone_ref(py),
        Err(exception) => {
            complain(py, state, Event::RequestStarted, &exception);
            application.clone_ref(py)
        }
    }
}

/// `response_started`.
pub(crate) fn response_started(
    py: Attached<'_>,
    state: &State,
    request: &Request,
    status: &Object,
    headers: &Object,
    information: Option<&Object>,
) {
    publish_or_complain(py, state, Event::ResponseStarted, || {
        let payload = payload(py, state, request)?;
        payload.dict_set_name(py, c"response_status", status)?;
        payload.dict_set_name(py, c"response_headers", headers)?;
        payload.dict_set_name(py, c"exception_info", information.unwrap_or(&py.none()))?;
        Ok(payload)
    });
}

/// `request_exception`.
pub(crate) fn request_exception(py: Attached<'_>, state: &State, request: &Request, exception: &Exception) {
    publish_or_complain(py, state, Event::RequestException, || {
        let payload = payload(py, state, request)?;
        payload.dict_set_name(py, c"exception_info", &exception.info(py)?)?;
        Ok(payload)
    });
}

/// `request_finished`.
pub(crate) fn request_finished(py: Attached<'_>, state: &State, request: &Request, head: &RequestHead<'_>, has_cpu: bool) {
    publish_or_complain(py, state, Event::RequestFinished, || {
        let payload = times(py, state, request, head)?;
        let Measured { application_start, application_finish, status, cpu_user, cpu_system } = &request.measured;
        let Traffic { reads, read, read_time, writes, written, write_time } = &request.traffic;
        let count = |counter: &AtomicU64| py.int(i64::try_from(counter.load(Relaxed)).unwrap_or(i64::MAX));
        let time = |counter: &AtomicU64| py.float(seconds(counter.load(Relaxed)));
        payload.dict_set_name(py, c"input_reads", &count(reads)?)?;
        payload.dict_set_name(py, c"input_length", &count(read)?)?;
        payload.dict_set_name(py, c"input_time", &time(read_time)?)?;
        payload.dict_set_name(py, c"output_writes", &count(writes)?)?;
        payload.dict_set_name(py, c"output_length", &count(written)?)?;
        payload.dict_set_name(py, c"output_time", &time(write_time)?)?;
        if has_cpu {
            let (user, system) = (cpu_user.load(Relaxed), cpu_system.load(Relaxed));
            payload.dict_set_name(py, c"cpu_user_time", &py.float(seconds(user))?)?;
            payload.dict_set_name(py, c"cpu_system_time", &py.float(seconds(system))?)?;
            payload.dict_set_name(py, c"cpu_time", &py.float(seconds(user + system))?)?;
        }
        let (start, finish) = (application_start.load(Relaxed), application_finish.load(Relaxed));
        payload.dict_set_name(py, c"application_finish", &py.float(seconds(finish))?)?;
        payload.dict_set_name(py, c"application_time", &py.float(seconds(finish.saturating_sub(start)))?)?;
        payload.dict_set_name(py, c"status", &py.int(status.load(Relaxed).into())?)?;
        let gil = request.gil_waits();
        payload.dict_set_name(py, c"gil_wait_time", &py.float(seconds(gil.micros()))?)?;
        payload.dict_set_name(py, c"gil_wait_count", &py.int(i64::try_from(gil.count).unwrap_or(i64::MAX))?)?;
        Ok(payload)
    });
}

/// `process_stopping`.
pub(crate) fn process_stopping(py: Attached<'_>, state: &State, reason: &str) {
    publish_or_complain(py, state, Event::ProcessStopping, || {
        let payload = py.dict()?;
        payload.dict_set_name(py, c"shutdown_reason", &py.text(reason)?)?;
        Ok(payload)
    });
}

/// `process_signal`.
pub(crate) fn process_signal(py: Attached<'_>, state: &State, number: i32, name: &str) {
    publish_or_complain(py, state, Event::ProcessSignal, || {
        let payload = py.dict()?;
        payload.dict_set_name(py, c"signum", &py.int(number.into())?)?;
        payload.dict_set_name(py, c"signame", &py.text(name)?)?;
        Ok(payload)
    });
}

fn payload(py: Attached<'_>, state: &State, request: &Request) -> Result<Object, Exception> {
    let payload = py.dict()?;
    let id = py.text(&request.id)?;
    if let Some(data) = state.active_requests.dict_get(py, &id)? {
        payload.dict_set_name(py, c"request_data", &data)?;
    }
    payload.dict_set_name(py, c"request_id", &id)?;
    Ok(payload)
}

fn times(py: Attached<'_>, state: &State, request: &Request, head: &RequestHead<'_>) -> Result<Object, Exception> {
    let payload = payload(py, state, request)?;
    payload.dict_set_name(py, c"thread_id", &py.int(request.thread.into())?)?;
    let server = request::environ(head, b"mod_wsgi.server_pid").and_then(|pid| std::str::from_utf8(pid).ok()?.parse().ok());
    if let Some(pid) = server {
        payload.dict_set_name(py, c"server_pid", &py.int(pid)?)?;
    }
    payload.dict_set_name(py, c"request_start", &py.float(seconds(head.request_start))?)?;
    payload.dict_set_name(py, c"queue_start", &py.float(seconds(head.queue_start))?)?;
    payload.dict_set_name(py, c"daemon_start", &py.float(if head.queue_start == 0 { 0.0 } else { seconds(request.begun) })?)?;
    Ok(payload)
}

fn publish_or_complain(py: Attached<'_>, state: &State, event: Event, payload: impl FnOnce() -> Result<Object, Exception>) {
    if !is_wanted(py, state, event) {
        return;
    }
    match payload() {
        Ok(payload) => publish(py, state, event, &payload),
        Err(exception) => complain(py, state, event, &exception),
    }
}

fn publish(py: Attached<'_>, state: &State, event: Event, payload: &Object) {
    // The lists are read before anybody is called: a callback may change them.
    let callbacks: Vec<Object> = lists(state, event).flat_map(|list| list.items(py).unwrap_or_default()).collect();
    for callback in callbacks {
        let result = py.text(event.name()).and_then(|name| callback.call_with(py, &[&name], payload));
        let merged = result.and_then(|result| if result.is_dict() { payload.dict_update(py, &result) } else { Ok(()) });
        if let Err(exception) = merged {
            complain(py, state, event, &exception);
        }
    }
}

fn complain(py: Attached<'_>, state: &State, event: Event, exception: &Exception) {
    with_reader(&state.sink, |reader| {
        if exception.is_system_exit(py) {
            reader.message(py, codes::EVENT_SYSTEM_EXIT, &format!("SystemExit raised by a callback of event '{}' ignored", event.name()));
            return;
        }
        let report = exception.report(py);
        let what = format!("{} exception raised by a callback of event '{}' for {}", report.type_name, event.name(), state.place);
        reader.message(py, codes::EVENT_CALLBACK, &what);
        reader.traceback(py, &report);
    });
}
