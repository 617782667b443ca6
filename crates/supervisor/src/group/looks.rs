//! What a group looks at every now and then, where its settings ask for it: the memory of its workers, whether requests wait, who is busy.

use super::demand::{Change, Use};
use super::member::title;
use super::{Group, WorkerId};
use crate::lifecycle::{self, Phase};
use std::time::{Duration, Instant};
use wire::codes;
use wire::control::StopReason;
use wire::log::Level;
use wire::settings::Limits;

/// How far apart looks are.
const INTERVAL: Duration = Duration::from_millis(100);

/// How long a retired group serves in any case: httpd's old children may just be about to ask it.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is seen of a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    /// Which.
    pub(crate) worker: WorkerId,
    /// What of its memory has a limit.
    pub(crate) memory: Memory,
    /// Request threads that are busy.
    pub(crate) busy: usize,
    /// Requests that it has served.
    pub(crate) served: u64,
}

/// The memory of a process, in octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// `VmData`, which the kernel refuses to let grow beyond `memory-limit`, in use or not, shared or not.
    pub(crate) data: u64,
    /// `VmSize`, which it refuses to let grow beyond `virtual-memory-limit`.
    pub(crate) space: u64,
    /// What it really takes, pages that it shares counted in parts (PSS); 0 if it does not say so.
    pub(crate) weight: u64,
}

impl Group {
    /// How long until the next look; `None` when there is nothing to look for.
    pub(crate) fn looks(&self) -> Option<Duration> {
        let (_, rules) = self.newest?;
        // A service script would have to end before its successor starts, so it may go to its limit.
        let is_bounded = (rules.limits.memory > 0 || rules.limits.virtual_memory > 0) && !rules.service;
        let wants = !self.stopping && (self.retiring.is_some() || is_bounded || rules.is_elastic());
        wants.then_some(INTERVAL)
    }

    /// Whether a request that comes is to be reported at once: there is nobody to serve it, on purpose.
    pub(crate) fn is_asleep(&self) -> bool {
        self.wanted == 0 && !self.stopping && self.current.is_some()
    }

    /// Somebody asks a group that is asleep.
    pub(super) fn wake(&mut self) {
        if self.is_asleep() {
            self.wanted = 1;
            self.log(Level::Info, format!("group '{}' is asked again: a process is started", self.name));
        }
    }

    /// Draws the conclusions from a look.
    pub(super) fn look(&mut self, waiting: bool, sights: &[Sight], now: Instant) {
        if self.newest.is_some_and(|(_, rules)| !rules.service) {
            self.look_at_memory(sights);
        }
        if let Some(since) = self.retiring {
            let grace = self.newest.and_then(|(_, rules)| rules.timeouts.graceful);
            let is_over = grace.is_some_and(|grace| now >= since + grace);
            if is_over || (now >= since + FAREWELL && !waiting) {
                self.end(lifecycle::Event::Drain(StopReason::GracefulSignal), now);
            }
            return;
        }
        self.adapt(waiting, sights, now);
    }

    /// Who comes near a limit gets a successor before it meets it.
    fn look_at_memory(&mut self, sights: &[Sight]) {
        for sight in sights {
            let Some(member) =
                self.members.get_mut(&sight.worker).filter(|member| member.phase == Phase::Serving && member.leaving.is_none())
            else {
                continue;
            };
            let at_first = *member.memory_at_first.get_or_insert(sight.memory);
            let Some((option, what, size, limit)) = exceeded(member.generation.rules.limits, at_first, sight.memory) else { continue };
            member.leaving = Some(StopReason::MemoryLimit);
            let (title, mebibytes) = (title(member), |octets: u64| octets >> 20);
            let text = format!(
                "{title} of group '{}' has {} MiB of {what}, near {option}={limit} ({} MiB): a successor is started",
                self.name,
                mebibytes(size),
                mebibytes(limit)
            );
            self.log(codes::MEMORY.level, codes::MEMORY.line(text));
        }
    }

    fn adapt(&mut self, waiting: bool, sights: &[Sight], now: Instant) {
        let Some((_, rules)) = self.newest.filter(|(_, rules)| rules.is_elastic() && self.next.is_none()) else { return };
        let serves = |sight: &&Sight| self.members.get(&sight.worker).is_some_and(|member| member.phase == Phase::Serving);
        let serving: Vec<&Sight> = sights.iter().filter(serves).collect();
        let seen = Use {
            waiting,
            busy: serving.iter().map(|sight| sight.busy).sum(),
            served: serving.iter().map(|sight| sight.served).sum(),
            workers: serving.len(),
            threads: rules.threads,
        };
        // Before those that were started serve, nobody knows whether they are enough.
        let is_settled = serving.len() == self.wanted;
        match self.demand.look(seen, now) {
            Change::Grow if is_settled && self.wanted < rules.most => self.resize(self.wanted + 1, "requests wait"),
            Change::Shrink if is_settled && self.wanted > rules.fewest => self.resize(self.wanted - 1, "it has little to do"),
            _ => {}
        }
    }

    fn resize(&mut self, wanted: usize, reason: &str) {
        self.wanted = wanted;
        self.log(Level::Info, format!("group '{}' gets {wanted} processes: {reason}", self.name));
    }
}

/// The option whose limit is near, of what, with the size and the limit. Near is seven eighths; a worker that has nearly as much as soon
/// as it serves would be replaced for ever, so then it is half of what is left. What has more than the limit at once has no limit that
/// could be kept.
fn exceeded(limits: Limits, at_first: Memory, now: Memory) -> Option<(&'static str, &'static str, u64, u64)> {
    let of = |option, what, limit: u64, first: u64, size: u64| {
        let mark = (limit - limit / 8).max(limit.saturating_add(first) / 2);
        (limit > first && size >= mark).then_some((option, what, size, limit))
    };
    of("memory-limit", "memory", limits.memory, at_first.weight, now.weight)
        .or_else(|| of("memory-limit", "data", limits.memory, at_first.data, now.data))
        .or_else(|| of("virtual-memory-limit", "addresses", limits.virtual_memory, at_first.space, now.space))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_near_at_seven_eighths_or_half_way_from_the_start() {
        let limits = Limits { cpu_time: 0, memory: 800, virtual_memory: 0 };
        let data = |data| Memory { data, space: 10_000, weight: 0 };
        assert_eq!(exceeded(limits, data(100), data(699)), None);
        assert_eq!(exceeded(limits, data(100), data(700)), Some(("memory-limit", "data", 700, 800)));
        assert_eq!(exceeded(limits, data(720), data(750)), None);
        assert_eq!(exceeded(limits, data(720), data(760)), Some(("memory-limit", "data", 760, 800)));
        assert_eq!(exceeded(Limits::default(), data(0), data(u64::MAX)), None);
        let space = Limits { virtual_memory: 10_000, ..limits };
        assert_eq!(exceeded(space, Memory::default(), data(1)), Some(("virtual-memory-limit", "addresses", 10_000, 10_000)));
    }

    #[test]
    fn what_a_worker_really_takes_has_the_same_limit_as_its_data() {
        let limits = Limits { cpu_time: 0, memory: 800, virtual_memory: 0 };
        let weight = |weight| Memory { data: 300, space: 10_000, weight };
        assert_eq!(exceeded(limits, weight(100), weight(699)), None);
        assert_eq!(exceeded(limits, weight(100), weight(700)), Some(("memory-limit", "memory", 700, 800)));
        assert_eq!(exceeded(limits, weight(900), weight(1_000)), None, "a successor would have as much");
    }
}
