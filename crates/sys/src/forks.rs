//! What a process keeps from those that it forks and that do not exec: others' code forks (Python's multiprocessing does), and what ends
//! with this process must not live on in them. See pthread_atfork(3); exec is the business of `O_CLOEXEC`.

use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, getppid};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Descriptors up to 65,535 can be kept from others.
static PRIVATE: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];

static FORKED: AtomicBool = AtomicBool::new(false);

/// Whether the fork under way makes a process of ours, to which none of this applies.
static OURS: AtomicBool = AtomicBool::new(false);

/// From now on [`is_forked`] is true in processes that this one forks, by whichever thread of whoever's, and private descriptors are
/// closed in them.
pub fn notice() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler only uses atomics and close, which is allowed after fork.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

extern "C" fn in_child() {
    if OURS.load(Relaxed) {
        return;
    }
    FORKED.store(true, Relaxed);
    for (index, word) in (0..).step_by(64).zip(&PRIVATE) {
        let mut bits = word.load(Relaxed);
        while bits != 0 {
            let bit: RawFd = bits.trailing_zeros().cast_signed();
            // SAFETY: plain descriptor number. Whoever has it in this process does not use it: see `Private`.
            unsafe { libc::close(index + bit) };
            bits &= bits - 1;
        }
    }
}

/// Whether this process was forked by one that wanted to notice, and has not called exec.
#[must_use]
pub fn is_forked() -> bool {
    FORKED.load(Relaxed)
}

/// Where a process is after [`fork_beside`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// In the process that has forked.
    Old,
    /// In the new one: a copy that is no child of the old one, but of its parent.
    New,
}

/// How long a new process waits to be its parent's child.
const ADOPTION: Duration = Duration::from_secs(5);

/// Forks a process that is in everything as this one is, but for being a child of this one's parent, which must be a subreaper
/// (`PR_SET_CHILD_SUBREAPER`): a process in between forks it and ends. `fork` is how that forks, such as Python's `os.fork`: it returns
/// the new process's id there and 0 in the new process. This process must have one thread only.
///
/// # Errors
/// When no process can be made. In the new process: when the parent has ended meanwhile.
pub fn fork_beside(fork: impl FnOnce() -> Option<i32>) -> nix::Result<Side> {
    let parent = getppid();
    OURS.store(true, Relaxed);
    // SAFETY: this process has one thread, by this function's contract, so the child is a whole process.
    let forked = unsafe { nix::unistd::fork() };
    let side = match forked {
        Ok(ForkResult::Parent { child }) => match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, 0)) => Ok(Side::Old),
            _ => Err(Errno::EAGAIN),
        },
        Ok(ForkResult::Child) => {
            let between = std::process::id().cast_signed();
            match fork() {
                Some(0) => become_child_of(parent, Pid::from_raw(between)),
                Some(_) => crate::process::exit_now(0),
                None => crate::process::exit_now(1),
            }
        }
        Err(error) => Err(error),
    };
    OURS.store(false, Relaxed);
    side
}

fn become_child_of(parent: Pid, between: Pid) -> nix::Result<Side> {
    let until = Instant::now() + ADOPTION;
    while getppid() == between && Instant::now() < until {
        std::thread::sleep(Duration::from_micros(100));
    }
    if getppid() == parent { Ok(Side::New) } else { Err(Errno::ESRCH) }
}

/// A descriptor that is closed in processes that this one forks. Code that runs in these must look at [`is_forked`] before it uses or
/// drops one: its number may be another file's there.
#[derive(Debug)]
pub struct Private(OwnedFd);

impl Private {
    /// Keeps a descriptor from others.
    #[must_use]
    pub fn new(descriptor: OwnedFd) -> Self {
        mark(descriptor.as_raw_fd(), true);
        Self(descriptor)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // Before it is closed: somebody else may get the number at once.
        mark(self.0.as_raw_fd(), false);
    }
}

impl AsFd for Private {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Private {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Keeps a descriptor from others that this process does not close before its end.
pub fn keep(descriptor: impl AsFd) {
    mark(descriptor.as_fd().as_raw_fd(), true);
}

fn mark(descriptor: RawFd, private: bool) {
    let Some(number) = usize::try_from(descriptor).ok().filter(|number| *number < PRIVATE.len() * 64) else { return };
    let bit = 1 << (number % 64);
    if private {
        PRIVATE[number / 64].fetch_or(bit, Relaxed);
    } else {
        PRIVATE[number / 64].fetch_and(!bit, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::{fork, pipe};

    #[test]
    fn a_forked_process_knows_that_it_is_one_and_has_nothing_private() {
        notice();
        let (reader, writer) = pipe().expect("a pipe");
        let (reader, writer_number) = (Private::new(reader), writer.as_raw_fd());
        // SAFETY: the child only looks and ends.
        match unsafe { fork() }.expect("forked") {
            ForkResult::Child => {
                // SAFETY: asks about plain numbers.
                let open = |number| unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0;
                let right = is_forked() && !open(reader.as_raw_fd()) && open(writer_number);
                crate::process::exit_now(i32::from(right));
            }
            ForkResult::Parent { child } => assert!(matches!(waitpid(child, None), Ok(WaitStatus::Exited(_, 1)))),
        }
        assert!(!is_forked());
    }
}
