//! The environ's key for a header of a request. Pure.
//! <https://peps.python.org/pep-3333/#environ-variables>

use std::borrow::Cow;

/// Whether a header's name can be told from every other's once it is an environ key.
pub(crate) fn is_plain(name: &[u8]) -> bool {
    name.iter().all(|octet| octet.is_ascii_alphanumeric() || *octet == b'-')
}

/// The environ's key for a header.
pub(crate) fn key(name: &[u8]) -> Cow<'static, [u8]> {
    match name.len() {
        12 if name.eq_ignore_ascii_case(b"Content-Type") => Cow::Borrowed(b"CONTENT_TYPE"),
        14 if name.eq_ignore_ascii_case(b"Content-Length") => Cow::Borrowed(b"CONTENT_LENGTH"),
        _ => {
            let translate = |octet: &u8| if *octet == b'-' { b'_' } else { octet.to_ascii_uppercase() };
            Cow::Owned(b"HTTP_".iter().copied().chain(name.iter().map(translate)).collect())
        }
    }
}
