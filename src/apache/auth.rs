//! Access control as httpd asks for it: the access-checker hook, the providers of authentication and authorization, and what of a
//! request only they need.

use super::boundary::guard;
use super::ffi;
use super::hook::Modules;
use super::pool::{self, Pool};
use super::request::Request;
use super::status::Status;
use crate::auth::{self, Authentication, Authorization};
use std::ffi::{c_char, c_int, c_void};

/// mod_ssl may refuse the connection before a script is asked.
static AFTER: Modules<2> = Modules([c"mod_ssl.c".as_ptr(), std::ptr::null()]);

/// httpd's own rules for hosts come later.
static BEFORE: Modules<2> = Modules([c"mod_authz_host.c".as_ptr(), std::ptr::null()]);

static USERS: ffi::authn_provider = ffi::authn_provider { check_password: Some(check_password), get_realm_hash: Some(get_realm_hash) };

static GROUPS: ffi::authz_provider =
    ffi::authz_provider { check_authorization: Some(check_authorization), parse_require_line: Some(parse_require_line) };

/// `REMOTE_HOST` and `SATISFY_ANY` of http_core.h.
const REMOTE_HOST: c_int = 0;
const SATISFY_ANY: c_int = 1;

/// `AP_CGI_PASS_AUTH_ON`.
const PASSED: std::ffi::c_uint = 1;

/// What a `Require` line is for, as far as it changes what a failure means.
static PLAIN: u8 = 0;
static NEGATED: u8 = 1;

/// Registers hook and providers; called at each load of the module.
///
/// All are asked for each URL of a request's sub-requests and redirects, since a script may judge by the URL.
pub(super) fn register(pool: Pool<'_>) {
    let per_url = ffi::AP_AUTH_INTERNAL_PER_URI;
    // "0" is the version of both interfaces in mod_auth.h.
    // SAFETY: httpd keeps the lists until it sorts its hooks; they, the functions, the names and the providers are static, and the pool
    // is live.
    unsafe {
        ffi::ap_hook_check_access(Some(access_checker), AFTER.0.as_ptr(), BEFORE.0.as_ptr(), ffi::APR_HOOK_MIDDLE, per_url);
        let (users, groups) = ((&raw const USERS).cast::<c_void>(), (&raw const GROUPS).cast::<c_void>());
        ffi::ap_register_auth_provider(pool.raw(), c"authn".as_ptr(), c"wsgi".as_ptr(), c"0".as_ptr(), users, per_url);
        ffi::ap_register_auth_provider(pool.raw(), c"authz".as_ptr(), c"wsgi-group".as_ptr(), c"0".as_ptr(), groups, per_url);
    }
}

unsafe extern "C" fn access_checker(request: *mut ffi::request_rec) -> c_int {
    guard(Status::FORBIDDEN, || {
        // SAFETY: httpd runs this hook on one thread and keeps the request alive throughout.
        unsafe { Request::lend(request, auth::allow_access) }
    })
    .raw()
}

unsafe extern "C" fn check_password(request: *mut ffi::request_rec, user: *const c_char, password: *const c_char) -> ffi::authn_status {
    guard(ffi::authn_status_AUTH_GENERAL_ERROR, || {
        // SAFETY: the authentication module lends the request, and strings of it, for the call.
        unsafe {
            let (user, password) = (pool::octets(user).unwrap_or(b""), pool::octets(password).unwrap_or(b""));
            match Request::lend(request, |request| auth::check_password(request, user, password)) {
                Authentication::Granted => ffi::authn_status_AUTH_GRANTED,
                Authentication::Denied => ffi::authn_status_AUTH_DENIED,
                Authentication::Unknown => ffi::authn_status_AUTH_USER_NOT_FOUND,
                Authentication::Hash(_) | Authentication::Failed => ffi::authn_status_AUTH_GENERAL_ERROR,
            }
        }
    })
}

unsafe extern "C" fn get_realm_hash(
    request: *mut ffi::request_rec,
    user: *const c_char,
    realm: *const c_char,
    hash: *mut *mut c_char,
) -> ffi::authn_status {
    guard(ffi::authn_status_AUTH_GENERAL_ERROR, || {
        // SAFETY: as in `check_password`; the hash is a string of the request's pool, which the caller expects.
        unsafe {
            let (user, realm) = (pool::octets(user).unwrap_or(b""), pool::octets(realm).unwrap_or(b""));
            Request::lend(request, |request| match auth::realm_hash(request, user, realm) {
                Authentication::Hash(found) => {
                    *hash = request.pool().string(&found).as_ptr().cast_mut();
                    ffi::authn_status_AUTH_USER_FOUND
                }
                Authentication::Unknown => ffi::authn_status_AUTH_USER_NOT_FOUND,
                Authentication::Granted | Authentication::Denied | Authentication::Failed => ffi::authn_status_AUTH_GENERAL_ERROR,
            })
        }
    })
}

unsafe extern "C" fn check_authorization(
    request: *mut ffi::request_rec,
    required: *const c_char,
    parsed: *const c_void,
) -> ffi::authz_status {
    guard(ffi::authz_status_AUTHZ_GENERAL_ERROR, || {
        // SAFETY: mod_authz_core lends the request for the call, with the line it was configured with.
        let authorization = unsafe {
            let required = pool::octets(required).unwrap_or(b"");
            Request::lend(request, |request| auth::check_groups(request, required))
        };
        match authorization {
            Authorization::Granted => ffi::authz_status_AUTHZ_GRANTED,
            Authorization::Denied => ffi::authz_status_AUTHZ_DENIED,
            Authorization::NoUser => ffi::authz_status_AUTHZ_DENIED_NO_USER,
            // Under "not" a denial would become a reason to let the user in, so a failure is one of the server there.
            Authorization::Failed if parsed == (&raw const PLAIN).cast() => ffi::authz_status_AUTHZ_DENIED,
            Authorization::Failed => ffi::authz_status_AUTHZ_GENERAL_ERROR,
        }
    })
}

unsafe extern "C" fn parse_require_line(
    parameters: *mut ffi::cmd_parms,
    _line: *const c_char,
    parsed: *mut *const c_void,
) -> *const c_char {
    guard(std::ptr::null(), || {
        // SAFETY: mod_authz_core lends the parameters of the directive that it reads, and room for one pointer.
        unsafe {
            let kind = if is_plain((*parameters).directive) { &raw const PLAIN } else { &raw const NEGATED };
            *parsed = kind.cast();
        }
        std::ptr::null()
    })
}

/// Whether a directive is a `Require` that nothing turns round: no `not`, no `<RequireNone>`. Of an alias that cannot be known.
///
/// # Safety
/// `directive` is null or a live directive of the configuration.
unsafe fn is_plain(directive: *const ffi::ap_directive_t) -> bool {
    // SAFETY: by this function's contract; names, arguments and parents of directives live as long as they.
    unsafe {
        let Some(own) = directive.as_ref() else { return false };
        let name_is = |directive: &ffi::ap_directive_t, name: &[u8]| {
            pool::octets(directive.directive).is_some_and(|found| found.eq_ignore_ascii_case(name))
        };
        let arguments = pool::octets(own.args).unwrap_or(b"").trim_ascii_start();
        let first = arguments.split(u8::is_ascii_whitespace).next().unwrap_or(b"");
        let mut parents = std::iter::successors(own.parent.as_ref(), |parent| parent.parent.as_ref());
        name_is(own, b"Require") && !first.eq_ignore_ascii_case(b"not") && !parents.any(|parent| name_is(parent, b"<RequireNone"))
    }
}

/// What access control asks of a request.
impl<'r> Request<'r> {
    /// The client's name, if `HostnameLookups` finds one.
    pub(crate) fn remote_name(&self) -> Option<&'r [u8]> {
        type UseragentHost = unsafe extern "C" fn(*mut ffi::request_rec, c_int, *mut c_int) -> *const c_char;
        // SAFETY: the name ends with NUL.
        let newer = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"ap_get_useragent_host".as_ptr()) };
        // SAFETY: the request is live; later versions of httpd 2.4 export the name with this type. The result lives in the pool of the
        // request or of its connection.
        unsafe {
            let name = if newer.is_null() {
                let fields = self.fields();
                ffi::ap_get_remote_host(fields.connection, fields.per_dir_config.cast(), REMOTE_HOST, std::ptr::null_mut())
            } else {
                let ask = std::mem::transmute::<*mut c_void, UseragentHost>(newer);
                ask(self.raw(), REMOTE_HOST, std::ptr::null_mut())
            };
            pool::octets(name)
        }
    }

    /// Whether `Satisfy Any` holds and a user can be asked for: then a host that is denied is not the last word.
    pub(crate) fn may_satisfy_by_user(&self) -> bool {
        // SAFETY: the request is live.
        unsafe { ffi::ap_satisfies(self.raw()) == SATISFY_ANY && ffi::ap_some_auth_required(self.raw()) != 0 }
    }

    /// Whether `CGIPassAuth On` holds: scripts see the client's credentials.
    pub(crate) fn passes_authorization(&self) -> bool {
        // Before 2.4.13 the record ends before this.
        if super::server::version() < (2, 4, 13) {
            return false;
        }
        // SAFETY: the core has a record for each directory, which lives as long as the request; fields were only added at its end.
        unsafe { (*ffi::ap_get_core_module_config(self.fields().per_dir_config).cast::<ffi::core_dir_config>()).cgi_pass_auth() == PASSED }
    }

    /// Whether `CGIVar REQUEST_URI current-uri` holds.
    pub(crate) fn shows_current_uri(&self) -> bool {
        // Before 2.4.21 the record ends before this.
        if super::server::version() < (2, 4, 21) {
            return false;
        }
        // SAFETY: as above; the rules are a table of strings, or none.
        let rule = unsafe {
            let rules = (*ffi::ap_get_core_module_config(self.fields().per_dir_config).cast::<ffi::core_dir_config>()).cgi_var_rules;
            if rules.is_null() {
                return false;
            }
            pool::octets(ffi::apr_hash_get(rules, c"REQUEST_URI".as_ptr().cast(), -1).cast_const().cast())
        };
        rule == Some(b"current-uri")
    }

    /// Names the authenticated user.
    pub(crate) fn set_user(&mut self, name: &[u8]) {
        let name = self.pool().string(name);
        // SAFETY: the request is live and ours alone; the name lives as long as it.
        unsafe { (*self.raw()).user = name.as_ptr().cast_mut() }
    }

    /// `SERVER_SIGNATURE`: what httpd's own pages end with.
    pub(crate) fn signature(&self) -> &'r [u8] {
        // SAFETY: the request is live; a string of its pool, or a static one.
        unsafe { pool::octets(ffi::ap_psignature(c"".as_ptr(), self.raw())) }.unwrap_or(b"")
    }

    /// The server's name without the brackets of an IPv6 address, escaped for HTML.
    pub(crate) fn bare_server_name(&self) -> &'r [u8] {
        // SAFETY: the request and its pool are live.
        unsafe { pool::octets(ffi::ap_escape_html2(self.fields().pool, ffi::ap_get_server_name(self.raw()), 0)) }.unwrap_or(b"")
    }

    /// A variable of mod_ssl's; `None` without mod_ssl, or where it has no such value.
    pub(crate) fn ssl_variable(&self, name: &[u8]) -> Option<&'r [u8]> {
        type Lookup = unsafe extern "C" fn(
            *mut ffi::apr_pool_t,
            *mut ffi::server_rec,
            *mut ffi::conn_rec,
            *mut ffi::request_rec,
            *mut c_char,
        ) -> *mut c_char;
        let name = self.pool().string(name);
        let fields = self.fields();
        // SAFETY: mod_ssl registers this name with this type (mod_ssl.h); the request is live, and the result lives in its pool or longer.
        unsafe {
            let function = ffi::apr_dynamic_fn_retrieve(c"ssl_var_lookup".as_ptr())?;
            let lookup = std::mem::transmute::<unsafe extern "C" fn(), Lookup>(function);
            pool::octets(lookup(fields.pool, fields.server, fields.connection, self.raw(), name.as_ptr().cast_mut()))
        }
    }
}
