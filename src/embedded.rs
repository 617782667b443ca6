//! Embedded mode: the host is loaded into the httpd child, and serves requests on httpd's own threads.
//!
//! Knows no Python: it finds the libpython that fits the configured home, loads it and the host, and exchanges tables of functions
//! (`wire::host`). What the host asks for while a request is served is done on that request's brigades.

use crate::apache::boundary::guard;
use crate::apache::brigade::{Brigade, Input, PassError};
use crate::apache::log;
use crate::apache::request::Request;
use crate::apache::status::Status;
use crate::request::Refusal;
use crate::response::{Response, ResponseOptions};
use parking_lot::Mutex;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use wire::access::{Answer, Question};
use wire::codes;
use wire::frame::{Source, Times};
use wire::head::{RequestHead, ResponseHead};
use wire::host::{self, HostTable, Outcome, RequestPointer, ServerTable, TABLE_VERSION, TakeOctets};
use wire::log::Level;
use wire::settings::EmbeddedSettings;

mod libpython;

pub(crate) use libpython::{interpreter_of, is_free_threaded};

/// The host of this process. Python can be started once in a process's life.
enum Host {
    /// Not asked for yet, with what it will be started with.
    Waiting(Box<EmbeddedSettings>),
    /// It runs.
    Running(Running),
    /// It could not be started, or has ended; the log has the reason.
    Failed,
}

/// Python, and the thread that is its main thread: it starts Python and ends it, and does nothing in between. httpd's own threads may
/// end before Python does.
struct Running {
    table: &'static HostTable,
    /// Told, or dropped, when Python is to end.
    end: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

static HOST: Mutex<Option<Host>> = Mutex::new(None);

/// What the host is started with, when it is started. Called once in each child.
pub(crate) fn prepare(settings: EmbeddedSettings) {
    *HOST.lock() = Some(Host::Waiting(Box::new(settings)));
}

/// Starts the host, if that was not done before.
pub(crate) fn start() -> bool {
    running().is_some()
}

/// Ends the host in order, at the end of the child.
pub(crate) fn stop() {
    let host = HOST.lock().replace(Host::Failed);
    if let Some(Host::Running(Running { table, end, thread })) = host {
        // With prefork the thread that ends a child is the one that has served: Python's end would wait for it, as it waits here.
        // SAFETY: the table is the host's, and its library is never unloaded.
        unsafe { (table.leave)() };
        drop(end);
        // A panic in it has been logged.
        let _ended = thread.join();
    }
}

fn running() -> Option<&'static HostTable> {
    let mut host = HOST.lock();
    if let Some(Host::Waiting(settings)) = &*host {
        let started = start_thread(settings);
        if let Err(error) = &started {
            log::main_server(codes::PYTHON_START.level, &codes::PYTHON_START.line(error));
        }
        *host = Some(started.map_or(Host::Failed, Host::Running));
    }
    match &*host {
        Some(Host::Running(running)) => Some(running.table),
        _ => None,
    }
}

/// Starts Python on a thread of its own, which takes no signal: those are for httpd.
fn start_thread(settings: &EmbeddedSettings) -> Result<Running, LoadError> {
    let settings = settings.clone();
    let (end, ended) = mpsc::channel::<()>();
    let (told, result) = mpsc::channel();
    let blocked = sys::signals::block_all().map_err(LoadError::Signals)?;
    let thread = std::thread::Builder::new().name("wsgi-python".to_owned()).spawn(move || {
        let loaded = load(&settings);
        let table = loaded.as_ref().ok().copied();
        let _heard = told.send(loaded);
        if let Some(table) = table {
            // Nothing is ever sent: the other end is dropped.
            let _dropped = ended.recv();
            // SAFETY: the table is the host's and its library is never unloaded; httpd's threads serve no more.
            unsafe { (table.stop)() }
        }
    });
    drop(blocked);
    let thread = thread.map_err(LoadError::Thread)?;
    let table = result.recv().map_err(|_| LoadError::Start)??;
    Ok(Running { table, end, thread })
}

/// Why there is no Python in this child.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error(transparent)]
    Libpython(#[from] libpython::NotFound),
    #[error("cannot load '{0}': {1}")]
    Open(String, String),
    #[error("there is no host '{0}' for a free-threaded Python: make build FREE_THREADED={1}, then make install")]
    NoFreeThreadedHost(String, String),
    #[error("'{0}' is not the host that belongs to this module")]
    NotOurs(String),
    #[error("the settings are too long for the host")]
    Settings(#[from] wire::control::EncodeError),
    #[error("Python did not start; the lines before this one say why")]
    Start,
    #[error("the thread for Python cannot be started: {0}")]
    Thread(std::io::Error),
    #[error("signals cannot be kept from the thread for Python: {0}")]
    Signals(sys::nix::Error),
}

fn load(settings: &EmbeddedSettings) -> Result<&'static HostTable, LoadError> {
    let home = settings.python.home.as_ref().map(|home| path_of(home));
    let libpython = libpython::find(home.as_deref(), |candidate| open(candidate).is_ok())?;
    log::main_server(Level::Info, &format!("Loaded '{}' for embedded mode", libpython.path.display()));
    let path = crate::server::beside_us(&libpython.host());
    if libpython.is_free_threaded() && !path.is_file() {
        return Err(LoadError::NoFreeThreadedHost(path.display().to_string(), libpython.interpreter.display().to_string()));
    }
    let library = open(&path)?;
    // SAFETY: the library is open; the name ends with NUL.
    let entry = unsafe { libc::dlsym(library, host::ENTRY.as_ptr()) };
    if entry.is_null() {
        return Err(LoadError::NotOurs(path.display().to_string()));
    }
    // SAFETY: the host exports this name with this type; it checks the version of the table it is given.
    let table = unsafe {
        let entry: host::Entry = std::mem::transmute::<*mut libc::c_void, host::Entry>(entry);
        entry(&raw const SERVER_TABLE).as_ref()
    };
    let table = table.filter(|table| table.version == TABLE_VERSION && table.size as usize >= size_of::<HostTable>());
    let table = table.ok_or_else(|| LoadError::NotOurs(path.display().to_string()))?;
    let octets = wire::control::encode(settings)?;
    // SAFETY: the octets are read before the call returns.
    if unsafe { (table.start)(octets.as_ptr(), octets.len()) } == 0 { Ok(table) } else { Err(LoadError::Start) }
}

fn path_of(octets: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(octets))
}

/// Loads a library for good: threads and thread keys of Python's stay in its code until the process ends.
fn open(path: &Path) -> Result<*mut libc::c_void, LoadError> {
    use std::os::unix::ffi::OsStrExt;
    let name =
        CString::new(path.as_os_str().as_bytes()).map_err(|_| LoadError::Open(path.display().to_string(), "NUL in the path".into()))?;
    // SAFETY: loading runs the library's initialisers: libpython and our host, which are what the operator chose to run here.
    let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL | libc::RTLD_NODELETE) };
    if library.is_null() {
        // SAFETY: after a failure it returns a text, valid until the next call on this thread.
        let reason = unsafe { CStr::from_ptr(libc::dlerror()) }.to_string_lossy().into_owned();
        return Err(LoadError::Open(path.display().to_string(), reason));
    }
    Ok(library)
}

/// A request while the host has it: what a [`RequestPointer`] points to.
struct Lent<'s, 'r> {
    request: &'s mut Request<'r>,
    work: Work<'r>,
}

/// What the host has it for.
enum Work<'r> {
    /// To answer the client.
    Serve(Served<'r>),
    /// To answer us.
    Check(Answer),
}

/// What answers the client.
struct Served<'r> {
    response: Response<'r>,
    input: Brigade<'r>,
    /// Whether the body has been read to its end.
    ended: bool,
    /// Whether httpd has answered in the application's place, because of what the client has sent.
    answered: bool,
}

/// Serves a request in this process.
pub(crate) fn serve(request: &mut Request<'_>, head: &RequestHead<'_>, options: ResponseOptions) -> Result<Status, Refusal> {
    let table = running().ok_or_else(|| {
        Refusal::new(&codes::PYTHON_NOT_RUNNING, Status::INTERNAL_SERVER_ERROR, "Python does not run in this httpd child")
    })?;
    let head = head.encode_onto(Vec::with_capacity(4096));
    let (response, input) = (Response::new(request, options), request.brigade());
    response.begun_by(Times { pid: crate::server::pid(), begun: sys::clock::epoch_micros() });
    let mut lent = Lent { request, work: Work::Serve(Served { response, input, ended: false, answered: false }) };
    let pointer: RequestPointer = (&raw mut lent).cast();
    // SAFETY: the pointer and the octets are valid until the call returns, and nothing else uses `lent` meanwhile.
    let outcome: Outcome = unsafe { (table.serve)(pointer, head.as_ptr(), head.len()) };
    let Lent { request, work: Work::Serve(Served { response, answered, .. }) } = lent else { return Ok(Status::INTERNAL_SERVER_ERROR) };
    Ok(match outcome {
        _ if answered => Status::OK,
        host::OUTCOME_DONE => response.end(request),
        host::OUTCOME_CLIENT_GONE => {
            request.close_after();
            response.fail(request, Status::OK)
        }
        _ => response.fail(request, Status::INTERNAL_SERVER_ERROR),
    })
}

/// Asks a script of httpd's own processes; `None` when Python does not run in this one.
pub(crate) fn ask(request: &mut Request<'_>, question: &Question<'_>) -> Option<Answer> {
    let table = running()?;
    let question = question.encode_onto(Vec::with_capacity(2048));
    let mut lent = Lent { request, work: Work::Check(Answer::Failed) };
    // SAFETY: the pointer and the octets are valid until the call returns, and nothing else uses `lent` meanwhile.
    unsafe { (table.check)((&raw mut lent).cast(), question.as_ptr(), question.len()) }
    match lent.work {
        Work::Check(answer) => Some(answer),
        Work::Serve(_) => Some(Answer::Failed),
    }
}

static SERVER_TABLE: ServerTable = ServerTable {
    version: TABLE_VERSION,
    size: size_of::<ServerTable>() as u32,
    read,
    send_head,
    send,
    send_file,
    log: write_log,
    log_at,
    scoreboard,
    answer,
    ssl_variable,
    request_record,
};

/// Runs `body` on the request that the host was lent.
///
/// # Safety
/// `pointer` is what `serve` or `ask` gave to the host, which is still within that call, and calls one function at a time.
unsafe fn with_lent<T>(pointer: RequestPointer, panicked: T, body: impl FnOnce(&mut Lent<'_, '_>) -> T) -> T {
    // SAFETY: by this function's contract.
    guard(panicked, || body(unsafe { &mut *pointer.cast::<Lent<'_, '_>>() }))
}

/// Runs `body` on the request and its answer to the client; `refused` where there is none, because the host is only asked something.
///
/// # Safety
/// As for `with_lent`.
unsafe fn with<'r, T: Copy>(pointer: RequestPointer, refused: T, body: impl FnOnce(&mut Request<'r>, &mut Served<'r>) -> T) -> T {
    // SAFETY: by this function's contract; the lifetime is that of the request, which outlives the call.
    guard(refused, || match unsafe { &mut *pointer.cast::<Lent<'_, 'r>>() } {
        Lent { request, work: Work::Serve(served) } => body(request, served),
        Lent { work: Work::Check(_), .. } => refused,
    })
}

unsafe extern "C" fn read(pointer: RequestPointer, buffer: *mut u8, length: usize, reason: *mut c_char, reason_length: usize) -> isize {
    // SAFETY: the host is within `serve`, and lends a buffer of the length it says.
    unsafe {
        with(pointer, -1, |request, served| {
            let buffer = std::slice::from_raw_parts_mut(buffer, length);
            if served.ended || buffer.is_empty() {
                return 0;
            }
            match served.input.read(request, buffer, true) {
                Ok(Input::Octets(octets)) => isize::try_from(octets).unwrap_or(0),
                Ok(Input::End | Input::NotYet) => {
                    served.ended = true;
                    0
                }
                Err(error) => {
                    request.close_after();
                    served.answered |= error.is_answered();
                    let reason = std::slice::from_raw_parts_mut(reason.cast::<u8>(), reason_length);
                    write_reason(reason, &error.text);
                    -1
                }
            }
        })
    }
}

fn write_reason(room: &mut [u8], text: &str) {
    let Some(most) = room.len().checked_sub(1) else { return };
    let length = most.min(text.len());
    room[..length].copy_from_slice(&text.as_bytes()[..length]);
    room[length] = 0;
}

fn told(result: Result<(), PassError>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(PassError::ClientGone) => 1,
        Err(_) => 2,
    }
}

unsafe extern "C" fn send_head(pointer: RequestPointer, head: *const u8, length: usize) -> c_int {
    // SAFETY: the host is within `serve`, and lends octets of the length it says.
    unsafe {
        with(pointer, 2, |request, served| match ResponseHead::decode(std::slice::from_raw_parts(head, length)) {
            Ok(head) => {
                served.response.begin(request, &head);
                0
            }
            Err(_) => 2,
        })
    }
}

unsafe extern "C" fn send(pointer: RequestPointer, octets: *const u8, length: usize, flush: c_int) -> c_int {
    // SAFETY: as in `send_head`.
    unsafe {
        with(pointer, 2, |request, served| {
            let octets = if length == 0 { &[][..] } else { std::slice::from_raw_parts(octets, length) };
            if served.answered {
                return told(Err(PassError::ClientGone));
            }
            told(served.response.write(request, octets, flush != 0))
        })
    }
}

unsafe extern "C" fn send_file(pointer: RequestPointer, fd: c_int, offset: u64, length: u64) -> c_int {
    // SAFETY: as in `send_head`; the descriptor is the host's and open for the call.
    unsafe {
        with(pointer, 2, |request, served| match BorrowedFd::borrow_raw(fd).try_clone_to_owned() {
            Ok(_) if served.answered => told(Err(PassError::ClientGone)),
            Ok(file) => told(served.response.write_file(request, file, offset, length)),
            Err(_) => 2,
        })
    }
}

unsafe extern "C" fn write_log(pointer: RequestPointer, level: u8, text: *const u8, length: usize) {
    // SAFETY: the host lends octets of the length it says.
    let text = guard(String::new(), || String::from_utf8_lossy(unsafe { std::slice::from_raw_parts(text, length) }).into_owned());
    let level = Level::from_octet(level);
    if pointer.is_null() {
        guard((), || log::main_server(level, &text));
    } else {
        // SAFETY: not null: the host is within `serve` or `check`.
        unsafe { with_lent(pointer, (), |lent| log::request(lent.request, level, &text)) }
    }
}

unsafe extern "C" fn log_at(pointer: RequestPointer, level: u8, text: *const u8, length: usize, file: *const c_char, line: u32) {
    // SAFETY: the host lends octets of the length it says, and a name with its NUL.
    let (text, file) = unsafe { (std::slice::from_raw_parts(text, length), CStr::from_ptr(file)) };
    let source = Source { file: file.to_bytes(), line };
    let level = Level::from_octet(level);
    // SAFETY: the host is within `serve` or `check`.
    unsafe { with_lent(pointer, (), |lent| log::request_at(lent.request, level, &String::from_utf8_lossy(text), source)) }
}

unsafe extern "C" fn scoreboard(taker: *mut c_void, take: TakeOctets) {
    let octets = guard(None, || crate::apache::scoreboard::read().map(|scoreboard| scoreboard.encode()));
    if let Some(octets) = octets {
        // SAFETY: the host's own function and what it goes with; the octets live for the call.
        unsafe { take(taker, octets.as_ptr(), octets.len()) }
    }
}

unsafe extern "C" fn answer(pointer: RequestPointer, octets: *const u8, length: usize) {
    // SAFETY: the host is within `check`, and lends octets of the length it says.
    unsafe {
        with_lent(pointer, (), |lent| {
            if let Work::Check(answer) = &mut lent.work {
                *answer = Answer::decode(std::slice::from_raw_parts(octets, length));
            }
        });
    }
}

unsafe extern "C" fn ssl_variable(pointer: RequestPointer, name: *const u8, length: usize, value_length: *mut usize) -> *const u8 {
    // SAFETY: the host is within `serve` or `check`, lends octets of the length it says, and room for one number.
    unsafe {
        with_lent(pointer, std::ptr::null(), |lent| {
            let name = if length == 0 { &[][..] } else { std::slice::from_raw_parts(name, length) };
            lent.request.ssl_variable(name).map_or(std::ptr::null(), |value| {
                *value_length = value.len();
                value.as_ptr()
            })
        })
    }
}

unsafe extern "C" fn request_record(pointer: RequestPointer) -> *mut c_void {
    // SAFETY: the host is within `serve` or `check`.
    unsafe {
        with_lent(pointer, std::ptr::null_mut(), |lent| {
            if lent.request.options().pass_apache_request == Some(true) { lent.request.record() } else { std::ptr::null_mut() }
        })
    }
}
