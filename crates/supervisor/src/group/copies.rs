//! The workers of a generation that are started together are forked from one process, the template that the first of them leaves behind:
//! one interpreter is started instead of one for each, and they share its memory. With `preload=` the template has loaded the scripts.
//!
//! A template keeps a copy of each page to which all of its workers have written. So it ends when all are there, and stays, with `preload=`,
//! only where some are bound to be replaced, or there is but one; where one is replaced nonetheless, its successor makes a new template,
//! which stays.

use super::member::Member;
use super::switch::Generation;
use super::{Group, WorkerId};
use crate::lifecycle::Phase;

impl Group {
    /// A worker has left its template behind, or cannot.
    pub(super) fn divides(&mut self, worker: WorkerId) {
        self.divided = self.members.get(&worker).map_or(0, |member| member.generation.number).max(self.divided);
    }

    /// The generations that somebody may still be forked in: while they are being started, and where their template is kept.
    ///
    /// If starts fail, that may be because of the fork, as what an interpreter has loaded at its start may not endure one: others start
    /// interpreters of their own then.
    pub(crate) fn forked_generations(&self) -> impl Iterator<Item = u64> {
        let is_being_started = |current: Generation| self.missing(current) > 0 && self.backoff.failures() == 0;
        let current = self.current.filter(|current| self.keeps_template(*current) || is_being_started(*current));
        let next = self.next.as_ref().filter(|next| next.generation.rules.preload || !next.has_lost_followers);
        current.into_iter().chain(next.map(|next| next.generation)).map(|generation| generation.number)
    }

    /// Whether the others are to be forked from a template that is not there yet.
    pub(super) fn is_dividing(&self, generation: Generation) -> bool {
        let is_about_it =
            |member: &Member| member.generation == generation && member.leaves_template && matches!(member.phase, Phase::Starting { .. });
        self.divided < generation.number && self.members.values().any(is_about_it)
    }

    /// Whether the worker that is started now is the first one, from which the others of its generation are to be forked.
    pub(super) fn is_to_leave_template(&self, generation: Generation) -> bool {
        let is_first = || !self.members.values().any(|member| member.generation == generation && member.is_standing());
        let is_wanted = generation.rules.preload || (self.wanted > 1 && !generation.rules.service && is_first());
        is_wanted && self.divided < generation.number
    }

    /// Whether whoever is replaced is forked as well.
    fn keeps_template(&self, generation: Generation) -> bool {
        generation.rules.preload && (generation.rules.renews || self.wanted <= 1 || self.renewed == generation.number)
    }

    /// Does without the template from here on, once all are there.
    pub(super) fn give_up_template(&mut self, current: Generation) {
        if current.rules.preload && self.missing(current) == 0 && !self.keeps_template(current) {
            self.given_up = current.number;
        }
    }

    /// A worker is to be started whose generation has given up its template: it makes a new one.
    pub(super) fn renew_template(&mut self, generation: Generation) {
        if self.given_up == generation.number && self.divided == generation.number {
            self.given_up = 0;
            self.renewed = generation.number;
            self.divided -= 1;
        }
    }
}
