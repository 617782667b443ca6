//! A daemon group as `WSGIDaemonProcess` defines it.

use super::directives::ServerKey;
use super::options::Place;

/// A daemon group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    /// The name, one for the whole server.
    pub(crate) name: String,
    /// Where it was defined first.
    pub(crate) place: Place,
    /// The servers whose configuration defines it: more than one when a virtual host was copied.
    pub(crate) servers: Vec<ServerKey>,
}
