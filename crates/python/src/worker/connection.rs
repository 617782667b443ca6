//! One connection from an httpd child: octets and descriptors both ways, every wait with a deadline.
//!
//! While there is no room to send, what httpd sends is taken in up to a bound: it may be sending the request's body at the same time,
//! and would otherwise wait for us as we wait for it.

#![forbid(unsafe_code)]

use super::incoming::{Incoming, Part, ProtocolError};
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use sys::forks::Private;
use sys::nix::errno::Errno;
use sys::nix::sys::socket::{Shutdown, shutdown};
use sys::socket::{self, Readiness};

/// How many descriptors may wait to be used; a body consists of a few parts.
const DESCRIPTORS: usize = 64;

/// What is kept of a buffer for the next connection.
const KEPT: usize = 256 * 1024;

/// How long a connection is kept only to take in what nobody reads.
const LINGER: Duration = Duration::from_secs(2);

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    /// httpd has closed it.
    #[error("the connection from httpd was closed")]
    Gone,
    /// httpd neither sent nor took anything in time.
    #[error("timeout of {} seconds on the connection from httpd", .0.as_secs())]
    Timeout(Duration),
    /// The request has taken as long as it may.
    #[error("the request has run for longer than request-timeout")]
    Overdue,
    /// httpd sent what it may not send.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The kernel said no.
    #[error("connection from httpd: {0}")]
    Os(Errno),
}

/// Whether a send may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Not at all.
    None,
    /// Until the socket timeout.
    Timeout,
}

/// How far a send has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// Everything is sent.
    All,
    /// Some of what was given is sent, and the rest of it is kept to be sent first.
    Kept,
    /// Nothing of what was given is sent or kept.
    Nothing,
}

/// Memory that passes from one connection of a thread to the next.
#[derive(Default)]
pub(super) struct Memory {
    incoming: Vec<u8>,
    pending: Vec<u8>,
    head: Vec<u8>,
}

/// A connection.
pub(super) struct Connection {
    socket: Private,
    incoming: Incoming,
    descriptors: Vec<OwnedFd>,
    /// Frames that wait to be sent with the next ones.
    pub(super) pending: Vec<u8>,
    /// Room for the octets of the request's head.
    pub(super) head: Vec<u8>,
    timeout: Duration,
    /// When the request has taken as long as it may: no wait goes on beyond.
    pub(super) until: Option<Instant>,
    ended: bool,
    broken: bool,
}

impl Connection {
    /// A connection over a socket that does not block; each wait is at most `timeout`.
    pub(super) fn new(socket: Private, timeout: Duration, memory: Memory) -> Self {
        let Memory { incoming, pending, head } = memory;
        let incoming = Incoming::new(incoming);
        Self { socket, incoming, descriptors: Vec::new(), pending, head, timeout, until: None, ended: false, broken: false }
    }

    /// The memory, and the socket.
    pub(super) fn into_parts(self) -> (Memory, Private) {
        let emptied = |mut buffer: Vec<u8>| {
            buffer.clear();
            buffer.shrink_to(KEPT);
            buffer
        };
        let memory = Memory { incoming: self.incoming.into_buffer(), pending: emptied(self.pending), head: emptied(self.head) };
        (memory, self.socket)
    }

    /// The socket, for questions about the peer.
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether this process can send nothing, or may not: one that the application forks has the same socket, and must be silent.
    pub(super) fn is_broken(&self) -> bool {
        self.broken || sys::forks::is_forked()
    }

    /// Whether another request can come: nothing of this one is left.
    pub(super) fn is_clean(&self) -> bool {
        !self.ended && !self.is_broken() && self.descriptors.is_empty() && self.incoming.is_empty()
    }

    /// Whether [`Connection::part`] has something without waiting.
    pub(super) fn has_part(&self) -> bool {
        self.incoming.is_ready()
    }

    /// The next part of what httpd sends, if it is there; of a body at most `most` octets.
    pub(super) fn part(&mut self, most: usize) -> Result<Option<Part<'_>>, ConnectionError> {
        Ok(self.incoming.next(most)?)
    }

    /// The descriptor that belongs to the next file part.
    pub(super) fn descriptor(&mut self) -> Option<OwnedFd> {
        (!self.descriptors.is_empty()).then(|| self.descriptors.remove(0))
    }

    /// Receives what is there, waiting for it until `deadline`.
    pub(super) fn receive_until(&mut self, deadline: Instant) -> Result<(), ConnectionError> {
        loop {
            if self.receive()? {
                return Ok(());
            }
            let (left, error) = self.left(deadline);
            if left.is_zero() || !socket::wait(&self.socket, Readiness::Read, Some(left)).map_err(ConnectionError::Os)? {
                return Err(error);
            }
        }
    }

    /// How long a wait until `deadline` may be, and what it means if nothing comes.
    fn left(&self, deadline: Instant) -> (Duration, ConnectionError) {
        let now = Instant::now();
        match self.until.filter(|until| *until < deadline) {
            Some(until) => (until.saturating_duration_since(now), ConnectionError::Overdue),
            None => (deadline.saturating_duration_since(now), ConnectionError::Timeout(self.timeout)),
        }
    }

    /// Receives what is there, waiting for it at most the socket timeout.
    pub(super) fn receive_in_time(&mut self) -> Result<(), ConnectionError> {
        self.receive_until(Instant::now() + self.timeout)
    }

    /// Receives what is there; `false` when that is nothing.
    pub(super) fn receive(&mut self) -> Result<bool, ConnectionError> {
        if self.ended || sys::forks::is_forked() {
            return Err(ConnectionError::Gone);
        }
        let (buffer, most) = self.incoming.room();
        match socket::receive_onto(&self.socket, buffer, most, &mut self.descriptors) {
            Ok(0) | Err(Errno::ECONNRESET) => {
                self.ended = true;
                Err(ConnectionError::Gone)
            }
            Ok(_) if self.descriptors.len() > DESCRIPTORS => {
                self.ended = true;
                Err(ConnectionError::Os(Errno::EMFILE))
            }
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN) => Ok(false),
            Err(other) => Err(ConnectionError::Os(other)),
        }
    }

    /// Sends the pending frames.
    pub(super) fn flush(&mut self, patience: Patience) -> Result<bool, ConnectionError> {
        Ok(self.send(&[], patience)? == Sent::All)
    }

    /// Sends the pending frames and then `tail`, which together are whole frames.
    pub(super) fn send(&mut self, tail: &[&[u8]], patience: Patience) -> Result<Sent, ConnectionError> {
        self.transmit(tail, None, patience)
    }

    /// Sends the pending frames and then `frame`, with a descriptor beside them, waiting at most the socket timeout. The peer knows by
    /// the order of frames and of descriptors which belong together.
    pub(super) fn send_descriptor(&mut self, frame: &[u8], descriptor: BorrowedFd<'_>) -> Result<(), ConnectionError> {
        self.transmit(&[frame], Some(descriptor), Patience::Timeout).map(drop)
    }

    fn transmit(&mut self, tail: &[&[u8]], descriptor: Option<BorrowedFd<'_>>, patience: Patience) -> Result<Sent, ConnectionError> {
        if self.is_broken() {
            return Err(ConnectionError::Gone);
        }
        let total = self.pending.len() + tail.iter().map(|part| part.len()).sum::<usize>();
        let mut done = 0;
        while done < total {
            let mut slices = [IoSlice::new(&[]); 4];
            let mut used = 0;
            let mut skip = done;
            for part in std::iter::once(&self.pending[..]).chain(tail.iter().copied()) {
                if skip < part.len() {
                    slices[used] = IoSlice::new(&part[skip..]);
                    used += 1;
                }
                skip = skip.saturating_sub(part.len());
            }
            let beside = if done == 0 { descriptor } else { None };
            match socket::send(&self.socket, &slices[..used], beside.as_slice()) {
                Ok(octets) => done += octets,
                Err(Errno::EAGAIN) if patience == Patience::None => return Ok(self.keep(done, tail)),
                Err(Errno::EAGAIN) => self.wait_for_room()?,
                Err(Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN) => return Err(self.break_off(ConnectionError::Gone)),
                Err(other) => return Err(self.break_off(ConnectionError::Os(other))),
            }
        }
        self.pending.clear();
        Ok(Sent::All)
    }

    /// Keeps what is left after `done` octets of pending and `tail`: frames must not be torn.
    fn keep(&mut self, done: usize, tail: &[&[u8]]) -> Sent {
        let Some(mut skip) = done.checked_sub(self.pending.len()).filter(|begun| *begun > 0) else {
            self.pending.drain(..done);
            return if tail.is_empty() { Sent::Kept } else { Sent::Nothing };
        };
        self.pending.clear();
        for part in tail {
            self.pending.extend_from_slice(part.get(skip..).unwrap_or_default());
            skip = skip.saturating_sub(part.len());
        }
        Sent::Kept
    }

    /// Waits until octets can perhaps be sent, or until something has been taken in.
    fn wait_for_room(&mut self) -> Result<(), ConnectionError> {
        let takes_in = !self.ended && self.incoming.has_room();
        let readiness = if takes_in { Readiness::Both } else { Readiness::Write };
        let (left, error) = self.left(Instant::now() + self.timeout);
        match socket::wait(&self.socket, readiness, Some(left)) {
            Ok(true) if takes_in => match self.receive() {
                // httpd may have ended its side and still take ours; if it does not, the next send says so.
                Ok(_) | Err(ConnectionError::Gone) => Ok(()),
                Err(other) => Err(self.break_off(other)),
            },
            Ok(true) => Ok(()),
            Ok(false) => Err(self.break_off(error)),
            Err(error) => Err(self.break_off(ConnectionError::Os(error))),
        }
    }

    fn break_off(&mut self, error: ConnectionError) -> ConnectionError {
        self.broken = true;
        error
    }

    /// Sends the pending frames as far as there is room, and nothing after them.
    pub(super) fn say_last(&mut self) {
        let _whoever_has_gone_knows = self.flush(Patience::None);
        self.broken = true;
        let _closed_in_the_end_anyway = shutdown(self.socket.as_raw_fd(), Shutdown::Write);
    }

    /// Lets httpd read what was sent before the connection is closed: closing a Unix socket that holds unread octets resets it, and httpd
    /// would lose the end of the response. httpd stops sending when it sees the end.
    pub(super) fn linger(&mut self) {
        if self.is_broken() || self.ended || self.is_read_up() {
            return;
        }
        let _closed_by_drop_anyway = shutdown(self.socket.as_raw_fd(), Shutdown::Write);
        let deadline = Instant::now() + LINGER;
        while self.receive_until(deadline).is_ok() {
            if self.is_read_up() {
                return;
            }
            self.descriptors.clear();
        }
    }

    /// Whether nothing more is to come; what is there is thrown away.
    pub(super) fn is_read_up(&mut self) -> bool {
        loop {
            match self.incoming.next(usize::MAX) {
                Ok(Some(Part::End | Part::Failed(_))) => return true,
                Ok(Some(_)) => {}
                Ok(None) => return false,
                // It cannot be told what still comes.
                Err(_) => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sys::nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    use wire::frame::{Kind, push};

    fn pair() -> (Connection, OwnedFd) {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, flags).expect("a pair");
        (Connection::new(Private::new(ours), Duration::from_millis(300), Memory::default()), theirs)
    }

    fn send_all(socket: &OwnedFd, mut octets: &[u8]) {
        while !octets.is_empty() {
            match socket::send(socket, &[IoSlice::new(octets)], &[]) {
                Ok(sent) => octets = &octets[sent..],
                Err(Errno::EAGAIN) => assert!(socket::wait(socket, Readiness::Write, Some(Duration::from_secs(5))).expect("waits")),
                Err(other) => panic!("{other}"),
            }
        }
    }

    #[test]
    fn a_body_arrives_while_a_response_waits_for_room() {
        let (mut connection, httpd) = pair();
        let mut body = Vec::new();
        push(&mut body, Kind::RequestBody, 1, &vec![b'b'; 200_000]);
        let response = vec![b'r'; 900_000];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // httpd sends its whole body before it reads anything.
                send_all(&httpd, &body);
                let mut left = response.len();
                let mut buffer = vec![0; 65536];
                while left > 0 {
                    match socket::receive(&httpd, &mut buffer, &mut Vec::new()) {
                        Ok(octets) => left -= octets,
                        Err(_) => assert!(socket::wait(&httpd, Readiness::Read, Some(Duration::from_secs(5))).expect("waits")),
                    }
                }
            });
            assert_eq!(connection.send(&[&response], Patience::Timeout).expect("sent"), Sent::All);
        });
        let mut taken = 0;
        while taken < 200_000 {
            if let Some(Part::Body(octets)) = connection.part(usize::MAX).expect("frames") {
                taken += octets.len();
            } else {
                connection.receive_in_time().expect("the rest");
            }
        }
    }

    #[test]
    fn what_is_begun_without_patience_is_not_torn() {
        let (mut connection, httpd) = pair();
        let block = vec![7; 100_000];
        let mut given = 0;
        let last = loop {
            match connection.send(&[&block], Patience::None).expect("open") {
                Sent::All => given += block.len(),
                last => break last,
            }
        };
        given += if last == Sent::Kept { block.len() } else { 0 };
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut total = 0;
                let mut buffer = vec![0; 65536];
                while total < given {
                    match socket::receive(&httpd, &mut buffer, &mut Vec::new()) {
                        Ok(octets) => total += octets,
                        Err(_) => assert!(socket::wait(&httpd, Readiness::Read, Some(Duration::from_secs(5))).expect("waits")),
                    }
                }
                total
            });
            assert!(connection.flush(Patience::Timeout).expect("flushed"));
            assert_eq!(reader.join().expect("read"), given);
        });
        assert!(connection.pending.is_empty());
    }

    #[test]
    fn a_peer_that_takes_nothing_costs_the_timeout_and_no_more() {
        let (mut connection, _httpd) = pair();
        let start = Instant::now();
        let failed = connection.send(&[&vec![0; 4_000_000]], Patience::Timeout);
        assert!(matches!(failed, Err(ConnectionError::Timeout(_))), "{failed:?}");
        assert!(start.elapsed() < Duration::from_secs(2));
        assert!(connection.is_broken());
    }

    #[test]
    fn httpd_reads_the_end_although_nobody_reads_its_body() {
        let (mut connection, httpd) = pair();
        send_all(&httpd, &wire::frame::Header { kind: Kind::RequestBody, length: 1000, request: 1 }.encode());
        send_all(&httpd, &[0; 500]);
        connection.pending.extend_from_slice(b"the end");
        connection.flush(Patience::Timeout).expect("sent");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(30));
                send_all(&httpd, &[0; 100]);
                let mut buffer = [0; 100];
                assert_eq!(socket::receive(&httpd, &mut buffer, &mut Vec::new()), Ok(7));
                assert_eq!(socket::receive(&httpd, &mut buffer, &mut Vec::new()), Ok(0));
                drop(httpd);
            });
            connection.linger();
            drop(connection);
        });
    }
}
