//! `wsgi.input`: the request body as a file.

#![forbid(unsafe_code)]

use super::arguments;
use super::exchange::{Exchange, InputError};
use super::request::{self, Request, add_time};
use crate::python::{Attached, Blank, Class, Exception, Method, MethodDef, Object, This};
use parking_lot::Mutex;
use std::ffi::CStr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;
use wire::head::RequestHead;

/// How much is read from the exchange at a time, at most.
const STEP: usize = 64 * 1024;

/// A body of such a length, if it is known, is read into the bytes object itself. Memory that is only announced is not touched.
const DIRECT: Range<u64> = STEP as u64..64 << 20;

/// The request body.
pub(crate) struct Input {
    request: Arc<Request>,
    /// `Content-Length`. It need not be true: filters of httpd's may change the body.
    announced: Option<u64>,
    body: Mutex<Body>,
}

/// What was read of the body and not yet given to the application. Locked only by who holds the exchange.
#[derive(Default)]
struct Body {
    octets: Vec<u8>,
    taken: usize,
    ended: bool,
    failed: bool,
}

/// How much the application wants.
#[derive(Clone, Copy)]
enum Wanted {
    /// All there is.
    All,
    /// This many octets.
    Octets(usize),
    /// A line, of at most so many octets.
    Line(usize),
}

/// What was read.
enum Taken {
    /// Octets that are still to be copied.
    Short(Vec<u8>),
    /// A bytes object, and what goes beyond what was expected.
    Long(Blank, Vec<u8>),
}

impl Taken {
    fn len(&self) -> usize {
        match self {
            Self::Short(octets) => octets.len(),
            Self::Long(blank, rest) => blank.len() + rest.len(),
        }
    }

    fn into_bytes(self, py: Attached<'_>) -> Result<Object, Exception> {
        match self {
            Self::Short(octets) => py.bytes(&octets),
            Self::Long(blank, rest) if rest.is_empty() => blank.finish(py),
            Self::Long(blank, rest) => py.bytes(&[blank.octets(), &rest].concat()),
        }
    }
}

/// Why there is nothing to give.
enum Failure {
    /// The request is over.
    Over,
    /// It has failed before.
    Before,
    /// It fails now.
    Now(InputError),
}

impl Input {
    /// The body of a request with this head.
    pub(crate) fn new(request: &Arc<Request>, head: &RequestHead<'_>) -> Self {
        let announced = request::environ(head, b"CONTENT_LENGTH").and_then(|length| std::str::from_utf8(length).ok()?.parse().ok());
        Self { request: Arc::clone(request), announced, body: Mutex::default() }
    }

    /// How many octets to read into a bytes object directly, where that is worth it.
    fn expected(&self, wanted: Wanted) -> Option<usize> {
        let left = self.announced?.saturating_sub(self.request.traffic.read.load(Relaxed));
        let expected = match wanted {
            Wanted::All => left,
            Wanted::Octets(count) => left.min(count as u64),
            Wanted::Line(_) => return None,
        };
        usize::try_from(expected).ok().filter(|_| DIRECT.contains(&expected))
    }

    fn take(&self, py: Attached<'_>, wanted: Wanted, over: &str) -> Result<Object, Exception> {
        let start = Instant::now();
        let result = match self.expected(wanted) {
            Some(expected) => {
                let mut blank = py.blank(expected)?;
                let read = self.request.lent.waiting(py, |exchange| self.body.lock().read_into(exchange, wanted, &mut blank));
                read.map(|read| read.map(|rest| Taken::Long(blank, rest)))
            }
            None => {
                // What is in memory already needs no wait, and so no departure from the interpreter.
                let quick = self.request.lent.quickly(py, |exchange| self.body.lock().take(exchange, wanted, true));
                let taken = match quick {
                    Some(Ok(None)) => self.request.lent.waiting(py, |exchange| self.body.lock().take(exchange, wanted, false)),
                    done => done,
                };
                taken.map(|taken| taken.map(|octets| Taken::Short(octets.unwrap_or_default())))
            }
        };
        let traffic = &self.request.traffic;
        traffic.reads.fetch_add(1, Relaxed);
        add_time(&traffic.read_time, start.elapsed());
        match result.unwrap_or(Err(Failure::Over)) {
            _ if self.request.is_over() => Err(Exception::runtime_error(py, over)),
            Ok(taken) => {
                traffic.read.fetch_add(taken.len() as u64, Relaxed);
                taken.into_bytes(py)
            }
            Err(Failure::Over) => Err(Exception::runtime_error(py, over)),
            Err(Failure::Before) => Err(self.failure(py, "input is already in error state")),
            Err(Failure::Now(InputError(reason))) => Err(self.failure(py, &reason)),
        }
    }
}

impl Input {
    /// What the application is told when the client has not sent what it had announced.
    fn failure(&self, py: Attached<'_>, reason: &str) -> Exception {
        let text = format!("mod_wsgi request data read error: {reason}");
        let exception = Exception::os_error(py, &text);
        self.request.note_input_failure(text);
        exception
    }
}

impl Body {
    /// The octets that are wanted; `None` when that would wait and must not.
    fn take(&mut self, exchange: &mut dyn Exchange, wanted: Wanted, only_ready: bool) -> Result<Option<Vec<u8>>, Failure> {
        if self.failed {
            return Err(Failure::Before);
        }
        let mut searched = self.taken;
        loop {
            let held = self.octets.len() - self.taken;
            let enough = match wanted {
                Wanted::All => None,
                Wanted::Octets(count) => (held >= count).then_some(count),
                Wanted::Line(limit) => {
                    let newline = self.octets[searched..].iter().position(|octet| *octet == b'\n').map(|at| at + 1 + searched - self.taken);
                    searched = self.octets.len();
                    newline.or((held >= limit).then_some(limit)).map(|count| count.min(limit))
                }
            };
            if let Some(count) = enough.or(self.ended.then_some(held)) {
                return Ok(Some(self.give(count)));
            }
            if only_ready && !exchange.read_is_ready() {
                return Ok(None);
            }
            let missing = if let Wanted::Octets(count) = wanted { count - held } else { STEP };
            self.fill(exchange, missing.min(STEP))?;
        }
    }

    /// Reads what is expected into `blank`, and gives what is wanted beyond that.
    fn read_into(&mut self, exchange: &mut dyn Exchange, wanted: Wanted, blank: &mut Blank) -> Result<Vec<u8>, Failure> {
        if self.failed {
            return Err(Failure::Before);
        }
        while !(blank.is_full() || self.ended && self.taken == self.octets.len()) {
            let room = blank.room(STEP);
            let count = if self.taken < self.octets.len() {
                let held = self.give(room.len().min(self.octets.len() - self.taken));
                room[..held.len()].copy_from_slice(&held);
                held.len()
            } else {
                let result = exchange.read(room);
                self.note(result)?
            };
            blank.wrote(count);
        }
        match wanted {
            // The end is asked for as well.
            Wanted::All => self.take(exchange, wanted, false).map(Option::unwrap_or_default),
            Wanted::Octets(count) if count > blank.len() => {
                self.take(exchange, Wanted::Octets(count - blank.len()), false).map(Option::unwrap_or_default)
            }
            _ => Ok(Vec::new()),
        }
    }

    fn fill(&mut self, exchange: &mut dyn Exchange, step: usize) -> Result<(), Failure> {
        let end = self.octets.len();
        self.octets.resize(end + step, 0);
        let result = exchange.read(&mut self.octets[end..]);
        self.octets.truncate(end + result.as_ref().map_or(0, |count| (*count).min(step)));
        self.note(result).map(drop)
    }

    /// Notes how a read has ended.
    fn note(&mut self, result: Result<usize, InputError>) -> Result<usize, Failure> {
        match result {
            Ok(count) => {
                self.ended = count == 0;
                Ok(count)
            }
            Err(error) => {
                self.failed = true;
                Err(Failure::Now(error))
            }
        }
    }

    fn give(&mut self, count: usize) -> Vec<u8> {
        if count == self.octets.len() - self.taken && self.taken == 0 {
            return std::mem::take(&mut self.octets);
        }
        let given = self.octets[self.taken..self.taken + count].to_vec();
        self.taken += count;
        // What was given is forgotten now and then, so that reading lines does not move the rest each time.
        if self.taken == self.octets.len() || self.taken > STEP {
            self.octets.drain(..self.taken);
            self.taken = 0;
        }
        given
    }
}

impl Class for Input {
    const NAME: &'static CStr = c"mod_wsgi.Input";
    const METHODS: &'static [MethodDef] =
        &[MethodDef::of::<Read>(), MethodDef::of::<ReadLine>(), MethodDef::of::<ReadLines>(), MethodDef::of::<Close>(), MethodDef::END];
    const ITERATOR: bool = true;

    fn next(&self, py: Attached<'_>) -> Result<Option<Object>, Exception> {
        let line = self.take(py, Wanted::Line(usize::MAX), "iteration of wsgi.input attempted after request completed")?;
        Ok(if line.as_bytes().is_none_or(<[u8]>::is_empty) { None } else { Some(line) })
    }
}

/// The optional size argument; none and negative ones mean everything.
fn size(py: Attached<'_>, function: &str, arguments: &[Object]) -> Result<Option<usize>, Exception> {
    arguments::count(py, function, arguments, 0, 1)?;
    match arguments.first() {
        Some(size) => Ok(usize::try_from(size.to_i64(py)?).ok()),
        None => Ok(None),
    }
}

struct Read;
impl Method for Read {
    type Class = Input;
    const NAME: &'static CStr = c"read";

    fn call(py: Attached<'_>, this: This<'_, Input>, arguments: &[Object]) -> Result<Object, Exception> {
        let wanted = size(py, "read", arguments)?.map_or(Wanted::All, Wanted::Octets);
        this.take(py, wanted, "read() called on wsgi.input after request completed")
    }
}

struct ReadLine;
impl Method for ReadLine {
    type Class = Input;
    const NAME: &'static CStr = c"readline";

    fn call(py: Attached<'_>, this: This<'_, Input>, arguments: &[Object]) -> Result<Object, Exception> {
        let limit = size(py, "readline", arguments)?.unwrap_or(usize::MAX);
        this.take(py, Wanted::Line(limit), "readline() called on wsgi.input after request completed")
    }
}

struct ReadLines;
impl Method for ReadLines {
    type Class = Input;
    const NAME: &'static CStr = c"readlines";

    fn call(py: Attached<'_>, this: This<'_, Input>, arguments: &[Object]) -> Result<Object, Exception> {
        let hint = size(py, "readlines", arguments)?.filter(|hint| *hint > 0).unwrap_or(usize::MAX);
        let lines = py.list(&[])?;
        let mut total = 0;
        while total < hint {
            let line = this.take(py, Wanted::Line(usize::MAX), "readlines() called on wsgi.input after request completed")?;
            match line.as_bytes().map_or(0, <[u8]>::len) {
                0 => break,
                length => total += length,
            }
            lines.list_append(py, &line)?;
        }
        Ok(lines)
    }
}

struct Close;
impl Method for Close {
    type Class = Input;
    const NAME: &'static CStr = c"close";

    fn call(py: Attached<'_>, this: This<'_, Input>, arguments: &[Object]) -> Result<Object, Exception> {
        arguments::count(py, "close", arguments, 0, 0)?;
        if this.request.is_over() {
            return Err(Exception::runtime_error(py, "close() called on wsgi.input after request completed"));
        }
        Ok(py.none())
    }
}
