//! What a group does with its workers: how many there are, which of them serve, what follows when one ends or a script changes.
//!
//! A value: events and the time go in, actions come out; no process, socket or clock is touched here. `switch` replaces one
//! generation by the next, `scripts` knows what was loaded, `backoff` how long to wait after failures.

#![forbid(unsafe_code)]

mod backoff;
mod copies;
mod demand;
mod loads;
mod looks;
mod member;
mod rules;
mod scripts;
mod switch;
#[cfg(test)]
mod tests;

pub(crate) use looks::{Memory, Sight};
pub(crate) use rules::Rules;
pub(crate) use scripts::Version;

use crate::lifecycle::{self, Order, Phase};
use backoff::Backoff;
use demand::Demand;
use member::{Beginning, Member, describe, title};
use scripts::Scripts;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use switch::{Generation, Switch, Trigger};
use wire::codes::{self, Code};
use wire::control::{FromWorker, StopReason};
use wire::counters::{Cause, GroupState};
use wire::log::Level;
use wire::settings::{Import, Octets};

/// Starts that fail in a row before requests are answered 503, when nobody serves.
const PATIENCE: u32 = 3;

/// A service script that has run for so long may end, and is started again without a longer pause.
const STEADY: Duration = Duration::from_secs(10);

/// A worker, over its whole life; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WorkerId(u64);

/// What happens to a group.
#[derive(Debug)]
pub(crate) enum Event {
    /// It has settings, the first or new ones; `edition` counts them.
    Configured { edition: u64, rules: Rules },
    /// The settings that come now lead to these scripts, or directories of scripts, no more.
    Unreached(Vec<Octets>),
    /// An administrator wants a new generation.
    Renew,
    /// httpd wants it to end in order.
    Stop,
    /// httpd sends it no more requests: what waits is served, then it ends.
    Retire,
    /// httpd is gone.
    ParentGone,
    /// A worker was started.
    Started(WorkerId, u32),
    /// A worker could not be started.
    CannotStart(WorkerId, Obstacle),
    /// A worker says something.
    Message(WorkerId, FromWorker),
    /// A worker has left a template behind, or says that it cannot.
    Divided(WorkerId),
    /// A worker does not speak any more.
    Lost(WorkerId),
    /// A worker was reaped.
    Exited(WorkerId, Cause),
    /// A script was looked at.
    Seen(Version),
    /// The group was looked at: whether requests wait, and its workers.
    Look(bool, Vec<Sight>),
    /// A script that a worker was to load is gone.
    Gone(WorkerId, Import),
    /// Somebody asks a group that is asleep.
    Asked,
    /// Time has passed.
    Tick,
}

/// Why a worker cannot be started.
#[derive(Debug)]
pub(crate) struct Obstacle {
    /// The code of its log line.
    pub(crate) code: Code,
    /// What is in the way, without a final stop.
    pub(crate) what: String,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    /// Start a worker, and answer with `Started` or `CannotStart`.
    Start(Start),
    /// Do this to a worker.
    Order(WorkerId, Order),
    /// Let a worker load what another one has loaded, or answer with `Gone`.
    Load { worker: WorkerId, import: Import, must_succeed: bool },
    /// Let httpd's children know how a worker ended.
    RecordDeath(u32, Cause),
    /// Let httpd's children know how the group is.
    SetState(GroupState),
    /// Watch a script from now on.
    Watch(Octets),
    /// Look at all scripts, and report each with `Seen`.
    CheckScripts,
    /// Write a line.
    Log(Level, String),
    /// Everything has ended.
    Exit,
}

/// A worker to start.
#[derive(Debug, PartialEq)]
pub(crate) struct Start {
    /// Who it will be.
    pub(crate) worker: WorkerId,
    /// With which settings.
    pub(crate) edition: u64,
    /// Its generation.
    pub(crate) generation: u64,
    /// What it loads before it is ready.
    pub(crate) preload: Vec<Import>,
    /// Whether it fails if that fails.
    pub(crate) preload_must_succeed: bool,
    /// Whether the first of its generation loads the same at the same time, and tells why that fails.
    pub(crate) follows: bool,
    /// Whether the others of its generation wait for the template that it leaves behind.
    pub(crate) leaves_template: bool,
}

/// A daemon process group.
#[derive(Debug)]
pub(crate) struct Group {
    name: String,
    members: BTreeMap<WorkerId, Member>,
    last_worker: u64,
    /// The settings to start with from now on.
    newest: Option<(u64, Rules)>,
    /// How many workers there should be.
    wanted: usize,
    demand: Demand,
    /// Since when it is being retired.
    retiring: Option<Instant>,
    /// The generation that serves, or should.
    current: Option<Generation>,
    /// The switch under way.
    next: Option<Switch>,
    /// A switch that waits for room.
    waiting: Option<Trigger>,
    last_generation: u64,
    /// The last generation whose first worker has left a template behind, or cannot.
    divided: u64,
    /// The last generation whose template was given up when all workers were there, although it is more than an interpreter.
    given_up: u64,
    /// The last generation in which a worker had to be replaced after that.
    renewed: u64,
    backoff: Backoff,
    /// Counts switches to new settings that failed.
    settings_backoff: Backoff,
    /// Whether the last start failed before there was a process.
    hopeless: bool,
    scripts: Scripts,
    /// Whether a script has changed while one was being tried.
    seen_while_trying: bool,
    /// Workers to start that load nothing beforehand: they follow those that had nothing to do.
    cold: usize,
    stopping: bool,
    state: GroupState,
    actions: Vec<Action>,
}

impl Group {
    /// A group without settings.
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            members: BTreeMap::new(),
            last_worker: 0,
            newest: None,
            wanted: 0,
            demand: Demand::default(),
            retiring: None,
            current: None,
            next: None,
            waiting: None,
            last_generation: 0,
            divided: 0,
            given_up: 0,
            renewed: 0,
            backoff: Backoff::default(),
            settings_backoff: Backoff::default(),
            hopeless: false,
            scripts: Scripts::default(),
            seen_while_trying: false,
            cold: 0,
            stopping: false,
            state: GroupState::Starting,
            actions: Vec::new(),
        }
    }

    /// What is to be done after an event.
    pub(crate) fn on(&mut self, event: Event, now: Instant) -> Vec<Action> {
        match event {
            Event::Configured { edition, rules } => {
                self.retiring = None;
                // What was found to be needed is kept, as far as the new settings allow it.
                self.wanted = if self.newest.is_some_and(|(_, old)| old.is_elastic()) && rules.is_elastic() {
                    self.wanted.clamp(rules.fewest, rules.most)
                } else {
                    rules.processes
                };
                self.newest = Some((edition, rules));
                self.begin(Trigger::Settings, now);
            }
            Event::Unreached(paths) => self.scripts.forget(paths),
            Event::Renew => self.begin(Trigger::Asked, now),
            Event::Stop => self.end(lifecycle::Event::Stop(StopReason::ShutdownSignal), now),
            Event::Retire => self.retiring = self.retiring.or(Some(now)),
            Event::ParentGone => self.end(lifecycle::Event::ParentGone, now),
            Event::Started(worker, pid) => {
                if let Some(member) = self.members.get_mut(&worker) {
                    member.pid = Some(pid);
                }
            }
            Event::CannotStart(worker, Obstacle { code, what }) => {
                if let Some(member) = self.members.remove(&worker) {
                    self.hopeless |= self.current == Some(member.generation);
                    let line = code.line(&what);
                    self.start_failed(member.origin(), code, &what, line, now);
                }
            }
            Event::Message(worker, message) => self.hear(worker, message, now),
            Event::Divided(worker) => self.divides(worker),
            Event::Lost(worker) => self.advance(worker, lifecycle::Event::Lost, now),
            Event::Exited(worker, cause) => self.exited(worker, cause, now),
            Event::Seen(version) => self.seen(version, now),
            Event::Look(waiting, sights) => self.look(waiting, &sights, now),
            Event::Gone(worker, import) => self.need_not_load(worker, &import),
            Event::Asked => self.wake(),
            Event::Tick => self.tick(now),
        }
        self.settle(now);
        std::mem::take(&mut self.actions)
    }

    /// When something is due without an event.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let phases = self.members.values().filter_map(|member| member.phase.deadline());
        let start = self.backoff.retry_at().filter(|_| self.wants_start());
        let switch = self.settings_backoff.retry_at().filter(|_| self.wants_settings());
        phases.chain(start).chain(switch).min()
    }

    /// The settings somebody may still be started with.
    pub(crate) fn editions(&self) -> impl Iterator<Item = u64> {
        let newest = self.newest.map(|(edition, _)| edition);
        newest.into_iter().chain(self.current.map(|generation| generation.edition))
    }

    /// How the group is.
    pub(crate) fn state(&self) -> GroupState {
        self.state
    }

    fn log(&mut self, level: Level, text: String) {
        self.actions.push(Action::Log(level, text));
    }

    /// Passes an event to a worker's table.
    fn advance(&mut self, worker: WorkerId, event: lifecycle::Event, now: Instant) {
        let Some(member) = self.members.get_mut(&worker) else { return };
        let (phase, order) = member.phase.on(event, now, &member.generation.rules.timeouts);
        member.phase = phase;
        match event {
            lifecycle::Event::Ready | lifecycle::Event::Load | lifecycle::Event::Accept => {}
            lifecycle::Event::Lost | lifecycle::Event::Exited => {}
            // Who stopped speaking was told nothing: its end is no order of ours, though we may have to kill it.
            lifecycle::Event::ShutdownExpired => {}
            _ => member.told = true,
        }
        member.signalled |= matches!(order, Order::Terminate | Order::Kill);
        if order != Order::Wait {
            self.actions.push(Action::Order(worker, order));
        }
    }

    fn advance_all(&mut self, event: lifecycle::Event, now: Instant, which: impl Fn(&Member) -> bool) {
        let workers: Vec<WorkerId> = self.members.iter().filter(|(_, member)| which(member)).map(|(worker, _)| *worker).collect();
        for worker in workers {
            self.advance(worker, event, now);
        }
    }

    fn end(&mut self, event: lifecycle::Event, now: Instant) {
        self.stopping = true;
        self.next = None;
        self.waiting = None;
        self.advance_all(event, now, |_| true);
    }

    fn tick(&mut self, now: Instant) {
        let due: Vec<(WorkerId, lifecycle::Event)> =
            self.members.iter().filter_map(|(worker, member)| Some((*worker, member.phase.expired(now)?))).collect();
        for (worker, event) in due {
            let Some(member) = self.members.get(&worker) else { continue };
            let (title, origin) = (title(member), member.origin());
            self.advance(worker, event, now);
            match event {
                lifecycle::Event::StartupExpired => {
                    let reason = "not ready within startup-timeout";
                    let line = codes::STARTUP_TIMEOUT.line(format_args!("{title} of group '{}' is {reason}", self.name));
                    self.start_failed(origin, codes::STARTUP_TIMEOUT, reason, line, now);
                }
                lifecycle::Event::GracefulExpired => {
                    self.log(
                        Level::Info,
                        format!("{title} of group '{}' has not finished within graceful-timeout: stopping it", self.name),
                    );
                }
                _ => {
                    self.log(Level::Info, format!("{title} of group '{}' has not ended in its time: killing it", self.name));
                }
            }
        }
    }

    fn hear(&mut self, worker: WorkerId, message: FromWorker, now: Instant) {
        if let FromWorker::Loaded { import, .. } = &message
            && self.is_past(worker, &import.script)
        {
            return self.need_not_load(worker, import);
        }
        let Some(member) = self.members.get_mut(&worker) else { return };
        let title = title(member);
        match message {
            FromWorker::Ready => self.stands_by(worker),
            FromWorker::Failed(reason) => {
                member.failure = Some(reason);
                self.advance(worker, lifecycle::Event::Lost, now);
            }
            FromWorker::Loaded { import, modified, reloads } => {
                self.loaded(worker, &import, modified);
                if reloads {
                    self.watch(&import.script);
                }
                self.seen(Version { script: import.script, modified }, now);
            }
            FromWorker::LoadFailed { script, modified } => self.load_failed(script, modified),
            FromWorker::Changed { script, modified } => {
                self.watch(&script);
                self.seen(Version { script, modified }, now);
            }
            FromWorker::ReplaceMe(reason) => {
                member.leaving = Some(reason);
                self.cold += usize::from(reason == StopReason::InactivityTimeout);
                self.log(Level::Info, format!("{title} of group '{}' asks for a successor: {}", self.name, reason.word()));
            }
            // The process that holds the channels deals with these.
            FromWorker::Template { .. } | FromWorker::NoTemplate(_) | FromWorker::Forked { .. } => {}
            FromWorker::Drained => self.advance(worker, lifecycle::Event::Drained, now),
        }
    }

    /// Some request wants the script to be reloaded: so its changes are looked for.
    fn watch(&mut self, script: &Octets) {
        if self.scripts.watch(script) {
            self.actions.push(Action::Watch(script.clone()));
            // It may have changed between being loaded and being watched.
            self.actions.push(Action::CheckScripts);
        }
    }

    fn exited(&mut self, worker: WorkerId, cause: Cause, now: Instant) {
        self.advance(worker, lifecycle::Event::Exited, now);
        let Some(member) = self.members.remove(&worker) else { return };
        let in_order = member.told && cause == Cause::Exit(0);
        if let (false, Some(pid)) = (in_order, member.pid) {
            self.actions.push(Action::RecordDeath(pid, cause));
        }
        let title = title(&member);
        let was_awaited = !member.told && self.next.as_ref().is_some_and(|next| next.generation == member.generation);
        if member.told && (member.signalled || matches!(cause, Cause::Exit(_))) {
            // A worker that ends with another status than 0 has said why.
            self.log(Level::Info, format!("{title} of group '{}' has ended: it {}", self.name, describe(cause)));
        } else if member.was_ready && !member.told && member.generation.rules.service {
            self.service_ended(&title, now - member.started, cause, now);
        } else if (member.was_ready && !was_awaited) || member.told {
            let uptime = (now - member.started).as_secs_f64();
            let text = format!("{title} of group '{}' {} after {uptime:.1} s", self.name, describe(cause));
            self.log(codes::WORKER_DIED.level, codes::WORKER_DIED.line(text));
        } else {
            let origin = member.origin();
            let reason = member.failure.unwrap_or_else(|| describe(cause));
            let line = codes::WORKER_NOT_READY.line(format_args!("{title} of group '{}' could not start: {reason}", self.name));
            self.start_failed(origin, codes::WORKER_NOT_READY, &reason, line, now);
        }
        if let Some(trigger) = self.waiting.take() {
            self.begin(trigger, now);
        }
    }

    /// A service script has ended by itself: it is started again, after a pause that grows if it ends soon each time.
    fn service_ended(&mut self, title: &str, uptime: Duration, cause: Cause, now: Instant) {
        if uptime >= STEADY {
            self.backoff.reset();
        }
        if !self.backoff.failed(now, &describe(cause)) {
            return;
        }
        let text = format!("{title} of group '{}' {} after {:.1} s", self.name, describe(cause), uptime.as_secs_f64());
        match cause {
            Cause::Exit(0) => self.log(Level::Info, format!("the service script has ended and is started again: {text}")),
            _ => self.log(codes::WORKER_DIED.level, codes::WORKER_DIED.line(text)),
        }
    }

    /// Draws the conclusions from where everybody stands now.
    fn settle(&mut self, now: Instant) {
        if self.stopping {
            if self.members.is_empty() {
                self.actions.push(Action::Exit);
            }
            return;
        }
        if self.settings_backoff.allows(now) && self.wants_settings() {
            self.begin(Trigger::Settings, now);
        }
        self.share_loads(now);
        self.advance_switch(now);
        let Some(current) = self.current else { return };
        let may_serve = |member: &Member| member.phase == Phase::Ready && !member.is_held && member.generation == current;
        self.advance_all(lifecycle::Event::Accept, now, may_serve);
        self.start_missing(current, now);
        self.give_up_template(current);
        self.drain_surplus(current, now);
        self.tell_state();
    }

    fn is_service(&self) -> bool {
        self.current.is_some_and(|current| current.rules.service)
    }

    fn is_served(&self) -> bool {
        self.members.values().any(|member| member.phase == Phase::Serving)
    }

    fn missing(&self, current: Generation) -> usize {
        // Whoever says that it has failed is replaced when it has ended, after the pause that follows a failure.
        let is_there = |member: &Member| member.is_standing() || member.failure.is_some();
        let stays = |member: &&Member| member.generation == current && is_there(member) && member.leaving.is_none();
        self.wanted.saturating_sub(self.members.values().filter(stays).count())
    }

    /// Whether workers are missing and only time keeps them from being started.
    fn wants_start(&self) -> bool {
        let starting = |member: &Member| matches!(member.phase, Phase::Starting { .. });
        self.current.is_some_and(|current| {
            !self.stopping
                && self.next.is_none()
                && self.missing(current) > 0
                && self.members.len() < current.rules.capacity
                && !(self.backoff.failures() > 0 && self.members.values().any(starting))
                && !self.is_dividing(current)
        })
    }

    fn start_missing(&mut self, current: Generation, now: Instant) {
        if !self.is_served() {
            self.backoff.wait_no_longer();
        }
        while self.wants_start() && self.backoff.allows(now) {
            let start = if self.cold == 0 { Beginning::Warm } else { Beginning::Cold };
            self.cold = self.cold.saturating_sub(1);
            self.start(current, start, now);
        }
    }

    /// Starts a worker.
    fn start(&mut self, generation: Generation, beginning: Beginning, now: Instant) {
        self.last_worker += 1;
        let worker = WorkerId(self.last_worker);
        let to_load = self.scripts.preload();
        self.renew_template(generation);
        let leaves_template = self.is_to_leave_template(generation);
        self.actions.push(Action::Start(Start {
            worker,
            edition: generation.edition,
            generation: generation.number,
            preload: if beginning == Beginning::Cold { Vec::new() } else { to_load.clone() },
            // If nobody serves, an answer that names the script's error is better than none.
            preload_must_succeed: self.is_served() && !generation.rules.strict,
            follows: beginning == Beginning::Follower,
            leaves_template,
        }));
        let member = Member {
            generation,
            phase: Phase::started(now, &generation.rules.timeouts),
            pid: None,
            started: now,
            beginning,
            leaves_template,
            stands_by: false,
            was_ready: false,
            told: false,
            signalled: false,
            leaving: None,
            failure: None,
            loaded: Vec::new(),
            to_load,
            awaited: Vec::new(),
            is_held: false,
            memory_at_first: None,
        };
        self.members.insert(worker, member);
    }

    /// Lets those go that have to be replaced, as far as there are enough without them, and then whoever is one too many.
    fn drain_surplus(&mut self, current: Generation, now: Instant) {
        let serving = self.members.values().filter(|member| member.generation == current && member.phase == Phase::Serving).count();
        let surplus = serving.saturating_sub(self.wanted);
        let leaving: Vec<(WorkerId, StopReason)> = self
            .members
            .iter()
            .filter(|(_, member)| member.phase == Phase::Serving)
            .filter_map(|(worker, member)| Some((*worker, member.leaving?)))
            .take(surplus)
            .collect();
        let superfluous = self
            .members
            .iter()
            .rev()
            .filter(|(_, member)| member.generation == current && member.phase == Phase::Serving && member.leaving.is_none())
            .map(|(worker, _)| (*worker, StopReason::InactivityTimeout));
        let leaving: Vec<(WorkerId, StopReason)> = leaving.iter().copied().chain(superfluous.take(surplus - leaving.len())).collect();
        for (worker, reason) in leaving {
            self.advance(worker, lifecycle::Event::Drain(reason), now);
        }
    }

    /// A worker never became ready. `reason` is what is compared with the reason of the failure before, `line` is for the log.
    fn start_failed(&mut self, (generation, beginning): (Generation, Beginning), code: Code, reason: &str, line: String, now: Instant) {
        if self.stopping {
            return;
        }
        if self.next.as_ref().is_some_and(|next| next.generation == generation) {
            if beginning == Beginning::Follower && self.is_led(generation) {
                // What fails in all of them fails in the first one; what does not is tried once more when that is ready.
                self.next.iter_mut().for_each(|next| next.has_lost_followers = true);
                self.log(Level::Info, line);
            } else {
                self.abandon(reason, now);
            }
        } else if self.current == Some(generation) {
            // Trying does not repair a script, though it may show that what the script needs is there again.
            let lasts = self.scripts.any_failed() && self.is_served();
            let is_news = if lasts { self.backoff.failed_lastingly(now, reason) } else { self.backoff.failed(now, reason) };
            if is_news {
                self.log(code.level, line);
            }
        }
    }

    fn tell_state(&mut self) {
        let state = match self.is_served() {
            true if self.scripts.any_failed() || self.settings_backoff.failures() > 0 => GroupState::ReloadFailed,
            true => GroupState::Serving,
            false if self.hopeless || (self.backoff.failures() >= PATIENCE && !self.is_service()) => GroupState::Failed,
            // It stays failed until somebody serves, whatever is being tried meanwhile.
            false if self.state == GroupState::Failed && self.backoff.failures() > 0 => GroupState::Failed,
            false => GroupState::Starting,
        };
        if state == self.state {
            return;
        }
        self.state = state;
        self.actions.push(Action::SetState(state));
        if state == GroupState::Failed {
            let line =
                codes::GROUP_FAILED.line(format_args!("group '{}' has no worker that can serve: requests are answered 503", self.name));
            self.log(codes::GROUP_FAILED.level, line);
        }
    }
}
