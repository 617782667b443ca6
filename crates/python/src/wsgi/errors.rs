//! `wsgi.errors`, `sys.stderr` and `sys.stdout`: octets for the error log, one record per line.
//!
//! What applications hold is an `io.TextIOWrapper` ([`super::text`]); this is the raw stream under it. `sys.stderr` and `sys.stdout`
//! write to the request that the calling thread executes, if there is one.

#![forbid(unsafe_code)]

use super::arguments;
use super::lines::LineBuffer;
use super::request::Request;
use crate::host::LogSink;
use crate::python::{Attached, Class, Exception, Getter, GetterDef, Method, MethodDef, Object, This};
use parking_lot::Mutex;
use std::ffi::CStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use wire::log::Level;

/// A raw stream into the error log.
pub(crate) struct Log(Target);

enum Target {
    /// `wsgi.errors`: a request's own.
    Request { name: &'static str, request: Arc<Request> },
    /// `sys.stderr` or `sys.stdout`.
    Stream { name: &'static str, sink: Arc<dyn LogSink>, lines: Mutex<LineBuffer> },
}

impl Log {
    /// The stream of a request.
    pub(crate) fn of_request(request: &Arc<Request>) -> Self {
        Self(Target::Request { name: "<wsgi.errors>", request: Arc::clone(request) })
    }

    /// The stream of a request for a script that is only asked something about it.
    pub(crate) fn of_check(request: &Arc<Request>) -> Self {
        Self(Target::Request { name: "<log>", request: Arc::clone(request) })
    }

    /// A stream of the process, such as `<stderr>`.
    pub(crate) fn of_process(name: &'static str, sink: &Arc<dyn LogSink>) -> Self {
        Self(Target::Stream { name, sink: Arc::clone(sink), lines: Mutex::default() })
    }

    fn name(&self) -> &'static str {
        match &self.0 {
            Target::Request { name, .. } | Target::Stream { name, .. } => name,
        }
    }

    fn write(&self, py: Attached<'_>, function: &str, octets: &[u8]) -> Result<(), Exception> {
        match &self.0 {
            Target::Request { request, .. } => {
                check(py, request, function)?;
                request.write_text(py, octets);
            }
            Target::Stream { sink, lines, .. } => match Request::current() {
                Some(request) => request.write_text(py, octets),
                None => {
                    let lines = lines.lock().push(octets);
                    lines.iter().for_each(|line| sink.log(Level::Error, line));
                }
            },
        }
        Ok(())
    }

    fn flush(&self, py: Attached<'_>, function: &str) -> Result<(), Exception> {
        match &self.0 {
            Target::Request { request, .. } if request.has_pending_text() => {
                check(py, request, function)?;
                request.flush(py);
            }
            Target::Request { .. } => {}
            Target::Stream { sink, lines, .. } => match Request::current() {
                Some(request) => request.flush(py),
                None => {
                    let line = lines.lock().flush();
                    line.iter().for_each(|line| sink.log(Level::Error, line));
                }
            },
        }
        Ok(())
    }
}

fn check(py: Attached<'_>, request: &Request, function: &str) -> Result<(), Exception> {
    if request.is_over() {
        return Err(Exception::runtime_error(py, &format!("{function}() called on wsgi.errors after request completed")));
    }
    Ok(())
}

impl Class for Log {
    const NAME: &'static CStr = c"mod_wsgi.Log";
    const METHODS: &'static [MethodDef] = &[
        MethodDef::of::<Write>(),
        MethodDef::of::<WriteLines>(),
        MethodDef::of::<Flush>(),
        MethodDef::of::<Close>(),
        MethodDef::of::<IsTty>(),
        MethodDef::of::<FileNo>(),
        MethodDef::of::<Readable>(),
        MethodDef::of::<Seekable>(),
        MethodDef::of::<Writable>(),
        MethodDef::END,
    ];
    const GETTERS: &'static [GetterDef] = &[GetterDef::of::<Name>(), GetterDef::of::<Closed>(), GetterDef::END];
}

struct Write;
impl Method for Write {
    type Class = Log;
    const NAME: &'static CStr = c"write";

    fn call(py: Attached<'_>, this: This<'_, Log>, arguments: &[Object]) -> Result<Object, Exception> {
        arguments::count(py, "write", arguments, 1, 1)?;
        write_object(py, &this, "write", &arguments[0])?;
        Ok(py.none())
    }
}

struct WriteLines;
impl Method for WriteLines {
    type Class = Log;
    const NAME: &'static CStr = c"writelines";

    fn call(py: Attached<'_>, this: This<'_, Log>, arguments: &[Object]) -> Result<Object, Exception> {
        arguments::count(py, "writelines", arguments, 1, 1)?;
        let lines = arguments[0].iter(py)?;
        while let Some(line) = lines.next(py)? {
            write_object(py, &this, "writelines", &line)?;
        }
        Ok(py.none())
    }
}

/// Whether this process has said already that a log stream takes bytes.
static WARNED: AtomicBool = AtomicBool::new(false);

fn write_object(py: Attached<'_>, this: &Log, function: &str, object: &Object) -> Result<(), Exception> {
    if object.is_str() {
        // Whoever writes so does it often, and has been told.
        if !WARNED.swap(true, Relaxed) {
            let builtins = py.import(c"builtins")?;
            let text = py.text("str written to the buffer of a log stream, which takes bytes")?;
            py.import(c"warnings")?.call_method(py, c"warn", &[&text, &builtins.attr(py, c"DeprecationWarning")?])?;
        }
        return this.write(py, function, object.to_text(py).as_bytes());
    }
    // Numbers and lists of them could be made into octets as well, but are none.
    let view = py.import(c"builtins")?.attr(py, c"memoryview")?.call(py, &[object]);
    let view = view.map_err(|_| Exception::type_error(py, &format!("a bytes-like object is required, not '{}'", object.type_name(py))))?;
    this.write(py, function, view.to_bytes(py)?.as_bytes().unwrap_or_default())
}

struct Flush;
impl Method for Flush {
    type Class = Log;
    const NAME: &'static CStr = c"flush";

    fn call(py: Attached<'_>, this: This<'_, Log>, arguments: &[Object]) -> Result<Object, Exception> {
        arguments::count(py, "flush", arguments, 0, 0)?;
        this.flush(py, "flush")?;
        Ok(py.none())
    }
}

struct Close;
impl Method for Close {
    type Class = Log;
    const NAME: &'static CStr = c"close";

    fn call(py: Attached<'_>, this: This<'_, Log>, arguments: &[Object]) -> Result<Object, Exception> {
        arguments::count(py, "close", arguments, 0, 0)?;
        this.flush(py, "close")?;
        Ok(py.none())
    }
}

struct FileNo;
impl Method for FileNo {
    type Class = Log;
    const NAME: &'static CStr = c"fileno";

    fn call(py: Attached<'_>, this: This<'_, Log>, _arguments: &[Object]) -> Result<Object, Exception> {
        // In a request all of them lead to the same place.
        let name = if Request::current().is_some() { "wsgi.errors" } else { this.name().trim_matches(['<', '>']) };
        Err(Exception::os_error(py, &format!("{name} log object has no file descriptor")))
    }
}

macro_rules! answers {
    ($($method:ident = $name:literal: $answer:literal;)*) => {$(
        struct $method;
        impl Method for $method {
            type Class = Log;
            const NAME: &'static CStr = $name;

            fn call(py: Attached<'_>, _this: This<'_, Log>, _arguments: &[Object]) -> Result<Object, Exception> {
                Ok(py.bool($answer))
            }
        }
    )*};
}
answers! {
    IsTty = c"isatty": false;
    Readable = c"readable": false;
    Seekable = c"seekable": false;
    Writable = c"writable": true;
}

struct Name;
impl Getter for Name {
    type Class = Log;
    const NAME: &'static CStr = c"name";

    fn get(py: Attached<'_>, this: &Log) -> Result<Object, Exception> {
        py.text(this.name())
    }
}

struct Closed;
impl Getter for Closed {
    type Class = Log;
    const NAME: &'static CStr = c"closed";

    fn get(py: Attached<'_>, _this: &Log) -> Result<Object, Exception> {
        Ok(py.bool(false))
    }
}
