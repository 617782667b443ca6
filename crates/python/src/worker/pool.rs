//! The request threads of a worker, and how they take connections.
//!
//! All of them wait in one epoll (epoll(7)), which wakes the one that came last: its memory and Python's are still warm. The listener is
//! shared with the group's other workers, each connection waking one of them (`EPOLLEXCLUSIVE`); it is never shut down from here.
//!
//! The listener is edge-triggered: level-triggered, each connection would wake a second thread, to find nothing. But connections that
//! come together may be one edge, so whoever has taken one looks whether there is another and wakes the next idle thread itself.

#![forbid(unsafe_code)]

use super::connection::Memory;
use super::log;
use super::request::Service;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::thread::{Builder, Scope};
use std::time::Duration;
use sys::nix;
use sys::nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use sys::nix::sys::eventfd::{EfdFlags, EventFd};
use sys::socket::Readiness;
use wire::codes;

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
    /// Readable for ever once the threads are to end.
    end: EventFd,
    /// Each write wakes one thread.
    more: EventFd,
    /// Threads that wait in the epoll, or are about to.
    idle: AtomicU32,
    accepting: AtomicBool,
    ending: AtomicBool,
    /// Once ending: until when connections are still taken, in microseconds of the monotonic clock.
    until: AtomicU64,
    running: AtomicU32,
    logged: AtomicU64,
}

impl Pool {
    /// A pool without threads, which does not accept yet.
    pub(super) fn new(listener: OwnedFd) -> nix::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let (end, more) = (EventFd::from_flags(flags)?, EventFd::from_flags(flags)?);
        epoll.add(&end, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        epoll.add(&more, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0))?;
        Ok(Self {
            epoll,
            listener,
            end,
            more,
            idle: AtomicU32::new(0),
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
    pub(super) fn accept(&self) -> nix::Result<()> {
        self.accepting.store(true, SeqCst);
        self.epoll.add(&self.listener, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLEXCLUSIVE | EpollFlags::EPOLLET, 0))
    }

    /// Ends each thread that has finished its request and finds no other one.
    ///
    /// A connection for which one of ours was woken wakes nobody else. So what is in the queue now is still taken, at most for a short
    /// time: from then on only workers that go on are woken.
    pub(super) fn end(&self) {
        if self.accepting.load(SeqCst) {
            let _was_added = self.epoll.delete(&self.listener);
        }
        self.until.store(sys::clock::monotonic_micros() + LAST_LOOK, SeqCst);
        self.ending.store(true, SeqCst);
        let _wakes_every_thread = self.end.write(1);
    }

    /// Whether all threads have ended.
    pub(super) fn has_ended(&self) -> bool {
        self.ending.load(SeqCst) && self.running.load(SeqCst) == 0
    }

    /// What a thread does until it is told to end.
    fn serve(&self, service: &Service, thread: u32) {
        let mut memory = Memory::default();
        loop {
            // Tried before waiting: whoever has just finished is the warmest of all.
            while self.may_accept() {
                match sys::socket::accepted(&self.listener) {
                    Ok(Some(connection)) => {
                        self.wake_for_more();
                        memory = service.handle(thread, connection, memory);
                    }
                    Ok(None) => break,
                    Err(error) => self.pause(error),
                }
            }
            if self.ending.load(SeqCst) {
                return;
            }
            self.idle.fetch_add(1, SeqCst);
            // An error is an interruption: what to do next is looked at again.
            let _woken = self.epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::NONE);
            self.idle.fetch_sub(1, SeqCst);
        }
    }

    fn may_accept(&self) -> bool {
        self.accepting.load(SeqCst) && (!self.ending.load(SeqCst) || sys::clock::monotonic_micros() < self.until.load(SeqCst))
    }

    /// Wakes another thread when there is another connection. If none is idle, who becomes it looks by itself.
    fn wake_for_more(&self) {
        if self.idle.load(SeqCst) > 0 && sys::socket::wait(&self.listener, Readiness::Read, Some(Duration::ZERO)).unwrap_or(false) {
            let _wakes_one = self.more.write(1);
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
