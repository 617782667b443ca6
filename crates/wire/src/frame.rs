//! The frames of one request's connection between an httpd child and a worker.
//!
//! A frame is a header of [`HEADER`] octets and a payload. Numbers are little endian. The codec knows no socket: it is given octets
//! and gives octets. File descriptors travel beside the frame that announces them (`SCM_RIGHTS`, unix(7)).

use crate::VERSION;

/// The length of a frame's header in octets.
pub const HEADER: usize = 16;

/// The longest payload of a `Head` frame in octets, either way.
pub const HEAD_LIMIT: u32 = 16 * 1024 * 1024;

/// The longest payload of any other frame in octets.
pub const BODY_LIMIT: u32 = 1024 * 1024;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// To the worker: a [`crate::head::RequestHead`].
    RequestHead = 1,
    /// To the worker: octets of the request body.
    RequestBody = 2,
    /// To the worker: a [`FileRange`] of the descriptor sent beside it holds the next part of the request body.
    RequestFile = 3,
    /// To the worker: the request body is complete.
    RequestEnd = 4,
    /// To the worker: the request body will not be complete; the payload says why, in UTF-8.
    RequestFailed = 5,
    /// To httpd: a worker has begun the request; the payload is its pid (u32).
    Began = 16,
    /// To httpd: the application reads and httpd may start to forward a body it has held back.
    ReadBody = 17,
    /// To httpd: a [`crate::head::ResponseHead`].
    ResponseHead = 18,
    /// To httpd: octets of the response body, to be sent with the next frame if that is already there.
    ResponseBody = 19,
    /// To httpd: what was sent so far is to be on the wire now.
    Flush = 20,
    /// To httpd: a [`FileRange`] of the descriptor sent beside it is the next part of the response body.
    ResponseFile = 21,
    /// To httpd: one line for the error log in the request's context; the payload is a level octet and UTF-8 text.
    Log = 22,
    /// To httpd: the response is complete. The payload is an octet, 1 if the connection is kept for another request.
    End = 23,
    /// To httpd: the response will not be complete; the payload is an [`Aborted`] octet.
    Aborted = 24,
    /// To httpd: the connection takes no more requests. One that was sent over it, and not answered, has not been begun.
    Closing = 25,
    /// To httpd: who executes the request, and since when; sent before its end to who wants to know. The payload is [`Times`].
    Times = 26,
    /// To httpd: a `Log` that has come about at a line of a source file; the payload is a [`Source`] before what `Log` has.
    LogAt = 28,
}

impl Kind {
    fn from_octet(octet: u8) -> Option<Self> {
        Some(match octet {
            1 => Self::RequestHead,
            2 => Self::RequestBody,
            3 => Self::RequestFile,
            4 => Self::RequestEnd,
            5 => Self::RequestFailed,
            16 => Self::Began,
            17 => Self::ReadBody,
            18 => Self::ResponseHead,
            19 => Self::ResponseBody,
            20 => Self::Flush,
            21 => Self::ResponseFile,
            22 => Self::Log,
            23 => Self::End,
            24 => Self::Aborted,
            25 => Self::Closing,
            26 => Self::Times,
            28 => Self::LogAt,
            _ => return None,
        })
    }

    fn limit(self) -> u32 {
        match self {
            Self::RequestHead | Self::ResponseHead => HEAD_LIMIT,
            _ => BODY_LIMIT,
        }
    }
}

/// Why a response ends before it is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Aborted {
    /// The application failed; the log has the traceback. Before a head this is a 500.
    Failed = 1,
    /// The request waited longer than `queue-timeout` and was not begun: 504.
    QueueTimeout = 2,
    /// The request was ended by `mod_wsgi.RequestTimeout`: 504.
    RequestTimeout = 3,
    /// The group's secret did not match; nothing was executed.
    Refused = 4,
}

impl Aborted {
    /// The reason an octet stands for; an unknown one is a failure.
    #[must_use]
    pub fn from_octet(octet: u8) -> Self {
        match octet {
            2 => Self::QueueTimeout,
            3 => Self::RequestTimeout,
            4 => Self::Refused,
            _ => Self::Failed,
        }
    }
}

/// A frame's header, checked: the length is within the limit of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame carries.
    pub kind: Kind,
    /// Octets of payload that follow the header.
    pub length: u32,
    /// The request's number, the same in every frame of a connection.
    pub request: u64,
}

/// Why octets are no frame.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The peer speaks another version of the protocol.
    #[error("frame of version {0}, expected {VERSION}")]
    Version(u8),
    /// The kind octet is unknown.
    #[error("unknown frame kind {0}")]
    Kind(u8),
    /// The payload is longer than its kind may be.
    #[error("frame of {length} octets, at most {limit} are allowed")]
    Length {
        /// As announced.
        length: u32,
        /// As allowed.
        limit: u32,
    },
    /// A payload is not what its kind says.
    #[error("malformed payload: {0}")]
    Payload(&'static str),
}

impl Header {
    /// The octets of this header.
    #[must_use]
    pub fn encode(self) -> [u8; HEADER] {
        let mut octets = [0; HEADER];
        octets[0..4].copy_from_slice(&self.length.to_le_bytes());
        octets[4] = self.kind as u8;
        octets[5] = VERSION;
        octets[8..16].copy_from_slice(&self.request.to_le_bytes());
        octets
    }

    /// Reads a header and checks version, kind and length.
    ///
    /// # Errors
    /// A [`FrameError`] that says what is wrong; the connection is then of no more use.
    pub fn decode(octets: &[u8; HEADER]) -> Result<Self, FrameError> {
        let [l0, l1, l2, l3, kind, version, _, _, request @ ..] = *octets;
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        let kind = Kind::from_octet(kind).ok_or(FrameError::Kind(kind))?;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        if length > kind.limit() {
            return Err(FrameError::Length { length, limit: kind.limit() });
        }
        Ok(Self { kind, length, request: u64::from_le_bytes(request) })
    }
}

/// Appends a whole frame to `buffer`.
pub fn push(buffer: &mut Vec<u8>, kind: Kind, request: u64, payload: &[u8]) {
    debug_assert!(payload.len() <= kind.limit() as usize, "callers split bodies");
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    buffer.extend_from_slice(&Header { kind, length, request }.encode());
    buffer.extend_from_slice(payload);
}

/// Appends a `Log` frame; text beyond the limit is cut at a character.
pub fn push_log(buffer: &mut Vec<u8>, request: u64, level: crate::log::Level, text: &str) {
    push_text(buffer, Kind::Log, request, &[], level, text);
}

/// Appends a `LogAt` frame, like [`push_log`].
pub fn push_log_at(buffer: &mut Vec<u8>, request: u64, source: Source<'_>, level: crate::log::Level, text: &str) {
    let file = &source.file[..source.file.len().min(Source::LIMIT)];
    let length = u16::try_from(file.len()).unwrap_or(0);
    let source = [&source.line.to_le_bytes()[..], &length.to_le_bytes(), file].concat();
    push_text(buffer, Kind::LogAt, request, &source, level, text);
}

fn push_text(buffer: &mut Vec<u8>, kind: Kind, request: u64, before: &[u8], level: crate::log::Level, text: &str) {
    let mut end = text.len().min(BODY_LIMIT as usize - before.len() - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let length = u32::try_from(before.len() + 1 + end).unwrap_or(BODY_LIMIT);
    buffer.extend_from_slice(&Header { kind, length, request }.encode());
    buffer.extend_from_slice(before);
    buffer.push(level as u8);
    buffer.extend_from_slice(&text.as_bytes()[..end]);
}

/// A line of a source file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source<'a> {
    /// The file's name.
    pub file: &'a [u8],
    /// The number of the line, from 1.
    pub line: u32,
}

impl<'a> Source<'a> {
    /// The longest name that travels, in octets.
    const LIMIT: usize = 4096;

    /// Reads the source at the start of a payload, and gives the rest.
    ///
    /// # Errors
    /// [`FrameError::Payload`] when there is none.
    pub fn decode(payload: &'a [u8]) -> Result<(Self, &'a [u8]), FrameError> {
        let wrong = FrameError::Payload("source");
        let Some((&[l0, l1, l2, l3, n0, n1], rest)) = payload.split_first_chunk() else { return Err(wrong) };
        let (file, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([n0, n1]))).ok_or(wrong)?;
        Ok((Self { file, line: u32::from_le_bytes([l0, l1, l2, l3]) }, rest))
    }
}

/// Who executes a request, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The worker's process.
    pub pid: u32,
    /// When it began the request, in microseconds since the epoch.
    pub begun: u64,
}

impl Times {
    /// The payload of these times.
    #[must_use]
    pub fn encode(self) -> [u8; 12] {
        let mut octets = [0; 12];
        octets[..4].copy_from_slice(&self.pid.to_le_bytes());
        octets[4..].copy_from_slice(&self.begun.to_le_bytes());
        octets
    }

    /// Reads times.
    ///
    /// # Errors
    /// [`FrameError::Payload`] when the payload has another length.
    pub fn decode(payload: &[u8]) -> Result<Self, FrameError> {
        let [p0, p1, p2, p3, begun @ ..] = <[u8; 12]>::try_from(payload).map_err(|_| FrameError::Payload("times"))?;
        Ok(Self { pid: u32::from_le_bytes([p0, p1, p2, p3]), begun: u64::from_le_bytes(begun) })
    }
}

/// A part of a file, in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRange {
    /// Where it starts.
    pub offset: u64,
    /// How long it is.
    pub length: u64,
}

impl FileRange {
    /// The payload of this range.
    #[must_use]
    pub fn encode(self) -> [u8; 16] {
        let mut octets = [0; 16];
        octets[..8].copy_from_slice(&self.offset.to_le_bytes());
        octets[8..].copy_from_slice(&self.length.to_le_bytes());
        octets
    }

    /// Reads a range; offset and length together must fit a file offset.
    ///
    /// # Errors
    /// [`FrameError::Payload`] when the payload has another length or the range is impossible.
    pub fn decode(payload: &[u8]) -> Result<Self, FrameError> {
        let octets: [u8; 16] = payload.try_into().map_err(|_| FrameError::Payload("file range"))?;
        let (offset, length) = octets.split_at(8);
        let number = |part: &[u8]| part.iter().rev().fold(0_u64, |sum, octet| sum << 8 | u64::from(*octet));
        let range = Self { offset: number(offset), length: number(length) };
        match range.offset.checked_add(range.length) {
            Some(end) if end <= i64::MAX as u64 => Ok(range),
            _ => Err(FrameError::Payload("file range beyond the largest file")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_survives_the_wire() {
        let header = Header { kind: Kind::ResponseBody, length: 70_000, request: 0x0102_0304_0506_0708 };
        assert_eq!(Header::decode(&header.encode()), Ok(header));
    }

    #[test]
    fn an_oversized_length_is_refused_before_anything_is_allocated() {
        let mut octets = Header { kind: Kind::ResponseBody, length: 0, request: 1 }.encode();
        octets[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(Header::decode(&octets), Err(FrameError::Length { .. })));
    }

    #[test]
    fn another_version_is_refused_by_name() {
        let mut octets = Header { kind: Kind::End, length: 0, request: 1 }.encode();
        octets[5] = 99;
        assert_eq!(Header::decode(&octets), Err(FrameError::Version(99)));
    }

    #[test]
    fn a_source_stands_before_its_text() {
        let mut buffer = Vec::new();
        push_log_at(&mut buffer, 7, Source { file: b"/srv/app.py", line: 42 }, crate::log::Level::Warn, "text");
        let (source, rest) = Source::decode(&buffer[HEADER..]).expect("decodes");
        assert_eq!((source.file, source.line, rest), (&b"/srv/app.py"[..], 42, &b"\x04text"[..]));
        assert!(Source::decode(b"\x01\0\0\0\x05\0abc").is_err(), "a name longer than the payload");
    }

    #[test]
    fn times_survive_the_wire() {
        let times = Times { pid: 4711, begun: 1_700_000_000_000_000 };
        assert_eq!(Times::decode(&times.encode()), Ok(times));
        assert!(Times::decode(b"short").is_err());
    }

    #[test]
    fn an_impossible_file_range_is_refused() {
        let range = FileRange { offset: u64::MAX, length: 2 };
        assert!(FileRange::decode(&range.encode()).is_err());
        let range = FileRange { offset: 4096, length: 1 << 32 };
        assert_eq!(FileRange::decode(&range.encode()), Ok(range));
    }
}
