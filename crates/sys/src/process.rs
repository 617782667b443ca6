//! Starting and ending other processes.

use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use std::ffi::{CStr, CString, c_int};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use wire::counters::Cause;
use wire::settings::Limits;

/// A program to start, with exactly the descriptors named.
pub struct Program<'a> {
    /// The file to execute.
    pub path: &'a CStr,
    /// Its arguments, the first being its name for itself.
    pub arguments: &'a [CString],
    /// Its environment, `NAME=value`.
    pub environment: &'a [CString],
    /// Descriptors and the numbers they get; all others, but for 0 to 2 if not named, are closed.
    pub descriptors: &'a [(BorrowedFd<'a>, RawFd)],
    /// What else is done to it before it runs.
    pub bounds: Bounds,
}

/// What a child does to itself between fork and exec.
#[derive(Clone, Copy, Default)]
pub struct Bounds {
    /// The signal it gets when the thread that starts it ends (`PR_SET_PDEATHSIG`).
    pub death_signal: Option<Signal>,
    /// Whether it can never gain privileges (`PR_SET_NO_NEW_PRIVS`).
    pub no_new_privileges: bool,
    /// Limits.
    pub limits: Limits,
    /// Seconds between the soft and the hard limit of CPU time.
    pub cpu_grace: u64,
}

/// Why a program was not started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// No process could be made.
    #[error("cannot fork: {0}")]
    Fork(Errno),
    /// The program could not be executed.
    #[error("cannot execute {0}: {1}")]
    Exec(String, Errno),
}

/// The lowest number for descriptors on their way to a child, above all numbers a child gets.
const PARKING: RawFd = 64;

/// Starts a program. The caller must have one thread only.
///
/// # Errors
/// [`SpawnError`]: also when the program does not exist or may not be executed, which the child reports back.
pub fn spawn(program: &Program<'_>) -> Result<Pid, SpawnError> {
    let strings = |list: &[CString]| list.iter().map(|item| item.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>();
    let (arguments, environment) = (strings(program.arguments), strings(program.environment));
    let parent = nix::unistd::getpid();
    let (report, child_report) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(SpawnError::Fork)?;
    // SAFETY: the caller has one thread, so the child may do whatever it likes; it only calls the kernel, then exec or _exit.
    match unsafe { fork() }.map_err(SpawnError::Fork)? {
        ForkResult::Child => {
            let error = become_program(program, &arguments, &environment, parent, child_report.as_raw_fd());
            // The report's descriptor may have moved; the function has written to where it is now.
            // SAFETY: ends the child without running anything of the parent's.
            unsafe { libc::_exit(if error == Errno::UnknownErrno { 126 } else { 127 }) }
        }
        ForkResult::Parent { child } => {
            drop(child_report);
            let mut code = [0; 4];
            match nix::unistd::read(&report, &mut code) {
                Ok(4) => {
                    let _reaped = waitpid(child, None);
                    let path = program.path.to_string_lossy().into_owned();
                    Err(SpawnError::Exec(path, Errno::from_raw(c_int::from_ne_bytes(code))))
                }
                _ => Ok(child),
            }
        }
    }
}

/// What the child does, step by step. Returns only when a step that matters has failed.
fn become_program(
    program: &Program<'_>,
    arguments: &[*const libc::c_char],
    environment: &[*const libc::c_char],
    parent: Pid,
    report: RawFd,
) -> Errno {
    // Parked high first, so that no descriptor is overwritten before it has moved. The report pipe is parked as well.
    let report = park(report);
    let parked: Vec<(RawFd, RawFd)> = program.descriptors.iter().map(|(from, to)| (park(from.as_raw_fd()), *to)).collect();
    for (from, to) in parked {
        // SAFETY: plain descriptor numbers.
        unsafe { libc::dup2(from, to) };
    }
    let first_unnamed = program.descriptors.iter().map(|(_, to)| *to + 1).max().unwrap_or(3).max(3);
    // Closed at exec, not now: the report pipe must live until then. What was inherited below that and not named goes as well.
    for descriptor in 3..first_unnamed {
        if !program.descriptors.iter().any(|(_, to)| *to == descriptor) {
            // SAFETY: plain descriptor number; it may not be open, which is fine.
            unsafe { libc::close(descriptor) };
        }
    }
    // SAFETY: only sets a flag on descriptors.
    unsafe { libc::syscall(libc::SYS_close_range, first_unnamed, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    reset_signals();
    apply(program.bounds);
    // The parent may have died before the death signal was set.
    if program.bounds.death_signal.is_some() && nix::unistd::getppid() != parent {
        return Errno::UnknownErrno;
    }
    // SAFETY: both arrays end with null and their strings live in the parent's memory, which is ours since fork.
    unsafe { libc::execve(program.path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    let error = Errno::last();
    let code = (error as c_int).to_ne_bytes();
    // SAFETY: writes four octets of ours to the report pipe.
    unsafe { libc::write(report, code.as_ptr().cast(), code.len()) };
    error
}

fn park(descriptor: RawFd) -> RawFd {
    // SAFETY: plain descriptor number.
    unsafe { libc::fcntl(descriptor, libc::F_DUPFD_CLOEXEC, PARKING) }
}

/// Gives every signal its default disposition and blocks none: exec keeps what was ignored or blocked.
fn reset_signals() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: SIG_DFL is no function; signals that have no other disposition refuse, which is fine.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let _cannot_fail = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

fn apply(bounds: Bounds) {
    if let Some(signal) = bounds.death_signal {
        let _supported = nix::sys::prctl::set_pdeathsig(signal);
    }
    if bounds.no_new_privileges {
        let _supported = nix::sys::prctl::set_no_new_privs();
    }
    let Limits { cpu_time, memory, virtual_memory } = bounds.limits;
    if cpu_time > 0 {
        let _reported_by_proc = setrlimit(Resource::RLIMIT_CPU, cpu_time, cpu_time.saturating_add(bounds.cpu_grace).saturating_add(1));
    }
    if memory > 0 {
        let _reported_by_proc = setrlimit(Resource::RLIMIT_DATA, memory, memory);
    }
    if virtual_memory > 0 {
        let _reported_by_proc = setrlimit(Resource::RLIMIT_AS, virtual_memory, virtual_memory);
    }
}

/// Sends this process a signal when its parent ends (`PR_SET_PDEATHSIG`); fork does not inherit that.
pub fn end_with_parent(signal: Signal) {
    let _supported = nix::sys::prctl::set_pdeathsig(signal);
}

/// Makes descendants whose parent ends children of this process (`PR_SET_CHILD_SUBREAPER`).
///
/// # Errors
/// What prctl(2) says.
pub fn adopt_orphans() -> nix::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)
}

/// Whether a process is a child of this one that was not reaped.
#[must_use]
pub fn is_child(pid: Pid) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    pid.as_raw() > 0 && nix::sys::wait::waitid(nix::sys::wait::Id::Pid(pid), flags).is_ok()
}

/// Puts a descriptor in the place of another one, which is closed: whoever has that goes on with the new one.
///
/// # Errors
/// What dup3(2) says.
pub fn replace_descriptor(old: impl std::os::fd::AsFd, new: OwnedFd) -> nix::Result<()> {
    let (from, to) = (new.as_raw_fd(), old.as_fd().as_raw_fd());
    // SAFETY: both are open, and the number keeps belonging to whoever owns it.
    Errno::result(unsafe { libc::dup3(from, to, libc::O_CLOEXEC) }).map(drop)
}

/// A descriptor that becomes readable when the process ends (pidfd_open(2)).
///
/// # Errors
/// `ESRCH` when there is no such process.
pub fn pidfd(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: takes plain numbers; a result that is not negative is a new descriptor of ours.
    let descriptor = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(RawFd::try_from(descriptor).unwrap_or(-1)) })
}

/// A child that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub pid: Pid,
    /// How.
    pub cause: Cause,
}

/// Reaps one child that has ended, if there is one.
#[must_use]
pub fn reap() -> Option<Ended> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) => return Some(Ended { pid, cause: Cause::Exit(status) }),
            Ok(WaitStatus::Signaled(pid, signal, _)) => return Some(Ended { pid, cause: Cause::Signal(signal as i32) }),
            Ok(WaitStatus::StillAlive) => return None,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
}

/// Whether a child has ended, be it reaped or not. It is left for whoever reaps it.
#[must_use]
pub fn has_ended(child: i32) -> bool {
    !matches!(
        waitid(Id::Pid(Pid::from_raw(child)), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT),
        Ok(WaitStatus::StillAlive) | Err(Errno::EINTR)
    )
}

/// Takes over a descriptor that this process was started with.
///
/// Returns `None` when nothing is open at that number.
///
/// # Safety
/// Nobody else in this process owns it.
#[must_use]
pub unsafe fn inherited(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: asks about a plain number.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    // SAFETY: it is open, and by this function's contract it is now ours.
    (flags >= 0).then(|| unsafe { OwnedFd::from_raw_fd(number) })
}

/// Closes the descriptors of a program's start on the next exec, so that what the application starts does not inherit them.
pub fn close_on_exec_from(first: RawFd) {
    // SAFETY: only sets a flag on descriptors.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}

/// Ends this process at once: nothing of the application's or the runtime's runs any more.
pub fn exit_now(status: c_int) -> ! {
    // SAFETY: takes a plain number and does not return.
    unsafe { libc::_exit(status) }
}

/// Sets the nice value of this process and of what it starts from now on (setpriority(2)).
///
/// # Errors
/// `EACCES` or `EPERM` when it may not raise its priority.
pub fn set_priority(nice: c_int) -> nix::Result<()> {
    // SAFETY: takes plain numbers.
    Errno::result(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) }).map(drop)
}

/// Hides this process from others of the same user: no ptrace, no core, `/proc` belongs to root.
pub fn set_not_dumpable() {
    let _supported = nix::sys::prctl::set_dumpable(false);
}

/// The file that this code was loaded from (dladdr(3)): the program, or the shared library it is part of.
#[must_use]
pub fn file_of_this_library() -> Option<std::path::PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let own = file_of_this_library as *const libc::c_void;
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: fills the record when it returns other than 0; the name is the loader's and lives as long as the library.
    let name = unsafe {
        if libc::dladdr(own, info.as_mut_ptr()) == 0 || info.assume_init_ref().dli_fname.is_null() {
            return None;
        }
        CStr::from_ptr(info.assume_init_ref().dli_fname)
    };
    Some(std::path::PathBuf::from(std::ffi::OsStr::from_bytes(name.to_bytes())))
}

/// The name of a signal, such as `SIGKILL`.
#[must_use]
pub fn signal_name(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |signal| signal.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn strings(words: &[&str]) -> Vec<CString> {
        words.iter().map(|word| CString::new(*word).expect("no NUL")).collect()
    }

    #[test]
    fn a_program_gets_the_named_descriptors_and_no_other() {
        let (reader, writer) = nix::unistd::pipe().expect("a pipe");
        let arguments = strings(&["sh", "-c", "ls /proc/self/fd | tr '\\n' ' ' >&5"]);
        let program = Program {
            path: c"/bin/sh",
            arguments: &arguments,
            environment: &[],
            descriptors: &[(writer.as_fd(), 5)],
            bounds: Bounds { no_new_privileges: true, ..Bounds::default() },
        };
        let child = spawn(&program).expect("started");
        drop(writer);
        let mut text = [0; 256];
        let length = nix::unistd::read(&reader, &mut text).expect("the list");
        let open: Vec<u8> = String::from_utf8_lossy(&text[..length]).split_whitespace().filter_map(|n| n.parse().ok()).collect();
        // 3 is ls reading the folder.
        assert!(open.iter().all(|number| [0, 1, 2, 3, 5].contains(number)), "{open:?}");
        assert!(matches!(waitpid(child, None), Ok(WaitStatus::Exited(_, 0))));
    }

    #[test]
    fn a_missing_program_is_named_to_the_caller() {
        let program = Program { path: c"/no/such/file", arguments: &[], environment: &[], descriptors: &[], bounds: Bounds::default() };
        assert_eq!(spawn(&program).expect_err("missing").to_string(), "cannot execute /no/such/file: ENOENT: No such file or directory");
    }
}
