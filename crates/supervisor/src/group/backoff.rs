//! How long to wait after starts that failed in a row, and how often to say so.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);

/// A reason that does not change is logged once in this time.
const SILENCE: Duration = Duration::from_secs(60);

/// Starts that failed in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    retry_at: Option<Instant>,
    said: Option<(String, Instant)>,
    /// Whether the last failure was one that most likely will be repeated.
    lasts: bool,
}

impl Backoff {
    /// Counts a failure. Returns whether its reason is to be logged.
    pub(super) fn failed(&mut self, now: Instant, reason: &str) -> bool {
        let wait = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures += 1;
        self.lasts = false;
        self.retry_at = Some(now + wait);
        let news = self.said.as_ref().is_none_or(|(said, at)| said != reason || now >= *at + SILENCE);
        if news {
            self.said = Some((reason.to_owned(), now));
        }
        news
    }

    /// Counts a failure that will most likely be repeated: the next attempt is made as late as possible.
    pub(super) fn failed_lastingly(&mut self, now: Instant, reason: &str) -> bool {
        let news = self.failed(now, reason);
        self.retry_at = Some(now + LONGEST);
        self.lasts = true;
        news
    }

    /// Allows the next attempt at once, after a failure that could only wait because others served.
    pub(super) fn wait_no_longer(&mut self) {
        if self.lasts {
            self.reset();
        }
    }

    /// Forgets the failures, what was said included.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// How many failed in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// When the next start may be; `None` when nothing failed.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Whether a start may be now.
    pub(super) fn allows(&self, now: Instant) -> bool {
        self.retry_at.is_none_or(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        assert!(backoff.allows(now));
        let waits: Vec<u128> = (0..11)
            .map(|_| {
                backoff.failed(now, "no");
                (backoff.retry_at().expect("failed") - now).as_millis()
            })
            .collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
        assert!(!backoff.allows(now));
        backoff.reset();
        assert!(backoff.allows(now));
    }

    #[test]
    fn what_is_not_repaired_by_trying_is_tried_seldom() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        assert!(backoff.failed_lastingly(now, "no"));
        assert_eq!(backoff.retry_at(), Some(now + LONGEST));
        backoff.wait_no_longer();
        assert!(backoff.allows(now));
        backoff.failed(now, "no");
        backoff.wait_no_longer();
        assert!(!backoff.allows(now), "this one may be over soon");
    }

    #[test]
    fn a_reason_is_said_when_it_is_new_and_every_minute() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        assert!(backoff.failed(now, "no interpreter"));
        assert!(!backoff.failed(now + Duration::from_secs(30), "no interpreter"));
        assert!(backoff.failed(now + Duration::from_secs(31), "no host"));
        assert!(!backoff.failed(now + Duration::from_secs(90), "no host"));
        assert!(backoff.failed(now + Duration::from_secs(91), "no host"));
    }
}
