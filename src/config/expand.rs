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

impl Template {
    /// The name of an application's process or application group: all forms.
    pub(crate) fn group(value: &[u8]) -> Self {
        match variable(value) {
            Some(name) => Self::Env(name.to_vec()),
            None => Self::simple(value, true),
        }
    }

    /// The application group of a dispatch, access or authentication script: not `%{RESOURCE}` nor `%{ENV:}`, which are names there.
    pub(crate) fn child_script(value: &[u8]) -> Self {
        Self::simple(value, false)
    }

    /// The name of a callable: `%{ENV:}` only; what else begins with `%` means the default.
    pub(crate) fn callable(value: &[u8]) -> Self {
        match variable(value) {
            Some(name) => Self::Env(name.to_vec()),
            None if value.starts_with(b"%") => Self::Literal(DEFAULT_CALLABLE.to_vec()),
            None => Self::Literal(value.to_vec()),
        }
    }

    /// What only knows `%{GLOBAL}`.
    pub(crate) fn global_or_name(value: &[u8]) -> Vec<u8> {
        if value == b"%{GLOBAL}" { Vec::new() } else { value.to_vec() }
    }

    fn simple(value: &[u8], with_resource: bool) -> Self {
        match value {
            b"%{GLOBAL}" => Self::Literal(Vec::new()),
            b"%{SERVER}" => Self::Server,
            b"%{HOST}" => Self::Host,
            b"%{RESOURCE}" if with_resource => Self::Resource,
            _ => Self::Literal(value.to_vec()),
        }
    }

    /// The name, if it depends on no request.
    pub(crate) fn literal(&self) -> Option<&[u8]> {
        match self {
            Self::Literal(name) => Some(name),
            _ => None,
        }
    }

    /// The name of a group for one request.
    pub(crate) fn expand<'f>(&'f self, facts: &'f dyn Facts) -> Cow<'f, [u8]> {
        match self {
            Self::Literal(name) => Cow::Borrowed(name),
            Self::Server => facts.server(),
            Self::Host => facts.host(),
            Self::Resource => {
                let mut resource = facts.server().into_owned();
                resource.push(b'|');
                resource.extend_from_slice(&facts.script_name());
                Cow::Owned(resource)
            }
            Self::Env(name) => match facts.env(name) {
                None => Cow::Owned([b"%{ENV:", name.as_slice(), b"}"].concat()),
                // Once more, but no variable that names a variable: that could go round in circles.
                Some(value) if value.starts_with(b"%") => Cow::Owned(Self::simple(&value, true).expand(facts).into_owned()),
                Some(value) => value,
            },
        }
    }

    /// The name of a callable for one request.
    pub(crate) fn expand_callable<'f>(&'f self, facts: &'f dyn Facts) -> Cow<'f, [u8]> {
        match self {
            Self::Literal(name) => Cow::Borrowed(name),
            Self::Env(name) => match facts.env(name) {
                Some(value) if !value.starts_with(b"%") && !value.is_empty() => value,
                _ => Cow::Borrowed(DEFAULT_CALLABLE),
            },
            Self::Server | Self::Host | Self::Resource => Cow::Borrowed(DEFAULT_CALLABLE),
        }
    }
}

/// The callable when nothing names one.
pub(crate) const DEFAULT_CALLABLE: &[u8] = b"application";

/// The name in `%{ENV:name}`.
fn variable(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"%{ENV:")?.strip_suffix(b"}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::text;

    struct Request;

    impl Facts for Request {
        fn server(&self) -> Cow<'_, [u8]> {
            Cow::Borrowed(b"example.com:8080")
        }
        fn host(&self) -> Cow<'_, [u8]> {
            Cow::Borrowed(b"www.example.com:8080")
        }
        fn script_name(&self) -> Cow<'_, [u8]> {
            Cow::Borrowed(b"/app")
        }
        fn env(&self, name: &[u8]) -> Option<Cow<'_, [u8]>> {
            let value: &[u8] = match name {
                b"TENANT" => b"blue",
                b"EMPTY" => b"",
                b"VIA_HOST" => b"%{HOST}",
                b"VIA_GLOBAL" => b"%{GLOBAL}",
                b"VIA_ENV" => b"%{ENV:TENANT}",
                _ => return None,
            };
            Some(Cow::Borrowed(value))
        }
    }

    fn group(value: &str) -> String {
        text(&Template::group(value.as_bytes()).expand(&Request)).into_owned()
    }

    fn callable(value: &str) -> String {
        text(&Template::callable(value.as_bytes()).expand_callable(&Request)).into_owned()
    }

    #[test]
    fn a_whole_value_is_expanded() {
        assert_eq!(group("%{GLOBAL}"), "");
        assert_eq!(group("%{SERVER}"), "example.com:8080");
        assert_eq!(group("%{HOST}"), "www.example.com:8080");
        assert_eq!(group("%{RESOURCE}"), "example.com:8080|/app");
        assert_eq!(group("%{ENV:TENANT}"), "blue");
        assert_eq!(group("%{ENV:EMPTY}"), "");
    }

    #[test]
    fn nothing_else_is() {
        for literal in ["app-%{SERVER}", "%{SERVER}-app", "%{server}", "%", "%{OTHER}", "example.com", "%{ENV:X", " %{GLOBAL}"] {
            assert_eq!(group(literal), literal);
        }
    }

    #[test]
    fn a_variable_is_expanded_once_more_but_not_to_a_variable() {
        assert_eq!(group("%{ENV:VIA_HOST}"), "www.example.com:8080");
        assert_eq!(group("%{ENV:VIA_GLOBAL}"), "");
        assert_eq!(group("%{ENV:VIA_ENV}"), "%{ENV:TENANT}");
    }

    #[test]
    fn a_missing_variable_leaves_its_own_text() {
        assert_eq!(group("%{ENV:MISSING}"), "%{ENV:MISSING}");
    }

    #[test]
    fn scripts_of_the_children_know_three_forms() {
        assert_eq!(Template::child_script(b"%{GLOBAL}"), Template::Literal(Vec::new()));
        assert_eq!(Template::child_script(b"%{SERVER}"), Template::Server);
        assert_eq!(Template::child_script(b"%{HOST}"), Template::Host);
        assert_eq!(Template::child_script(b"%{RESOURCE}"), Template::Literal(b"%{RESOURCE}".to_vec()));
        assert_eq!(Template::child_script(b"%{ENV:TENANT}"), Template::Literal(b"%{ENV:TENANT}".to_vec()));
    }

    #[test]
    fn a_callable_knows_variables_only() {
        assert_eq!(callable("main"), "main");
        assert_eq!(callable("%{ENV:TENANT}"), "blue");
        for default in ["%{ENV:MISSING}", "%", "%{SERVER}", "%{GLOBAL}", "%{ENV:VIA_HOST}"] {
            assert_eq!(callable(default), "application", "{default}");
        }
    }

    #[test]
    fn what_depends_on_no_request_is_known_beforehand() {
        assert_eq!(Template::group(b"%{GLOBAL}").literal(), Some(b"".as_slice()));
        assert_eq!(Template::group(b"app").literal(), Some(b"app".as_slice()));
        assert_eq!(Template::group(b"%{SERVER}").literal(), None);
    }
}
