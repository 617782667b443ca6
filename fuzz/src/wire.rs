//! Octets that cross a process: whatever comes is decoded or refused, and what is decoded means the same when it is sent again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::access::{Answer, Question};
use wire::control::{self, FromWorker, ToSupervisor, ToWorker};
use wire::frame::{FileRange, HEADER, Header, Source, Times};
use wire::head::{RequestHead, ResponseHead};
use wire::scoreboard::Scoreboard;
use wire::settings::EmbeddedSettings;

fuzz_target!(|octets: &[u8]| {
    let Some((&which, octets)) = octets.split_first() else { return };
    match which % 12 {
        0 => {
            if let Some(Ok(header)) = octets.first_chunk::<HEADER>().map(Header::decode) {
                assert_eq!(Header::decode(&header.encode()), Ok(header));
            }
        }
        1 => {
            if let Ok(head) = RequestHead::decode(octets) {
                assert_eq!(RequestHead::decode(&head.encode_onto(Vec::new())).ok().as_ref(), Some(&head));
            }
        }
        2 => {
            if let Ok(head) = ResponseHead::decode(octets) {
                assert_eq!(ResponseHead::decode(&head.encode_onto(Vec::new())).ok().as_ref(), Some(&head));
            }
        }
        3 => drop(Question::decode(octets)),
        4 => drop(Answer::decode(octets)),
        5 => drop(Scoreboard::decode(octets)),
        6 => drop(Source::decode(octets)),
        7 => drop(control::decode::<ToSupervisor>(octets)),
        8 => drop(control::decode::<ToWorker>(octets)),
        9 => drop(control::decode::<FromWorker>(octets)),
        10 => drop(control::decode::<EmbeddedSettings>(octets)),
        _ => {
            if let Ok(range) = FileRange::decode(octets) {
                assert!(range.offset.checked_add(range.length).is_some_and(|end| i64::try_from(end).is_ok()));
            }
            let _whatever = Times::decode(octets);
        }
    }
});
