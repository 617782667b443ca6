//! The request threads of a worker, and how they take connections.
//!
//! All of them wait in one epoll (epoll(7)), which wakes the one that came last: its memory and Python's are still warm. The listener is
//! shared with the group's other workers, each connection waking one of them (`EPOLLEXCLUSIVE`); it is never shut down from here.
//!
//! The listener is edge-triggered: level-triggered, each connection would wake a second thread, to find nothing. But connections that
//! come together may be one edge, so whoever has taken one looks whether there is another and wakes the next idle thread itself.
//!
//! Requests for this worker alone come over a listener of its own, to connections that are kept ([`super::direct`]).

#![forbid(unsafe_code)]

use super::direct::{Direct, Kept};
use super::log;
use super::request::{Origin, Service, Turn};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::thread::{Builder, Scope};
use std::time::Duration;
use sys::forks::Private;
use sys::nix;
use sys::nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use sys::nix::sys::eventfd::{EfdFlags, EventFd};
use sys::socket::Readiness;
use wire::codes;
use wire::counters::Audit;

/// What an event is about. Larger numbers are those of kept connections.
const SHARED: u64 = 0;
const OWN: u64 = 1;
const WAKE: u64 = 2;

/// How long a thread leaves a listener alone that cannot be accepted from: descriptors may have run out.
const PAUSE: Duration = Duration::from_millis(100);

/// For how many microseconds whoever ends still takes connections, should the queue not be empty before.
const LAST_LOOK: u64 = 1_000_000;

/// Microseconds between two log lines about that.
const LOG_INTERVAL: u64 = 10_000_000;

/// The threads of a worker.
pub(super) struct Pool {
    epoll: Epoll,
    listener: OwnedFd,
    direct: Option<Direct>,
    /// Readable for ever once the threads are to end.
    end: EventFd,
    /// Each write wakes one thread.
    more: EventFd,
    /// Threads that wait in the epoll, or are about to.
    idle: AtomicU32,
    /// Whether somebody has to look for another connection before waiting.
    look: AtomicBool,
    accepting: AtomicBool,
    ending: AtomicBool,
    /// Once ending: until when connections are still taken, in microseconds of the monotonic clock.
    until: AtomicU64,
    running: AtomicU32,
    logged: AtomicU64,
}

impl Pool {
    /// A pool without threads, which does not accept yet. `own` is the listener for requests that are for this worker alone.
    pub(super) fn new(listener: OwnedFd, own: Option<OwnedFd>) -> nix::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let (end, more) = (EventFd::from_flags(flags)?, EventFd::from_flags(flags)?);
        epoll.add(&end, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        epoll.add(&more, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, WAKE))?;
        Ok(Self {
            epoll,
            listener,
            direct: own.map(|own| Direct::new(Private::new(own))),
            end,
            more,
            idle: AtomicU32::new(0),
            look: AtomicBool::new(true),
            accepting: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            until: AtomicU64::new(0),
            running: AtomicU32::new(0),
            logged: AtomicU64::new(0),
        })
    }

    /// Starts the request threads. Those that were started before one failed go on.
    pub(super) fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        service: &'scope Service,
        threads: u32,
        stack: usize,
    ) -> std::io::Result<()> {
        for thread in 0..threads {
            self.running.fetch_add(1, SeqCst);
            let builder = Builder::new().name(format!("wsgi-{}", thread + 1)).stack_size(stack);
            let started = builder.spawn_scoped(scope, move || {
                sys::schedule::batch();
                // A fault of ours costs the request in which it shows, not the thread.
                while catch_unwind(AssertUnwindSafe(|| self.serve(service, thread))).is_err() {}
                (service.leave)();
                if self.running.fetch_sub(1, SeqCst) == 1 {
                    let _wakes_unless_already_awake = service.news.write(1);
                }
            });
            if let Err(error) = started {
                self.running.fetch_sub(1, SeqCst);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Begins to accept.
    pub(super) fn accept(&self, service: &Service) -> nix::Result<()> {
        self.accepting.store(true, SeqCst);
        if self.direct.is_some() {
            // Before anything can come over the queue, or a thread that is already busy with that would be offered.
            service.open();
        }
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLEXCLUSIVE | EpollFlags::EPOLLET;
        self.epoll.add(&self.listener, EpollEvent::new(flags, SHARED))?;
        if let Some(direct) = &self.direct {
            self.epoll.add(&direct.listener, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, OWN))?;
        }
        Ok(())
    }

    /// Ends each thread that has finished its request and finds no other one.
    ///
    /// A connection for which one of ours was woken wakes nobody else. So what is in the queue now is still taken, at most for a short
    /// time: from then on only workers that go on are woken.
    pub(super) fn end(&self, service: &Service) {
        service.close();
        if self.accepting.load(SeqCst) {
            let _was_added = self.epoll.delete(&self.listener);
        }
        if let Some(direct) = &self.direct {
            direct.end(&self.epoll);
        }
        self.until.store(sys::clock::monotonic_micros() + LAST_LOOK, SeqCst);
        self.ending.store(true, SeqCst);
        let _wakes_every_thread = self.end.write(1);
    }

    /// Whether all threads have ended.
    pub(super) fn has_ended(&self) -> bool {
        self.ending.load(SeqCst) && self.running.load(SeqCst) == 0
    }

    /// How many threads there are.
    pub(super) fn running(&self) -> usize {
        self.running.load(SeqCst) as usize
    }

    /// What is to be done now and then. A connection in the queue wakes one thread of one worker; should that worker be killed before its
    /// thread takes it, nobody else would know. And a reservation is lost with the child that has made it.
    pub(super) fn look_around(&self, service: &Service, audit: &mut Audit) {
        let idle = self.idle.load(SeqCst);
        if idle > 0 && self.is_queued() {
            let _wakes_one = self.more.write(1);
        }
        let busy = self.running.load(SeqCst).saturating_sub(idle);
        service.with_slot(|slot| service.offer.look(audit, slot, busy));
    }

    /// What a thread does until it is told to end.
    fn serve(&self, service: &Service, thread: u32) {
        let mut turn = Turn::new(thread);
        loop {
            if turn.reserved || self.look.swap(false, SeqCst) {
                self.serve_queue(service, &mut turn);
            }
            if self.ending.load(SeqCst) {
                self.serve_queue(service, &mut turn);
                self.leave_kept(service, &mut turn);
                return;
            }
            self.idle.fetch_add(1, SeqCst);
            let mut event = [EpollEvent::empty()];
            // Whoever took a connection when nobody was idle has left the rest to who is idle next.
            let woken = if self.look.load(SeqCst) { Ok(0) } else { self.epoll.wait(&mut event, EpollTimeout::NONE) };
            self.idle.fetch_sub(1, SeqCst);
            // An error is an interruption: what to do next is looked at again.
            if woken != Ok(1) {
                continue;
            }
            match event[0].data() {
                OWN => self.take_in(service),
                SHARED | WAKE => self.serve_queue(service, &mut turn),
                kept => self.serve_kept(service, &mut turn, Kept::from_token(kept)),
            }
        }
    }

    /// Serves what waits in the group's queue.
    fn serve_queue(&self, service: &Service, turn: &mut Turn) {
        while self.may_accept() {
            match sys::socket::accepted(&self.listener) {
                Ok(Some(connection)) => {
                    let connection = Private::new(connection);
                    service.count_taken();
                    self.wake_for_more();
                    service.handle(turn, connection, Origin::Queue, &|| self.is_queued());
                }
                Ok(None) => {
                    service.queue_is_empty();
                    break;
                }
                Err(error) => self.pause(error),
            }
        }
        service.give_back(turn);
    }

    /// Takes in new connections for this worker alone: they wait for a thread like all that are kept.
    fn take_in(&self, service: &Service) {
        let Some(direct) = &self.direct else { return };
        loop {
            match sys::socket::accepted(&direct.listener).map(|connection| connection.map(Private::new)) {
                Ok(Some(connection)) if service.admits(&connection) => {
                    if let Err(connection) = direct.keep(&self.epoll, connection) {
                        service.with_slot(|slot| service.offer.give_back(slot));
                        direct.close(connection);
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(_) if self.ending.load(SeqCst) => return,
                Err(error) => return self.pause(error),
            }
        }
    }

    /// Sends on to the group's queue what has come for this worker alone where more is promised than it has threads: a request out of the
    /// queue was quicker, and a thread of another worker may be free sooner. Returns whether more of that is to be expected.
    pub(super) fn send_on(&self, service: &Service) -> bool {
        let Some(direct) = &self.direct else { return false };
        while service.is_overdrawn() {
            // It may have come over a new connection, which nobody was free to take in.
            self.take_in(service);
            let Some(connection) = direct.take_request() else { return true };
            // A connection that httpd has closed has nothing reserved.
            if !sys::socket::is_closed(&connection) {
                service.with_slot(|slot| service.offer.give_back(slot));
                direct.close(connection);
            }
        }
        false
    }

    /// Serves the request that has come over a kept connection, and keeps the connection.
    fn serve_kept(&self, service: &Service, turn: &mut Turn, kept: Kept) {
        let Some(direct) = &self.direct else { return };
        let mut taken = direct.take(kept);
        while let Some(connection) = taken {
            let origin = if self.ending.load(SeqCst) { Origin::LastDirect } else { Origin::Direct };
            let served = service.handle(turn, connection, origin, &|| self.is_queued());
            taken = served.and_then(|connection| direct.wait_again(connection));
        }
    }

    /// Serves what has come over kept connections, and tells the others that nobody reads them any more.
    fn leave_kept(&self, service: &Service, turn: &mut Turn) {
        let Some(direct) = &self.direct else { return };
        while let Some(connection) = direct.take_any(&self.epoll) {
            if sys::socket::wait(&connection, Readiness::Read, Some(Duration::ZERO)).unwrap_or(false) {
                service.handle(turn, connection, Origin::LastDirect, &|| false);
            } else {
                direct.close(connection);
            }
        }
    }

    /// Whether a connection waits in the group's queue, and may be taken.
    fn is_queued(&self) -> bool {
        self.may_accept() && sys::socket::wait(&self.listener, Readiness::Read, Some(Duration::ZERO)).unwrap_or(false)
    }

    fn may_accept(&self) -> bool {
        self.accepting.load(SeqCst) && (!self.ending.load(SeqCst) || sys::clock::monotonic_micros() < self.until.load(SeqCst))
    }

    /// Wakes another thread when there is another connection. If none is idle, who becomes it looks by itself.
    fn wake_for_more(&self) {
        self.look.store(true, SeqCst);
        if self.idle.load(SeqCst) > 0 {
            self.look.store(false, SeqCst);
            if self.is_queued() {
                let _wakes_one = self.more.write(1);
            }
        }
    }

    fn pause(&self, error: nix::Error) {
        let now = sys::clock::monotonic_micros();
        let last = self.logged.load(SeqCst);
        if now >= last + LOG_INTERVAL && self.logged.compare_exchange(last, now, SeqCst, SeqCst).is_ok() {
            log::coded(&codes::ACCEPT, format_args!("cannot accept: {error}"));
        }
        std::thread::sleep(PAUSE);
    }
}

/// The stack of a thread for which no `stack-size` is given: what the system gives to a process, as pthread_create(3) does.
pub(super) fn system_stack() -> usize {
    use sys::nix::sys::resource::{Resource, getrlimit};
    const UNLIMITED: u64 = 8 << 20;
    let soft = getrlimit(Resource::RLIMIT_STACK).map_or(UNLIMITED, |(soft, _)| soft);
    usize::try_from(if soft > 1 << 40 { UNLIMITED } else { soft.max(1 << 20) }).unwrap_or(8 << 20)
}
