//! A worker as its group knows it.

use super::looks::Memory;
use super::switch::Generation;
use crate::lifecycle::Phase;
use std::time::Instant;
use wire::control::StopReason;
use wire::counters::Cause;
use wire::settings::{Import, Octets};

/// What a worker loads before it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// Nothing.
    Cold,
    /// What others have loaded.
    Warm,
    /// The same, while the first of its generation does: what fails is told by that one.
    Follower,
}

/// A worker of a group.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) generation: Generation,
    pub(super) phase: Phase,
    pub(super) pid: Option<u32>,
    pub(super) started: Instant,
    pub(super) beginning: Beginning,
    /// Whether it was told to leave a template behind.
    pub(super) leaves_template: bool,
    /// Whether it has said that it is ready, be there more to load or not.
    pub(super) stands_by: bool,
    pub(super) was_ready: bool,
    /// Whether it was told to end, or has said in order that it does.
    pub(super) told: bool,
    /// Whether a signal of ours ends it.
    pub(super) signalled: bool,
    /// Why it wants a successor.
    pub(super) leaving: Option<StopReason>,
    /// Why it cannot become ready, in its own words.
    pub(super) failure: Option<String>,
    pub(super) loaded: Vec<(Import, i64)>,
    /// What it was told to load, at its start or later, or need not load.
    pub(super) to_load: Vec<Import>,
    /// What it was told to load since it stands by, and has not loaded.
    pub(super) awaited: Vec<Import>,
    /// Whether it would have to load what may be broken, or is, before it may serve.
    pub(super) is_held: bool,
    /// How large it was when it began to serve.
    pub(super) memory_at_first: Option<Memory>,
}

impl Member {
    pub(super) fn is_standing(&self) -> bool {
        self.phase.is_standing()
    }

    pub(super) fn origin(&self) -> (Generation, Beginning) {
        (self.generation, self.beginning)
    }

    pub(super) fn has_loaded(&self, script: &Octets, matches: impl Fn(i64) -> bool) -> bool {
        self.loaded.iter().any(|(import, modified)| import.script == *script && matches(*modified))
    }
}

/// What the log calls it.
pub(super) fn title(member: &Member) -> String {
    let generation = member.generation.number;
    member.pid.map_or_else(|| format!("worker of generation {generation}"), |pid| format!("worker {pid} of generation {generation}"))
}

/// How it ended, in words.
pub(super) fn describe(cause: Cause) -> String {
    match cause {
        Cause::Signal(signal) => format!("was ended by {}", sys::process::signal_name(signal)),
        Cause::Exit(status) => format!("exited with status {status}"),
        Cause::OutOfMemory => "was killed by the kernel (SIGKILL), which has run out of memory".to_owned(),
    }
}
