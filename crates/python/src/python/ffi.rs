//! What is called of CPython: the stable ABI by its names, and the rest by lookup.
//!
//! One file serves every CPython from 3.10 on, so a symbol that some version lacks must not be bound when the file is loaded.
//! See <https://docs.python.org/3/c-api/stable.html>. A free-threaded CPython has another layout of objects, and no stable ABI before
//! 3.15: for each such version the crate is compiled once more (`cfg(Py_GIL_DISABLED)`), and uses what only that ABI has.

pub(super) use pyo3_ffi::*;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;

/// Looks up a symbol of the running CPython.
fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the name is NUL-terminated, and RTLD_DEFAULT asks for no handle that could be closed.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!address.is_null()).then_some(address)
}

macro_rules! looked_up {
    ($($(#[$doc:meta])* $getter:ident = $name:literal : fn($($argument:ty),*) $(-> $result:ty)?;)*) => {$(
        $(#[$doc])*
        pub(super) fn $getter() -> Option<unsafe extern "C" fn($($argument),*) $(-> $result)?> {
            // SAFETY: a symbol of this name is CPython's function, and the type is the one its headers declare.
            symbol($name).map(|address| unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) $(-> $result)?>(address) })
        }
    )*};
}

/// CPython's opaque `PyInitConfig`.
#[repr(C)]
pub(super) struct InitConfig {
    _opaque: [u8; 0],
}

/// CPython's `PyInterpreterConfig`, 3.12 and later.
#[repr(C)]
pub(super) struct InterpreterConfig {
    use_main_obmalloc: c_int,
    allow_fork: c_int,
    allow_exec: c_int,
    allow_threads: c_int,
    allow_daemon_threads: c_int,
    check_multi_interp_extensions: c_int,
    gil: c_int,
}

/// CPython's `PyStatus`.
#[repr(C)]
pub(super) struct Status {
    kind: c_int,
    function: *const c_char,
    message: *const c_char,
    exit_code: c_int,
}

/// `PyInterpreterConfig_OWN_GIL`.
const OWN_GIL: c_int = 2;

/// A new interpreter with a lock of its own, as `Py_NewInterpreter` makes one that shares it; null when CPython cannot.
///
/// # Safety
///
/// As for `Py_NewInterpreter`: a thread state of the main interpreter is current.
pub(super) unsafe fn new_interpreter_with_own_gil() -> *mut PyThreadState {
    let Some(create) = new_interpreter_from_config() else { return std::ptr::null_mut() };
    let config = InterpreterConfig {
        use_main_obmalloc: 0,
        allow_fork: 0,
        allow_exec: 0,
        allow_threads: 1,
        allow_daemon_threads: 0,
        check_multi_interp_extensions: 1,
        gil: OWN_GIL,
    };
    let mut state = std::ptr::null_mut();
    // SAFETY: by this function's contract; CPython reads the configuration and writes the state, null on failure.
    let status = unsafe { create(&raw mut state, &raw const config) };
    if status.kind == 0 { state } else { std::ptr::null_mut() }
}

looked_up! {
    /// 3.12 and later; not of the stable ABI, with the same types in every version so far.
    new_interpreter_from_config = c"Py_NewInterpreterFromConfig": fn(*mut *mut PyThreadState, *const InterpreterConfig) -> Status;
    /// 3.14 and later.
    init_config_create = c"PyInitConfig_Create": fn() -> *mut InitConfig;
    /// 3.14 and later.
    init_config_free = c"PyInitConfig_Free": fn(*mut InitConfig);
    /// 3.14 and later.
    init_config_set_int = c"PyInitConfig_SetInt": fn(*mut InitConfig, *const c_char, i64) -> c_int;
    /// 3.14 and later.
    init_config_set_str = c"PyInitConfig_SetStr": fn(*mut InitConfig, *const c_char, *const c_char) -> c_int;
    /// 3.14 and later.
    init_config_set_str_list = c"PyInitConfig_SetStrList": fn(*mut InitConfig, *const c_char, usize, *const *const c_char) -> c_int;
    /// 3.14 and later.
    init_config_get_error = c"PyInitConfig_GetError": fn(*mut InitConfig, *mut *const c_char) -> c_int;
    /// 3.14 and later.
    initialize_from_init_config = c"Py_InitializeFromInitConfig": fn(*mut InitConfig) -> c_int;
    /// Deprecated, to be removed at some time.
    set_program_name = c"Py_SetProgramName": fn(*const libc::wchar_t);
    /// Deprecated, to be removed at some time.
    set_python_home = c"Py_SetPythonHome": fn(*const libc::wchar_t);
    /// Not of the stable ABI, exported by every version.
    interpreter_thread_head = c"PyInterpreterState_ThreadHead": fn(*mut PyInterpreterState) -> *mut PyThreadState;
    /// Not of the stable ABI, exported by every version.
    thread_state_next = c"PyThreadState_Next": fn(*mut PyThreadState) -> *mut PyThreadState;
}

/// Whether this host was compiled for a free-threaded CPython. Whether that runs without its lock is another question.
pub(super) const FREE_THREADED: bool = cfg!(Py_GIL_DISABLED);

/// A new reference to an item of a dict; null with an exception on failure, without one when it is not there.
///
/// # Safety
///
/// Both are live objects, and a thread state of the calling thread is current.
#[cfg(not(Py_GIL_DISABLED))]
pub(super) unsafe fn dict_item(dict: *mut PyObject, key: *mut PyObject) -> *mut PyObject {
    // SAFETY: by this function's contract; nobody else can take the borrowed reference away before it is ours.
    unsafe {
        let item = PyDict_GetItemWithError(dict, key);
        Py_XINCREF(item);
        item
    }
}

/// A new reference to an item of a dict; null with an exception on failure, without one when it is not there.
///
/// # Safety
///
/// Both are live objects, and a thread state of the calling thread is current.
#[cfg(Py_GIL_DISABLED)]
pub(super) unsafe fn dict_item(dict: *mut PyObject, key: *mut PyObject) -> *mut PyObject {
    let mut item = std::ptr::null_mut();
    // SAFETY: by this function's contract; the item is written before the call returns, null where there is none.
    unsafe { PyDict_GetItemRef(dict, key, &raw mut item) };
    item
}

/// Says that a module needs no lock, where that is a question: otherwise its import would switch the lock on.
///
/// # Safety
///
/// `module` is null or a live module, and a thread state of the calling thread is current.
pub(super) unsafe fn needs_no_lock(module: *mut PyObject) {
    #[cfg(Py_GIL_DISABLED)]
    if !module.is_null() {
        // SAFETY: by this function's contract. It fails only for what is no module.
        unsafe { PyUnstable_Module_SetGIL(module, Py_MOD_GIL_NOT_USED) };
    }
    #[cfg(not(Py_GIL_DISABLED))]
    let _ = module;
}

/// Whether a thread state of the calling thread is current.
pub(super) fn is_attached() -> bool {
    type Current = unsafe extern "C" fn() -> *mut PyThreadState;
    static CURRENT: OnceLock<Option<Current>> = OnceLock::new();
    let current = CURRENT.get_or_init(|| {
        // It was made public, and got another name, in 3.13.
        let address = symbol(c"PyThreadState_GetUnchecked").or_else(|| symbol(c"_PyThreadState_UncheckedGet"))?;
        // SAFETY: a symbol of either name is CPython's function of this type.
        Some(unsafe { std::mem::transmute::<*mut c_void, Current>(address) })
    });
    // SAFETY: it may be called at any time.
    current.is_none_or(|current| !unsafe { current() }.is_null())
}

/// Writes one of the deprecated global configuration variables, such as `Py_OptimizeFlag`; `false` when this version has none.
///
/// # Safety
///
/// `name` names an `int` variable of CPython, and CPython is not initialised yet.
pub(super) unsafe fn set_global_flag(name: &CStr, value: c_int) -> bool {
    let Some(address) = symbol(name) else { return false };
    // SAFETY: the caller says that the symbol is an int, and nobody reads it before the initialisation.
    unsafe { address.cast::<c_int>().write(value) };
    true
}
