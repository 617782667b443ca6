//! What plays mod_wsgi.so for the driver: finds Pythons, loads the host, and keeps what it sends.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use wire::head::{Body, Pair, RequestHead, ResponseHead};
use wire::host::{self, Entry, HostTable, RequestPointer, ServerTable, TABLE_VERSION, TakeOctets};
use wire::settings::{EmbeddedSettings, Python, Server};

/// Tells a child which libpython to load.
pub(crate) const LIBRARY: &str = "DRIVER_LIBPYTHON";
/// Tells a child where that Python is.
pub(crate) const HOME: &str = "DRIVER_PYTHONHOME";

/// Tells a child where the built host is.
pub(crate) const HOST: &str = "DRIVER_HOST";

/// Builds the host, unless `MOD_WSGI_BUILT` says where it is: cargo does not build a cdylib for tests.
pub(crate) fn host() -> PathBuf {
    if let Some(built) = std::env::var_os("MOD_WSGI_BUILT") {
        return PathBuf::from(built).join("mod_wsgi_python.so");
    }
    let cargo = std::env::var_os("CARGO").expect("cargo runs the tests");
    let profile: &[&str] = if cfg!(debug_assertions) { &[] } else { &["--release"] };
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let built = Command::new(cargo).args(["build", "--quiet", "--lib", "--manifest-path", manifest]).args(profile).status();
    assert!(built.expect("cargo can be started").success());
    let own = std::env::current_exe().expect("a test has a file");
    own.parent().and_then(Path::parent).expect("<target>/<profile>/deps/<test>").join("libmod_wsgi_python.so")
}

/// Every libpython of this machine from 3.10 on, with its home: the system's, and those of pyenv.
pub(crate) fn pythons() -> Vec<(PathBuf, Option<PathBuf>)> {
    let system = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib"];
    let mut found: Vec<_> = system.iter().flat_map(|folder| libraries(Path::new(folder))).map(|library| (library, None)).collect();
    let root = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let root = root.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".pyenv")));
    let versions = root.and_then(|root| std::fs::read_dir(root.join("versions")).ok()).into_iter().flatten();
    for home in versions.filter_map(|entry| Some(entry.ok()?.path())) {
        found.extend(libraries(&home.join("lib")).map(|library| (library, Some(home.clone()))));
    }
    found.sort();
    found
}

fn libraries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    entries.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let minor =
            name.strip_prefix("libpython3.").and_then(|rest| rest.strip_suffix(".so.1.0")).and_then(|minor| minor.parse::<u32>().ok());
        minor.is_some_and(|minor| minor >= 10)
    })
}

/// What a program writes until it ends, for which it has so much time.
pub(crate) fn output_within(mut program: Command, time: Duration) -> Output {
    let child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the test can start itself");
    let pid = child.id().to_string();
    let (ended, wait) = std::sync::mpsc::channel();
    let watch = std::thread::spawn(move || {
        if wait.recv_timeout(time).is_err() {
            // SIGABRT: a core or a debugger shows where it hangs.
            let _gone = Command::new("kill").args(["-ABRT", &pid]).status();
        }
    });
    let output = child.wait_with_output().expect("a child can be waited for");
    let _too_late = ended.send(());
    watch.join().expect("the watch does not panic");
    output
}

/// The host, loaded and started.
pub(crate) struct Driver {
    table: &'static HostTable,
    folder: PathBuf,
}

/// A request to be served.
#[derive(Clone)]
pub(crate) struct Request {
    script: String,
    group: String,
    pairs: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    body_error: Option<String>,
    https: bool,
    head_only: bool,
    reloading: bool,
    client_leaves: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) outcome: c_int,
    pub(crate) status: u16,
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// How long the body was at each flush.
    pub(crate) flushes: Vec<usize>,
    /// Offsets and lengths of files that were passed.
    pub(crate) files: Vec<(u64, u64)>,
    pub(crate) log: Vec<(u8, String)>,
}

impl Answer {
    pub(crate) fn body(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn octets(&self) -> &[u8] {
        &self.body
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn lines_with(&self, text: &str) -> usize {
        self.log.iter().filter(|(_, line)| line.contains(text)).count()
    }
}

impl Request {
    /// A request for one of the scripts beside the driver.
    pub(crate) fn new(script: &str) -> Self {
        Self::at(&format!("{}/tests/scripts/{script}", env!("CARGO_MANIFEST_DIR")))
    }

    /// A request for a script anywhere, by its path.
    pub(crate) fn at(script: &str) -> Self {
        Self {
            script: script.to_owned(),
            group: String::new(),
            pairs: Vec::new(),
            body: Vec::new(),
            body_error: None,
            https: false,
            head_only: false,
            reloading: true,
            client_leaves: false,
        }
    }

    pub(crate) fn group(mut self, group: &str) -> Self {
        self.group = group.to_owned();
        self
    }

    pub(crate) fn pair(mut self, name: &str, value: &[u8]) -> Self {
        self.pairs.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_owned();
        self
    }

    pub(crate) fn failing_body(mut self, reason: &str) -> Self {
        self.body_error = Some(reason.to_owned());
        self
    }

    pub(crate) fn https(mut self) -> Self {
        self.https = true;
        self
    }

    pub(crate) fn head_only(mut self) -> Self {
        self.head_only = true;
        self
    }

    pub(crate) fn without_reloading(mut self) -> Self {
        self.reloading = false;
        self
    }

    pub(crate) fn client_leaves(mut self) -> Self {
        self.client_leaves = true;
        self
    }
}

/// A request while the host serves it.
struct Running {
    request: Request,
    read: usize,
    answer: Answer,
}

/// The log of the process.
static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn log_of_process() -> MutexGuard<'static, Vec<String>> {
    LOG.lock().expect("nobody panics while holding the log")
}

impl Driver {
    /// Loads the Python that the environment names, and the host into it.
    pub(crate) fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("mod_wsgi_driver.{}", std::process::id()));
        std::fs::create_dir_all(folder.join("library/nested")).expect("a temporary folder can be made");
        std::fs::write(folder.join("library/more.pth"), "nested\n").expect("a file can be written");
        open(Path::new(&std::env::var_os(LIBRARY).expect("the parent says which")));
        let library = open(Path::new(&std::env::var_os(HOST).expect("the parent says where")));
        let settings = EmbeddedSettings { python: settings(&folder), imports: Vec::new(), log_level: 7 };
        let octets = wire::control::encode(&settings).expect("short settings");
        // SAFETY: the host exports this symbol with this type, and the octets are live for the call.
        let table = unsafe {
            let entry = libc::dlsym(library, host::ENTRY.as_ptr());
            assert!(!entry.is_null(), "the host exports its entry");
            let table = std::mem::transmute::<*mut c_void, Entry>(entry)(&raw const TABLE).as_ref().expect("the versions fit");
            assert_eq!((table.start)(octets.as_ptr(), octets.len()), 0, "Python starts: {:?}", log_of_process());
            table
        };
        Self { table, folder }
    }

    /// Writes a file and gives its path.
    pub(crate) fn file(&self, name: &str, contents: &[u8]) -> String {
        let path = self.folder.join(name);
        std::fs::write(&path, contents).expect("a file can be written");
        path.to_str().expect("a temporary folder has a plain name").to_owned()
    }

    /// Serves a request on the calling thread.
    pub(crate) fn serve(&self, request: &Request) -> Answer {
        let mut pairs: Vec<(&str, &[u8])> = vec![
            ("REQUEST_METHOD", b"GET"),
            ("PATH_INFO", b""),
            ("QUERY_STRING", b""),
            ("DOCUMENT_ROOT", "/srv/caf\u{e9}".as_bytes()),
            ("mod_wsgi.request_id", b"request-id"),
            ("mod_wsgi.server_pid", b"4711"),
        ];
        pairs.extend(request.pairs.iter().map(|(name, value)| (name.as_str(), value.as_slice())));
        let head = RequestHead {
            secret: [0; 16],
            deadline: None,
            script: request.script.as_bytes(),
            callable: b"application",
            application_group: request.group.as_bytes(),
            filename: b"/file",
            script_reloading: request.reloading,
            script_modified: 0,
            fold_case: false,
            ignore_activity: false,
            https: request.https,
            header_only: request.head_only,
            wants_times: false,
            body: Body::Sent,
            request_start: 1_234_567_500_000,
            queue_start: 0,
            apache_version: (2, 4, 71),
            environ: pairs.into_iter().map(|(name, value)| Pair { name: name.as_bytes(), value }).collect(),
        };
        let octets = head.encode_onto(Vec::new());
        let mut running = Running { request: request.clone(), read: 0, answer: Answer::default() };
        // SAFETY: the request and the octets are live for the call.
        let outcome = unsafe { (self.table.serve)((&raw mut running).cast(), octets.as_ptr(), octets.len()) };
        Answer { outcome, ..running.answer }
    }

    /// Ends Python; gives what a file contains afterwards, and the log of the process.
    pub(crate) fn stop(&self, name: &str) -> (String, Vec<String>) {
        // SAFETY: nothing else is called afterwards.
        unsafe { (self.table.stop)() };
        let note = std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        std::fs::remove_dir_all(&self.folder).expect("our folder can be removed");
        (note, log_of_process().clone())
    }
}

fn settings(folder: &Path) -> Python {
    let octets = |path: PathBuf| path.into_os_string().into_encoded_bytes().into();
    Python {
        home: std::env::var_os(HOME).map(|home| octets(PathBuf::from(home))),
        path: vec![octets(folder.join("library"))],
        eggs: None,
        optimize: 0,
        dont_write_bytecode: true,
        warnings: vec![String::from("ignore::ImportWarning")],
        hash_seed: Some(String::from("random")),
        switch_interval: Some(0.002),
        restrict_stdin: true,
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
            description: String::from("Apache/2.4.71"),
            mpm_name: String::from("event"),
            build_date: String::new(),
            maximum_processes: 1,
            threads_per_process: 8,
        },
    }
}

fn open(path: &Path) -> *mut c_void {
    let name = CString::new(path.as_os_str().as_encoded_bytes()).expect("a path has no NUL");
    // SAFETY: both libraries are made to be loaded; they stay until the process ends.
    let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL | libc::RTLD_NODELETE) };
    // SAFETY: dlerror gives a string after a failure.
    assert!(!library.is_null(), "{}", unsafe { CStr::from_ptr(libc::dlerror()) }.to_string_lossy());
    library
}

static TABLE: ServerTable = ServerTable {
    version: TABLE_VERSION,
    size: size_of::<ServerTable>() as u32,
    read,
    send_head,
    send,
    send_file,
    log,
    log_at,
    scoreboard,
    answer,
    ssl_variable,
    request_record,
};

/// # Safety
///
/// `request` is what `serve` gave, within that call.
unsafe fn running<'a>(request: RequestPointer) -> &'a mut Running {
    // SAFETY: the caller says so, and the host uses a request from one thread at a time.
    unsafe { &mut *request.cast() }
}

unsafe extern "C" fn read(request: RequestPointer, buffer: *mut u8, length: usize, reason: *mut c_char, reason_length: usize) -> isize {
    // SAFETY: the host lends buffers of these lengths.
    unsafe {
        let running = running(request);
        let rest = &running.request.body[running.read..];
        if let (true, Some(text)) = (rest.is_empty(), &running.request.body_error) {
            assert!(text.len() < reason_length);
            std::ptr::copy_nonoverlapping(text.as_ptr().cast(), reason, text.len());
            reason.add(text.len()).write(0);
            return -1;
        }
        // Pieces of odd sizes, as a network gives them.
        let count = rest.len().min(length).min(1 + running.read % 4099);
        std::ptr::copy_nonoverlapping(rest.as_ptr(), buffer, count);
        running.read += count;
        count as isize
    }
}

unsafe extern "C" fn send_head(request: RequestPointer, head: *const u8, length: usize) -> c_int {
    // SAFETY: the host lends octets of this length.
    let (running, head) = unsafe { (running(request), std::slice::from_raw_parts(head, length)) };
    let head = ResponseHead::decode(head).expect("the host sends heads");
    let latin1 = |octets: &[u8]| octets.iter().copied().map(char::from).collect::<String>();
    running.answer.status = head.status;
    running.answer.line = latin1(head.line);
    running.answer.headers = head.headers.iter().map(|pair| (latin1(pair.name), latin1(pair.value))).collect();
    0
}

unsafe extern "C" fn send(request: RequestPointer, octets: *const u8, length: usize, flush: c_int) -> c_int {
    // SAFETY: the host lends octets of this length.
    let (running, octets) = unsafe { (running(request), if length == 0 { &[] } else { std::slice::from_raw_parts(octets, length) }) };
    if running.request.client_leaves {
        return 1;
    }
    running.answer.body.extend_from_slice(octets);
    if flush != 0 {
        running.answer.flushes.push(running.answer.body.len());
    }
    0
}

unsafe extern "C" fn send_file(request: RequestPointer, _fd: c_int, offset: u64, length: u64) -> c_int {
    // SAFETY: the host gives us our request.
    unsafe { running(request) }.answer.files.push((offset, length));
    0
}

unsafe extern "C" fn log_at(request: RequestPointer, level: u8, text: *const u8, length: usize, _file: *const c_char, _line: u32) {
    // SAFETY: the host calls this as it calls `log`.
    unsafe { log(request, level, text, length) }
}

unsafe extern "C" fn scoreboard(_taker: *mut c_void, _take: TakeOctets) {}

unsafe extern "C" fn log(request: RequestPointer, level: u8, text: *const u8, length: usize) {
    // SAFETY: the host lends octets of this length, and gives us our request or null.
    unsafe {
        let text = String::from_utf8_lossy(std::slice::from_raw_parts(text, length)).into_owned();
        if request.is_null() {
            log_of_process().push(text);
        } else {
            running(request).answer.log.push((level, text));
        }
    }
}

unsafe extern "C" fn answer(_request: RequestPointer, _octets: *const u8, _length: usize) {}

unsafe extern "C" fn ssl_variable(_request: RequestPointer, _name: *const u8, _length: usize, _value_length: *mut usize) -> *const u8 {
    std::ptr::null()
}

unsafe extern "C" fn request_record(_request: RequestPointer) -> *mut c_void {
    std::ptr::null_mut()
}
