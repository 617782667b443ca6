//! The life of one worker as a table: (phase, event, time) → (phase, what to do to the worker).
//!
//! Knows no process, no socket and no clock: time is passed in. What the group makes of a worker's phase is in [`crate::group`].

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};
use wire::control::StopReason;

/// How long a process that owes nobody an answer may take between SIGTERM and SIGKILL.
pub(crate) const TERMINATION: Duration = Duration::from_secs(1);

/// How much longer than `shutdown-timeout` a worker may take: it keeps that itself, and says what it was doing.
const LENIENCE: Duration = Duration::from_millis(500);

/// Where a worker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Python starts, or what is to be loaded is loaded, until `startup-timeout`.
    Starting { until: Option<Instant> },
    /// It could accept, and does not yet.
    Ready,
    /// It accepts requests.
    Serving,
    /// It finishes what it has begun, until `graceful-timeout`; then it is stopped for `reason`.
    Draining { until: Option<Instant>, reason: StopReason },
    /// It was told to end, or said that it does; killed at `until`.
    Stopping { until: Option<Instant> },
    /// It is reaped.
    Gone,
}

/// What happens to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It says that it is ready.
    Ready,
    /// It has something more to load before it is ready.
    Load,
    /// Its group wants it to serve.
    Accept,
    /// Its group has a better one.
    Drain(StopReason),
    /// Its group ends.
    Stop(StopReason),
    /// httpd is gone: nobody waits for an answer.
    ParentGone,
    /// It says that it has finished and exits.
    Drained,
    /// It says that it cannot become ready, or does not speak any more.
    Lost,
    /// `startup-timeout` is over.
    StartupExpired,
    /// `graceful-timeout` is over.
    GracefulExpired,
    /// `shutdown-timeout` is over, or the time to end after SIGTERM.
    ShutdownExpired,
    /// It was reaped.
    Exited,
}

/// What is done to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Nothing.
    Wait,
    /// `ToWorker::Accept`.
    Accept,
    /// `ToWorker::Drain`.
    Drain(StopReason),
    /// `ToWorker::Stop`.
    Stop(StopReason),
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// The timeouts of a worker's group; `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeouts {
    /// `startup-timeout`.
    pub(crate) startup: Option<Duration>,
    /// `graceful-timeout`.
    pub(crate) graceful: Option<Duration>,
    /// `eviction-timeout`; `None` where it is `graceful`.
    pub(crate) eviction: Option<Duration>,
    /// `shutdown-timeout`.
    pub(crate) shutdown: Option<Duration>,
}

impl From<&wire::settings::Timeouts> for Timeouts {
    fn from(timeouts: &wire::settings::Timeouts) -> Self {
        let limit = |duration: Duration| (!duration.is_zero()).then_some(duration);
        Self {
            startup: limit(timeouts.startup),
            graceful: limit(timeouts.graceful),
            eviction: limit(timeouts.eviction),
            shutdown: limit(timeouts.shutdown),
        }
    }
}

impl Timeouts {
    /// How long a worker that drains for this reason may take.
    fn of_drain(&self, reason: StopReason) -> Option<Duration> {
        match reason {
            StopReason::EvictionSignal => self.eviction.or(self.graceful),
            _ => self.graceful,
        }
    }
}

impl Phase {
    /// The phase of a worker that was started at `now`.
    pub(crate) fn started(now: Instant, timeouts: &Timeouts) -> Self {
        Self::Starting { until: timeouts.startup.map(|limit| now + limit) }
    }

    /// The table.
    pub(crate) fn on(self, event: Event, now: Instant, timeouts: &Timeouts) -> (Self, Order) {
        let soon = Self::Stopping { until: Some(now + TERMINATION) };
        let in_order = Self::Stopping { until: timeouts.shutdown.map(|limit| now + limit + LENIENCE) };
        match (self, event) {
            (Self::Gone, _) | (_, Event::Exited) => (Self::Gone, Order::Wait),

            (Self::Starting { .. }, Event::Ready) => (Self::Ready, Order::Wait),
            (Self::Ready, Event::Load) => (Self::started(now, timeouts), Order::Wait),
            (Self::Ready, Event::Accept) => (Self::Serving, Order::Accept),

            // Who is still starting owes nobody an answer and does not read messages yet.
            (Self::Starting { .. }, Event::Drain(_) | Event::Stop(_) | Event::StartupExpired) => (soon, Order::Terminate),
            (Self::Ready | Self::Serving, Event::Drain(reason)) => {
                (Self::Draining { until: timeouts.of_drain(reason).map(|limit| now + limit), reason }, Order::Drain(reason))
            }
            (Self::Draining { reason, .. }, Event::GracefulExpired) => (in_order, Order::Stop(reason)),
            (Self::Ready | Self::Serving | Self::Draining { .. }, Event::Stop(reason)) => (in_order, Order::Stop(reason)),
            (Self::Ready | Self::Serving | Self::Draining { .. }, Event::Drained) => (in_order, Order::Wait),

            // Most likely it is ending already; if not, nobody can tell it anything any more.
            (Self::Starting { .. } | Self::Ready | Self::Serving | Self::Draining { .. }, Event::Lost) => (soon, Order::Wait),

            // A shutdown in order that has an end keeps it: httpd has asked for it before it went.
            (Self::Stopping { until: Some(until) }, Event::ParentGone) => (Self::Stopping { until: Some(until) }, Order::Wait),
            (_, Event::ParentGone) => (soon, Order::Terminate),

            (Self::Stopping { .. }, Event::ShutdownExpired) => (Self::Stopping { until: None }, Order::Kill),
            (phase, _) => (phase, Order::Wait),
        }
    }

    /// When a timeout of this phase is over.
    pub(crate) fn deadline(self) -> Option<Instant> {
        match self {
            Self::Starting { until } | Self::Draining { until, .. } | Self::Stopping { until } => until,
            Self::Ready | Self::Serving | Self::Gone => None,
        }
    }

    /// The event of the timeout that is over, if one is.
    pub(crate) fn expired(self, now: Instant) -> Option<Event> {
        self.deadline().filter(|until| *until <= now)?;
        match self {
            Self::Starting { .. } => Some(Event::StartupExpired),
            Self::Draining { .. } => Some(Event::GracefulExpired),
            Self::Stopping { .. } => Some(Event::ShutdownExpired),
            Self::Ready | Self::Serving | Self::Gone => None,
        }
    }

    /// Whether it serves, or is on the way to it.
    pub(crate) fn is_standing(self) -> bool {
        matches!(self, Self::Starting { .. } | Self::Ready | Self::Serving)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUTS: Timeouts = Timeouts {
        startup: Some(Duration::from_secs(60)),
        graceful: Some(Duration::from_secs(15)),
        eviction: Some(Duration::from_secs(3)),
        shutdown: Some(Duration::from_secs(5)),
    };
    const NONE: Timeouts = Timeouts { startup: None, graceful: None, eviction: None, shutdown: None };

    fn after(now: Instant, seconds: u64) -> Option<Instant> {
        Some(now + Duration::from_secs(seconds))
    }

    #[test]
    fn a_worker_accepts_when_its_group_wants_it_and_not_before() {
        let now = Instant::now();
        let starting = Phase::started(now, &TIMEOUTS);
        assert_eq!(starting.on(Event::Accept, now, &TIMEOUTS), (starting, Order::Wait));
        let (ready, order) = starting.on(Event::Ready, now, &TIMEOUTS);
        assert_eq!((ready, order), (Phase::Ready, Order::Wait));
        assert_eq!(ready.on(Event::Accept, now, &TIMEOUTS), (Phase::Serving, Order::Accept));
    }

    #[test]
    fn who_has_something_more_to_load_is_not_ready_and_has_the_time_of_a_start() {
        let now = Instant::now();
        assert_eq!(Phase::Ready.on(Event::Load, now, &TIMEOUTS), (Phase::started(now, &TIMEOUTS), Order::Wait));
        assert_eq!(Phase::Serving.on(Event::Load, now, &TIMEOUTS), (Phase::Serving, Order::Wait), "this is done beside");
    }

    #[test]
    fn a_drain_becomes_a_stop_and_then_a_kill_each_at_its_own_time() {
        let now = Instant::now();
        let (draining, order) = Phase::Serving.on(Event::Drain(StopReason::ScriptReload), now, &TIMEOUTS);
        assert_eq!(order, Order::Drain(StopReason::ScriptReload));
        assert_eq!(draining.deadline(), after(now, 15));
        assert_eq!(draining.expired(now), None);
        let later = now + Duration::from_secs(15);
        assert_eq!(draining.expired(later), Some(Event::GracefulExpired));
        let (stopping, order) = draining.on(Event::GracefulExpired, later, &TIMEOUTS);
        assert_eq!(order, Order::Stop(StopReason::ScriptReload));
        let last = later + Duration::from_secs(5) + LENIENCE;
        assert_eq!(stopping.deadline(), Some(last));
        assert_eq!(stopping.expired(last), Some(Event::ShutdownExpired));
        let (killed, order) = stopping.on(Event::ShutdownExpired, last, &TIMEOUTS);
        assert_eq!((order, killed.deadline()), (Order::Kill, None));
        assert_eq!(killed.on(Event::Exited, last, &TIMEOUTS), (Phase::Gone, Order::Wait));
    }

    #[test]
    fn an_eviction_has_a_time_of_its_own() {
        let now = Instant::now();
        let draining = |timeouts: &Timeouts| Phase::Serving.on(Event::Drain(StopReason::EvictionSignal), now, timeouts).0;
        assert_eq!(draining(&TIMEOUTS).deadline(), after(now, 3));
        assert_eq!(draining(&Timeouts { eviction: None, ..TIMEOUTS }).deadline(), after(now, 15));
    }

    #[test]
    fn timeouts_of_zero_wait_for_ever() {
        let now = Instant::now();
        assert_eq!(Phase::started(now, &NONE).deadline(), None);
        assert_eq!(Phase::Serving.on(Event::Drain(StopReason::ScriptReload), now, &NONE).0.deadline(), None);
        assert_eq!(Phase::Serving.on(Event::Stop(StopReason::ShutdownSignal), now, &NONE).0.deadline(), None);
    }

    #[test]
    fn a_start_that_takes_too_long_is_ended() {
        let now = Instant::now();
        let starting = Phase::started(now, &TIMEOUTS);
        let later = now + Duration::from_secs(60);
        assert_eq!(starting.expired(later), Some(Event::StartupExpired));
        let (stopping, order) = starting.on(Event::StartupExpired, later, &TIMEOUTS);
        assert_eq!((stopping.deadline(), order), (after(later, 1), Order::Terminate));
    }

    #[test]
    fn a_start_that_nobody_wants_any_more_is_ended_at_once() {
        let now = Instant::now();
        for event in [Event::Drain(StopReason::ScriptReload), Event::Stop(StopReason::ShutdownSignal), Event::ParentGone] {
            let (phase, order) = Phase::started(now, &NONE).on(event, now, &NONE);
            assert_eq!((phase.deadline(), order), (after(now, 1), Order::Terminate), "{event:?}");
        }
    }

    #[test]
    fn nobody_outlives_httpd_by_more_than_a_second_but_for_an_ordered_stop() {
        let now = Instant::now();
        for phase in [Phase::Ready, Phase::Serving, Phase::Draining { until: None, reason: StopReason::ScriptReload }] {
            let (stopping, order) = phase.on(Event::ParentGone, now, &NONE);
            assert_eq!((stopping.deadline(), order), (after(now, 1), Order::Terminate), "{phase:?}");
        }
        let for_ever = Phase::Stopping { until: None };
        assert_eq!(for_ever.on(Event::ParentGone, now, &NONE).0.deadline(), after(now, 1));
        let ordered = Phase::Stopping { until: after(now, 5) };
        assert_eq!(ordered.on(Event::ParentGone, now, &NONE), (ordered, Order::Wait));
    }

    #[test]
    fn who_does_not_speak_any_more_has_a_second_to_end() {
        let now = Instant::now();
        let (lost, order) = Phase::Serving.on(Event::Lost, now, &NONE);
        assert_eq!((lost.deadline(), order), (after(now, 1), Order::Wait));
        assert!(!lost.is_standing());
    }

    #[test]
    fn who_is_gone_stays_gone() {
        let now = Instant::now();
        for event in [Event::Ready, Event::Accept, Event::Stop(StopReason::ShutdownSignal), Event::ParentGone] {
            assert_eq!(Phase::Gone.on(event, now, &TIMEOUTS), (Phase::Gone, Order::Wait));
        }
    }
}
