//! What httpd may send to a worker: however it is cut, the same parts come out, in order, and memory stays within bounds.

#![no_main]
#![allow(dead_code, reason = "of the files of the host some functions are used here")]

#[path = "../../crates/python/src/worker/incoming.rs"]
mod incoming;
mod stream;

use incoming::{Incoming, Part};
use libfuzzer_sys::fuzz_target;
use stream::Piece;

const REQUEST: u64 = 7;

#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    order: Vec<String>,
    body: Vec<u8>,
    refused: bool,
}

fn take_in(octets: &[u8], most: usize, at_a_time: usize) -> Seen {
    let mut incoming = Incoming::new(Vec::new());
    let mut seen = Seen::default();
    let mut rest = octets;
    loop {
        let has_room = incoming.has_room();
        let (buffer, room) = incoming.room();
        // Where there is none, octets have to be taken out first, which is done below.
        assert!(room <= 32 << 20 && has_room == (room > 0), "room for {room} ({has_room})");
        let length = room.min(rest.len()).min(most);
        buffer.extend_from_slice(&rest[..length]);
        rest = &rest[length..];
        loop {
            let kind = match incoming.next(at_a_time) {
                Ok(None) => break,
                Err(_) => {
                    seen.refused = true;
                    return seen;
                }
                Ok(Some(Part::Body(octets))) => {
                    assert!(octets.len() <= at_a_time);
                    seen.body.extend_from_slice(octets);
                    continue;
                }
                Ok(Some(part)) => format!("{part:?} after {}", seen.body.len()),
            };
            seen.order.push(kind);
        }
        if rest.is_empty() {
            return seen;
        }
    }
}

fuzz_target!(|input: (u16, u16, Vec<Piece<'_>>)| {
    let (most, at_a_time, pieces) = input;
    let octets = stream::octets(&pieces, REQUEST);
    let whole = take_in(&octets, usize::MAX, usize::MAX);
    assert_eq!(take_in(&octets, usize::from(most).max(1), usize::from(at_a_time).max(1)), whole);
});
