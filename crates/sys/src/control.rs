//! A channel of control messages (`wire::control`) over one end of a `SOCK_SEQPACKET` pair.

use crate::socket::{self, Readiness};
use nix::errno::Errno;
use serde::{Serialize, de::DeserializeOwned};
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use wire::control::{ControlError, EncodeError, MESSAGE_LIMIT, decode, encode};

/// Why a message was not sent or received.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The peer has gone.
    #[error("the other end of the control channel is gone")]
    Gone,
    /// The peer does not read what it is sent.
    #[error("the other end of the control channel does not read")]
    Stuck,
    /// The message is too long.
    #[error(transparent)]
    TooLong(#[from] EncodeError),
    /// The peer sent something else.
    #[error(transparent)]
    Malformed(#[from] ControlError),
    /// The kernel said no.
    #[error("control channel: {0}")]
    Os(Errno),
}

/// A message and the descriptors that came beside it.
pub type Received<M> = (M, Vec<OwnedFd>);

/// One end of a channel.
#[derive(Debug)]
pub struct Channel(OwnedFd);

impl Channel {
    /// A channel over a socket that was inherited or made by [`socket::datagram_pair`].
    #[must_use]
    pub fn new(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// Both ends of a new channel; the second as the descriptor that another process inherits.
    ///
    /// # Errors
    /// What socketpair(2) says.
    pub fn pair() -> nix::Result<(Self, OwnedFd)> {
        let (ours, theirs) = socket::datagram_pair()?;
        Ok((Self(ours), theirs))
    }

    /// Sends a message, waiting at most a second for room.
    ///
    /// # Errors
    /// [`ChannelError`]; the message was then not sent.
    pub fn send<M: Serialize>(&self, message: &M, descriptors: &[BorrowedFd<'_>]) -> Result<(), ChannelError> {
        let octets = encode(message)?;
        for _ in 0..2 {
            match socket::send(&self.0, &[IoSlice::new(&octets)], descriptors) {
                Ok(_) => return Ok(()),
                Err(Errno::EAGAIN) => {
                    socket::wait(&self.0, Readiness::Write, Some(Duration::from_secs(1))).map_err(ChannelError::Os)?;
                }
                Err(Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN) => return Err(ChannelError::Gone),
                Err(other) => return Err(ChannelError::Os(other)),
            }
        }
        Err(ChannelError::Stuck)
    }

    /// Receives a message if one is there.
    ///
    /// # Errors
    /// [`ChannelError::Gone`] at the end; the others say what was wrong with a message, which is then lost.
    pub fn receive<M: DeserializeOwned>(&self) -> Result<Option<Received<M>>, ChannelError> {
        // As long as it is, and not as long as it may be: who is told something now and then would have that memory for ever.
        let mut buffer = match socket::next_length(&self.0) {
            Ok(length) => vec![0; length.min(MESSAGE_LIMIT)],
            Err(Errno::EAGAIN) => return Ok(None),
            Err(Errno::ECONNRESET) => return Err(ChannelError::Gone),
            Err(other) => return Err(ChannelError::Os(other)),
        };
        let mut descriptors = Vec::new();
        match socket::receive(&self.0, &mut buffer, &mut descriptors) {
            Ok(0) | Err(Errno::ECONNRESET) => Err(ChannelError::Gone),
            Ok(length) => Ok(Some((decode(&buffer[..length])?, descriptors))),
            Err(Errno::EAGAIN) => Ok(None),
            Err(other) => Err(ChannelError::Os(other)),
        }
    }

    /// Waits for a message, at most `timeout`; `None` when none came.
    ///
    /// # Errors
    /// As [`Channel::receive`].
    pub fn wait<M: DeserializeOwned>(&self, timeout: Option<Duration>) -> Result<Option<Received<M>>, ChannelError> {
        socket::wait(&self.0, Readiness::Read, timeout).map_err(ChannelError::Os)?;
        self.receive()
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::control::ToSupervisor;

    #[test]
    fn messages_keep_their_borders_and_the_end_is_told() {
        let (left, right) = Channel::pair().expect("a pair");
        let right = Channel::new(right);
        left.send(&ToSupervisor::Stop, &[]).expect("sent");
        left.send(&ToSupervisor::Stop, &[]).expect("sent");
        drop(left);
        assert!(matches!(right.wait::<ToSupervisor>(None), Ok(Some((ToSupervisor::Stop, _)))));
        assert!(matches!(right.receive::<ToSupervisor>(), Ok(Some((ToSupervisor::Stop, _)))));
        assert!(matches!(right.receive::<ToSupervisor>(), Err(ChannelError::Gone)));
    }
}
