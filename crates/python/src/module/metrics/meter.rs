//! Counts the requests of a process, thread by thread, and measures them once somebody has asked for it.
//!
//! Each thread counts for itself, in atomics that nobody else writes; what is measured of a request is added to the thread's own
//! [`Interval`] when it is over, whose lock only a question contends for.

#![forbid(unsafe_code)]

use super::interval::{Interval, Phase, Sample};
use crate::wsgi::request::{Measured, Request};
use parking_lot::Mutex;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::time::Instant;
use sys::clock::epoch_micros;
use sys::nix::sys::resource::{Usage, UsageWho, getrusage};
use sys::nix::sys::time::TimeVal;
use wire::head::RequestHead;

/// The figures of a process.
pub(crate) struct Meter {
    /// When the process began to serve, in microseconds since the epoch.
    started: u64,
    /// How many threads serve requests.
    maximum: u32,
    /// How many of them are told of even if they have not served anything.
    known: usize,
    threads: Box<[Thread]>,
    recording: AtomicBool,
    last: Mutex<Option<Mark>>,
}

/// The figures of a thread.
#[derive(Default)]
struct Thread {
    begun: AtomicU64,
    finished: AtomicU64,
    busy: AtomicU64,
    /// Since when it executes a request, in microseconds since the epoch; 0 when it executes none.
    since: AtomicU64,
    interval: Mutex<Interval>,
}

/// Where an interval begins.
#[derive(Clone, Copy)]
struct Mark {
    at: Instant,
    micros: u64,
    cpu: Cpu,
}

/// CPU time in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cpu {
    /// In the program.
    pub(crate) user: u64,
    /// In the kernel.
    pub(crate) system: u64,
}

impl Cpu {
    /// The CPU time of the calling thread, if the kernel tells.
    pub(crate) fn of_thread() -> Option<Self> {
        getrusage(UsageWho::RUSAGE_THREAD).ok().map(|usage| Self::of(&usage))
    }

    fn of(usage: &Usage) -> Self {
        let micros = |time: TimeVal| u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or(0);
        Self { user: micros(usage.user_time()), system: micros(usage.system_time()) }
    }

    /// What was used since.
    pub(crate) fn since(self, before: Self) -> Self {
        Self { user: self.user.saturating_sub(before.user), system: self.system.saturating_sub(before.system) }
    }
}

/// What the process as a whole uses.
pub(crate) struct ProcessUsage {
    /// CPU time so far.
    pub(crate) cpu: Cpu,
    /// Memory now, in octets.
    pub(crate) rss: u64,
    /// The most memory so far, in octets.
    pub(crate) max_rss: u64,
}

impl ProcessUsage {
    /// Asks the kernel.
    pub(crate) fn now() -> Self {
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0);
        Self {
            cpu: usage.as_ref().map(Cpu::of).unwrap_or_default(),
            // The kernel says both in KiB.
            rss: 1024 * rss,
            max_rss: usage.map_or(0, |usage| u64::try_from(usage.max_rss()).unwrap_or(0) * 1024),
        }
    }
}

/// What a process has measured since the last question.
pub(crate) struct Measurement {
    /// When it was asked, in microseconds since the epoch.
    pub(crate) asked: u64,
    /// How long the interval is, in seconds.
    pub(crate) period: f64,
    /// CPU time of the process in it.
    pub(crate) cpu: Cpu,
    /// All threads together.
    pub(crate) total: Interval,
    /// Time that threads spent on requests within the interval, those included that are not over, in microseconds.
    pub(crate) occupied: u64,
    /// Each thread.
    pub(crate) threads: Vec<ThreadMeasurement>,
}

/// The same of one thread.
pub(crate) struct ThreadMeasurement {
    /// What has ended.
    pub(crate) interval: Interval,
    /// For how long it has been executing a request, in microseconds; 0 when it executes none.
    pub(crate) current: u64,
}

/// One thread since the process began.
pub(crate) struct ThreadCount {
    /// Its number.
    pub(crate) thread: u32,
    /// How many requests it has begun.
    pub(crate) requests: u64,
}

/// The whole process since it began.
pub(crate) struct Totals {
    /// When that was, in microseconds since the epoch.
    pub(crate) started: u64,
    /// How many requests are over.
    pub(crate) requests: u64,
    /// How long threads were busy with them, in microseconds.
    pub(crate) busy: u64,
    /// How many requests are being executed.
    pub(crate) active: u64,
    /// The threads that are known.
    pub(crate) threads: Vec<ThreadCount>,
}

impl Meter {
    /// The figures of a worker: its threads `1..=threads` serve requests.
    pub(crate) fn of_worker(threads: u32) -> Self {
        Self::new(threads, threads, threads)
    }

    /// The figures of an httpd child with so many threads, which are numbered as they come. mod_http2 serves requests on threads of its
    /// own besides.
    pub(crate) fn of_child(threads: u32) -> Self {
        Self::new(threads, 0, threads.saturating_mul(3).saturating_add(64))
    }

    fn new(maximum: u32, known: u32, room: u32) -> Self {
        Self {
            started: epoch_micros(),
            maximum,
            known: known as usize,
            threads: (0..room).map(|_| Thread::default()).collect(),
            recording: AtomicBool::new(false),
            last: Mutex::new(None),
        }
    }

    /// Begins to measure; from now on [`Meter::measure`] has an answer.
    pub(crate) fn start_recording(&self) {
        let mut last = self.last.lock();
        if last.is_none() {
            *last = Some(Mark::now());
            self.recording.store(true, SeqCst);
        }
    }

    /// Whether requests are measured.
    pub(crate) fn is_recording(&self) -> bool {
        self.recording.load(Relaxed)
    }

    /// Counts a request for the time of `work`, which executes it on the calling thread.
    pub(crate) fn count<R>(&self, request: &Request, head: &RequestHead<'_>, work: impl FnOnce() -> R) -> R {
        struct Turn<'m> {
            meter: &'m Meter,
            thread: &'m Thread,
            request: &'m Request,
            head: &'m RequestHead<'m>,
            since: u64,
        }
        impl Drop for Turn<'_> {
            fn drop(&mut self) {
                let now = epoch_micros();
                let busy = now.saturating_sub(self.since);
                self.thread.since.store(0, Relaxed);
                self.thread.finished.fetch_add(1, Relaxed);
                self.thread.busy.fetch_add(busy, Relaxed);
                if self.meter.is_recording() {
                    self.thread.interval.lock().add(&sample(self.request, self.head, now, busy));
                }
            }
        }
        let Some(thread) = usize::try_from(request.thread).ok().and_then(|number| self.threads.get(number.checked_sub(1)?)) else {
            return work();
        };
        let since = request.begun;
        thread.begun.fetch_add(1, Relaxed);
        thread.since.store(since, Relaxed);
        let _turn = Turn { meter: self, thread, request, head, since };
        work()
    }

    /// The figures since the process began.
    pub(crate) fn totals(&self) -> Totals {
        let sum = |field: fn(&Thread) -> &AtomicU64| self.threads.iter().map(|thread| field(thread).load(Relaxed)).sum();
        let threads = self.seen().iter().zip(1..);
        Totals {
            started: self.started,
            requests: sum(|thread| &thread.finished),
            busy: sum(|thread| &thread.busy),
            active: self.threads.iter().map(|thread| u64::from(thread.since.load(Relaxed) != 0)).sum(),
            threads: threads.map(|(thread, number)| ThreadCount { thread: number, requests: thread.begun.load(Relaxed) }).collect(),
        }
    }

    /// The figures since this was last called, or since [`Meter::start_recording`]; the next call begins where this one ends.
    pub(crate) fn measure(&self) -> Option<Measurement> {
        let mut last = self.last.lock();
        let before = (*last)?;
        let now = Mark::now();
        let mut total = Interval::default();
        let mut occupied = 0;
        let period = now.at.duration_since(before.at);
        // What a request took before the interval began is not of the interval.
        let most = u64::try_from(period.as_micros()).unwrap_or(u64::MAX);
        let threads = self.seen().iter().map(|thread| {
            let interval = std::mem::take(&mut *thread.interval.lock());
            total.merge(&interval);
            let since = thread.since.load(Relaxed);
            let current = if since == 0 { 0 } else { now.micros.saturating_sub(since) };
            occupied += (interval.busy + current).min(most);
            ThreadMeasurement { interval, current }
        });
        let threads = threads.collect();
        *last = Some(now);
        let period = period.as_secs_f64();
        Some(Measurement { asked: now.micros, period, cpu: now.cpu.since(before.cpu), total, occupied, threads })
    }

    /// How many threads serve requests.
    pub(crate) fn maximum(&self) -> u32 {
        self.maximum
    }

    /// The threads to tell of.
    fn seen(&self) -> &[Thread] {
        let used = self.threads.iter().rposition(|thread| thread.begun.load(Relaxed) > 0).map_or(0, |last| last + 1);
        &self.threads[..used.max(self.known)]
    }
}

impl Mark {
    fn now() -> Self {
        let cpu = getrusage(UsageWho::RUSAGE_SELF).map(|usage| Cpu::of(&usage)).unwrap_or_default();
        Self { at: Instant::now(), micros: epoch_micros(), cpu }
    }
}

/// The figures of a request that has ended at `now`.
fn sample(request: &Request, head: &RequestHead<'_>, now: u64, busy: u64) -> Sample {
    let Measured { application_start, application_finish, status, cpu_user, cpu_system, .. } = &request.measured;
    let load = |counter: &AtomicU64| counter.load(Relaxed);
    let begun = request.begun;
    // Where the script was not loaded there was no application.
    let start = Some(load(application_start)).filter(|start| *start != 0).unwrap_or(now);
    let finish = Some(load(application_finish)).filter(|finish| *finish != 0).unwrap_or(now);
    let span = |from: u64, to: u64| to.saturating_sub(from);
    let is_embedded = head.queue_start == 0;
    let traffic = &request.traffic;
    let gil = request.gil_waits();
    let times = Phase::ALL.map(|phase| match phase {
        Phase::Server => span(head.request_start, if is_embedded { start } else { head.queue_start }),
        Phase::Queue => {
            if is_embedded {
                0
            } else {
                span(head.queue_start, begun)
            }
        }
        Phase::Daemon => {
            if is_embedded {
                0
            } else {
                span(begun, start)
            }
        }
        Phase::Application => span(start, finish),
        Phase::Request => span(head.request_start, finish),
        Phase::GilWait => gil.micros(),
        Phase::InputRead => load(&traffic.read_time),
        Phase::OutputWrite => load(&traffic.write_time),
    });
    Sample {
        times,
        busy,
        cpu: load(cpu_user) + load(cpu_system),
        gil_waits: gil.count,
        status: status.load(Relaxed),
        input: (load(&traffic.read), load(&traffic.reads)),
        output: (load(&traffic.written), load(&traffic.writes)),
    }
}
