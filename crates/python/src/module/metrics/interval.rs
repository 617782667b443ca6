//! What one thread has measured between two questions: sums, extremes and distributions of its requests' times.
//!
//! Pure: a request's figures go in, an interval's figures come out. Times are microseconds.

#![forbid(unsafe_code)]

/// The parts of a request that are timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// In httpd, until it hands the request over.
    Server,
    /// Until a worker takes it.
    Queue,
    /// In the worker, until the application is called.
    Daemon,
    /// In the application.
    Application,
    /// All of it.
    Request,
    /// Waiting for the interpreter's lock.
    GilWait,
    /// Reading the request body.
    InputRead,
    /// Writing the response.
    OutputWrite,
}

impl Phase {
    /// All phases, in the order in which figures hold them.
    pub(crate) const ALL: [Self; 8] =
        [Self::Server, Self::Queue, Self::Daemon, Self::Application, Self::Request, Self::GilWait, Self::InputRead, Self::OutputWrite];

    /// Its name in `request_metrics()`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Server => "server_time",
            Self::Queue => "queue_time",
            Self::Daemon => "daemon_time",
            Self::Application => "application_time",
            Self::Request => "request_time",
            Self::GilWait => "gil_wait_time",
            Self::InputRead => "input_read_time",
            Self::OutputWrite => "output_write_time",
        }
    }

    /// Whether there is such a time in embedded mode too.
    pub(crate) fn is_everywhere(self) -> bool {
        !matches!(self, Self::Queue | Self::Daemon)
    }
}

/// The number of buckets: sixteen octaves of four, the first from one millisecond on, and one for what is longer.
pub(crate) const BUCKETS: usize = 65;

/// The bucket of a time. All that is shorter than the first octave is in the first.
fn bucket(micros: u64) -> usize {
    let octave = (micros / 1000).max(1).ilog2();
    if octave >= 16 {
        return BUCKETS - 1;
    }
    let start = 1000_u64 << octave;
    octave as usize * 4 + usize::try_from(micros.saturating_sub(start) * 4 / start).unwrap_or(0)
}

/// How long one phase took in several requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// The sum.
    pub(crate) total: u64,
    /// The shortest and the longest, if there was any.
    pub(crate) extremes: Option<(u64, u64)>,
    /// How many took how long.
    pub(crate) buckets: [u32; BUCKETS],
}

impl Default for Times {
    fn default() -> Self {
        Self { total: 0, extremes: None, buckets: [0; BUCKETS] }
    }
}

impl Times {
    fn add(&mut self, micros: u64) {
        self.total += micros;
        self.extremes = Some(self.extremes.map_or((micros, micros), |(least, most)| (least.min(micros), most.max(micros))));
        self.buckets[bucket(micros)] += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.total += other.total;
        self.extremes = match (self.extremes, other.extremes) {
            (Some((least, most)), Some((other_least, other_most))) => Some((least.min(other_least), most.max(other_most))),
            (one, other) => one.or(other),
        };
        self.buckets.iter_mut().zip(other.buckets).for_each(|(bucket, more)| *bucket += more);
    }
}

/// The figures of one request that is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// By [`Phase`], in the order of [`Phase::ALL`].
    pub(crate) times: [u64; 8],
    /// How long the thread was busy with it.
    pub(crate) busy: u64,
    /// CPU time of the thread for it.
    pub(crate) cpu: u64,
    /// How often the interpreter's lock was taken.
    pub(crate) gil_waits: u64,
    /// The status code.
    pub(crate) status: u16,
    /// Octets read, and calls that read.
    pub(crate) input: (u64, u64),
    /// Octets written, and blocks.
    pub(crate) output: (u64, u64),
}

/// The figures of several requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interval {
    /// How many.
    pub(crate) requests: u64,
    /// How many with a status of 1xx to 5xx.
    pub(crate) statuses: [u64; 5],
    /// By [`Phase`], in the order of [`Phase::ALL`].
    pub(crate) times: [Times; 8],
    /// How often the interpreter's lock was taken.
    pub(crate) gil_waits: u64,
    /// How long threads were busy with them.
    pub(crate) busy: u64,
    /// CPU time of threads for them.
    pub(crate) cpu: u64,
    /// The longest that a thread was busy with one.
    pub(crate) longest: u64,
    /// Octets read, and calls that read.
    pub(crate) input: (u64, u64),
    /// Octets written, and blocks.
    pub(crate) output: (u64, u64),
}

impl Interval {
    /// Counts a request.
    pub(crate) fn add(&mut self, sample: &Sample) {
        self.requests += 1;
        if let Some(count) = usize::from(sample.status / 100).checked_sub(1).and_then(|class| self.statuses.get_mut(class)) {
            *count += 1;
        }
        self.times.iter_mut().zip(sample.times).for_each(|(times, micros)| times.add(micros));
        self.gil_waits += sample.gil_waits;
        self.busy += sample.busy;
        self.cpu += sample.cpu;
        self.longest = self.longest.max(sample.busy);
        add_pair(&mut self.input, sample.input);
        add_pair(&mut self.output, sample.output);
    }

    /// Counts what another thread has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.statuses.iter_mut().zip(other.statuses).for_each(|(count, more)| *count += more);
        self.times.iter_mut().zip(&other.times).for_each(|(times, more)| times.merge(more));
        self.gil_waits += other.gil_waits;
        self.busy += other.busy;
        self.cpu += other.cpu;
        self.longest = self.longest.max(other.longest);
        add_pair(&mut self.input, other.input);
        add_pair(&mut self.output, other.output);
    }
}

fn add_pair(pair: &mut (u64, u64), more: (u64, u64)) {
    pair.0 += more.0;
    pair.1 += more.1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_quarters_of_octaves_from_a_millisecond_on() {
        let buckets = [0, 999, 1_000, 1_249, 1_250, 1_737, 1_999, 2_000, 2_499, 2_500, 300_000, 849_012, 65_535_999, 65_536_000, u64::MAX];
        assert_eq!(buckets.map(bucket), [0, 0, 0, 0, 1, 2, 3, 4, 4, 5, 32, 38, 63, 64, 64]);
    }

    #[test]
    fn two_threads_together_are_one_that_did_all() {
        let sample = |request: u64, status| Sample {
            times: [1, 2, 3, 4, request, 0, 0, 5],
            busy: request,
            cpu: 7,
            gil_waits: 2,
            status,
            input: (10, 1),
            output: (20, 3),
        };
        let samples = [sample(1_500, 200), sample(900, 404), sample(70_000_000, 500)];
        let mut all = Interval::default();
        samples.iter().for_each(|sample| all.add(sample));
        let mut parts = samples.iter().map(|sample| {
            let mut interval = Interval::default();
            interval.add(sample);
            interval
        });
        let mut merged = parts.next().expect("there are three");
        parts.for_each(|part| merged.merge(&part));
        assert_eq!(merged, all);
        assert_eq!((all.requests, all.statuses, all.longest), (3, [0, 1, 0, 1, 1], 70_000_000));
        let times = &all.times[Phase::Request as usize];
        assert_eq!((times.total, times.extremes), (70_002_400, Some((900, 70_000_000))));
        assert_eq!((times.buckets[0], times.buckets[2], times.buckets[64]), (1, 1, 1));
    }
}
