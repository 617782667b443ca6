//! A bytes object that is filled before anybody sees it, so that what is read need not be copied into it.

use super::Attached;
use super::error::Exception;
use super::ffi;
use super::object::Object;
use std::ptr;

/// A bytes object whose octets are still to come.
///
/// # Invariants
///
/// Nobody else has the object, whose octets begin at `start` and are `capacity`. The first `filled` of them are written, and those up to
/// `cleared` have been given a value.
pub(crate) struct Blank {
    object: Object,
    start: *mut u8,
    capacity: usize,
    filled: usize,
    cleared: usize,
}

// SAFETY: the pointer leads into the object, which nobody else has; what is written there needs no interpreter.
unsafe impl Send for Blank {}

impl Attached<'_> {
    /// Room for so many octets, which are to become a bytes object.
    pub(crate) fn blank(self, capacity: usize) -> Result<Blank, Exception> {
        let size = ffi::Py_ssize_t::try_from(capacity).unwrap_or(ffi::Py_ssize_t::MAX);
        // SAFETY: without a source the octets are left as they are; a new reference comes back, and the octets of a bytes object stay
        // where they are as long as it lives.
        unsafe {
            let object = Object::from_new(self, ffi::PyBytes_FromStringAndSize(ptr::null(), size))?;
            let start = ffi::PyBytes_AsString(object.as_ptr()).cast::<u8>();
            // INVARIANT: the object is new.
            Ok(Blank { object, start, capacity, filled: 0, cleared: 0 })
        }
    }
}

impl Blank {
    /// At most `most` octets to be written next; empty when all are.
    pub(crate) fn room(&mut self, most: usize) -> &mut [u8] {
        let length = most.min(self.capacity - self.filled);
        let end = self.filled + length;
        // SAFETY: by the invariant these octets are within the object and nobody else's; each has a value before it is lent. Once is
        // enough: a reader that is lent much and writes little is lent the rest again.
        unsafe {
            if self.cleared < end {
                self.start.add(self.cleared).write_bytes(0, end - self.cleared);
                // INVARIANT: they have a value now.
                self.cleared = end;
            }
            std::slice::from_raw_parts_mut(self.start.add(self.filled), length)
        }
    }

    /// Says that so many octets of the last [`Blank::room`] were written.
    pub(crate) fn wrote(&mut self, octets: usize) {
        self.filled = self.cleared.min(self.filled + octets);
    }

    /// Whether no octet is missing.
    pub(crate) fn is_full(&self) -> bool {
        self.filled == self.capacity
    }

    /// How many octets are written.
    pub(crate) fn len(&self) -> usize {
        self.filled
    }

    /// What is written so far.
    pub(crate) fn octets(&self) -> &[u8] {
        // SAFETY: by the invariant these octets are written.
        unsafe { std::slice::from_raw_parts(self.start, self.filled) }
    }

    /// The bytes object of what is written.
    pub(crate) fn finish(self, py: Attached<'_>) -> Result<Object, Exception> {
        if self.is_full() { Ok(self.object) } else { py.bytes(self.octets()) }
    }
}
