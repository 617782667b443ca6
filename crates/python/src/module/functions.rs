//! The functions of the `mod_wsgi` module, and those that its Python parts call.
//!
//! They are methods of one hidden object, which leads them to the state of their interpreter.

#![forbid(unsafe_code)]

use super::State;
use crate::python::{Attached, Class, Exception, Method, MethodDef, Object, This, bind};
use crate::report::with_reader;
use crate::wsgi::arguments;
use crate::wsgi::request::Request;
use std::ffi::CStr;
use std::sync::Arc;
use wire::codes;
use wire::frame::Source;
use wire::log::Level;

/// What the functions are methods of.
pub(super) struct Functions(Arc<State>);

impl Class for Functions {
    const NAME: &'static CStr = c"mod_wsgi.Functions";
    const METHODS: &'static [MethodDef] = &[MethodDef::END];
}

/// Puts the functions that applications call into the module.
pub(super) fn add_public(py: Attached<'_>, state: &Arc<State>, module: &Object) -> Result<(), Exception> {
    let class = &state.functions;
    let instance = class.instance(py, Functions(Arc::clone(state)))?;
    module.set_attr(py, SubscribeEvents::NAME, &bind::<SubscribeEvents>(py, class, &instance)?)?;
    module.set_attr(py, SubscribeShutdown::NAME, &bind::<SubscribeShutdown>(py, class, &instance)?)?;
    module.set_attr(py, SubscribeSignals::NAME, &bind::<SubscribeSignals>(py, class, &instance)?)?;
    module.set_attr(py, RequestData::NAME, &bind::<RequestData>(py, class, &instance)?)
}

/// Puts the functions that `prepare.py` calls into its globals.
pub(super) fn add_private(py: Attached<'_>, state: &Arc<State>, globals: &Object) -> Result<(), Exception> {
    let class = &state.functions;
    let instance = class.instance(py, Functions(Arc::clone(state)))?;
    globals.dict_set_name(py, WriteLog::NAME, &bind::<WriteLog>(py, class, &instance)?)?;
    globals.dict_set_name(py, AddSiteFailed::NAME, &bind::<AddSiteFailed>(py, class, &instance)?)?;
    globals.dict_set_name(py, IsForked::NAME, &bind::<IsForked>(py, class, &instance)?)
}

fn subscribe(py: Attached<'_>, name: &str, list: &Object, arguments: &[Object]) -> Result<Object, Exception> {
    arguments::count(py, name, arguments, 1, 1)?;
    list.list_append(py, &arguments[0])?;
    Ok(arguments[0].clone_ref(py))
}

struct SubscribeEvents;
impl Method for SubscribeEvents {
    type Class = Functions;
    const NAME: &'static CStr = c"subscribe_events";

    fn call(py: Attached<'_>, this: This<'_, Functions>, arguments: &[Object]) -> Result<Object, Exception> {
        subscribe(py, "subscribe_events", &this.0.event_callbacks, arguments)
    }
}

struct SubscribeShutdown;
impl Method for SubscribeShutdown {
    type Class = Functions;
    const NAME: &'static CStr = c"subscribe_shutdown";

    fn call(py: Attached<'_>, this: This<'_, Functions>, arguments: &[Object]) -> Result<Object, Exception> {
        subscribe(py, "subscribe_shutdown", &this.0.shutdown_callbacks, arguments)
    }
}

struct SubscribeSignals;
impl Method for SubscribeSignals {
    type Class = Functions;
    const NAME: &'static CStr = c"subscribe_signals";

    fn call(py: Attached<'_>, this: This<'_, Functions>, arguments: &[Object]) -> Result<Object, Exception> {
        if this.0.daemon {
            return subscribe(py, "subscribe_signals", &this.0.signal_callbacks, arguments);
        }
        arguments::count(py, "subscribe_signals", arguments, 1, 1)?;
        let stack = py.import(c"traceback")?.call_method(py, c"format_stack", &[])?.items(py).unwrap_or_default();
        with_reader(&this.0.sink, |reader| {
            reader.line(py, Level::Info, "mod_wsgi.subscribe_signals() called outside daemon mode; the callback is not registered.");
            for part in &stack {
                part.to_text(py).lines().for_each(|line| reader.line(py, Level::Info, line));
            }
        });
        Ok(arguments[0].clone_ref(py))
    }
}

struct RequestData;
impl Method for RequestData {
    type Class = Functions;
    const NAME: &'static CStr = c"request_data";

    fn call(py: Attached<'_>, this: This<'_, Functions>, arguments: &[Object]) -> Result<Object, Exception> {
        arguments::count(py, "request_data", arguments, 0, 0)?;
        let data = match Request::current() {
            Some(request) => this.0.active_requests.dict_get(py, &py.text(&request.id)?)?,
            None => None,
        };
        data.ok_or_else(|| Exception::runtime_error(py, "no active request for thread"))
    }
}

/// `write_log(level, text[, file, line])`: a record with the context of the calling thread.
struct WriteLog;
impl Method for WriteLog {
    type Class = Functions;
    const NAME: &'static CStr = c"write_log";

    fn call(py: Attached<'_>, this: This<'_, Functions>, arguments: &[Object]) -> Result<Object, Exception> {
        arguments::count(py, "write_log", arguments, 2, 4)?;
        let level = u8::try_from(arguments[0].to_i64(py)?).map_or(Level::Debug, Level::from_octet);
        let text = arguments[1].to_text(py);
        match (Request::current(), arguments.get(2..)) {
            (Some(request), Some([file, line])) => {
                let (file, line) = (file.to_text(py), u32::try_from(line.to_i64(py)?).unwrap_or(0));
                request.log_at(py, level, &request.marked(&text), Source { file: file.as_bytes(), line });
            }
            (Some(request), _) => request.log(py, level, &request.marked(&text)),
            (None, _) => this.0.sink.log(level, &text),
        }
        Ok(py.none())
    }
}

/// `add_site_failed(directory, error)`: says that a directory of the Python path could not be added.
struct AddSiteFailed;
impl Method for AddSiteFailed {
    type Class = Functions;
    const NAME: &'static CStr = c"add_site_failed";

    fn call(py: Attached<'_>, this: This<'_, Functions>, arguments: &[Object]) -> Result<Object, Exception> {
        arguments::count(py, "add_site_failed", arguments, 2, 2)?;
        let (directory, error) = (arguments[0].to_text(py), arguments[1].to_text(py));
        let what = format!("directory '{directory}' could not be added to the Python path of the {}: {error}", this.0.place);
        this.0.sink.log(codes::SITE_DIRECTORY.level, &codes::SITE_DIRECTORY.line(what));
        Ok(py.none())
    }
}

/// `is_forked()`: whether the application has forked this process; a worker that we have forked is none of these.
struct IsForked;
impl Method for IsForked {
    type Class = Functions;
    const NAME: &'static CStr = c"is_forked";

    fn call(py: Attached<'_>, _: This<'_, Functions>, arguments: &[Object]) -> Result<Object, Exception> {
        arguments::count(py, "is_forked", arguments, 0, 0)?;
        Ok(py.bool(sys::forks::is_forked()))
    }
}
