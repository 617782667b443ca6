//! The request body on its way to a worker: small ones go along with the head, larger ones are taken from the client first, so that a
//! slow client costs no Python thread; what is beyond the limit streams while the application reads.

#![forbid(unsafe_code)]

use crate::apache::brigade::{Brigade, Input, ReadError};
use crate::apache::request::Request;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use wire::frame::{FileRange, Kind, push};

/// A body up to this many octets goes along with the head.
const SMALL: usize = 64 * 1024;

/// Octets taken from the client at a time.
const BLOCK: usize = 64 * 1024;

/// A body up to this many octets is kept in memory, a larger one in a temporary file.
const IN_MEMORY: u64 = 4 << 20;

/// What has been taken from the client before a worker is asked.
struct Spool {
    file: File,
    length: u64,
    is_memory: bool,
}

impl Spool {
    fn append(&mut self, octets: &[u8]) -> std::io::Result<()> {
        if self.is_memory && self.length + octets.len() as u64 > IN_MEMORY {
            let mut file = tempfile::tempfile()?;
            self.file.rewind()?;
            std::io::copy(&mut self.file, &mut file)?;
            self.file = file;
            self.is_memory = false;
        }
        self.file.write_all(octets)?;
        self.length += octets.len() as u64;
        Ok(())
    }
}

/// The body of a request.
pub(super) struct RequestBody<'r> {
    brigade: Brigade<'r>,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Everything has been handed over, or there is nothing.
    Complete,
    /// Nothing is read until the application reads (`Expect: 100-continue`).
    HeldBack,
    /// More is to come from the client.
    Streaming,
}

/// Why the body was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// The client.
    #[error(transparent)]
    Client(#[from] ReadError),
    /// The temporary file.
    #[error("the request body cannot be kept in a temporary file: {0}")]
    Spool(#[from] std::io::Error),
}

/// What goes to the worker right after the head.
#[derive(Default)]
pub(super) struct Taken {
    /// Frames.
    pub(super) frames: Vec<u8>,
    /// The file that a frame among them announces.
    pub(super) file: Option<File>,
}

impl<'r> RequestBody<'r> {
    /// Takes as much of the body as is to be taken before a worker is asked, and says it in frames.
    pub(super) fn take(request: &Request<'r>, number: u64, limit: u64) -> Result<(Self, Taken), BodyError> {
        let mut body = Self { brigade: request.brigade(), state: State::Streaming };
        let mut taken = Taken::default();
        if request.body_length() == Some(0) {
            body.complete(number, &mut taken.frames);
            return Ok((body, taken));
        }
        if request.expects_continue() {
            body.state = State::HeldBack;
            return Ok((body, taken));
        }
        let mut memory = Vec::new();
        let mut spool: Option<Spool> = None;
        let mut block = vec![0; BLOCK];
        loop {
            match body.brigade.read(request, &mut block, true)? {
                Input::Octets(length) => match &mut spool {
                    None if memory.len() + length <= SMALL => memory.extend_from_slice(&block[..length]),
                    None => {
                        let mut begun = Spool { file: sys::memory::file(c"mod_wsgi request body")?, length: 0, is_memory: true };
                        begun.append(&memory)?;
                        begun.append(&block[..length])?;
                        spool = Some(begun);
                        memory = Vec::new();
                    }
                    Some(spool) => spool.append(&block[..length])?,
                },
                Input::End | Input::NotYet => {
                    body.state = State::Complete;
                    break;
                }
            }
            if spool.as_ref().is_some_and(|spool| spool.length >= limit) {
                break;
            }
        }
        if !memory.is_empty() {
            push(&mut taken.frames, Kind::RequestBody, number, &memory);
        }
        if let Some(Spool { file, length, .. }) = spool {
            push(&mut taken.frames, Kind::RequestFile, number, &FileRange { offset: 0, length }.encode());
            taken.file = Some(file);
        }
        if body.state == State::Complete {
            body.complete(number, &mut taken.frames);
        }
        Ok((body, taken))
    }

    fn complete(&mut self, number: u64, frames: &mut Vec<u8>) {
        self.state = State::Complete;
        push(frames, Kind::RequestEnd, number, b"");
    }

    /// Whether the application's reading is waited for.
    pub(super) fn is_held_back(&self) -> bool {
        self.state == State::HeldBack
    }

    /// Whether more is to come from the client now.
    pub(super) fn is_streaming(&self) -> bool {
        self.state == State::Streaming
    }

    /// The application reads: what was held back may come.
    pub(super) fn release(&mut self, request: &mut Request<'r>) {
        if self.state == State::HeldBack {
            request.send_continue();
            self.state = State::Streaming;
        }
    }

    /// Takes some more from the client without waiting, as a frame. Returns whether there was something.
    pub(super) fn take_more(&mut self, request: &Request<'r>, number: u64, frames: &mut Vec<u8>) -> bool {
        let mut block = [0; 16 * 1024];
        match self.brigade.read(request, &mut block, false) {
            Ok(Input::Octets(length)) => {
                push(frames, Kind::RequestBody, number, &block[..length]);
                true
            }
            Ok(Input::NotYet) => false,
            Ok(Input::End) => {
                self.complete(number, frames);
                true
            }
            Err(error) => {
                self.state = State::Complete;
                push(frames, Kind::RequestFailed, number, error.text.as_bytes());
                true
            }
        }
    }
}
