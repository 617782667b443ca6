//! Unix sockets (unix(7)): listeners, connections, octets and descriptors, without waiting; and [`wait`] for who has to.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, UnixCredentials, accept4, bind, connect, getsockopt, listen,
    setsockopt, socket, socketpair, sockopt,
};
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// Descriptors that one message may carry.
pub const DESCRIPTORS: usize = 4;

/// How many octets are put together before they are sent.
const LITTLE: usize = 512;

/// Room for the control message of [`DESCRIPTORS`] descriptors, aligned as cmsghdr wants it.
#[repr(C, align(8))]
struct ControlSpace([u8; 64]);

/// A stream listener at `path`, not blocking, closed on exec. A file already there is replaced.
///
/// # Errors
/// What socket(2), bind(2) or listen(2) say; `ENAMETOOLONG` for a path longer than an address holds.
pub fn listener(path: &Path, backlog: u32) -> nix::Result<OwnedFd> {
    let address = UnixAddr::new(path)?;
    match nix::unistd::unlink(path) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(other) => return Err(other),
    }
    let listener = stream()?;
    // Linux takes the mode of the file from the socket's own; the umask belongs to all threads of the process.
    nix::sys::stat::fchmod(&listener, nix::sys::stat::Mode::from_bits_truncate(0o600))?;
    bind(listener.as_raw_fd(), &address)?;
    let most = i32::try_from(backlog.max(1)).unwrap_or(i32::MAX);
    listen(&listener, Backlog::new(most).unwrap_or(Backlog::MAXCONN))?;
    Ok(listener)
}

/// A stream listener at an abstract address, not blocking, closed on exec. It needs no folder, and ends with its last descriptor.
///
/// # Errors
/// What socket(2), bind(2) or listen(2) say.
pub fn abstract_listener(name: &[u8], backlog: u32) -> nix::Result<OwnedFd> {
    let listener = stream()?;
    bind(listener.as_raw_fd(), &UnixAddr::new_abstract(name)?)?;
    set_backlog(&listener, backlog);
    Ok(listener)
}

/// Connects to an abstract address. Anybody may listen at one: the caller checks [`peer`].
///
/// # Errors
/// What connect(2) says.
pub fn connected_abstract(name: &[u8]) -> nix::Result<OwnedFd> {
    let connection = stream()?;
    connect(connection.as_raw_fd(), &UnixAddr::new_abstract(name)?)?;
    Ok(connection)
}

/// Changes how many connections may wait in a listener's queue.
pub fn set_backlog(listener: impl AsFd, backlog: u32) {
    let most = i32::try_from(backlog.max(1)).unwrap_or(i32::MAX);
    let _best_effort = listen(&listener, Backlog::new(most).unwrap_or(Backlog::MAXCONN));
}

fn stream() -> nix::Result<OwnedFd> {
    socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)
}

/// Connects to the listener at `path`. A Unix socket connects at once or not at all: `EAGAIN` means that its queue is full.
///
/// # Errors
/// What connect(2) says.
pub fn connected(path: &Path) -> nix::Result<OwnedFd> {
    let address = UnixAddr::new(path)?;
    let connection = stream()?;
    connect(connection.as_raw_fd(), &address)?;
    Ok(connection)
}

/// Connects to the listener at `path`, waiting at most `timeout` for room in its queue, in order of arrival.
///
/// # Errors
/// `EAGAIN` when there was no room until then, else what connect(2) says.
pub fn connected_within(path: &Path, timeout: Duration) -> nix::Result<OwnedFd> {
    use nix::sys::time::{TimeVal, TimeValLike};
    let address = UnixAddr::new(path)?;
    let connection = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // Zero would be without limit.
    let limit = TimeVal::microseconds(i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX).max(1));
    setsockopt(&connection, sockopt::SendTimeout, &limit)?;
    loop {
        match connect(connection.as_raw_fd(), &address) {
            Ok(()) => break,
            Err(Errno::EINTR) => {}
            Err(other) => return Err(other),
        }
    }
    nix::fcntl::fcntl(&connection, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))?;
    Ok(connection)
}

/// Takes a connection that waits; `None` if there is none.
///
/// # Errors
/// What accept(2) says, except for what only concerns a connection that is gone.
pub fn accepted(listener: impl AsFd) -> nix::Result<Option<OwnedFd>> {
    match accept4(listener.as_fd().as_raw_fd(), SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK) {
        // SAFETY: accept4 has just made this descriptor for us.
        Ok(connection) => Ok(Some(unsafe { OwnedFd::from_raw_fd(connection) })),
        Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNABORTED) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Who is at the other end of a connection, by the kernel's word.
///
/// # Errors
/// What getsockopt(2) says.
pub fn peer(connection: impl AsFd) -> nix::Result<UnixCredentials> {
    getsockopt(&connection, sockopt::PeerCredentials)
}

/// A pair of connected datagram sockets that keep order and tell of the end (`SOCK_SEQPACKET`).
///
/// # Errors
/// What socketpair(2) says.
pub fn datagram_pair() -> nix::Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

/// Asks for other buffer sizes, in octets; the kernel has the last word.
pub fn set_send_buffer(socket: impl AsFd, octets: usize) {
    let _best_effort = setsockopt(&socket, sockopt::SndBuf, &octets);
}

/// Sends octets without waiting, and a descriptor beside the first of them. Returns how many were taken.
///
/// # Errors
/// `EAGAIN` when the peer's buffer is full, `EPIPE` or `ECONNRESET` when it is gone, else what sendmsg(2) says.
pub fn send(socket: impl AsFd, octets: &[IoSlice<'_>], descriptors: &[BorrowedFd<'_>]) -> nix::Result<usize> {
    debug_assert!(descriptors.len() <= DESCRIPTORS, "callers send few descriptors");
    // To copy a few octets costs less than the kernel's look at a header and at each of their parts.
    let mut room = [0; LITTLE];
    match octets {
        [only] if descriptors.is_empty() => return send_one(&socket, only),
        _ if descriptors.is_empty() => {
            if let Some(together) = gathered(octets, &mut room) {
                return send_one(&socket, together);
            }
        }
        _ => {}
    }
    let mut space = ControlSpace([0; 64]);
    // SAFETY: a msghdr of zeros is valid: no address, no octets, no control message.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = octets.as_ptr().cast_mut().cast();
    message.msg_iovlen = octets.len();
    if !descriptors.is_empty() {
        let length = u32::try_from(std::mem::size_of_val(descriptors)).unwrap_or(0);
        message.msg_control = (&raw mut space).cast();
        // SAFETY: CMSG_SPACE and CMSG_LEN only compute. The header is within `space`, which has room for DESCRIPTORS descriptors.
        unsafe {
            message.msg_controllen = libc::CMSG_SPACE(length) as usize;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(length) as usize;
            let data = libc::CMSG_DATA(header).cast::<libc::c_int>();
            for (index, descriptor) in descriptors.iter().enumerate() {
                data.add(index).write_unaligned(descriptor.as_raw_fd());
            }
        }
    }
    loop {
        // SAFETY: everything the header points to lives until the call returns.
        let sent = unsafe { libc::sendmsg(socket.as_fd().as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) };
        match Errno::result(sent) {
            Ok(sent) => return Ok(usize::try_from(sent).unwrap_or(0)),
            Err(Errno::EINTR) => {}
            Err(other) => return Err(other),
        }
    }
}

/// All parts as one, if there is room for them.
fn gathered<'r>(parts: &[IoSlice<'_>], room: &'r mut [u8]) -> Option<&'r [u8]> {
    let mut length = 0;
    for part in parts {
        room.get_mut(length..length + part.len())?.copy_from_slice(part);
        length += part.len();
    }
    Some(&room[..length])
}

fn send_one(socket: impl AsFd, octets: &[u8]) -> nix::Result<usize> {
    loop {
        match nix::sys::socket::send(socket.as_fd().as_raw_fd(), octets, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT) {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// Receives octets without waiting; descriptors that came with them are appended. Returns 0 at the end.
///
/// # Errors
/// `EAGAIN` when there is nothing yet, else what recvmsg(2) says.
pub fn receive(socket: impl AsFd, buffer: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> nix::Result<usize> {
    receive_with(socket, part(buffer), descriptors, libc::MSG_DONTWAIT)
}

/// The same, but appends at most `most` octets to a buffer, in the memory that it has beyond its length and that nobody has written to.
///
/// # Errors
/// As [`receive`].
pub fn receive_onto(socket: impl AsFd, buffer: &mut Vec<u8>, most: usize, descriptors: &mut Vec<OwnedFd>) -> nix::Result<usize> {
    let spare = buffer.spare_capacity_mut();
    let part = libc::iovec { iov_base: spare.as_mut_ptr().cast(), iov_len: spare.len().min(most) };
    let received = receive_with(socket, part, descriptors, libc::MSG_DONTWAIT)?;
    // SAFETY: the kernel has written so many octets to the spare capacity, whose length bounds them.
    unsafe { buffer.set_len(buffer.len() + received) };
    Ok(received)
}

/// The same, but waits on a socket that [`set_waiting`] has prepared: `EAGAIN` when there was nothing in its time.
///
/// # Errors
/// As [`receive`].
pub fn receive_waiting(socket: impl AsFd, buffer: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> nix::Result<usize> {
    receive_with(socket, part(buffer), descriptors, 0)
}

/// Prepares a socket for [`receive_waiting`], which then waits at most `timeout`.
///
/// # Errors
/// What fcntl(2) or setsockopt(2) say.
pub fn set_waiting(socket: impl AsFd, timeout: Duration) -> nix::Result<()> {
    use nix::sys::time::{TimeVal, TimeValLike};
    let limit = TimeVal::microseconds(i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX).max(1));
    setsockopt(&socket, sockopt::ReceiveTimeout, &limit)?;
    nix::fcntl::fcntl(&socket, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty()))?;
    Ok(())
}

fn part(buffer: &mut [u8]) -> libc::iovec {
    libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() }
}

/// `part` is memory of the caller's.
fn receive_with(socket: impl AsFd, mut part: libc::iovec, descriptors: &mut Vec<OwnedFd>, waiting: libc::c_int) -> nix::Result<usize> {
    let mut space = ControlSpace([0; 64]);
    // SAFETY: a msghdr of zeros is valid: no address, no octets, no control message.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut space).cast();
    message.msg_controllen = size_of::<ControlSpace>();
    let flags = waiting | libc::MSG_CMSG_CLOEXEC;
    let received = loop {
        // SAFETY: everything the header points to is ours, as long as it says, and lives until the call returns.
        let received = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut message, flags) };
        match Errno::result(received) {
            Ok(received) => break usize::try_from(received).unwrap_or(0),
            Err(Errno::EINTR) => {}
            Err(other) => return Err(other),
        }
    };
    // SAFETY: the kernel has filled `space` with msg_controllen octets of well-formed control messages; the CMSG functions stay within
    // them, and each descriptor in an SCM_RIGHTS message is new and ours.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let octets = (*header).cmsg_len.saturating_sub(libc::CMSG_LEN(0) as usize);
                let data = libc::CMSG_DATA(header).cast::<libc::c_int>();
                for index in 0..octets / size_of::<libc::c_int>() {
                    descriptors.push(OwnedFd::from_raw_fd(data.add(index).read_unaligned()));
                }
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
    }
    Ok(received)
}

/// What a socket is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Octets, or the end.
    Read,
    /// Room for octets.
    Write,
    /// Either.
    Both,
}

/// Waits until `socket` is ready, at most `timeout` (`None`: without limit). Returns whether it is.
///
/// # Errors
/// What poll(2) says.
pub fn wait(socket: impl AsFd, readiness: Readiness, timeout: Option<Duration>) -> nix::Result<bool> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let flags = match readiness {
        Readiness::Read => PollFlags::POLLIN,
        Readiness::Write => PollFlags::POLLOUT,
        Readiness::Both => PollFlags::POLLIN | PollFlags::POLLOUT,
    };
    let deadline = timeout.map(|timeout| std::time::Instant::now() + timeout);
    loop {
        let left = match deadline {
            None => PollTimeout::NONE,
            // A wait shorter than a millisecond would spin.
            Some(deadline) => {
                let left = deadline.saturating_duration_since(std::time::Instant::now()).as_micros().div_ceil(1000);
                PollTimeout::try_from(i32::try_from(left).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
            }
        };
        match poll(&mut [PollFd::new(socket.as_fd(), flags)], left) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::EINTR) => {}
            Err(other) => return Err(other),
        }
    }
}

/// How many octets the next message of a socket has that keeps their borders (`SOCK_SEQPACKET`), without waiting; 0 at the end.
///
/// # Errors
/// `EAGAIN` when there is none yet, else what recv(2) says.
pub fn next_length(socket: impl AsFd) -> nix::Result<usize> {
    loop {
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT;
        match nix::sys::socket::recv(socket.as_fd().as_raw_fd(), &mut [], flags) {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// Whether the peer of a stream has closed it, seen without reading octets.
#[must_use]
pub fn is_closed(socket: impl AsFd) -> bool {
    let mut octet = [0];
    match nix::sys::socket::recv(socket.as_fd().as_raw_fd(), &mut octet, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
        Ok(0) => true,
        Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => false,
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_travels_beside_its_octets() {
        let (left, right) = datagram_pair().expect("a pair");
        let (reader, writer) = nix::unistd::pipe().expect("a pipe");
        assert_eq!(send(&left, &[IoSlice::new(b"he"), IoSlice::new(b"llo")], &[writer.as_fd()]), Ok(5));
        drop(writer);
        let mut buffer = [0; 32];
        let mut descriptors = Vec::new();
        assert_eq!(receive(&right, &mut buffer, &mut descriptors), Ok(5));
        assert_eq!((&buffer[..5], descriptors.len()), (&b"hello"[..], 1));
        nix::unistd::write(&descriptors[0], b"x").expect("a pipe");
        assert_eq!(nix::unistd::read(&reader, &mut buffer), Ok(1));
        assert_eq!(receive(&right, &mut buffer, &mut descriptors), Err(Errno::EAGAIN));
    }

    #[test]
    fn a_full_queue_is_told_apart_from_a_missing_listener() {
        let folder = std::env::temp_dir().join(format!("sys-socket-{}", std::process::id()));
        assert_eq!(connected(&folder).map(drop), Err(Errno::ENOENT));
        let listener = listener(&folder, 1).expect("a listener");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&folder).expect("bound").permissions());
        assert_eq!(mode & 0o777, 0o600);
        let waiting: Vec<_> = std::iter::from_fn(|| connected(&folder).ok()).take(64).collect();
        assert!(!waiting.is_empty() && waiting.len() < 64);
        assert_eq!(connected(&folder).map(drop), Err(Errno::EAGAIN));
        assert!(accepted(&listener).expect("accepts").is_some());
        assert_eq!(peer(&waiting[0]).expect("a peer").uid(), nix::unistd::getuid().as_raw());
        std::fs::remove_file(&folder).expect("was bound");
    }

    #[test]
    fn a_wait_ends_at_its_time() {
        let (left, right) = datagram_pair().expect("a pair");
        assert_eq!(wait(&left, Readiness::Read, Some(Duration::from_millis(5))), Ok(false));
        assert!(!is_closed(&left));
        drop(right);
        assert_eq!(wait(&left, Readiness::Read, None), Ok(true));
        assert!(is_closed(&left));
    }
}
