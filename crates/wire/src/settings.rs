//! Settings as resolved by mod_wsgi.so, on their way to supervisors, workers and the embedded host.

use crate::counters::Shape;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Octets of a path or name, which need not be UTF-8.
pub type Octets = serde_bytes::ByteBuf;

/// How a changed script is met in daemon mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reload {
    /// The old code serves until the new one is ready.
    Switch,
    /// A request that arrives after the change is never answered by old code; it waits.
    Strict,
}

/// What Python is told at its start, in either mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Python {
    /// `WSGIPythonHome` or `python-home=`: a prefix, a virtual environment, or an executable.
    pub home: Option<Octets>,
    /// Directories for `site.addsitedir`, in order (`WSGIPythonPath`, `python-path=`).
    pub path: Vec<Octets>,
    /// `PYTHON_EGG_CACHE`.
    pub eggs: Option<Octets>,
    /// `WSGIPythonOptimize`: 0, 1 or 2.
    pub optimize: u8,
    /// `WSGIDontWriteBytecode`.
    pub dont_write_bytecode: bool,
    /// `WSGIPythonWarnings`, in order.
    pub warnings: Vec<String>,
    /// `WSGIPythonHashSeed`: `random`, a number, or unset.
    pub hash_seed: Option<String>,
    /// `sys.setswitchinterval`, in seconds.
    pub switch_interval: Option<f64>,
    /// Whether `sys.stdin`, `sys.stdout` and `signal.signal` are taken from the application (`WSGIRestrict*`).
    pub restrict_stdin: bool,
    /// See `restrict_stdin`.
    pub restrict_stdout: bool,
    /// See `restrict_stdin`.
    pub restrict_signal: bool,
    /// Whether each sub-interpreter has a lock of its own (`WSGIPerInterpreterGIL`).
    pub own_gil: bool,
    /// Whether a free-threaded Python runs without its global lock (`WSGIFreeThreading`).
    pub free_threading: bool,
    /// What `<WSGIInterpreterOptions>` says for this process, the more specific later.
    pub blocks: Vec<InterpreterBlock>,
    /// Whether interpreters are ended in order at exit (`WSGIDestroyInterpreter`).
    pub destroy_interpreter: bool,
    /// Whether applications may ask for httpd's own figures (`WSGIServerMetrics`, `server-metrics=`).
    pub server_metrics: bool,
    /// Whether `WSGITelemetryService` is configured: then applications get no figures.
    pub has_telemetry: bool,
    /// What the host itself says to `mod_wsgi`'s users.
    pub server: Server,
}

/// Options of some interpreters of a process; what is unset is as for all others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InterpreterBlock {
    /// The application group for which they are; `None` is any.
    pub application_group: Option<Octets>,
    /// `WSGIPerInterpreterGIL`.
    pub own_gil: Option<bool>,
    /// `WSGISwitchInterval`, in seconds.
    pub switch_interval: Option<f64>,
    /// `WSGIPythonPath`: goes before what is there.
    pub path: Vec<Octets>,
    /// `WSGIRestrictStdin`.
    pub restrict_stdin: Option<bool>,
    /// `WSGIRestrictStdout`.
    pub restrict_stdout: Option<bool>,
    /// `WSGIRestrictSignal`.
    pub restrict_signal: Option<bool>,
}

/// The options of one interpreter, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct InterpreterOptions<'p> {
    /// Whether a sub-interpreter has a lock of its own.
    pub own_gil: bool,
    /// `sys.setswitchinterval`, in seconds.
    pub switch_interval: Option<f64>,
    /// Whether the interval is meant for this application group alone.
    pub interval_is_own: bool,
    /// Directories for `sys.path`, a list per place where they were written; each goes before those that come earlier.
    pub path: Vec<&'p [Octets]>,
    /// Whether `sys.stdin` is taken from the application.
    pub restrict_stdin: bool,
    /// Whether `sys.stdout` is.
    pub restrict_stdout: bool,
    /// Whether `signal.signal` is.
    pub restrict_signal: bool,
}

impl Python {
    /// The options of the interpreter of an application group; the empty name is the main interpreter.
    #[must_use]
    pub fn interpreter(&self, application_group: &[u8]) -> InterpreterOptions<'_> {
        let mut options = InterpreterOptions {
            own_gil: self.own_gil,
            switch_interval: self.switch_interval,
            interval_is_own: false,
            path: vec![&self.path],
            restrict_stdin: self.restrict_stdin,
            restrict_stdout: self.restrict_stdout,
            restrict_signal: self.restrict_signal,
        };
        let matches = |block: &&InterpreterBlock| block.application_group.as_ref().is_none_or(|group| group == application_group);
        for block in self.blocks.iter().filter(matches) {
            options.own_gil = block.own_gil.unwrap_or(options.own_gil);
            if block.switch_interval.is_some() {
                options.switch_interval = block.switch_interval;
                options.interval_is_own = block.application_group.is_some();
            }
            options.path.push(&block.path);
            options.restrict_stdin = block.restrict_stdin.unwrap_or(options.restrict_stdin);
            options.restrict_stdout = block.restrict_stdout.unwrap_or(options.restrict_stdout);
            options.restrict_signal = block.restrict_signal.unwrap_or(options.restrict_signal);
        }
        options.path.retain(|path| !path.is_empty());
        options
    }
}

/// Facts about the server for the `mod_wsgi` and `apache` modules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// httpd's version.
    pub apache_version: (u16, u16, u16),
    /// Such as `Apache/2.4.71 (Debian)`.
    pub description: String,
    /// `event`, `worker`, `prefork`.
    pub mpm_name: String,
    /// When httpd was built, in its own words.
    pub build_date: String,
    /// MPM limits: processes, threads per process.
    pub maximum_processes: u32,
    /// See `maximum_processes`.
    pub threads_per_process: u32,
}

/// A script to load before the first request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// Its path.
    pub script: Octets,
    /// The application group, resolved; empty is the main interpreter.
    pub application_group: Octets,
}

/// Everything about the embedded host of one httpd child.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbeddedSettings {
    /// Python's own settings.
    pub python: Python,
    /// Scripts to load at the start, in order.
    pub imports: Vec<Import>,
    /// The lowest level that the main server's log keeps (`LogLevel wsgi:`), for lines outside a request.
    pub log_level: u8,
}

/// Who the processes of a group are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The user's id; `None` when httpd itself is not root: no id is changed then.
    pub uid: Option<u32>,
    /// The group's id.
    pub gid: Option<u32>,
    /// `supplementary-groups=`; `None` means those of the user (`initgroups`).
    pub groups: Option<Vec<u32>>,
    /// `chroot=`.
    pub chroot: Option<Octets>,
    /// `cpu-priority=`, a nice value; 0 leaves it.
    pub cpu_priority: i32,
}

/// Limits that the kernel enforces (setrlimit(2)); 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// `cpu-time-limit=`, seconds.
    pub cpu_time: u64,
    /// `memory-limit=`, octets (RLIMIT_DATA).
    pub memory: u64,
    /// `virtual-memory-limit=`, octets (RLIMIT_AS).
    pub virtual_memory: u64,
}

/// The timeouts of a group; zero is off unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// `startup-timeout=`: to be ready, and then from the first request on to have loaded a script.
    pub startup: Duration,
    /// `shutdown-timeout=`; zero waits for ever.
    pub shutdown: Duration,
    /// `deadlock-timeout=`.
    pub deadlock: Duration,
    /// `inactivity-timeout=`.
    pub inactivity: Duration,
    /// `request-timeout=`.
    pub request: Duration,
    /// `interrupt-timeout=`.
    pub interrupt: Duration,
    /// `graceful-timeout=`.
    pub graceful: Duration,
    /// `eviction-timeout=`; zero uses `graceful`.
    pub eviction: Duration,
    /// `restart-interval=`.
    pub restart_interval: Duration,
    /// `slow-request=`: when the stack of a request is told.
    pub slow_request: Duration,
    /// Each wait of a worker for httpd: longer than httpd itself waits, for the worker or for a client, so that httpd says which it was.
    pub socket: Duration,
}

/// Everything about one daemon group (`WSGIDaemonProcess`), for its supervisor and its workers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupSettings {
    /// The group's name.
    pub name: String,
    /// Proves that a peer is an httpd child of ours.
    pub secret: [u8; 16],
    /// The uids that may connect to the group's socket besides root: those of the httpd children.
    pub peers: Vec<u32>,
    /// The abstract address (unix(7)) at which each worker takes requests that are for it alone is this, a point and its pid.
    pub direct: Octets,
    /// The abstract address (unix(7)) at which httpd's children tell their scoreboard to who names the secret (`server-metrics=`).
    pub scoreboard: Option<Octets>,
    /// `file:line` of the directive, for messages.
    pub defined_at: String,
    /// Who the processes are.
    pub identity: Identity,
    /// Kernel limits.
    pub limits: Limits,
    /// `processes=`: how many there are at first.
    pub processes: u32,
    /// `min-processes=`: how many there are when nothing is to be done; as many as `processes` where it is not given.
    pub min_processes: u32,
    /// `max-processes=`: how many there may be when requests wait; as many as `processes` where it is not given.
    pub max_processes: u32,
    /// Whether `processes=` was given, which alone makes `wsgi.multiprocess` true.
    pub multiprocess: bool,
    /// `threads=`; 0 is a service script.
    pub threads: u32,
    /// `umask=`.
    pub umask: Option<u32>,
    /// `home=`.
    pub home: Option<Octets>,
    /// `lang=`.
    pub lang: Option<Octets>,
    /// `locale=`.
    pub locale: Option<Octets>,
    /// `display-name=`, expanded.
    pub display_name: Option<Octets>,
    /// `stack-size=` of request threads in octets; 0 is the system's.
    pub stack_size: u64,
    /// `maximum-requests=`; 0 is off.
    pub maximum_requests: u64,
    /// `listen-backlog=`.
    pub listen_backlog: u32,
    /// All timeouts.
    pub timeouts: Timeouts,
    /// How a changed script is met.
    pub reload: Reload,
    /// The interpreter to execute: an absolute path.
    pub interpreter: Octets,
    /// Whether the interpreter is told to keep its lock, or to do without; `None` where it is not free-threaded and has no choice.
    pub keeps_lock: Option<bool>,
    /// Where `mod_wsgi_python.so` is: an absolute path. The host for a free-threaded Python lies beside it.
    pub host: Octets,
    /// Python's own settings.
    pub python: Python,
    /// Scripts to load before a worker is ready, in order; a failure is logged and does not stop it.
    pub imports: Vec<Import>,
    /// Scripts, or directories of scripts, that the configuration before has led to and this one does not: loaded for nobody any more,
    /// unless a request asks for one of them all the same.
    pub unreached: Vec<Octets>,
    /// Whether workers are forked from one that has loaded the scripts (`preload=`).
    pub preload: bool,
    /// Whether some directive names `%{GLOBAL}` for this group: the main interpreter is then kept for it.
    pub uses_global: bool,
    /// `LogLevel wsgi:` of the group's server, for lines outside a request.
    pub log_level: u8,
}

impl GroupSettings {
    /// The shape of the group's counters.
    #[must_use]
    pub fn shape(&self) -> Shape {
        Shape::new(self.processes.max(self.max_processes).max(1), self.threads)
    }

    /// The abstract address of the worker `pid`, for requests that are for it alone.
    #[must_use]
    pub fn direct_address(prefix: &[u8], pid: u32) -> Vec<u8> {
        [prefix, b".", pid.to_string().as_bytes()].concat()
    }
}
