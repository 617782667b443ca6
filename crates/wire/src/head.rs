//! The heads of a request and of a response, as they travel in frames and over the C table of embedded mode.

use serde::{Deserialize, Serialize};

macro_rules! codec {
    ($type:ident) => {
        impl<'a> $type<'a> {
            /// Appends the octets of this head to `buffer`.
            #[must_use]
            pub fn encode_onto(&self, buffer: Vec<u8>) -> Vec<u8> {
                postcard::to_extend(self, buffer).expect("a Vec grows and the types hold no unsized sequence")
            }

            /// Reads a head; names and values borrow from `octets`.
            ///
            /// # Errors
            /// When `octets` hold no such head.
            pub fn decode(octets: &'a [u8]) -> Result<Self, $crate::head::DecodeError> {
                Ok(postcard::from_bytes(octets)?)
            }
        }
    };
}
pub(crate) use codec;

/// How the request body comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// Frames with it follow the head without being asked for.
    Sent,
    /// httpd holds it back until the worker sends `ReadBody` (`Expect: 100-continue`).
    OnDemand,
}

/// A name and its value, as octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair<'a> {
    /// The name.
    #[serde(borrow, with = "serde_bytes")]
    pub name: &'a [u8],
    /// The value.
    #[serde(borrow, with = "serde_bytes")]
    pub value: &'a [u8],
}

/// All that a host must know of a request besides its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestHead<'a> {
    /// The group's secret: proves that the peer is an httpd child of ours. Zero in embedded mode.
    pub secret: [u8; 16],
    /// When the request is no longer wanted if not begun: microseconds of `CLOCK_MONOTONIC`.
    pub deadline: Option<u64>,
    /// The file to load: the WSGI script, or the handler script.
    #[serde(borrow, with = "serde_bytes")]
    pub script: &'a [u8],
    /// The name of the callable in it.
    #[serde(borrow, with = "serde_bytes")]
    pub callable: &'a [u8],
    /// The application group: which interpreter. Empty is the main one.
    #[serde(borrow, with = "serde_bytes")]
    pub application_group: &'a [u8],
    /// The file name for log lines, `[script …]`.
    #[serde(borrow, with = "serde_bytes")]
    pub filename: &'a [u8],
    /// Whether a changed script is loaded again (`WSGIScriptReloading`).
    pub script_reloading: bool,
    /// The script's modification time as httpd saw it for this request, in microseconds since the epoch; 0 where it did not look.
    pub script_modified: i64,
    /// Whether paths are compared without regard to case (`WSGICaseSensitivity Off`).
    pub fold_case: bool,
    /// Whether the request leaves the inactivity timer alone (`WSGIIgnoreActivity`).
    pub ignore_activity: bool,
    /// Whether `wsgi.url_scheme` is `https`.
    pub https: bool,
    /// Whether the client sees no body (`HEAD`).
    pub header_only: bool,
    /// Whether httpd wants to be told when the request was begun, by whom ([`crate::frame::Kind::Times`]).
    pub wants_times: bool,
    /// How the body comes.
    pub body: Body,
    /// When httpd received the request: microseconds since the epoch.
    pub request_start: u64,
    /// When httpd handed it over: microseconds since the epoch; 0 in embedded mode.
    pub queue_start: u64,
    /// httpd's version.
    pub apache_version: (u16, u16, u16),
    /// Every key of the environ whose value is a `str`, in no order; a later one replaces an earlier one.
    #[serde(borrow)]
    pub environ: Vec<Pair<'a>>,
}

/// What `start_response` was given, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseHead<'a> {
    /// The status code, 100 to 999.
    pub status: u16,
    /// The status line as the application gave it, such as `200 OK`.
    #[serde(borrow, with = "serde_bytes")]
    pub line: &'a [u8],
    /// The headers in the application's order.
    #[serde(borrow)]
    pub headers: Vec<Pair<'a>>,
}

/// Octets are not the value they should be.
#[derive(Debug, thiserror::Error)]
#[error("malformed message: {0}")]
pub struct DecodeError(#[from] postcard::Error);

codec!(RequestHead);
codec!(ResponseHead);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_head_survives_the_wire() {
        let head = ResponseHead {
            status: 200,
            line: b"200 OK",
            headers: vec![Pair { name: b"Set-Cookie", value: b"a=\xff" }, Pair { name: b"Set-Cookie", value: b"b" }],
        };
        assert_eq!(ResponseHead::decode(&head.encode_onto(Vec::new())).expect("decodes"), head);
    }

    #[test]
    fn a_truncated_head_is_refused() {
        let head = ResponseHead { status: 200, line: b"200 OK", headers: Vec::new() };
        let octets = head.encode_onto(Vec::new());
        assert!(ResponseHead::decode(&octets[..octets.len() - 1]).is_err());
    }
}
