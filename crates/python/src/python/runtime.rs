//! CPython's start and end in this process.

use super::error::Exception;
use super::ffi;
use super::interpreter::{EndError, Interpreter};
use super::object::Object;
use super::thread::{self, Attached};
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

/// What CPython is told at its start.
#[derive(Debug, Default)]
pub(crate) struct StartSettings {
    /// Where Python is.
    pub(crate) location: Location,
    /// 0, 1 or 2.
    pub(crate) optimize: u8,
    /// Whether no `.pyc` files are written.
    pub(crate) dont_write_bytecode: bool,
    /// Warning filters, in order.
    pub(crate) warnings: Vec<String>,
    /// `random`, a number, or unset.
    pub(crate) hash_seed: Option<String>,
    /// Whether a free-threaded CPython runs without its lock.
    pub(crate) free_threading: bool,
}

/// Where Python's library is looked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Location {
    /// Where libpython was built to find it.
    #[default]
    BuiltIn,
    /// By the path of an executable: also how Python finds a virtual environment.
    Executable(PathBuf),
    /// By a prefix.
    Prefix(PathBuf),
}

impl Location {
    /// What a home, as in `WSGIPythonHome`, is: an executable, a virtual environment, or a prefix.
    pub(crate) fn of_home(home: &Path) -> Self {
        if home.is_file() {
            Self::Executable(home.to_path_buf())
        } else if home.join("pyvenv.cfg").is_file() {
            Self::Executable(home.join("bin/python"))
        } else {
            Self::Prefix(home.to_path_buf())
        }
    }
}

/// CPython could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// Somebody else runs Python in this process.
    #[error("Python already runs in this process, started by another module")]
    AlreadyRunning,
    /// A path has an octet that no path can have.
    #[error("a setting for Python contains a NUL octet")]
    Nul,
    /// CPython says why.
    #[error("Python could not be initialised: {0}")]
    Refused(String),
    /// CPython has no function to be told this.
    #[error("this version of Python cannot be told where its library is")]
    NoLocation,
}

/// The version of the running CPython, major and minor.
pub(crate) fn version() -> (u32, u32) {
    static VERSION: OnceLock<(u32, u32)> = OnceLock::new();
    *VERSION.get_or_init(|| {
        // SAFETY: Py_GetVersion gives a static string, at any time.
        let text = unsafe { CStr::from_ptr(ffi::Py_GetVersion()) }.to_string_lossy().into_owned();
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
        (numbers.next().unwrap_or(3), numbers.next().unwrap_or(10))
    })
}

/// Whether this is the host for a free-threaded CPython, which may run with its lock nevertheless.
pub(crate) fn is_free_threaded() -> bool {
    ffi::FREE_THREADED
}

/// Adopts the running CPython of a process that has imported us: the calling thread is inside the main interpreter.
pub(crate) fn adopt(py: Attached<'_>) -> Arc<Interpreter> {
    // SAFETY: the token says that a thread state is current, so both functions give live pointers.
    let (raw, state) = unsafe { (NonNull::new(ffi::PyInterpreterState_Get()), NonNull::new(ffi::PyThreadState_Get())) };
    let (raw, state) = (raw.expect("an attached thread has an interpreter"), state.expect("an attached thread has a state"));
    let interpreter = Interpreter::main(raw, state);
    thread::note_attached(py, state);
    interpreter
}

/// Starts CPython in this process; the calling thread becomes Python's main thread, and is outside when this returns.
pub(crate) fn start(settings: &StartSettings) -> Result<Arc<Interpreter>, StartError> {
    // SAFETY: may be called at any time.
    if unsafe { ffi::Py_IsInitialized() } != 0 {
        return Err(StartError::AlreadyRunning);
    }
    if ffi::init_config_create().is_some() { start_by_config(settings) } else { start_by_globals(settings) }?;
    // SAFETY: the initialisation leaves its thread state current; SaveThread leaves it.
    let (raw, state) = unsafe { (NonNull::new(ffi::PyInterpreterState_Get()), NonNull::new(ffi::PyEval_SaveThread())) };
    let (raw, state) = (raw.expect("Python is initialised"), state.expect("Python is initialised"));
    Ok(Interpreter::main(raw, state))
}

/// CPython 3.14 and later.
fn start_by_config(settings: &StartSettings) -> Result<(), StartError> {
    let (Some(create), Some(free), Some(initialize), Some(error)) =
        (ffi::init_config_create(), ffi::init_config_free(), ffi::initialize_from_init_config(), ffi::init_config_get_error())
    else {
        return Err(StartError::NoLocation);
    };
    let (Some(set_int), Some(set_str), Some(set_list)) =
        (ffi::init_config_set_int(), ffi::init_config_set_str(), ffi::init_config_set_str_list())
    else {
        return Err(StartError::NoLocation);
    };
    let (location, path) = match &settings.location {
        Location::BuiltIn => (None, CString::default()),
        Location::Executable(path) => (Some(c"executable"), c_string(path.as_os_str().as_bytes())?),
        Location::Prefix(path) => (Some(c"home"), c_string(path.as_os_str().as_bytes())?),
    };
    let warnings = settings.warnings.iter().map(|filter| c_string(filter.as_bytes())).collect::<Result<Vec<_>, _>>()?;
    let warnings: Vec<_> = warnings.iter().map(|filter| filter.as_ptr()).collect();
    // It begins as an isolated configuration; ours is that of the python command, but for signals and arguments.
    let mut numbers: Vec<(&CStr, i64)> = vec![
        (c"isolated", 0),
        (c"use_environment", 1),
        (c"user_site_directory", 1),
        (c"site_import", 1),
        (c"configure_locale", 1),
        (c"coerce_c_locale", 0),
        (c"parse_argv", 0),
        (c"install_signal_handlers", 0),
    ];
    if locale_is_c() {
        numbers.push((c"utf8_mode", 1));
    }
    if is_free_threaded() {
        numbers.push((c"enable_gil", i64::from(!settings.free_threading)));
    }
    if settings.optimize > 0 {
        numbers.push((c"optimization_level", i64::from(settings.optimize)));
    }
    if settings.dont_write_bytecode {
        numbers.push((c"write_bytecode", 0));
    }
    match settings.hash_seed.as_deref() {
        Some("random") => numbers.push((c"use_hash_seed", 0)),
        Some(seed) => numbers.extend([(c"use_hash_seed", 1), (c"hash_seed", seed.parse().unwrap_or(0))]),
        None => {}
    }
    // SAFETY: the configuration is made, filled and freed here; all strings are NUL-terminated and live until it is freed. The error's
    // text belongs to the configuration and is copied.
    unsafe {
        let config = create();
        if config.is_null() {
            return Err(StartError::Refused(String::from("out of memory")));
        }
        let mut failed = numbers.iter().any(|(name, value)| set_int(config, name.as_ptr(), *value) < 0);
        if let Some(name) = location {
            failed = failed || set_str(config, name.as_ptr(), path.as_ptr()) < 0;
        }
        if !warnings.is_empty() {
            failed = failed || set_list(config, c"warnoptions".as_ptr(), warnings.len(), warnings.as_ptr()) < 0;
        }
        failed = failed || initialize(config) < 0;
        let mut text = std::ptr::null();
        let reason = if failed && error(config, &raw mut text) == 1 && !text.is_null() {
            CStr::from_ptr(text).to_string_lossy().into_owned()
        } else {
            String::from("no reason given")
        };
        free(config);
        if failed { Err(StartError::Refused(reason)) } else { Ok(()) }
    }
}

/// CPython before 3.14: deprecated functions and variables, and the environment where there is neither.
fn start_by_globals(settings: &StartSettings) -> Result<(), StartError> {
    let (setter, path) = match &settings.location {
        Location::BuiltIn => (None, None),
        Location::Executable(path) => (Some(ffi::set_program_name().ok_or(StartError::NoLocation)?), Some(path)),
        Location::Prefix(path) => (Some(ffi::set_python_home().ok_or(StartError::NoLocation)?), Some(path)),
    };
    if let (Some(setter), Some(path)) = (setter, path) {
        let wide: Vec<libc::wchar_t> = path.to_string_lossy().chars().map(|c| c as libc::wchar_t).chain([0]).collect();
        if wide[..wide.len() - 1].contains(&0) {
            return Err(StartError::Nul);
        }
        // CPython keeps the pointer for as long as the process lives.
        // SAFETY: the string is NUL-terminated and never freed; Python is not initialised.
        unsafe { setter(Box::leak(wide.into_boxed_slice()).as_ptr()) };
    }
    // SAFETY: these are int variables of CPython, which is not initialised.
    unsafe {
        if settings.optimize > 0 {
            ffi::set_global_flag(c"Py_OptimizeFlag", i32::from(settings.optimize));
        }
        if settings.dont_write_bytecode {
            ffi::set_global_flag(c"Py_DontWriteBytecodeFlag", 1);
        }
        if locale_is_c() {
            // The python command does the same (PEP 540).
            ffi::set_global_flag(c"Py_UTF8Mode", 1);
        }
    }
    let warnings = if settings.warnings.is_empty() {
        None
    } else {
        let before = std::env::var("PYTHONWARNINGS").into_iter().filter(|filters| !filters.is_empty());
        Some(before.chain(settings.warnings.iter().cloned()).collect::<Vec<_>>().join(","))
    };
    let variables = [("PYTHONHASHSEED", settings.hash_seed.clone()), ("PYTHONWARNINGS", warnings)];
    let variables: Vec<_> = variables.into_iter().filter_map(|(name, value)| Some((name, value?, std::env::var_os(name)))).collect();
    // SAFETY: Python starts before this process has threads of its own, so nobody else reads the environment.
    unsafe {
        for (name, value, _) in &variables {
            std::env::set_var(name, value);
        }
        ffi::Py_InitializeEx(0);
        for (name, _, before) in &variables {
            match before {
                Some(value) => std::env::set_var(name, value),
                None => std::env::remove_var(name),
            }
        }
        // What os.environ has copied of them meanwhile is not to reach the application's children.
        let py = Attached::assume();
        let restored = variables.iter().try_for_each(|(name, _, before)| restore_variable(py, name, before.as_deref()));
        restored.map_err(|exception| StartError::Refused(exception.report(py).text))
    }
}

/// Gives a variable of `os.environ` the value it had before.
fn restore_variable(py: Attached<'_>, name: &str, before: Option<&OsStr>) -> Result<(), Exception> {
    let (environ, name) = (py.import(c"os")?.attr(py, c"environ")?, py.text(name)?);
    match before {
        Some(value) => environ.call_method(py, c"__setitem__", &[&name, &py.file_name(value.as_bytes())?]),
        None => environ.call_method(py, c"pop", &[&name, &py.none()]),
    }
    .map(drop)
}

/// Whether the environment chooses the C locale, in which the python command switches to UTF-8.
fn locale_is_c() -> bool {
    let chosen = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(std::env::var_os).find(|value| !value.is_empty());
    chosen.is_none_or(|value| value == "C" || value == "POSIX")
}

fn c_string(octets: &[u8]) -> Result<CString, StartError> {
    CString::new(octets).map_err(|_| StartError::Nul)
}

/// Ends CPython, after its sub-interpreters: joins the non-daemon threads, calls the `atexit` functions, frees everything. Where that
/// is impossible, the `atexit` functions are called all the same.
pub(crate) fn finalize(main: &Arc<Interpreter>, patience: Duration) -> Result<(), EndError> {
    let Some(state) = thread::state_for(main) else { return Err(EndError::Threads) };
    if let Err(error) = main.close(state, patience) {
        thread::with_state(main.line(), state, run_exit_functions);
        return Err(error);
    }
    // SAFETY: nobody visits the interpreter any more, and the state is the calling thread's own.
    unsafe {
        ffi::PyEval_RestoreThread(state.as_ptr());
        ffi::Py_FinalizeEx();
    }
    Ok(())
}

/// Waits for the non-daemon threads of the current interpreter, as its end would.
pub(super) fn join_threads(py: Attached<'_>) {
    // Once is enough: the second call, by Py_EndInterpreter, would trip over the first in some versions.
    const SOURCE: &str = include_str!("join_threads.py");
    ignore(run(py, SOURCE));
}

/// Calls the `atexit` functions of the current interpreter, where its regular end is impossible.
pub(crate) fn run_exit_functions(py: Attached<'_>) {
    ignore(run(py, "import atexit\natexit._run_exitfuncs()\n"));
}

fn run(py: Attached<'_>, source: &str) -> Result<Object, Exception> {
    let globals = py.dict()?;
    let code = py.compile(&py.text(source)?, &py.text("<mod_wsgi>")?)?;
    py.execute(&code, &globals)?;
    Ok(globals)
}

/// Nothing can be done about a failure at the end; Python has printed what its own functions met.
fn ignore(result: Result<Object, Exception>) {
    drop(result);
}
