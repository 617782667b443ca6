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
