//! `PyInit_mod_wsgi_python`: what makes the host an extension module that a worker's Python imports.
//!
//! See <https://docs.python.org/3/extending/extending.html#the-module-s-method-table-and-initialization-function>.

use super::class::guard;
use super::ffi;
use std::ptr;

/// A static that CPython writes to when it imports the module.
#[repr(transparent)]
struct Static<T>(std::cell::UnsafeCell<T>);

// SAFETY: only CPython touches the contents, and it imports a module under a lock.
unsafe impl<T> Sync for Static<T> {}

static METHODS: Static<[ffi::PyMethodDef; 2]> = Static(std::cell::UnsafeCell::new([
    ffi::PyMethodDef {
        ml_name: c"run".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: run },
        ml_flags: ffi::METH_NOARGS,
        ml_doc: ptr::null(),
    },
    ffi::PyMethodDef::zeroed(),
]));

static MODULE: Static<ffi::PyModuleDef> = Static(std::cell::UnsafeCell::new(ffi::PyModuleDef {
    m_base: ffi::PyModuleDef_HEAD_INIT,
    m_name: c"mod_wsgi_python".as_ptr(),
    m_doc: ptr::null(),
    m_size: -1,
    m_methods: METHODS.0.get().cast(),
    m_slots: ptr::null_mut(),
    m_traverse: None,
    m_clear: None,
    m_free: None,
}));

/// Makes the extension module `mod_wsgi_python`.
///
/// # Safety
///
/// CPython calls it, once, to import the module.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn PyInit_mod_wsgi_python() -> *mut ffi::PyObject {
    // SAFETY: the definition is static, and CPython is inside an interpreter when it imports.
    unsafe {
        let module = ffi::PyModule_Create2(MODULE.0.get(), ffi::PYTHON_ABI_VERSION);
        ffi::needs_no_lock(module);
        module
    }
}

/// `mod_wsgi_python.run()`: is a worker until it is to end, and returns the exit status.
unsafe extern "C" fn run(_module: *mut ffi::PyObject, _nothing: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: CPython calls us inside an interpreter.
    unsafe { guard(ptr::null_mut(), |py| Ok(py.int(i64::from(crate::worker::run(py)))?.into_ptr())) }
}
