//! What was seen, and how it is told.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// A wait that somebody who looks at a page notices, if there are several of them.
const NOTICED: Duration = Duration::from_millis(50);

/// The account of a load.
#[derive(Debug, Default)]
pub(crate) struct Report {
    latencies: Vec<Duration>,
    failures: BTreeMap<String, u64>,
    /// Requests that were sent once more, since the server had closed their kept connection.
    pub(crate) again: u64,
    seconds: f64,
    least: u64,
    most: u64,
}

impl Report {
    pub(crate) fn answered(&mut self, latency: Duration) {
        self.latencies.push(latency);
    }

    pub(crate) fn fail(&mut self, how: &str) {
        *self.failures.entry(how.to_owned()).or_default() += 1;
    }

    pub(crate) fn status(&mut self, status: u16) {
        self.fail(&status.to_string());
    }

    /// Sorts what was seen; `planned` is the time in which requests were begun, and `answered` what each connection was answered.
    pub(crate) fn finish(&mut self, took: Duration, planned: Duration, answered: impl Iterator<Item = u64> + Clone) {
        self.latencies.sort_unstable();
        // A last answer that is slow belongs to the time; the few milliseconds of other loads do not change their rate.
        self.seconds = took.max(planned).as_secs_f64();
        self.least = answered.clone().min().unwrap_or(0);
        self.most = answered.max().unwrap_or(0);
    }

    fn quantile(&self, share: f64) -> f64 {
        // The smallest latency that at least this share of all does not exceed.
        let rank = (share * self.latencies.len() as f64).ceil() as usize;
        self.latencies.get(rank.saturating_sub(1)).map_or(0.0, Duration::as_secs_f64)
    }

    /// One line; times in seconds.
    pub(crate) fn json(&self) -> String {
        let requests = self.latencies.len();
        let failed: u64 = self.failures.values().sum();
        let noticed = self.latencies.iter().filter(|latency| **latency > NOTICED).count();
        let mean = self.latencies.iter().sum::<Duration>().as_secs_f64() / requests.max(1) as f64;
        let how = self.failures.iter().map(|(how, count)| format!("\"{how}\": {count}")).collect::<Vec<_>>().join(", ");
        let mut line = format!(
            "{{\"requests\": {requests}, \"seconds\": {:.6}, \"rate\": {:.3}, \"failed\": {failed}, \"failures\": {{{how}}}, \"again\": {}, \
             \"noticed\": {noticed}, \"least\": {}, \"most\": {}, \"mean\": {mean:.6}",
            self.seconds,
            requests as f64 / self.seconds,
            self.again,
            self.least,
            self.most,
        );
        for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)] {
            write!(line, ", \"{name}\": {:.6}", self.quantile(share)).expect("a String takes everything");
        }
        line + "}"
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Report;

    #[test]
    fn quantiles_are_latencies_that_were_seen() {
        let mut report = Report::default();
        (1..=1000).rev().for_each(|number| report.answered(Duration::from_millis(number)));
        report.status(503);
        report.finish(Duration::from_secs(2), Duration::from_secs(1), [400, 600].into_iter());
        let json = report.json();
        for expected in
            ["\"p50\": 0.500000", "\"p99\": 0.990000", "\"p999\": 0.999000", "\"max\": 1.000000", "\"503\": 1", "\"rate\": 500.000"]
        {
            assert!(json.contains(expected), "{expected}: {json}");
        }
        assert!(json.contains("\"noticed\": 950") && json.contains("\"least\": 400"), "{json}");
    }
}
