//! One connection and the request that is on it.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use crate::answer::Answer;

/// A place for one request at a time; its socket comes and goes.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    stream: Option<TcpStream>,
    /// When the request that it is busy with was due.
    pub(crate) due: Option<Instant>,
    sent: usize,
    answer: Answer,
    /// Answers that came over this socket.
    served: u64,
    /// Requests that were answered in this place.
    pub(crate) answered: u64,
}

/// What became of the request on a connection.
#[derive(Debug)]
pub(crate) enum Progress {
    /// There is more to come.
    Waiting,
    /// The answer is complete; its status.
    Done(u16),
    /// The server has closed a kept connection before it began to answer, as it may between two requests: ask again over another one.
    Again,
    /// No complete answer comes.
    Failed(&'static str),
}

impl Connection {
    /// Whether it has a socket.
    pub(crate) fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    /// Opens a socket, which the caller registers.
    pub(crate) fn open(&mut self, port: u16) -> io::Result<&TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        self.served = 0;
        Ok(self.stream.insert(stream))
    }

    /// Begins a request that was due at this time.
    pub(crate) fn begin(&mut self, due: Instant) {
        self.due = Some(due);
        self.sent = 0;
        self.answer = Answer::default();
    }

    /// Sends what goes without waiting. An answer is not looked for yet: an event tells of it.
    pub(crate) fn send(&mut self, request: &[u8]) -> Progress {
        let sent = self.try_send(request).map(|()| Progress::Waiting);
        self.judge(sent)
    }

    /// Sends and receives what goes without waiting.
    pub(crate) fn advance(&mut self, request: &[u8], buffer: &mut [u8]) -> Progress {
        let advanced = self.try_send(request).and_then(|()| self.try_receive(buffer));
        self.judge(advanced)
    }

    fn judge(&mut self, what: io::Result<Progress>) -> Progress {
        let progress = what.unwrap_or_else(|error| match error.kind() {
            ErrorKind::WouldBlock => Progress::Waiting,
            _ if self.answer.is_empty() && self.served > 0 => Progress::Again,
            _ if self.answer.is_empty() => Progress::Failed("closed"),
            _ => Progress::Failed("cut"),
        });
        match progress {
            Progress::Waiting => {}
            Progress::Done(_) => {
                self.served += 1;
                self.answered += 1;
                if self.answer.closes || self.answer.ends_with_connection() {
                    self.stream = None;
                }
            }
            Progress::Again | Progress::Failed(_) => self.stream = None,
        }
        progress
    }

    fn try_send(&mut self, request: &[u8]) -> io::Result<()> {
        let stream = self.stream.as_mut().ok_or(ErrorKind::NotConnected)?;
        while self.sent < request.len() {
            match stream.write(&request[self.sent..]) {
                Ok(count) => self.sent += count,
                // An early answer to a large request is read before all of that has been sent.
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn try_receive(&mut self, buffer: &mut [u8]) -> io::Result<Progress> {
        let stream = self.stream.as_mut().ok_or(ErrorKind::NotConnected)?;
        // Until the socket is empty: its events come once each, and one may stand for the last octets and the end behind them.
        loop {
            match stream.read(buffer)? {
                0 if self.answer.ends_with_connection() => return Ok(Progress::Done(self.answer.status)),
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count if self.answer.take(&buffer[..count]) => return Ok(Progress::Done(self.answer.status)),
                _ => {}
            }
        }
    }

    /// What an event says while no request is on it: the server has closed it.
    pub(crate) fn close(&mut self) {
        self.stream = None;
    }
}
