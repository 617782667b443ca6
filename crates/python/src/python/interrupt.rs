//! Raising an exception in another thread.
//!
//! See <https://docs.python.org/3/c-api/init.html#c.PyThreadState_SetAsyncExc>.

use super::Attached;
use super::ffi;
use super::object::Object;
use std::ffi::c_long;
use std::ptr;

/// A thread as Python numbers it, in `threading.get_ident()` for instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadIdent(std::ffi::c_ulong);

impl ThreadIdent {
    /// The number.
    pub(crate) fn number(self) -> i64 {
        self.0.cast_signed()
    }

    /// As the function wants it whose declaration forgets that it has no sign.
    fn raw(self) -> c_long {
        self.0.cast_signed()
    }
}

impl Attached<'_> {
    /// The calling thread.
    pub(crate) fn thread_ident(self) -> ThreadIdent {
        // SAFETY: asks the system who we are.
        ThreadIdent(unsafe { ffi::PyThread_get_thread_ident() })
    }

    /// Raises an exception of `class` in another thread, at its next step in this interpreter. What is raised there already and was not
    /// met yet is replaced.
    pub(crate) fn raise_in(self, thread: ThreadIdent, class: &Object) {
        // SAFETY: the class is live, we are inside, and CPython takes a reference of its own; a thread that it does not know is no
        // error.
        unsafe { ffi::PyThreadState_SetAsyncExc(thread.raw(), class.as_ptr()) };
    }

    /// Takes back what was raised in the calling thread and was not met yet.
    pub(crate) fn forget_raised(self) {
        // SAFETY: null takes back, and we are inside.
        unsafe { ffi::PyThreadState_SetAsyncExc(self.thread_ident().raw(), ptr::null_mut()) };
    }
}
