//! The timers of a worker that serves: what is due when, tried without processes. Each is independent of all others.
//!
//! What a request may meet is a schedule, the same for all of them, which begins with the request. So nobody need be woken when a
//! request begins: whoever looks at least once per first step of the schedule sees it in time for that.

#![forbid(unsafe_code)]

use crate::host::Ticket;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use wire::settings::Timeouts;

/// How long a request that was interrupted may take to answer its client itself.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A gap between two looks after which nothing is said of what happened in between: the process itself was stopped.
const ABSENCE: Duration = Duration::from_secs(10);

/// A timer that has run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alarm {
    /// `slow-request`.
    Slow(Ticket),
    /// `request-timeout`, and it may end by itself within `interrupt-timeout`.
    Interrupt(Ticket),
    /// It has not: its client waits no longer.
    CutOff(Ticket),
    /// `interrupt-timeout`.
    Stuck(Ticket),
    /// `request-timeout`, where there is no `interrupt-timeout`.
    Overdue(Ticket),
    /// `deadlock-timeout`.
    Deadlock,
    /// `startup-timeout`.
    Startup,
    /// `inactivity-timeout`.
    Inactive,
    /// `restart-interval`.
    RestartInterval,
}

/// A time after the beginning of a request, and what runs out then.
type Step = (Duration, fn(Ticket) -> Alarm);

/// What is seen at a look.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The requests that are being executed.
    pub(super) running: Vec<Ticket>,
    /// Since when an interpreter's lock is waited for, if it is.
    pub(super) waits_for_python: Option<Instant>,
    /// When the first request came, if nothing has been loaded since the process began.
    pub(super) loading: Option<Instant>,
    /// When there was something to do last.
    pub(super) active: Option<Instant>,
}

/// The timers.
pub(super) struct Timers {
    schedule: Vec<Step>,
    /// How long a request may take before nobody waits for it any more.
    stale: Option<Duration>,
    deadlock: Option<Duration>,
    startup: Option<Duration>,
    inactivity: Option<Duration>,
    restart_interval: Option<Duration>,
    /// When the worker began to serve.
    serving: Option<Instant>,
    /// By thread: the request, and how many steps it has gone.
    gone: HashMap<u32, (u64, usize)>,
    /// Those of the process that have fired, which each does once.
    fired: Vec<Alarm>,
    looked: Option<Instant>,
}

impl Timers {
    /// The timers of a group.
    pub(super) fn new(timeouts: &Timeouts) -> Self {
        let limit = |duration: Duration| (!duration.is_zero()).then_some(duration);
        let mut schedule: Vec<Step> = Vec::new();
        if let Some(slow) = limit(timeouts.slow_request) {
            schedule.push((slow, Alarm::Slow));
        }
        if let Some(request) = limit(timeouts.request) {
            match limit(timeouts.interrupt) {
                None => schedule.push((request, Alarm::Overdue)),
                Some(interrupt) => {
                    schedule.push((request, Alarm::Interrupt));
                    schedule.push((request + interrupt.min(LAST_WORDS), Alarm::CutOff));
                    schedule.push((request + interrupt, Alarm::Stuck));
                }
            }
        }
        schedule.sort_by_key(|(after, _)| *after);
        Self {
            schedule,
            stale: limit(timeouts.request).map(|request| request + timeouts.interrupt),
            deadlock: limit(timeouts.deadlock),
            startup: limit(timeouts.startup),
            inactivity: limit(timeouts.inactivity),
            restart_interval: limit(timeouts.restart_interval),
            serving: None,
            gone: HashMap::new(),
            fired: Vec::new(),
            looked: None,
        }
    }

    /// The worker serves from now on.
    pub(super) fn serve(&mut self, now: Instant) {
        self.serving = Some(now);
    }

    /// How long a request has run for which nobody waits any more.
    pub(super) fn is_stale(&self, ticket: &Ticket, now: Instant) -> bool {
        self.stale.is_some_and(|stale| ticket.since + stale <= now)
    }

    /// What has run out.
    pub(super) fn look(&mut self, seen: &Seen, now: Instant) -> Vec<Alarm> {
        let was_away = self.looked.replace(now).is_some_and(|looked| looked + ABSENCE < now);
        let mut alarms = self.of_requests(&seen.running, now);
        let due = |since: Option<Instant>, limit: Option<Duration>| since.zip(limit).is_some_and(|(since, limit)| since + limit <= now);
        // Whoever waits for the lock may have been stopped as we were: the next look tells.
        if due(seen.waits_for_python, self.deadlock) && !was_away {
            self.fire(Alarm::Deadlock, &mut alarms);
        }
        if due(seen.loading, self.startup) {
            self.fire(Alarm::Startup, &mut alarms);
        }
        let is_busy = seen.running.iter().any(|ticket| !self.is_stale(ticket, now));
        if due(seen.active, self.inactivity) && !is_busy {
            self.fire(Alarm::Inactive, &mut alarms);
        }
        if due(self.serving, self.restart_interval) {
            self.fire(Alarm::RestartInterval, &mut alarms);
        }
        alarms
    }

    fn of_requests(&mut self, running: &[Ticket], now: Instant) -> Vec<Alarm> {
        let mut alarms = Vec::new();
        for ticket in running {
            let gone = self.gone.entry(ticket.thread).or_insert((ticket.serial, 0));
            if gone.0 != ticket.serial {
                *gone = (ticket.serial, 0);
            }
            while let Some((_, alarm)) = self.schedule.get(gone.1).filter(|(after, _)| ticket.since + *after <= now) {
                alarms.push(alarm(*ticket));
                gone.1 += 1;
            }
        }
        alarms
    }

    fn fire(&mut self, alarm: Alarm, alarms: &mut Vec<Alarm>) {
        if !self.fired.contains(&alarm) {
            self.fired.push(alarm);
            alarms.push(alarm);
        }
    }

    /// When the next look is due.
    pub(super) fn deadline(&self, seen: &Seen, now: Instant) -> Option<Instant> {
        let step = |ticket: &Ticket| {
            let gone = self.gone.get(&ticket.thread).filter(|(serial, _)| *serial == ticket.serial).map_or(0, |(_, gone)| *gone);
            self.schedule.get(gone).map(|(after, _)| ticket.since + *after)
        };
        // A request that begins right after this look.
        let next = self.schedule.first().map(|(after, _)| now + *after);
        let once = |alarm: Alarm, since: Option<Instant>, limit: Option<Duration>| {
            since.zip(limit).filter(|_| !self.fired.contains(&alarm)).map(|(since, limit)| since + limit)
        };
        let of_process = [
            once(Alarm::Deadlock, seen.waits_for_python, self.deadlock),
            once(Alarm::Startup, seen.loading, self.startup),
            // Whoever is busy is looked at when that is over, in the next round.
            once(Alarm::Inactive, seen.active.filter(|_| seen.running.is_empty()), self.inactivity),
            once(Alarm::RestartInterval, self.serving, self.restart_interval),
        ];
        seen.running.iter().filter_map(step).chain(next).chain(of_process.into_iter().flatten()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn timeouts() -> Timeouts {
        let off = Duration::ZERO;
        Timeouts {
            startup: off,
            shutdown: 5 * SECOND,
            deadlock: 300 * SECOND,
            inactivity: off,
            request: off,
            interrupt: off,
            graceful: 15 * SECOND,
            eviction: off,
            restart_interval: off,
            slow_request: off,
            socket: 60 * SECOND,
        }
    }

    fn ticket(thread: u32, since: Instant) -> Ticket {
        Ticket { thread, serial: 7, since }
    }

    fn running(tickets: &[Ticket]) -> Seen {
        Seen { running: tickets.to_vec(), ..Seen::default() }
    }

    #[test]
    fn by_default_only_a_deadlock_is_looked_for() {
        let (mut timers, now) = (Timers::new(&timeouts()), Instant::now());
        timers.serve(now);
        let old = running(&[ticket(1, now)]);
        assert_eq!((timers.look(&old, now + 9_000 * SECOND), timers.deadline(&old, now)), (vec![], None));
        let stuck = Seen { waits_for_python: Some(now + 9_000 * SECOND), ..Seen::default() };
        assert_eq!(timers.look(&stuck, now + 9_001 * SECOND), []);
        assert_eq!(timers.look(&stuck, now + 9_300 * SECOND), [], "this process was stopped in between");
        assert_eq!(timers.look(&stuck, now + 9_301 * SECOND), [Alarm::Deadlock]);
        assert_eq!(timers.look(&stuck, now + 9_302 * SECOND), []);
    }

    #[test]
    fn request_timeout_is_exact_whatever_the_number_of_threads() {
        let (mut timers, now) = (Timers::new(&Timeouts { request: 2 * SECOND, ..timeouts() }), Instant::now());
        assert_eq!(timers.deadline(&running(&[]), now), Some(now + 2 * SECOND), "for one that begins at once");
        let tickets = [ticket(1, now), ticket(2, now + SECOND)];
        assert_eq!(timers.look(&running(&tickets), now + SECOND), []);
        assert_eq!(timers.deadline(&running(&tickets), now + SECOND), Some(now + 2 * SECOND));
        assert_eq!(timers.look(&running(&tickets), now + 2 * SECOND), [Alarm::Overdue(tickets[0])]);
        assert_eq!(timers.deadline(&running(&tickets), now + 2 * SECOND), Some(now + 3 * SECOND));
        assert_eq!((timers.is_stale(&tickets[0], now + 2 * SECOND), timers.is_stale(&tickets[1], now + 2 * SECOND)), (true, false));
        let next = Ticket { serial: 8, ..ticket(1, now + 2 * SECOND) };
        assert_eq!(timers.look(&running(&[next]), now + 4 * SECOND), [Alarm::Overdue(next)], "the thread's next request");
    }

    #[test]
    fn an_interrupted_request_has_time_to_end() {
        let (mut timers, now) =
            (Timers::new(&Timeouts { request: 2 * SECOND, interrupt: 3 * SECOND, slow_request: SECOND, ..timeouts() }), Instant::now());
        let stuck = ticket(1, now);
        let mut at = |after: Duration| timers.look(&running(&[stuck]), now + after);
        assert_eq!(at(SECOND), [Alarm::Slow(stuck)]);
        assert_eq!(at(2 * SECOND), [Alarm::Interrupt(stuck)]);
        assert_eq!(at(2 * SECOND + LAST_WORDS), [Alarm::CutOff(stuck)]);
        assert_eq!(at(4 * SECOND), []);
        assert_eq!(at(5 * SECOND), [Alarm::Stuck(stuck)]);
        assert_eq!(at(60 * SECOND), []);
        assert!(!timers.is_stale(&stuck, now + 4 * SECOND) && timers.is_stale(&stuck, now + 5 * SECOND));
    }

    #[test]
    fn inactivity_begins_with_the_first_activity_and_spares_who_is_busy() {
        let (mut timers, now) = (Timers::new(&Timeouts { inactivity: 10 * SECOND, ..timeouts() }), Instant::now());
        timers.serve(now);
        assert_eq!(timers.look(&Seen::default(), now + 99 * SECOND), []);
        let active = |running: &[Ticket]| Seen { running: running.to_vec(), active: Some(now + 100 * SECOND), ..Seen::default() };
        assert_eq!(timers.look(&active(&[ticket(1, now)]), now + 111 * SECOND), []);
        assert_eq!(timers.deadline(&active(&[]), now + 105 * SECOND), Some(now + 110 * SECOND));
        assert_eq!(timers.look(&active(&[]), now + 111 * SECOND), [Alarm::Inactive]);
    }

    #[test]
    fn startup_and_restart_interval_run_by_themselves() {
        let (mut timers, now) =
            (Timers::new(&Timeouts { startup: 5 * SECOND, restart_interval: 60 * SECOND, ..timeouts() }), Instant::now());
        assert_eq!(timers.look(&Seen::default(), now + 70 * SECOND), [], "it does not serve yet");
        timers.serve(now);
        let loading = Seen { loading: Some(now), ..Seen::default() };
        assert_eq!(timers.deadline(&loading, now), Some(now + 5 * SECOND));
        assert_eq!(timers.look(&loading, now + 5 * SECOND), [Alarm::Startup]);
        assert_eq!(timers.look(&Seen::default(), now + 60 * SECOND), [Alarm::RestartInterval]);
        assert_eq!(timers.deadline(&Seen::default(), now + 60 * SECOND), None);
    }
}
