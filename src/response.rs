//! The response on its way to the client, the same for both modes: the application's head becomes httpd's, its octets become brigades.

#![forbid(unsafe_code)]

use crate::apache::brigade::{Brigade, PassError};
use crate::apache::request::Request;
use crate::apache::status::Status;
use std::os::fd::OwnedFd;
use wire::head::ResponseHead;

/// How much is collected before it is passed on although more is to follow at once.
const COLLECT: usize = 32 * 1024;

/// A response.
pub(crate) struct Response<'r> {
    brigade: Brigade<'r>,
    collected: usize,
    state: State,
    /// The length that the application announced, and what it has sent of it.
    length: Option<u64>,
    sent: u64,
    options: ResponseOptions,
}

/// What directives say of responses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ResponseOptions {
    /// `WSGIErrorOverride`: httpd's own page for a status of 400 and more.
    pub(crate) error_override: bool,
    /// `WSGIEnableSendfile`.
    pub(crate) sendfile: bool,
    /// Whether `200` with a `Location` of this server is served by that URL instead (daemon mode, as CGI has it).
    pub(crate) internal_redirect: bool,
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
        Self { brigade: request.brigade(), collected: 0, state: State::Waiting, length: None, sent: 0, options }
    }

    /// Whether the head has come.
    pub(crate) fn has_begun(&self) -> bool {
        self.state != State::Waiting
    }

    /// Takes the head. Nothing goes out yet.
    pub(crate) fn begin(&mut self, request: &mut Request<'r>, head: &ResponseHead<'_>) {
        let location = head.headers.iter().find(|pair| pair.name.eq_ignore_ascii_case(b"Location"));
        if let Some(pair) = location.filter(|pair| self.options.internal_redirect && head.status == 200 && pair.value.starts_with(b"/")) {
            self.state = State::Redirected(pair.value.to_vec());
            return;
        }
        let overridden = self.options.error_override && head.status >= 400;
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
    pub(crate) fn write(&mut self, request: &Request<'r>, octets: &[u8]) -> Result<(), PassError> {
        self.sent += octets.len() as u64;
        if self.state != State::Open || octets.is_empty() {
            return Ok(());
        }
        self.brigade.write(octets);
        self.collected += octets.len();
        if self.collected >= COLLECT { self.pass(request) } else { Ok(()) }
    }

    /// Sends what has come, head and octets, now.
    pub(crate) fn flush(&mut self, request: &Request<'r>) -> Result<(), PassError> {
        if self.state != State::Open {
            return Ok(());
        }
        self.brigade.flush();
        self.pass(request)
    }

    /// Takes a part of a regular file, whose descriptor then belongs to the request.
    pub(crate) fn write_file(&mut self, file: OwnedFd, offset: u64, length: u64) -> Result<(), PassError> {
        self.sent += length;
        if self.state == State::Open { self.brigade.write_file(file, offset, length, self.options.sendfile) } else { Ok(()) }
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
                // With the flush first the core sends at once; otherwise it looks for a pipelined request before.
                self.brigade.flush();
                self.brigade.end();
                let _gone_or_done = self.pass(request);
                Status::OK
            }
        }
    }

    /// Ends the response, which is not complete: the client must see that, or get `status` if nothing has been sent.
    pub(crate) fn fail(mut self, request: &mut Request<'r>, status: Status) -> Status {
        match self.state {
            State::Waiting | State::Redirected(_) => status,
            State::Overridden(status) => Status::http(status),
            State::Open => self.cut_short(request),
        }
    }

    fn cut_short(&mut self, request: &mut Request<'r>) -> Status {
        request.close_after();
        self.brigade.broken();
        self.brigade.end();
        let _gone_or_done = self.pass(request);
        Status::OK
    }

    fn pass(&mut self, request: &Request<'r>) -> Result<(), PassError> {
        self.collected = 0;
        self.brigade.pass(request)
    }
}
