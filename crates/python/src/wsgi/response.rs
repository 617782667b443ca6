//! `start_response` and `write`, and what both do to the response.
//!
//! PEP 3333, "The start_response() Callable" and "Handling the Content-Length Header".

#![forbid(unsafe_code)]

use super::arguments;
use super::exchange::{Exchange, Outcome, OutputError, Push};
use super::header;
use super::request::{Request, add_time};
use crate::module::State;
use crate::module::events::{self, Event};
use crate::python::{Attached, Class, Exception, Method, MethodDef, Object, This, bind};
use parking_lot::Mutex;
use std::ffi::CStr;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;
use wire::head::{Pair, ResponseHead};
use wire::log::Level;

/// The response to a request.
pub(crate) struct Response {
    request: Arc<Request>,
    state: Arc<State>,
    /// Whether the client wants the head only.
    head_only: bool,
    /// Whether the body is passed on nevertheless, to filters of httpd's that the head depends on.
    body_shown: bool,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// What `start_response` was given, until it is sent.
    head: Option<Head>,
    status: Option<u16>,
    sent: bool,
    /// Whether octets of the body are kept back: there is none to this request or status.
    bodiless: bool,
    /// What is left of the announced `Content-Length`.
    remaining: Option<u64>,
    /// Why nothing more can be sent.
    broken: Option<Outcome>,
}

/// Status and headers, checked and copied: what the application does with its objects afterwards changes nothing.
struct Head {
    status: u16,
    /// The status line, and all names and values.
    octets: Vec<u8>,
    line: Range<usize>,
    headers: Vec<(Range<usize>, Range<usize>)>,
}

/// The octets of most heads.
const ROOM: usize = 256;

/// Something could not be sent.
pub(crate) enum Unsent {
    /// The application has made a mistake.
    Mistake(Exception),
    /// The client or httpd has gone, or does not take it.
    Output(OutputError),
    /// The request is over.
    Over,
}

impl From<Exception> for Unsent {
    fn from(exception: Exception) -> Self {
        Self::Mistake(exception)
    }
}

impl Response {
    /// The response to `request`, whose client may want the head only; `body_shown` passes the body to httpd's filters nevertheless.
    pub(crate) fn new(request: &Arc<Request>, state: &Arc<State>, head_only: bool, body_shown: bool) -> Arc<Self> {
        Arc::new(Self { request: Arc::clone(request), state: Arc::clone(state), head_only, body_shown, progress: Mutex::default() })
    }

    /// The functions that the application is given.
    pub(crate) fn start_response(self: &Arc<Self>, py: Attached<'_>) -> Result<Object, Exception> {
        let class = &self.state.adapter;
        bind::<StartResponse>(py, class, &class.instance(py, Adapter(Arc::clone(self)))?)
    }

    /// Whether the head is on its way, so that the status cannot change any more.
    pub(crate) fn is_sent(&self) -> bool {
        self.progress.lock().sent
    }

    /// The status that was sent or is to be sent; 500 without one.
    pub(crate) fn status(&self) -> u16 {
        self.progress.lock().status.unwrap_or(500)
    }

    /// Why nothing more can be sent.
    pub(crate) fn broken(&self) -> Option<Outcome> {
        self.progress.lock().broken
    }

    /// Sends a block of the body, after the head if that is not sent yet.
    pub(crate) fn send(&self, py: Attached<'_>, octets: &[u8], push: Push) -> Result<(), Unsent> {
        self.send_with(py, octets, push, None)
    }

    /// Sends what is the whole body; `Content-Length` is set if the application has not.
    pub(crate) fn send_whole(&self, py: Attached<'_>, octets: &[u8]) -> Result<(), Unsent> {
        self.send_with(py, octets, Push::Later, Some(octets.len() as u64))
    }

    fn send_with(&self, py: Attached<'_>, octets: &[u8], push: Push, length: Option<u64>) -> Result<(), Unsent> {
        let head = self.take_head(py, length)?;
        let octets = &octets[..self.allowed(octets.len() as u64).min(octets.len() as u64) as usize];
        if head.is_none() && octets.is_empty() {
            return Ok(());
        }
        let start = Instant::now();
        let encoded = head.as_ref().map(Head::encode);
        // Most sends do not wait, and the interpreter is not left for them.
        let quick = self.request.lent.quickly(py, |exchange| {
            send_head(exchange, encoded.as_ref())?;
            if octets.is_empty() && push == Push::Later { Ok(true) } else { exchange.try_send(octets, push) }
        });
        let result = match quick {
            Some(Ok(false)) => self.request.lent.waiting(py, |exchange| exchange.send(octets, push)),
            done => done.map(|result| result.map(drop)),
        };
        self.account(octets.len() as u64, start, result)
    }

    /// Sends a part of a regular file as the body, after the head; `Content-Length` is set if the application has not.
    pub(crate) fn send_file(&self, py: Attached<'_>, file: BorrowedFd<'_>, offset: u64, length: u64) -> Result<(), Unsent> {
        let head = self.take_head(py, Some(length))?;
        let length = self.allowed(length);
        let start = Instant::now();
        let encoded = head.as_ref().map(Head::encode);
        let result = self.request.lent.waiting(py, |exchange| {
            send_head(exchange, encoded.as_ref())?;
            if length == 0 { Ok(()) } else { exchange.send_file(file, offset, length) }
        });
        self.account(length, start, result)
    }

    /// Sends the head if nothing else has been sent; the end itself is the outcome.
    pub(crate) fn finish(&self, py: Attached<'_>) -> Result<Outcome, Unsent> {
        if let Some(head) = self.take_head(py, None)? {
            let encoded = Some(head.encode());
            let result = self.request.lent.quickly(py, |exchange| send_head(exchange, encoded.as_ref()));
            self.account(0, Instant::now(), result)?;
        }
        let (status, missing) = {
            let progress = self.progress.lock();
            (progress.status, if progress.bodiless || self.head_only { 0 } else { progress.remaining.unwrap_or(0) })
        };
        if missing > 0 {
            let message = format!("Content length mismatch: {missing} octets less than announced, status {}", status.unwrap_or(0));
            self.request.log(py, Level::Debug, &self.request.marked(&message));
            return Ok(Outcome::Truncated);
        }
        Ok(Outcome::Done)
    }

    /// The head, if it has not been sent; from now on it has. `length` is the length of the body if the server knows it.
    fn take_head(&self, py: Attached<'_>, length: Option<u64>) -> Result<Option<Head>, Unsent> {
        if self.request.is_over() {
            return Err(Unsent::Over);
        }
        // In one step, so that of several threads that send one takes the head; what needs Python is done outside of the lock.
        let taken = {
            let mut progress = self.progress.lock();
            if progress.sent {
                return Ok(None);
            }
            let announced = progress.head.as_ref().map(Head::content_length).transpose();
            announced.map(|announced| {
                let head = progress.head.take()?;
                let bodiless = header::has_no_body(head.status);
                let announced = announced.flatten();
                progress.sent = true;
                progress.bodiless = bodiless || (self.head_only && !self.body_shown);
                progress.remaining = announced.or(length);
                Some((head, length.filter(|_| announced.is_none() && !bodiless)))
            })
        };
        let taken = taken.map_err(|text| Exception::value_error(py, &text))?;
        let Some((mut head, missing)) = taken else {
            let text = "start_response() must be called before response content is produced";
            return Err(Exception::runtime_error(py, text).into());
        };
        if let Some(length) = missing {
            head.set_content_length(length);
        }
        Ok(Some(head))
    }

    /// How many of `length` octets may still be sent; they count as sent.
    fn allowed(&self, length: u64) -> u64 {
        let mut progress = self.progress.lock();
        if progress.bodiless {
            return 0;
        }
        let allowed = progress.remaining.map_or(length, |remaining| remaining.min(length));
        if let Some(remaining) = &mut progress.remaining {
            *remaining -= allowed;
        }
        allowed
    }

    fn account(&self, octets: u64, start: Instant, result: Option<Result<(), OutputError>>) -> Result<(), Unsent> {
        let traffic = &self.request.traffic;
        add_time(&traffic.write_time, start.elapsed());
        match result {
            None => Err(Unsent::Over),
            Some(Ok(())) => {
                traffic.writes.fetch_add(1, Relaxed);
                traffic.written.fetch_add(octets, Relaxed);
                Ok(())
            }
            Some(Err(error)) => {
                let outcome = if matches!(error, OutputError::ClientGone) { Outcome::ClientGone } else { Outcome::Truncated };
                self.progress.lock().broken = Some(outcome);
                Err(Unsent::Output(error))
            }
        }
    }

    fn start(&self, py: Attached<'_>, arguments: &[Object]) -> Result<(), Exception> {
        arguments::count(py, "start_response", arguments, 2, 3)?;
        let (status, headers) = (&arguments[0], &arguments[1]);
        if !headers.is_list() {
            let name = if headers.is_none() { "None".into() } else { headers.type_name(py) };
            let text = format!("start_response() argument 2 must be list, not {name}");
            return Err(Exception::type_error(py, &text));
        }
        let information = arguments.get(2).filter(|information| !information.is_none());
        if information.is_some_and(|information| !information.is_tuple()) {
            return Err(Exception::runtime_error(py, "start_response() argument 'exc_info' must be a 3-tuple or None"));
        }
        if self.request.is_over() {
            return Err(Exception::runtime_error(py, "start_response() called after request completed"));
        }
        let (sent, started) = {
            let progress = self.progress.lock();
            (progress.sent, progress.status.is_some())
        };
        match information {
            Some(information) if sent => return Err(reraised(py, information)),
            None if started => return Err(Exception::runtime_error(py, "start_response() called more than once without exc_info")),
            _ => {}
        }
        if events::is_wanted(py, &self.state, Event::ResponseStarted) {
            events::response_started(py, &self.state, &self.request, status, headers, arguments.get(2));
        }
        let head = Head::check(py, status, headers)?;
        let code = head.status;
        // The old head is dropped after the lock.
        let _old = {
            let mut progress = self.progress.lock();
            progress.status = Some(code);
            progress.head.replace(head)
        };
        Ok(())
    }

    fn write(&self, py: Attached<'_>, arguments: &[Object]) -> Result<(), Exception> {
        arguments::count(py, "write", arguments, 1, 1)?;
        let octets = arguments::octets(py, &arguments[0], "write() argument must be bytes")?;
        self.send(py, octets, Push::Now).map_err(|unsent| match unsent {
            Unsent::Mistake(exception) => exception,
            Unsent::Output(error) => Exception::os_error(py, &format!("mod_wsgi {error}")),
            Unsent::Over => Exception::runtime_error(py, "write() called after request completed"),
        })
    }
}

fn send_head(exchange: &mut dyn Exchange, head: Option<&ResponseHead<'_>>) -> Result<(), OutputError> {
    head.map_or(Ok(()), |head| exchange.send_head(head))
}

/// The exception of a `sys.exc_info()` tuple, to be raised again.
fn reraised(py: Attached<'_>, information: &Object) -> Exception {
    match information.items(py).as_deref() {
        Some([class, value, traceback]) => match Exception::from_instance(py, value, traceback) {
            Some(exception) => exception,
            // An old style: a type, and what it is to be made of.
            None => match class.call(py, &[value]) {
                Ok(value) => Exception::from_instance(py, &value, traceback)
                    .unwrap_or_else(|| Exception::type_error(py, "exceptions must derive from BaseException")),
                Err(exception) => exception,
            },
        },
        _ => Exception::runtime_error(py, "start_response() argument 'exc_info' must be a 3-tuple or None"),
    }
}

impl Head {
    fn check(py: Attached<'_>, status: &Object, headers: &Object) -> Result<Self, Exception> {
        let mut head = Self { status: 0, octets: Vec::with_capacity(ROOM), line: 0..0, headers: Vec::new() };
        head.line = head.copy(py, status)?;
        head.status = header::status_code(head.part(&head.line)).map_err(|text| Exception::value_error(py, &text))?;
        let entries = headers.items(py).unwrap_or_default();
        head.headers.reserve(entries.len() + 1);
        entries.iter().try_for_each(|entry| head.add(py, entry))?;
        Ok(head)
    }

    /// Checks an entry of the list of headers, and copies it.
    fn add(&mut self, py: Attached<'_>, entry: &Object) -> Result<(), Exception> {
        let Some((name, value)) = entry.pair(py) else {
            return Err(match entry.items(py).filter(|_| entry.is_tuple()) {
                Some(parts) => Exception::value_error(py, &format!("each header must be a 2-tuple, got length {}", parts.len())),
                None => Exception::type_error(py, &format!("each header must be a 2-tuple, not {}", entry.type_name(py))),
            });
        };
        let (name, value) = (self.copy(py, &name)?, self.copy(py, &value)?);
        header::check_name(self.part(&name))
            .and_then(|()| header::check_value(self.part(&value)))
            .map_err(|text| Exception::value_error(py, &text))?;
        self.headers.push((name, value));
        Ok(())
    }

    /// Copies a `str` in latin-1.
    fn copy(&mut self, py: Attached<'_>, text: &Object) -> Result<Range<usize>, Exception> {
        match text.as_ascii(py) {
            Some(octets) => Ok(self.push(octets)),
            None => Ok(self.push(arguments::latin1(py, text)?.as_bytes().unwrap_or_default())),
        }
    }

    fn push(&mut self, octets: &[u8]) -> Range<usize> {
        let start = self.octets.len();
        self.octets.extend_from_slice(octets);
        start..self.octets.len()
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        &self.octets[range.clone()]
    }

    /// Announces the length of the body.
    fn set_content_length(&mut self, length: u64) {
        let header = (self.push(b"Content-Length"), self.push(length.to_string().as_bytes()));
        self.headers.push(header);
    }

    /// What `Content-Length` says; the last one, if there are several.
    fn content_length(&self) -> Result<Option<u64>, String> {
        let mut headers = self.headers.iter().rev().map(|(name, value)| (self.part(name), value));
        let value = headers.find(|(name, _)| name.eq_ignore_ascii_case(b"Content-Length")).map(|(_, value)| value);
        value.map(|value| header::content_length(self.part(value))).transpose()
    }

    fn encode(&self) -> ResponseHead<'_> {
        let pair = |(name, value): &(Range<usize>, Range<usize>)| Pair { name: self.part(name), value: self.part(value) };
        ResponseHead { status: self.status, line: self.part(&self.line), headers: self.headers.iter().map(pair).collect() }
    }
}

/// What `start_response` and `write` are bound to.
pub(crate) struct Adapter(Arc<Response>);

impl Class for Adapter {
    const NAME: &'static CStr = c"mod_wsgi.Adapter";
    const METHODS: &'static [MethodDef] = &[MethodDef::of::<StartResponse>(), MethodDef::of::<Write>(), MethodDef::END];
}

struct StartResponse;
impl Method for StartResponse {
    type Class = Adapter;
    const NAME: &'static CStr = c"start_response";

    fn call(py: Attached<'_>, this: This<'_, Adapter>, arguments: &[Object]) -> Result<Object, Exception> {
        this.0.start(py, arguments)?;
        bind::<Write>(py, &this.0.state.adapter, this.object())
    }
}

struct Write;
impl Method for Write {
    type Class = Adapter;
    const NAME: &'static CStr = c"write";

    fn call(py: Attached<'_>, this: This<'_, Adapter>, arguments: &[Object]) -> Result<Object, Exception> {
        this.0.write(py, arguments)?;
        Ok(py.none())
    }
}
