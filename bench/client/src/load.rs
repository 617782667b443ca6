//! The loop: one thread, one epoll, requests begun when they are due.

use std::io;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::connection::{Connection, Progress};
use crate::report::Report;

/// How long the last answers are waited for when the time is over.
const PATIENCE: Duration = Duration::from_secs(20);

/// An open loop opens no more connections than this; what is due then waits, and its latency counts.
const MOST_CONNECTIONS: usize = 512;

/// The event of the timer, beside those that carry a connection's number.
const TIMER: u64 = u64::MAX;

/// When requests are begun.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// When the answer before is complete.
    Closed,
    /// At fixed times.
    Open {
        /// From one to the next.
        interval: Duration,
    },
}

/// What is asked, how often and for how long.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) port: u16,
    pub(crate) request: Vec<u8>,
    /// At the beginning, if the loop is open.
    pub(crate) connections: usize,
    pub(crate) duration: Duration,
    pub(crate) pace: Pace,
}

struct Running<'a> {
    load: &'a Load,
    epoll: Epoll,
    connections: Vec<Connection>,
    /// The numbers of those that no request is on, the last used last.
    idle: Vec<usize>,
    /// Times of requests for which there was no connection.
    waiting: std::collections::VecDeque<Instant>,
    buffer: Vec<u8>,
    end: Instant,
    report: Report,
}

impl Load {
    /// Runs it.
    pub(crate) fn run(&self) -> io::Result<Report> {
        let began = Instant::now();
        let mut running = Running {
            load: self,
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            connections: Vec::new(),
            idle: Vec::new(),
            waiting: std::collections::VecDeque::new(),
            buffer: vec![0; 256 << 10],
            end: began + self.duration,
            report: Report::default(),
        };
        running.connections.resize_with(self.connections, Connection::default);
        let timer = match self.pace {
            Pace::Closed => {
                (0..self.connections).for_each(|number| running.begin(number, Instant::now()));
                None
            }
            Pace::Open { interval } => {
                running.idle = (0..self.connections).collect();
                let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
                let interval = TimeSpec::from(interval);
                timer.set(Expiration::IntervalDelayed(interval, interval), TimerSetTimeFlags::empty())?;
                running.epoll.add(timer.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
                Some((timer, interval.into()))
            }
        };
        running.all(timer, began)?;
        let Running { mut report, connections, .. } = running;
        report.finish(began.elapsed(), self.duration, connections.iter().map(|connection| connection.answered));
        Ok(report)
    }
}

impl Running<'_> {
    fn all(&mut self, timer: Option<(TimerFd, Duration)>, began: Instant) -> io::Result<()> {
        let mut next = began;
        let mut events = [EpollEvent::empty(); 256];
        loop {
            let count = match self.epoll.wait(&mut events, EpollTimeout::from(100u8)) {
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            for event in &events[..count] {
                if event.data() != TIMER {
                    self.event(usize::try_from(event.data()).unwrap_or(usize::MAX), event.events());
                } else if let Some((timer, interval)) = &timer {
                    timer.wait()?;
                    // By the clock and not by the number of events: whoever was late begins all that is due.
                    while next + *interval <= Instant::now() && next < self.end {
                        next += *interval;
                        self.due(next);
                    }
                }
            }
            let now = Instant::now();
            let is_busy = self.connections.iter().any(|connection| connection.due.is_some());
            if now >= self.end && !is_busy {
                return Ok(());
            }
            if now >= self.end + PATIENCE {
                let hung = self.connections.iter().filter(|connection| connection.due.is_some()).count();
                (0..hung).for_each(|_| self.report.fail("hung"));
                return Ok(());
            }
        }
    }

    /// A request of the open loop is due.
    fn due(&mut self, due: Instant) {
        if self.idle.is_empty() && self.connections.len() < MOST_CONNECTIONS {
            self.connections.push(Connection::default());
            self.idle.push(self.connections.len() - 1);
        }
        match self.idle.pop() {
            Some(number) => self.begin(number, due),
            None => self.waiting.push_back(due),
        }
    }

    fn event(&mut self, number: usize, events: EpollFlags) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        if connection.due.is_some() {
            let progress = connection.advance(&self.load.request, &mut self.buffer);
            if events.contains(EpollFlags::EPOLLRDHUP) && matches!(progress, Progress::Done(_)) {
                // The server has closed it behind the answer. That is told once: whoever asked over it again would wait for ever.
                connection.close();
            }
            self.went(number, progress);
        } else if events.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP | EpollFlags::EPOLLRDHUP) {
            connection.close();
        }
    }

    fn begin(&mut self, number: usize, due: Instant) {
        let connection = &mut self.connections[number];
        connection.begin(due);
        if !connection.is_open() && !self.open(number) {
            self.report.fail("connect");
            // A server that does not listen is not asked again at once, so that the client does not only spin.
            std::thread::sleep(Duration::from_millis(5));
            return self.next(number);
        }
        let progress = self.connections[number].send(&self.load.request);
        self.went(number, progress);
    }

    fn open(&mut self, number: usize) -> bool {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        // Only who has to wait for room needs to hear of it.
        let flags = if self.load.request.len() > 32 << 10 { flags | EpollFlags::EPOLLOUT } else { flags };
        let event = EpollEvent::new(flags, number as u64);
        match self.connections[number].open(self.load.port) {
            Ok(stream) => self.epoll.add(stream, event).is_ok(),
            Err(_) => false,
        }
    }

    fn went(&mut self, number: usize, progress: Progress) {
        let Some(due) = self.connections[number].due else { return };
        match progress {
            Progress::Waiting => {}
            Progress::Done(200) => {
                let now = Instant::now();
                // What was begun within the time counts, also if it ends later.
                self.report.answered(now - due);
                self.next(number);
            }
            Progress::Done(status) => {
                self.report.status(status);
                self.next(number);
            }
            Progress::Again => {
                self.report.again += 1;
                self.begin(number, due);
            }
            Progress::Failed(how) => {
                self.report.fail(how);
                self.next(number);
            }
        }
    }

    /// The connection is free for the next request.
    fn next(&mut self, number: usize) {
        self.connections[number].due = None;
        let now = Instant::now();
        match (self.load.pace, self.waiting.pop_front()) {
            (Pace::Closed, _) if now < self.end => self.begin(number, now),
            (Pace::Open { .. }, Some(due)) => self.begin(number, due),
            _ => self.idle.push(number),
        }
    }
}
