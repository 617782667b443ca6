//! What the names of groups depend on (`%{SERVER}` and its like), asked of the request.

#![forbid(unsafe_code)]

use crate::apache::request::Request;
use crate::config::expand::Facts;
use std::borrow::Cow;
use std::ffi::CString;

/// A request's facts. Those that cost something are worked out when a template asks for them.
pub(crate) struct RequestFacts<'f, 'r> {
    request: &'f Request<'r>,
    script_name: &'f [u8],
    fold_case: bool,
}

impl<'f, 'r> RequestFacts<'f, 'r> {
    /// The facts of `request`, whose script name is known already.
    pub(crate) fn new(request: &'f Request<'r>, script_name: &'f [u8], fold_case: bool) -> Self {
        Self { request, script_name, fold_case }
    }

    fn with_port(&self, host: &[u8]) -> Vec<u8> {
        match self.request.server_port() {
            80 | 443 => host.to_vec(),
            port => [host, b":", port.to_string().as_bytes()].concat(),
        }
    }
}

impl Facts for RequestFacts<'_, '_> {
    fn server(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.with_port(self.request.server().name().unwrap_or(b"")))
    }

    fn host(&self) -> Cow<'_, [u8]> {
        match self.request.hostname().filter(|host| !host.is_empty()) {
            Some(host) => Cow::Owned(self.with_port(host)),
            None => self.server(),
        }
    }

    fn script_name(&self) -> Cow<'_, [u8]> {
        if self.fold_case { Cow::Owned(self.script_name.to_ascii_lowercase()) } else { Cow::Borrowed(self.script_name) }
    }

    fn env(&self, name: &[u8]) -> Option<Cow<'_, [u8]>> {
        let key = CString::new(name).ok()?;
        let found = self.request.notes().get(&key).or_else(|| self.request.environment().get(&key));
        found.map(Cow::Borrowed).or_else(|| {
            use std::os::unix::ffi::{OsStrExt, OsStringExt};
            std::env::var_os(std::ffi::OsStr::from_bytes(name)).map(|value| Cow::Owned(value.into_vec()))
        })
    }
}

/// Splits a URL's path into script name and path info, each run of slashes collapsed to one.
pub(crate) fn split_path<'r>(uri: &'r [u8], path_info: &[u8]) -> (Cow<'r, [u8]>, Vec<u8>) {
    let script = &uri[..script_length(uri, path_info)];
    let info = collapse(path_info).into_owned();
    (collapse(script), info)
}

/// How much of `uri` comes before `path_info`, compared from the end, where a slash stands for any run of them.
pub(crate) fn script_length(uri: &[u8], path_info: &[u8]) -> usize {
    let (mut left, mut rest) = (uri.len(), path_info.len());
    while rest > 0 {
        let octet = path_info[rest - 1];
        if left == 0 || uri[left - 1] != octet {
            break;
        }
        let skip = |octets: &[u8], mut end: usize| {
            end -= 1;
            while octet == b'/' && end > 0 && octets[end - 1] == b'/' {
                end -= 1;
            }
            end
        };
        left = skip(uri, left);
        rest = skip(path_info, rest);
    }
    left
}

fn collapse(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.windows(2).any(|pair| pair == b"//") {
        return Cow::Borrowed(path);
    }
    let mut short = path.to_vec();
    short.dedup_by(|right, left| *right == b'/' && *left == b'/');
    Cow::Owned(short)
}

#[cfg(test)]
mod tests {
    use super::split_path;

    fn split(uri: &[u8], info: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (script, info) = split_path(uri, info);
        (script.into_owned(), info)
    }

    #[test]
    fn script_name_is_what_is_before_the_path_info() {
        assert_eq!(split(b"/app/a/b", b"/a/b"), (b"/app".to_vec(), b"/a/b".to_vec()));
        assert_eq!(split(b"/a", b"/a"), (Vec::new(), b"/a".to_vec()));
        assert_eq!(split(b"/app", b""), (b"/app".to_vec(), Vec::new()));
    }

    #[test]
    fn runs_of_slashes_count_as_one() {
        assert_eq!(split(b"//app//a///b", b"/a/b"), (b"/app".to_vec(), b"/a/b".to_vec()));
        assert_eq!(split(b"/app/a/b", b"//a//b"), (b"/app".to_vec(), b"/a/b".to_vec()));
    }
}
