//! A running httpd, and what is checked when a test is done with it.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::Mode;
use super::client::{Client, Request, Response};
use super::config::Builder;
use super::error_log::{ErrorLog, Expected};
use super::machine;
use super::place::{Folder, wait_until};
use super::processes::{Family, MARK, Process};

/// How long httpd has to end the connections of a test before it is stopped.
const REST: Duration = Duration::from_millis(30);

/// How long a server may take to start: an application is not imported in that time, but machines of CI are slow.
const START: Duration = Duration::from_secs(20);

/// How long it may take to stop. mod_wsgi needs up to 13 seconds when a request is stuck.
const STOP: Duration = Duration::from_secs(25);

/// A server in a folder and on a port of its own.
#[derive(Debug)]
pub(crate) struct Httpd {
    child: Child,
    family: Family,
    port: u16,
    log: ErrorLog,
    expected: Expected,
    is_stopped: bool,
    /// Whether the parent was killed, so that nobody told its children to end.
    is_orphaned: bool,
    folder: Folder,
}

impl Httpd {
    /// Describes a server for applications in one mode.
    #[expect(clippy::new_ret_no_self, reason = "a server has to be described before it can be started")]
    pub(crate) fn new(mode: Mode) -> Builder {
        Builder::new(Some(mode))
    }

    /// Describes a server that a test configures itself.
    pub(crate) fn bare() -> Builder {
        Builder::new(None)
    }

    pub(super) fn start(builder: Builder, config: &Path) -> Self {
        let root = builder.folder.path().to_owned();
        let console = root.join("console.log");
        let output = File::create(&console).expect("the folder is ours");
        let errors = output.try_clone().expect("descriptors are not scarce");
        let mark = format!("{}", root.display());
        let child = Command::new(machine::httpd())
            .args(["-DFOREGROUND", "-f"])
            .arg(config)
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .env(MARK, &mark)
            .envs(builder.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .expect("httpd can be run");
        let pid = i32::try_from(child.id()).expect("a process number is small");
        let mut httpd = Self {
            child,
            family: Family::of(pid, &mark),
            port: builder.port,
            log: ErrorLog::at(&root.join("error.log")),
            expected: builder.expected,
            is_stopped: false,
            is_orphaned: false,
            folder: builder.folder,
        };
        httpd.wait_for_start(&console);
        httpd
    }

    fn wait_for_start(&mut self, console: &Path) {
        let pid_file = self.root().join("run/httpd.pid");
        let (port, log) = (self.port, self.log.clone());
        let is_running = || pid_file.exists() && log.text().contains("resuming normal operations") && Client::try_connect(port).is_ok();
        let mut ended = None;
        let started = wait_until(START, || {
            ended = self.child.try_wait().expect("our own child");
            (ended.is_some() || is_running()).then_some(())
        });
        if let (Some(()), None) = (started, ended) {
            self.family.running();
            return;
        }
        self.is_stopped = ended.is_some();
        let said = std::fs::read_to_string(console).unwrap_or_default();
        panic!("httpd did not start ({ended:?}): {said}\n{}", self.log.tail());
    }

    /// The folder of this server.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Its folder, for writing into it.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its error log.
    pub(crate) fn log(&self) -> &ErrorLog {
        &self.log
    }

    /// Another log in its folder, such as that of a virtual host.
    pub(crate) fn other_log(&self, name: &str) -> ErrorLog {
        ErrorLog::at(&self.root().join(name))
    }

    /// A connection to it.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.port)
    }

    /// Asks for a path on a connection of its own.
    pub(crate) fn get(&self, target: &str) -> Response {
        self.ask(&Request::get(target))
    }

    /// Sends a request on a connection of its own.
    pub(crate) fn ask(&self, request: &Request) -> Response {
        let mut client = self.connect();
        client
            .try_ask(&request.clone().header("Connection", "close"))
            .unwrap_or_else(|error| panic!("no answer to {request:?}: {error}\n{}", self.log.tail()))
    }

    /// Declares, while it runs, a serious line that the log may hold.
    pub(crate) fn allow_log(&mut self, text: &str) {
        self.expected.allowed.push(text.to_owned());
    }

    /// The parent process.
    pub(crate) fn parent(&self) -> Process {
        let pid = i32::try_from(self.child.id()).expect("a process number is small");
        Process::find(pid).expect("httpd is our child and has not been reaped")
    }

    /// All processes that it has started, and itself.
    pub(crate) fn processes(&self) -> Vec<Process> {
        self.family.running()
    }

    /// The daemon processes that `ps` shows under the name of their group.
    pub(crate) fn workers(&self, group: &str) -> Vec<Process> {
        let name = format!("(wsgi:{group}");
        // mod_wsgi cuts a name that is longer than httpd's own path, and with it the parenthesis.
        let is_named = |process: &Process| process.command.strip_prefix(&name).is_some_and(|rest| rest.starts_with([')', ' ']));
        self.processes().into_iter().filter(is_named).collect()
    }

    /// `apachectl restart`: all children end at once.
    pub(crate) fn restart(&self) {
        let said = self.log.lines_with("resuming normal operations").len();
        self.parent().signal(Signal::SIGHUP);
        self.log.wait_for_count("resuming normal operations", said + 1);
    }

    /// `apachectl graceful`: a new generation of children, without losing a request.
    pub(crate) fn graceful(&self) {
        let said = self.log.lines_with("resuming normal operations").len();
        self.parent().signal(Signal::SIGUSR1);
        self.log.wait_for_count("resuming normal operations", said + 1);
    }

    /// Kills the parent as the kernel does when memory runs out: nobody gets a chance to clean up.
    pub(crate) fn kill_parent(&mut self) {
        self.family.running();
        self.parent().signal(Signal::SIGKILL);
        self.child.wait().expect("our own child");
        self.is_stopped = true;
        self.is_orphaned = true;
    }

    /// Stops it as `apachectl stop` does.
    pub(crate) fn stop(&mut self) {
        self.family.running();
        // The event MPM looks at the sockets of its threads as it stops, one of which may just be ending its connection and free the socket
        // under it (close_worker_sockets): a segmentation fault of httpd's own, seen about once in a thousand stops.
        std::thread::sleep(REST);
        self.parent().signal(Signal::SIGTERM);
        let ended = wait_until(STOP, || self.child.try_wait().expect("our own child"));
        self.is_stopped = ended.is_some();
        assert!(self.is_stopped, "httpd does not stop within {STOP:?}: {:#?}\n{}", self.family.running(), self.log.tail());
    }

    /// Stops the server and says what is wrong with what it leaves.
    fn complaints(&mut self) -> Vec<String> {
        let mut complaints = Vec::new();
        if !self.is_stopped {
            // httpd looks after its children once a second, and may let others end meanwhile.
            let mut zombies = self.family.zombies();
            wait_until(Duration::from_secs(3), || {
                let now = self.family.zombies();
                zombies.retain(|zombie| now.iter().any(|other| other.pid == zombie.pid));
                zombies.is_empty().then_some(())
            });
            complaints.extend(zombies.into_iter().map(|zombie| format!("zombie: {zombie:?}")));
            self.stop();
        }
        let gone = self.is_orphaned || wait_until(Duration::from_secs(3), || self.family.running().is_empty().then_some(())).is_some();
        if !gone {
            complaints.extend(self.family.running().into_iter().map(|process| format!("left running: {process:?}")));
        }
        complaints.extend(self.log.complaints(&self.expected));
        complaints
    }

    fn leftover_files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.root().join("run")).into_iter().flatten().flatten();
        entries.map(|entry| format!("left in the run directory: {}", entry.path().display())).collect()
    }

    /// Ends whatever still runs, by the numbers that are known to be ours.
    fn kill_all(&mut self) {
        for process in self.family.running() {
            // One that has ended in between is what we want.
            let _gone = nix::sys::signal::kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
        drop(self.child.wait());
    }
}

impl Drop for Httpd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log.tail());
            self.kill_all();
            return;
        }
        let mut complaints = self.complaints();
        if !self.is_orphaned {
            complaints.extend(self.leftover_files());
        }
        self.kill_all();
        assert!(complaints.is_empty(), "{}\n{}", complaints.join("\n"), self.log.tail());
    }
}
