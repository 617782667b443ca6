//! Connections that are kept: over each, an httpd child sends one request after the other to this worker alone.
//!
//! While it waits, a connection is here. Whoever takes it out of here owns it, and puts it back when its request is over. It stays in the
//! epoll all the time, edge-triggered, which saves the system call that would arm it again for each request; so whoever is woken for a
//! connection that another thread has taken leaves a note for that one.

#![forbid(unsafe_code)]

use parking_lot::Mutex;
use std::io::IoSlice;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::time::Duration;
use sys::forks::Private;
use sys::nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use sys::nix::sys::socket::{Shutdown, shutdown};
use sys::socket::Readiness;
use wire::frame::{Header, Kind};

/// Tokens below are those of other descriptors in the epoll.
const FIRST: u64 = 16;

/// Which connection an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept(usize);

impl Kept {
    /// The connection of an event's token.
    pub(super) fn from_token(token: u64) -> Self {
        Self(usize::try_from(token.saturating_sub(FIRST)).unwrap_or(usize::MAX))
    }

    fn of(connection: &Private) -> Self {
        Self(usize::try_from(connection.as_raw_fd()).unwrap_or(usize::MAX))
    }

    fn event(self) -> EpollEvent {
        EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, self.0 as u64 + FIRST)
    }
}

/// The worker's own listener, and the connections that wait for their next request, by descriptor.
pub(super) struct Direct {
    /// Where httpd's children connect to.
    pub(super) listener: Private,
    /// Made when they are first needed: most workers have some ten connections.
    blocks: [OnceLock<Box<Block>>; BLOCKS],
}

/// Places of descriptors that follow each other.
type Block = [Mutex<Place>; BLOCK];

/// What is known of a descriptor.
struct Place {
    /// The connection, while it waits.
    waiting: Option<Private>,
    /// Whether something has come while it did not.
    missed: bool,
}

/// How many places are made at once.
const BLOCK: usize = 64;

/// Descriptors beyond these are not kept: nobody has so many httpd children.
const BLOCKS: usize = 128;

impl Direct {
    /// No connections yet.
    pub(super) fn new(listener: Private) -> Self {
        Self { listener, blocks: [const { OnceLock::new() }; BLOCKS] }
    }

    /// The place of a descriptor over which something has been kept.
    fn place(&self, kept: Kept) -> Option<&Mutex<Place>> {
        Some(&self.blocks.get(kept.0 / BLOCK)?.get()?[kept.0 % BLOCK])
    }

    /// Keeps a new connection; it comes back if that cannot be.
    pub(super) fn keep(&self, epoll: &Epoll, connection: Private) -> Result<(), Private> {
        let kept = Kept::of(&connection);
        let Some(block) = self.blocks.get(kept.0 / BLOCK) else { return Err(connection) };
        let mut place =
            block.get_or_init(|| Box::new([const { Mutex::new(Place { waiting: None, missed: false }) }; BLOCK]))[kept.0 % BLOCK].lock();
        // Under the lock, so that whoever is woken finds it.
        if epoll.add(&connection, kept.event()).is_err() {
            return Err(connection);
        }
        *place = Place { waiting: Some(connection), missed: false };
        Ok(())
    }

    /// Keeps a connection that was taken out, for its next request; gives it back if something has come already.
    pub(super) fn wait_again(&self, connection: Private) -> Option<Private> {
        let mut place = self.place(Kept::of(&connection))?.lock();
        if std::mem::take(&mut place.missed) {
            return Some(connection);
        }
        place.waiting = Some(connection);
        None
    }

    /// Takes a connection out; `None` if somebody else has, who will see that something has come.
    pub(super) fn take(&self, kept: Kept) -> Option<Private> {
        let mut place = self.place(kept)?.lock();
        let taken = place.waiting.take();
        place.missed = taken.is_none();
        taken
    }

    /// Takes some connection out for good over which a request has come.
    pub(super) fn take_request(&self) -> Option<Private> {
        let has_come = |connection: &mut Private| sys::socket::wait(connection, Readiness::Read, Some(Duration::ZERO)).unwrap_or(true);
        // Should its event be on its way to a thread, that finds the place empty; from the epoll it goes as it is closed.
        self.places().find_map(|place| place.lock().waiting.take_if(has_come))
    }

    fn places(&self) -> impl Iterator<Item = &Mutex<Place>> {
        self.blocks.iter().filter_map(OnceLock::get).flat_map(|block| block.iter())
    }

    /// Takes some connection out for good.
    pub(super) fn take_any(&self, epoll: &Epoll) -> Option<Private> {
        let connection = self.places().find_map(|place| place.lock().waiting.take())?;
        let _was_added = epoll.delete(&connection);
        Some(connection)
    }

    /// Takes no new connections any more. Those that wait to be taken in are closed, or they would wait as long as this worker drains.
    pub(super) fn end(&self, epoll: &Epoll) {
        let _was_added = epoll.delete(&self.listener);
        let _whoever_comes_now_is_refused = shutdown(self.listener.as_raw_fd(), Shutdown::Both);
        while let Ok(Some(connection)) = sys::socket::accepted(&self.listener) {
            self.close(Private::new(connection));
        }
    }

    /// Closes a connection: httpd sends elsewhere what it may have sent meanwhile.
    pub(super) fn close(&self, connection: Private) {
        let frame = Header { kind: Kind::Closing, length: 0, request: 0 }.encode();
        let _closed_anyway = sys::socket::send(&connection, &[IoSlice::new(&frame)], &[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use sys::nix::sys::epoll::{EpollCreateFlags, EpollTimeout};

    fn woken(epoll: &Epoll) -> Option<Kept> {
        let mut event = [EpollEvent::empty()];
        let events = epoll.wait(&mut event, EpollTimeout::ZERO).expect("waits");
        (events == 1).then(|| Kept::from_token(event[0].data()))
    }

    #[test]
    fn what_comes_while_a_connection_is_taken_is_seen_by_who_has_it() {
        use std::io::Write as _;
        let (listener, _) = UnixStream::pair().expect("a pair");
        let (ours, mut httpd) = UnixStream::pair().expect("a pair");
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("an epoll");
        let direct = Direct::new(Private::new(OwnedFd::from(listener)));
        assert!(direct.keep(&epoll, Private::new(OwnedFd::from(ours))).is_ok());
        assert_eq!(woken(&epoll), None);
        httpd.write_all(b"one").expect("sent");
        let kept = woken(&epoll).expect("a request");
        let connection = direct.take(kept).expect("it waits");
        httpd.write_all(b"two").expect("sent");
        assert_eq!(woken(&epoll), Some(kept), "another thread");
        assert!(direct.take(kept).is_none());
        let connection = direct.wait_again(connection).expect("something has come");
        assert!(direct.wait_again(connection).is_none(), "it is told once");
        assert!(direct.take(kept).is_some());
    }
}
