//! Requests that took longer than `WSGISlowRequests` allows: one line for each, with when what happened to it.
//!
//! It is written by the child of httpd that served the request, from what it has seen itself and what the worker has told it in the end
//! ([`wire::frame::Times`]), so it is there whatever became of the worker.

#![forbid(unsafe_code)]

use crate::apache::log;
use crate::apache::request::Request;
use crate::apache::server::Server;
use crate::apache::status::Status;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use sys::clock::epoch_micros;
use wire::codes;
use wire::frame::Times;

/// When what happened to a request. Moments are microseconds since the epoch; 0 is never.
#[derive(Debug)]
pub(crate) struct Timeline {
    threshold: Duration,
    handed_over: Cell<u64>,
    group: RefCell<String>,
    begun: Cell<Option<Times>>,
    answered: Cell<u64>,
    status: Cell<u16>,
}

/// The timeline of a request, where slow ones are told.
pub(crate) fn timeline() -> Option<Rc<Timeline>> {
    let threshold = Server::main()?.global()?.slow_requests()?;
    Some(Rc::new(Timeline {
        threshold,
        handed_over: Cell::default(),
        group: RefCell::default(),
        begun: Cell::default(),
        answered: Cell::default(),
        status: Cell::new(200),
    }))
}

impl Timeline {
    /// The request goes to a daemon group.
    pub(crate) fn hand_over(&self, now: u64, group: &str) {
        self.handed_over.set(now);
        self.group.replace(group.to_owned());
    }

    /// It is executed.
    pub(crate) fn begin(&self, times: Times) {
        self.begun.set(Some(times));
    }

    /// The application has given the head of its response, with this status.
    pub(crate) fn answer(&self, status: u16) {
        self.answered.set(epoch_micros());
        self.status.set(status);
    }

    /// Writes the line, if the request was slow; `status` is what httpd is told.
    pub(crate) fn report(&self, request: &Request<'_>, status: Status) {
        let (start, now) = (request.start_micros(), epoch_micros());
        if now.saturating_sub(start) < u64::try_from(self.threshold.as_micros()).unwrap_or(u64::MAX) {
            return;
        }
        let code = &codes::SLOW;
        let method = String::from_utf8_lossy(request.method());
        // Without the query, where secrets may be.
        let uri = String::from_utf8_lossy(request.uri().unwrap_or(b""));
        let status = status.code().unwrap_or(self.status.get());
        let what = format!("{method} {uri} took {}, status {status}", self.told(start, now));
        log::request(request, code.level, &code.line(what));
    }

    /// The phases in words.
    fn told(&self, start: u64, now: u64) -> String {
        use std::fmt::Write as _;
        let after = |moment: u64| moment.saturating_sub(start) / 1000;
        let mut text = format!("{} ms ", after(now));
        let begun = self.begun.get();
        let _infallible = match (self.group.borrow().as_str(), begun) {
            ("", _) => write!(text, "in embedded mode"),
            (group, Some(Times { pid, .. })) => write!(text, "in daemon group '{group}' (worker pid {pid})"),
            (group, None) => write!(text, "in daemon group '{group}'"),
        };
        let moments = [
            ("queued", self.handed_over.get()),
            ("begun", begun.map_or(0, |times| times.begun)),
            ("first byte", self.answered.get()),
            ("done", now),
        ];
        let separators = std::iter::once(": ").chain(std::iter::repeat(", "));
        for ((name, moment), separator) in moments.into_iter().filter(|(_, moment)| *moment != 0).zip(separators) {
            let _infallible = write!(text, "{separator}{name} at {} ms", after(moment));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline() -> Timeline {
        Timeline {
            threshold: Duration::ZERO,
            handed_over: Cell::default(),
            group: RefCell::default(),
            begun: Cell::default(),
            answered: Cell::default(),
            status: Cell::new(200),
        }
    }

    #[test]
    fn each_phase_that_was_reached_is_told() {
        let timeline = timeline();
        timeline.hand_over(1_002_000, "app");
        assert_eq!(timeline.told(1_000_000, 1_700_000), "700 ms in daemon group 'app': queued at 2 ms, done at 700 ms");
        timeline.begin(Times { pid: 7, begun: 1_503_000 });
        timeline.answered.set(1_600_000);
        assert_eq!(
            timeline.told(1_000_000, 1_700_000),
            "700 ms in daemon group 'app' (worker pid 7): queued at 2 ms, begun at 503 ms, first byte at 600 ms, done at 700 ms"
        );
    }

    #[test]
    fn there_is_no_queue_in_embedded_mode() {
        let timeline = timeline();
        timeline.begin(Times { pid: 7, begun: 1_003_000 });
        assert_eq!(timeline.told(1_000_000, 1_700_000), "700 ms in embedded mode: begun at 3 ms, done at 700 ms");
    }
}
