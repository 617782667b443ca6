//! Properties of what crosses a process, tried with many values: what is encoded comes back, and no octets do harm.

use std::sync::atomic::AtomicU64;

use proptest::collection::vec;
use proptest::prelude::*;
use wire::access::{Answer, Question};
use wire::control::{self, FromWorker, ToSupervisor, ToWorker};
use wire::counters::Counters;
use wire::frame::{self, BODY_LIMIT, FileRange, HEAD_LIMIT, HEADER, Header, Kind, Source, Times};
use wire::head::{Body, Pair, RequestHead, ResponseHead};
use wire::scoreboard::Scoreboard;

fn octets() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..200)
}

fn pairs() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    vec((octets(), octets()), 0..20)
}

fn lend(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<Pair<'_>> {
    pairs.iter().map(|(name, value)| Pair { name, value }).collect()
}

fn sample<'a>(words: &'a [Vec<u8>; 4], numbers: [u64; 3], environ: Vec<Pair<'a>>) -> RequestHead<'a> {
    RequestHead {
        secret: [7; 16],
        deadline: numbers[0].is_multiple_of(2).then_some(numbers[0]),
        script: &words[0],
        callable: &words[1],
        application_group: &words[2],
        filename: &words[3],
        script_reloading: numbers[1].is_multiple_of(2),
        script_modified: numbers[1].cast_signed(),
        fold_case: numbers[2].is_multiple_of(2),
        ignore_activity: false,
        wants_times: false,
        https: numbers[2].is_multiple_of(3),
        header_only: true,
        body: if numbers[0].is_multiple_of(3) { Body::Sent } else { Body::OnDemand },
        request_start: numbers[1],
        queue_start: numbers[2],
        apache_version: (2, 4, 71),
        environ,
    }
}

proptest! {
    #[test]
    fn what_is_read_of_any_octets_is_within_its_limit(octets in any::<[u8; HEADER]>()) {
        if let Ok(header) = Header::decode(&octets) {
            let limit = if matches!(header.kind, Kind::RequestHead | Kind::ResponseHead) { HEAD_LIMIT } else { BODY_LIMIT };
            prop_assert!(header.length <= limit);
            prop_assert_eq!(Header::decode(&header.encode()), Ok(header));
        }
    }

    #[test]
    fn nearly_right_headers_do_no_harm(kind in 0_u8..32, length: u32, request: u64) {
        let mut octets = Header { kind: Kind::End, length: 0, request }.encode();
        octets[..4].copy_from_slice(&length.to_le_bytes());
        octets[4] = kind;
        if let Ok(header) = Header::decode(&octets) {
            prop_assert_eq!((header.kind as u8, header.length, header.request), (kind, length, request));
        }
    }

    #[test]
    fn a_log_line_is_never_longer_than_a_frame(text in "\\PC{0,300}", more in 0_usize..3) {
        let text = text.repeat(if more == 0 { 5000 } else { more });
        let mut buffer = Vec::new();
        frame::push_log(&mut buffer, 1, wire::log::Level::Info, &text);
        let header: &[u8; HEADER] = buffer[..HEADER].try_into().expect("so long");
        let header = Header::decode(header).expect("our own");
        prop_assert_eq!(buffer.len(), HEADER + header.length as usize);
        prop_assert!(text.starts_with(std::str::from_utf8(&buffer[HEADER + 1..]).expect("cut at a character")));
    }

    #[test]
    fn a_file_range_ends_within_a_file(payload in octets(), offset: u64, length: u64) {
        for range in [FileRange::decode(&payload), FileRange::decode(&FileRange { offset, length }.encode())].into_iter().flatten() {
            prop_assert!(range.offset.checked_add(range.length).is_some_and(|end| end <= i64::MAX as u64));
        }
    }

    #[test]
    fn heads_survive_the_wire(words: [Vec<u8>; 4], numbers: [u64; 3], environ in pairs(), status: u16) {
        let head = sample(&words, numbers, lend(&environ));
        let encoded = head.encode_onto(Vec::new());
        prop_assert_eq!(&RequestHead::decode(&encoded).expect("our own"), &head);
        let head = ResponseHead { status, line: &words[0], headers: lend(&environ) };
        let encoded = head.encode_onto(Vec::new());
        prop_assert_eq!(&ResponseHead::decode(&encoded).expect("our own"), &head);
    }

    #[test]
    fn damaged_heads_do_no_harm(words: [Vec<u8>; 4], environ in pairs(), at: prop::sample::Index, octet: u8, cut: prop::sample::Index) {
        let mut encoded = sample(&words, [1, 2, 3], lend(&environ)).encode_onto(Vec::new());
        let at = at.index(encoded.len());
        encoded[at] = octet;
        let _whatever = RequestHead::decode(&encoded);
        let cut = cut.index(encoded.len());
        prop_assert!(RequestHead::decode(&encoded[..cut]).is_err() || cut > at);
    }

    #[test]
    fn any_octets_may_come(octets in vec(any::<u8>(), 0..600)) {
        let _whatever = RequestHead::decode(&octets);
        let _whatever = ResponseHead::decode(&octets);
        let _whatever = Question::decode(&octets);
        let _whatever = Answer::decode(&octets);
        let _whatever = Scoreboard::decode(&octets);
        let _whatever = Times::decode(&octets);
        let _whatever = Source::decode(&octets);
        let _whatever = control::decode::<ToSupervisor>(&octets);
        let _whatever = control::decode::<ToWorker>(&octets);
        let _whatever = control::decode::<FromWorker>(&octets);
        // A huge length in front must not make room for as much.
        let octets = [&[wire::VERSION][..], &octets].concat();
        let _whatever = control::decode::<FromWorker>(&octets);
        let _whatever = control::decode::<ToWorker>(&octets);
    }

    #[test]
    fn scribbled_counters_do_no_harm(words in vec(any::<u64>(), 0..100), keep in any::<[u8; 8]>(), pid: u32, request: u64) {
        let words: Vec<AtomicU64> = words.into_iter().map(AtomicU64::new).collect();
        if let Some(word) = words.get(usize::from(keep[0]) % 8) {
            word.store(u64::from(keep[1]), std::sync::atomic::Ordering::Relaxed);
        }
        if let Some(counters) = Counters::view(&words) {
            let _whatever = (counters.shape(), counters.state(), counters.starts(), counters.death_of(pid), counters.worker_of(request));
            prop_assert!(counters.workers().count() <= words.len());
            prop_assert!(counters.snapshot().workers.len() <= words.len());
            for (_, worker) in counters.workers() {
                let _whatever = (worker.pid(), worker.free());
            }
        }
    }
}
