//! The response on its way to the client, the same for both modes: the application's head becomes httpd's, its octets become brigades.

#![forbid(unsafe_code)]

mod spool;

use crate::apache::brigade::{Brigade, PassError, Tail};
use crate::apache::request::Request;
use crate::apache::status::Status;
use crate::slow::Timeline;
use spool::Spool;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;
use sys::socket::{self, Readiness};
use wire::frame::Times;
use wire::head::ResponseHead;

/// How much is collected before it is passed on although more is to follow at once.
const COLLECT: usize = 32 * 1024;

/// How much goes to a client at a time that may have no room for it: what the socket does not take is kept in memory by httpd's core, which
/// waits for the client from 64 KiB on.
const PIECE: usize = 32 * 1024;

/// How much a socket that reports room takes at least, without being asked again.
const ROOM: usize = 16 * 1024;

/// What the kernel needs for each small piece besides its octets, at most.
const OVERHEAD: usize = 1024;

/// What a socket that reports room takes even when the kernel runs short of memory for sockets.
const LITTLE: usize = 4 * 1024;

/// A response.
pub(crate) struct Response<'r> {
    brigade: Brigade<'r>,
    buffer: Vec<u8>,
    spool: Option<Spool>,
    state: State,
    /// Whether something has been passed to the client.
    passed: bool,
    /// What the client's socket has room for, as far as it is known: asking costs a system call.
    room: usize,
    /// Whether filters may keep something of what was passed, which a flush is still to bring out.
    owes_flush: bool,
    /// The length that the application announced, and what it has sent of it.
    length: Option<u64>,
    sent: u64,
    options: ResponseOptions,
}

/// What directives say of responses.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResponseOptions {
    /// `WSGIErrorOverride`: httpd's own page for a status of 400 and more.
    pub(crate) error_override: bool,
    /// `WSGIEnableSendfile`; unset, the kernel sends files of local file systems.
    pub(crate) sendfile: Option<bool>,
    /// Whether `200` with a `Location` of this server is served by that URL instead (daemon mode, as CGI has it).
    pub(crate) internal_redirect: bool,
    /// `response-spool-limit=`: how much of a response is kept for a slow client, in octets; 0 lets the application wait for it.
    pub(crate) spool_limit: u64,
    /// `response-socket-timeout=`: how long httpd waits for the client to take something, where that is not for the connection to say.
    pub(crate) client_timeout: Option<Duration>,
    /// Where it is noted when what happens, if somebody wants to know (`WSGISlowRequests`).
    pub(crate) timeline: Option<Rc<Timeline>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// No head yet.
    Waiting,
    /// Octets go to the client.
    Open,
    /// Octets are thrown away; in the end httpd makes the response for this status.
    Overridden(u16),
    /// Octets are thrown away; in the end this URL is served.
    Redirected(Vec<u8>),
}

impl<'r> Response<'r> {
    /// A response that has not begun.
    pub(crate) fn new(request: &Request<'r>, options: ResponseOptions) -> Self {
        let brigade = request.brigade();
        Self {
            brigade,
            buffer: Vec::new(),
            spool: None,
            state: State::Waiting,
            passed: false,
            room: ROOM,
            owes_flush: false,
            length: None,
            sent: 0,
            options,
        }
    }

    /// Whether the head has come.
    pub(crate) fn has_begun(&self) -> bool {
        self.state != State::Waiting
    }

    fn is_spooled(&self) -> bool {
        self.spool.as_ref().is_some_and(|spool| !spool.is_empty())
    }

    /// Whether something waits for the client to take it, which [`Response::drain`] continues.
    pub(crate) fn waits_for_client(&self, request: &Request<'r>) -> bool {
        self.is_spooled() || (self.is_patient(request) && request.has_output_pending())
    }

    /// Whether octets wait here for the client, so that nobody else has to.
    fn is_patient(&self, request: &Request<'r>) -> bool {
        self.options.spool_limit > 0 && request.client_socket().is_some()
    }

    /// Whether as much waits for the client as may.
    pub(crate) fn is_full(&self) -> bool {
        self.spool.as_ref().is_some_and(|spool| spool.len() >= self.options.spool_limit)
    }

    /// Says who executes the request, and since when.
    pub(crate) fn begun_by(&self, times: Times) {
        if let Some(timeline) = &self.options.timeline {
            timeline.begin(times);
        }
    }

    /// Takes the head. Nothing goes out yet.
    pub(crate) fn begin(&mut self, request: &mut Request<'r>, head: &ResponseHead<'_>) {
        if let Some(timeline) = &self.options.timeline {
            timeline.answer(head.status);
        }
        if let Some(timeout) = self.options.client_timeout {
            request.set_client_timeout(timeout);
        }
        let location = head.headers.iter().find(|pair| pair.name.eq_ignore_ascii_case(b"Location"));
        if let Some(pair) = location.filter(|pair| self.options.internal_redirect && head.status == 200 && pair.value.starts_with(b"/")) {
            self.state = State::Redirected(pair.value.to_vec());
            return;
        }
        // Of other codes httpd has no page.
        let overridden = self.options.error_override && (400..600).contains(&head.status);
        for pair in &head.headers {
            if pair.name.eq_ignore_ascii_case(b"WWW-Authenticate") {
                // Also on httpd's own page for 401, or the client would not know how to authenticate.
                request.error_headers().add(pair.name, pair.value);
            } else if overridden {
                // The page is httpd's own, and so are its headers.
            } else if pair.name.eq_ignore_ascii_case(b"Content-Type") {
                request.set_content_type(pair.value);
            } else if pair.name.eq_ignore_ascii_case(b"Content-Length") {
                self.length = std::str::from_utf8(pair.value).ok().and_then(|text| text.trim().parse().ok());
                if let Some(length) = self.length {
                    request.set_content_length(length);
                }
            } else if pair.name.eq_ignore_ascii_case(b"Transfer-Encoding") {
                // How the body is framed is for httpd to say, and it would believe the application.
            } else {
                request.response_headers().add(pair.name, pair.value);
            }
        }
        if overridden {
            self.state = State::Overridden(head.status);
        } else {
            request.set_status(head.status, head.line);
            self.state = State::Open;
        }
    }

    /// Takes octets of the body; they go out with a flush, with the end, or when enough have come.
    pub(crate) fn write(&mut self, request: &Request<'r>, octets: &[u8], flush: bool) -> Result<(), PassError> {
        self.sent += octets.len() as u64;
        if self.state != State::Open {
            return Ok(());
        }
        if flush || self.buffer.len() + octets.len() >= COLLECT {
            return self.push_out(request, octets, if flush { Tail::Flush } else { Tail::Nothing });
        }
        self.buffer.extend_from_slice(octets);
        Ok(())
    }

    /// Sends what has come, head and octets, now.
    pub(crate) fn flush(&mut self, request: &Request<'r>) -> Result<(), PassError> {
        self.write(request, &[], true)
    }

    /// Passes the buffer on, and then `octets`; what a client has no room for is kept.
    fn push_out(&mut self, request: &Request<'r>, octets: &[u8], tail: Tail) -> Result<(), PassError> {
        let length = self.buffer.len() + octets.len();
        let is_patient = self.is_patient(request);
        if self.waits_for_client(request) || (is_patient && length > 0 && !self.client_has_room(request, octets.len())) {
            self.owes_flush |= tail == Tail::Flush;
            let buffered = std::mem::take(&mut self.buffer);
            return self.keep(request, &buffered).and_then(|()| self.keep(request, octets));
        }
        let mut buffered = std::mem::take(&mut self.buffer);
        if !is_patient || length <= LITTLE {
            self.passed = true;
            self.brigade.pass_octets(request, &[&buffered, octets], tail)?;
        } else {
            // Without a flush httpd sends what the client takes now, and does not wait for it to take the rest.
            for piece in buffered.chunks(PIECE).chain(octets.chunks(PIECE)) {
                if self.waits_for_client(request) {
                    self.keep(request, piece)?;
                } else {
                    self.pass_some(request, piece)?;
                }
            }
            self.owes_flush |= tail == Tail::Flush;
            self.pay_flush(request)?;
        }
        buffered.clear();
        self.buffer = buffered;
        Ok(())
    }

    /// Passes as much as httpd's core sends without waiting, or keeps.
    fn pass_some(&mut self, request: &Request<'r>, piece: &[u8]) -> Result<(), PassError> {
        self.passed = true;
        self.brigade.pass_octets(request, &[piece], Tail::Nothing)?;
        // The core may have thought that so little is not worth a system call.
        if request.has_output_pending() { request.send_pending() } else { Ok(()) }
    }

    /// Brings out what filters keep, once the client has taken everything else.
    fn pay_flush(&mut self, request: &Request<'r>) -> Result<(), PassError> {
        if !self.owes_flush || self.waits_for_client(request) {
            return Ok(());
        }
        self.owes_flush = false;
        self.brigade.pass_octets(request, &[], Tail::Flush)
    }

    /// Keeps octets for a client that has no room.
    fn keep(&mut self, request: &Request<'r>, octets: &[u8]) -> Result<(), PassError> {
        if octets.is_empty() || self.spool(octets).is_ok() {
            return Ok(());
        }
        // No room for temporary files: then the application waits for the client after all.
        self.pass_spool()?;
        self.passed = true;
        self.brigade.pass_octets(request, &[octets], Tail::Flush)
    }

    fn spool(&mut self, octets: &[u8]) -> std::io::Result<()> {
        if self.spool.is_none() {
            self.spool = Some(Spool::new()?);
        }
        self.spool.as_mut().map_or(Ok(()), |spool| spool.append(octets))
    }

    /// Whether the client takes what is in the buffer, and `more` octets, without being waited for.
    fn client_has_room(&mut self, request: &Request<'r>, more: usize) -> bool {
        if request.has_output_pending() {
            return false;
        }
        let needed = self.buffer.len() + more + OVERHEAD;
        // What is first in a response meets an empty socket buffer, as a rule.
        if self.passed && self.room < needed {
            let asked = request.client_socket().map(|client| socket::wait(client, Readiness::Write, Some(Duration::ZERO)));
            if asked.is_some_and(|room| !room.unwrap_or(true)) {
                return false;
            }
            self.room = ROOM;
        }
        self.room = self.room.saturating_sub(needed);
        true
    }

    /// Whether the end of the response goes out with a flush. Without one httpd takes its time with a slow client, and needs no thread for
    /// it where the MPM can.
    fn is_ended_at_once(&mut self, request: &Request<'r>) -> bool {
        if !self.brigade.is_empty() || self.waits_for_client(request) {
            // A file goes as httpd's own do, and what waits is put into one.
            return false;
        }
        // Where everything is out already there is nothing to wait for.
        let is_out = self.passed && self.buffer.is_empty() && !request.has_output_pending();
        is_out || ((!self.passed || self.buffer.len() <= LITTLE) && self.client_has_room(request, 0))
    }

    /// Sends some of what waits to a client that has room again.
    pub(crate) fn drain(&mut self, request: &Request<'r>) -> Result<(), PassError> {
        if request.has_output_pending() {
            request.send_pending()?;
        }
        if let Some(spool) = self.spool.as_mut().filter(|spool| !spool.is_empty() && !request.has_output_pending()) {
            // Not on the stack, whose pages would be touched by each response that comes along here.
            let mut piece = vec![0; PIECE];
            let length = spool.read(&mut piece).map_err(|_| PassError::Spool)?;
            self.room = 0;
            self.pass_some(request, &piece[..length])?;
        }
        self.pay_flush(request)
    }

    /// Puts the rest of the spool into the brigade, as a part of a file: httpd keeps that without memory, and without a thread.
    fn pass_spool(&mut self) -> Result<(), PassError> {
        match self.spool.as_mut().and_then(|spool| spool.take()) {
            Some((file, offset, length)) => self.append_file(file, offset, length),
            None => Ok(()),
        }
    }

    /// Takes a part of a regular file, whose descriptor then belongs to the request.
    pub(crate) fn write_file(&mut self, request: &Request<'r>, file: OwnedFd, offset: u64, length: u64) -> Result<(), PassError> {
        self.sent += length;
        if self.state != State::Open {
            return Ok(());
        }
        self.pass_spool()?;
        if !self.buffer.is_empty() {
            let result = self.brigade.pass_octets(request, &[&self.buffer], Tail::Nothing);
            self.buffer.clear();
            result?;
        }
        self.passed = true;
        // It stays here until more comes or the response ends: httpd serves ranges of what comes together with its end.
        self.append_file(file, offset, length)
    }

    fn append_file(&mut self, file: OwnedFd, offset: u64, length: u64) -> Result<(), PassError> {
        let sendfile = self.options.sendfile.unwrap_or_else(|| sys::files::is_local(&file));
        self.brigade.write_file(file, offset, length, sendfile)
    }

    /// Ends the response, which is complete. The status is the handler's.
    pub(crate) fn end(mut self, request: &mut Request<'r>) -> Status {
        match &self.state {
            State::Waiting => Status::INTERNAL_SERVER_ERROR,
            State::Overridden(status) => Status::http(*status),
            State::Redirected(location) => {
                request.redirect_internally(location);
                Status::OK
            }
            State::Open => {
                let is_short = self.length.is_some_and(|length| self.sent < length) && !request.header_only();
                if is_short {
                    return self.cut_short(request);
                }
                let tail = if self.is_ended_at_once(request) { Tail::FlushAndEnd } else { Tail::End };
                let _gone_or_done = self.pass_spool().and_then(|()| self.brigade.pass_octets(request, &[&self.buffer], tail));
                Status::OK
            }
        }
    }

    /// Ends the response, which is not complete: the client must see that, or get `status` if nothing has been sent.
    pub(crate) fn fail(mut self, request: &mut Request<'r>, status: Status) -> Status {
        match self.state {
            State::Waiting | State::Redirected(_) => status,
            State::Overridden(status) => Status::http(status),
            // There is a head, and nobody has seen it yet.
            State::Open if !self.passed && self.buffer.is_empty() && !self.is_spooled() => status,
            State::Open => self.cut_short(request),
        }
    }

    fn cut_short(&mut self, request: &mut Request<'r>) -> Status {
        // The head goes first: of a connection that is known to close httpd lets the end be the body's, and nobody sees that it is early.
        // Before what waits for the client it has gone long since.
        let tail = if self.waits_for_client(request) { Tail::Nothing } else { Tail::Flush };
        let _gone_or_done = self.pass_spool().and_then(|()| self.brigade.pass_octets(request, &[&self.buffer], tail));
        request.close_after();
        self.brigade.broken();
        let _gone_or_done = self.brigade.pass_octets(request, &[], Tail::End);
        Status::OK
    }
}
