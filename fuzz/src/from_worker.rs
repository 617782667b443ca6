//! What a worker may send to httpd: however it is cut, the same parts come out, in order, and memory stays within bounds.

#![no_main]
#![allow(dead_code, reason = "of the files of the module some functions are used here")]

#[path = "../../src/daemon/incoming.rs"]
mod incoming;
mod stream;

use incoming::{Incoming, Part};
use libfuzzer_sys::fuzz_target;
use stream::Piece;

const REQUEST: u64 = 7;

/// What is left of the parts when the places of the cuts are forgotten: kinds in order, heads, and the body as one.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    order: Vec<&'static str>,
    head: Vec<u8>,
    body: Vec<u8>,
    refused: bool,
}

fn take_in(octets: &[u8], most: usize) -> Seen {
    let mut incoming = Incoming::new(REQUEST, Vec::new());
    let mut seen = Seen::default();
    let mut rest = octets;
    while !rest.is_empty() {
        let room = incoming.room();
        assert!(!room.is_empty() && room.len() <= 64 << 20, "room for {}", room.len());
        let length = room.len().min(rest.len()).min(most);
        room[..length].copy_from_slice(&rest[..length]);
        incoming.filled(length);
        rest = &rest[length..];
        loop {
            let (kind, ended) = match incoming.next() {
                Ok(None) => break,
                Err(_) => {
                    seen.refused = true;
                    return seen;
                }
                Ok(Some(part)) => match part {
                    Part::Body(octets, _) => {
                        seen.body.extend_from_slice(octets);
                        ("body", false)
                    }
                    Part::Head(octets) => {
                        seen.head.extend_from_slice(octets);
                        ("head", false)
                    }
                    // Flushes of a stream that has come together are one.
                    Part::Flush => continue,
                    Part::Began(_) => ("began", false),
                    Part::ReadBody => ("read body", false),
                    Part::File(_) => ("file", false),
                    Part::Log(..) => ("log", false),
                    Part::LogAt(..) => ("log at", false),
                    Part::Times(_) => ("times", false),
                    Part::End(_) => ("end", true),
                    Part::Closing => ("closing", true),
                    Part::Aborted(_) => ("aborted", true),
                },
            };
            if seen.order.last() != Some(&kind) || kind != "body" {
                seen.order.push(kind);
            }
            // Nobody listens to what comes behind.
            if ended {
                return seen;
            }
        }
    }
    seen
}

fuzz_target!(|input: (u16, Vec<Piece<'_>>)| {
    let (most, pieces) = input;
    let octets = stream::octets(&pieces, REQUEST);
    let whole = take_in(&octets, usize::MAX);
    assert_eq!(take_in(&octets, usize::from(most).max(1)), whole);
});
