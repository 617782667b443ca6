//! How a worker comes to be: executed, or forked from the template of its generation (`preload=`).

use super::{Supervisor, Worker};
use crate::command;
use crate::group::{Obstacle, Start, WorkerId};
use crate::template::{self, Template};
use crate::watch;
use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use sys::clock::epoch_micros;
use sys::control::Channel;
use sys::nix::errno::Errno;
use sys::nix::sys::signal::{Signal, kill};
use sys::nix::unistd::Pid;
use sys::process::{Bounds, Program, SpawnError, spawn};
use wire::codes;
use wire::control::{CONTROL_FD, COUNTERS_FD, LISTENER_FD, ToWorker, WorkerSettings};
use wire::log::Level;
use wire::settings::GroupSettings;

impl Supervisor {
    /// Starts a worker.
    pub(super) fn start(&mut self, start: &Start) -> Result<Pid, Obstacle> {
        let edition = self.editions.get(&start.edition).expect("the group starts with settings that it has named as used");
        let generation = start.generation;
        let taken: Vec<u32> = self
            .workers
            .values()
            .filter(|worker| self.editions.get(&worker.edition).is_some_and(|other| std::rc::Rc::ptr_eq(&other.memory, &edition.memory)))
            .map(|worker| worker.slot)
            .collect();
        let slot = edition.memory.free_slot(&taken);
        let slot = slot.ok_or_else(|| cannot_start(&edition.settings, &"the counters have no slot for it"))?;
        let mut settings = Box::new(WorkerSettings {
            group: edition.settings.clone(),
            slot,
            generation,
            // A script that is gone would fail a generation that may well do without it.
            preload: start.preload.iter().filter(|import| watch::modified(&import.script).is_some()).cloned().collect(),
            preload_must_succeed: start.preload_must_succeed,
            follows: start.follows,
            makes_template: false,
        });
        let (pid, channel) = match self.fork(generation, &settings) {
            Some(forked) => forked,
            None => {
                // It and what is forked from it become our children when those in between end.
                settings.makes_template = start.leaves_template && sys::process::adopt_orphans().is_ok();
                self.execute(start.edition, settings)?
            }
        };
        if let Some(counters) = self.editions.get(&start.edition).and_then(|edition| edition.memory.counters()) {
            counters.count_start();
            if let Some(slot) = counters.worker(slot) {
                slot.reset(pid.as_raw().unsigned_abs(), generation, epoch_micros());
            }
        }
        self.workers.insert(start.worker, Worker { pid, channel: Some(channel), edition: start.edition, generation, slot });
        Ok(pid)
    }

    /// Executes a worker, and tells it who it is.
    fn execute(&self, edition: u64, worker: Box<WorkerSettings>) -> Result<(Pid, Channel), Obstacle> {
        let edition = self.editions.get(&edition).expect("the caller has looked it up");
        let settings = &edition.settings;
        let fail = |reason: &dyn std::fmt::Display| cannot_start(settings, reason);
        self.place.enter(edition)?;
        command::check(settings)?;
        let arguments = command::arguments(settings).map_err(|error| fail(&error))?;
        let environment = command::environment(std::env::vars_os(), settings, self.place.account()).map_err(|error| fail(&error))?;
        let (channel, theirs) = Channel::pair().map_err(|error| fail(&error))?;
        let program = Program {
            path: &arguments[0],
            arguments: &arguments,
            environment: &environment,
            descriptors: &[
                (self.null.as_fd(), 0),
                (edition.log.as_fd(), 1),
                (edition.log.as_fd(), 2),
                (theirs.as_fd(), CONTROL_FD),
                (self.listener.as_fd(), LISTENER_FD),
                (edition.counters.as_fd(), COUNTERS_FD),
            ],
            bounds: Bounds {
                // The graceful one: what a worker executes when its supervisor dies is not lost.
                death_signal: Some(Signal::SIGUSR1),
                no_new_privileges: true,
                limits: settings.limits,
                cpu_grace: settings.timeouts.shutdown.as_secs(),
            },
        };
        let pid = spawn(&program).map_err(|error| match error {
            SpawnError::Fork(Errno::EAGAIN | Errno::ENOMEM) => Obstacle { code: codes::FORK, ..fail(&error) },
            SpawnError::Fork(_) => fail(&error),
            SpawnError::Exec(..) => Obstacle { code: codes::INTERPRETER, ..fail(&error) },
        })?;
        if let Err(error) = channel.send(&ToWorker::Configure(worker), &[]) {
            let _may_have_ended = kill(pid, Signal::SIGKILL);
            return Err(Obstacle { code: codes::CONTROL, ..fail(&error) });
        }
        Ok((pid, channel))
    }

    /// Forks a worker from the template of its generation, if there is one.
    fn fork(&mut self, generation: u64, settings: &WorkerSettings) -> Option<(Pid, Channel)> {
        match self.templates.get(&generation)?.fork(settings.clone()) {
            Ok(forked) => Some(forked),
            Err(error) => {
                self.templates.remove(&generation)?.end();
                self.no_template(generation, &error);
                None
            }
        }
    }

    /// What was executed as a worker is a template now, and the worker is the process `pid` that was forked from it. Returns whether that
    /// is so.
    pub(super) fn take_template(&mut self, id: WorkerId, pid: u32, sockets: Vec<OwnedFd>) -> bool {
        let Some(worker) = self.workers.get_mut(&id) else { return false };
        let generation = worker.generation;
        match template::child(pid) {
            Ok(child) => {
                worker.pid = child;
                let slot = self.editions.get(&worker.edition).and_then(|edition| edition.memory.counters()?.worker(worker.slot));
                slot.inspect(|slot| slot.reset(pid, generation, epoch_micros()));
            }
            Err(error) => {
                self.log(codes::CONTROL.level, &codes::CONTROL.line(error));
                return false;
            }
        }
        match sockets.into_iter().next().map(Template::new) {
            Some(Ok(template)) => {
                if let Some(older) = self.templates.insert(generation, template) {
                    older.end();
                }
            }
            Some(Err(error)) => self.no_template(generation, &error),
            None => self.log(codes::CONTROL.level, &codes::CONTROL.line("a template came without the way to it")),
        }
        true
    }

    /// The workers of a generation are started one by one.
    pub(super) fn no_template(&self, generation: u64, reason: &dyn std::fmt::Display) {
        // As long as there is no worker of it, its settings are the newest.
        let of_generation = self.workers.values().find(|worker| worker.generation == generation);
        let edition = of_generation.and_then(|worker| self.editions.get(&worker.edition)).or_else(|| self.editions.values().next_back());
        let Some(settings) = edition.map(|edition| &edition.settings) else { return };
        let name = &settings.name;
        if settings.preload {
            let what = format!("generation {generation} of group '{name}' is started without preload=: {reason}");
            self.log(codes::NO_TEMPLATE.level, &codes::NO_TEMPLATE.line(what));
        } else {
            let what = format!("each worker of generation {generation} of group '{name}' starts its own interpreter: {reason}");
            self.log(Level::Info, &what);
        }
    }

    /// Ends the templates of generations of which nobody is started any more.
    pub(super) fn forget_templates(&mut self) {
        let wanted: BTreeSet<u64> = self.group.forked_generations().collect();
        let unwanted: Vec<u64> = self.templates.keys().copied().filter(|generation| !wanted.contains(generation)).collect();
        unwanted.into_iter().filter_map(|generation| self.templates.remove(&generation)).for_each(Template::end);
    }
}

fn cannot_start(settings: &GroupSettings, reason: &dyn std::fmt::Display) -> Obstacle {
    Obstacle { code: codes::SUPERVISOR, what: format!("a worker of group '{}' cannot be started: {reason}", settings.name) }
}
