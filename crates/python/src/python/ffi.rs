//! What is called of CPython: the stable ABI by its names, and the rest by lookup.
//!
//! One file serves every CPython from 3.10 on, so a symbol that some version lacks must not be bound when the file is loaded.
//! See <https://docs.python.org/3/c-api/stable.html>.

pub(super) use pyo3_ffi::*;

use std::ffi::{CStr, c_char, c_int, c_void};

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

looked_up! {
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
