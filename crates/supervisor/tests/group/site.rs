//! A daemon process group as httpd's parent has it: a listener, counters, a log, and a supervisor that is spoken to.

use std::ffi::CString;
use std::fs::File;
use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};
use sys::control::Channel;
use sys::memory::SharedWords;
use sys::nix::sys::signal::{Signal, kill};
use sys::nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use sys::nix::unistd::Pid;
use sys::process::{Bounds, Program, spawn};
use sys::socket::{Readiness, connected, listener, receive, send, wait};
use wire::control::{CONTROL_FD, LISTENER_FD, ToSupervisor};
use wire::counters::{Counters, GroupState, Shape};
use wire::settings::{GroupSettings, Octets};

/// Nothing in these tests takes longer, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// An answer of a fake worker.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) pid: u32,
    pub(crate) generation: u64,
    pub(crate) text: String,
}

/// The group, and what httpd's parent knows of it.
pub(crate) struct Site {
    pub(crate) folder: PathBuf,
    pub(crate) settings: GroupSettings,
    pub(crate) control: Option<Channel>,
    /// The supervisor, or the shell that is its parent.
    pub(crate) child: Pid,
    memory: OwnedFd,
    words: SharedWords,
    reaped: bool,
}

impl Site {
    /// A group of one process, not configured yet.
    pub(crate) fn new() -> Self {
        Self::under(&[supervisor().as_os_str().as_bytes(), b"site"], &supervisor())
    }

    /// The same, with a parent of its own that can be killed.
    pub(crate) fn with_parent() -> Self {
        let script = format!("'{}' site & wait", supervisor().display());
        Self::under(&[b"sh", b"-c", script.as_bytes()], Path::new("/bin/sh"))
    }

    fn under(arguments: &[&[u8]], program: &Path) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("supervisor-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("host"), "ok").expect("a file");
        let listener = listener(&folder.join("sock"), 100).expect("a listener");
        let (control, theirs) = Channel::pair().expect("a pair");
        let (memory, words) = memory(1);
        let log = log(&folder);
        let string = |octets: &[u8]| CString::new(octets).expect("no NUL");
        let arguments: Vec<CString> = arguments.iter().map(|argument| string(argument)).collect();
        let environment = [string(b"PATH=/usr/bin:/bin"), string(b"USER=httpd")];
        // The test has several threads; what the child allocates before it executes the program is safe with the C library's locks.
        let child = spawn(&Program {
            path: &string(program.as_os_str().as_bytes()),
            arguments: &arguments,
            environment: &environment,
            descriptors: &[(log.as_fd(), 2), (theirs.as_fd(), CONTROL_FD), (listener.as_fd(), LISTENER_FD)],
            bounds: Bounds::default(),
        })
        .expect("started");
        let settings = settings(&folder);
        Self { folder, settings, control: Some(control), child, memory, words, reaped: false }
    }

    /// Sends the settings as they are now.
    pub(crate) fn configure(&self) -> &Self {
        let log = log(&self.folder);
        let message = ToSupervisor::Configure(Box::new(self.settings.clone()));
        self.control().send(&message, &[log.as_fd(), self.memory.as_fd()]).expect("sent");
        self
    }

    /// A new memory for counters, as after a restart of httpd; the old one stays with whom it was given.
    pub(crate) fn renew_counters(&mut self) {
        (self.memory, self.words) = memory(self.settings.processes);
    }

    pub(crate) fn control(&self) -> &Channel {
        self.control.as_ref().expect("not closed by the test")
    }

    pub(crate) fn counters(&self) -> Counters<'_> {
        Counters::view(&self.words).expect("formatted")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file as an editor does: beside it, then renamed.
    pub(crate) fn write(&self, name: &str, content: &str) {
        // The kernel stamps files with the time of its last tick: two versions within one tick would look the same.
        std::thread::sleep(Duration::from_millis(20));
        let draft = self.path(&format!(".{name}.draft"));
        std::fs::write(&draft, content).expect("written");
        std::fs::rename(draft, self.path(name)).expect("renamed");
    }

    /// One request; `None` when the connection was closed without an answer.
    pub(crate) fn request(&self, request: &str) -> Option<Answer> {
        request_at(&self.path("sock"), request)
    }

    /// What the script says.
    pub(crate) fn get(&self, script: &str) -> Answer {
        self.request(&format!("get {}", self.path(script).display())).expect("an answer")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).expect("a log")
    }

    pub(crate) fn wait_for_log(&self, text: &str) {
        until(&format!("'{text}' in the log"), || self.log().contains(text), || self.log());
    }

    pub(crate) fn wait_for_state(&self, state: GroupState) {
        until(&format!("{state:?}"), || self.counters().state() == state, || self.log());
    }

    /// Waits until the supervisor has ended, and says how.
    pub(crate) fn wait_for_end(&mut self) -> WaitStatus {
        let start = Instant::now();
        loop {
            match waitpid(self.child, Some(WaitPidFlag::WNOHANG)).expect("a child of ours") {
                WaitStatus::StillAlive if start.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(2)),
                WaitStatus::StillAlive => panic!("the supervisor has not ended:\n{}", self.log()),
                ended => {
                    self.reaped = true;
                    return ended;
                }
            }
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if !self.reaped {
            // Closing the control socket ends everything, and that is waited for: no test leaves processes.
            self.control = None;
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(3) {
                match waitpid(self.child, Some(WaitPidFlag::WNOHANG)) {
                    Ok(WaitStatus::StillAlive) => std::thread::sleep(Duration::from_millis(5)),
                    _ => break,
                }
            }
            let _ended_most_likely = kill(self.child, Signal::SIGKILL);
        }
        let _best_effort = std::fs::remove_dir_all(&self.folder);
    }
}

/// One request to the listener at `socket`.
pub(crate) fn request_at(socket: &Path, request: &str) -> Option<Answer> {
    let start = Instant::now();
    let connection = loop {
        match connected(socket) {
            Ok(connection) => break connection,
            Err(error) => assert!(start.elapsed() < PATIENCE, "cannot connect: {error}"),
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    send(&connection, &[IoSlice::new(format!("{request}\n").as_bytes())], &[]).expect("room for a line");
    let (mut buffer, mut none) = ([0; 4096], Vec::new());
    assert!(wait(&connection, Readiness::Read, Some(PATIENCE)).expect("poll works"), "no answer to '{request}'");
    let length = receive(&connection, &mut buffer, &mut none).unwrap_or(0);
    let answer = String::from_utf8_lossy(&buffer[..length]).trim_end_matches('\n').to_owned();
    let (pid, rest) = answer.split_once(' ')?;
    let (generation, text) = rest.split_once(' ')?;
    Some(Answer { pid: pid.parse().ok()?, generation: generation.parse().ok()?, text: text.to_owned() })
}

/// Waits until something is so.
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool, context: impl Fn() -> String) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}:\n{}", context());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a process has ended; who only waits to be reaped has.
pub(crate) fn is_gone(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    stat[stat.rfind(')').expect("proc(5)")..].starts_with(") Z")
}

fn supervisor() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_mod_wsgi_supervisor"))
}

fn log(folder: &Path) -> File {
    File::options().create(true).append(true).open(folder.join("log")).expect("a file")
}

fn memory(processes: u32) -> (OwnedFd, SharedWords) {
    let shape = Shape::new(processes, 1);
    let (memory, words) = SharedWords::create(c"counters", shape.words()).expect("memory");
    Counters::format(&words, shape).expect("large enough");
    (memory, words)
}

fn settings(folder: &Path) -> GroupSettings {
    let octets = |path: PathBuf| Octets::from(path.into_os_string().into_encoded_bytes());
    let mut settings = crate::settings::settings();
    settings.interpreter = octets(supervisor().with_file_name("examples").join("fake_worker"));
    settings.host = octets(folder.join("host"));
    settings
}
