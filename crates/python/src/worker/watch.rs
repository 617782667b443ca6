//! What is done when a timer of a worker runs out, and what the timers are told.
//!
//! The main thread looks, and never enters Python: whatever holds an interpreter's lock must not keep it from acting. What has to be done
//! inside is done by threads of their own, which begin when something runs out and end when it is done.

#![forbid(unsafe_code)]

use super::log;
use super::timers::{Alarm, Seen, Timers};
use crate::host::{Host, Ticket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use sys::memory::Scratch;
use wire::codes::{self, Code};
use wire::control::StopReason;
use wire::log::Level;
use wire::settings::{GroupSettings, Timeouts};

/// The longest time between two tries to enter an interpreter.
const PROBE: Duration = Duration::from_secs(1);

/// How long Python may take to write its stacks while somebody holds its lock.
const DUMP_TIME: Duration = Duration::from_millis(300);

/// What request threads and others note for the timers: microseconds of the monotonic clock, 0 for never.
#[derive(Debug, Default)]
pub(super) struct Signs {
    /// When there was something to do last.
    active: AtomicU64,
    /// Whether that is of interest.
    counts_activity: bool,
    /// When the first request came.
    first: AtomicU64,
    /// Whether a script has been loaded.
    loaded: AtomicBool,
    /// Since when an interpreter is being entered.
    probe: AtomicU64,
}

impl Signs {
    /// What these timeouts need.
    pub(super) fn new(timeouts: &Timeouts) -> Self {
        Self { counts_activity: !timeouts.inactivity.is_zero(), ..Self::default() }
    }

    /// A request begins; `counts` says whether that is activity.
    pub(super) fn begin(&self, counts: bool) {
        if self.first.load(Relaxed) == 0 {
            self.first.store(sys::clock::monotonic_micros(), Relaxed);
        }
        if counts {
            self.act();
        }
    }

    /// Something is read or written.
    pub(super) fn act(&self) {
        if self.counts_activity {
            self.active.store(sys::clock::monotonic_micros(), Relaxed);
        }
    }

    /// A script was loaded.
    pub(super) fn load(&self) {
        self.loaded.store(true, Relaxed);
    }

    /// Enters the interpreters now and then, as long as `goes_on`.
    pub(super) fn probe(&self, host: &Host, timeouts: &Timeouts, goes_on: impl Fn() -> bool) {
        let pause = PROBE.min(timeouts.deadlock / 4);
        while goes_on() {
            self.probe.store(sys::clock::monotonic_micros(), Relaxed);
            host.probe();
            self.probe.store(0, Relaxed);
            std::thread::park_timeout(pause);
        }
    }
}

/// Starts a thread.
pub(super) type Beside<'w> = dyn Fn(Box<dyn FnOnce() + Send>) + 'w;

/// What follows for the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consequence {
    /// Nothing.
    None,
    /// It is replaced.
    Replace(StopReason),
    /// It ends, in order.
    End(StopReason),
    /// It ends at once: there is no order any more.
    Exit(StopReason),
}

/// Watches over a worker.
pub(super) struct Watch<'w> {
    host: &'static Host,
    group: &'w GroupSettings,
    signs: &'w Signs,
    beside: &'w Beside<'w>,
    timers: Timers,
    /// Where Python writes its stacks to when it gets the signal.
    dump: Option<Scratch>,
}

impl<'w> Watch<'w> {
    /// Nothing is watched yet but requests.
    pub(super) fn new(host: &'static Host, group: &'w GroupSettings, signs: &'w Signs, beside: &'w Beside<'w>) -> Self {
        let dump = if group.timeouts.deadlock.is_zero() { None } else { Scratch::new(c"stacks").ok() };
        let dump = dump.filter(|dump| host.dump_on(sys::signals::stacks(), dump.as_raw_fd()));
        Self { host, group, signs, beside, timers: Timers::new(&group.timeouts), dump }
    }

    /// The worker serves from now on.
    pub(super) fn serve(&mut self) {
        self.timers.serve(Instant::now());
    }

    /// When the next look is due, if one is.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timers.deadline(&self.seen(), Instant::now())
    }

    /// How many requests are being executed for which nobody waits any more.
    pub(super) fn stale(&self) -> usize {
        let now = Instant::now();
        self.host.running().iter().filter(|ticket| self.timers.is_stale(ticket, now)).count()
    }

    /// Does what is due; returns what follows from it.
    pub(super) fn look(&mut self) -> Vec<Consequence> {
        let (seen, now) = (self.seen(), Instant::now());
        let alarms = self.timers.look(&seen, now);
        alarms.into_iter().map(|alarm| self.act(alarm, now)).filter(|consequence| *consequence != Consequence::None).collect()
    }

    fn seen(&self) -> Seen {
        let (now, micros) = (Instant::now(), sys::clock::monotonic_micros());
        let instant = |sign: &AtomicU64| {
            let at = sign.load(Relaxed);
            (at > 0).then(|| now.checked_sub(Duration::from_micros(micros.saturating_sub(at)))).flatten()
        };
        Seen {
            running: self.host.running(),
            waits_for_python: instant(&self.signs.probe),
            loading: instant(&self.signs.first).filter(|_| !self.signs.loaded.load(Relaxed)),
            active: instant(&self.signs.active),
        }
    }

    fn act(&self, alarm: Alarm, now: Instant) -> Consequence {
        let timeouts = &self.group.timeouts;
        match alarm {
            Alarm::Slow(ticket) => {
                if self.tell_request(&codes::SLOW_REQUEST, ticket, now, "goes on") {
                    let host = self.host;
                    (self.beside)(Box::new(move || write(&host.stack_of(ticket))));
                }
                Consequence::None
            }
            Alarm::Interrupt(ticket) => {
                if self.tell_request(&codes::REQUEST_TIMEOUT, ticket, now, "is interrupted") {
                    let host = self.host;
                    (self.beside)(Box::new(move || {
                        // Before it leaves the place where it was.
                        let stacks = host.stacks();
                        host.interrupt(ticket);
                        write(&stacks);
                    }));
                }
                Consequence::None
            }
            Alarm::CutOff(ticket) => {
                self.cut_off(ticket);
                Consequence::None
            }
            Alarm::Stuck(ticket) => {
                if !self.tell_request(&codes::REQUEST_STUCK, ticket, now, "did not end when it was interrupted: the process is replaced") {
                    return Consequence::None;
                }
                self.write_stacks();
                Consequence::Replace(StopReason::RequestTimeout)
            }
            Alarm::Overdue(ticket) => {
                if !self.tell_request(&codes::REQUEST_TIMEOUT, ticket, now, "is given up: the process is replaced") {
                    return Consequence::None;
                }
                self.cut_off(ticket);
                self.write_stacks();
                Consequence::Replace(StopReason::RequestTimeout)
            }
            Alarm::Deadlock => {
                let limit = timeouts.deadlock.as_secs();
                self.tell(&codes::DEADLOCK_TIMEOUT, &format!("has not got Python's lock for {limit} s{}", self.busy_with(now)));
                self.dump();
                Consequence::Exit(StopReason::DeadlockTimeout)
            }
            Alarm::Startup => {
                let limit = timeouts.startup.as_secs();
                self.tell(&codes::STARTUP_TIMEOUT, &format!("has loaded no script within {limit} s{}", self.busy_with(now)));
                self.write_stacks();
                Consequence::End(StopReason::StartupTimeout)
            }
            Alarm::Inactive => {
                self.tell(&codes::INACTIVITY_TIMEOUT, &format!("has had nothing to do for {} s", timeouts.inactivity.as_secs()));
                Consequence::Replace(StopReason::InactivityTimeout)
            }
            Alarm::RestartInterval => {
                self.tell(&codes::RESTART_INTERVAL, &format!("has served for {} s", timeouts.restart_interval.as_secs()));
                Consequence::Replace(StopReason::RestartInterval)
            }
        }
    }

    fn tell(&self, code: &Code, what: &str) {
        log::coded(code, format_args!("daemon process '{}' (pid {}) {what}", self.group.name, std::process::id()));
    }

    /// Tells of a request; `false` when it has ended meanwhile.
    fn tell_request(&self, code: &Code, ticket: Ticket, now: Instant, what: &str) -> bool {
        let Some(request) = self.host.describe(ticket) else { return false };
        let (seconds, thread) = (now.saturating_duration_since(ticket.since).as_secs_f64(), ticket.thread);
        self.tell(code, &format!("executes '{request}' for {seconds:.1} s on thread {thread}: it {what}"));
        true
    }

    /// The requests that are being executed, for a line that is about all of them.
    fn busy_with(&self, now: Instant) -> String {
        let tell = |ticket: &Ticket| {
            let seconds = now.saturating_duration_since(ticket.since).as_secs_f64();
            self.host.describe(*ticket).map(|request| format!("'{request}' for {seconds:.1} s"))
        };
        let told: Vec<String> = self.host.running().iter().filter_map(tell).collect();
        if told.is_empty() { String::new() } else { format!(", while it executes {}", told.join(", ")) }
    }

    fn cut_off(&self, ticket: Ticket) {
        let host = self.host;
        (self.beside)(Box::new(move || host.cut_off(ticket)));
    }

    fn write_stacks(&self) {
        let host = self.host;
        (self.beside)(Box::new(move || write(&host.stacks())));
    }

    /// Writes the stacks as far as they can be told without the lock.
    fn dump(&self) {
        let Some(dump) = &self.dump else { return };
        sys::signals::raise_in_process(sys::signals::stacks());
        // It is written by the handler of the signal, on whichever thread.
        std::thread::sleep(DUMP_TIME);
        let text = String::from_utf8_lossy(&dump.contents()).into_owned();
        write(&text.lines().map(str::to_owned).collect::<Vec<_>>());
    }
}

fn write(lines: &[String]) {
    for line in lines.iter().filter(|line| !line.is_empty()) {
        log::write(Level::Warn, line);
    }
}
