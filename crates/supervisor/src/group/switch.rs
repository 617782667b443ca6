//! The switch from one generation of workers to the next: begun, promoted when the next is ready, abandoned when it cannot be.
//!
//! The next generation is started beside the one that serves, and nothing is taken from that until the next could do its work. If nobody
//! serves there is nothing to lose, and the next generation takes over at once.

use super::member::{Beginning, Member};
use super::scripts::Version;
use super::{Action, Group, Rules};
use crate::lifecycle::{self, Phase};
use std::time::Instant;
use wire::codes;
use wire::control::StopReason;
use wire::log::Level;

/// Workers that were started for the same reason.
#[derive(Clone, Copy, Debug)]
pub(super) struct Generation {
    pub(super) number: u64,
    pub(super) edition: u64,
    pub(super) rules: Rules,
}

/// Generations are counted, so the number says it all.
impl PartialEq for Generation {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

/// A switch under way.
#[derive(Debug)]
pub(super) struct Switch {
    pub(super) generation: Generation,
    trigger: Trigger,
    /// Whether the others were started beside the first one.
    is_followed: bool,
    /// Whether some of these could not be started.
    pub(super) has_lost_followers: bool,
}

/// Why a new generation is wanted.
#[derive(Clone, Debug)]
pub(super) enum Trigger {
    /// New settings.
    Settings,
    /// A script has changed.
    Script(Version),
    /// A signal to the supervisor.
    Asked,
}

impl Trigger {
    fn reason(&self) -> StopReason {
        match self {
            Self::Settings => StopReason::ShutdownSignal,
            Self::Script(_) => StopReason::ScriptReload,
            Self::Asked => StopReason::GracefulSignal,
        }
    }
}

impl Group {
    /// Begins a switch, unless one is under way; new settings overtake that.
    pub(super) fn begin(&mut self, trigger: Trigger, now: Instant) {
        let Some((edition, rules)) = self.newest.filter(|_| !self.stopping) else { return };
        if let Some(next) = &self.next {
            if !matches!(trigger, Trigger::Settings) {
                // All scripts are looked at again when the switch ends.
                return;
            }
            let overtaken = next.generation;
            self.next = None;
            self.advance_all(lifecycle::Event::Drain(StopReason::ShutdownSignal), now, |member| member.generation == overtaken);
        }
        if !rules.service && !self.has_room(rules, now) {
            if !matches!(self.waiting, Some(Trigger::Settings)) {
                self.waiting = Some(trigger);
            }
            return;
        }
        if let Trigger::Script(version) = &trigger {
            self.scripts.tried(version.clone());
            let script = String::from_utf8_lossy(&version.script).into_owned();
            self.log(Level::Info, format!("group '{}' is reloaded because '{script}' has changed", self.name));
        }
        self.last_generation += 1;
        let generation = Generation { number: self.last_generation, edition, rules };
        // Two runs of a service script at a time could do everything twice.
        if self.is_served() && !rules.service {
            self.next = Some(Switch { generation, trigger, is_followed: false, has_lost_followers: false });
            self.start(generation, Beginning::Warm, now);
        } else {
            self.take_over(generation, &trigger, now);
        }
    }

    /// Whether a generation may start beside what is there. If not, the oldest that drain are hurried.
    fn has_room(&mut self, rules: Rules, now: Instant) -> bool {
        let surplus = (self.members.len() + self.wanted).saturating_sub(rules.capacity);
        let draining: Vec<_> = self
            .members
            .iter()
            .filter(|(_, member)| matches!(member.phase, Phase::Draining { .. }))
            .map(|(worker, _)| *worker)
            .take(surplus)
            .collect();
        for worker in draining {
            self.advance(worker, lifecycle::Event::GracefulExpired, now);
        }
        surplus == 0
    }

    /// Whether the first one of a generation is still there to say what fails.
    pub(super) fn is_led(&self, generation: Generation) -> bool {
        let leads = |member: &Member| member.generation == generation && member.beginning != Beginning::Follower;
        self.members.values().any(|member| leads(member) && (member.is_standing() || member.failure.is_some()))
    }

    /// Goes on with the switch: starts the others when the first one can be copied, and whoever is missing once one is ready; ends it with
    /// success when all are, or when nobody else serves.
    pub(super) fn advance_switch(&mut self, now: Instant) {
        let Some(next) = &self.next else { return };
        let (generation, is_followed) = (next.generation, next.is_followed);
        let is_begun = self.members.values().any(|member| member.generation == generation && member.is_standing());
        if !is_followed && is_begun && !self.is_dividing(generation) {
            self.next.iter_mut().for_each(|next| next.is_followed = true);
            // They load beside the first one, so that it takes no longer than one; that one tells what fails, so that the log has it once.
            for _ in 1..self.wanted {
                self.start(generation, Beginning::Follower, now);
            }
        }
        let members = || self.members.values().filter(|member| member.generation == generation);
        let ready = members().filter(|member| member.phase == Phase::Ready).count();
        if ready > 0 {
            for _ in members().count()..self.wanted {
                self.start(generation, Beginning::Warm, now);
            }
        }
        if (ready >= self.wanted || !self.is_served())
            && let Some(next) = self.next.take()
        {
            self.take_over(generation, &next.trigger, now);
        }
    }

    /// Makes a generation the current one: what is ready of it accepts, and everybody else drains.
    fn take_over(&mut self, generation: Generation, trigger: &Trigger, now: Instant) {
        let is_first = self.current.replace(generation).is_none();
        // The new ones accept before the old ones cease, so there is always somebody who does.
        self.advance_all(lifecycle::Event::Accept, now, |member| member.generation == generation && member.phase == Phase::Ready);
        self.advance_all(lifecycle::Event::Drain(trigger.reason()), now, |member| member.generation != generation);
        self.backoff.reset();
        self.settings_backoff.reset();
        self.hopeless = false;
        self.scripts.all_loaded();
        if !is_first {
            self.log(Level::Info, format!("group '{}' is served by generation {}", self.name, generation.number));
            self.actions.push(Action::CheckScripts);
        }
    }

    /// Ends the switch without success: the current generation goes on.
    pub(super) fn abandon(&mut self, reason: &str, now: Instant) {
        let Some(Switch { generation, trigger, .. }) = self.next.take() else { return };
        self.advance_all(lifecycle::Event::Drain(trigger.reason()), now, |member| member.generation == generation);
        let old = self.current.map_or(0, |current| current.number);
        let what = format!(
            "generation {} of group '{}' could not start: {reason}; generation {old} goes on serving",
            generation.number, self.name
        );
        match trigger {
            Trigger::Settings => {
                if self.settings_backoff.failed(now, reason) {
                    self.log(codes::SETTINGS_FAILED.level, codes::SETTINGS_FAILED.line(what));
                }
            }
            Trigger::Script(version) => {
                self.scripts.failed(version.script);
                self.log(codes::RELOAD_FAILED.level, codes::RELOAD_FAILED.line(what));
            }
            Trigger::Asked => self.log(codes::RELOAD_FAILED.level, codes::RELOAD_FAILED.line(what)),
        }
        self.actions.push(Action::CheckScripts);
    }

    /// Whether new settings wait for another attempt.
    pub(super) fn wants_settings(&self) -> bool {
        self.settings_backoff.failures() > 0 && self.next.is_none() && self.waiting.is_none() && !self.stopping
    }

    /// A script is now of this version: if some worker runs another one, that is a reason to switch.
    pub(super) fn seen(&mut self, version: Version, now: Instant) {
        if self.next.is_some() || self.stopping || !self.scripts.is_watched(&version.script) {
            return;
        }
        if self.is_trying() {
            self.seen_while_trying = true;
            return;
        }
        let mut standing = self.members.values().filter(|member| member.is_standing());
        if standing.any(|member| member.has_loaded(&version.script, |modified| modified != version.modified)) {
            if !self.scripts.was_tried(&version) {
                self.begin(Trigger::Script(version), now);
            }
        } else if self.members.values().any(|member| member.is_standing() && member.has_loaded(&version.script, |_| true))
            && self.scripts.is_as_loaded(&version.script)
        {
            // Who could not be started for it can be started now.
            self.backoff.reset();
        }
    }
}
