//! A worker: the process of a daemon group in which the application runs.
//!
//! The supervisor has executed Python, whose bootstrap has imported us; from here on this file is read from top to bottom: what a worker
//! does until it is ready, while it serves ([`control`] on the main thread, [`pool`] on the others), and until it ends. It knows frames
//! and control messages, neither httpd nor how the application is called.

mod connection;
mod control;
mod direct;
mod exchange;
mod incoming;
#[expect(unsafe_code, reason = "descriptors that are open at known numbers")]
mod inherited;
mod life;
mod log;
mod memory;
mod offer;
mod pool;
mod request;
mod scoreboard;
mod service;
mod subscribers;
mod template;
#[cfg(test)]
mod tests;
mod timers;
mod watch;

use crate::host::{Ending, Host, HostError, HostSettings, LoadError, LogSink, Mode, ReloadPolicy};
use crate::module::metrics::Meter;
use crate::python::Attached;
use inherited::Inherited;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::Duration;
use sys::control::{Channel, ChannelError};
use sys::memory::{MemoryError, SharedWords};
use sys::nix::errno::Errno;
use wire::codes;
use wire::control::{FromWorker, StopReason, ToWorker, WorkerSettings};
use wire::head::RequestHead;
use wire::log::Level;
use wire::settings::{GroupSettings, Import, Reload};

/// How long the supervisor may take to send the settings.
const SETTINGS_TIME: Duration = Duration::from_secs(30);

/// How long threads of the application's own may keep an interpreter from ending where nothing else bounds the end.
const OWN_THREADS: Duration = Duration::from_secs(5);

/// The longest wait on a connection where httpd's `Timeout` is none.
const SOCKET_TIME: Duration = Duration::from_secs(300);

/// The exit status of a worker that has ended in order.
const DONE: i32 = 0;

/// The exit status of one that could not become ready.
const NOT_READY: i32 = 1;

/// The exit status of one that did not end in time.
const OUT_OF_TIME: i32 = 255;

/// Why a worker cannot become ready.
#[derive(Debug, thiserror::Error)]
enum StartError {
    /// Nobody has started us as a worker.
    #[error("this process was not started by mod_wsgi_supervisor")]
    NoDescriptors,
    /// The supervisor does not say who we are.
    #[error("the supervisor has sent no settings")]
    NoSettings,
    /// The way to the supervisor is broken.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The counters cannot be used.
    #[error(transparent)]
    Counters(#[from] MemoryError),
    /// Python cannot be used.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A script that served before does no longer load.
    #[error("script '{0}' could not be loaded, as the log says")]
    Preload(String),
    /// The kernel said no.
    #[error("{0}: {1}")]
    Os(&'static str, Errno),
    /// A request thread could not be started.
    #[error("cannot start request thread: {0}")]
    Thread(std::io::Error),
}

/// Is a worker until it has ended in order; then Python is to end, and the process with this exit status. A worker that fails does not
/// return.
pub(crate) fn run(py: Attached<'_>) -> i32 {
    let (channel, inherited) = match begin() {
        Ok(begun) => begun,
        Err(error) => {
            log::coded(&codes::WORKER, &error);
            sys::process::exit_now(NOT_READY);
        }
    };
    let told = settings(&channel).and_then(|settings| work(py, &channel, inherited, settings));
    match told {
        Ok(()) => DONE,
        Err(error) => give_up(&channel, &error),
    }
}

/// Takes over what the supervisor has left open.
fn begin() -> Result<(Arc<Channel>, (std::os::fd::OwnedFd, std::os::fd::OwnedFd)), StartError> {
    let Inherited { control, listener, counters } = inherited::take().ok_or(StartError::NoDescriptors)?;
    // What the application starts inherits neither the listener nor the way to the supervisor.
    sys::process::close_on_exec_from(3);
    // Nor does what it forks: these must not live on in a process that knows nothing of them.
    sys::forks::notice();
    for descriptor in [&control, &listener, &counters] {
        sys::forks::keep(descriptor);
    }
    Ok((Arc::new(Channel::new(control)), (listener, counters)))
}

fn settings(channel: &Channel) -> Result<Box<WorkerSettings>, StartError> {
    match channel.wait(Some(SETTINGS_TIME))? {
        Some((ToWorker::Configure(settings), _)) => Ok(settings),
        _ => Err(StartError::NoSettings),
    }
}

/// Everything from the settings to the end.
fn work(
    py: Attached<'_>,
    channel: &Arc<Channel>,
    (listener, counters): (std::os::fd::OwnedFd, std::os::fd::OwnedFd),
    settings: Box<WorkerSettings>,
) -> Result<(), StartError> {
    let group = &settings.group;
    log::set_level(group.log_level);
    // exec has made us dumpable again, and the secret is in our memory.
    sys::process::set_not_dumpable();
    if !settings.group.preload {
        // Otherwise copies have the heap of what has loaded the scripts: what their threads took of that would be a page of their own each time.
        sys::memory::share_heaps(std::thread::available_parallelism().map_or(1, usize::from));
    }
    be_named(group);
    become_local(group);
    let signs = Arc::new(watch::Signs::new(&group.timeouts));
    let host = Host::start_in_process(py, host_settings(group, channel, &signs))?;
    // Whichever thread imports it first is the main thread for it, whose end it takes for that of Python.
    let _imported_again_by_whom_it_concerns = py.import(c"threading");
    // Python is left for good: whoever loads or serves enters it for as long as it takes.
    if group.threads == 0 {
        let ending = host.release_gil(py, || service::run(host, channel, group))?;
        return leave(py, host, group, ending);
    }
    let settings = if settings.makes_template { template::preload(py, host, channel, settings)? } else { settings };
    let ending = host.release_gil(py, || serve(host, channel, (listener, &counters), &settings, signs))?;
    leave(py, host, &settings.group, ending)
}

/// Leaves Python to its end.
fn leave(py: Attached<'_>, host: &'static Host, group: &GroupSettings, ending: Ending) -> Result<(), StartError> {
    log::write(Level::Info, &format!("Exiting daemon process '{}'.", group.name));
    if !group.python.destroy_interpreter {
        sys::process::exit_now(DONE);
    }
    if ending == Ending::ThreadsRemain {
        // Threads of the application's own are inside, and would lose the ground under them.
        host.release_gil(py, || host.stop_python(ending, Duration::ZERO));
        sys::process::exit_now(DONE);
    }
    Ok(())
}

/// Serves requests until the worker is to end, and ends the applications. The calling thread is in no interpreter.
fn serve(
    host: &'static Host,
    channel: &Arc<Channel>,
    (listener, counters): (std::os::fd::OwnedFd, &std::os::fd::OwnedFd),
    settings: &WorkerSettings,
    signs: Arc<watch::Signs>,
) -> Result<Ending, StartError> {
    let group = &settings.group;
    let counters = SharedWords::map(counters)?;
    let os = |what| move |error| StartError::Os(what, error);
    let news = sys::nix::sys::eventfd::EventFd::from_flags(
        sys::nix::sys::eventfd::EfdFlags::EFD_CLOEXEC | sys::nix::sys::eventfd::EfdFlags::EFD_NONBLOCK,
    )
    .map_err(os("cannot make an event descriptor"))?;
    let service = request::Service {
        serve: Box::new(|thread, head, exchange| host.serve(thread, head, exchange)),
        outdated: (group.reload == Reload::Strict).then(|| Box::new(|head: &RequestHead<'_>| host.is_outdated(head)) as _),
        leaving: request::Leaving::default(),
        leave: crate::python::release_this_thread,
        secret: group.secret,
        peers: group.peers.clone(),
        timeout: Some(group.timeouts.socket).filter(|timeout| !timeout.is_zero()).unwrap_or(SOCKET_TIME),
        counters: Some((counters, settings.slot)),
        offer: offer::Offer::new(group.threads),
        maximum_requests: group.maximum_requests,
        request_timeout: Some(group.timeouts.request).filter(|timeout| !timeout.is_zero()),
        signs,
        finished: AtomicU64::new(0),
        overdrawn: AtomicBool::new(false),
        limit: OnceLock::new(),
        news,
    };
    for import in imports(settings).filter(|import| !template::has_loaded(host, settings, import)) {
        load(host, channel, settings, import)?;
    }
    let pool = pool::Pool::new(listener, own_listener(group)).map_err(os("cannot make an epoll"))?;
    // Only now: a signal ends whoever has nothing to finish yet.
    let signals = sys::signals::watch(&control::SIGNALS).map_err(os("cannot watch signals"))?;
    std::thread::scope(|scope| {
        let stack = usize::try_from(group.stack_size).ok().filter(|size| *size > 0).unwrap_or_else(pool::system_stack);
        if let Err(error) = pool.start(scope, &service, group.threads, stack) {
            pool.end(&service);
            log::coded(&codes::THREAD, &error);
            return Err(StartError::Thread(error));
        }
        let scale = memory::Scale::new(group.limits.memory, &service);
        if let Err(error) = channel.send(&FromWorker::Ready, &[]) {
            // Or this scope would wait for its threads for ever.
            pool.end(&service);
            return Err(error.into());
        }
        let reason = {
            let _probe = Probe::start(scope, host, &service, group);
            let (subscribers, told) = subscribers::subscribers();
            let beside = |work| beside(scope, stack, work);
            beside(Box::new(move || told.serve(host)));
            let (pool, service, signals) = (&pool, &service, &signals);
            let accepts = Arc::default();
            control::Control { channel, signals, pool, service, scale, subscribers: &subscribers, group, host, beside: &beside, accepts }
                .run()
        };
        // Requests that are still being executed are waited for, when this scope ends.
        tell(channel, &FromWorker::Drained);
        Ok(end(host, group, reason))
    })
}

/// The listener for requests that are for this worker alone. Without one everything comes through the group's queue.
fn own_listener(group: &GroupSettings) -> Option<std::os::fd::OwnedFd> {
    let address = GroupSettings::direct_address(&group.direct, std::process::id());
    match sys::socket::abstract_listener(&address, group.listen_backlog) {
        Ok(listener) => Some(listener),
        Err(error) => {
            log::write(Level::Info, &format!("cannot listen at an address of this process alone: {error}"));
            None
        }
    }
}

/// What operators see of this process.
fn be_named(group: &GroupSettings) {
    let named = group.display_name.as_ref().map_or_else(|| format!("(wsgi:{})", group.name).into_bytes(), |name| name.to_vec());
    let _shown_if_possible = sys::title::set(&named);
}

/// Sets the locale of this process.
fn become_local(group: &GroupSettings) {
    if let Some(locale) = &group.locale {
        let name = std::ffi::CString::new(locale.to_vec()).unwrap_or_default();
        if name.is_empty() || !sys::locale::set(&name) {
            log::coded(&codes::LOCALE, format_args!("locale '{}' is not supported", String::from_utf8_lossy(locale)));
        }
    }
}

/// What the host is told, and what it tells: loads and changes go to the supervisor.
fn host_settings(group: &GroupSettings, channel: &Arc<Channel>, signs: &Arc<watch::Signs>) -> HostSettings {
    let (loads, changes, successors, signs) = (Arc::clone(channel), Arc::clone(channel), Arc::clone(channel), Arc::clone(signs));
    let asked = AtomicBool::new(false);
    let asking = group.clone();
    // Each request meets a change; the supervisor is told of it once.
    let told = parking_lot::Mutex::new(HashMap::<Vec<u8>, i64>::new());
    HostSettings {
        python: group.python.clone(),
        mode: Mode::Daemon {
            group: group.name.clone(),
            home: group.home.clone(),
            uses_global: group.uses_global,
            service: group.threads == 0,
        },
        multithread: group.threads != 1,
        multiprocess: group.multiprocess,
        run_once: group.threads == 1 && group.maximum_requests == 1,
        maximum_processes: group.max_processes,
        threads_per_process: group.threads,
        reload: ReloadPolicy::Report {
            changed: Box::new(move |script, modified| {
                if told.lock().insert(script.to_vec(), modified) != Some(modified) {
                    tell(&changes, &FromWorker::Changed { script: script.to_vec().into(), modified });
                }
            }),
            asked: Box::new(move || {
                if !asked.swap(true, SeqCst) {
                    tell(&successors, &FromWorker::ReplaceMe(StopReason::ScriptReload));
                }
            }),
        },
        meter: Arc::new(Meter::of_worker(group.threads)),
        scoreboard: Arc::new(move || scoreboard::ask(&asking)),
        loaded: Box::new(move |import, modified, reloads| {
            signs.load();
            tell(&loads, &FromWorker::Loaded { import, modified, reloads });
        }),
        log: Arc::new(OutsideRequests),
    }
}

fn tell(channel: &Channel, message: &FromWorker) {
    match channel.send(message, &[]) {
        // The control loop meets its end.
        Ok(()) | Err(ChannelError::Gone) => {}
        Err(error) => log::coded(&codes::CONTROL, error),
    }
}

struct OutsideRequests;

impl LogSink for OutsideRequests {
    fn log(&self, level: Level, line: &str) {
        log::write(level, line);
    }
}

/// What is to be loaded before the first request: the imports in their order, then what the generation before had loaded.
fn imports(settings: &WorkerSettings) -> impl Iterator<Item = &Import> {
    let imports = &settings.group.imports;
    imports.iter().chain(settings.preload.iter().filter(|import| !imports.contains(import)))
}

/// Loads a script before the first request.
fn load(host: &Host, channel: &Channel, settings: &WorkerSettings, import: &Import) -> Result<(), StartError> {
    let is_told = settings.follows && settings.preload.contains(import);
    match if is_told { host.load_silently(import) } else { host.load(import) } {
        Err(error) if settings.preload_must_succeed && settings.preload.contains(import) => Err(cannot_load(channel, import, &error)),
        // The log has why it failed, or will have.
        _ => Ok(()),
    }
}

/// Tells the supervisor of a script without which this worker must not serve.
fn cannot_load(channel: &Channel, import: &Import, error: &LoadError) -> StartError {
    tell(channel, &FromWorker::LoadFailed { script: import.script.clone(), modified: error.modified() });
    StartError::Preload(path(import))
}

/// Ends a worker that cannot become ready: it has nothing to end in order.
fn give_up(channel: &Channel, error: &StartError) -> ! {
    if matches!(error, StartError::Channel(ChannelError::Gone)) {
        // Nobody wants it any more: a restart came while it was being forked, or the supervisor is gone, of which httpd tells.
        sys::process::exit_now(NOT_READY);
    }
    // The supervisor logs what it is told; if it is not there, nobody would.
    if channel.send(&FromWorker::Failed(error.to_string()), &[]).is_err() {
        log::coded(&codes::WORKER, error);
    }
    sys::process::exit_now(NOT_READY);
}

/// Does something in Python on a thread of its own.
fn beside<'scope>(scope: &'scope Scope<'scope, '_>, stack: usize, work: Box<dyn FnOnce() + Send>) {
    let started = Builder::new().name("wsgi-beside".to_owned()).stack_size(stack).spawn_scoped(scope, move || {
        work();
        crate::python::release_this_thread();
    });
    if let Err(error) = started {
        log::coded(&codes::THREAD, error);
    }
}

/// The thread that tries whether Python can be entered, until this is dropped.
struct Probe<'scope>(Arc<AtomicBool>, ScopedJoinHandle<'scope, ()>);

impl<'scope> Probe<'scope> {
    fn start(
        scope: &'scope Scope<'scope, '_>,
        host: &'static Host,
        service: &'scope request::Service,
        group: &'scope GroupSettings,
    ) -> Option<Self> {
        if group.timeouts.deadlock.is_zero() {
            return None;
        }
        let wanted = Arc::new(AtomicBool::new(true));
        let still_wanted = Arc::clone(&wanted);
        let started = Builder::new().name("wsgi-probe".to_owned()).spawn_scoped(scope, move || {
            service.signs.probe(host, &group.timeouts, || still_wanted.load(Relaxed));
            crate::python::release_this_thread();
        });
        started.inspect_err(|error| log::coded(&codes::THREAD, error)).ok().map(|thread| Self(wanted, thread))
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
        self.1.thread().unpark();
    }
}

fn path(import: &Import) -> String {
    String::from_utf8_lossy(&import.script).into_owned()
}

/// Tells the application that it ends, and ends its sub-interpreters, within `shutdown-timeout`.
fn end(host: &Host, group: &GroupSettings, reason: StopReason) -> Ending {
    log::write(Level::Info, &format!("Shutdown requested for daemon process '{}': {}.", group.name, reason.word()));
    let shutdown = group.timeouts.shutdown;
    watch_over_the_end(group.name.clone(), shutdown);
    // The watchdog comes last: the host is to give up on threads that stay, and still call the exit handlers. Requests are waited for
    // after this as well, so that without a timeout only threads of the application's own are given up.
    let limit = if shutdown.is_zero() { OWN_THREADS } else { shutdown };
    let patience = limit.saturating_sub(Duration::from_secs(1).min(limit / 4));
    host.stop(Some(reason), patience)
}

/// Ends the process when it has not ended itself by then; zero waits for ever.
fn watch_over_the_end(group: String, timeout: Duration) {
    if timeout.is_zero() {
        return;
    }
    let watchdog = std::thread::Builder::new().name("wsgi-watchdog".to_owned()).spawn(move || {
        std::thread::sleep(timeout);
        log::coded(&codes::SHUTDOWN_TIMEOUT, format_args!("daemon process '{group}' has not ended within shutdown-timeout"));
        sys::process::exit_now(OUT_OF_TIME);
    });
    if let Err(error) = watchdog {
        // The supervisor kills whoever does not end.
        log::write(Level::Warn, &format!("cannot start the watchdog thread: {error}"));
    }
}
