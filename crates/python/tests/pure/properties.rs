//! Properties of the checks on status lines and headers, tried with many values: what passes can stand in a response.

use super::header::{check_name, check_value, content_length, status_code};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_status_line_that_passes_is_one_line_with_a_code(line in prop_oneof![vec(any::<u8>(), 0..20).boxed(), "[0-9]{2,4} ?\\PC{0,9}".prop_map(String::into_bytes).boxed()]) {
        if let Ok(code) = status_code(&line) {
            prop_assert!((200..=999).contains(&code));
            prop_assert!(line.starts_with(code.to_string().as_bytes()) && !line.iter().any(u8::is_ascii_control));
            prop_assert!(matches!(line.get(3), None | Some(b' ')));
        }
    }

    #[test]
    fn a_name_that_passes_is_a_token(name in vec(any::<u8>(), 0..20)) {
        let is_token = !name.is_empty() && name.iter().all(|octet| octet.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(octet));
        prop_assert_eq!(check_name(&name).is_ok(), is_token);
    }

    #[test]
    fn a_value_that_passes_ends_no_line(value in vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(0)], 0..20)) {
        prop_assert_eq!(check_value(&value).is_ok(), !value.iter().any(|octet| b"\r\n\0".contains(octet)));
    }

    #[test]
    fn a_length_that_passes_is_what_httpd_reads(text in "[ \t]{0,2}[+-]?[0-9]{0,22}[ \t]{0,2}") {
        let number = text.trim().parse::<u64>().ok().filter(|number| !text.contains('+') && i64::try_from(*number).is_ok());
        prop_assert_eq!(content_length(text.as_bytes()).ok(), number);
    }

    #[test]
    fn complaints_are_one_line(octets in vec(any::<u8>(), 0..40)) {
        let complaints = [status_code(&octets).err(), check_name(&octets).err(), check_value(&octets).err(), content_length(&octets).err()];
        prop_assert!(complaints.into_iter().flatten().all(|text| text.chars().all(|c| (' '..='~').contains(&c))));
    }
}
