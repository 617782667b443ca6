//! One request over one connection to a group's socket: its head and body go out, the response comes back.
//!
//! A worker with a free thread gets the request directly, over a connection that is kept ([`super::connections`]); if there is none, the
//! request waits in the group's queue: the kernel's accept queue in front of all workers. This side holds the deadline, sends once more
//! what no worker has begun, and says what became of a request that no worker finished.

#![forbid(unsafe_code)]

use super::body::{BodyError, RequestBody, Spool, Taken};
use super::connections::Kept;
use super::group::{self, Served, Unusable};
use super::incoming::{Incoming, Part, ProtocolError, holds};
use super::loss::{execution, what_happened};
use super::{owner, root};
use crate::apache::brigade::PassError;
use crate::apache::log;
use crate::apache::request::Request;
use crate::apache::status::Status;
use crate::request::Refusal;
use crate::response::{Response, ResponseOptions};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use sys::clock::{epoch_micros, monotonic_micros};
use sys::nix::errno::Errno;
use sys::nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sys::socket;
use wire::codes;
use wire::counters::{Counters, GroupState};
use wire::frame::{Aborted, HEADER, Header, Kind};
use wire::head::{Body, RequestHead, ResponseHead};

/// How much of a body may wait for a worker that does not read it.
const PENDING: usize = 256 * 1024;

/// How many descriptors may have come before the frames that announce them.
const DESCRIPTORS: usize = 16;

/// How often a request is sent once more that no worker has begun: a script may change again while it waits for the new code.
const ATTEMPTS: u32 = 9;

/// The first pause between such attempts; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(2);

/// How often a waiting request looks whether it waits in vain.
const TICK: Duration = Duration::from_millis(500);

/// How often a client without a socket of its own (HTTP/2) is asked for more of its body.
const STREAM_TICK: Duration = Duration::from_millis(10);

/// Numbers requests: the pid above, a count below, so that a number is one request's in the whole group.
fn next_number() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    u64::from(crate::server::pid()) << 32 | COUNT.fetch_add(1, Ordering::Relaxed) & 0xffff_ffff
}

/// Serves a request through the daemon group `name`.
pub(crate) fn serve<'r>(
    request: &mut Request<'r>,
    name: &[u8],
    mut head: RequestHead<'r>,
    options: ResponseOptions,
) -> Result<Status, Refusal> {
    let group = find(request, name)?;
    if group.is_service {
        let what = format!("the daemon group '{}' runs a service script and takes no requests", group.name);
        return Err(Refusal::new(&codes::SERVICE_GROUP, Status::SERVICE_UNAVAILABLE, what));
    }
    owner::check(request.filename(), group.front.script_user.as_ref(), group.front.script_group.as_ref())?;
    if let Some(root) = &group.front.chroot {
        root::enter(request, root, &mut head)?;
    }
    let options = ResponseOptions { spool_limit: group.response_spool_limit, client_timeout: group.front.client_timeout, ..options };
    if Counters::view(&group.counters).is_some_and(|counters| counters.state() == GroupState::Failed) {
        return Err(group_failed(request, &group));
    }
    let number = next_number();
    let (body, taken) = match RequestBody::take(request, number, group.body_spool_limit, &group.spares) {
        Ok(taken) => taken,
        Err(BodyError::Client(error)) => {
            request.close_after();
            let status = if error.status == 400 && error.client_gone { Status::BAD_REQUEST } else { status_of(error.status) };
            return Err(Refusal::new(&codes::BODY_READ, status, format!("the request body cannot be read: {error}")));
        }
        Err(error) => return Err(Refusal::new(&codes::BODY_SPOOL, Status::INTERNAL_SERVER_ERROR, error.to_string())),
    };
    head.secret = group.secret;
    head.queue_start = epoch_micros();
    if let Some(timeline) = &options.timeline {
        timeline.hand_over(head.queue_start, &group.name);
    }
    head.body = if body.is_held_back() { Body::OnDemand } else { Body::Sent };
    head.deadline = group.queue_timeout.map(|timeout| monotonic_micros() + u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX / 2));
    let response = Response::new(request, options);
    Conversation::new(&group, number, body, response, &head, taken).run(request)
}

/// Memory that passes from one request to the next, the last used first: what is sent, and what is received. There is as much of it as
/// there were requests at a time, which is less than there are threads.
static MEMORY: Mutex<Vec<(Vec<u8>, Vec<u8>)>> = Mutex::new(Vec::new());

fn status_of(code: i32) -> Status {
    u16::try_from(code).ok().filter(|code| (400..600).contains(code)).map_or(Status::BAD_REQUEST, Status::http)
}

fn group_failed(request: &Request<'_>, group: &Served) -> Refusal {
    retry_after(request);
    let what = format!("no worker of the daemon group '{}' can be started", group.name);
    Refusal::new(&codes::GROUP_DOWN, Status::SERVICE_UNAVAILABLE, what)
}

fn retry_after(request: &Request<'_>) {
    request.error_headers().set(b"Retry-After", b"5");
}

fn find(request: &Request<'_>, name: &[u8]) -> Result<std::sync::Arc<Served>, Refusal> {
    group::find(name, request.server()).map_err(|reason| {
        let name = String::from_utf8_lossy(name);
        let (code, what) = match reason {
            Unusable::None => (&codes::NO_GROUPS, format!("there is no daemon group '{name}', nor any other")),
            Unusable::Unknown => (&codes::NO_SUCH_GROUP, format!("there is no daemon group '{name}'")),
            Unusable::ElsewhereDefined => (&codes::GROUP_ELSEWHERE, format!("the daemon group '{name}' belongs to another virtual host")),
        };
        Refusal::new(code, Status::INTERNAL_SERVER_ERROR, what)
    })
}

fn connect(request: &Request<'_>, group: &Served) -> Result<OwnedFd, Refusal> {
    let failed = |code, error: Errno| {
        retry_after(request);
        let what = match error {
            Errno::EAGAIN => format!("the queue of the daemon group '{}' is full: {} requests wait in it", group.name, group.backlog),
            _ => format!("cannot hand the request to the daemon group '{}' at '{}': {error}", group.name, group.socket.display()),
        };
        Refusal::new(code, Status::SERVICE_UNAVAILABLE, what)
    };
    match socket::connected(&group.socket) {
        Ok(socket) => Ok(socket),
        Err(Errno::EAGAIN) if !group.refuses_when_full => {
            let patience = group.queue_timeout.map_or(group.front.connect_timeout, |limit| limit.min(group.front.connect_timeout));
            socket::connected_within(&group.socket, patience).map_err(|error| failed(&codes::QUEUE_FULL, error))
        }
        Err(error @ Errno::EAGAIN) => Err(failed(&codes::QUEUE_FULL, error)),
        Err(error) => Err(failed(&codes::CONNECT, error)),
    }
}

/// The way that a request takes.
enum Route {
    /// Over the group's queue.
    Queue(OwnedFd),
    /// To a worker with a free thread.
    Direct(Kept),
}

impl AsFd for Route {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Queue(socket) => socket.as_fd(),
            Self::Direct(kept) => kept.socket.as_fd(),
        }
    }
}

/// A request and its response on one connection.
struct Conversation<'g, 'r> {
    group: &'g Served,
    number: u64,
    route: Option<Route>,
    body: RequestBody<'r>,
    response: Response<'r>,
    outgoing: Vec<u8>,
    sent: usize,
    /// The file to go along with the octet at this place of `outgoing`, and whether it has gone.
    file: Option<(usize, Spool)>,
    file_sent: bool,
    /// Whether all that was sent is still in `outgoing`, to be sent once more.
    can_repeat: bool,
    incoming: Incoming,
    files: VecDeque<OwnedFd>,
    worker: Option<u32>,
    began: bool,
    /// Whether receiving may wait by itself, without an eye on the client.
    patient: bool,
    /// The worker does not take the body any more; its answer is still read.
    deaf: bool,
    deadline: Option<Instant>,
    since: Instant,
    /// Since when nothing has been heard of the worker.
    heard: Option<Instant>,
    /// Since when the client takes nothing of what waits for it.
    refused: Option<Instant>,
    /// Whether the client has a socket of its own: not a stream of HTTP/2.
    has_client_socket: bool,
    /// Whether the client's end is closed, which is reported for ever.
    client_hung_up: bool,
}

/// How a conversation ended.
enum Ending {
    /// With the whole response; whether the connection is kept.
    Complete(bool),
    /// The worker takes no more requests over this connection.
    Closing,
    /// The worker says that there will be no more.
    Aborted(Aborted),
    /// The worker is gone.
    Dead,
    /// The client is gone, or takes no more.
    Client(PassError),
    /// The worker was not heard of in time.
    Silent,
    /// No worker has begun in time.
    Queued,
    /// No worker will begin.
    GroupFailed,
    /// The worker sent something else than a response.
    Garbage(ProtocolError),
    /// The worker logs without end.
    Flood,
}

impl<'g, 'r> Conversation<'g, 'r> {
    fn new(group: &'g Served, number: u64, body: RequestBody<'r>, response: Response<'r>, head: &RequestHead<'_>, taken: Taken) -> Self {
        // The head is encoded behind room for its header, so that it is not copied.
        let (mut outgoing, incoming) = MEMORY.lock().pop().unwrap_or_default();
        outgoing.clear();
        outgoing.extend_from_slice(&[0; HEADER]);
        let mut outgoing = head.encode_onto(outgoing);
        let length = u32::try_from(outgoing.len() - HEADER).unwrap_or(u32::MAX);
        outgoing[..HEADER].copy_from_slice(&Header { kind: Kind::RequestHead, length, request: number }.encode());
        let file = taken.file.map(|file| (outgoing.len(), file));
        outgoing.extend_from_slice(&taken.frames);
        let deadline = group.queue_timeout.map(|timeout| Instant::now() + timeout);
        let incoming = Incoming::new(number, incoming);
        Self {
            group,
            number,
            route: None,
            body,
            response,
            outgoing,
            sent: 0,
            file,
            file_sent: false,
            can_repeat: true,
            incoming,
            files: VecDeque::new(),
            worker: None,
            began: false,
            patient: false,
            deaf: false,
            deadline,
            since: Instant::now(),
            heard: None,
            refused: None,
            has_client_socket: false,
            client_hung_up: false,
        }
    }

    fn run(mut self, request: &mut Request<'r>) -> Result<Status, Refusal> {
        self.has_client_socket = request.client_socket().is_some();
        let counters = Counters::view(&self.group.counters);
        // A worker may send on what comes to it alone; what streams could not be sent once more.
        let direct = counters.filter(|_| !self.body.is_streaming()).and_then(|counters| self.group.connections.take(&counters));
        self.route = Some(match direct {
            Some(kept) => Route::Direct(kept),
            None => self.enter_queue(request)?,
        });
        let mut ending = self.converse(request);
        for attempt in 0..ATTEMPTS {
            if !self.was_not_begun(&ending) {
                break;
            }
            // Whoever ends still takes what is in the queue, until it is empty: it is not to be fed with the same request for ever.
            std::thread::sleep(if attempt == 0 { Duration::ZERO } else { FIRST_PAUSE * (1 << attempt) });
            // It goes to whoever is free next.
            self.sent = 0;
            self.file_sent = false;
            self.deaf = false;
            self.route = Some(self.enter_queue(request)?);
            ending = self.converse(request);
        }
        self.conclude(request, ending)
    }

    fn enter_queue(&self, request: &Request<'r>) -> Result<Route, Refusal> {
        let socket = connect(request, self.group)?;
        if let Some(counters) = Counters::view(&self.group.counters) {
            counters.count_queued();
        }
        Ok(Route::Queue(socket))
    }

    /// Whether the request is certain not to have been begun, and can be sent once more.
    fn was_not_begun(&self, ending: &Ending) -> bool {
        if !self.can_repeat || self.began {
            return false;
        }
        match ending {
            Ending::Closing => true,
            // A worker says in the counters what it executes before it does; one that ended without that has not read the request.
            Ending::Dead => matches!(self.route, Some(Route::Direct(_))) && self.is_in_queue(),
            _ => false,
        }
    }

    fn socket(&self) -> BorrowedFd<'_> {
        self.route.as_ref().expect("a route is chosen before anything is sent").as_fd()
    }

    /// Sends and receives until it is over.
    fn converse(&mut self, request: &mut Request<'r>) -> Ending {
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
    fn is_in_queue(&self) -> bool {
        let counters = Counters::view(&self.group.counters);
        !self.began && self.incoming.is_untouched() && counters.is_some_and(|counters| counters.worker_of(self.number).is_none())
    }

    /// Whether nobody will begin it: the group's workers cannot be started.
    fn waits_in_vain(&self) -> bool {
        self.is_in_queue() && Counters::view(&self.group.counters).is_some_and(|counters| counters.state() == GroupState::Failed)
    }

    /// Ends the response accordingly.
    fn conclude(self, request: &mut Request<'r>, ending: Ending) -> Result<Status, Refusal> {
        let is_sent = self.sent == self.outgoing.len() && !self.deaf;
        let Self { group, number, worker, response, body, route, outgoing, incoming, file, .. } = self;
        if let (Ending::Complete(true), Some(Route::Direct(kept)), true) = (&ending, route, is_sent) {
            group.connections.give_back(kept);
            if let Some((_, spool)) = file {
                group.spares.give_back(spool);
            }
        }
        let beside = incoming.beside();
        MEMORY.lock().push((Some(outgoing).filter(|memory| memory.capacity() <= PENDING).unwrap_or_default(), incoming.into_buffer()));
        if body.is_streaming() || body.is_held_back() {
            // What the client still sends is not the next request.
            if !matches!(ending, Ending::Complete(_)) {
                request.close_after();
            }
        }
        let begun = response.has_begun();
        let refuse = |code, status, what: String, response: Response<'r>, request: &mut Request<'r>| {
            let refusal = Refusal::new(code, status, what);
            if begun {
                refusal.report(request);
                Ok(response.fail(request, status))
            } else {
                Err(refusal)
            }
        };
        match ending {
            Ending::Complete(_) => Ok(response.end(request)),
            Ending::Client(PassError::ClientGone) => Ok(response.fail(request, Status::OK)),
            Ending::Client(PassError::TimedOut) => {
                request.abort_client();
                let limit = group.front.patience_with_clients().as_secs();
                let what = format!("the client took nothing of the daemon group '{}' within response-socket-timeout={limit}", group.name);
                refuse(&codes::CLIENT_WRITE, Status::OK, what, response, request)
            }
            Ending::Client(error) => {
                let what = format!("the response was not sent: {error}");
                refuse(&codes::CLIENT_WRITE, Status::OK, what, response, request)
            }
            Ending::Aborted(Aborted::Failed) => Ok(response.fail(request, Status::INTERNAL_SERVER_ERROR)),
            Ending::Aborted(Aborted::RequestTimeout) => Ok(response.fail(request, Status::GATEWAY_TIMEOUT)),
            Ending::Aborted(Aborted::QueueTimeout) | Ending::Queued => {
                let limit = group.queue_timeout.unwrap_or_default().as_secs();
                let what = format!("no worker of the daemon group '{}' was free within queue-timeout={limit}", group.name);
                refuse(&codes::QUEUE_TIMEOUT, Status::GATEWAY_TIMEOUT, what, response, request)
            }
            Ending::GroupFailed => Err(group_failed(request, group)),
            Ending::Aborted(Aborted::Refused) => {
                let what = format!("a worker of the daemon group '{}' did not accept this httpd", group.name);
                refuse(&codes::REFUSED, Status::BAD_GATEWAY, what, response, request)
            }
            Ending::Silent => {
                let limit = group.front.socket_timeout.as_secs();
                let what = format!("nothing was heard of the daemon group '{}' within socket-timeout={limit}", group.name);
                let code = if begun { &codes::BODY_TIMEOUT } else { &codes::HEAD_TIMEOUT };
                refuse(code, Status::GATEWAY_TIMEOUT, what, response, request)
            }
            Ending::Garbage(error) => {
                let what = format!("a worker of the daemon group '{}' sent no response: {error}", group.name);
                refuse(&codes::MALFORMED, Status::BAD_GATEWAY, what, response, request)
            }
            Ending::Flood => {
                let what = format!("a worker of the daemon group '{}' has sent {} MiB of log lines and the like", group.name, beside >> 20);
                refuse(&codes::FLOOD, Status::BAD_GATEWAY, what, response, request)
            }
            Ending::Dead | Ending::Closing => {
                if let Some(times) = execution(group, number) {
                    response.begun_by(times);
                }
                let what = what_happened(group, number, worker);
                refuse(&codes::REQUEST_LOST, Status::BAD_GATEWAY, what, response, request)
            }
        }
    }
}
