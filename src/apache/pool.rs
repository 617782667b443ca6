//! APR's pools: memory and values that end together.

use super::ffi;
use std::ffi::{CStr, CString, c_char, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// A pool, lent for `'p`.
#[derive(Clone, Copy)]
pub(crate) struct Pool<'p> {
    raw: NonNull<ffi::apr_pool_t>,
    lent: PhantomData<&'p ()>,
}

impl<'p> Pool<'p> {
    /// Lends a pool.
    ///
    /// # Safety
    /// `raw` is a live pool, which is not cleared within `'p`.
    pub(super) unsafe fn lend(raw: *mut ffi::apr_pool_t) -> Self {
        Self { raw: NonNull::new(raw).expect("httpd gives a pool"), lent: PhantomData }
    }

    /// As C wants it.
    pub(super) fn raw(self) -> *mut ffi::apr_pool_t {
        self.raw.as_ptr()
    }

    /// A copy of `octets` in the pool, ended by NUL; what follows a NUL within is left out.
    pub(crate) fn string(self, octets: &[u8]) -> &'p CStr {
        let end = octets.iter().position(|octet| *octet == 0).unwrap_or(octets.len());
        // SAFETY: the pool is live, and `end` octets may be read; APR gives a copy with a NUL that lives as long as the pool.
        unsafe { CStr::from_ptr(ffi::apr_pstrmemdup(self.raw(), octets.as_ptr().cast(), end)) }
    }

    /// Gives a value to the pool, which drops it when it is cleared.
    pub(super) fn own<T>(self, value: T) -> *mut T {
        unsafe extern "C" fn drop_value<T>(value: *mut c_void) -> ffi::apr_status_t {
            super::boundary::guard((), || {
                // SAFETY: `own` registered this function with a pointer from Box::into_raw, and APR calls a cleanup once.
                drop(unsafe { Box::from_raw(value.cast::<T>()) });
            });
            0
        }
        let value = Box::into_raw(Box::new(value));
        // SAFETY: the pool is live; the function fits the value.
        unsafe { ffi::apr_pool_cleanup_register(self.raw(), value.cast(), Some(drop_value::<T>), Some(ffi::apr_pool_cleanup_null)) };
        value
    }

    /// Runs `action` when the pool is cleared.
    pub(crate) fn at_end(self, action: impl FnOnce() + 'static) {
        struct AtEnd<F: FnOnce()>(Option<F>);
        impl<F: FnOnce()> Drop for AtEnd<F> {
            fn drop(&mut self) {
                if let Some(action) = self.0.take() {
                    action();
                }
            }
        }
        self.own(AtEnd(Some(action)));
    }
}

/// C's string as octets, `None` for a null pointer.
///
/// # Safety
/// `string` is null or ended by NUL, and unchanged within `'s`.
pub(super) unsafe fn octets<'s>(string: *const c_char) -> Option<&'s [u8]> {
    // SAFETY: by this function's contract.
    (!string.is_null()).then(|| unsafe { CStr::from_ptr(string) }.to_bytes())
}

/// A C string of `octets` up to their first NUL.
pub(crate) fn c_string(octets: &[u8]) -> CString {
    let end = octets.iter().position(|octet| *octet == 0).unwrap_or(octets.len());
    CString::new(&octets[..end]).expect("cut before the first NUL")
}
