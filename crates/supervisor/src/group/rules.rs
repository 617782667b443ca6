//! What of its settings a group itself needs.

use crate::lifecycle::Timeouts;
use wire::settings::{GroupSettings, Limits, Reload};

/// How many workers there are, and what holds for each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// How many workers serve at first, and between which bounds that may change.
    pub(super) processes: usize,
    pub(super) fewest: usize,
    pub(super) most: usize,
    /// Request threads of each.
    pub(super) threads: usize,
    /// How many there may be at a time, those that drain included.
    pub(super) capacity: usize,
    /// The timeouts of each.
    pub(super) timeouts: Timeouts,
    /// Whether they run a service script (`threads=0`): there are never two at a time in the place of one.
    pub(super) service: bool,
    /// Whether a script that has changed is never served as it was (`reload=strict`), even if it no longer loads.
    pub(super) strict: bool,
    /// The limits of each.
    pub(super) limits: Limits,
    /// Whether the others are forked from what the first one of a generation has loaded (`preload=`).
    pub(super) preload: bool,
    /// Whether workers are bound to be replaced while their generation serves.
    pub(super) renews: bool,
}

impl Rules {
    /// Whether the number of workers follows the demand.
    pub(super) fn is_elastic(&self) -> bool {
        self.fewest < self.most && !self.service
    }
}

impl From<&GroupSettings> for Rules {
    fn from(settings: &GroupSettings) -> Self {
        let service = settings.threads == 0;
        Self {
            processes: settings.processes as usize,
            fewest: settings.min_processes as usize,
            most: settings.max_processes as usize,
            threads: settings.threads as usize,
            capacity: if service { settings.processes } else { settings.shape().workers } as usize,
            timeouts: Timeouts::from(&settings.timeouts),
            service,
            strict: settings.reload == Reload::Strict,
            limits: settings.limits,
            preload: settings.preload && !service,
            renews: settings.maximum_requests > 0
                || !settings.timeouts.restart_interval.is_zero()
                || !settings.timeouts.inactivity.is_zero()
                || settings.limits != Limits::default()
                || settings.min_processes < settings.max_processes,
        }
    }
}
