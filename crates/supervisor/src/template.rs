//! The template of a generation of workers: a process that has started an interpreter, and with `preload=` loaded the scripts, and from
//! which the workers are forked.
//!
//! It was executed as the first worker of a generation, which goes on as its first copy. Those that it forks are children of this process,
//! as all workers are: each is forked by a process in between that ends at once (`sys::forks`), and this process adopts orphans.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use sys::control::{Channel, ChannelError};
use sys::nix::sys::signal::{Signal, kill};
use sys::nix::sys::wait::waitpid;
use sys::nix::unistd::Pid;
use wire::control::{FromWorker, ToWorker, WorkerSettings};

/// How long a fork may take: memory is copied page by page later, but functions of the application's may run before and after it.
const FORK_TIME: Duration = Duration::from_secs(5);

/// Why no worker was forked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForkError {
    /// The channel cannot be used.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// Nothing came, or something else.
    #[error("it has not said that it has forked")]
    Silent,
    /// What it says is not so.
    #[error("process {0} is no child of this one")]
    Stranger(u32),
    /// There is no way to tell it.
    #[error("no socket pair: {0}")]
    Pair(#[from] sys::nix::errno::Errno),
}

/// A process from which workers are forked.
pub(crate) struct Template {
    pid: Pid,
    channel: Channel,
}

impl Template {
    /// Takes over the template that a worker has left behind.
    pub(crate) fn new(socket: OwnedFd) -> Result<Self, ForkError> {
        let channel = Channel::new(socket);
        let pid = forked(&channel)?;
        Ok(Self { pid, channel })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Forks a worker; also gives the way to it.
    pub(crate) fn fork(&self, settings: WorkerSettings) -> Result<(Pid, Channel), ForkError> {
        let (channel, theirs) = Channel::pair()?;
        self.channel.send(&ToWorker::Configure(Box::new(settings)), &[theirs.as_fd()])?;
        // The worker's end is open in the worker only: if it ends before it has spoken, that is seen.
        drop(theirs);
        Ok((forked(&channel)?, channel))
    }

    /// Ends it.
    pub(crate) fn end(self) {
        let _may_have_ended = kill(self.pid, Signal::SIGKILL);
        let _reaped = waitpid(self.pid, None);
    }
}

/// Waits for the word of a process that was forked.
fn forked(channel: &Channel) -> Result<Pid, ForkError> {
    match channel.wait::<FromWorker>(Some(FORK_TIME))? {
        Some((FromWorker::Forked { pid }, _)) => child(pid),
        _ => Err(ForkError::Silent),
    }
}

/// The child of this process with an id that somebody names.
pub(crate) fn child(pid: u32) -> Result<Pid, ForkError> {
    let child = i32::try_from(pid).map(Pid::from_raw).map_err(|_| ForkError::Stranger(pid))?;
    if sys::process::is_child(child) { Ok(child) } else { Err(ForkError::Stranger(pid)) }
}
