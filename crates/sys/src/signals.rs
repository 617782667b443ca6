//! Signals as octets of a pipe, for a process that waits with poll(2) and whose threads belong to somebody else.
//!
//! Handlers, not a blocked mask with signalfd(2): a mask would be inherited by every program that the application starts, which could
//! then not be terminated. A handler ends with exec. In a process that the application forks and that does not exec, the handler gives
//! the signal its default meaning, so that such a child neither speaks for its parent nor ignores who wants to end it.

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use std::ffi::c_int;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// Where the handler writes to; never closed once it is set.
static WRITER: AtomicI32 = AtomicI32::new(-1);

/// The process whose handler it is.
static OWNER: AtomicI32 = AtomicI32::new(0);

/// The readable end: it becomes readable when a watched signal has come.
pub struct Signals(OwnedFd);

/// No signal reaches the thread, nor threads that it starts, until this is dropped.
pub struct Blocked(nix::sys::signal::SigSet);

/// Keeps all signals from the calling thread.
///
/// # Errors
/// What pthread_sigmask(3) says.
pub fn block_all() -> nix::Result<Blocked> {
    use nix::sys::signal::{SigSet, SigmaskHow};
    Ok(Blocked(SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?))
}

impl Drop for Blocked {
    fn drop(&mut self) {
        let _was_so_before = self.0.thread_set_mask();
    }
}

/// Takes these signals from their former handlers, for the rest of the process's life. Called once in a process.
///
/// # Errors
/// What pipe2(2) or sigaction(2) say; `EBUSY` when it was called before.
pub fn watch(signals: &[Signal]) -> nix::Result<Signals> {
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    OWNER.store(nix::unistd::getpid().as_raw(), Relaxed);
    if WRITER.compare_exchange(-1, writer.into_raw_fd(), Relaxed, Relaxed).is_err() {
        return Err(Errno::EBUSY);
    }
    for signal in signals {
        // SAFETY: a sigaction of zeros is valid: an empty mask and no flags. The handler only does what signal-safety(7) allows.
        let done = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handle as extern "C" fn(c_int) as usize;
            // What the application waits for is not interrupted.
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(*signal as c_int, &raw const action, std::ptr::null_mut())
        };
        Errno::result(done)?;
    }
    Ok(Signals(reader))
}

impl Signals {
    /// The next signal that has come, if any.
    #[must_use]
    pub fn next(&self) -> Option<Signal> {
        let mut octet = [0];
        match nix::unistd::read(&self.0, &mut octet) {
            Ok(1) => Signal::try_from(c_int::from(octet[0])).ok(),
            _ => None,
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

extern "C" fn handle(signal: c_int) {
    // SAFETY: getpid, signal, kill and write are async-signal-safe; the octet lives until write returns, and the descriptor is never
    // closed. errno is put back, for whoever was interrupted between a call and its look at it.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        let pid = libc::getpid();
        if pid == OWNER.load(Relaxed) {
            let octet = u8::try_from(signal).unwrap_or(0);
            // A full pipe holds enough signals to act on.
            libc::write(WRITER.load(Relaxed), (&raw const octet).cast(), 1);
        } else {
            // Delivered when this handler returns, now with its default meaning.
            libc::signal(signal, libc::SIG_DFL);
            libc::kill(pid, signal);
        }
        *errno = before;
    }
}

/// The number of a signal that nobody uses: a real-time one, for what this process asks of itself (signal(7)).
#[must_use]
pub fn stacks() -> c_int {
    libc::SIGRTMAX() - 3
}

/// Sends a signal to this process: its handler runs on some thread that does not block it, at once if one does not.
pub fn raise_in_process(number: c_int) {
    // SAFETY: takes plain numbers.
    unsafe { libc::kill(libc::getpid(), number) };
}

/// The number of a signal, as Python's `signal` module names it.
#[must_use]
pub fn number(signal: Signal) -> c_int {
    signal as c_int
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::{kill, raise};
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};

    #[test]
    fn a_signal_is_an_octet_here_and_an_end_in_a_forked_child() {
        let signals = watch(&[Signal::SIGUSR2]).expect("first in this process");
        assert_eq!(signals.next(), None);
        raise(Signal::SIGUSR2).expect("raised");
        assert_eq!((signals.next(), signals.next()), (Some(Signal::SIGUSR2), None));
        // SAFETY: the child only sleeps until it is ended.
        match unsafe { fork() }.expect("forked") {
            ForkResult::Child => loop {
                nix::unistd::pause();
            },
            ForkResult::Parent { child } => {
                kill(child, Signal::SIGUSR2).expect("sent");
                assert!(matches!(waitpid(child, None), Ok(WaitStatus::Signaled(_, Signal::SIGUSR2, _))));
            }
        }
        assert_eq!(signals.next(), None, "the child did not speak for its parent");
        assert_eq!(watch(&[]).map(drop), Err(Errno::EBUSY));
    }
}
