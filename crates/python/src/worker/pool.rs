//! The request threads of a worker, and how they take connections.
//!
//! All of them wait in one epoll (epoll(7)), which wakes the one that came last: its memory and Python's are still warm. The listener is
//! shared with the group's other workers, each connection waking one of them (`EPOLLEXCLUSIVE`); it is never shut down from here.

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
use wire::codes;

/// How long a thread leaves a listener alone that cannot be accepted from: descriptors may have run out.
const PAUSE: Duration = Duration::from_millis(100);

/// Microseconds between two log lines about that.
const LOG_INTERVAL: u64 = 10_000_000;

/// The threads of a worker.
pub(super) struct Pool {
    epoll: Epoll,
    listener: OwnedFd,
    /// Readable for ever once the threads are to end.
    end: EventFd,
    accepting: AtomicBool,
    ending: AtomicBool,
    running: AtomicU32,
    logged: AtomicU64,
}

impl Pool {
    /// A pool without threads, which does not accept yet.
    pub(super) fn new(listener: OwnedFd) -> nix::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let end = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        epoll.add(&end, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        Ok(Self {
            epoll,
            listener,
            end,
            accepting: AtomicBool::new(false),
            ending: AtomicBool::new(false),
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
        self.epoll.add(&self.listener, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLEXCLUSIVE, 1))
    }

    /// Accepts no more, and ends each thread that has finished its request.
    pub(super) fn end(&self) {
        if self.accepting.swap(false, SeqCst) {
            let _was_added = self.epoll.delete(&self.listener);
        }
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
            while self.accepting.load(SeqCst) {
                match sys::socket::accepted(&self.listener) {
                    Ok(Some(connection)) => memory = service.handle(thread, connection, memory),
                    Ok(None) => break,
                    Err(error) => self.pause(error),
                }
            }
            if self.ending.load(SeqCst) {
                return;
            }
            // An error is an interruption: what to do next is looked at again.
            let _woken = self.epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::NONE);
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
