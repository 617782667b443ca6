//! httpd's regular expressions (`ap_regex.h`), for `WSGIScriptAliasMatch`.

use super::ffi;
use super::pool::c_string;
use crate::config::alias::Pattern;
use std::ops::Range;

/// A compiled expression.
///
/// # Invariants
/// `compiled` was filled by a successful `ap_regcomp` and is not changed until drop.
pub(crate) struct Regex {
    compiled: Box<ffi::ap_regex_t>,
}

// SAFETY: matching reads the compiled expression only; httpd itself matches one from many threads.
unsafe impl Send for Regex {}
// SAFETY: as above.
unsafe impl Sync for Regex {}

impl Regex {
    /// Compiles an extended expression.
    pub(crate) fn compile(pattern: &[u8]) -> Result<Self, String> {
        // SAFETY: zeros are what ap_regcomp expects to fill.
        let mut compiled: Box<ffi::ap_regex_t> = Box::new(unsafe { std::mem::zeroed() });
        // SAFETY: both pointers are live for the call.
        let result = unsafe { ffi::ap_regcomp(&raw mut *compiled, c_string(pattern).as_ptr(), ffi::AP_REG_EXTENDED) };
        if result == 0 {
            // INVARIANT: compiled without an error.
            Ok(Self { compiled })
        } else {
            let mut reason = [0_u8; 256];
            // SAFETY: writes at most the given number of octets, ended by NUL.
            unsafe { ffi::ap_regerror(result, &raw const *compiled, reason.as_mut_ptr().cast(), reason.len()) };
            let end = reason.iter().position(|octet| *octet == 0).unwrap_or(0);
            Err(String::from_utf8_lossy(&reason[..end]).into_owned())
        }
    }
}

impl Drop for Regex {
    fn drop(&mut self) {
        // SAFETY: by the invariant it was compiled, and nobody uses it any more.
        unsafe { ffi::ap_regfree(&raw mut *self.compiled) }
    }
}

impl Pattern for Regex {
    fn find(&self, text: &[u8]) -> Option<[Option<Range<usize>>; 10]> {
        let text = c_string(text);
        let mut groups = [ffi::ap_regmatch_t { rm_so: -1, rm_eo: -1 }; 10];
        // SAFETY: the expression is compiled by the invariant; the text ends with NUL; ten groups may be written.
        let result = unsafe { ffi::ap_regexec(&raw const *self.compiled, text.as_ptr(), groups.len(), groups.as_mut_ptr(), 0) };
        (result == 0).then(|| groups.map(|group| Some(usize::try_from(group.rm_so).ok()?..usize::try_from(group.rm_eo).ok()?)))
    }
}

impl std::fmt::Debug for Regex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Regex").finish_non_exhaustive()
    }
}
