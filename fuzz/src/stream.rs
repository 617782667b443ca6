//! A stream of frames that is nearly right, made of what the fuzzer has found: a decoder that sees nothing but noise stays at its door.

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use wire::frame::{HEADER, Header, Kind};

/// A piece of a stream.
#[derive(Arbitrary, Debug)]
pub(crate) enum Piece<'a> {
    /// A frame with the payload that its header says.
    Frame(u8, &'a [u8]),
    /// A frame of another length than its header says, or of another request.
    Odd(u8, u32, u8, &'a [u8]),
    /// A long body.
    Long(u8, u16),
    /// Anything.
    Noise(&'a [u8]),
}

/// The octets of pieces for a request with this number.
pub(crate) fn octets(pieces: &[Piece<'_>], request: u64) -> Vec<u8> {
    let mut octets = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Frame(kind, payload) => push(&mut octets, *kind, u32::try_from(payload.len()).unwrap_or(0), request, payload),
            Piece::Odd(kind, length, other, payload) => push(&mut octets, *kind, *length, request ^ u64::from(*other & 1), payload),
            Piece::Long(kind, length) => push(&mut octets, *kind, u32::from(*length), request, &vec![b'x'; usize::from(*length)]),
            Piece::Noise(noise) => octets.extend_from_slice(noise),
        }
    }
    octets
}

fn push(octets: &mut Vec<u8>, kind: u8, length: u32, request: u64, payload: &[u8]) {
    let mut header: [u8; HEADER] = Header { kind: Kind::Flush, length: 0, request }.encode();
    header[..4].copy_from_slice(&length.to_le_bytes());
    // The kinds are few, and lie together.
    header[4] = kind % 32;
    octets.extend_from_slice(&header);
    octets.extend_from_slice(payload);
}
