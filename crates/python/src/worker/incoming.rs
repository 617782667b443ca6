//! What httpd sends, put together again: octets go in as they come, and parts of the request come out. Pure: knows no socket.
//!
//! A body frame is given out in parts as its octets arrive, every other frame when it is whole. The buffer is bounded, but for a head
//! that is longer: then it grows to the head's length, as its octets arrive and not before.

#![forbid(unsafe_code)]

use wire::frame::{FileRange, FrameError, HEADER, Header, Kind};

/// How much of the body is taken in before the application reads it.
const BOUND: usize = 256 * 1024;

/// The size of an empty buffer: a head with a small body fits. Nothing is written to what no octets ever reach, so it takes no memory.
const SMALL: usize = 32 * 1024;

/// A part of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'b> {
    /// The encoded head, and the request's number.
    Head(u64, &'b [u8]),
    /// Octets of the body.
    Body(&'b [u8]),
    /// Such a part of the next descriptor is the next part of the body.
    File(FileRange),
    /// The body is complete.
    End,
    /// The body will not be complete; the text says why.
    Failed(String),
}

/// Octets are not what httpd may send.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProtocolError {
    /// They are no frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame that only a worker sends.
    #[error("frame {0:?} is none that httpd sends")]
    Direction(Kind),
    /// A frame of another request.
    #[error("frame of request {found} on the connection of request {expected}")]
    Number {
        /// The connection's.
        expected: u64,
        /// The frame's.
        found: u64,
    },
}

/// The buffer between the socket and the application.
pub(super) struct Incoming {
    buffer: Vec<u8>,
    start: usize,
    body_left: usize,
    request: Option<u64>,
}

impl Incoming {
    /// An empty one over memory that a former one has used.
    pub(super) fn new(mut buffer: Vec<u8>) -> Self {
        // What was needed once for a long head is not kept for ever.
        if buffer.capacity() > BOUND {
            buffer = Vec::new();
        }
        buffer.clear();
        buffer.reserve_exact(SMALL);
        Self { buffer, start: 0, body_left: 0, request: None }
    }

    /// The memory, for the next one.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// What received octets are to be appended to, and how many at most: none when as much as is allowed waits to be taken out.
    pub(super) fn room(&mut self) -> (&mut Vec<u8>, usize) {
        // The buffer may have grown for a head and be larger than what is allowed now.
        let is_full = self.buffer.len() >= BOUND.max(self.wanted()).min(self.buffer.capacity());
        if is_full || self.start == self.buffer.len() {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        let allowed = BOUND.max(self.wanted());
        if self.buffer.len() == self.buffer.capacity() {
            let larger = allowed.min(self.buffer.capacity() * 2);
            self.buffer.reserve_exact(larger.saturating_sub(self.buffer.len()));
        }
        let most = allowed.min(self.buffer.capacity()).saturating_sub(self.buffer.len());
        (&mut self.buffer, most)
    }

    /// Whether [`Incoming::room`] has room.
    pub(super) fn has_room(&self) -> bool {
        self.start > 0 || self.buffer.len() < BOUND.max(self.wanted())
    }

    /// The next part, if it is there; of a body at most `most` octets.
    pub(super) fn next(&mut self, most: usize) -> Result<Option<Part<'_>>, ProtocolError> {
        loop {
            if self.body_left > 0 {
                let length = self.body_left.min(most).min(self.buffer.len() - self.start);
                let from = self.start;
                self.start += length;
                self.body_left -= length;
                return Ok((length > 0).then(|| Part::Body(&self.buffer[from..from + length])));
            }
            let Some(header) = self.header()? else { return Ok(None) };
            let length = header.length as usize;
            if header.kind == Kind::RequestBody {
                self.start += HEADER;
                self.body_left = length;
                continue;
            }
            let from = self.start + HEADER;
            if self.buffer.len() - from < length {
                return Ok(None);
            }
            self.start = from + length;
            let payload = &self.buffer[from..from + length];
            return Ok(Some(match header.kind {
                Kind::RequestHead => Part::Head(header.request, payload),
                Kind::RequestFile => Part::File(FileRange::decode(payload)?),
                Kind::RequestEnd => Part::End,
                Kind::RequestFailed => Part::Failed(String::from_utf8_lossy(payload).into_owned()),
                other => return Err(ProtocolError::Direction(other)),
            }));
        }
    }

    /// Whether nothing is left over.
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.buffer.len() && self.body_left == 0
    }

    /// Whether [`Incoming::next`] has something to give or to say.
    pub(super) fn is_ready(&self) -> bool {
        if self.body_left > 0 {
            return self.buffer.len() > self.start;
        }
        match self.peek() {
            None => false,
            Some(Ok(header)) if header.kind == Kind::RequestBody && header.length > 0 => self.buffer.len() - self.start > HEADER,
            Some(Ok(header)) => self.buffer.len() - self.start >= HEADER + header.length as usize,
            Some(Err(_)) => true,
        }
    }

    /// The header of the next frame, checked against the connection it came on.
    fn header(&mut self) -> Result<Option<Header>, ProtocolError> {
        let Some(header) = self.peek().transpose()? else { return Ok(None) };
        let expected = *self.request.get_or_insert(header.request);
        if header.request == expected { Ok(Some(header)) } else { Err(ProtocolError::Number { expected, found: header.request }) }
    }

    fn peek(&self) -> Option<Result<Header, FrameError>> {
        self.buffer[self.start..].first_chunk().map(Header::decode)
    }

    /// How long the buffer must be for the frame that it begins with.
    fn wanted(&self) -> usize {
        match self.peek() {
            Some(Ok(header)) if self.body_left == 0 && header.kind != Kind::RequestBody => HEADER + header.length as usize,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::frame::push;

    fn feed(incoming: &mut Incoming, mut octets: &[u8]) {
        while !octets.is_empty() {
            let (buffer, most) = incoming.room();
            let length = most.min(octets.len());
            assert!(length > 0, "the buffer is full");
            buffer.extend_from_slice(&octets[..length]);
            octets = &octets[length..];
        }
    }

    #[test]
    fn parts_come_out_in_order_however_the_octets_were_cut() {
        let mut octets = Vec::new();
        push(&mut octets, Kind::RequestHead, 7, b"head");
        push(&mut octets, Kind::RequestBody, 7, b"one");
        push(&mut octets, Kind::RequestBody, 7, b"");
        push(&mut octets, Kind::RequestFile, 7, &FileRange { offset: 3, length: 9 }.encode());
        push(&mut octets, Kind::RequestFailed, 7, b"the client has gone");
        for cut in 1..octets.len() {
            let mut incoming = Incoming::new(Vec::new());
            let mut body = Vec::new();
            let mut others = Vec::new();
            for piece in octets.chunks(cut) {
                feed(&mut incoming, piece);
                while incoming.is_ready() {
                    match incoming.next(2).expect("frames") {
                        Some(Part::Body(octets)) => body.extend_from_slice(octets),
                        Some(part) => others.push(format!("{part:?}")),
                        None => {}
                    }
                }
            }
            assert_eq!(body, b"one");
            assert_eq!(others.len(), 3, "{others:?}");
            assert!(others[0].starts_with("Head(7") && others[2].contains("the client has gone"));
        }
    }

    #[test]
    fn a_body_that_nobody_reads_fills_the_buffer_and_no_more() {
        let mut incoming = Incoming::new(Vec::new());
        feed(&mut incoming, &Header { kind: Kind::RequestBody, length: 1 << 20, request: 1 }.encode());
        let mut taken = 0;
        while incoming.has_room() {
            let (buffer, most) = incoming.room();
            buffer.resize(buffer.len() + most, b'x');
            taken += most;
        }
        assert_eq!((taken + HEADER, incoming.room().1), (BOUND, 0));
        assert!(matches!(incoming.next(10), Ok(Some(Part::Body(octets))) if octets.len() == 10));
        assert!(incoming.has_room() && incoming.room().1 > 0);
    }

    #[test]
    fn a_long_head_has_room_as_it_arrives() {
        let mut octets = Vec::new();
        push(&mut octets, Kind::RequestHead, 1, &vec![b'x'; 3 * BOUND]);
        let mut incoming = Incoming::new(Vec::new());
        feed(&mut incoming, &octets[..HEADER]);
        assert!(incoming.room().1 <= SMALL, "nothing is allocated for what is only announced");
        feed(&mut incoming, &octets[HEADER..]);
        assert!(matches!(incoming.next(0), Ok(Some(Part::Head(1, head))) if head.len() == 3 * BOUND));
    }

    #[test]
    fn a_buffer_that_has_grown_for_a_head_has_room_as_long_as_something_was_taken_out() {
        let mut octets = Vec::new();
        push(&mut octets, Kind::RequestHead, 1, &vec![b'x'; 3 * BOUND]);
        let mut incoming = Incoming::new(Vec::new());
        feed(&mut incoming, &octets);
        assert!(matches!(incoming.next(0), Ok(Some(Part::Head(..)))));
        feed(&mut incoming, &Header { kind: Kind::RequestBody, length: 1 << 20, request: 1 }.encode());
        for _ in 0..3 {
            while incoming.has_room() {
                let (buffer, most) = incoming.room();
                assert!(most > 0, "receiving nothing would be taken for the end");
                buffer.resize(buffer.len() + most, b'y');
            }
            assert!(matches!(incoming.next(10), Ok(Some(Part::Body(octets))) if octets.len() == 10));
        }
    }

    #[test]
    fn frames_of_others_are_refused() {
        let mut octets = Vec::new();
        push(&mut octets, Kind::RequestHead, 1, b"");
        push(&mut octets, Kind::RequestEnd, 2, b"");
        let mut incoming = Incoming::new(Vec::new());
        feed(&mut incoming, &octets);
        assert_eq!(incoming.next(1), Ok(Some(Part::Head(1, b""))));
        assert_eq!(incoming.next(1), Err(ProtocolError::Number { expected: 1, found: 2 }));
        let mut octets = Vec::new();
        push(&mut octets, Kind::Began, 1, b"");
        let mut incoming = Incoming::new(Vec::new());
        feed(&mut incoming, &octets);
        assert_eq!(incoming.next(1), Err(ProtocolError::Direction(Kind::Began)));
    }
}
