//! A worker as its supervisor sees it: a real python3 with the host built beside this test, its descriptors, its messages, its end.

use crate::httpd::{Httpd, SECRET};
use std::ffi::{CStr, CString};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};
use sys::control::{Channel, ChannelError};
use sys::memory::SharedWords;
use sys::nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use sys::nix::unistd::Pid;
use sys::process::{Bounds, Program, spawn};
use wire::control::{CONTROL_FD, COUNTERS_FD, FromWorker, LISTENER_FD, ToWorker, WorkerSettings};
use wire::counters::{Counters, Shape};
use wire::settings::{GroupSettings, Identity, Import, Limits, Octets, Python, Reload, Server, Timeouts};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The tests need no more than this of a bootstrap; the real one is the supervisor's.
const BOOTSTRAP: &CStr = c"import sys, importlib.machinery as m, importlib.util as u
loader = m.ExtensionFileLoader('mod_wsgi_python', sys.argv[1])
module = u.module_from_spec(u.spec_from_file_location('mod_wsgi_python', sys.argv[1], loader=loader))
sys.exit(module.run())";

/// A worker, its listener and its folder.
pub(crate) struct Worker {
    /// The supervisor's end.
    pub(crate) channel: Channel,
    /// The process.
    pub(crate) pid: Pid,
    /// A folder that the test may fill; removed at the end.
    pub(crate) folder: Folder,
    /// The group's counters.
    pub(crate) words: SharedWords,
    ended: Option<WaitStatus>,
}

/// A folder of this test's own.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// A new one.
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let path = std::env::temp_dir().join(format!("wsgi-worker-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed)));
        std::fs::create_dir_all(&path).expect("created");
        Self(path)
    }

    /// Writes a file in it.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}

/// An import as the supervisor names it.
pub(crate) fn import(script: &Path) -> Import {
    use std::os::unix::ffi::OsStrExt;
    Import { script: script.as_os_str().as_bytes().to_vec().into(), application_group: Vec::new().into() }
}

/// Settings of a small group.
pub(crate) fn settings() -> WorkerSettings {
    let second = Duration::from_secs;
    let timeouts = Timeouts {
        startup: second(0),
        shutdown: second(5),
        deadlock: second(300),
        inactivity: second(0),
        request: second(0),
        interrupt: second(0),
        graceful: second(15),
        eviction: second(0),
        restart_interval: second(0),
        slow_request: second(0),
        socket: second(10),
    };
    let python = Python {
        home: None,
        path: Vec::new(),
        eggs: None,
        optimize: 0,
        dont_write_bytecode: true,
        warnings: Vec::new(),
        hash_seed: None,
        switch_interval: None,
        restrict_stdin: false,
        restrict_stdout: false,
        restrict_signal: true,
        own_gil: false,
        free_threading: false,
        blocks: Vec::new(),
        destroy_interpreter: true,
        server_metrics: true,
        has_telemetry: false,
        server: Server {
            apache_version: (2, 4, 71),
            description: "Apache/2.4.71 (Unix)".to_owned(),
            mpm_name: "event".to_owned(),
            build_date: String::new(),
            maximum_processes: 1,
            threads_per_process: 1,
        },
    };
    let group = GroupSettings {
        name: "tests".to_owned(),
        secret: SECRET,
        peers: vec![sys::nix::unistd::getuid().as_raw()],
        scoreboard: None,
        direct: Octets::from(format!("mod_wsgi-test.{}", std::process::id()).into_bytes()),
        defined_at: "httpd.conf:1".to_owned(),
        identity: Identity { uid: None, gid: None, groups: None, chroot: None, cpu_priority: 0 },
        limits: Limits::default(),
        processes: 1,
        min_processes: 1,
        max_processes: 1,
        multiprocess: false,
        threads: 3,
        umask: None,
        home: None,
        lang: None,
        locale: None,
        display_name: None,
        stack_size: 0,
        maximum_requests: 0,
        listen_backlog: 100,
        timeouts,
        reload: Reload::Switch,
        interpreter: python_path().into_bytes().into(),
        keeps_lock: None,
        host: host_path().into_os_string().into_encoded_bytes().into(),
        python,
        imports: Vec::new(),
        unreached: Vec::new(),
        preload: false,
        uses_global: false,
        log_level: 7,
    };
    WorkerSettings {
        group,
        slot: 2,
        generation: 1,
        preload: Vec::new(),
        preload_must_succeed: false,
        follows: false,
        makes_template: false,
    }
}

/// The interpreter of the tests.
fn python_path() -> String {
    std::env::var("WSGI_TEST_PYTHON").unwrap_or_else(|_| "/usr/bin/python3".to_owned())
}

/// The host, which cargo puts beside the folder of this test's own executable. A test links no cdylib, so cargo does not build it for
/// us: it is asked to, unless `make` has built everything before.
fn host_path() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            if let Some(built) = std::env::var_os("MOD_WSGI_BUILT") {
                return PathBuf::from(built).join("mod_wsgi_python.so");
            }
            if let Some(cargo) = std::env::var_os("CARGO") {
                let profile: &[&str] = if cfg!(debug_assertions) { &[] } else { &["--release"] };
                let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
                let built = Command::new(cargo).args(["build", "--quiet", "--lib", "--manifest-path", manifest]).args(profile).status();
                assert!(built.expect("cargo runs").success());
            }
            let own = std::env::current_exe().expect("the kernel knows");
            own.parent().and_then(Path::parent).expect("target/<profile>/deps/<test>").join("libmod_wsgi_python.so")
        })
        .clone()
}

impl Worker {
    /// Starts a worker and sends it the settings.
    pub(crate) fn start(folder: Folder, settings: &WorkerSettings) -> Self {
        let (channel, theirs) = Channel::pair().expect("a pair");
        let listener = sys::socket::listener(&folder.path("listener"), 100).expect("a listener");
        let shape = Shape::new(1, settings.group.threads);
        let (counters, words) = SharedWords::create(c"counters", shape.words()).expect("memory");
        Counters::format(&words, shape).expect("large enough");
        let log = std::fs::File::create(folder.path("error_log")).expect("created");
        let python = CString::new(python_path()).expect("no NUL");
        let host = CString::new(host_path().into_os_string().into_encoded_bytes()).expect("no NUL");
        let padding = CString::new("x".repeat(64)).expect("no NUL");
        let null = std::fs::File::open("/dev/null").expect("exists");
        let program = Program {
            path: &python,
            arguments: &[python.clone(), c"-c".to_owned(), BOOTSTRAP.to_owned(), host, padding],
            environment: &[c"PATH=/usr/bin:/bin".to_owned(), c"LANG=C.UTF-8".to_owned()],
            descriptors: &[
                (null.as_fd(), 0),
                (log.as_fd(), 1),
                (log.as_fd(), 2),
                (theirs.as_fd(), CONTROL_FD),
                (listener.as_fd(), LISTENER_FD),
                (counters.as_fd(), COUNTERS_FD),
            ],
            bounds: Bounds::default(),
        };
        let pid = spawn(&program).expect("started");
        drop(theirs);
        channel.send(&ToWorker::Configure(Box::new(settings.clone())), &[]).expect("sent");
        Self { channel, pid, folder, words, ended: None }
    }

    /// Starts one with these settings and lets it serve.
    pub(crate) fn serving(folder: Folder, settings: &WorkerSettings) -> Self {
        let worker = Self::start(folder, settings);
        while worker.message() != FromWorker::Ready {}
        worker.send(&ToWorker::Accept);
        worker
    }

    /// Sends it a message.
    pub(crate) fn send(&self, message: &ToWorker) {
        self.channel.send(message, &[]).expect("the worker is there");
    }

    /// Its next message.
    pub(crate) fn message(&self) -> FromWorker {
        match self.channel.wait(Some(PATIENCE)) {
            Ok(Some((message, _))) => message,
            other => panic!("{other:?}; its log: {}", self.log()),
        }
    }

    /// Its messages until it has gone.
    pub(crate) fn last_messages(&self) -> Vec<FromWorker> {
        let mut messages = Vec::new();
        loop {
            match self.channel.wait(Some(PATIENCE)) {
                Ok(Some((message, _))) => messages.push(message),
                Err(ChannelError::Gone) => return messages,
                other => panic!("{other:?}; its log: {}", self.log()),
            }
        }
    }

    /// A connection to it.
    pub(crate) fn connect(&self) -> Httpd {
        Httpd::new(sys::socket::connected(&self.folder.path("listener")).expect("a queue with room"))
    }

    /// What it has written to the error log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path("error_log")).unwrap_or_default()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> WaitStatus {
        let start = Instant::now();
        loop {
            match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)).expect("our child") {
                WaitStatus::StillAlive => assert!(start.elapsed() < PATIENCE, "it does not end; its log: {}", self.log()),
                status => {
                    self.ended = Some(status);
                    return status;
                }
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for its orderly end.
    pub(crate) fn ends_in_order(&mut self) {
        let status = self.wait();
        assert!(matches!(status, WaitStatus::Exited(_, 0)), "{status:?}; its log: {}", self.log());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.ended.is_none() {
            let _may_have_ended = sys::nix::sys::signal::kill(self.pid, sys::nix::sys::signal::Signal::SIGKILL);
            let _reaped = waitpid(self.pid, None);
        }
    }
}
