//! APR's tables: headers, environments, notes. Names are compared without regard to case.

use super::ffi;
use super::pool::{self, c_string};
use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// A table, lent for `'t`.
#[derive(Clone, Copy)]
pub(crate) struct Table<'t> {
    raw: NonNull<ffi::apr_table_t>,
    lent: PhantomData<&'t ()>,
}

impl<'t> Table<'t> {
    /// Lends a table.
    ///
    /// # Safety
    /// `raw` is a live table within `'t`, used by this thread only.
    pub(super) unsafe fn lend(raw: *mut ffi::apr_table_t) -> Self {
        Self { raw: NonNull::new(raw).expect("httpd's tables exist"), lent: PhantomData }
    }

    /// The first value of a name.
    pub(crate) fn get(self, name: &CStr) -> Option<&'t [u8]> {
        // SAFETY: the table is live; values are pool strings, which live as long as the table.
        unsafe { pool::octets(ffi::apr_table_get(self.raw.as_ptr(), name.as_ptr())) }
    }

    /// Sets a name to one value, which is copied.
    pub(crate) fn set(self, name: &[u8], value: &[u8]) {
        // SAFETY: the table is live; APR copies both strings.
        unsafe { ffi::apr_table_set(self.raw.as_ptr(), c_string(name).as_ptr(), c_string(value).as_ptr()) }
    }

    /// Adds a value, beside others of the name; it is copied.
    pub(crate) fn add(self, name: &[u8], value: &[u8]) {
        // SAFETY: as in `set`.
        unsafe { ffi::apr_table_add(self.raw.as_ptr(), c_string(name).as_ptr(), c_string(value).as_ptr()) }
    }

    /// Removes every value of a name.
    pub(crate) fn unset(self, name: &[u8]) {
        // SAFETY: as in `set`.
        unsafe { ffi::apr_table_unset(self.raw.as_ptr(), c_string(name).as_ptr()) }
    }

    /// Every name and value, in order. The table must not be changed meanwhile: collect what is to be removed.
    pub(crate) fn iter(self) -> impl Iterator<Item = (&'t [u8], &'t [u8])> {
        // SAFETY: the table is live, and its array has `nelts` entries. The entries are read at once into the slice's view, whose
        // strings are pool strings; `apr_table_*` may move the array, which callers are told not to provoke.
        let entries = unsafe {
            let array = &*ffi::apr_table_elts(self.raw.as_ptr());
            let count = usize::try_from(array.nelts).unwrap_or(0);
            if count == 0 || array.elts.is_null() {
                &[][..]
            } else {
                std::slice::from_raw_parts(array.elts.cast::<ffi::apr_table_entry_t>(), count)
            }
        };
        entries.iter().filter_map(|entry| {
            // SAFETY: keys and values are strings of the table's pool, or null.
            unsafe { Some((pool::octets(entry.key)?, pool::octets(entry.val).unwrap_or(b""))) }
        })
    }
}
