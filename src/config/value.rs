//! The grammars of arguments: words, flags, numbers, options, networks.

use std::net::IpAddr;

/// An address with the number of leading bits that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    /// The address, its other bits zero.
    pub(crate) address: IpAddr,
    /// How many bits count.
    pub(crate) prefix: u8,
}
