//! The messages between httpd's parent, a group's supervisor and its workers.
//!
//! Each is one datagram of a `SOCK_SEQPACKET` socket pair, beginning with a version octet. End of file is a message too: the peer is
//! gone. The supervisor finds its control socket and the group's listener at [`CONTROL_FD`] and [`LISTENER_FD`], and so does a worker.

use crate::VERSION;
use crate::head::DecodeError;
use crate::settings::{GroupSettings, Import, Octets};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The descriptor of the control socket in a supervisor and in a worker.
pub const CONTROL_FD: i32 = 3;

/// The descriptor of the group's listening socket in a supervisor and in a worker.
pub const LISTENER_FD: i32 = 4;

/// The descriptor of the group's shared counters in a worker; a supervisor gets it beside [`ToSupervisor::Configure`].
pub const COUNTERS_FD: i32 = 5;

/// The longest message in octets.
pub const MESSAGE_LIMIT: usize = 128 * 1024;

/// How long a supervisor waits for the word that follows [`ToSupervisor::Await`].
pub const NEWS_TIME: std::time::Duration = std::time::Duration::from_secs(30);

/// From httpd's parent to a supervisor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToSupervisor {
    /// Start, or replace what runs by workers with these settings. Beside it: the error log's descriptor, then the counters'.
    Configure(Box<GroupSettings>),
    /// Finish what runs, within `shutdown-timeout`, and exit.
    Stop,
    /// httpd reads its configuration anew: what follows is `Configure`, `Stop` or `Retire`. If nothing does for [`NEWS_TIME`], it does
    /// without this module, which is as good as `Retire`.
    Await,
    /// The group is not configured any more: serve what is still in its queue, finish what runs, within `graceful-timeout`, and exit.
    Retire,
}

/// From a supervisor to a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToWorker {
    /// The first message: who you are. The worker's stderr is already the error log.
    Configure(Box<WorkerSettings>),
    /// Everybody is ready: begin to accept.
    Accept,
    /// Accept no more, finish what has begun, and exit; the reason is for `process_stopping`.
    Drain(StopReason),
    /// Exit in order, within `shutdown-timeout`; the reason is for `process_stopping`.
    Stop(StopReason),
    /// Another worker has loaded this script: load it as well, so that all of them run the same version of it.
    Load {
        /// Which script, and where.
        import: Import,
        /// Whether a failure is one of the worker, as long as it has not been told to accept: others go on without it.
        must_succeed: bool,
    },
}

/// What one worker is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerSettings {
    /// The group's settings.
    pub group: GroupSettings,
    /// The worker's slot in the counters.
    pub slot: u32,
    /// Counts the generations of the group since its supervisor started.
    pub generation: u64,
    /// What workers of the generation before had loaded: to be loaded before this one is ready.
    pub preload: Vec<Import>,
    /// Whether a failure to load one of `preload` is a failure of the worker: there is an older generation that goes on.
    pub preload_must_succeed: bool,
    /// Whether the first one of its generation loads `preload` at the same time: that one says why it fails, and this one need not.
    pub follows: bool,
    /// Whether the others of its generation are to be forked from a copy of it, which it leaves behind: from one that has loaded its
    /// scripts with `preload=`, from its interpreter otherwise.
    pub makes_template: bool,
}

/// From a worker to its supervisor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromWorker {
    /// Python runs, everything that was to be loaded is loaded, the threads stand by.
    Ready,
    /// It cannot become ready, and exits; the text is one line without a final stop.
    Failed(String),
    /// A script is loaded, with the modification time (microseconds since the epoch) it had.
    Loaded {
        /// Which script, and where.
        import: Import,
        /// Its modification time.
        modified: i64,
        /// Whether it was loaded for a request that reloads it when it changes (`WSGIScriptReloading`).
        reloads: bool,
    },
    /// A script that must be loaded cannot be, which the log explains; [`FromWorker::Failed`] follows.
    LoadFailed {
        /// Its path.
        script: Octets,
        /// The modification time of what could not be loaded, if it could be read.
        modified: Option<i64>,
    },
    /// The process that was executed is a template from now on, and the worker this one that was forked from it. Beside it the way to the
    /// template, over which [`FromWorker::Forked`] comes first, and which then answers each [`ToWorker::Configure`], beside it the end of
    /// a worker's control socket, by a worker that says `Forked` over this.
    Template {
        /// The worker's process id.
        pid: u32,
    },
    /// It cannot leave a template behind, for this reason.
    NoTemplate(String),
    /// A process that was forked says who it is.
    Forked {
        /// Its process id.
        pid: u32,
    },
    /// A loaded script has changed on disk: a new generation is wanted.
    Changed {
        /// Its path.
        script: Octets,
        /// Its modification time now.
        modified: i64,
    },
    /// It has served `maximum-requests` or met another limit: a successor is wanted, and then a `Drain`.
    ReplaceMe(StopReason),
    /// It begins nothing any more and exits now, within `shutdown-timeout`.
    Drained,
}

/// Why a worker stops; `shutdown_reason` of mod_wsgi's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopReason {
    /// `maximum-requests`.
    MaximumRequests,
    /// `request-timeout`.
    RequestTimeout,
    /// `startup-timeout`.
    StartupTimeout,
    /// `restart-interval`.
    RestartInterval,
    /// `deadlock-timeout`.
    DeadlockTimeout,
    /// `inactivity-timeout`.
    InactivityTimeout,
    /// `cpu-time-limit`.
    CpuTimeLimit,
    /// A graceful signal with `eviction-timeout`.
    EvictionSignal,
    /// A graceful signal.
    GracefulSignal,
    /// The server stops or restarts.
    ShutdownSignal,
    /// The script changed.
    ScriptReload,
    /// It comes near `memory-limit` or `virtual-memory-limit`.
    MemoryLimit,
}

impl StopReason {
    /// Every reason, in their order.
    pub const ALL: [Self; 12] = [
        Self::MaximumRequests,
        Self::RequestTimeout,
        Self::StartupTimeout,
        Self::RestartInterval,
        Self::DeadlockTimeout,
        Self::InactivityTimeout,
        Self::CpuTimeLimit,
        Self::EvictionSignal,
        Self::GracefulSignal,
        Self::ShutdownSignal,
        Self::ScriptReload,
        Self::MemoryLimit,
    ];

    /// The word of mod_wsgi's `shutdown_reason`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::MaximumRequests => "maximum_requests",
            Self::RequestTimeout => "request_timeout",
            Self::StartupTimeout => "startup_timeout",
            Self::RestartInterval => "restart_interval",
            Self::DeadlockTimeout => "deadlock_timeout",
            Self::InactivityTimeout => "inactivity_timeout",
            Self::CpuTimeLimit => "cpu_time_limit",
            Self::EvictionSignal => "eviction_signal",
            Self::GracefulSignal => "graceful_signal",
            Self::ShutdownSignal => "shutdown_signal",
            Self::ScriptReload => "script_reload",
            Self::MemoryLimit => "memory_limit",
        }
    }
}

/// The octets of a message.
///
/// # Errors
/// When it is longer than [`MESSAGE_LIMIT`].
pub fn encode<M: Serialize>(message: &M) -> Result<Vec<u8>, EncodeError> {
    let octets = postcard::to_extend(message, vec![VERSION]).expect("a Vec grows and the types hold no unsized sequence");
    if octets.len() > MESSAGE_LIMIT { Err(EncodeError(octets.len())) } else { Ok(octets) }
}

/// A message does not fit a datagram.
#[derive(Debug, thiserror::Error)]
#[error("control message of {0} octets, at most {MESSAGE_LIMIT} are possible")]
pub struct EncodeError(usize);

/// Reads a message.
///
/// # Errors
/// When the octets hold no such message, or one of another version.
pub fn decode<M: DeserializeOwned>(octets: &[u8]) -> Result<M, ControlError> {
    match octets.split_first() {
        Some((&VERSION, rest)) => Ok(postcard::from_bytes(rest).map_err(DecodeError::from)?),
        Some((&version, _)) => Err(ControlError::Version(version)),
        None => Err(ControlError::Empty),
    }
}

/// Octets are no control message.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No octets at all.
    #[error("empty control message")]
    Empty,
    /// The peer is of another build.
    #[error("control message of version {0}, expected {VERSION}")]
    Version(u8),
    /// Not a message.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_the_wire() {
        let message = FromWorker::Changed { script: Octets::from(b"/srv/app.wsgi".to_vec()), modified: -7 };
        let octets = encode(&message).expect("small");
        assert_eq!(decode::<FromWorker>(&octets).expect("decodes"), message);
    }

    #[test]
    fn a_message_of_another_build_is_refused_by_version() {
        let mut octets = encode(&ToSupervisor::Stop).expect("small");
        octets[0] = 77;
        assert!(matches!(decode::<ToSupervisor>(&octets), Err(ControlError::Version(77))));
    }
}
