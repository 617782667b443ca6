//! Servers: the main one and the virtual hosts.

use super::pool::{self, Pool};
use super::{ffi, module};
use crate::config::directives::ServerKey;
use crate::config::options::{DirOptions, Global, ServerOptions};
use std::ffi::CStr;
use std::marker::PhantomData;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::time::Duration;

/// A server, lent for `'s`.
#[derive(Clone, Copy)]
pub(crate) struct Server<'s> {
    raw: NonNull<ffi::server_rec>,
    lent: PhantomData<&'s ()>,
}

impl<'s> Server<'s> {
    /// Lends a server.
    ///
    /// # Safety
    /// `raw` is a live server within `'s`.
    pub(super) unsafe fn lend(raw: *mut ffi::server_rec) -> Self {
        Self { raw: NonNull::new(raw).expect("httpd gives a server"), lent: PhantomData }
    }

    /// The main server, if the configuration has been read.
    pub(crate) fn main() -> Option<Self> {
        // SAFETY: a plain pointer, changed by httpd's main thread only, before there are others.
        let raw = unsafe { ffi::ap_server_conf };
        NonNull::new(raw).map(|raw| Self { raw, lent: PhantomData })
    }

    /// As C wants it.
    pub(super) fn raw(self) -> *mut ffi::server_rec {
        self.raw.as_ptr()
    }

    fn fields(self) -> &'s ffi::server_rec {
        // SAFETY: live within 's by `lend`'s contract; nobody writes to it while requests are served.
        unsafe { self.raw.as_ref() }
    }

    /// This server and those after it: from the main server, all.
    pub(crate) fn all(self) -> impl Iterator<Item = Server<'s>> {
        std::iter::successors(Some(self), |server| NonNull::new(server.fields().next).map(|raw| Server { raw, lent: PhantomData }))
    }

    /// Which one it is.
    pub(crate) fn key(self) -> ServerKey {
        if self.fields().is_virtual == 0 { ServerKey::Main } else { ServerKey::VirtualHost(self.raw.as_ptr() as usize) }
    }

    /// `ServerName`, without a port.
    pub(crate) fn name(self) -> Option<&'s [u8]> {
        // SAFETY: a string of the configuration, or null.
        unsafe { pool::octets(self.fields().server_hostname) }
    }

    /// `ServerAdmin`.
    pub(crate) fn admin(self) -> Option<&'s [u8]> {
        // SAFETY: a string of the configuration, or null.
        unsafe { pool::octets(self.fields().server_admin) }
    }

    /// `DocumentRoot`; none where it is not set.
    pub(crate) fn document_root(self) -> Option<&'s [u8]> {
        // SAFETY: the core has a part of every server's configuration, with a string of the configuration in it, or null.
        unsafe {
            pool::octets((*ffi::ap_get_core_module_config(self.fields().module_config).cast::<ffi::core_server_config>()).ap_document_root)
        }
    }

    /// `Timeout`.
    pub(crate) fn timeout(self) -> Duration {
        Duration::from_micros(u64::try_from(self.fields().timeout).unwrap_or(0))
    }

    /// The lowest level that its log keeps of ours (`LogLevel wsgi:…`).
    pub(crate) fn log_level(self) -> u8 {
        // SAFETY: the server is live, the index is ours.
        let level = unsafe { ffi::ap_get_server_module_loglevel(self.raw(), module::index()) };
        u8::try_from(level.clamp(0, 15)).unwrap_or(0)
    }

    /// A copy of the descriptor of its error log; stderr where the log is not a file or pipe.
    pub(crate) fn error_log(self) -> std::io::Result<OwnedFd> {
        let mut descriptor = 2;
        let file = self.fields().error_log;
        if !file.is_null() {
            // SAFETY: an open file of the configuration; writes one number.
            unsafe { ffi::apr_os_file_get(&raw mut descriptor, file) };
        }
        // SAFETY: httpd keeps the log open for as long as the configuration; it is copied at once.
        unsafe { BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned()
    }

    /// The pool that lives as long as the process.
    pub(crate) fn process_pool(self) -> Pool<'s> {
        // SAFETY: httpd's process record and its pool outlive every server.
        unsafe { Pool::lend((*self.fields().process).pool) }
    }

    /// The pool of the configuration.
    pub(crate) fn configuration_pool(self) -> Pool<'s> {
        // SAFETY: httpd's process record lives as long as the process, and the pool as long as the servers.
        unsafe { Pool::lend((*self.fields().process).pconf) }
    }

    /// Our part of the server's configuration.
    pub(crate) fn options(self) -> &'s ServerOptions {
        // SAFETY: httpd has made our part with the server, and nobody changes it after the configuration has been read.
        unsafe { &(*module::server_config(self.raw())).options }
    }

    /// What exists once; it hangs on the main server.
    pub(crate) fn global(self) -> Option<&'s Global> {
        // SAFETY: as in `options`.
        unsafe { (*module::server_config(self.raw())).global.as_deref() }
    }

    /// The server's own layer of directory options.
    pub(crate) fn directory_defaults(self) -> &'s DirOptions {
        // SAFETY: as in `options`; the vector and our slot in it exist with the server.
        unsafe { &*ffi::ap_get_module_config(self.fields().lookup_defaults, module::raw()).cast::<DirOptions>() }
    }
}

/// httpd's own description, such as `Apache/2.4.71 (Debian)`.
pub(crate) fn description() -> &'static CStr {
    // SAFETY: a string of httpd's.
    unsafe { CStr::from_ptr(ffi::ap_get_server_description()) }
}

/// When httpd was built.
pub(crate) fn built() -> &'static CStr {
    // SAFETY: a string of httpd's.
    unsafe { CStr::from_ptr(ffi::ap_get_server_built()) }
}

/// The name of the MPM.
pub(crate) fn mpm_name() -> &'static CStr {
    // SAFETY: a string of httpd's.
    unsafe { CStr::from_ptr(ffi::ap_show_mpm()) }
}

/// httpd's version at run time.
pub(crate) fn version() -> (u16, u16, u16) {
    let mut version = ffi::ap_version_t { major: 0, minor: 0, patch: 0, add_string: std::ptr::null() };
    // SAFETY: fills the record.
    unsafe { ffi::ap_get_server_revision(&raw mut version) };
    let number = |part: i32| u16::try_from(part).unwrap_or(0);
    (number(version.major), number(version.minor), number(version.patch))
}

/// Adds to the `Server` header, as far as `ServerTokens` allows.
pub(crate) fn add_version_component(pool: Pool<'_>, component: &CStr) {
    // SAFETY: the pool is live; httpd copies the text.
    unsafe { ffi::ap_add_version_component(pool.raw(), component.as_ptr()) }
}

/// A path below `DefaultRuntimeDir`, absolute.
pub(crate) fn runtime_path(pool: Pool<'_>, name: &CStr) -> Option<Vec<u8>> {
    // SAFETY: the pool is live; null or a string of the pool.
    unsafe { pool::octets(ffi::ap_runtime_dir_relative(pool.raw(), name.as_ptr())) }.map(<[u8]>::to_vec)
}
