//! What httpd calls, phase by phase.

use super::boundary::{guard, install_panic_hook};
use super::ffi;
use super::pool::Pool;
use super::request::Request;
use super::server::Server;
use super::status::Status;
use std::ffi::{c_char, c_int};

/// Names of modules, ended by null.
pub(super) struct Modules<const N: usize>(pub(super) [*const c_char; N]);

// SAFETY: the names are static strings that nobody writes to.
unsafe impl<const N: usize> Sync for Modules<N> {}

/// An Alias that matches wins over a script alias.
static AFTER: Modules<2> = Modules([c"mod_alias.c".as_ptr(), std::ptr::null()]);

/// What only guesses a file from the URL comes later.
static BEFORE: Modules<3> = Modules([c"mod_userdir.c".as_ptr(), c"mod_vhost_alias.c".as_ptr(), std::ptr::null()]);

/// Registers every hook; called at each load of the module.
pub(super) fn register(pool: Pool<'_>) {
    install_panic_hook();
    // SAFETY: httpd keeps the lists until it sorts its hooks; they and the functions are static.
    unsafe {
        ffi::ap_hook_translate_name(Some(translate_name), AFTER.0.as_ptr(), BEFORE.0.as_ptr(), ffi::APR_HOOK_MIDDLE);
        ffi::ap_hook_handler(Some(handler), std::ptr::null(), std::ptr::null(), ffi::APR_HOOK_MIDDLE);
        ffi::ap_hook_check_config(Some(check_config), std::ptr::null(), std::ptr::null(), ffi::APR_HOOK_MIDDLE);
        ffi::ap_hook_post_config(Some(post_config), std::ptr::null(), std::ptr::null(), ffi::APR_HOOK_MIDDLE);
        ffi::ap_hook_child_init(Some(child_init), std::ptr::null(), std::ptr::null(), ffi::APR_HOOK_MIDDLE);
    }
    super::auth::register(pool);
}

unsafe extern "C" fn translate_name(request: *mut ffi::request_rec) -> c_int {
    guard(Status::INTERNAL_SERVER_ERROR, || {
        // SAFETY: httpd runs this hook on one thread and keeps the request alive throughout.
        unsafe { Request::lend(request, crate::request::translate) }
    })
    .raw()
}

unsafe extern "C" fn handler(request: *mut ffi::request_rec) -> c_int {
    guard(Status::INTERNAL_SERVER_ERROR, || {
        // SAFETY: httpd runs a handler on one thread and keeps the request alive throughout.
        unsafe { Request::lend(request, crate::request::handle) }
    })
    .raw()
}

unsafe extern "C" fn check_config(
    _configuration: *mut ffi::apr_pool_t,
    _log: *mut ffi::apr_pool_t,
    _temporary: *mut ffi::apr_pool_t,
    server: *mut ffi::server_rec,
) -> c_int {
    guard(Status::INTERNAL_SERVER_ERROR, || {
        // SAFETY: httpd gives the main server of the configuration.
        let right = crate::server::check(unsafe { Server::lend(server) });
        if right { Status::OK } else { Status::INTERNAL_SERVER_ERROR }
    })
    .raw()
}

unsafe extern "C" fn post_config(
    configuration: *mut ffi::apr_pool_t,
    _log: *mut ffi::apr_pool_t,
    _temporary: *mut ffi::apr_pool_t,
    server: *mut ffi::server_rec,
) -> c_int {
    guard(Status::INTERNAL_SERVER_ERROR, || {
        // SAFETY: asks for a number.
        if unsafe { ffi::ap_state_query(ffi::AP_SQ_MAIN_STATE) } == ffi::AP_SQ_MS_CREATE_PRE_CONFIG {
            // httpd reads the configuration twice at its start; this is the check.
            return Status::OK;
        }
        // SAFETY: httpd gives the live pool and the main server of the configuration.
        let (pool, server) = unsafe { (Pool::lend(configuration), Server::lend(server)) };
        crate::server::start(pool, server);
        Status::OK
    })
    .raw()
}

unsafe extern "C" fn child_init(pool: *mut ffi::apr_pool_t, server: *mut ffi::server_rec) {
    guard((), || {
        // SAFETY: httpd gives the live pool of the child and the main server.
        let (pool, server) = unsafe { (Pool::lend(pool), Server::lend(server)) };
        crate::server::start_child(pool, server);
    });
}
