//! Daemon groups in httpd's parent: a listening socket each, a supervisor each, both kept over restarts; and what children know of them.
//!
//! The statics outlive a configuration (the module is never unloaded): the listening socket is the group's queue, which must not end
//! with a generation of httpd.

use super::body::Spares;
use super::connections::Connections;
use super::root::below;
use super::scoreboard;
use crate::apache::pool::Pool;
use crate::apache::server::{self, Server};
use crate::apache::{child, log};
use crate::config::directives::ServerKey;
use crate::config::group::Group;
use crate::config::options::Global;
use crate::config::settings::group::{FrontSettings, GroupFacts};
use crate::embedded::{interpreter_of, is_free_threaded};
use crate::server::{beside_us, facts};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeSet;
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use sys::control::Channel;
use sys::memory::SharedWords;
use sys::nix;
use sys::process::{Bounds, Program, spawn};
use wire::codes;
use wire::control::{CONTROL_FD, LISTENER_FD, ToSupervisor};
use wire::counters::Counters;
use wire::settings::GroupSettings;

/// A group as requests see it.
pub(super) struct Served {
    /// Its name.
    pub(super) name: String,
    /// Where its socket is.
    pub(super) socket: PathBuf,
    /// Proves that we are a child of the right httpd.
    pub(super) secret: [u8; 16],
    /// The servers that define it, as a virtual host's requests may use only some groups.
    group: Group,
    /// What its workers and supervisor say of themselves.
    pub(super) counters: SharedWords,
    /// Connections to single workers.
    pub(super) connections: Connections,
    /// Memory for request bodies.
    pub(super) spares: Spares,
    /// What of its options concerns httpd's side.
    pub(super) front: FrontSettings,
    /// `queue-timeout=`.
    pub(super) queue_timeout: Option<Duration>,
    /// Whether it runs a service script.
    pub(super) is_service: bool,
    /// How many requests its queue holds.
    pub(super) backlog: u32,
    /// `queue-limit=`: whether a full queue is an answer.
    pub(super) refuses_when_full: bool,
    /// `body-spool-limit=`, in octets.
    pub(super) body_spool_limit: u64,
    /// `response-spool-limit=`, in octets.
    pub(super) response_spool_limit: u64,
}

/// A group's processes as the parent keeps them.
struct Running {
    name: String,
    socket: PathBuf,
    direct: Vec<u8>,
    secret: [u8; 16],
    listener: OwnedFd,
    backlog: u32,
    supervisor: Option<Supervisor>,
    last: Option<Configuration>,
    /// The scripts, and directories of scripts, that the configuration leads to by name.
    reached: BTreeSet<Vec<u8>>,
}

struct Supervisor {
    pid: Pid,
    channel: Channel,
}

/// What a supervisor was told last, to be told again to its successor.
struct Configuration {
    settings: GroupSettings,
    log: OwnedFd,
    counters: OwnedFd,
}

/// In the parent: the groups that run. In a child: empty.
static RUNNING: Mutex<Vec<Running>> = Mutex::new(Vec::new());

/// In the parent: groups that are not configured any more, whose supervisors serve what httpd's old children still ask, and then end.
static RETIRED: Mutex<Vec<Running>> = Mutex::new(Vec::new());

/// The groups of this generation.
static SERVED: RwLock<Vec<Arc<Served>>> = RwLock::new(Vec::new());

/// Those of this generation that could not be started, by name.
static NOT_STARTED: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// The group of a name, if a request of `server` may use it.
pub(super) fn find(name: &[u8], server: Server<'_>) -> Result<Arc<Served>, Unusable> {
    let served = SERVED.read();
    if NOT_STARTED.read().iter().any(|group| group.as_bytes() == name) {
        return Err(Unusable::NotStarted);
    }
    if served.is_empty() {
        return Err(Unusable::None);
    }
    let found = served.iter().find(|group| group.name.as_bytes() == name).ok_or(Unusable::Unknown)?;
    let name_of = |key: ServerKey| {
        let server = Server::main()?.all().find(|server| server.key() == key)?;
        server.name().map(|name| String::from_utf8_lossy(name).to_ascii_lowercase())
    };
    if found.group.is_accessible_from(server.key(), name_of) { Ok(found.clone()) } else { Err(Unusable::ElsewhereDefined) }
}

/// Why a group cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// There are no groups at all.
    None,
    /// It could not be started when httpd was.
    NotStarted,
    /// There is none of this name.
    Unknown,
    /// It belongs to another virtual host.
    ElsewhereDefined,
}

/// Why a group has no processes.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("its socket '{0}' cannot be made: {why}", why = .1.desc())]
    Socket(String, nix::Error),
    #[error("its counters cannot be made: {0}")]
    Counters(#[from] sys::memory::MemoryError),
    #[error("its error log cannot be handed over: {0}")]
    Log(std::io::Error),
    #[error("its supervisor cannot be started: {0}")]
    Supervisor(#[from] sys::process::SpawnError),
    #[error("its supervisor cannot be told what to do: {0}")]
    Channel(#[from] sys::control::ChannelError),
    #[error("no socket pair for its supervisor: {why}", why = .0.desc())]
    Pair(nix::Error),
    #[error("no random secret: {0}")]
    Secret(std::io::Error),
}

/// Starts each group's supervisor, or tells the one that runs of its new settings. A group that fails does not keep httpd from starting,
/// nor the groups after it.
pub(crate) fn start_groups(pool: Pool<'_>, main: Server<'_>, global: &Global) {
    let mut running = RUNNING.lock();
    if running.is_empty() {
        stop_with_the_process(main);
    }
    warn_of_another_module(main);
    ask_for_news(pool);
    retire(&mut running, &global.groups);
    let (mut served, mut not_started) = (Vec::new(), Vec::new());
    for group in &global.groups {
        let defined_in = main.all().find(|server| group.servers.contains(&server.key())).unwrap_or(main);
        match start_group(&mut running, pool, main, global, group, defined_in) {
            Ok(group) => served.push(Arc::new(group)),
            Err(error) => {
                let what = format!("the daemon group '{}' of {} has no processes: {error}", group.name, group.place);
                log::server(main, codes::GROUP_START.level, &codes::GROUP_START.line(what));
                not_started.push(group.name.clone());
            }
        }
    }
    for running in running.iter().chain(RETIRED.lock().iter()) {
        if let Some(supervisor) = &running.supervisor {
            child::watch(pool, supervisor.pid.as_raw(), supervisor_ended);
        }
    }
    *SERVED.write() = served;
    *NOT_STARTED.write() = not_started;
}

/// When httpd drops this configuration, supervisors wait to hear of the next one: should it do without this module, nobody of ours
/// would be there to tell them.
fn ask_for_news(configuration: Pool<'_>) {
    let parent = std::process::id();
    configuration.at_end(move || {
        if std::process::id() == parent {
            RUNNING.lock().iter().for_each(|group| tell(group, &ToSupervisor::Await));
        }
    });
}

/// Says that the file of the module is another one than that which httpd has loaded.
fn warn_of_another_module(main: Server<'_>) {
    use std::os::unix::fs::MetadataExt;
    static LOADED: OnceLock<Option<(u64, u64, i64)>> = OnceLock::new();
    let Some(file) = sys::process::file_of_this_library() else { return };
    let now = std::fs::metadata(&file).ok().map(|file| (file.dev(), file.ino(), file.mtime()));
    if *LOADED.get_or_init(|| now) != now {
        let what = format!("httpd runs another '{}' than the one that is there now", file.display());
        log::server(main, codes::MODULE_REPLACED.level, &codes::MODULE_REPLACED.line(what));
    }
}

/// In a child: the parent's ends of the groups are not for it.
pub(crate) fn start_child(pool: Pool<'_>, main: Server<'_>) {
    let may_ask: Vec<[u8; 16]> = SERVED.read().iter().filter(|group| group.front.server_metrics).map(|group| group.secret).collect();
    if !may_ask.is_empty()
        && let Err(error) = scoreboard::start_child(pool, move |secret| may_ask.contains(secret))
    {
        log::server(main, codes::NO_SCOREBOARD.level, &codes::NO_SCOREBOARD.line(error));
    }
    let mut running = RUNNING.lock();
    // Closing a channel here does not end the supervisor: the parent's end stays open.
    running.clear();
    RETIRED.lock().clear();
}

/// Numbers groups, so that an address is one group's as long as the parent lives.
fn next_number() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// Retires the groups that the new configuration does not define. Children of the generation before may still ask them, so socket and
/// supervisor stay until the supervisor says, by its end, that nobody does.
fn retire(running: &mut Vec<Running>, groups: &[Group]) {
    let (kept, old): (Vec<_>, Vec<_>) = running.drain(..).partition(|old| groups.iter().any(|group| group.name == old.name));
    *running = kept;
    for old in old {
        tell(&old, &ToSupervisor::Retire);
        if old.supervisor.is_some() {
            RETIRED.lock().push(old);
        } else {
            old.remove_socket();
        }
    }
}

fn tell(group: &Running, message: &ToSupervisor) {
    if let Some(supervisor) = &group.supervisor {
        // If it does not listen any more, it has ended, or will when its channel does.
        let _ = supervisor.channel.send(message, &[]);
    }
}

impl Running {
    fn remove_socket(&self) {
        let _gone_already = nix::unistd::unlink(&self.socket);
    }
}

fn start_group(
    running: &mut Vec<Running>,
    pool: Pool<'_>,
    main: Server<'_>,
    global: &Global,
    group: &Group,
    server: Server<'_>,
) -> Result<Served, StartError> {
    let backlog = group.options.queue_limit.or(group.options.listen_backlog).unwrap_or(100);
    let index = match running.iter().position(|old| old.name == group.name) {
        Some(index) => index,
        None => {
            let number = next_number();
            let (socket, listener) = listen(pool, global, number, group, backlog)?;
            let direct = format!("mod_wsgi.{}.{number}", std::process::id()).into_bytes();
            let secret = secret().map_err(StartError::Secret)?;
            let name = group.name.clone();
            let (supervisor, last, reached) = (None, None, BTreeSet::new());
            running.push(Running { name, socket, direct, secret, listener, backlog, supervisor, last, reached });
            running.len() - 1
        }
    };
    let kept = &mut running[index];
    if kept.backlog != backlog {
        sys::socket::set_backlog(&kept.listener, backlog);
        kept.backlog = backlog;
    }
    let reached = reached(main, global, group);
    let unreached = kept.reached.difference(&reached).scan(0, |length, path| {
        // What is too much for a message stays loaded.
        *length += path.len();
        (*length < UNREACHED_LIMIT).then(|| path.clone())
    });
    let settings = settings(main, global, group, server, kept, unreached.collect());
    kept.reached = reached;
    if kept.last.as_ref().is_some_and(|last| last.settings.identity != settings.identity) {
        // Only root can take on another identity, and the supervisor has given that up: a new one is needed, on the same socket.
        tell(kept, &ToSupervisor::Stop);
        kept.supervisor = None;
    }
    let shape = settings.shape();
    let (memory, counters) = SharedWords::create(c"mod_wsgi counters", shape.words())?;
    let _shape_fits = Counters::format(&counters, shape);
    let log = server.error_log().map_err(StartError::Log)?;
    let (uid, threads) = (settings.identity.uid, settings.threads);
    kept.last = Some(Configuration { settings, log, counters: memory });
    configure(kept)?;
    let front = group.front(server.timeout());
    Ok(Served {
        name: group.name.clone(),
        socket: kept.socket.clone(),
        secret: kept.secret,
        group: group.clone(),
        connections: Connections::new(kept.direct.clone(), uid, threads),
        spares: Spares::default(),
        counters,
        queue_timeout: Some(front.queue_timeout).filter(|timeout| !timeout.is_zero()),
        front,
        is_service: threads == 0,
        backlog,
        refuses_when_full: group.options.queue_limit.is_some(),
        body_spool_limit: group.options.body_spool_limit.unwrap_or(SPOOL_LIMIT),
        response_spool_limit: group.options.response_spool_limit.unwrap_or(SPOOL_LIMIT),
    })
}

/// How much of a message the scripts may take that nothing leads to any more.
const UNREACHED_LIMIT: usize = 32 << 10;

/// The scripts that aliases and imports name and the directories in which handlers find them, as the processes of the group see them.
fn reached(main: Server<'_>, global: &Global, group: &Group) -> BTreeSet<Vec<u8>> {
    let inside = |path| group.options.chroot.as_deref().and_then(|root| below(root, path)).unwrap_or(path).to_vec();
    let aliases = main.all().flat_map(|server| server.options().aliases.iter().map(|alias| inside(alias.fixed())));
    let documents = main.all().filter_map(|server| Some(inside(server.document_root()?)));
    let imports = group.imports(global).into_iter().map(|import| import.script.to_vec());
    aliases.chain(documents).chain(imports).collect()
}

/// `body-spool-limit=` and `response-spool-limit=` where they are not given: 1 GiB.
const SPOOL_LIMIT: u64 = 1 << 30;

/// Tells the supervisor its settings; starts one if none runs.
fn configure(group: &mut Running) -> Result<(), StartError> {
    let Some(last) = &group.last else { return Ok(()) };
    let message = ToSupervisor::Configure(Box::new(last.settings.clone()));
    let beside = [last.log.as_fd(), last.counters.as_fd()];
    if let Some(supervisor) = &group.supervisor {
        if supervisor.channel.send(&message, &beside).is_ok() {
            return Ok(());
        }
        // It has died, and httpd has not reaped it yet.
        group.supervisor = None;
    }
    let supervisor = start_supervisor(group)?;
    supervisor.channel.send(&message, &beside)?;
    group.supervisor = Some(supervisor);
    Ok(())
}

fn start_supervisor(group: &Running) -> Result<Supervisor, StartError> {
    let path = beside_us("mod_wsgi_supervisor");
    let (channel, theirs) = Channel::pair().map_err(StartError::Pair)?;
    let path = CString::new(path.into_os_string().into_vec()).unwrap_or_default();
    let name = CString::new(group.name.clone()).unwrap_or_default();
    let environment: Vec<CString> =
        std::env::vars_os().filter_map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()).collect();
    let pid = spawn(&Program {
        path: &path,
        arguments: &[path.clone(), name],
        environment: &environment,
        descriptors: &[(theirs.as_fd(), CONTROL_FD), (group.listener.as_fd(), LISTENER_FD)],
        bounds: Bounds::default(),
    })?;
    Ok(Supervisor { pid, channel })
}

/// httpd's parent has reaped a supervisor: its group gets another.
fn supervisor_ended(pid: i32, how: i32) {
    let mut running = RUNNING.lock();
    RETIRED.lock().retain(|group| {
        let has_ended = group.supervisor.as_ref().is_some_and(|supervisor| supervisor.pid.as_raw() == pid);
        if has_ended {
            group.remove_socket();
        }
        !has_ended
    });
    let mine = |group: &&mut Running| group.supervisor.as_ref().is_some_and(|supervisor| supervisor.pid.as_raw() == pid);
    let Some(group) = running.iter_mut().find(mine) else { return };
    group.supervisor = None;
    if child::is_stopping() {
        return;
    }
    let what = format!("the supervisor (pid {pid}) of the daemon group '{}' {}", group.name, describe(how));
    log::main_server(codes::SUPERVISOR_DIED.level, &codes::SUPERVISOR_DIED.line(what));
    if let Err(error) = configure(group) {
        let what = format!("the daemon group '{}' has no processes: {error}", group.name);
        log::main_server(codes::GROUP_START.level, &codes::GROUP_START.line(what));
    } else if let (Some(supervisor), Some(main)) = (&group.supervisor, Server::main()) {
        child::watch(main.configuration_pool(), supervisor.pid.as_raw(), supervisor_ended);
    }
}

/// How a supervisor has ended. httpd gives the number of a signal as it gives a status; ours has these only, and dies of none of the
/// signals with their numbers.
fn describe(how: i32) -> String {
    const PANIC: i32 = 101;
    match how {
        0 | 1 | PANIC => format!("has exited with status {how}"),
        signal => format!("was ended by {}", sys::process::signal_name(signal)),
    }
}

/// When the parent exits, supervisors are told to stop, and waited for.
fn stop_with_the_process(main: Server<'_>) {
    let parent = std::process::id();
    main.process_pool().at_end(move || {
        // Children run the same cleanups at their exit.
        if std::process::id() != parent {
            return;
        }
        let mut groups = std::mem::take(&mut *RUNNING.lock());
        groups.append(&mut RETIRED.lock());
        let longest = groups.iter().filter_map(|group| group.last.as_ref()).map(|last| last.settings.timeouts.shutdown).max();
        groups.iter().for_each(|group| tell(group, &ToSupervisor::Stop));
        // The supervisor keeps to shutdown-timeout itself; a second more is for itself.
        let deadline = Instant::now() + longest.unwrap_or_default().min(Duration::from_secs(60)) + Duration::from_secs(1);
        for group in &groups {
            group.remove_socket();
            if let Some(supervisor) = &group.supervisor {
                wait_for(supervisor.pid, deadline);
            }
        }
    });
}

fn wait_for(pid: Pid, deadline: Instant) {
    if let Ok(ended) = sys::process::pidfd(pid) {
        let left = deadline.saturating_duration_since(Instant::now());
        if !sys::socket::wait(&ended, sys::socket::Readiness::Read, Some(left)).unwrap_or(true) {
            let _gone_already = nix::sys::signal::kill(pid, Signal::SIGKILL);
        }
        // Nobody else may be there to do it: in a container, pid 1 is not always an init.
        let _reaped = nix::sys::wait::waitpid(pid, None);
    }
}

fn secret() -> std::io::Result<[u8; 16]> {
    use std::io::Read as _;
    let mut secret = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut secret)?;
    Ok(secret)
}

/// The group's socket: `<prefix>.<pid>.<number>.sock`, for httpd's children only.
fn listen(pool: Pool<'_>, global: &Global, number: u32, group: &Group, backlog: u32) -> Result<(PathBuf, OwnedFd), StartError> {
    let prefix = global.socket_prefix.clone().or_else(|| server::runtime_path(pool, c"wsgi")).unwrap_or_else(|| b"/tmp/wsgi".to_vec());
    let prefix = PathBuf::from(OsStr::from_bytes(&prefix));
    remove_stale(&prefix);
    let mut path = prefix.into_os_string();
    path.push(format!(".{}.{number}.sock", std::process::id()));
    let path = PathBuf::from(path);
    let failed = |error| StartError::Socket(path.display().to_string(), error);
    if let Some(folder) = path.parent() {
        // It may be in a file system that is empty after each boot. If it cannot be made, the socket cannot either, which is said.
        let _there_already = std::fs::create_dir_all(folder);
    }
    let listener = sys::socket::listener(&path, backlog).map_err(failed)?;
    if let Some((uid, _)) = child::identity() {
        let owner = group.options.socket_user.as_ref().map_or(uid, |user| user.number);
        nix::unistd::chown(&path, Some(owner.into()), None).map_err(failed)?;
    }
    Ok((path, listener))
}

/// Removes sockets that an httpd has left which was killed: their names hold its pid.
fn remove_stale(prefix: &Path) {
    let (Some(folder), Some(base)) = (prefix.parent(), prefix.file_name().and_then(OsStr::to_str)) else { return };
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(base)?.strip_prefix('.')?.strip_suffix(".sock")?.split_once('.'));
        let is_gone = |pid: i32| nix::sys::signal::kill(Pid::from_raw(pid), None) == Err(nix::errno::Errno::ESRCH);
        if pid.and_then(|(pid, _)| pid.parse().ok()).is_some_and(is_gone) {
            let _gone_already = nix::unistd::unlink(&entry.path());
        }
    }
}

/// Where the applications of a group may ask for the scoreboard, if they may.
fn scoreboard_address(main: Server<'_>, group: &Group) -> Option<Vec<u8>> {
    if !group.options.server_metrics.unwrap_or(false) {
        return None;
    }
    let address = scoreboard::listen();
    if let Err(error) = &address {
        let what = format!("server-metrics= of the daemon group '{}' has no effect: {error}", group.name);
        log::server(main, codes::NO_SCOREBOARD.level, &codes::NO_SCOREBOARD.line(what));
    }
    address.ok()
}

/// What the group's processes are told.
fn settings(
    main: Server<'_>,
    global: &Global,
    group: &Group,
    server: Server<'_>,
    kept: &Running,
    unreached: Vec<Vec<u8>>,
) -> GroupSettings {
    let home = group.python_home(global).map(|home| PathBuf::from(OsStr::from_bytes(home)));
    let interpreter = interpreter_of(home.as_deref());
    let ours = child::identity();
    group.settings(
        global,
        GroupFacts {
            secret: kept.secret,
            direct: kept.direct.clone(),
            scoreboard: scoreboard_address(main, group),
            peers: vec![ours.map_or_else(|| nix::unistd::geteuid().as_raw(), |(uid, _)| uid)],
            may_do_without_lock: is_free_threaded(&interpreter),
            interpreter: interpreter.into_os_string().into_vec(),
            host: beside_us("mod_wsgi_python.so").into_os_string().into_vec(),
            unreached,
            server: facts(),
            log_level: server.log_level(),
            user_and_group: ours,
            timeout: main.timeout(),
        },
    )
}
