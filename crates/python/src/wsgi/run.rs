//! A request from the call of the application to its end.
//!
//! PEP 3333, "Specification Details".

#![forbid(unsafe_code)]

use super::arguments;
use super::environ::seconds;
use super::exchange::{Outcome, OutputError, Push};
use super::file_wrapper::FileWrapper;
use super::input::Input;
use super::request::{self, Request};
use super::response::{Response, Unsent};
use crate::module::State;
use crate::module::events::{self, Event};
use crate::module::metrics::Cpu;
use crate::python::{Attached, Exception, Object};
use crate::report::Reader;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use sys::clock::epoch_micros;
use wire::codes;
use wire::head::RequestHead;
use wire::log::Level;

/// From this size on a file is passed on unread.
const PASSED_ON: u64 = 64 * 1024;

/// Serves a request by the script `module`.
pub(crate) fn run(py: Attached<'_>, state: &Arc<State>, request: &Arc<Request>, head: &RequestHead<'_>, module: &Object) -> Outcome {
    let application = match callable(py, state, head, module) {
        Ok(application) => application,
        Err(name) => {
            let script = String::from_utf8_lossy(head.script);
            let what = format!("WSGI script '{script}' does not contain a callable '{name}'");
            Reader::Request(request).message(py, codes::NO_CALLABLE, &what);
            return Outcome::Failed;
        }
    };
    let start = epoch_micros();
    request.measured.application_start.store(start, Relaxed);
    // Asking costs two system calls.
    let cpu = (state.meter.is_recording() || events::is_wanted(py, state, Event::RequestFinished)).then(Cpu::of_thread).flatten();
    let response = Response::new(request, state, head.header_only, request::environ(head, b"REQUEST_METHOD") == Some(b"GET"));
    let outcome = match enter(py, state, request) {
        Ok(()) => call(py, state, request, head, &response, &application, seconds(start)),
        Err(exception) => Err(exception.into()),
    };
    let outcome = outcome.unwrap_or_else(|unsent| failed(py, state, request, head, &response, unsent));
    measure(request, &response, cpu);
    if events::is_wanted(py, state, Event::RequestFinished) {
        events::request_finished(py, state, request, head, cpu.is_some());
    }
    request.end(py);
    leave(py, state, request);
    response.broken().unwrap_or(outcome)
}

/// Notes what there is to know of the request when the application is done with it.
fn measure(request: &Request, response: &Response, cpu: Option<Cpu>) {
    let measured = &request.measured;
    measured.application_finish.store(epoch_micros(), Relaxed);
    measured.status.store(response.status(), Relaxed);
    if let Some(used) = cpu.and_then(|before| Some(Cpu::of_thread()?.since(before))) {
        measured.cpu_user.store(used.user, Relaxed);
        measured.cpu_system.store(used.system, Relaxed);
    }
}

/// The application; its name when there is none.
fn callable(py: Attached<'_>, state: &State, head: &RequestHead<'_>, module: &Object) -> Result<Object, String> {
    let found = state.template.key(py, head.callable).and_then(|name| module.optional_attr(py, &name));
    found.ok().flatten().ok_or_else(|| String::from_utf8_lossy(head.callable).into_owned())
}

fn enter(py: Attached<'_>, state: &State, request: &Request) -> Result<(), Exception> {
    state.active_requests.dict_set(py, &py.text(&request.id)?, &py.dict()?)
}

fn leave(py: Attached<'_>, state: &State, request: &Request) {
    let removed = py.text(&request.id).and_then(|id| state.active_requests.dict_remove(py, &id));
    if let Err(exception) = removed {
        request.log(py, Level::Debug, &exception.report(py).text);
    }
}

fn call(
    py: Attached<'_>,
    state: &Arc<State>,
    request: &Arc<Request>,
    head: &RequestHead<'_>,
    response: &Arc<Response>,
    application: &Object,
    start: f64,
) -> Result<Outcome, Unsent> {
    let input = state.input.instance(py, Input::new(request, head))?;
    let errors = state.streams.errors(py, state, request)?;
    let environ = state.template.environ(py, request, head, &input, &errors, start)?;
    if let Some(record) = request.record(py) {
        environ.dict_set_name(py, c"apache.request_rec", &record)?;
    }
    let result = if events::is_wanted(py, state, Event::RequestStarted) {
        let application = events::request_started(py, state, request, head, application, &environ, start);
        application.call(py, &[&environ, &response.start_response(py)?])?
    } else {
        application.call(py, &[&environ, &response.start_response(py)?])?
    };
    let sent = send_all(py, state, response, &result);
    // A failure is told before close() is called: close() may fail because of it.
    let sent = sent.or_else(|unsent| Ok::<_, Unsent>(failed(py, state, request, head, response, unsent)));
    close(py, state, request, head, &result);
    sent
}

fn send_all(py: Attached<'_>, state: &State, response: &Response, result: &Object) -> Result<Outcome, Unsent> {
    if let Some(wrapper) = state.file_wrapper.value(py, result)
        && send_file(py, response, wrapper)?
    {
        return response.finish(py);
    }
    // Nothing of the application's runs between the blocks of a list, so they need not be pushed one by one.
    let push = if result.plain_length().is_some() { Push::Later } else { Push::Now };
    if let Some(block) = result.only_item(py) {
        send_block(py, response, &block, push)?;
    } else {
        let iterator = result.iter(py)?;
        while let Some(block) = iterator.next(py)? {
            send_block(py, response, &block, push)?;
        }
    }
    response.finish(py)
}

fn send_block(py: Attached<'_>, response: &Response, block: &Object, push: Push) -> Result<(), Unsent> {
    let octets = arguments::octets(py, block, "response iterable must yield bytes")?;
    if octets.is_empty() { Ok(()) } else { response.send(py, octets, push) }
}

/// Sends the file of a wrapper as a file; `false` when it is to be iterated.
fn send_file(py: Attached<'_>, response: &Response, wrapper: &FileWrapper) -> Result<bool, Unsent> {
    if response.is_sent() {
        return Ok(false);
    }
    let Some(file) = wrapper.file(py) else { return Ok(false) };
    let Ok(descriptor) = file.duplicate_file(py) else { return Ok(false) };
    let position = file.call_method(py, c"tell", &[]).and_then(|position| position.to_i64(py));
    let Some(offset) = position.ok().and_then(|position| u64::try_from(position).ok()) else { return Ok(false) };
    let Some(size) = descriptor.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len()) else {
        return Ok(false);
    };
    let length = size.saturating_sub(offset);
    if length >= PASSED_ON {
        response.send_file(py, descriptor.as_fd(), offset, length)?;
        return Ok(true);
    }
    let octets = py.detach(|| {
        let mut octets = vec![0; usize::try_from(length).unwrap_or(0)];
        if length == 0 && descriptor.read_at(&mut [0], offset)? > 0 {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        descriptor.read_exact_at(&mut octets, offset).map(|()| octets)
    });
    match octets {
        Ok(octets) => response.send_whole(py, &octets).map(|()| true),
        // It became shorter meanwhile, or the kernel does not know its size, as that of files in /proc: it is read as it comes.
        Err(_) => Ok(false),
    }
}

/// Tells a failure in the log, and what it means for the response.
fn failed(py: Attached<'_>, state: &State, request: &Request, head: &RequestHead<'_>, response: &Response, unsent: Unsent) -> Outcome {
    let exception = match unsent {
        Unsent::Mistake(exception) => exception,
        Unsent::Over => return Outcome::ClientGone,
        Unsent::Output(error) => {
            request.log(py, Level::Debug, &request.marked(&format!("response not completed: {error}")));
            return if matches!(error, OutputError::ClientGone) { Outcome::ClientGone } else { Outcome::Truncated };
        }
    };
    if let Some(broken) = response.broken() {
        // write() has told the application, which let it through.
        request.log(py, Level::Debug, &request.marked(&format!("response not completed: {}", exception.value().to_text(py))));
        return broken;
    }
    if is_interruption(py, state, request, &exception) {
        return if response.is_sent() { Outcome::Truncated } else { Outcome::TimedOut };
    }
    tell(py, state, request, head, &exception);
    if response.is_sent() { Outcome::Truncated } else { Outcome::Failed }
}

/// Whether the application was interrupted (`interrupt-timeout`), which is no fault of the place where it was, and told elsewhere.
fn is_interruption(py: Attached<'_>, state: &State, request: &Request, exception: &Exception) -> bool {
    let is_one = exception.value().is_instance(py, &state.request_timeout);
    if is_one {
        request.log(py, Level::Info, &request.marked("Request interrupted by RequestTimeout."));
    }
    is_one
}

fn tell(py: Attached<'_>, state: &State, request: &Request, head: &RequestHead<'_>, exception: &Exception) {
    if events::is_wanted(py, state, Event::RequestException) {
        events::request_exception(py, state, request, exception);
    }
    let reader = Reader::Request(request);
    if exception.value().type_name(py) == "OSError" {
        let text = exception.value().to_text(py);
        if request.is_input_failure(&text) {
            // The client has left, and the application has let it through: no line of it is at fault, and many clients leave.
            return reader.message(py, codes::BODY_READ, &text);
        }
    }
    reader.exception(py, &String::from_utf8_lossy(head.script), &state.place, exception);
}

/// Calls `close()` of what the application returned, if it has one.
fn close(py: Attached<'_>, state: &State, request: &Request, head: &RequestHead<'_>, result: &Object) {
    if result.plain_length().is_some() {
        return;
    }
    match result.optional_attr(py, &state.close) {
        Ok(None) => {}
        Ok(Some(close)) => {
            if let Err(exception) = close.call(py, &[])
                && !is_interruption(py, state, request, &exception)
            {
                tell(py, state, request, head, &exception);
            }
        }
        Err(exception) => {
            let report = exception.report(py);
            let what = format!("{} exception raised looking up 'close' of the response", report.type_name);
            Reader::Request(request).message(py, codes::NO_CLOSE, &what);
            Reader::Request(request).traceback(py, &report);
        }
    }
}
