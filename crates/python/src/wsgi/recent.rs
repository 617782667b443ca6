//! What successive requests have in common: most of the environ. A client sends the same headers each time, and httpd says the same of
//! itself, so a dict is kept that is copied, and only what differs is made anew.
//!
//! The dict is ours alone: applications get copies.

#![forbid(unsafe_code)]

use super::environ::value;
use crate::python::{Attached, Exception, Object};
use wire::head::RequestHead;

/// How many octets of a request are worth remembering.
const SMALL: usize = 16 * 1024;

/// A request, remembered by its names and values.
pub(super) struct Recent {
    /// Names and values, one behind the other, and how long each is.
    octets: Vec<u8>,
    lengths: Vec<(usize, usize)>,
    /// The names as keys; none for a pair that a later one replaces.
    keys: Vec<Option<Object>>,
    /// The environ that they make.
    common: Object,
}

impl Recent {
    /// Remembers the request with this head, whose names are `keys`, and whose environ is `common`.
    pub(super) fn new(head: &RequestHead<'_>, keys: Vec<Object>, common: Object) -> Self {
        let replaced = |at: usize| head.environ[at + 1..].iter().any(|later| later.name == head.environ[at].name);
        Self {
            octets: head.environ.iter().flat_map(|pair| [pair.name, pair.value]).flatten().copied().collect(),
            lengths: head.environ.iter().map(|pair| (pair.name.len(), pair.value.len())).collect(),
            keys: keys.into_iter().enumerate().map(|(at, key)| (!replaced(at)).then_some(key)).collect(),
            common,
        }
    }

    /// Whether it is worth its memory.
    pub(super) fn is_small(&self) -> bool {
        self.octets.len() <= SMALL
    }

    /// Whether a request has the same names in the same order.
    pub(super) fn resembles(&self, head: &RequestHead<'_>) -> bool {
        let mut start = 0;
        head.environ.len() == self.lengths.len()
            && head.environ.iter().zip(&self.lengths).all(|(pair, (name, value))| {
                let same = pair.name.len() == *name && self.octets.get(start..start + name) == Some(pair.name);
                start += name + value;
                same
            })
    }

    /// The environ of a request that resembles this one.
    pub(super) fn environ(&self, py: Attached<'_>, head: &RequestHead<'_>) -> Result<Object, Exception> {
        let environ = self.common.dict_copy(py)?;
        let mut start = 0;
        for ((pair, (name, length)), key) in head.environ.iter().zip(&self.lengths).zip(&self.keys) {
            let known = self.octets.get(start + name..start + name + length);
            start += name + length;
            if let (true, Some(key)) = (known != Some(pair.value), key) {
                environ.dict_set(py, key, &value(py, pair)?)?;
            }
        }
        Ok(environ)
    }
}
