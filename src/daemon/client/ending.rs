//! How a conversation ends, and what the client then gets and the log says.

#![forbid(unsafe_code)]

use super::{Conversation, MEMORY, PENDING, Route, group_failed};
use crate::apache::brigade::PassError;
use crate::apache::request::Request;
use crate::apache::status::Status;
use crate::daemon::incoming::ProtocolError;
use crate::daemon::loss::{execution, what_happened};
use crate::request::Refusal;
use crate::response::Response;
use wire::codes;
use wire::frame::Aborted;

/// How a conversation ended.
pub(super) enum Ending {
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

impl<'r> Conversation<'_, 'r> {
    /// Ends the response accordingly.
    pub(super) fn conclude(self, request: &mut Request<'r>, ending: Ending) -> Result<Status, Refusal> {
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
            Ending::GroupFailed => Err(group_failed(request, &group.name)),
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
