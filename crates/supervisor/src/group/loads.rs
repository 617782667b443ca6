//! What one worker has loaded all of them load. Who came to it later, by a request, might find a newer version, or a broken one, while
//! the others run the old.
//!
//! So whoever does not serve yet is ready only when it has loaded what is known by then, and a failure is a start that has failed, as
//! long as others serve. If nobody does, an answer that names the script's error is better than none. One attempt at a time finds out
//! whether a changed script works: meanwhile, and when it does not, others are held back.

use super::member::{Beginning, title};
use super::scripts::Version;
use super::{Action, Group, WorkerId};
use crate::lifecycle::{self, Phase};
use std::time::Instant;
use wire::log::Level;
use wire::settings::{Import, Octets};

impl Group {
    /// A worker says that it is ready.
    pub(super) fn stands_by(&mut self, worker: WorkerId) {
        let others_serve = self.is_served();
        let Some(member) = self.members.get_mut(&worker) else { return };
        member.stands_by = true;
        if others_serve && !member.generation.rules.strict && member.beginning != Beginning::Cold {
            // What it could not load at its start is tried once more, as the others have it.
            let loaded = &member.loaded;
            member.to_load.retain(|import| loaded.iter().any(|(known, _)| known == import));
        }
    }

    /// A worker has loaded a script.
    pub(super) fn loaded(&mut self, worker: WorkerId, import: &Import, modified: i64) {
        if let Some(member) = self.members.get_mut(&worker) {
            member.loaded.retain(|(loaded, _)| loaded != import);
            member.loaded.push((import.clone(), modified));
            self.scripts.loaded(import);
        }
        self.need_not_load(worker, import);
    }

    /// Whether a worker with former settings speaks of a script to which the newest do not lead any more: its word has come late.
    pub(super) fn is_past(&self, worker: WorkerId, script: &Octets) -> bool {
        let member = self.members.get(&worker).zip(self.newest);
        member.is_some_and(|(member, (newest, _))| member.generation.edition < newest) && self.scripts.is_unreached(script)
    }

    /// A worker is waited for no longer on account of this script.
    pub(super) fn need_not_load(&mut self, worker: WorkerId, import: &Import) {
        if let Some(member) = self.members.get_mut(&worker) {
            member.awaited.retain(|awaited| awaited != import);
        }
    }

    /// A worker that must load a script cannot: no other attempt is needed to know that its newest version is broken.
    pub(super) fn load_failed(&mut self, script: Octets, modified: Option<i64>) {
        if let Some(modified) = modified.filter(|_| self.is_served()) {
            self.scripts.tried(Version { script: script.clone(), modified });
            self.scripts.failed(script);
        }
    }

    /// Whether somebody who must load a script is about it: its version is tried by that.
    pub(super) fn is_trying(&self) -> bool {
        self.members.values().any(|member| !member.awaited.is_empty())
    }

    /// Lets every worker load what one of them has loaded, and makes those ready who stand by and have.
    pub(super) fn share_loads(&mut self, now: Instant) {
        let known = self.scripts.preload();
        let others_serve = self.is_served();
        let workers: Vec<WorkerId> = self.members.keys().copied().collect();
        for worker in workers {
            let Some(member) = self.members.get_mut(&worker).filter(|member| member.stands_by && member.is_standing()) else { continue };
            let generation = member.generation;
            let is_next = self.next.as_ref().is_some_and(|next| next.generation == generation);
            if self.current != Some(generation) && !is_next {
                continue;
            }
            member.is_held = false;
            let must_succeed = others_serve && !generation.rules.strict && member.phase != Phase::Serving;
            // A service script is loaded by the program itself.
            for import in known.iter().filter(|_| !generation.rules.service) {
                if member.to_load.contains(import) {
                    continue;
                }
                if must_succeed && !is_next && (self.next.is_some() || self.scripts.has_failed(&import.script)) {
                    member.is_held = true;
                    continue;
                }
                member.to_load.push(import.clone());
                if !member.loaded.iter().any(|(loaded, _)| loaded == import) {
                    self.actions.push(Action::Load { worker, import: import.clone(), must_succeed });
                    if must_succeed {
                        member.awaited.push(import.clone());
                    }
                }
            }
            if !others_serve {
                member.awaited.clear();
            }
            match member.phase {
                Phase::Starting { .. } if member.awaited.is_empty() => self.become_ready(worker, now),
                Phase::Ready if !member.awaited.is_empty() => self.advance(worker, lifecycle::Event::Load, now),
                _ => {}
            }
        }
        if self.seen_while_trying && !self.is_trying() {
            self.seen_while_trying = false;
            self.actions.push(Action::CheckScripts);
        }
    }

    fn become_ready(&mut self, worker: WorkerId, now: Instant) {
        let Some(member) = self.members.get_mut(&worker) else { return };
        member.was_ready = true;
        let (title, took, generation) = (title(member), now - member.started, member.generation);
        self.advance(worker, lifecycle::Event::Ready, now);
        if self.current == Some(generation) {
            self.hopeless = false;
            // A service script has only begun: how long it lives, counts.
            if !generation.rules.service {
                self.backoff.reset();
            }
        }
        self.log(Level::Info, format!("{title} of group '{}' is ready after {} ms", self.name, took.as_millis()));
    }
}
