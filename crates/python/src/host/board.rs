//! The requests that are being executed, one place per request thread, for whoever watches over them from another thread.
//!
//! A place is locked for a moment only, by its thread when a request begins and ends, and by whoever looks. Lock order: whoever needs
//! both enters the interpreter first, then locks the place.

#![forbid(unsafe_code)]

use crate::group::Group;
use crate::python::{Attached, ThreadIdent};
use crate::wsgi::request::{Request, environ};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;
use wire::head::RequestHead;

/// All places.
pub(super) struct Board {
    places: Box<[Mutex<Place>]>,
    serial: AtomicU64,
}

/// One execution of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// The number of its thread, from 1.
    pub(crate) thread: u32,
    /// Tells it from others of the same thread.
    pub(crate) serial: u64,
    /// When it began.
    pub(crate) since: Instant,
}

#[derive(Default)]
struct Place {
    ticket: Option<Ticket>,
    /// Method and URL. The memory is kept from request to request.
    what: Vec<u8>,
    request: Option<Arc<Request>>,
    inside: Option<Inside>,
    /// Whether something was raised in its thread.
    interrupted: bool,
}

/// Where the application is being called.
#[derive(Clone)]
pub(super) struct Inside {
    /// The application group.
    pub(super) group: Arc<Group>,
    /// The thread.
    pub(super) ident: ThreadIdent,
}

/// The place of a request, until it is dropped.
pub(super) struct Taken<'b>(Option<&'b Mutex<Place>>);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.0 {
            let mut place = place.lock();
            (place.ticket, place.request, place.inside) = (None, None, None);
        }
    }
}

impl Board {
    /// Places for so many threads; requests of others are not watched.
    pub(super) fn new(threads: u32) -> Self {
        Self { places: (0..threads).map(|_| Mutex::default()).collect(), serial: AtomicU64::new(1) }
    }

    fn place(&self, thread: u32) -> Option<&Mutex<Place>> {
        self.places.get(usize::try_from(thread.checked_sub(1)?).ok()?)
    }

    /// Notes a request that begins now.
    pub(super) fn enter(&self, head: &RequestHead<'_>, request: &Arc<Request>) -> Taken<'_> {
        let place = self.place(request.thread);
        if let Some(place) = place {
            let serial = self.serial.fetch_add(1, Relaxed);
            let mut place = place.lock();
            place.ticket = Some(Ticket { thread: request.thread, serial, since: Instant::now() });
            place.request = Some(Arc::clone(request));
            place.what.clear();
            place.what.extend_from_slice(environ(head, b"REQUEST_METHOD").unwrap_or(b"-"));
            place.what.push(b' ');
            place.what.extend_from_slice(environ(head, b"REQUEST_URI").unwrap_or(head.filename));
        }
        Taken(place)
    }

    /// Calls the application: for the time of `work` the calling thread can be interrupted.
    pub(super) fn call<R>(&self, py: Attached<'_>, thread: u32, group: &Arc<Group>, work: impl FnOnce() -> R) -> R {
        let Some(place) = self.place(thread) else { return work() };
        place.lock().inside = Some(Inside { group: Arc::clone(group), ident: py.thread_ident() });
        let result = work();
        let interrupted = {
            let mut place = place.lock();
            place.inside = None;
            std::mem::take(&mut place.interrupted)
        };
        if interrupted {
            // What was raised too late must not meet the next request.
            py.forget_raised();
        }
        result
    }

    /// All that are being executed.
    pub(super) fn tickets(&self) -> Vec<Ticket> {
        self.places.iter().filter_map(|place| place.lock().ticket).collect()
    }

    /// What a request is, if it is still being executed.
    pub(super) fn describe(&self, ticket: Ticket) -> Option<String> {
        self.with(ticket, |place| place.what.escape_ascii().to_string())
    }

    /// The request, if it is still being executed.
    pub(super) fn request(&self, ticket: Ticket) -> Option<Arc<Request>> {
        self.with(ticket, |place| place.request.clone()).flatten()
    }

    /// Where the application is being called for a request, if it is.
    pub(super) fn inside(&self, ticket: Ticket) -> Option<Inside> {
        self.with(ticket, |place| place.inside.clone()).flatten()
    }

    /// Raises `RequestTimeout` in the thread of a request, if the application is still being called for it. The caller is in the
    /// interpreter that [`Board::inside`] has named.
    pub(super) fn interrupt(&self, py: Attached<'_>, ticket: Ticket) {
        self.with(ticket, |place| {
            if let Some(inside) = &place.inside {
                py.raise_in(inside.ident, &inside.group.state.request_timeout);
                place.interrupted = true;
            }
        });
    }

    fn with<R>(&self, ticket: Ticket, work: impl FnOnce(&mut Place) -> R) -> Option<R> {
        let mut place = self.place(ticket.thread)?.lock();
        (place.ticket == Some(ticket)).then(|| work(&mut place))
    }
}
