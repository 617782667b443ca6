//! What PEP 3333 needs of whoever carries a request: the frames of daemon mode or the C table of embedded mode.

use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use wire::frame::Source;
use wire::head::ResponseHead;
use wire::log::Level;

/// One request and its response, on the way. The functions may wait for the peer: callers that hold an interpreter leave it for the
/// call unless they use [`Exchange::try_send`] or [`Exchange::read_is_ready`] says that it will not wait. It may be called from
/// any thread of the application, one at a time.
pub(crate) trait Exchange: Send {
    /// Reads up to `buffer.len()` octets of the request body, waiting for at least one; 0 is its end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, InputError>;

    /// Whether the next [`Exchange::read`] is answered from memory.
    fn read_is_ready(&self) -> bool;

    /// Takes the head; it leaves with the first octets, with a flush or with the end. Called once, before any `send`.
    fn send_head(&mut self, head: &ResponseHead<'_>) -> Result<(), OutputError>;

    /// Sends octets of the response body. With [`Push::Now`] they are on the wire when this returns; with [`Push::Later`] they may wait
    /// for the next call.
    fn send(&mut self, octets: &[u8], push: Push) -> Result<(), OutputError>;

    /// Tries the same without waiting: `false` means that nothing was sent and [`Exchange::send`] is to be called without the
    /// interpreter.
    fn try_send(&mut self, octets: &[u8], push: Push) -> Result<bool, OutputError>;

    /// Sends a part of a regular file; the descriptor is the caller's and may be closed afterwards.
    fn send_file(&mut self, file: BorrowedFd<'_>, offset: u64, length: u64) -> Result<(), OutputError>;

    /// Tells the client that its request has taken too long; nothing that is sent later leaves. Called where somebody watches over
    /// requests.
    fn cut_off(&mut self) {}

    /// The value of one of mod_ssl's variables; there is none where httpd is another process.
    fn ssl_variable(&mut self, _name: &[u8]) -> Option<Vec<u8>> {
        None
    }

    /// The address of httpd's own record of the request, where applications may have it (`WSGIPassApacheRequest`).
    fn request_record(&mut self) -> Option<NonZeroUsize> {
        None
    }

    /// Writes one line to the error log in the request's context.
    fn log(&mut self, level: Level, line: &str);

    /// The same for a line that has come about at a line of a source file.
    fn log_at(&mut self, level: Level, line: &str, _source: Source<'_>) {
        self.log(level, line);
    }
}

/// When octets are to be on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Push {
    /// When this call returns.
    Now,
    /// With what comes next; something comes next.
    Later,
}

/// The request body cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InputError(pub(crate) String);

/// The response cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// The client, or httpd, has gone.
    #[error("client connection closed")]
    ClientGone,
    /// Anything else.
    #[error("failed to write response data: {0}")]
    Failed(String),
}

/// How the application's work on a request ended; whoever carries the request tells it to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The response is complete.
    Done,
    /// It failed before the head was sent (500).
    Failed,
    /// It failed after the head was sent: the client must see that.
    Truncated,
    /// The client went away; nobody waits for the rest.
    ClientGone,
    /// `mod_wsgi.RequestTimeout` ended it before the head was sent (504).
    TimedOut,
}
