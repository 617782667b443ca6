//! The worker's main thread while requests are served: what the supervisor, signals and limits say, and what is done about it.

#![forbid(unsafe_code)]

use super::life::{Action, Event, Life};
use super::log;
use super::memory::Scale;
use super::pool::Pool;
use super::request::Service;
use super::subscribers::Subscribers;
use super::watch::{Beside, Consequence, Watch};
use super::{cannot_load, give_up};
use crate::host::Host;
use parking_lot::Mutex;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};
use sys::control::{Channel, ChannelError};
use sys::nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sys::nix::sys::signal::Signal;
use sys::signals::Signals;
use wire::codes;
use wire::control::{FromWorker, StopReason, ToWorker};
use wire::counters::Audit;
use wire::settings::{GroupSettings, Import};

/// The signals that a worker understands.
pub(super) const SIGNALS: [Signal; 6] =
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR1, Signal::SIGXCPU, Signal::SIGHUP, Signal::SIGUSR2];

/// The time between two looks at what nobody tells of.
const ROUND: Duration = Duration::from_secs(1);

/// The time between two looks whether a request that finds no thread has come.
const SEND_ON: Duration = Duration::from_millis(1);

/// How long it goes on looking once none has come: a group at its limit has such requests again and again.
const CALM: Duration = Duration::from_millis(20);

/// What the control loop listens to and acts upon.
pub(super) struct Control<'w> {
    /// The supervisor.
    pub(super) channel: &'w Arc<Channel>,
    /// Signals.
    pub(super) signals: &'w Signals,
    /// The request threads.
    pub(super) pool: &'w Pool,
    /// What they share.
    pub(super) service: &'w Service,
    /// What tells how much memory they take.
    pub(super) scale: Scale,
    /// Those of the application that want to know of signals.
    pub(super) subscribers: &'w Subscribers,
    /// The group's settings.
    pub(super) group: &'w GroupSettings,
    /// The host.
    pub(super) host: &'static Host,
    /// Does something beside the requests.
    pub(super) beside: &'w Beside<'w>,
    /// Whether requests are accepted, or were; held while that, or the end of a worker that is not ready, is being decided.
    pub(super) accepts: Arc<Mutex<bool>>,
}

impl Control<'_> {
    /// Runs until the worker is to end; returns why. Requests may still be executed, but none are taken.
    pub(super) fn run(&self) -> StopReason {
        let mut life = Life::new(self.group.timeouts.graceful);
        let mut watch = Watch::new(self.host, self.group, &self.service.signs, self.beside);
        let mut orphaned = false;
        let mut overdrawn = None;
        let (mut audit, mut round) = (Audit::default(), Instant::now() + ROUND);
        loop {
            let sends_on = self.send_on(&mut overdrawn);
            let due = [life.deadline(), watch.deadline(), sends_on].into_iter().flatten().fold(round, Instant::min);
            self.wait(due, orphaned);
            if round <= Instant::now() {
                round = Instant::now() + ROUND;
                self.pool.look_around(self.service, &mut audit);
                self.scale.look(self.service);
            }
            for event in self.events(&mut orphaned, &mut watch) {
                for action in life.on(event, Instant::now()) {
                    match action {
                        Action::Accept => {
                            self.accept();
                            watch.serve();
                        }
                        Action::StopAccepting => self.pool.end(self.service),
                        Action::AskForSuccessor(reason) => self.tell(&FromWorker::ReplaceMe(reason)),
                        Action::Leave(reason) => return reason,
                    }
                }
            }
        }
    }

    /// Looks for requests that find no thread, which is not worth it at once: most find one within a millisecond. Returns when to look
    /// next, if that is known; `until` is how long it goes on.
    fn send_on(&self, until: &mut Option<Instant>) -> Option<Instant> {
        let overdrawn = &self.service.overdrawn;
        if !overdrawn.load(SeqCst) {
            return None;
        }
        let now = Instant::now();
        match *until {
            Some(end) if end <= now && !self.pool.send_on(self.service) => {
                *until = None;
                overdrawn.store(false, SeqCst);
                // Should it have been so again just before, nobody says it any more.
                if !self.service.is_overdrawn() || overdrawn.swap(true, SeqCst) {
                    return None;
                }
            }
            Some(_) if self.pool.send_on(self.service) => *until = Some(now + CALM),
            Some(_) => {}
            None => *until = Some(now + CALM),
        }
        Some(now + SEND_ON)
    }

    fn wait(&self, deadline: Instant, orphaned: bool) {
        let left = deadline.saturating_duration_since(Instant::now()).as_millis() + 1;
        let left = PollTimeout::try_from(i32::try_from(left).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX);
        let on = |descriptor| PollFd::new(descriptor, PollFlags::POLLIN);
        // A channel at its end would be readable for ever.
        let mut watched = vec![on(self.signals.as_fd()), on(self.service.news.as_fd())];
        if !orphaned {
            watched.push(on(self.channel.as_fd()));
        }
        // An error is an interruption: everything is looked at.
        let _ready = poll(&mut watched, left);
    }

    /// Everything that has happened. The channel comes first: that the supervisor has gone explains the signal which follows.
    fn events(&self, orphaned: &mut bool, watch: &mut Watch<'_>) -> Vec<Event> {
        let mut events = Vec::new();
        while !*orphaned {
            match self.channel.receive::<ToWorker>() {
                Ok(Some((ToWorker::Accept, _))) => events.push(Event::Accept),
                Ok(Some((ToWorker::Drain(reason), _))) => events.push(Event::Drain(reason)),
                Ok(Some((ToWorker::Stop(reason), _))) => events.push(Event::Stop(reason)),
                Ok(Some((ToWorker::Load { import, must_succeed }, _))) => self.load(import, must_succeed),
                Ok(Some((ToWorker::Configure(_), _))) => log::coded(&codes::CONTROL, "a worker was configured twice"),
                Ok(None) => break,
                Err(ChannelError::Malformed(error)) => log::coded(&codes::CONTROL, error),
                Err(_) => {
                    *orphaned = true;
                    events.push(Event::Orphaned);
                }
            }
        }
        let eviction = self.group.timeouts.eviction;
        while let Some(signal) = self.signals.next() {
            match signal {
                Signal::SIGTERM | Signal::SIGINT => events.push(Event::Terminate),
                Signal::SIGUSR1 if eviction.is_zero() => events.push(Event::Limit(StopReason::GracefulSignal)),
                Signal::SIGUSR1 => events.push(Event::Limit(StopReason::EvictionSignal)),
                Signal::SIGXCPU => events.push(Event::Limit(StopReason::CpuTimeLimit)),
                other => self.subscribers.tell(other),
            }
        }
        let _drained = self.service.news.read();
        if let Some(reason) = self.service.limit.get() {
            events.push(Event::Limit(*reason));
        }
        for consequence in watch.look() {
            match consequence {
                Consequence::None => {}
                Consequence::Replace(reason) => events.push(Event::Limit(reason)),
                Consequence::End(reason) => events.push(Event::Fail(reason)),
                Consequence::Exit(reason) => {
                    self.tell(&FromWorker::ReplaceMe(reason));
                    self.tell(&FromWorker::Drained);
                    sys::process::exit_now(super::OUT_OF_TIME);
                }
            }
        }
        events.push(Event::Tick);
        // A thread that executes what nobody waits for any more is not waited for either.
        if self.pool.has_ended() || self.pool.running() == watch.stale() {
            events.push(Event::Idle);
        }
        events
    }

    /// Loads a script: it may take long, and the supervisor is to be heard meanwhile.
    fn load(&self, import: Import, must_succeed: bool) {
        let (host, channel, accepts) = (self.host, Arc::clone(self.channel), Arc::clone(&self.accepts));
        (self.beside)(Box::new(move || {
            // The log has why it failed; if requests are accepted, the first one to it tries again.
            let Err(error) = host.load(&import) else { return };
            let accepts = accepts.lock();
            if must_succeed && !*accepts {
                give_up(&channel, &cannot_load(&channel, &import, &error));
            }
        }));
    }

    fn accept(&self) {
        *self.accepts.lock() = true;
        if let Err(error) = self.pool.accept(self.service) {
            log::coded(&codes::ACCEPT, format_args!("cannot wait for connections: {error}"));
            // A worker that cannot accept is replaced, not kept.
            self.tell(&FromWorker::ReplaceMe(StopReason::ShutdownSignal));
        }
    }

    fn tell(&self, message: &FromWorker) {
        match self.channel.send(message, &[]) {
            // Its end is met by the next look at the channel.
            Ok(()) | Err(ChannelError::Gone) => {}
            Err(error) => log::coded(&codes::CONTROL, error),
        }
    }
}
