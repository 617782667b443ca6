//! What `whoami.wsgi` says about the place in which it runs.

use std::collections::BTreeMap;

use super::client::Response;

/// The facts of one answer.
#[derive(Clone, Debug)]
pub(crate) struct Facts(BTreeMap<String, String>);

impl Response {
    /// The facts in an answer of `whoami.wsgi`.
    #[track_caller]
    pub(crate) fn facts(&self) -> Facts {
        assert_eq!(self.status, 200, "{}", self.text());
        let split = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        Facts(self.text().lines().filter_map(split).collect())
    }
}

impl Facts {
    /// One fact as Python's `str` shows it.
    #[track_caller]
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("whoami.wsgi does not tell {name}"))
    }

    /// One fact as a number.
    #[track_caller]
    pub(crate) fn number(&self, name: &str) -> i32 {
        self.get(name).parse().unwrap_or_else(|_| panic!("{name} is no number: {}", self.get(name)))
    }
}
