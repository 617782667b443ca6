//! The life of a worker that is ready: a table of phase, event and time, tried without processes.
//!
//!     Ready -> Serving -> Draining -> (leaves)
//!
//! Draining finishes what has begun, and the supervisor says how long that may take. Whoever is told to stop leaves at once and finishes
//! within `shutdown-timeout`, over which a watchdog keeps watch.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};
use wire::control::StopReason;

/// How long a worker goes on without its supervisor: httpd has started another one by then, whose workers serve.
const ORPHANHOOD: Duration = Duration::from_secs(2);

/// Where a worker is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Everything is loaded; it waits for the word to accept.
    Ready,
    /// It accepts.
    Serving,
    /// It still accepts, and its supervisor is gone.
    Orphaned {
        /// It accepts until then.
        until: Instant,
    },
    /// It finishes what it has begun.
    Draining {
        /// Until then, if there is nobody else to say how long.
        until: Option<Instant>,
    },
}

/// What happens to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The supervisor says that it may accept.
    Accept,
    /// The supervisor says that others accept now, and why.
    Drain(StopReason),
    /// The supervisor says that it is to end.
    Stop(StopReason),
    /// There is no supervisor any more.
    Orphaned,
    /// SIGTERM or SIGINT.
    Terminate,
    /// It has met a limit or got a graceful signal.
    Limit(StopReason),
    /// It cannot go on, and ends by itself.
    Fail(StopReason),
    /// No request is executed, and none can come.
    Idle,
    /// Time has passed.
    Tick,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Begin to accept.
    Accept,
    /// Accept no more, and let request threads end that have nothing to do.
    StopAccepting,
    /// Ask the supervisor for a successor.
    AskForSuccessor(StopReason),
    /// Leave the control loop and end, for this reason.
    Leave(StopReason),
}

/// A worker's life.
pub(super) struct Life {
    phase: Phase,
    /// The first reason to end, which is the one that is told.
    reason: Option<StopReason>,
    /// `graceful-timeout`, for when there is no supervisor to watch it; zero is no bound.
    graceful: Duration,
}

impl Life {
    /// The life of a worker that has just become ready.
    pub(super) fn new(graceful: Duration) -> Self {
        Self { phase: Phase::Ready, reason: None, graceful }
    }

    /// When [`Event::Tick`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Draining { until } => until,
            Phase::Orphaned { until } => Some(until),
            _ => None,
        }
    }

    /// What to do, in order.
    pub(super) fn on(&mut self, event: Event, now: Instant) -> Vec<Action> {
        use Phase::{Draining, Orphaned, Ready, Serving};
        match (self.phase, event) {
            (Ready, Event::Accept) => self.enter(Serving, vec![Action::Accept]),
            (Ready | Serving, Event::Drain(reason)) => {
                self.because(reason);
                self.enter(Draining { until: None }, vec![Action::StopAccepting])
            }
            // A newer supervisor starts workers of its own; until they serve, nobody is to wait.
            (Serving, Event::Orphaned) => self.enter(Orphaned { until: now + ORPHANHOOD }, Vec::new()),
            (Orphaned { until }, Event::Tick) if until <= now => self.enter(self.alone(now), vec![Action::StopAccepting]),
            (Ready, Event::Orphaned) => self.enter(self.alone(now), vec![Action::StopAccepting]),
            (Draining { until: None }, Event::Orphaned) => self.enter(self.alone(now), Vec::new()),
            // The kernel sends a signal when the supervisor ends (PR_SET_PDEATHSIG): its end is known by then, and has its bound.
            (Orphaned { .. } | Draining { until: Some(_) }, Event::Terminate) => Vec::new(),
            (_, Event::Terminate) => self.on(Event::Stop(StopReason::ShutdownSignal), now),
            (_, Event::Fail(reason)) => {
                let reason = self.because(reason);
                vec![Action::AskForSuccessor(reason), Action::StopAccepting, Action::Leave(reason)]
            }
            (_, Event::Stop(reason)) => vec![Action::StopAccepting, Action::Leave(self.because(reason))],
            (Draining { until: Some(until) }, Event::Tick) if until <= now => vec![Action::Leave(self.because(StopReason::ShutdownSignal))],
            (Draining { .. }, Event::Idle) => vec![Action::Leave(self.because(StopReason::ShutdownSignal))],
            // It is asked for once: the successor is on its way.
            (Serving, Event::Limit(reason)) if self.reason.is_none() => vec![Action::AskForSuccessor(self.because(reason))],
            _ => Vec::new(),
        }
    }

    fn because(&mut self, reason: StopReason) -> StopReason {
        *self.reason.get_or_insert(reason)
    }

    /// Draining without a supervisor.
    fn alone(&self, now: Instant) -> Phase {
        Phase::Draining { until: (!self.graceful.is_zero()).then(|| now + self.graceful) }
    }

    fn enter(&mut self, phase: Phase, actions: Vec<Action>) -> Vec<Action> {
        self.phase = phase;
        actions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use StopReason::{GracefulSignal, MaximumRequests, RestartInterval, ScriptReload, ShutdownSignal};

    const GRACE: Duration = Duration::from_secs(15);

    fn serving() -> (Life, Instant) {
        let (mut life, now) = (Life::new(GRACE), Instant::now());
        assert_eq!(life.on(Event::Accept, now), [Action::Accept]);
        (life, now)
    }

    #[test]
    fn a_drain_ends_with_the_last_request() {
        let (mut life, now) = serving();
        assert_eq!(life.on(Event::Drain(ScriptReload), now), [Action::StopAccepting]);
        assert_eq!((life.deadline(), life.on(Event::Tick, now + GRACE)), (None, Vec::new()));
        assert_eq!(life.on(Event::Idle, now), [Action::Leave(ScriptReload)]);
    }

    #[test]
    fn one_successor_is_asked_for_and_the_first_reason_is_told() {
        let (mut life, now) = serving();
        assert_eq!(life.on(Event::Limit(MaximumRequests), now), [Action::AskForSuccessor(MaximumRequests)]);
        assert_eq!(life.on(Event::Limit(GracefulSignal), now), []);
        assert_eq!(life.on(Event::Drain(ScriptReload), now), [Action::StopAccepting]);
        assert_eq!(life.on(Event::Stop(RestartInterval), now), [Action::StopAccepting, Action::Leave(MaximumRequests)]);
    }

    #[test]
    fn an_orphan_serves_for_a_while_and_finishes_within_graceful_timeout_although_the_kernel_signals_it() {
        let (mut life, now) = serving();
        assert_eq!(life.on(Event::Orphaned, now), []);
        assert_eq!(life.on(Event::Terminate, now), []);
        let then = now + ORPHANHOOD;
        assert_eq!((life.deadline(), life.on(Event::Tick, now)), (Some(then), Vec::new()));
        assert_eq!(life.on(Event::Tick, then), [Action::StopAccepting]);
        assert_eq!(life.on(Event::Terminate, then), []);
        assert_eq!(life.deadline(), Some(then + GRACE));
        assert_eq!(life.on(Event::Tick, then + GRACE), [Action::Leave(ShutdownSignal)]);
    }

    #[test]
    fn an_orphan_that_does_not_serve_yet_ends() {
        let (mut life, now) = (Life::new(GRACE), Instant::now());
        assert_eq!(life.on(Event::Orphaned, now), [Action::StopAccepting]);
    }

    #[test]
    fn who_cannot_go_on_says_so_before_it_ends() {
        let (mut life, now) = serving();
        let why = StopReason::StartupTimeout;
        assert_eq!(life.on(Event::Fail(why), now), [Action::AskForSuccessor(why), Action::StopAccepting, Action::Leave(why)]);
    }

    #[test]
    fn a_signal_stops_whoever_has_a_supervisor() {
        let (mut life, now) = serving();
        let leaves = [Action::StopAccepting, Action::Leave(ShutdownSignal)];
        assert_eq!(life.on(Event::Terminate, now), leaves);
        let (mut life, now) = serving();
        life.on(Event::Drain(ShutdownSignal), now);
        assert_eq!(life.on(Event::Terminate, now), leaves, "also while it finishes what it has begun");
    }

    #[test]
    fn a_spare_that_is_never_wanted_can_go() {
        let (mut life, now) = (Life::new(GRACE), Instant::now());
        assert_eq!(life.on(Event::Limit(GracefulSignal), now), []);
        assert_eq!(life.on(Event::Drain(ScriptReload), now), [Action::StopAccepting]);
        assert_eq!(life.on(Event::Idle, now), [Action::Leave(ScriptReload)]);
    }
}
