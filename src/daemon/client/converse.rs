//! While a request is on its way: what is sent, received, and waited for.

#![forbid(unsafe_code)]

use super::ending::Ending;
use super::{Conversation, PENDING, Route};
use crate::apache::brigade::PassError;
use crate::apache::log;
use crate::apache::request::Request;
use crate::daemon::incoming::{Part, ProtocolError, holds};
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};
use sys::nix::errno::Errno;
use sys::nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sys::socket;
use wire::counters::{Counters, GroupState};
use wire::frame::Kind;
use wire::head::ResponseHead;

/// How many descriptors may have come before the frames that announce them.
const DESCRIPTORS: usize = 16;

/// How often a waiting request looks whether it waits in vain.
const TICK: Duration = Duration::from_millis(500);

/// How often a client without a socket of its own (HTTP/2) is asked for more of its body.
const STREAM_TICK: Duration = Duration::from_millis(10);

impl<'r> Conversation<'_, 'r> {
    /// Sends and receives until it is over.
    pub(super) fn converse(&mut self, request: &mut Request<'r>) -> Ending {
        // A request to a free worker, complete: there is nothing to do until it answers, or has not for a while.
        self.patient = matches!(self.route, Some(Route::Direct(_))) && !self.body.is_streaming() && !self.body.is_held_back();
        loop {
            if let Some(ending) = self.send_pending() {
                return ending;
            }
            match if self.response.is_full() { Err(Errno::EAGAIN) } else { self.receive(request) } {
                Ok(0) => return Ending::Dead,
                Ok(_) => {
                    if let Some(ending) = self.take_parts(request) {
                        return ending;
                    }
                    if self.incoming.is_flood(|| self.since.elapsed()) {
                        return Ending::Flood;
                    }
                    continue;
                }
                Err(Errno::EAGAIN) => {}
                Err(_) => return Ending::Dead,
            }
            let streams = self.body.is_streaming() && !self.deaf && self.outgoing.len() - self.sent < PENDING;
            if streams && self.body.take_more(request, self.number, &mut self.outgoing) {
                continue;
            }
            if let Some(ending) = self.wait(request, streams) {
                return ending;
            }
        }
    }

    /// Sends what waits, as far as the worker takes it.
    fn send_pending(&mut self) -> Option<Ending> {
        while !self.deaf && self.sent < self.outgoing.len() {
            // The descriptor goes with the first octet of its frame, so what is before that is sent by itself.
            let (end, descriptors): (usize, &[BorrowedFd<'_>]) = match &self.file {
                Some((at, file)) if !self.file_sent && *at == self.sent => (self.outgoing.len(), &[file.as_fd()]),
                Some((at, _)) if !self.file_sent => (*at, &[]),
                _ => (self.outgoing.len(), &[]),
            };
            match socket::send(self.socket(), &[IoSlice::new(&self.outgoing[self.sent..end])], descriptors) {
                Ok(length) => {
                    self.file_sent |= !descriptors.is_empty();
                    self.sent += length;
                }
                Err(Errno::EAGAIN) => break,
                // It may have answered without taking the whole body.
                Err(_) => self.deaf = true,
            }
        }
        self.forget_sent();
        None
    }

    /// What streams is not kept; what has not been sent of it is moved to the front, not too often.
    fn forget_sent(&mut self) {
        let is_much = self.sent > 0 && (self.sent == self.outgoing.len() || self.sent >= PENDING);
        if is_much && self.body.is_streaming() && (self.file.is_none() || self.file_sent) {
            self.can_repeat = false;
            self.outgoing.drain(..std::mem::take(&mut self.sent));
        }
    }

    fn receive(&mut self, request: &Request<'r>) -> Result<usize, Errno> {
        let mut descriptors = Vec::new();
        let socket = self.route.as_ref().expect("a route is chosen before anything is received");
        let waits = self.patient && self.sent == self.outgoing.len() && !self.response.waits_for_client(request);
        let received = if waits {
            let received = socket::receive_waiting(socket, self.incoming.room(), &mut descriptors);
            self.patient = received != Err(Errno::EAGAIN);
            received?
        } else {
            socket::receive(socket, self.incoming.room(), &mut descriptors)?
        };
        self.incoming.filled(received);
        self.files.extend(descriptors);
        Ok(received)
    }

    /// Acts on what has come.
    fn take_parts(&mut self, request: &mut Request<'r>) -> Option<Ending> {
        if self.files.len() > DESCRIPTORS {
            return Some(Ending::Garbage(ProtocolError::Descriptors));
        }
        loop {
            let part = match self.incoming.next() {
                Ok(Some(part)) => part,
                Ok(None) => return None,
                Err(error) => return Some(Ending::Garbage(error)),
            };
            let passed = match part {
                Part::Began(pid) => {
                    (self.worker, self.began) = (Some(pid), true);
                    Ok(())
                }
                Part::ReadBody => {
                    self.body.release(request);
                    Ok(())
                }
                Part::Head(octets) => match ResponseHead::decode(octets) {
                    Ok(head) if (200..1000).contains(&head.status) => {
                        self.began = true;
                        self.response.begin(request, &head);
                        Ok(())
                    }
                    _ => return Some(Ending::Garbage(ProtocolError::Order(Kind::ResponseHead))),
                },
                Part::Body(octets, flush) => self.response.write(request, octets, flush),
                Part::Flush => self.response.flush(request),
                Part::File(range) => match self.files.pop_front().filter(|file| holds(file, range.offset + range.length)) {
                    Some(file) => self.response.write_file(request, file, range.offset, range.length),
                    None => return Some(Ending::Garbage(ProtocolError::Order(Kind::ResponseFile))),
                },
                Part::Log(level, line) => {
                    log::request(request, level, &String::from_utf8_lossy(line));
                    Ok(())
                }
                Part::LogAt(source, level, line) => {
                    log::request_at(request, level, &String::from_utf8_lossy(line), source);
                    Ok(())
                }
                Part::Times(times) => {
                    self.worker = Some(times.pid);
                    self.response.begun_by(times);
                    Ok(())
                }
                Part::End(kept) => return Some(Ending::Complete(kept)),
                Part::Closing => return Some(Ending::Closing),
                Part::Aborted(reason) => return Some(Ending::Aborted(reason)),
            };
            if let Err(error) = passed {
                return Some(Ending::Client(error));
            }
        }
    }

    /// Waits until something can be done, and does what is for the client.
    fn wait(&mut self, request: &Request<'r>, streams: bool) -> Option<Ending> {
        // httpd that stops closes its clients' sockets under the requests that are being served.
        if self.has_client_socket && request.client_socket().is_none() {
            return Some(Ending::Client(PassError::ClientGone));
        }
        let queued = self.deadline.filter(|_| !self.began);
        // Who is not listened to is not silent.
        let heard = self.heard.filter(|_| !self.response.is_full()).unwrap_or_else(Instant::now);
        self.heard = Some(heard);
        let silent = heard + self.group.front.socket_timeout;
        let spooled = self.response.waits_for_client(request);
        self.refused = self.refused.filter(|_| spooled).or_else(|| spooled.then(Instant::now));
        let given_up = self.refused.map(|since| since + self.group.front.patience_with_clients());
        let until = [queued, given_up].into_iter().flatten().fold(silent, Instant::min);
        let client = request.client_socket().filter(|_| streams || spooled || !self.client_hung_up);
        let tick = if streams && client.is_none() { STREAM_TICK } else { TICK };
        let mut of_worker = PollFlags::empty();
        of_worker.set(PollFlags::POLLIN, !self.response.is_full());
        of_worker.set(PollFlags::POLLOUT, !self.deaf && self.sent < self.outgoing.len());
        let mut of_client = PollFlags::empty();
        of_client.set(PollFlags::POLLIN, streams);
        of_client.set(PollFlags::POLLOUT, spooled);
        let mut waited = [PollFd::new(self.socket(), of_worker), PollFd::new(client.unwrap_or(self.socket()), of_client)];
        let count = if client.is_some() { 2 } else { 1 };
        let limit = until.saturating_duration_since(Instant::now()).min(tick);
        let milliseconds = i32::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        let ready = poll(&mut waited[..count], PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX));
        let events = |waited: &PollFd<'_>| waited.revents().unwrap_or(PollFlags::empty());
        let (worker, client) = (events(&waited[0]), if count == 2 { events(&waited[1]) } else { PollFlags::empty() });
        match ready {
            Err(Errno::EINTR) => return None,
            Err(_) => return Some(Ending::Silent),
            // Also while the worker goes on sending.
            Ok(_) if client.is_empty() && given_up.is_some_and(|at| at <= Instant::now()) => {
                return Some(Ending::Client(PassError::TimedOut));
            }
            Ok(0) if queued.is_some_and(|at| at <= Instant::now()) => return Some(Ending::Queued),
            Ok(0) if silent <= Instant::now() => return Some(Ending::Silent),
            Ok(0) => return self.waits_in_vain().then_some(Ending::GroupFailed),
            Ok(_) => {}
        }
        // While a client takes what is spooled, the worker may have to wait.
        if worker.intersects(PollFlags::POLLIN) || (spooled && client.intersects(PollFlags::POLLOUT)) {
            self.heard = None;
        }
        self.refused = self.refused.filter(|_| client.is_empty());
        if client.intersects(PollFlags::POLLNVAL) {
            return Some(Ending::Client(PassError::ClientGone));
        }
        if client.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
            self.client_hung_up = true;
            if self.is_in_queue() {
                return Some(Ending::Client(PassError::ClientGone));
            }
        }
        let has_room = spooled && client.intersects(PollFlags::POLLOUT | PollFlags::POLLHUP | PollFlags::POLLERR);
        if has_room { self.response.drain(request).err().map(Ending::Client) } else { None }
    }

    /// Whether no worker has begun the request.
    pub(super) fn is_in_queue(&self) -> bool {
        let counters = Counters::view(&self.group.counters);
        !self.began && self.incoming.is_untouched() && counters.is_some_and(|counters| counters.worker_of(self.number).is_none())
    }

    /// Whether nobody will begin it: the group's workers cannot be started.
    fn waits_in_vain(&self) -> bool {
        self.is_in_queue() && Counters::view(&self.group.counters).is_some_and(|counters| counters.state() == GroupState::Failed)
    }
}
