//! The text streams that applications hold: `io.TextIOWrapper` over a [`Log`].
//!
//! Making one for each request, and finalising it, costs more than the rest of a small request, and most applications write nothing
//! to `wsgi.errors`. So what the environ holds is a stand-in, which passes for the stream and makes it when it is first used.

#![forbid(unsafe_code)]

use super::errors::Log;
use super::request::Request;
use crate::module::State;
use crate::python::{Attached, Class, Exception, Method, MethodDef, Object, This, Type};
use std::ffi::CStr;
use std::sync::{Arc, OnceLock};

/// Makes the text streams of an interpreter.
pub(crate) struct TextStreams {
    raw: Type<Log>,
    stand_in: Type<Errors>,
    wrapper: Object,
    arguments: [Object; 5],
}

impl TextStreams {
    /// Prepares them in the current interpreter.
    pub(crate) fn new(py: Attached<'_>) -> Result<Self, Exception> {
        Ok(Self {
            raw: Type::new(py)?,
            stand_in: Type::new(py)?,
            wrapper: py.import(c"io")?.attr(py, c"TextIOWrapper")?,
            // encoding, errors, newline, line_buffering, write_through
            arguments: [py.text("utf-8")?, py.text("replace")?, py.text("")?, py.bool(true), py.bool(true)],
        })
    }

    /// A text stream over `log`.
    pub(crate) fn wrap(&self, py: Attached<'_>, log: Log) -> Result<Object, Exception> {
        let raw = self.raw.instance(py, log)?;
        let [encoding, errors, newline, line_buffering, write_through] = &self.arguments;
        self.wrapper.call(py, &[&raw, encoding, errors, newline, line_buffering, write_through])
    }

    /// The `wsgi.errors` of a request.
    pub(crate) fn errors(&self, py: Attached<'_>, state: &Arc<State>, request: &Arc<Request>) -> Result<Object, Exception> {
        let errors = Errors { state: Arc::clone(state), request: Arc::clone(request), stream: OnceLock::new() };
        self.stand_in.instance(py, errors)
    }
}

/// Stands in for the `wsgi.errors` of a request.
struct Errors {
    state: Arc<State>,
    request: Arc<Request>,
    stream: OnceLock<Object>,
}

impl Class for Errors {
    // What applications see of the type is its name.
    const NAME: &'static CStr = c"mod_wsgi.TextIOWrapper";
    // Python looks these up in the type, all else by `behind`.
    const METHODS: &'static [MethodDef] = &[MethodDef::of::<Enter>(), MethodDef::of::<Exit>(), MethodDef::END];
    const STANDS_IN: bool = true;

    fn behind(&self, py: Attached<'_>) -> Result<Object, Exception> {
        if let Some(stream) = self.stream.get() {
            return Ok(stream.clone_ref(py));
        }
        let stream = self.state.streams.wrap(py, Log::of_request(&self.request))?;
        // Python may have let another thread in meanwhile, which has made one as well: both lead to the same request.
        let _ours_unless_theirs_came_first = self.stream.set(stream.clone_ref(py));
        Ok(self.stream.get().map_or(stream, |stream| stream.clone_ref(py)))
    }
}

macro_rules! passed_on {
    ($($method:ident = $name:literal;)*) => {$(
        struct $method;
        impl Method for $method {
            type Class = Errors;
            const NAME: &'static CStr = $name;

            fn call(py: Attached<'_>, this: This<'_, Errors>, arguments: &[Object]) -> Result<Object, Exception> {
                this.behind(py)?.call_method(py, $name, &arguments.iter().collect::<Vec<_>>())
            }
        }
    )*};
}
passed_on! {
    Enter = c"__enter__";
    Exit = c"__exit__";
}
