//! The module record that httpd finds in mod_wsgi.so, and the configuration that hangs on servers and directories.

use super::boundary::guard;
use super::pool::Pool;
use super::{command, ffi, hook};
use crate::config::options::{DirOptions, Global, ServerOptions};
use std::ffi::{c_char, c_int, c_void};

/// What hangs on a server.
#[derive(Default)]
pub(super) struct ServerConfig {
    /// Its own options.
    pub(super) options: ServerOptions,
    /// On the main server: what exists once.
    pub(super) global: Option<Box<Global>>,
}

/// The record. httpd writes to it while it has one thread: the index, the handle.
#[unsafe(no_mangle)]
#[expect(unreachable_pub, reason = "LoadModule names it, and finds it by its symbol")]
pub static mut wsgi_module: ffi::module = ffi::module {
    version: ffi::MODULE_MAGIC_NUMBER_MAJOR,
    minor_version: 0,
    module_index: -1,
    name: c"mod_wsgi.c".as_ptr(),
    dynamic_load_handle: std::ptr::null_mut(),
    next: std::ptr::null_mut(),
    // "AP24", which httpd compares.
    magic: ffi::MODULE_MAGIC_COOKIE as u64,
    rewrite_args: None,
    create_dir_config: Some(create_directory),
    merge_dir_config: Some(merge_directory),
    create_server_config: Some(create_server),
    merge_server_config: Some(merge_server),
    cmds: command::TABLE.as_ptr(),
    register_hooks: Some(register_hooks),
    flags: 0,
};

/// The record, as C wants it.
pub(super) fn raw() -> *mut ffi::module {
    &raw mut wsgi_module
}

/// Our index in httpd's vectors.
pub(super) fn index() -> c_int {
    // SAFETY: httpd wrote it when it loaded the module, before it called anything of ours.
    unsafe { (*raw()).module_index }
}

/// Our part of a server's configuration.
///
/// # Safety
/// `server` is live.
pub(super) unsafe fn server_config(server: *mut ffi::server_rec) -> *mut ServerConfig {
    // SAFETY: httpd called `create_server` for each server.
    unsafe { ffi::ap_get_module_config((*server).module_config, raw()).cast() }
}

unsafe extern "C" fn create_directory(pool: *mut ffi::apr_pool_t, _path: *mut c_char) -> *mut c_void {
    guard(std::ptr::null_mut(), || {
        // SAFETY: httpd gives the live pool of the configuration or of the request.
        unsafe { Pool::lend(pool) }.own(DirOptions::default()).cast()
    })
}

unsafe extern "C" fn merge_directory(pool: *mut ffi::apr_pool_t, outer: *mut c_void, inner: *mut c_void) -> *mut c_void {
    guard(outer, || {
        // SAFETY: both came from `create_directory` or from here, and live as long as what they are merged for.
        let (old, new) = unsafe { (&*outer.cast::<DirOptions>(), &*inner.cast::<DirOptions>()) };
        // Most directories say nothing about us, and this runs for each of them at each request.
        if *new == DirOptions::default() {
            return outer;
        }
        // SAFETY: httpd gives a live pool.
        unsafe { Pool::lend(pool) }.own(DirOptions::merge(old, new)).cast()
    })
}

unsafe extern "C" fn create_server(pool: *mut ffi::apr_pool_t, server: *mut ffi::server_rec) -> *mut c_void {
    guard(std::ptr::null_mut(), || {
        // SAFETY: httpd gives the live server whose configuration it makes.
        let is_main = unsafe { (*server).is_virtual } == 0;
        let config = ServerConfig { options: ServerOptions::default(), global: is_main.then(Box::default) };
        // SAFETY: httpd gives a live pool.
        unsafe { Pool::lend(pool) }.own(config).cast()
    })
}

unsafe extern "C" fn merge_server(pool: *mut ffi::apr_pool_t, outer: *mut c_void, inner: *mut c_void) -> *mut c_void {
    guard(outer, || {
        // SAFETY: both came from `create_server`.
        let (old, new) = unsafe { (&*outer.cast::<ServerConfig>(), &*inner.cast::<ServerConfig>()) };
        let merged = ServerConfig { options: ServerOptions::merge(&old.options, &new.options), global: None };
        // SAFETY: httpd gives a live pool.
        unsafe { Pool::lend(pool) }.own(merged).cast()
    })
}

unsafe extern "C" fn register_hooks(pool: *mut ffi::apr_pool_t) {
    guard((), || {
        // SAFETY: httpd gives the live pool of the configuration.
        hook::register(unsafe { Pool::lend(pool) });
    });
}
