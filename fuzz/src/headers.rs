//! The names of a request's headers, what an application says of its response, and what it logs: what passes the checks can stand in a
//! message, no header poses as another, and no octets do harm.

#![no_main]
#![allow(dead_code, reason = "of the files of the host some functions are used here")]

#[path = "../../crates/python/src/wsgi/header.rs"]
mod header;
#[path = "../../crates/python/src/wsgi/lines.rs"]
mod lines;
#[path = "../../src/environ/header.rs"]
mod request_header;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], &[u8])| {
    let (one, other) = input;
    let keys = [request_header::key(one), request_header::key(other)];
    if request_header::is_plain(one) && request_header::is_plain(other) {
        assert_eq!(keys[0] == keys[1], one.eq_ignore_ascii_case(other));
    }
    if let Ok(code) = header::status_code(one) {
        assert!((200..=999).contains(&code) && one.starts_with(code.to_string().as_bytes()));
        assert!(!one.iter().any(u8::is_ascii_control));
    }
    if header::check_name(one).is_ok() && header::check_value(other).is_ok() {
        let line = [one, b": ", other].concat();
        assert!(!line.iter().any(|octet| b"\r\n\0".contains(octet)));
        // Whoever reads it finds the same name and value.
        assert_eq!(line.iter().position(|octet| *octet == b':'), Some(one.len()));
        assert!(!one.is_empty() && one.is_ascii() && !one.contains(&b' '));
    }
    if let Ok(length) = header::content_length(one) {
        assert!(i64::try_from(length).is_ok());
        let text = String::from_utf8_lossy(one);
        assert_eq!(text.trim_matches(|c: char| c.is_ascii_whitespace()).parse(), Ok(length));
    }
    // However a text is cut, its lines are the same, unless they are too long.
    let text = [one, other].concat();
    let mut whole = lines::LineBuffer::default();
    let mut parts = lines::LineBuffer::default();
    let mut lines = whole.push(&text);
    lines.extend(whole.flush());
    let mut again = parts.push(one);
    again.extend(parts.push(other));
    again.extend(parts.flush());
    assert!(!whole.is_pending() && !parts.is_pending());
    assert_eq!(lines, again);
});
