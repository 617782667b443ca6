//! Connections that are kept: over each, an httpd child sends one request after the other to this worker alone.
//!
//! While it waits, a connection is here, and in the epoll for one event. Whoever takes it out of here owns it.

#![forbid(unsafe_code)]

use parking_lot::Mutex;
use std::io::IoSlice;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
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
        EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT, self.0 as u64 + FIRST)
    }
}

/// The worker's own listener, and the connections that wait for their next request, by descriptor.
pub(super) struct Direct {
    /// Where httpd's children connect to.
    pub(super) listener: Private,
    waiting: Box<[Mutex<Option<Private>>]>,
    /// Places from here on were never used.
    most: AtomicUsize,
}

/// Descriptors from here on are not kept: nobody has so many httpd children.
const PLACES: usize = 8192;

impl Direct {
    /// No connections yet.
    pub(super) fn new(listener: Private) -> Self {
        Self { listener, waiting: (0..PLACES).map(|_| Mutex::new(None)).collect(), most: AtomicUsize::new(0) }
    }

    /// Keeps a new connection; it comes back if that cannot be.
    pub(super) fn keep(&self, epoll: &Epoll, connection: Private) -> Result<(), Private> {
        let kept = Kept::of(&connection);
        let Some(place) = self.waiting.get(kept.0) else { return Err(connection) };
        self.most.fetch_max(kept.0 + 1, SeqCst);
        let mut place = place.lock();
        // Under the lock, so that whoever is woken finds it.
        if epoll.add(&connection, kept.event()).is_err() {
            return Err(connection);
        }
        *place = Some(connection);
        Ok(())
    }

    /// Keeps a connection that was taken out, for its next request.
    pub(super) fn wait_again(&self, epoll: &Epoll, connection: Private) {
        let kept = Kept::of(&connection);
        let Some(place) = self.waiting.get(kept.0) else { return };
        let mut place = place.lock();
        if epoll.modify(&connection, &mut kept.event()).is_ok() {
            *place = Some(connection);
        }
    }

    /// Takes a connection out; `None` if somebody else has.
    pub(super) fn take(&self, kept: Kept) -> Option<Private> {
        self.waiting.get(kept.0)?.lock().take()
    }

    /// Takes some connection out for good over which a request has come.
    pub(super) fn take_request(&self) -> Option<Private> {
        let has_come = |connection: &mut Private| sys::socket::wait(connection, Readiness::Read, Some(Duration::ZERO)).unwrap_or(true);
        // Should its event be on its way to a thread, that finds the place empty; from the epoll it goes as it is closed.
        self.places().find_map(|place| place.lock().take_if(has_come))
    }

    fn places(&self) -> impl Iterator<Item = &Mutex<Option<Private>>> {
        self.waiting.iter().take(self.most.load(SeqCst))
    }

    /// Takes some connection out for good.
    pub(super) fn take_any(&self, epoll: &Epoll) -> Option<Private> {
        let connection = self.places().find_map(|place| place.lock().take())?;
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
