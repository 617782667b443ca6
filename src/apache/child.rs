//! httpd's processes: what the MPM runs, and children of its parent that are not its own.

use super::boundary::guard;
use super::ffi;
use super::pool::Pool;
use std::ffi::{c_int, c_void};

/// Numbers of the MPM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mpm {
    /// Children in use or allowed, at least 1.
    pub(crate) processes: u32,
    /// Threads of each, at least 1.
    pub(crate) threads: u32,
}

/// Asks the MPM; before it runs these are its settings.
pub(crate) fn mpm() -> Mpm {
    let ask = |code| {
        let mut number: c_int = 0;
        // SAFETY: writes one number.
        unsafe { ffi::ap_mpm_query(code, &raw mut number) };
        u32::try_from(number).unwrap_or(0)
    };
    let most = ask(ffi::AP_MPMQ_MAX_DAEMONS).max(ask(ffi::AP_MPMQ_MAX_DAEMON_USED));
    Mpm { processes: most.max(1), threads: ask(ffi::AP_MPMQ_MAX_THREADS).max(1) }
}

/// Whether httpd is on its way out, or reads its configuration anew.
pub(crate) fn is_stopping() -> bool {
    let mut state: c_int = 0;
    // SAFETY: writes one number.
    let status = unsafe { ffi::ap_mpm_query(ffi::AP_MPMQ_MPM_STATE, &raw mut state) };
    status == 0 && state == ffi::AP_MPMQ_STOPPING
}

/// The ids that httpd's children run as; `None` when httpd is not root and they run as itself.
pub(crate) fn identity() -> Option<(u32, u32)> {
    // SAFETY: a plain record, written while the configuration is read.
    let (uid, gid) = unsafe { ((&raw const ffi::ap_unixd_config.user_id).read(), (&raw const ffi::ap_unixd_config.group_id).read()) };
    sys::identity::is_root().then_some((uid, gid))
}

/// Has httpd's parent call `ended` with the pid and the status or signal when it reaps the process. The registration ends with the configuration's pool.
pub(crate) fn watch(pool: Pool<'_>, pid: i32, ended: fn(pid: i32, how: i32)) {
    struct Watched {
        process: ffi::apr_proc_t,
        ended: fn(i32, i32),
    }
    unsafe extern "C" fn maintain(reason: c_int, data: *mut c_void, status: c_int) {
        guard((), || {
            // SAFETY: `watch` registered this function with a value of the pool with which the registration ends.
            let watched = unsafe { &mut *data.cast::<Watched>() };
            match reason {
                ffi::APR_OC_REASON_DEATH | ffi::APR_OC_REASON_LOST => {
                    // SAFETY: unregisters what is registered under this value.
                    unsafe { ffi::apr_proc_other_child_unregister(data) };
                    (watched.ended)(watched.process.pid, status);
                }
                // The supervisor is kept over a restart, and told by its channel when httpd stops.
                _ => {}
            }
        });
    }
    let process = ffi::apr_proc_t { pid, in_: std::ptr::null_mut(), out: std::ptr::null_mut(), err: std::ptr::null_mut() };
    let watched = pool.own(Watched { process, ended });
    // SAFETY: the value lives as long as the pool, and so does the registration.
    unsafe {
        ffi::apr_proc_other_child_register(&raw mut (*watched).process, Some(maintain), watched.cast(), std::ptr::null_mut(), pool.raw());
    }
}
