//! One request, from the connection just accepted to the connection closed.

#![forbid(unsafe_code)]

use super::connection::{Connection, ConnectionError, Memory};
use super::exchange::Frames;
use super::incoming::Part;
use super::log;
use super::offer::Offer;
use super::watch::Signs;
use crate::wsgi::exchange::{Exchange, Outcome};
use parking_lot::{Condvar, Mutex};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use sys::forks::Private;
use sys::memory::SharedWords;
use sys::nix::sys::eventfd::EventFd;
use wire::codes;
use wire::control::StopReason;
use wire::counters::{Counters, WorkerSlot};
use wire::frame::Aborted;
use wire::head::RequestHead;

/// How long a peer may take to send the head; httpd sends it together with the connection.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// Microseconds in the queue after which it is worth asking whether httpd still waits.
const LONG_QUEUED: u64 = 50_000;

/// How often a request that waits for new code looks whether the old is the new again.
const RECHECK: Duration = Duration::from_millis(100);

/// What serves a request: the host. Called on a request thread, with the thread's number, from 1.
pub(super) type Serve = dyn Fn(u32, &RequestHead<'_>, &mut dyn Exchange) -> Outcome + Send + Sync;

/// Whether a request is for a script that has changed.
pub(super) type Outdated = dyn Fn(&RequestHead<'_>) -> bool + Send + Sync;

/// Becomes true once.
#[derive(Default)]
pub(super) struct Leaving(Mutex<bool>, Condvar);

/// What all request threads of this worker share.
pub(super) struct Service {
    /// The host.
    pub(super) serve: Box<Serve>,
    /// Where old code must not answer (`reload=strict`): whether a request would be answered by it.
    pub(super) outdated: Option<Box<Outdated>>,
    /// Whether the worker takes no more requests, and what tells those who wait for that.
    pub(super) leaving: Leaving,
    /// Called by each request thread before it ends: what the host keeps for it is given back while there is a Python.
    pub(super) leave: fn(),
    /// The group's secret.
    pub(super) secret: [u8; 16],
    /// Who may connect besides root.
    pub(super) peers: Vec<u32>,
    /// The longest wait on a connection.
    pub(super) timeout: Duration,
    /// The group's counters, if there are any, and this worker's slot in them.
    pub(super) counters: Option<(SharedWords, u32)>,
    /// The threads that httpd's children may reserve.
    pub(super) offer: Offer,
    /// `maximum-requests`, 0 for none.
    pub(super) maximum_requests: u64,
    /// `request-timeout`, if there is one.
    pub(super) request_timeout: Option<Duration>,
    /// What the timers are told.
    pub(super) signs: Arc<Signs>,
    /// How many requests have been finished.
    pub(super) finished: AtomicU64,
    /// The limit that this worker has met.
    pub(super) limit: OnceLock<StopReason>,
    /// Whether the control loop is to look for requests that find no thread; it stops by itself.
    pub(super) overdrawn: AtomicBool,
    /// Wakes the control loop, which looks at [`Service::limit`] and [`Service::overdrawn`].
    pub(super) news: EventFd,
}

/// How a connection has come, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Out of the group's queue: it is closed after its request.
    Queue,
    /// From a child that has reserved a thread: it is kept.
    Direct,
    /// The same, but the worker ends: it is closed.
    LastDirect,
}

/// What a request thread takes along from one request to the next.
pub(super) struct Turn {
    /// The thread's number, from 0.
    thread: u32,
    memory: Memory,
    /// Whether it holds a reservation, for a request that waits in the queue.
    pub(super) reserved: bool,
}

impl Turn {
    /// The first one of a thread.
    pub(super) fn new(thread: u32) -> Self {
        Self { thread, memory: Memory::default(), reserved: false }
    }
}

/// Why there is no request on a connection.
#[derive(Debug, thiserror::Error)]
enum NoRequest {
    /// The peer is not who it must be.
    #[error("uid {0} may not connect to the processes of this group")]
    Stranger(u32),
    /// Nothing came, or not what should.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// Nothing has come: a thread was woken for what another one has taken.
    #[error("nothing has come")]
    Nothing,
    /// The first frame is not a head.
    #[error("the connection does not begin with a request")]
    NotAHead,
    /// The head is none.
    #[error(transparent)]
    Malformed(#[from] wire::head::DecodeError),
    /// The head holds the secret of somebody else.
    #[error("a request with the secret of another group, or of an httpd before its restart")]
    Secret,
    /// It has waited for longer than it wants to.
    #[error("request has waited in the queue for longer than queue-timeout")]
    TooLate,
    /// The worker runs old code, and leaves it to others.
    #[error("the script has changed")]
    Outdated,
    /// The worker runs old code, and nobody comes who runs the new one.
    #[error("the script has changed, and no process with the new code has come within socket-timeout")]
    NeverRenewed,
    /// httpd waits no more.
    #[error("the connection was closed while it waited in the queue")]
    Abandoned,
}

impl Service {
    /// Serves the request that comes over `socket`; the socket comes back when it is kept. `queued` says whether a request waits in the
    /// group's queue: the thread then keeps its reservation for it, or requests that come directly would overtake it.
    pub(super) fn handle(&self, turn: &mut Turn, socket: Private, origin: Origin, queued: &dyn Fn() -> bool) -> Option<Private> {
        if origin == Origin::Queue && !std::mem::take(&mut turn.reserved) {
            self.with_slot(|slot| self.offer.take(slot));
            if self.is_overdrawn() && !self.overdrawn.swap(true, SeqCst) {
                let _wakes_unless_already_awake = self.news.write(1);
            }
        }
        let mut connection = Connection::new(socket, self.timeout, std::mem::take(&mut turn.memory));
        let mut octets = std::mem::take(&mut connection.head);
        let mut keeps = false;
        match self.read_request(&mut connection, &mut octets, origin) {
            // httpd has closed a connection that it kept: no thread was reserved for that.
            Err(NoRequest::Connection(ConnectionError::Gone)) if origin != Origin::Queue => {}
            Err(NoRequest::Nothing) => keeps = true,
            Err(error) => {
                report(&error);
                self.go_on(turn, queued);
            }
            Ok((number, head)) => match self.check(&connection, &head) {
                Ok(()) => keeps = self.execute(turn, number, &head, &mut connection, origin, queued),
                Err(error) => {
                    self.go_on(turn, queued);
                    refuse(&error, number, &head, &mut connection);
                }
            },
        }
        connection.head = octets;
        let (memory, socket) = connection.into_parts();
        turn.memory = memory;
        keeps.then_some(socket)
    }

    /// Gives the reservation of a request back that has ended, or keeps it for the one that is next.
    fn go_on(&self, turn: &mut Turn, queued: &dyn Fn() -> bool) {
        self.with_slot(|slot| {
            // As long as there are free threads nobody goes to the queue.
            if slot.free() == 0 && queued() {
                turn.reserved = true;
            } else {
                self.offer.give_back(slot);
            }
        });
    }

    /// Gives the reservation back that a thread has kept in vain.
    pub(super) fn give_back(&self, turn: &mut Turn) {
        if std::mem::take(&mut turn.reserved) {
            self.with_slot(|slot| self.offer.give_back(slot));
        }
    }

    /// Whether a request that has come directly, or will, finds no thread.
    pub(super) fn is_overdrawn(&self) -> bool {
        self.slot().is_some_and(|slot| slot.balance() < 0)
    }

    /// Whether the peer of a connection may send requests.
    pub(super) fn admits(&self, connection: &Private) -> bool {
        match self.check_peer(connection) {
            Ok(()) => true,
            Err(error) => {
                report(&error);
                false
            }
        }
    }

    fn check_peer(&self, connection: impl AsFd) -> Result<(), NoRequest> {
        let uid = sys::socket::peer(connection).map_err(ConnectionError::Os)?.uid();
        if uid == 0 || self.peers.contains(&uid) { Ok(()) } else { Err(NoRequest::Stranger(uid)) }
    }

    /// Says that requests may be sent to this worker directly.
    pub(super) fn open(&self) {
        self.with_slot(|slot| self.offer.open(slot));
    }

    /// Says that none may any more.
    pub(super) fn close(&self) {
        self.leaving.leave();
        self.with_slot(|slot| self.offer.close(slot));
    }

    /// Reads the head: its octets to `octets`, the request's number and the head itself to the caller.
    fn read_request<'o>(
        &self,
        connection: &mut Connection,
        octets: &'o mut Vec<u8>,
        origin: Origin,
    ) -> Result<(u64, RequestHead<'o>), NoRequest> {
        // A direct connection was asked when it came.
        if origin == Origin::Queue {
            self.check_peer(connection.socket())?;
        } else if !connection.receive()? {
            return Err(NoRequest::Nothing);
        }
        let deadline = Instant::now() + HEAD_TIME;
        let number = loop {
            match connection.part(0)? {
                Some(Part::Head(number, head)) => {
                    octets.clear();
                    octets.extend_from_slice(head);
                    break number;
                }
                Some(_) => return Err(NoRequest::NotAHead),
                None => connection.receive_until(deadline)?,
            }
        };
        Ok((number, RequestHead::decode(octets)?))
    }

    /// Checks that the request is for us and still wanted.
    fn check(&self, connection: &Connection, head: &RequestHead<'_>) -> Result<(), NoRequest> {
        if head.secret != self.secret {
            return Err(NoRequest::Secret);
        }
        if head.deadline.is_some_and(|deadline| sys::clock::monotonic_micros() > deadline) {
            return Err(NoRequest::TooLate);
        }
        let queued = sys::clock::epoch_micros().saturating_sub(head.queue_start);
        if head.queue_start > 0 && queued > LONG_QUEUED && sys::socket::is_closed(connection.socket()) {
            return Err(NoRequest::Abandoned);
        }
        self.wait_for_new_code(head)
    }

    /// Where old code must not answer, waits until others accept, and leaves the request to them. The script may also be put back.
    fn wait_for_new_code(&self, head: &RequestHead<'_>) -> Result<(), NoRequest> {
        let Some(outdated) = &self.outdated else { return Ok(()) };
        let until = Instant::now() + self.timeout;
        while outdated(head) {
            if self.leaving.wait(RECHECK) {
                return Err(NoRequest::Outdated);
            }
            if Instant::now() >= until {
                return Err(NoRequest::NeverRenewed);
            }
        }
        Ok(())
    }

    /// Executes the request; returns whether the connection is kept.
    fn execute(
        &self,
        turn: &mut Turn,
        number: u64,
        head: &RequestHead<'_>,
        connection: &mut Connection,
        origin: Origin,
        queued: &dyn Fn() -> bool,
    ) -> bool {
        let thread = turn.thread;
        connection.until = self.request_timeout.map(|limit| Instant::now() + limit);
        let mut frames = Frames::new(connection, number, head.body, log::write);
        self.signs.begin(!head.ignore_activity);
        if !head.ignore_activity {
            frames.notice(&self.signs);
        }
        let now = sys::clock::epoch_micros();
        if let Some(slot) = self.slot() {
            slot.begin(thread, number, head.queue_start, now);
            frames.count(slot, thread);
        }
        if head.wants_times {
            frames.tell_times(now);
        }
        if head.deadline.is_some() {
            frames.began();
        }
        let served = catch_unwind(AssertUnwindSafe(|| (self.serve)(thread + 1, head, &mut frames)));
        let outcome = served.unwrap_or_else(|_| {
            // The hook has logged the panic itself; this line says which request it has cost.
            let code = &codes::REQUEST_PANIC;
            frames.log(code.level, &code.line(format_args!("[script {}] the request is lost", head.filename.escape_ascii())));
            Outcome::Failed
        });
        // A process that the application has forked and that came back to here must not answer for its parent, nor go on as a worker.
        if sys::forks::is_forked() {
            sys::process::exit_now(0);
        }
        // Before the last octets leave: whoever has read the answer may have the next request, and finds the thread free.
        self.go_on(turn, queued);
        let kept = frames.finish(outcome, origin == Origin::Direct && self.offer.is_open());
        // Afterwards: should we die before, httpd must not take the request for one that was not begun.
        self.with_slot(|slot| slot.finish(thread, sys::clock::epoch_micros()));
        self.count();
        kept
    }

    fn count(&self) {
        let finished = self.finished.fetch_add(1, Relaxed) + 1;
        if finished == self.maximum_requests {
            self.meet(StopReason::MaximumRequests);
        }
    }

    /// Says that this worker has met a limit; the first one counts.
    pub(super) fn meet(&self, reason: StopReason) {
        if self.limit.set(reason).is_ok() {
            let _wakes_unless_already_awake = self.news.write(1);
        }
    }

    /// Does something with the worker's slot in the counters, if there is one.
    pub(super) fn with_slot(&self, work: impl FnOnce(WorkerSlot<'_>)) {
        if let Some(slot) = self.slot() {
            work(slot);
        }
    }

    fn slot(&self) -> Option<WorkerSlot<'_>> {
        let (words, slot) = self.counters.as_ref()?;
        Counters::view(words)?.worker(*slot)
    }

    /// Counts a connection that was taken from the group's queue.
    pub(super) fn count_taken(&self) {
        if let Some(counters) = self.group_counters() {
            counters.count_taken();
        }
    }

    /// Says that nothing was in the group's queue.
    pub(super) fn queue_is_empty(&self) {
        if let Some(counters) = self.group_counters() {
            counters.queue_is_empty();
        }
    }

    fn group_counters(&self) -> Option<Counters<'_>> {
        self.counters.as_ref().and_then(|(words, _)| Counters::view(words))
    }
}

impl Leaving {
    fn leave(&self) {
        *self.0.lock() = true;
        self.1.notify_all();
    }

    /// Waits at most `time`; whether it has become true.
    fn wait(&self, time: Duration) -> bool {
        let mut leaves = self.0.lock();
        if !*leaves {
            let _timed_out = self.1.wait_for(&mut leaves, time);
        }
        *leaves
    }
}

/// Logs what came over a connection that holds no request, if it is worth a line.
fn report(error: &NoRequest) {
    match error {
        NoRequest::Stranger(_) => log::coded(&codes::PEER, error),
        // An httpd child that ends, or whose client has gone, closes what it has just opened.
        NoRequest::Connection(ConnectionError::Gone) => {}
        other => log::coded(&codes::REQUEST_FRAME, other),
    }
}

/// Answers a request that is not executed.
fn refuse(error: &NoRequest, number: u64, head: &RequestHead<'_>, connection: &mut Connection) {
    let mut frames = Frames::new(connection, number, head.body, log::write);
    match error {
        // httpd says so in the request's log.
        NoRequest::TooLate => frames.refuse(Aborted::QueueTimeout),
        NoRequest::Outdated => frames.leave_to_others(),
        NoRequest::NeverRenewed => {
            let code = &codes::NEVER_RENEWED;
            frames.log(code.level, &code.line(format_args!("[script {}] {error}", head.filename.escape_ascii())));
            frames.refuse(Aborted::Failed);
        }
        NoRequest::Secret => {
            // Whoever sends it has no log of ours to write to.
            log::coded(&codes::PEER, error);
            frames.refuse(Aborted::Refused);
        }
        // Nobody is there to be answered.
        _ => {}
    }
}
