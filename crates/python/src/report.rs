//! How failures of an application are told in the log: a line with a code, then the traceback, a record per line.

#![forbid(unsafe_code)]

use crate::host::LogSink;
use crate::python::{Attached, Exception, Report};
use crate::wsgi::request::Request;
use std::sync::Arc;
use wire::codes::{self, Code};
use wire::log::Level;

/// Who reads a log line: whoever looks after the request, or after the process.
pub(crate) enum Reader<'r> {
    /// The log of the request.
    Request(&'r Request),
    /// The log of the process.
    Process(&'r dyn LogSink),
}

/// Which interpreter of which process, in the words of log lines.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Such as `main interpreter`.
    pub(crate) interpreter: String,
    /// Such as `in embedded mode`.
    pub(crate) process: String,
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.interpreter, self.process)
    }
}

impl Place {
    fn is_sub_interpreter(&self) -> bool {
        self.interpreter.starts_with("sub-interpreter")
    }
}

/// Whether an exception says that an extension module can only live in one interpreter, in the words of CPython, Cython, NumPy or PyO3.
fn is_of_one_interpreter(report: &Report) -> bool {
    const WORDS: [&str; 5] = [
        "does not support loading in subinterpreters",
        "can only be loaded into one interpreter per process",
        "cannot load module more than once per process",
        "PyO3 modules do not yet support subinterpreters",
        "PyO3 modules may only be initialized once per interpreter process",
    ];
    report.type_name == "ImportError" && WORDS.iter().any(|words| report.text.contains(words))
}

/// The module that the last import statement of a traceback names, and the file in which it stands.
fn last_import(report: &Report) -> Option<(String, &str)> {
    let lines = &report.lines;
    let (index, module) = lines.iter().enumerate().rev().find_map(|(index, line)| Some((index, imported(line.strip_prefix("    ")?)?)))?;
    let file = lines.get(index.checked_sub(1)?)?.trim_start().strip_prefix("File \"")?.split('"').next()?;
    Some((module, file))
}

/// The first module that a line of source imports; the dots of a package stay in front.
fn imported(line: &str) -> Option<String> {
    let mut words = line.split([' ', ',', '(']).filter(|word| !word.is_empty());
    match (words.next()?, words.next()?) {
        ("import", module) => Some(module.to_owned()),
        ("from", package) if package.bytes().all(|octet| octet == b'.') => Some(format!("{package}{}", words.nth(1)?)),
        ("from", module) => Some(module.to_owned()),
        _ => None,
    }
}

impl Reader<'_> {
    /// Writes a line from within an interpreter.
    pub(crate) fn line(&self, py: Attached<'_>, level: Level, line: &str) {
        match self {
            Self::Request(request) => request.log(py, level, line),
            Self::Process(sink) => sink.log(level, line),
        }
    }

    /// Writes a message with its code.
    pub(crate) fn message(&self, py: Attached<'_>, code: Code, what: &str) {
        match self {
            Self::Request(request) => request.log(py, code.level, &code.line(request.marked(what))),
            Self::Process(sink) => sink.log(code.level, &code.line(what)),
        }
    }

    /// Tells an exception that was not caught.
    pub(crate) fn exception(&self, py: Attached<'_>, script: &str, place: &Place, exception: &Exception) {
        let report = exception.report(py);
        if exception.is_system_exit(py) {
            self.message(py, codes::SYSTEM_EXIT, &format!("SystemExit exception raised by WSGI script '{script}' for {place}; ignored"));
            // Where it was raised, and with which word or number: a library may have done it.
            self.traceback(py, &report);
            return;
        }
        self.message(py, codes::EXCEPTION, &format!("{} exception raised processing WSGI script '{script}' for {place}", report.type_name));
        self.traceback(py, &report);
        if is_of_one_interpreter(&report) && place.is_sub_interpreter() {
            let named = exception.value().attr(py, c"name").ok().filter(|name| name.is_str()).map(|name| format!("'{}'", name.to_text(py)));
            let imported = || last_import(&report).map(|(module, file)| format!("'{module}', which '{file}' imports,"));
            let module =
                named.or_else(imported).map_or_else(|| String::from("an extension module"), |name| format!("the extension module {name}"));
            self.message(py, codes::EXTENSION, &format!("{module} cannot be used in the {place}, for WSGI script '{script}'"));
        }
    }

    /// Writes the traceback alone.
    pub(crate) fn traceback(&self, py: Attached<'_>, report: &Report) {
        for line in report.lines.iter().filter(|line| !line.is_empty()) {
            self.line(py, Level::Error, line);
        }
    }
}

/// The reader for what the calling thread does now.
pub(crate) fn with_reader<R>(sink: &Arc<dyn LogSink>, work: impl FnOnce(&Reader<'_>) -> R) -> R {
    match Request::current() {
        Some(request) => work(&Reader::Request(&request)),
        None => work(&Reader::Process(&**sink)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str, lines: &[&str]) -> Report {
        Report { type_name: String::from("ImportError"), text: text.to_owned(), lines: lines.iter().map(|&line| line.to_owned()).collect() }
    }

    #[test]
    fn the_last_import_of_a_traceback_is_named() {
        let lines = [
            "Traceback (most recent call last):",
            "  File \"/srv/app.wsgi\", line 3, in <module>",
            "    import pydantic",
            "  File \"/venv/pydantic_core/__init__.py\", line 8, in <module>",
            "    from ._pydantic_core import (",
            "    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
            "ImportError: PyO3 modules do not yet support subinterpreters",
        ];
        let report = report("PyO3 modules do not yet support subinterpreters", &lines);
        assert!(is_of_one_interpreter(&report));
        assert_eq!(last_import(&report), Some((String::from("._pydantic_core"), "/venv/pydantic_core/__init__.py")));
    }

    #[test]
    fn an_import_names_its_module() {
        let module = |line| imported(line).unwrap_or_default();
        assert_eq!(module("from . import _multiarray_umath, overrides"), "._multiarray_umath");
        assert_eq!(module("import numpy as np"), "numpy");
        assert_eq!(module("from a.b import(c)"), "a.b");
        assert_eq!(module("return importer.load()"), "");
    }

    #[test]
    fn other_imports_are_no_case_for_the_main_interpreter() {
        let report = report("No module named 'x'", &["ImportError: No module named 'x'"]);
        assert!(!is_of_one_interpreter(&report));
        assert_eq!(last_import(&report), None);
    }
}
