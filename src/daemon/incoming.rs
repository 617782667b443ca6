//! What a worker answers, put together again: octets go in as they come, and parts of the response come out. Pure: knows no socket.
//!
//! The worker runs the application's code, so nothing it says is believed: lengths, order and numbers are checked, and the buffer is
//! bounded.

#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;
use std::time::Duration;
use wire::frame::{Aborted, FileRange, FrameError, HEADER, Header, Kind, Source, Times};
use wire::log::Level;

/// The size of the buffer: an answer of 64 KiB fits whole, with its head. For so much malloc(3) asks the kernel, so what no answer ever
/// reaches stays without memory.
const SIZE: usize = 144 * 1024;

/// How many octets a worker may send at once that bring the client nothing, such as log lines, and how many more in each second.
const BESIDE: u64 = 16 << 20;
const BESIDE_PER_SECOND: u64 = 1 << 20;

/// How many octets a log line counts at least: it is written with its time and place.
const LINE: u64 = 128;

/// A part of a response.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'b> {
    /// A worker with this pid has begun.
    Began(u32),
    /// The application reads its body.
    ReadBody,
    /// The encoded head.
    Head(&'b [u8]),
    /// Octets of the body, and whether what came so far is to go out now.
    Body(&'b [u8], bool),
    /// What came so far is to go out now.
    Flush,
    /// A part of the next descriptor.
    File(FileRange),
    /// A line for the log.
    Log(Level, &'b [u8]),
    /// The same, with the line of a source file where it has come about.
    LogAt(Source<'b>, Level, &'b [u8]),
    /// Who executes the request, and since when.
    Times(Times),
    /// The response is complete; whether the connection is kept.
    End(bool),
    /// The connection takes no more requests, and ours has not been begun.
    Closing,
    /// It will not be.
    Aborted(Aborted),
}

/// What came is no response.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProtocolError {
    /// Not frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame that only httpd sends.
    #[error("frame {0:?} is none that a worker sends")]
    Direction(Kind),
    /// A frame of another request.
    #[error("frame of request {0:x} on the connection of another")]
    Number(u64),
    /// A head after the head, or a body before it.
    #[error("frame {0:?} out of order")]
    Order(Kind),
    /// More descriptors than files were announced.
    #[error("descriptors that no frame announces")]
    Descriptors,
}

/// The buffer between the socket and the brigade.
pub(super) struct Incoming {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    body_left: usize,
    request: u64,
    has_head: bool,
    has_begun: bool,
    has_read: bool,
    /// A flush has come, and is told when nothing else is there: whoever lags behind a stream sends what has come as one.
    flush: bool,
    /// Part of a body has come since the last flush.
    has_body: bool,
    /// The octets of what has come beside the response, log lines above all.
    beside: u64,
}

impl Incoming {
    /// For the answer to `request`, in memory that a former one has used.
    pub(super) fn new(request: u64, mut buffer: Vec<u8>) -> Self {
        // What a long head needed once is not kept for ever.
        if buffer.len() != SIZE {
            buffer = vec![0; SIZE];
        }
        Self {
            buffer,
            start: 0,
            end: 0,
            body_left: 0,
            request,
            has_head: false,
            has_begun: false,
            has_read: false,
            flush: false,
            has_body: false,
            beside: 0,
        }
    }

    /// How many octets have come that bring the client nothing.
    pub(super) fn beside(&self) -> u64 {
        self.beside
    }

    /// Whether that is more than an application has to say about a request that has taken so long.
    pub(super) fn is_flood(&self, elapsed: impl FnOnce() -> Duration) -> bool {
        self.beside > BESIDE && self.beside - BESIDE > elapsed().as_secs() * BESIDE_PER_SECOND
    }

    /// The memory, for the next one.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Whether nothing has come at all.
    pub(super) fn is_untouched(&self) -> bool {
        self.end == 0 && !self.has_head
    }

    /// Where octets may be received to.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.end == self.buffer.len() {
                // A frame longer than the buffer, other than a body, which is given out in parts: within its kind's limit.
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
        }
        &mut self.buffer[self.end..]
    }

    /// Says that so many octets were received to [`Incoming::room`].
    pub(super) fn filled(&mut self, octets: usize) {
        self.end = self.buffer.len().min(self.end + octets);
    }

    /// Whether nothing is left over.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end && self.body_left == 0
    }

    /// The next part, if it is there.
    pub(super) fn next(&mut self) -> Result<Option<Part<'_>>, ProtocolError> {
        let header = loop {
            if self.body_left > 0 {
                return Ok(self.body(self.start, self.body_left));
            }
            match self.header()? {
                None => return Ok(std::mem::take(&mut self.flush).then_some(Part::Flush)),
                Some(header) if header.kind == Kind::Flush => self.take_flush(header)?,
                // An empty block says nothing.
                Some(header) if header.kind == Kind::ResponseBody && header.length == 0 => {
                    self.start += HEADER;
                    self.beside += HEADER as u64;
                }
                Some(header) => break header,
            }
        };
        let length = header.length as usize;
        let from = self.start + HEADER;
        if header.kind == Kind::ResponseBody {
            self.in_order(header.kind, self.has_head)?;
            return Ok(self.body(from, length));
        }
        if self.end - from < length {
            return Ok(std::mem::take(&mut self.flush).then_some(Part::Flush));
        }
        self.start = from + length;
        let cost = (HEADER + length) as u64;
        self.beside += if matches!(header.kind, Kind::Log | Kind::LogAt) { cost.max(LINE) } else { cost };
        if header.kind == Kind::ResponseHead {
            self.in_order(header.kind, !self.has_head)?;
            self.has_head = true;
        }
        // Said once; again and again they would keep a thread of httpd's busy with nothing.
        let is_first = match header.kind {
            Kind::Began => !std::mem::replace(&mut self.has_begun, true),
            Kind::ReadBody => !std::mem::replace(&mut self.has_read, true),
            _ => true,
        };
        self.in_order(header.kind, is_first)?;
        let payload = &self.buffer[from..from + length];
        let first = payload.first().copied().unwrap_or(0);
        Ok(Some(match header.kind {
            Kind::Began => Part::Began(payload.try_into().map(u32::from_le_bytes).map_err(|_| FrameError::Payload("pid"))?),
            Kind::ReadBody => Part::ReadBody,
            Kind::ResponseHead => Part::Head(payload),
            Kind::ResponseFile => {
                self.in_order(header.kind, self.has_head)?;
                Part::File(FileRange::decode(payload)?)
            }
            Kind::Log => Part::Log(Level::from_octet(first), payload.get(1..).unwrap_or_default()),
            Kind::End => {
                self.in_order(header.kind, self.has_head)?;
                Part::End(first == 1)
            }
            Kind::LogAt => {
                let (source, rest) = Source::decode(payload)?;
                let level = Level::from_octet(rest.first().copied().unwrap_or(0));
                Part::LogAt(source, level, rest.get(1..).unwrap_or_default())
            }
            Kind::Times => Part::Times(Times::decode(payload)?),
            Kind::Closing => Part::Closing,
            Kind::Aborted => Part::Aborted(Aborted::from_octet(first)),
            other => return Err(ProtocolError::Direction(other)),
        }))
    }

    /// The header at the start, if it is there.
    fn header(&self) -> Result<Option<Header>, ProtocolError> {
        let Some(header) = self.buffer[self.start..self.end].first_chunk().map(Header::decode).transpose()? else { return Ok(None) };
        // What closes a connection belongs to no request.
        if header.request != self.request && header.kind != Kind::Closing {
            return Err(ProtocolError::Number(header.request));
        }
        Ok(Some(header))
    }

    fn take_flush(&mut self, header: Header) -> Result<(), ProtocolError> {
        if header.length > 0 {
            return Err(FrameError::Payload("flush").into());
        }
        self.start += HEADER;
        // One for each block is what a stream needs.
        if !std::mem::take(&mut self.has_body) {
            self.beside += HEADER as u64;
        }
        self.flush = true;
        Ok(())
    }

    /// As much as is there of a body of `length` octets at `from`.
    fn body(&mut self, from: usize, length: usize) -> Option<Part<'_>> {
        let there = length.min(self.end - from);
        self.has_body |= there > 0;
        self.start = from + there;
        self.body_left = length - there;
        // A flush right behind goes with it, unless something else follows.
        if self.body_left == 0
            && let Ok(Some(header)) = self.header()
            && header.kind == Kind::Flush
        {
            // What is wrong with it is told when it comes up.
            let _taken = self.take_flush(header);
        }
        let flush = self.flush && self.start == self.end;
        self.flush &= !flush;
        (there > 0 || flush).then(|| Part::Body(&self.buffer[from..from + there], flush))
    }

    fn in_order(&self, kind: Kind, condition: bool) -> Result<(), ProtocolError> {
        if condition { Ok(()) } else { Err(ProtocolError::Order(kind)) }
    }
}

/// Whether the descriptor is a regular file with at least so many octets: anything else could block httpd, or fail later.
pub(super) fn holds(file: &OwnedFd, octets: u64) -> bool {
    use sys::nix::sys::stat::{SFlag, fstat};
    fstat(file).is_ok_and(|stat| {
        SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG && u64::try_from(stat.st_size).unwrap_or(0) >= octets
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::frame::push;

    fn feed(incoming: &mut Incoming, octets: &[u8]) {
        let mut rest = octets;
        while !rest.is_empty() {
            let room = incoming.room();
            let length = room.len().min(rest.len());
            room[..length].copy_from_slice(&rest[..length]);
            incoming.filled(length);
            rest = &rest[length..];
        }
    }

    #[test]
    fn a_response_comes_out_however_it_was_cut() {
        let mut octets = Vec::new();
        push(&mut octets, Kind::ResponseHead, 7, b"head");
        push(&mut octets, Kind::ResponseBody, 7, b"body");
        push(&mut octets, Kind::Flush, 7, b"");
        push(&mut octets, Kind::End, 7, b"");
        for cut in 1..octets.len() {
            let mut incoming = Incoming::new(7, Vec::new());
            let (mut head, mut body, mut ended) = (Vec::new(), Vec::new(), false);
            for piece in octets.chunks(cut) {
                feed(&mut incoming, piece);
                while let Some(part) = incoming.next().expect("well formed") {
                    match part {
                        Part::Head(octets) => head.extend_from_slice(octets),
                        Part::Body(octets, _) => body.extend_from_slice(octets),
                        Part::End(_) => ended = true,
                        other => assert_eq!(other, Part::Flush),
                    }
                }
            }
            assert_eq!((&head[..], &body[..], ended, incoming.is_empty()), (&b"head"[..], &b"body"[..], true, true), "cut {cut}");
        }
    }

    #[test]
    fn who_lags_behind_a_stream_flushes_once() {
        let mut octets = Vec::new();
        push(&mut octets, Kind::ResponseHead, 7, b"head");
        for block in [&b"one"[..], b"", b"two"] {
            push(&mut octets, Kind::ResponseBody, 7, block);
            push(&mut octets, Kind::Flush, 7, b"");
        }
        let mut incoming = Incoming::new(7, Vec::new());
        feed(&mut incoming, &octets);
        assert_eq!(incoming.next(), Ok(Some(Part::Head(b"head"))));
        assert_eq!(incoming.next(), Ok(Some(Part::Body(b"one", false))));
        assert_eq!(incoming.next(), Ok(Some(Part::Body(b"two", true))));
        assert_eq!(incoming.next(), Ok(None));
        // The flush of a block that is cut off is told when there is nothing else.
        let mut octets = Vec::new();
        push(&mut octets, Kind::ResponseBody, 7, b"three");
        push(&mut octets, Kind::Flush, 7, b"");
        push(&mut octets, Kind::Log, 7, b"\x04a line");
        feed(&mut incoming, &octets[..octets.len() - 2]);
        assert_eq!(incoming.next(), Ok(Some(Part::Body(b"three", false))));
        assert_eq!(incoming.next(), Ok(Some(Part::Flush)));
        assert_eq!(incoming.next(), Ok(None));
    }

    #[test]
    fn what_brings_the_client_nothing_is_counted() {
        let mut octets = Vec::new();
        push(&mut octets, Kind::ResponseHead, 7, b"head");
        push(&mut octets, Kind::Log, 7, b"\x04a line");
        for block in [&b"a body"[..], b"", b"another"] {
            push(&mut octets, Kind::ResponseBody, 7, block);
            push(&mut octets, Kind::Flush, 7, b"");
        }
        let mut incoming = Incoming::new(7, Vec::new());
        feed(&mut incoming, &octets);
        while incoming.next().expect("well formed").is_some() {}
        // The head, the line, the block without octets and its flush.
        assert_eq!(incoming.beside(), (HEADER + 4) as u64 + LINE + 2 * HEADER as u64);
        assert!(!incoming.is_flood(|| Duration::ZERO));
        incoming.beside = BESIDE + 2 * BESIDE_PER_SECOND;
        assert_eq!([1, 2].map(|seconds| incoming.is_flood(|| Duration::from_secs(seconds))), [true, false]);
    }

    #[test]
    fn a_worker_is_not_believed() {
        let refused = |kind, request, payload: &[u8]| {
            let mut octets = Vec::new();
            push(&mut octets, kind, request, payload);
            let mut incoming = Incoming::new(7, Vec::new());
            feed(&mut incoming, &octets);
            incoming.next().map(|part| format!("{part:?}")).expect_err("refused")
        };
        assert_eq!(refused(Kind::ResponseBody, 7, b"x"), ProtocolError::Order(Kind::ResponseBody));
        assert_eq!(refused(Kind::End, 7, b""), ProtocolError::Order(Kind::End));
        assert_eq!(refused(Kind::Flush, 8, b""), ProtocolError::Number(8));
        assert_eq!(refused(Kind::Flush, 7, b"x"), ProtocolError::Frame(FrameError::Payload("flush")));
        assert_eq!(refused(Kind::RequestBody, 7, b""), ProtocolError::Direction(Kind::RequestBody));
        assert!(matches!(refused(Kind::Began, 7, b"1"), ProtocolError::Frame(_)));
    }
}
