//! Embedded mode: the tables that mod_wsgi.so and the host exchange, and an [`Exchange`] over the server's.
//!
//! It knows no httpd: what a [`RequestPointer`] points to is mod_wsgi.so's secret. See [`wire::host`].

use crate::host::{Host, HostSettings, LogSink, Mode, ReloadPolicy};
use crate::module::metrics::Meter;
use crate::wsgi::exchange::{Exchange, InputError, Outcome, OutputError, Push};
use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use wire::access::{Answer, Question};
use wire::codes;
use wire::frame::Source;
use wire::head::{RequestHead, ResponseHead};
use wire::host::{self as table, HostTable, RequestPointer, ServerTable, TABLE_VERSION};
use wire::log::Level;
use wire::settings::EmbeddedSettings;

/// How long requests that are still inside may take when the httpd child ends: httpd itself has waited for them before.
const PATIENCE: Duration = Duration::from_secs(2);

/// The server's table, whose functions may be called from any thread.
static SERVER: OnceLock<&'static ServerTable> = OnceLock::new();

static HOST: OnceLock<&'static Host> = OnceLock::new();

static HOST_TABLE: HostTable = HostTable { version: TABLE_VERSION, size: size_of::<HostTable>() as u32, start, serve, check, leave, stop };

/// Exchanges tables with mod_wsgi.so; null when the server's is of another version.
///
/// # Safety
///
/// `server` is null or a table that begins with version and size, and lives as long as the process.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn mod_wsgi_host(server: *const ServerTable) -> *const HostTable {
    // SAFETY: the caller says so; the version is looked at before anything else.
    let fits = !server.is_null()
        && unsafe {
            (*server).version == TABLE_VERSION && usize::try_from((*server).size).is_ok_and(|size| size >= size_of::<ServerTable>())
        };
    if !fits {
        return ptr::null();
    }
    // SAFETY: the table is as large as ours and lives as long as the process.
    SERVER.get_or_init(|| unsafe { &*server });
    &raw const HOST_TABLE
}

unsafe extern "C" fn start(settings: *const u8, length: usize) -> c_int {
    guard(1, || {
        // SAFETY: mod_wsgi.so lends us so many octets for the call.
        let settings = wire::control::decode::<EmbeddedSettings>(unsafe { octets(settings, length) });
        let started =
            settings.map_err(|error| error.to_string()).and_then(|settings| start_host(settings).map_err(|error| error.to_string()));
        match started {
            Ok(host) => {
                HOST.get_or_init(|| host);
                0
            }
            Err(error) => {
                ServerLog { level: Level::Trace1 }.log(codes::PREPARE.level, &codes::PREPARE.line(error));
                1
            }
        }
    })
}

fn start_host(settings: EmbeddedSettings) -> Result<&'static Host, crate::host::HostError> {
    let EmbeddedSettings { python, imports, log_level } = settings;
    sys::forks::notice();
    let log: Arc<dyn LogSink> = Arc::new(ServerLog { level: Level::from_octet(log_level) });
    let server = &python.server;
    let host = Host::start_python(HostSettings {
        mode: Mode::Embedded,
        multithread: server.threads_per_process != 1,
        multiprocess: server.maximum_processes != 1,
        run_once: false,
        maximum_processes: server.maximum_processes,
        threads_per_process: server.threads_per_process,
        reload: ReloadPolicy::InPlace,
        loaded: Box::new(|_, _, _| {}),
        meter: Arc::new(Meter::of_child(server.threads_per_process)),
        scoreboard: Arc::new(scoreboard),
        log: Arc::clone(&log),
        python,
    })?;
    for import in imports {
        // The log has the reason; httpd and all other applications go on.
        let _failed = host.load(&import);
    }
    Ok(host)
}

unsafe extern "C" fn serve(request: RequestPointer, head: *const u8, length: usize) -> table::Outcome {
    guard(table::OUTCOME_FAILED, || {
        let (Some(host), Some(server)) = (HOST.get(), SERVER.get()) else { return table::OUTCOME_FAILED };
        let mut exchange = ServerExchange { server, request, kept: 0 };
        // SAFETY: mod_wsgi.so lends us so many octets for the call.
        let head = match RequestHead::decode(unsafe { octets(head, length) }) {
            Ok(head) => head,
            Err(error) => {
                exchange.log(codes::INTERNAL.level, &codes::INTERNAL.line(error));
                return table::OUTCOME_FAILED;
            }
        };
        match host.serve(thread_number(), &head, &mut exchange) {
            Outcome::Done => table::OUTCOME_DONE,
            Outcome::Failed | Outcome::TimedOut => table::OUTCOME_FAILED,
            Outcome::Truncated => table::OUTCOME_TRUNCATED,
            Outcome::ClientGone => table::OUTCOME_CLIENT_GONE,
        }
    })
}

unsafe extern "C" fn check(request: RequestPointer, question: *const u8, length: usize) {
    guard((), || {
        let (Some(host), Some(server)) = (HOST.get(), SERVER.get()) else { return };
        let mut exchange = ServerExchange { server, request, kept: 0 };
        // SAFETY: mod_wsgi.so lends us so many octets for the call.
        let answer = match Question::decode(unsafe { octets(question, length) }) {
            Ok(question) => host.check(thread_number(), &question, &mut exchange),
            Err(error) => {
                exchange.log(codes::INTERNAL.level, &codes::INTERNAL.line(error));
                Answer::Failed
            }
        };
        let answer = answer.encode();
        // SAFETY: the request is valid until we return, and the octets are read before the call does.
        unsafe { (server.answer)(request, answer.as_ptr(), answer.len()) };
    });
}

unsafe extern "C" fn leave() {
    guard((), crate::python::release_idle_thread);
}

unsafe extern "C" fn stop() {
    guard((), || {
        if let Some(host) = HOST.get() {
            let ending = host.stop(None, PATIENCE);
            host.stop_python(ending, PATIENCE);
        }
    });
}

/// Runs `work` as the last Rust frame before C; the panic hook has logged what it stops.
fn guard<R>(failed: R, work: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(failed)
}

/// # Safety
///
/// `data` points to `length` octets that do not change for `'a`, unless `length` is 0.
unsafe fn octets<'a>(data: *const u8, length: usize) -> &'a [u8] {
    // SAFETY: the caller says so.
    if length == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data, length) } }
}

/// The number of the calling thread in this process, from 1, given on its first request.
fn thread_number() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    thread_local! {
        static NUMBER: Cell<u32> = const { Cell::new(0) };
    }
    if NUMBER.get() == 0 {
        NUMBER.set(LAST.fetch_add(1, Relaxed) + 1);
    }
    NUMBER.get()
}

/// httpd's encoded scoreboard.
fn scoreboard() -> Option<Vec<u8>> {
    unsafe extern "C" fn take(taker: *mut c_void, data: *const u8, length: usize) {
        guard((), || {
            // SAFETY: the taker is the place below, and mod_wsgi.so lends so many octets for the call.
            unsafe { *taker.cast::<Option<Vec<u8>>>() = Some(octets(data, length).to_vec()) }
        });
    }
    let mut taken: Option<Vec<u8>> = None;
    // SAFETY: the table is mod_wsgi.so's; it calls `take` with our place at most once, before it returns.
    unsafe { (SERVER.get()?.scoreboard)((&raw mut taken).cast(), take) };
    taken
}

/// The log of the server, for lines that belong to no request.
struct ServerLog {
    level: Level,
}

impl LogSink for ServerLog {
    fn log(&self, level: Level, line: &str) {
        if let (true, Some(server)) = (level <= self.level, SERVER.get()) {
            // SAFETY: the table is mod_wsgi.so's, null stands for no request, and the text is copied.
            unsafe { (server.log)(ptr::null_mut(), level as u8, line.as_ptr(), line.len()) };
        }
    }
}

/// A request of httpd's.
///
/// # Invariants
///
/// The pointer is valid while the value exists: it is made in `serve` and does not leave it.
struct ServerExchange {
    server: &'static ServerTable,
    request: RequestPointer,
    /// Octets that were given without a flush so far.
    kept: usize,
}

// SAFETY: mod_wsgi.so's functions work on a request from any thread, one at a time, which the mutex of `lend` sees to.
unsafe impl Send for ServerExchange {}

impl Exchange for ServerExchange {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, InputError> {
        let mut reason = [0 as c_char; 256];
        // SAFETY: the request is valid by the invariant; both buffers are as long as we say.
        let count = unsafe { (self.server.read)(self.request, buffer.as_mut_ptr(), buffer.len(), reason.as_mut_ptr(), reason.len()) };
        usize::try_from(count).map_err(|_| {
            reason[reason.len() - 1] = 0;
            // SAFETY: the last octet is NUL at the latest.
            InputError(unsafe { CStr::from_ptr(reason.as_ptr()) }.to_string_lossy().into_owned())
        })
    }

    fn read_is_ready(&self) -> bool {
        false
    }

    fn send_head(&mut self, head: &ResponseHead<'_>) -> Result<(), OutputError> {
        let octets = head.encode_onto(Vec::with_capacity(512));
        // SAFETY: the request is valid by the invariant, and the octets are copied.
        result(unsafe { (self.server.send_head)(self.request, octets.as_ptr(), octets.len()) })
    }

    fn send(&mut self, octets: &[u8], push: Push) -> Result<(), OutputError> {
        // SAFETY: the request is valid by the invariant, and the octets are live for the call.
        result(unsafe { (self.server.send)(self.request, octets.as_ptr(), octets.len(), c_int::from(push == Push::Now)) })
    }

    fn try_send(&mut self, octets: &[u8], push: Push) -> Result<bool, OutputError> {
        // Without a flush a few octets stay in this process, and httpd sends them with the end. All else may wait for the client.
        if push == Push::Now || self.kept + octets.len() > KEPT {
            return Ok(false);
        }
        self.kept += octets.len();
        self.send(octets, push).map(|()| true)
    }

    fn send_file(&mut self, file: BorrowedFd<'_>, offset: u64, length: u64) -> Result<(), OutputError> {
        // SAFETY: the request is valid by the invariant, and the descriptor is open for the call.
        result(unsafe { (self.server.send_file)(self.request, file.as_raw_fd(), offset, length) })
    }

    fn ssl_variable(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        let mut length = 0;
        // SAFETY: the request is valid by the invariant; the value is copied while it is.
        unsafe {
            let value = (self.server.ssl_variable)(self.request, name.as_ptr(), name.len(), &raw mut length);
            (!value.is_null()).then(|| octets(value, length).to_vec())
        }
    }

    fn request_record(&mut self) -> Option<NonZeroUsize> {
        // SAFETY: the request is valid by the invariant.
        NonZeroUsize::new(unsafe { (self.server.request_record)(self.request) }.addr())
    }

    fn log_at(&mut self, level: Level, line: &str, source: Source<'_>) {
        let file = CString::new(source.file).unwrap_or_default();
        // SAFETY: the request is valid by the invariant, the texts are copied, and the name ends with NUL.
        unsafe { (self.server.log_at)(self.request, level as u8, line.as_ptr(), line.len(), file.as_ptr(), source.line) };
    }

    fn log(&mut self, level: Level, line: &str) {
        // SAFETY: the request is valid by the invariant, and the text is copied.
        unsafe { (self.server.log)(self.request, level as u8, line.as_ptr(), line.len()) };
    }
}

/// So many octets httpd keeps without waiting for the client; it begins to send at 64 KiB.
const KEPT: usize = 32 * 1024;

fn result(status: c_int) -> Result<(), OutputError> {
    match status {
        0 => Ok(()),
        1 => Err(OutputError::ClientGone),
        _ => Err(OutputError::Failed(String::from("the server did not take it"))),
    }
}
