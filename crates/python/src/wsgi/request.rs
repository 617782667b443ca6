//! The request that a thread executes, as everything that belongs to it sees it.

#![forbid(unsafe_code)]

use super::lines::LineBuffer;
use crate::lend::Lent;
use crate::python::{Attached, GilWaits, Object};
use parking_lot::Mutex;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use wire::frame::Source;
use wire::head::RequestHead;
use wire::log::Level;

/// A request on its way. It holds nothing of Python's.
pub(crate) struct Request {
    /// The way to the client.
    pub(crate) lent: Lent,
    /// The number of the thread that executes it, from 1.
    pub(crate) thread: u32,
    /// `mod_wsgi.request_id`.
    pub(crate) id: String,
    /// When the host took it, in microseconds since the epoch.
    pub(crate) begun: u64,
    /// What was read and written.
    pub(crate) traffic: Traffic,
    /// What else was measured.
    pub(crate) measured: Measured,
    /// Waits for the interpreter's lock that the thread had behind it when it began.
    gil_waits: GilWaits,
    filename: String,
    line: Mutex<LineBuffer>,
    /// What the application was told last of a body that could not be read.
    input_failure: Mutex<Option<String>>,
    over: AtomicBool,
}

/// Counts what was read and written.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Calls that read.
    pub(crate) reads: AtomicU64,
    /// Octets read.
    pub(crate) read: AtomicU64,
    /// Microseconds spent reading.
    pub(crate) read_time: AtomicU64,
    /// Blocks written.
    pub(crate) writes: AtomicU64,
    /// Octets written.
    pub(crate) written: AtomicU64,
    /// Microseconds spent writing.
    pub(crate) write_time: AtomicU64,
}

/// What is measured on the way. Times are microseconds.
#[derive(Debug)]
pub(crate) struct Measured {
    /// When the application was called, since the epoch; 0 if it was not.
    pub(crate) application_start: AtomicU64,
    /// When it was over, since the epoch.
    pub(crate) application_finish: AtomicU64,
    /// The status; 500 as long as there is none.
    pub(crate) status: AtomicU16,
    /// CPU time in the program, if somebody wants to know.
    pub(crate) cpu_user: AtomicU64,
    /// CPU time in the kernel, if somebody wants to know.
    pub(crate) cpu_system: AtomicU64,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Request>>> = const { RefCell::new(None) };
}

impl Request {
    /// The request with `head`, executed by the calling thread for the time of `work`.
    pub(crate) fn execute<R>(thread: u32, head: &RequestHead<'_>, lent: &Lent, work: impl FnOnce(&Arc<Self>) -> R) -> R {
        struct Over(Arc<Request>);
        impl Drop for Over {
            fn drop(&mut self) {
                self.0.flush_outside();
                self.0.over.store(true, Relaxed);
                CURRENT.set(None);
            }
        }
        let request = Arc::new(Self {
            lent: lent.clone(),
            thread,
            id: environ(head, b"mod_wsgi.request_id").map_or_else(fallback_id, latin1),
            begun: sys::clock::epoch_micros(),
            traffic: Traffic::default(),
            measured: Measured::default(),
            gil_waits: GilWaits::of_thread(),
            filename: String::from_utf8_lossy(head.filename).into_owned(),
            line: Mutex::new(LineBuffer::default()),
            input_failure: Mutex::new(None),
            over: AtomicBool::new(false),
        });
        CURRENT.set(Some(Arc::clone(&request)));
        let _over = Over(Arc::clone(&request));
        work(&request)
    }

    /// The request that the calling thread executes.
    pub(crate) fn current() -> Option<Arc<Self>> {
        CURRENT.with_borrow(Option::clone)
    }

    /// How long and how often the calling thread, which executes the request, has waited for the interpreter's lock for it.
    pub(crate) fn gil_waits(&self) -> GilWaits {
        GilWaits::of_thread().since(self.gil_waits)
    }

    /// Notes what the application is told of a body that cannot be read.
    pub(crate) fn note_input_failure(&self, text: String) {
        *self.input_failure.lock() = Some(text);
    }

    /// Whether an error with this text is what the application was told of a body that could not be read.
    pub(crate) fn is_input_failure(&self, text: &str) -> bool {
        self.input_failure.lock().as_deref() == Some(text)
    }

    /// Whether the request is over.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    /// Ends what the application may do with the request.
    pub(crate) fn end(&self, py: Attached<'_>) {
        self.flush(py);
        self.over.store(true, Relaxed);
    }

    /// httpd's own record of the request in a capsule, where applications may have it.
    pub(crate) fn record(&self, py: Attached<'_>) -> Option<Object> {
        let address = self.lent.quickly(py, |exchange| exchange.request_record()).flatten()?;
        py.capsule(address).ok()
    }

    /// Writes a line to the request's log as it is.
    pub(crate) fn log(&self, py: Attached<'_>, level: Level, line: &str) {
        self.lent.quickly(py, |exchange| exchange.log(level, line));
    }

    /// The same for a line that has come about at a line of a source file.
    pub(crate) fn log_at(&self, py: Attached<'_>, level: Level, line: &str, source: Source<'_>) {
        self.lent.quickly(py, |exchange| exchange.log_at(level, line, source));
    }

    /// The same from outside of every interpreter.
    pub(crate) fn log_outside(&self, level: Level, line: &str) {
        self.lent.outside(|exchange| exchange.log(level, line));
    }

    /// A message with the mark of the request's script.
    pub(crate) fn marked(&self, message: &str) -> String {
        format!("[script {}] {message}", self.filename)
    }

    /// Takes text of the application for the log, and writes the lines that are complete.
    pub(crate) fn write_text(&self, py: Attached<'_>, octets: &[u8]) {
        let lines = self.line.lock().push(octets);
        self.log_lines(py, lines);
    }

    /// Writes the line that has no newline yet.
    pub(crate) fn flush(&self, py: Attached<'_>) {
        let line = self.line.lock().flush();
        self.log_lines(py, line);
    }

    /// Whether a line waits for its end.
    pub(crate) fn has_pending_text(&self) -> bool {
        self.line.lock().is_pending()
    }

    fn log_lines(&self, py: Attached<'_>, lines: impl IntoIterator<Item = String>) {
        for line in lines {
            self.log(py, Level::Error, &self.marked(&line));
        }
    }

    fn flush_outside(&self) {
        if let Some(line) = self.line.lock().flush() {
            self.log_outside(Level::Error, &self.marked(&line));
        }
    }
}

/// The value of a key in the request's environ.
pub(crate) fn environ<'a>(head: &RequestHead<'a>, name: &[u8]) -> Option<&'a [u8]> {
    head.environ.iter().rev().find(|pair| pair.name == name).map(|pair| pair.value)
}

impl Default for Measured {
    fn default() -> Self {
        Self {
            application_start: AtomicU64::new(0),
            application_finish: AtomicU64::new(0),
            status: AtomicU16::new(500),
            cpu_user: AtomicU64::new(0),
            cpu_system: AtomicU64::new(0),
        }
    }
}

/// Adds the time since `start` to a counter of microseconds.
pub(crate) fn add_time(counter: &AtomicU64, elapsed: Duration) {
    counter.fetch_add(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX), Relaxed);
}

fn latin1(octets: &[u8]) -> String {
    octets.iter().copied().map(char::from).collect()
}

/// An id for a request that came without one.
fn fallback_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed))
}
