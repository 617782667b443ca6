//! Names of groups and callables that depend on the request: `%{GLOBAL}`, `%{SERVER}`, `%{HOST}`, `%{RESOURCE}`, `%{ENV:name}`.
//!
//! Only a whole value is expanded: `app-%{SERVER}` is a name like any other.

use std::borrow::Cow;

/// What the names of a request depend on.
pub(crate) trait Facts {
    /// `ServerName` of the matched server, with `:port` unless that is 80 or 443.
    fn server(&self) -> Cow<'_, [u8]>;
    /// The host of the request, or else `ServerName`, with `:port` unless that is 80 or 443.
    fn host(&self) -> Cow<'_, [u8]>;
    /// The script name: the URL without path info, slashes collapsed, in lower case with `WSGICaseSensitivity Off`.
    fn script_name(&self) -> Cow<'_, [u8]>;
    /// A variable: of the request's notes, its environment, or the process's environment.
    fn env(&self, name: &[u8]) -> Option<Cow<'_, [u8]>>;
}

/// A value that may depend on the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Template {
    /// As it stands; `%{GLOBAL}` is the empty name.
    Literal(Vec<u8>),
    /// `%{SERVER}`.
    Server,
    /// `%{HOST}`.
    Host,
    /// `%{RESOURCE}`.
    Resource,
    /// `%{ENV:name}`.
    Env(Vec<u8>),
}
