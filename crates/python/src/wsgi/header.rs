//! What a status line and a response header may look like.
//!
//! Pure: octets in, a verdict out. The texts are those of the exceptions that `start_response` raises. PEP 3333, "The
//! start_response() Callable"; RFC 9110 §5 for names and values.

#![forbid(unsafe_code)]

use std::fmt::Write as _;

/// Reads the code of a status line such as `200 OK`.
pub(crate) fn status_code(line: &[u8]) -> Result<u16, String> {
    let digits = line.iter().take_while(|octet| octet.is_ascii_digit()).count();
    if digits != 3 {
        return Err(format!("status code must be a 3 digit integer: {}", repr(line)));
    }
    match line.get(3) {
        None | Some(b' ') => {}
        Some(_) => return Err(format!("no space following status code: {}", repr(line))),
    }
    if line.iter().any(u8::is_ascii_control) {
        return Err(format!("control character in status reason phrase: {}", repr(line)));
    }
    match line[..3].iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0')) {
        0..100 => Err(format!("status code must be a 3 digit integer: {}", repr(line))),
        // There is one start_response() and one answer, and the client would wait for the real one (RFC 9110 §15.2).
        100..200 => Err(format!("status code of an interim response, which cannot be the answer: {}", repr(line))),
        code => Ok(code),
    }
}

/// Checks the name of a header: it must be a token.
pub(crate) fn check_name(name: &[u8]) -> Result<(), String> {
    let complaint = if name.is_empty() {
        return Err(String::from("header name is empty"));
    } else if name.iter().all(|octet| is_token(*octet)) {
        return Ok(());
    } else if name.iter().any(u8::is_ascii_control) {
        "control character"
    } else if name.contains(&b' ') {
        "space character"
    } else {
        "invalid character"
    };
    Err(format!("{complaint} in header name: {}", repr(name)))
}

/// Checks the value of a header: it must be one line.
pub(crate) fn check_value(value: &[u8]) -> Result<(), String> {
    if value.iter().any(|octet| matches!(octet, b'\r' | b'\n')) {
        return Err(format!("carriage return/line feed character in header value: {}", repr(value)));
    }
    if value.contains(&0) {
        return Err(format!("null character in header value: {}", repr(value)));
    }
    Ok(())
}

/// The number of octets that a `Content-Length` announces.
pub(crate) fn content_length(value: &[u8]) -> Result<u64, String> {
    let text = value.trim_ascii();
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let number = if digits { std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()) } else { None };
    number.filter(|length| i64::try_from(*length).is_ok()).ok_or_else(|| {
        let text = repr(value);
        format!("invalid Content-Length header value: {}", &text[1..])
    })
}

/// Whether a response with this status has no body, whatever the application says (RFC 9110 §6.4.1).
pub(crate) fn has_no_body(status: u16) -> bool {
    matches!(status, 204 | 304)
}

fn is_token(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet == b'-' || b"!#$%&'*+.^_`|~".contains(&octet)
}

/// Octets as Python shows a bytes object.
fn repr(octets: &[u8]) -> String {
    let quote = if octets.contains(&b'\'') && !octets.contains(&b'"') { '"' } else { '\'' };
    let mut text = format!("b{quote}");
    for octet in octets {
        match octet {
            b'\t' => text.push_str("\\t"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\\' => text.push_str("\\\\"),
            octet if char::from(*octet) == quote => {
                text.push('\\');
                text.push(quote);
            }
            0x20..0x7f => text.push(char::from(*octet)),
            octet => {
                let _infallible = write!(text, "\\x{octet:02x}");
            }
        }
    }
    text.push(quote);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_begins_with_three_digits_and_a_space() {
        assert_eq!(status_code(b"200 OK"), Ok(200));
        assert_eq!(status_code(b"404"), Ok(404));
        assert_eq!(status_code(b"200 "), Ok(200));
        assert_eq!(status_code(b"2x"), Err(String::from("status code must be a 3 digit integer: b'2x'")));
        assert_eq!(status_code(b"2000"), Err(String::from("status code must be a 3 digit integer: b'2000'")));
        assert_eq!(status_code(b"200X"), Err(String::from("no space following status code: b'200X'")));
        assert_eq!(
            status_code(b"103 Early Hints"),
            Err(String::from("status code of an interim response, which cannot be the answer: b'103 Early Hints'"))
        );
        assert_eq!(status_code(b"200 a\x01"), Err(String::from("control character in status reason phrase: b'200 a\\x01'")));
    }

    #[test]
    fn a_header_name_is_a_token() {
        assert_eq!(check_name(b"X-Thing_1"), Ok(()));
        for name in [&b""[..], b"a b", b"a:", b"a\0b", b"a\n", b"caf\xe9", b"(a)"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_header_value_is_one_line() {
        assert_eq!(check_value(b"caf\xe9\t\x01"), Ok(()));
        assert!(check_value(b"a\r\nSet-Cookie: x").is_err());
        assert!(check_value(b"a\0b").is_err());
    }

    #[test]
    fn a_content_length_is_a_number() {
        assert_eq!(content_length(b"12"), Ok(12));
        assert_eq!(content_length(b"x"), Err(String::from("invalid Content-Length header value: 'x'")));
        assert!(content_length(b"-1").is_err());
        assert!(content_length(b"99999999999999999999").is_err());
    }

    #[test]
    fn some_statuses_have_no_body() {
        assert!(has_no_body(204) && has_no_body(304));
        assert!(!has_no_body(200) && !has_no_body(205) && !has_no_body(500));
    }

    #[test]
    fn octets_are_shown_as_python_shows_them() {
        assert_eq!(repr(b"a'b\\\n\xff"), "b\"a'b\\\\\\n\\xff\"");
    }
}
