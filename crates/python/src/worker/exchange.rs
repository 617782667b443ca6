//! One request over its connection: what PEP 3333 needs, as frames.

#![forbid(unsafe_code)]

use super::connection::{Connection, ConnectionError, Patience, Sent};
use super::incoming::Part;
use super::watch::Signs;
use crate::wsgi::exchange::{Exchange, InputError, Outcome, OutputError, Push};
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use wire::counters::WorkerSlot;
use wire::frame::{Aborted, BODY_LIMIT, FileRange, HEAD_LIMIT, HEADER, Header, Kind, Source, Times, push, push_log, push_log_at};
use wire::head::{Body, ResponseHead};
use wire::log::Level;

/// Octets up to which a block is copied beside what waits, to leave with what comes next.
const COALESCED: usize = 64 * 1024;

/// Octets of frames that may wait while httpd takes nothing; a log line beyond goes to the group's own log.
const LOG_BOUND: usize = 1024 * 1024;

/// Where the request body is.
enum Input {
    /// httpd holds it back until it is asked.
    OnDemand,
    /// In frames.
    Frames,
    /// In a file that httpd has handed over; so much of it is left.
    File { file: File, range: FileRange },
    /// At its end.
    Ended,
    /// It will not be complete.
    Failed(String),
}

/// A request and its response on a connection.
pub(super) struct Frames<'c> {
    connection: &'c mut Connection,
    request: u64,
    input: Input,
    /// A block was begun by `try_send` and its rest kept, so that the `send` that follows has only to flush.
    begun: bool,
    /// Whether the head has been given.
    headed: bool,
    /// Whether httpd was told that it is over, before it is.
    cut: bool,
    /// Who wants to know that something is read or written.
    signs: Option<&'c Signs>,
    /// Where this worker counts, and the number of the thread.
    slot: Option<(WorkerSlot<'c>, u32)>,
    /// Since when the request is executed, if httpd wants to be told.
    times: Option<Times>,
    /// Where log lines go when httpd does not take them.
    log: fn(Level, &str),
}

impl<'c> Frames<'c> {
    /// The request of that number, whose head has been read from `connection`.
    pub(super) fn new(connection: &'c mut Connection, request: u64, body: Body, log: fn(Level, &str)) -> Self {
        let input = match body {
            Body::Sent => Input::Frames,
            Body::OnDemand => Input::OnDemand,
        };
        Self { connection, request, input, begun: false, headed: false, cut: false, signs: None, slot: None, times: None, log }
    }

    /// Notes each read and write from now on.
    pub(super) fn notice(&mut self, signs: &'c Signs) {
        self.signs = Some(signs);
    }

    /// Counts the answer as that of a thread of this worker.
    pub(super) fn count(&mut self, slot: WorkerSlot<'c>, thread: u32) {
        self.slot = Some((slot, thread));
    }

    /// Tells httpd in the end since when the request has been executed.
    pub(super) fn tell_times(&mut self, begun: u64) {
        self.times = Some(Times { pid: std::process::id(), begun });
    }

    /// Tells httpd that the request is no longer waiting.
    pub(super) fn began(&mut self) {
        let pid = std::process::id().to_le_bytes();
        push(&mut self.connection.pending, Kind::Began, self.request, &pid);
        // Whoever has gone is met again by the next send.
        let _sent = self.connection.flush(Patience::Timeout);
    }

    /// Tells httpd how it ended, and with `keeps` that the connection can take another request, if it can. Returns whether it does.
    pub(super) fn finish(mut self, outcome: Outcome, keeps: bool) -> bool {
        self.connection.until = None;
        if self.cut {
            self.close();
            return false;
        }
        let reason = match outcome {
            Outcome::Done => None,
            Outcome::Failed | Outcome::Truncated => Some(Aborted::Failed),
            Outcome::TimedOut => Some(Aborted::RequestTimeout),
            Outcome::ClientGone => return false,
        };
        let keeps = keeps && reason.is_none() && self.is_read_up();
        match reason {
            None => self.push_last(Kind::End, u8::from(keeps)),
            Some(reason) => self.abort(reason),
        }
        if keeps {
            return self.connection.flush(Patience::Timeout).is_ok();
        }
        self.close();
        false
    }

    /// Whether nothing of the request is still to come.
    fn is_read_up(&mut self) -> bool {
        let ended = match self.input {
            Input::Ended => true,
            Input::Frames => self.connection.is_read_up(),
            Input::OnDemand | Input::File { .. } | Input::Failed(_) => false,
        };
        ended && self.connection.is_clean()
    }

    /// Tells httpd that it was not even begun.
    pub(super) fn refuse(mut self, reason: Aborted) {
        self.abort(reason);
        self.close();
    }

    /// Tells httpd that it was not begun, and that others may take it.
    pub(super) fn leave_to_others(mut self) {
        push(&mut self.connection.pending, Kind::Closing, self.request, &[]);
        self.close();
    }

    fn abort(&mut self, reason: Aborted) {
        self.push_last(Kind::Aborted, reason as u8);
    }

    fn push_last(&mut self, kind: Kind, payload: u8) {
        if let Some(times) = self.times.take() {
            push(&mut self.connection.pending, Kind::Times, self.request, &times.encode());
        }
        push(&mut self.connection.pending, kind, self.request, &[payload]);
    }

    fn close(&mut self) {
        let sent = self.connection.flush(Patience::Timeout);
        if sent.is_ok() && matches!(self.input, Input::Frames | Input::File { .. }) {
            self.connection.linger();
        }
    }

    /// Sends one block in frames, each as large as it may be, the last one with a flush behind it if wanted.
    fn transmit(&mut self, octets: &[u8], push: Push, patience: Patience) -> Result<Sent, ConnectionError> {
        let flush = Header { kind: Kind::Flush, length: 0, request: self.request }.encode();
        let mut blocks = octets.chunks(BODY_LIMIT as usize).peekable();
        if blocks.peek().is_none() {
            return if push == Push::Now { self.connection.send(&[&flush], patience) } else { Ok(Sent::All) };
        }
        while let Some(block) = blocks.next() {
            let header = body_header(self.request, block).encode();
            let last = blocks.peek().is_none();
            let tail: &[&[u8]] = if last && push == Push::Now { &[&header, block, &flush] } else { &[&header, block] };
            match self.connection.send(tail, patience)? {
                Sent::All => {}
                stopped => return Ok(stopped),
            }
        }
        Ok(Sent::All)
    }

    /// Keeps a small block for what comes next; `false` when it is not small.
    fn coalesce(&mut self, octets: &[u8], push: Push) -> bool {
        let small = push == Push::Later && self.connection.pending.len() + octets.len() <= COALESCED;
        if small && !octets.is_empty() {
            wire::frame::push(&mut self.connection.pending, Kind::ResponseBody, self.request, octets);
        }
        small
    }

    /// Reads from the file that holds the next part of the body, if it is in one; `None` when it is not.
    fn read_file(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, InputError> {
        let Input::File { file, range } = &mut self.input else { return Ok(None) };
        let most = buffer.len().min(usize::try_from(range.length).unwrap_or(usize::MAX));
        if most == 0 {
            self.input = Input::Frames;
            return Ok(None);
        }
        match file.read_at(&mut buffer[..most], range.offset) {
            Ok(0) => self.fail("the file that holds the request body is shorter than announced".to_owned()),
            Err(error) => self.fail(format!("cannot read the file that holds the request body: {error}")),
            Ok(octets) => {
                range.offset += octets as u64;
                range.length -= octets as u64;
                Ok(Some(octets))
            }
        }
    }

    /// Called for each read and write. Nobody takes or sends any more for a request that was cut off.
    fn check_open(&self) -> Result<(), OutputError> {
        if let Some(signs) = self.signs {
            signs.act();
        }
        if self.cut { Err(OutputError::ClientGone) } else { Ok(()) }
    }

    fn log_with(&mut self, level: Level, line: &str, source: Option<Source<'_>>) {
        // A line is worth nothing to who looks for a fault if it comes when the fault is over; but nobody waits for a log.
        let taken = !self.cut && !self.connection.is_broken() && self.connection.pending.len() + line.len() <= LOG_BOUND + COALESCED;
        if taken {
            let pending = &mut self.connection.pending;
            match source {
                Some(source) => push_log_at(pending, self.request, source, level, line),
                None => push_log(pending, self.request, level, line),
            }
            if self.connection.flush(Patience::None).is_ok() {
                return;
            }
        }
        (self.log)(level, line);
    }

    fn fail<T>(&mut self, text: String) -> Result<T, InputError> {
        self.input = Input::Failed(text.clone());
        Err(InputError(text))
    }

    /// Waits for more of the body, after what httpd may be waiting for is sent.
    fn wait_for_input(&mut self) -> Result<(), InputError> {
        let received = self.connection.flush(Patience::Timeout).and_then(|_| self.connection.receive_in_time());
        received.or_else(|error| self.fail(error.to_string()))
    }
}

impl Exchange for Frames<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, InputError> {
        if self.check_open().is_err() {
            return Err(InputError(ConnectionError::Overdue.to_string()));
        }
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match &self.input {
                Input::Ended => return Ok(0),
                Input::Failed(text) => return Err(InputError(text.clone())),
                Input::OnDemand => {
                    push(&mut self.connection.pending, Kind::ReadBody, self.request, &[]);
                    self.input = Input::Frames;
                }
                Input::File { .. } => {
                    if let Some(octets) = self.read_file(buffer)? {
                        return Ok(octets);
                    }
                }
                Input::Frames => {}
            }
            match self.connection.part(buffer.len()) {
                Ok(Some(Part::Body(octets))) => {
                    buffer[..octets.len()].copy_from_slice(octets);
                    return Ok(octets.len());
                }
                Ok(Some(Part::File(range))) => match self.connection.descriptor() {
                    Some(file) => self.input = Input::File { file: file.into(), range },
                    None => return self.fail("no descriptor came with the file that holds the request body".to_owned()),
                },
                Ok(Some(Part::End)) => self.input = Input::Ended,
                Ok(Some(Part::Failed(text))) => self.input = Input::Failed(text),
                Ok(Some(Part::Head(..))) => return self.fail("a second request head on one connection".to_owned()),
                Ok(None) => self.wait_for_input()?,
                Err(error) => return self.fail(error.to_string()),
            }
        }
    }

    fn read_is_ready(&self) -> bool {
        match self.input {
            Input::OnDemand => false,
            Input::Frames => self.connection.has_part(),
            Input::File { .. } | Input::Ended | Input::Failed(_) => true,
        }
    }

    fn send_head(&mut self, head: &ResponseHead<'_>) -> Result<(), OutputError> {
        self.check_open()?;
        let mut pending = std::mem::take(&mut self.connection.pending);
        let start = pending.len();
        pending.extend_from_slice(&[0; HEADER]);
        pending = head.encode_onto(pending);
        let length = u32::try_from(pending.len() - start - HEADER).ok().filter(|length| *length <= HEAD_LIMIT);
        let Some(length) = length else {
            pending.truncate(start);
            self.connection.pending = pending;
            return Err(OutputError::Failed(format!("response headers of more than {HEAD_LIMIT} octets")));
        };
        pending[start..start + HEADER].copy_from_slice(&Header { kind: Kind::ResponseHead, length, request: self.request }.encode());
        self.connection.pending = pending;
        self.headed = true;
        if let Some((slot, thread)) = &self.slot {
            slot.answer(*thread, head.status, sys::clock::epoch_micros());
        }
        Ok(())
    }

    fn send(&mut self, octets: &[u8], push: Push) -> Result<(), OutputError> {
        self.check_open()?;
        if std::mem::take(&mut self.begun) {
            self.connection.flush(Patience::Timeout).map_err(output_error)?;
        } else if !self.coalesce(octets, push) {
            self.transmit(octets, push, Patience::Timeout).map_err(output_error)?;
        }
        Ok(())
    }

    fn try_send(&mut self, octets: &[u8], push: Push) -> Result<bool, OutputError> {
        self.check_open()?;
        if self.coalesce(octets, push) {
            return Ok(true);
        }
        // Copying much into the kernel takes its time, and others could use the interpreter.
        if octets.len() > COALESCED {
            return Ok(false);
        }
        match self.transmit(octets, push, Patience::None).map_err(output_error)? {
            Sent::All => Ok(true),
            Sent::Nothing => Ok(false),
            Sent::Kept => {
                self.begun = true;
                Ok(false)
            }
        }
    }

    fn send_file(&mut self, file: BorrowedFd<'_>, offset: u64, length: u64) -> Result<(), OutputError> {
        self.check_open()?;
        let mut frame = Vec::with_capacity(HEADER + 16);
        push(&mut frame, Kind::ResponseFile, self.request, &FileRange { offset, length }.encode());
        self.connection.send_descriptor(&frame, file).map_err(output_error)
    }

    fn cut_off(&mut self) {
        if !std::mem::replace(&mut self.cut, true) {
            // Once the head is out, the client can only be shown that the rest is missing.
            self.abort(if self.headed { Aborted::Failed } else { Aborted::RequestTimeout });
            self.connection.say_last();
        }
    }

    fn log(&mut self, level: Level, line: &str) {
        self.log_with(level, line, None);
    }

    fn log_at(&mut self, level: Level, line: &str, source: Source<'_>) {
        self.log_with(level, line, Some(source));
    }
}

fn body_header(request: u64, block: &[u8]) -> Header {
    Header { kind: Kind::ResponseBody, length: u32::try_from(block.len()).unwrap_or(BODY_LIMIT), request }
}

fn output_error(error: ConnectionError) -> OutputError {
    match error {
        ConnectionError::Gone => OutputError::ClientGone,
        other => OutputError::Failed(other.to_string()),
    }
}
