//! The workers of a generation that are started together are forked from one process, the template that the first of them leaves behind:
//! one interpreter is started instead of one for each, and they share its memory. With `preload=` the template has loaded the scripts and
//! stays, so whoever comes later is forked from it as well.

use super::member::Member;
use super::switch::Generation;
use super::{Group, WorkerId};
use crate::lifecycle::Phase;

impl Group {
    /// A worker has left its template behind, or cannot.
    pub(super) fn divides(&mut self, worker: WorkerId) {
        self.divided = self.members.get(&worker).map_or(0, |member| member.generation.number).max(self.divided);
    }

    /// The generations that somebody may still be forked in: while they are being started, and with `preload=` as long as they serve.
    ///
    /// If starts fail, that may be because of the fork, as what an interpreter has loaded at its start may not endure one: others start
    /// interpreters of their own then.
    pub(crate) fn forked_generations(&self) -> impl Iterator<Item = u64> {
        let is_being_started = |current: Generation| self.missing(current) > 0 && self.backoff.failures() == 0;
        let current = self.current.filter(|current| current.rules.preload || is_being_started(*current));
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
        let is_first = !self.members.values().any(|member| member.generation == generation && member.is_standing());
        let are_several = generation.rules.preload || (self.wanted > 1 && !generation.rules.service);
        are_several && is_first && self.divided < generation.number
    }
}
