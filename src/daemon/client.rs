//! One request over one connection to a group's socket: its head and body go out, the response comes back.
//!
//! A worker with a free thread gets the request directly, over a connection that is kept ([`super::connections`]); if there is none, the
//! request waits in the group's queue: the kernel's accept queue in front of all workers. This side holds the deadline, sends once more
//! what no worker has begun, and says what became of a request that no worker finished.

#![forbid(unsafe_code)]

mod converse;
mod ending;

use self::ending::Ending;
use super::body::{BodyError, RequestBody, Spool, Taken};
use super::connections::Kept;
use super::group::{self, Served, Unusable};
use super::incoming::Incoming;
use super::loss::has_ended;
use super::{owner, root};
use crate::apache::request::Request;
use crate::apache::status::Status;
use crate::request::Refusal;
use crate::response::{Response, ResponseOptions};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use sys::clock::{epoch_micros, monotonic_micros};
use sys::nix::errno::Errno;
use sys::socket;
use wire::codes;
use wire::counters::{Counters, GroupState};
use wire::frame::{HEADER, Header, Kind};
use wire::head::{Body, RequestHead};

/// How much of a body may wait for a worker that does not read it.
const PENDING: usize = 256 * 1024;

/// How often a request is sent once more that no worker has begun: a script may change again while it waits for the new code.
const ATTEMPTS: u32 = 9;

/// The first pause between such attempts; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(2);

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
        return Err(group_failed(request, &group.name));
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

fn group_failed(request: &Request<'_>, name: &str) -> Refusal {
    retry_after(request);
    Refusal::new(&codes::GROUP_DOWN, Status::SERVICE_UNAVAILABLE, format!("no worker of the daemon group '{name}' can be started"))
}

fn retry_after(request: &Request<'_>) {
    request.error_headers().set(b"Retry-After", b"5");
}

fn find(request: &Request<'_>, name: &[u8]) -> Result<std::sync::Arc<Served>, Refusal> {
    group::find(name, request.server()).map_err(|reason| {
        let name = String::from_utf8_lossy(name);
        let (code, what) = match reason {
            Unusable::None => (&codes::NO_GROUPS, format!("there is no daemon group '{name}', nor any other")),
            Unusable::NotStarted => return group_failed(request, &name),
            Unusable::Unknown => (&codes::NO_SUCH_GROUP, format!("there is no daemon group '{name}'")),
            Unusable::ElsewhereDefined => (&codes::GROUP_ELSEWHERE, format!("the daemon group '{name}' belongs to another virtual host")),
        };
        Refusal::new(code, Status::INTERNAL_SERVER_ERROR, what)
    })
}

fn connect(request: &Request<'_>, group: &Served) -> Result<OwnedFd, Refusal> {
    let failed = |error: Errno| {
        retry_after(request);
        let code = if error == Errno::EAGAIN { &codes::QUEUE_FULL } else { &codes::CONNECT };
        let what = match error {
            Errno::EAGAIN => format!("the queue of the daemon group '{}' is full: {} requests wait in it", group.name, group.backlog),
            _ => format!("the daemon group '{}' cannot be reached at '{}': {}", group.name, group.socket.display(), error.desc()),
        };
        Refusal::new(code, Status::SERVICE_UNAVAILABLE, what)
    };
    match socket::connected(&group.socket) {
        Ok(socket) => Ok(socket),
        Err(Errno::EAGAIN) if !group.refuses_when_full => {
            let patience = group.queue_timeout.map_or(group.front.connect_timeout, |limit| limit.min(group.front.connect_timeout));
            socket::connected_within(&group.socket, patience).map_err(failed)
        }
        Err(error) => Err(failed(error)),
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
            Some(kept) => {
                self.worker = Some(kept.pid);
                Route::Direct(kept)
            }
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
            self.worker = None;
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
            Ending::Dead => matches!(&self.route, Some(Route::Direct(kept)) if self.is_in_queue() && has_ended(self.group, kept.pid)),
            _ => false,
        }
    }

    fn socket(&self) -> BorrowedFd<'_> {
        self.route.as_ref().expect("a route is chosen before anything is sent").as_fd()
    }
}
