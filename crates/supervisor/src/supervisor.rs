//! The process around the group: one thread that waits for its parent, its workers, signals, changed files and the time, and does what
//! the group decides.

mod start;

use crate::descriptors::Given;
use crate::edition::Edition;
use crate::group::{Action, Event, Group, Memory, Rules, Sight, WorkerId};
use crate::lifecycle::Order;
use crate::observe::{self, OutOfMemory};
use crate::place::{self, Place};
use crate::template::Template;
use crate::watch::{self, Watch};
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use sys::control::{Channel, ChannelError};
use sys::nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sys::nix::sys::signal::{SigSet, Signal, kill};
use sys::nix::sys::signalfd::{SfdFlags, SignalFd};
use sys::nix::unistd::{Pid, dup2_stderr, dup2_stdout, getppid};
use sys::process::{pidfd, reap};
use sys::socket::Readiness;
use wire::codes;
use wire::control::{FromWorker, NEWS_TIME, ToSupervisor, ToWorker};
use wire::counters::{Cause, Counters, GroupState};
use wire::log::Level;

/// An editor writes in steps: a change counts when nothing more has come for this long.
const QUIET: Duration = Duration::from_millis(50);

/// And in any case after this long.
const RESTLESS: Duration = Duration::from_secs(1);

/// Does everything, from the first message to the end.
pub(crate) fn run(given: Given) -> ExitCode {
    let parent = pidfd(getppid()).ok();
    let control = Channel::new(given.control);
    let edition = match first_edition(&control) {
        Ok(Some(edition)) => edition,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", codes::CONTROL.line(error));
            return ExitCode::FAILURE;
        }
    };
    // Before chroot, where there may be no /dev.
    let null = File::open("/dev/null");
    speak_to(&edition);
    let place = Place::take(&edition).map_err(|error| place::code(&error).line(error));
    let started = place.and_then(|place| {
        let system = |what: &str, reason: &dyn std::fmt::Display| {
            codes::SUPERVISOR.line(format_args!("the supervisor of group '{}' cannot {what}: {reason}", edition.settings.name))
        };
        let null = null.map_err(|error| system("open /dev/null", &error))?;
        let signals = signals().map_err(|error| system("take signals", &error))?;
        Ok((place, null, signals))
    });
    let (place, null, signals) = match started {
        Ok(started) => started,
        Err(reason) => {
            edition.log(Level::Alert, &reason);
            if let Some(counters) = edition.memory.counters() {
                counters.set_state(GroupState::Failed);
            }
            // A process that ends would be started again, to no avail: it stays until there are other settings or httpd ends.
            let _whatever_comes_ends_it = control.wait::<ToSupervisor>(None);
            return ExitCode::FAILURE;
        }
    };
    let (watch, watched) = Watch::new();
    if let Err(error) = watched {
        edition.log(Level::Warn, &codes::WATCH.line(format_args!("group '{}' cannot watch scripts: {error}", edition.settings.name)));
    }
    let mut supervisor = Supervisor {
        group: Group::new(edition.settings.name.clone()),
        place,
        control: Some(control),
        parent,
        listener: given.listener,
        null,
        signals,
        watch,
        changed: None,
        next_look: None,
        news_until: None,
        out_of_memory: OutOfMemory::new(),
        editions: BTreeMap::new(),
        workers: BTreeMap::new(),
        templates: BTreeMap::new(),
        ended: false,
    };
    supervisor.configure(edition);
    supervisor.work();
    ExitCode::SUCCESS
}

/// Waits for the first settings; `None` when they will not come.
fn first_edition(control: &Channel) -> Result<Option<Edition>, Box<dyn std::error::Error>> {
    match control.wait(None) {
        Ok(Some((ToSupervisor::Configure(settings), descriptors))) => Ok(Some(Edition::new(*settings, descriptors, [])?)),
        Ok(_) | Err(ChannelError::Gone) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What this process itself says, a panic for instance, goes to the error log as well.
fn speak_to(edition: &Edition) {
    let _the_log_has_its_own_descriptor = dup2_stdout(&edition.log).and(dup2_stderr(&edition.log));
}

fn signals() -> sys::nix::Result<SignalFd> {
    let set: SigSet = [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1].into_iter().collect();
    set.thread_block()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

/// A worker's process.
struct Worker {
    pid: Pid,
    /// Until it closes it.
    channel: Option<Channel>,
    edition: u64,
    generation: u64,
    slot: u32,
}

/// What a wait is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Control,
    Parent,
    Signals,
    Watch,
    Listener,
    Worker(WorkerId),
}

/// The supervisor.
struct Supervisor {
    group: Group,
    place: Place,
    /// Until httpd closes it.
    control: Option<Channel>,
    /// Becomes readable when httpd's parent ends; until it does.
    parent: Option<OwnedFd>,
    listener: OwnedFd,
    null: File,
    signals: SignalFd,
    watch: Watch,
    /// When scripts have begun to change, and when they are looked at.
    changed: Option<(Instant, Instant)>,
    /// When the group is looked at again, if it is.
    next_look: Option<Instant>,
    /// Until when httpd's word is awaited.
    news_until: Option<Instant>,
    out_of_memory: OutOfMemory,
    editions: BTreeMap<u64, Edition>,
    workers: BTreeMap<WorkerId, Worker>,
    /// The templates, by generation.
    templates: BTreeMap<u64, Template>,
    ended: bool,
}

impl Supervisor {
    fn work(&mut self) {
        while !self.ended {
            for source in self.wait() {
                match source {
                    Source::Control => self.hear_parent(),
                    Source::Parent => {
                        self.parent = None;
                        self.handle(Event::ParentGone);
                    }
                    Source::Signals => self.hear_signals(),
                    Source::Watch => self.see_changes(),
                    Source::Listener => self.handle(Event::Asked),
                    Source::Worker(worker) => self.hear(worker),
                }
            }
            if self.changed.is_some_and(|(_, due)| due <= Instant::now()) {
                self.changed = None;
                let seen: Vec<Event> = self.watch.versions().into_iter().map(Event::Seen).collect();
                seen.into_iter().for_each(|event| self.handle(event));
            }
            if self.next_look.is_some_and(|due| due <= Instant::now()) {
                self.look();
            }
            if self.news_until.is_some_and(|due| due <= Instant::now()) {
                self.news_until = None;
                self.log(Level::Notice, "httpd does without mod_wsgi now: the group is ended");
                self.handle(Event::Retire);
            }
            self.handle(Event::Tick);
            self.next_look = self.group.looks().map(|interval| self.next_look.unwrap_or_else(|| Instant::now() + interval));
            self.forget_templates();
        }
        std::mem::take(&mut self.templates).into_values().for_each(Template::end);
    }

    /// Looks at the group, as its settings ask for it.
    fn look(&mut self) {
        self.next_look = None;
        let sights = self.workers.iter().filter_map(|(id, worker)| {
            let slot = self.editions.get(&worker.edition).and_then(|edition| edition.memory.counters()?.worker(worker.slot))?;
            let memory = Memory { weight: slot.weight(), ..observe::memory(worker.pid)? };
            Some(Sight { worker: *id, memory, busy: slot.busy(), served: slot.served() })
        });
        let event =
            Event::Look(sys::socket::wait(&self.listener, Readiness::Read, Some(Duration::ZERO)).unwrap_or(false), sights.collect());
        self.handle(event);
    }

    /// Waits until something is to be read or the time of something has come.
    fn wait(&self) -> Vec<Source> {
        let optional = [
            (Source::Control, self.control.as_ref().map(AsFd::as_fd)),
            (Source::Parent, self.parent.as_ref().map(AsFd::as_fd)),
            (Source::Signals, Some(self.signals.as_fd())),
            (Source::Watch, self.watch.descriptor()),
            (Source::Listener, self.group.is_asleep().then(|| self.listener.as_fd())),
        ];
        let workers = self.workers.iter().map(|(id, worker)| (Source::Worker(*id), worker.channel.as_ref().map(AsFd::as_fd)));
        let sources: Vec<(Source, BorrowedFd<'_>)> =
            optional.into_iter().chain(workers).filter_map(|(source, descriptor)| Some((source, descriptor?))).collect();
        let mut polled: Vec<PollFd<'_>> = sources.iter().map(|(_, descriptor)| PollFd::new(*descriptor, PollFlags::POLLIN)).collect();
        let due =
            self.group.deadline().into_iter().chain(self.changed.map(|(_, due)| due)).chain(self.next_look).chain(self.news_until).min();
        let timeout = due.map_or(PollTimeout::NONE, |due| {
            // Rounded up, or the last part of a millisecond would be spent in turning round.
            let left = due.saturating_duration_since(Instant::now()).as_micros().div_ceil(1_000);
            PollTimeout::try_from(i32::try_from(left).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut polled, timeout) {
            Ok(_) => {
                let ready = |poll: &PollFd<'_>| poll.revents().is_some_and(|events| !events.is_empty());
                sources.iter().zip(&polled).filter(|(_, poll)| ready(poll)).map(|((source, _), _)| *source).collect()
            }
            // Signals are blocked, so this is a lack of memory: try again, and not at once.
            Err(_) => {
                std::thread::sleep(QUIET);
                Vec::new()
            }
        }
    }

    /// Does what follows from an event, until nothing follows any more.
    fn handle(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for action in self.group.on(event, Instant::now()) {
                self.perform(action, &mut events);
            }
        }
    }

    fn perform(&mut self, action: Action, events: &mut VecDeque<Event>) {
        match action {
            Action::Start(start) => events.push_back(match self.start(&start) {
                Ok(pid) => Event::Started(start.worker, pid.as_raw().unsigned_abs()),
                Err(obstacle) => Event::CannotStart(start.worker, obstacle),
            }),
            Action::Order(worker, order) => self.order(worker, order),
            // A script that is gone meanwhile would only fail.
            Action::Load { worker, import, must_succeed } => {
                if watch::modified(&import.script).is_some() {
                    self.tell(worker, &ToWorker::Load { import, must_succeed });
                } else {
                    events.push_back(Event::Gone(worker, import));
                }
            }
            Action::RecordDeath(pid, cause) => {
                // A child of httpd knows the counters it was given, whichever the worker had.
                self.counters().for_each(|counters| counters.record_death(pid, cause));
            }
            Action::SetState(state) => {
                self.counters().for_each(|counters| counters.set_state(state));
            }
            Action::Watch(script) => {
                if let Err(error) = self.watch.add(script) {
                    self.log(Level::Warn, &codes::WATCH.line(format_args!("a script's directory cannot be watched: {}", error.desc())));
                }
            }
            Action::CheckScripts => events.extend(self.watch.versions().into_iter().map(Event::Seen)),
            Action::Log(level, text) => self.log(level, &text),
            Action::Exit => self.ended = true,
        }
    }

    /// The counters of all editions: what concerns the group stands in each.
    fn counters(&self) -> impl Iterator<Item = Counters<'_>> {
        self.editions.values().filter_map(|edition| edition.memory.counters())
    }

    fn log(&self, level: Level, text: &str) {
        if let Some((_, newest)) = self.editions.last_key_value() {
            newest.log(level, text);
        }
    }

    /// Makes settings the newest.
    fn configure(&mut self, edition: Edition) {
        let rules = Rules::from(&edition.settings);
        let unreached = edition.settings.unreached.clone();
        let number = self.editions.last_key_value().map_or(1, |(last, _)| last + 1);
        if let Some(counters) = edition.memory.counters() {
            counters.set_state(self.group.state());
        }
        self.editions.insert(number, edition);
        self.handle(Event::Unreached(unreached));
        self.handle(Event::Configured { edition: number, rules });
        self.forget_editions();
    }

    /// Lets go of settings, log and counters that nobody uses any more.
    fn forget_editions(&mut self) {
        let (group, workers) = (&self.group, &self.workers);
        self.editions
            .retain(|number, _| group.editions().any(|used| used == *number) || workers.values().any(|worker| worker.edition == *number));
    }

    fn hear_parent(&mut self) {
        while let Some(control) = &self.control {
            let received = control.receive::<ToSupervisor>();
            self.news_until = match &received {
                Ok(Some((ToSupervisor::Await, _))) => Some(Instant::now() + NEWS_TIME),
                Ok(Some(_)) => None,
                _ => self.news_until,
            };
            match received {
                Ok(Some((ToSupervisor::Await, _))) => {}
                Ok(Some((ToSupervisor::Stop, _))) => self.handle(Event::Stop),
                Ok(Some((ToSupervisor::Retire, _))) => self.handle(Event::Retire),
                Ok(Some((ToSupervisor::Configure(settings), descriptors))) => {
                    match Edition::new(*settings, descriptors, self.editions.values()) {
                        Ok(edition) if self.place.suits(&edition.settings.identity) => {
                            speak_to(&edition);
                            self.place.adjust(&edition);
                            self.configure(edition);
                        }
                        Ok(edition) => {
                            // The workers see the end of their control sockets and drain; httpd starts another supervisor, as root.
                            let name = &edition.settings.name;
                            edition.log(Level::Notice, &format!("group '{name}' has another user now: its supervisor ends"));
                            self.ended = true;
                            return;
                        }
                        Err(error) => self.log(codes::COUNTERS.level, &codes::COUNTERS.line(error)),
                    }
                }
                Ok(None) => return,
                Err(ChannelError::Malformed(error)) => self.log(codes::CONTROL.level, &codes::CONTROL.line(error)),
                Err(_) => {
                    self.control = None;
                    self.handle(Event::ParentGone);
                }
            }
        }
    }

    fn hear_signals(&mut self) {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            match Signal::try_from(i32::try_from(signal.ssi_signo).unwrap_or(0)) {
                Ok(Signal::SIGTERM | Signal::SIGINT) => self.handle(Event::Stop),
                Ok(Signal::SIGHUP | Signal::SIGUSR1) => self.handle(Event::Renew),
                // Several children may have ended for one signal: all are reaped below.
                _ => {}
            }
        }
        while let Some(ended) = reap() {
            if let Some(generation) = self.templates.iter().find_map(|(number, template)| (template.pid() == ended.pid).then_some(*number))
            {
                self.templates.remove(&generation);
                self.no_template(generation, &"the template process has ended");
            }
            let Some(worker) = self.workers.iter().find_map(|(id, worker)| (worker.pid == ended.pid).then_some(*id)) else { continue };
            // What it has said before it ended comes first.
            self.hear(worker);
            if let Some(worker) = self.workers.remove(&worker) {
                if worker.pid != ended.pid {
                    // It has become a template meanwhile, and the worker a copy: whoever has ended it means the worker.
                    let _may_have_ended = kill(worker.pid, Signal::SIGKILL);
                }
                // No child of httpd is to try it for a request.
                let slot = self.editions.get(&worker.edition).and_then(|edition| edition.memory.counters()?.worker(worker.slot));
                slot.inspect(|slot| slot.withdraw(worker.pid.as_raw().unsigned_abs()));
            }
            let is_out_of_memory = ended.cause == Cause::Signal(Signal::SIGKILL as i32) && self.out_of_memory.has_struck();
            let cause = if is_out_of_memory { Cause::OutOfMemory } else { ended.cause };
            self.counters().for_each(|counters| counters.count_end(cause));
            self.handle(Event::Exited(worker, cause));
            self.forget_editions();
        }
    }

    fn hear(&mut self, id: WorkerId) {
        while let Some(channel) = self.workers.get(&id).and_then(|worker| worker.channel.as_ref()) {
            match channel.receive::<FromWorker>() {
                Ok(Some((FromWorker::Template { pid }, sockets))) => {
                    if self.take_template(id, pid, sockets) {
                        self.handle(Event::Started(id, pid));
                    }
                    self.handle(Event::Divided(id));
                }
                Ok(Some((FromWorker::NoTemplate(reason), _))) => {
                    if let Some(generation) = self.workers.get(&id).map(|worker| worker.generation) {
                        self.no_template(generation, &reason);
                    }
                    self.handle(Event::Divided(id));
                }
                Ok(Some((message, _))) => self.handle(Event::Message(id, message)),
                Ok(None) => return,
                Err(error) => {
                    if !matches!(error, ChannelError::Gone) {
                        self.log(codes::CONTROL.level, &codes::CONTROL.line(error));
                    }
                    self.lose(id);
                }
            }
        }
    }

    fn lose(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.channel = None;
        }
        self.handle(Event::Lost(id));
    }

    fn see_changes(&mut self) {
        if self.watch.read() {
            let now = Instant::now();
            let since = self.changed.map_or(now, |(since, _)| since);
            self.changed = Some((since, (now + QUIET).min(since + RESTLESS)));
        }
    }

    fn order(&mut self, id: WorkerId, order: Order) {
        let Some(worker) = self.workers.get(&id) else { return };
        if let Order::Drain(reason) | Order::Stop(reason) = order {
            self.counters().for_each(|counters| counters.count_stop(reason));
        }
        let message = match order {
            Order::Wait => return,
            Order::Accept => ToWorker::Accept,
            Order::Drain(reason) => ToWorker::Drain(reason),
            Order::Stop(reason) => ToWorker::Stop(reason),
            Order::Terminate | Order::Kill => {
                let signal = if order == Order::Kill { Signal::SIGKILL } else { Signal::SIGTERM };
                // It is not reaped yet, so the pid is still its own.
                let _may_have_ended = kill(worker.pid, signal);
                return;
            }
        };
        self.tell(id, &message);
    }

    fn tell(&self, id: WorkerId, message: &ToWorker) {
        let Some(worker) = self.workers.get(&id) else { return };
        let sent = worker.channel.as_ref().map_or(Err(ChannelError::Gone), |channel| channel.send(message, &[]));
        if let Err(error) = sent.or_else(|error| if matches!(error, ChannelError::Gone) { Ok(()) } else { Err(error) }) {
            self.log(codes::CONTROL.level, &codes::CONTROL.line(format_args!("worker {}: {error}", worker.pid)));
            // What cannot be told in words is told by a signal.
            let _may_have_ended = kill(worker.pid, Signal::SIGTERM);
        }
    }
}
