//! The process's locale (setlocale(3)).

use std::ffi::CStr;

/// Sets every category to `name`. Returns whether the system has such a locale.
///
/// Called while the process starts: who formats numbers on another thread at the same time would see half of the change.
#[must_use]
pub fn set(name: &CStr) -> bool {
    // SAFETY: the name is a C string that lives for the call; the result is only compared.
    !unsafe { libc::setlocale(libc::LC_ALL, name.as_ptr()) }.is_null()
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_unknown_locale_is_told() {
        assert!(super::set(c"C"));
        assert!(!super::set(c"xx_NOWHERE"));
    }
}
