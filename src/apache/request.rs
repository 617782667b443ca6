//! A request, lent by httpd for the length of a hook.

use super::brigade::{Brigade, PassError};
use super::pool::{self, Pool};
use super::server::Server;
use super::table::Table;
use super::{ffi, module};
use crate::config::options::DirOptions;
use std::ffi::{CStr, c_int};
use std::marker::PhantomData;
use std::ptr::NonNull;
use wire::log::Level;

/// A request.
///
/// # Invariants
/// `raw` is live for `'r`, and only the thread that holds this value uses it.
pub(crate) struct Request<'r> {
    raw: NonNull<ffi::request_rec>,
    lent: PhantomData<&'r mut ()>,
}

/// What the requested file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// There is none.
    Missing,
    /// A directory.
    Directory,
    /// Anything else.
    File,
}

/// A request that an internal redirect has replaced.
pub(crate) struct Previous<'r> {
    /// The decoded path of its URL.
    pub(crate) uri: Option<&'r [u8]>,
    /// Its query string.
    pub(crate) query: Option<&'r [u8]>,
    /// Its authenticated user.
    pub(crate) user: Option<&'r [u8]>,
}

impl<'r> Request<'r> {
    /// Lends a request to `body`.
    ///
    /// # Safety
    /// `raw` is a live request that httpd runs on this thread, until `body` returns.
    pub(super) unsafe fn lend<T>(raw: *mut ffi::request_rec, body: impl FnOnce(&mut Request<'_>) -> T) -> T {
        // INVARIANT: live and ours for the call, by this function's contract.
        body(&mut Request { raw: NonNull::new(raw).expect("httpd gives a request"), lent: PhantomData })
    }

    /// As C wants it.
    pub(super) fn raw(&self) -> *mut ffi::request_rec {
        self.raw.as_ptr()
    }

    /// httpd's own record, for extension modules of applications that know it.
    pub(crate) fn record(&self) -> *mut std::ffi::c_void {
        self.raw().cast()
    }

    /// The record, to read.
    pub(super) fn fields(&self) -> &ffi::request_rec {
        // SAFETY: live by the invariant. httpd's functions change fields of it, but only when called by us, and no reference into the
        // record is kept over such a call.
        unsafe { self.raw.as_ref() }
    }

    fn fields_mut(&mut self) -> &mut ffi::request_rec {
        // SAFETY: live by the invariant, and ours alone.
        unsafe { self.raw.as_mut() }
    }

    fn connection(&self) -> &ffi::conn_rec {
        // SAFETY: a request's connection is live as long as the request.
        unsafe { &*self.fields().connection }
    }

    /// A string of the request's pool, or of one that lives longer.
    fn octets(&self, string: *const std::ffi::c_char) -> Option<&'r [u8]> {
        // SAFETY: httpd's strings of a request are not changed once made, and live in pools that outlive 'r.
        unsafe { pool::octets(string) }
    }

    /// The pool that lives as long as the request.
    pub(crate) fn pool(&self) -> Pool<'r> {
        // SAFETY: the request's pool outlives 'r.
        unsafe { Pool::lend(self.fields().pool) }
    }

    /// The virtual host, or main server, that serves it.
    pub(crate) fn server(&self) -> Server<'r> {
        // SAFETY: servers live as long as the configuration, which outlives requests.
        unsafe { Server::lend(self.fields().server) }
    }

    /// Our options for the requested resource, merged by httpd.
    pub(crate) fn options(&self) -> &'r DirOptions {
        // SAFETY: httpd made and merged our part with `module`'s functions; it lives in the request's pool or the configuration's.
        unsafe { &*ffi::ap_get_module_config(self.fields().per_dir_config, module::raw()).cast::<DirOptions>() }
    }

    /// Whether the log keeps a line of this level.
    pub(crate) fn keeps_level(&self, level: Level) -> bool {
        // SAFETY: the request is live.
        c_int::from(level as u8) <= unsafe { ffi::ap_get_request_module_loglevel(self.raw(), module::index()) }
    }

    /// The handler's name.
    pub(crate) fn handler(&self) -> Option<&'r [u8]> {
        self.octets(self.fields().handler)
    }

    /// Names the handler.
    pub(crate) fn set_handler(&mut self, handler: &'static CStr) {
        self.fields_mut().handler = handler.as_ptr();
    }

    /// The decoded path of the URL.
    pub(crate) fn uri(&self) -> Option<&'r [u8]> {
        self.octets(self.fields().uri)
    }

    /// The request line, as sent.
    pub(crate) fn request_line(&self) -> &'r [u8] {
        self.octets(self.fields().the_request).unwrap_or(b"")
    }

    /// The method.
    pub(crate) fn method(&self) -> &'r [u8] {
        self.octets(self.fields().method).unwrap_or(b"GET")
    }

    /// Whether the method is GET or HEAD, which httpd numbers alike.
    pub(crate) fn is_get(&self) -> bool {
        self.fields().method_number == ffi::M_GET
    }

    /// Whether the client sees no body.
    pub(crate) fn header_only(&self) -> bool {
        self.fields().header_only != 0
    }

    /// Such as `HTTP/1.1`.
    pub(crate) fn protocol(&self) -> &'r [u8] {
        self.octets(self.fields().protocol).unwrap_or(b"")
    }

    /// The query string, undecoded.
    pub(crate) fn query(&self) -> &'r [u8] {
        self.octets(self.fields().args).unwrap_or(b"")
    }

    /// The requested file.
    pub(crate) fn filename(&self) -> &'r [u8] {
        self.octets(self.fields().filename).unwrap_or(b"")
    }

    /// Names the requested file.
    pub(crate) fn set_filename(&mut self, path: &[u8]) {
        let path = self.pool().string(path);
        self.fields_mut().filename = path.as_ptr().cast_mut();
    }

    /// Names the requested file, and what of the URL follows it, if there is such a file and it is regular.
    pub(crate) fn set_file_and_path_info(&mut self, path: &[u8], path_info: &[u8]) -> bool {
        let (path, path_info) = (self.pool().string(path), self.pool().string(path_info));
        let mut found = self.fields().finfo;
        // SAFETY: the pool is live, and the path lives as long as what is found; what is asked is what httpd itself asks.
        let status = unsafe { ffi::apr_stat(&raw mut found, path.as_ptr(), ffi::APR_FINFO_MIN, self.pool().raw()) };
        let is_file = status == 0 && found.filetype == ffi::apr_filetype_e_APR_REG;
        if is_file {
            let fields = self.fields_mut();
            fields.filename = path.as_ptr().cast_mut();
            fields.path_info = path_info.as_ptr().cast_mut();
            fields.finfo = found;
        }
        is_file
    }

    /// What of the URL follows the file.
    pub(crate) fn path_info(&self) -> &'r [u8] {
        self.octets(self.fields().path_info).unwrap_or(b"")
    }

    /// What the requested file is, as httpd's own stat saw it.
    pub(crate) fn file_kind(&self) -> FileKind {
        match self.fields().finfo.filetype {
            ffi::apr_filetype_e_APR_NOFILE => FileKind::Missing,
            ffi::apr_filetype_e_APR_DIR => FileKind::Directory,
            _ => FileKind::File,
        }
    }

    /// When the requested file was modified, in microseconds since the epoch.
    pub(crate) fn file_modified(&self) -> i64 {
        self.fields().finfo.mtime
    }

    /// Whether `AcceptPathInfo Off` holds.
    pub(crate) fn rejects_path_info(&self) -> bool {
        self.fields().used_path_info == ffi::AP_REQ_REJECT_PATH_INFO
    }

    /// Whether `Options ExecCGI` holds.
    pub(crate) fn allows_exec(&self) -> bool {
        // SAFETY: the request is live.
        unsafe { ffi::ap_allow_options(self.raw()) & ffi::OPT_EXECCGI != 0 }
    }

    /// `LimitRequestBody`; `None` is no limit.
    pub(crate) fn body_limit(&self) -> Option<u64> {
        // SAFETY: the request is live.
        u64::try_from(unsafe { ffi::ap_get_limit_req_body(self.raw()) }).ok().filter(|limit| *limit > 0)
    }

    /// The request's headers.
    pub(crate) fn headers(&self) -> Table<'r> {
        // SAFETY: the table lives as long as the request.
        unsafe { Table::lend(self.fields().headers_in) }
    }

    /// The headers of a response that succeeds.
    pub(crate) fn response_headers(&self) -> Table<'r> {
        // SAFETY: the table lives as long as the request.
        unsafe { Table::lend(self.fields().headers_out) }
    }

    /// The headers of every response.
    pub(crate) fn error_headers(&self) -> Table<'r> {
        // SAFETY: the table lives as long as the request.
        unsafe { Table::lend(self.fields().err_headers_out) }
    }

    /// `SetEnv` and its like, with what httpd renamed in an internal redirect.
    pub(crate) fn environment(&self) -> Table<'r> {
        // SAFETY: the table lives as long as the request.
        unsafe { Table::lend(self.fields().subprocess_env) }
    }

    /// Notes that modules leave for each other.
    pub(crate) fn notes(&self) -> Table<'r> {
        // SAFETY: the table lives as long as the request.
        unsafe { Table::lend(self.fields().notes) }
    }

    /// The authenticated user.
    pub(crate) fn user(&self) -> Option<&'r [u8]> {
        self.octets(self.fields().user)
    }

    /// How the user was authenticated.
    pub(crate) fn auth_type(&self) -> Option<&'r [u8]> {
        self.octets(self.fields().ap_auth_type)
    }

    /// The request that an internal redirect replaced.
    pub(crate) fn previous(&self) -> Option<Previous<'r>> {
        // SAFETY: null or a live request, which lives longer than the one that replaced it.
        let previous = unsafe { self.fields().prev.as_ref() }?;
        Some(Previous { uri: self.octets(previous.uri), query: self.octets(previous.args), user: self.octets(previous.user) })
    }

    /// The client's address as httpd knows it, and the port of the TCP peer.
    pub(crate) fn client(&self) -> (Option<&'r [u8]>, u16) {
        // SAFETY: null or an address of the connection.
        let port = unsafe { self.connection().client_addr.as_ref() }.map_or(0, |address| address.port);
        (self.octets(self.fields().useragent_ip), port)
    }

    /// The server's address and port of this connection.
    pub(crate) fn local(&self) -> (Option<&'r [u8]>, u16) {
        // SAFETY: null or an address of the connection.
        let port = unsafe { self.connection().local_addr.as_ref() }.map_or(0, |address| address.port);
        (self.octets(self.connection().local_ip), port)
    }

    /// The name of the listening address, empty where it is a wildcard.
    pub(crate) fn listener_host(&self) -> &'r [u8] {
        // SAFETY: null or an address of the connection, which has its name from the listener that accepted it.
        let name = unsafe { self.connection().local_addr.as_ref() }.map_or(std::ptr::null(), |address| address.hostname.cast_const());
        self.octets(name).unwrap_or(b"")
    }

    /// httpd's identifiers in log lines, of the request and of its connection.
    pub(crate) fn log_ids(&self) -> (Option<&'r [u8]>, Option<&'r [u8]>) {
        if self.fields().log_id.is_null() {
            // httpd makes an identifier when it first logs something for the request; a line at a level that no log keeps is dropped
            // before that, so the generator is asked directly.
            // SAFETY: the hook fills `log_id` of a live request.
            unsafe { ffi::ap_run_generate_log_id(self.fields().connection, self.raw(), &raw mut (*self.raw()).log_id) };
        }
        (self.octets(self.fields().log_id), self.octets(self.connection().log_id))
    }

    /// `SERVER_NAME`: the name for URLs that lead back here, escaped for HTML.
    pub(crate) fn server_name(&self) -> &'r [u8] {
        // SAFETY: the request and its pool are live.
        let name = unsafe { ffi::ap_escape_html2(self.fields().pool, ffi::ap_get_server_name_for_url(self.raw()), 0) };
        self.octets(name).unwrap_or(b"")
    }

    /// The port for URLs that lead back here.
    pub(crate) fn server_port(&self) -> u16 {
        // SAFETY: the request is live.
        unsafe { ffi::ap_get_server_port(self.raw()) }
    }

    /// The host that the client asked for.
    pub(crate) fn hostname(&self) -> Option<&'r [u8]> {
        self.octets(self.fields().hostname)
    }

    /// `http` or `https`, by the connection.
    pub(crate) fn scheme(&self) -> &'r [u8] {
        // SAFETY: the request is live; a static string of some module.
        let scheme = unsafe { ffi::ap_run_http_scheme(self.raw()) };
        self.octets(scheme).unwrap_or(b"http")
    }

    /// `DocumentRoot`, then mod_alias's context: prefix and document root.
    pub(crate) fn roots(&self) -> [Option<&'r [u8]>; 3] {
        // SAFETY: the request is live; strings of its pool or the configuration.
        let (root, prefix, context) =
            unsafe { (ffi::ap_document_root(self.raw()), ffi::ap_context_prefix(self.raw()), ffi::ap_context_document_root(self.raw())) };
        [self.octets(root), self.octets(prefix), self.octets(context)]
    }

    /// Whether mod_ssl serves the connection.
    pub(crate) fn is_https(&self) -> bool {
        type IsHttps = unsafe extern "C" fn(*mut ffi::conn_rec) -> c_int;
        // SAFETY: looks a name up in APR's registry of optional functions.
        let function = unsafe { ffi::apr_dynamic_fn_retrieve(c"ssl_is_https".as_ptr()) };
        function.is_some_and(|function| {
            // SAFETY: mod_ssl registers this name with this type (mod_ssl.h), and the connection is live.
            unsafe { std::mem::transmute::<unsafe extern "C" fn(), IsHttps>(function)(self.fields().connection) != 0 }
        })
    }

    /// When httpd began to read the request: microseconds since the epoch.
    pub(crate) fn start_micros(&self) -> u64 {
        u64::try_from(self.fields().request_time).unwrap_or(0)
    }

    /// Whether a filter of content or resource type comes first on the way out: one that may need a body although the client sees none.
    pub(crate) fn has_content_filter(&self) -> bool {
        // SAFETY: null or a live filter with its record.
        unsafe { self.fields().output_filters.as_ref().is_some_and(|filter| (*filter.frec).ftype < ffi::ap_filter_type_AP_FTYPE_PROTOCOL) }
    }

    /// Whether the client expects `100 Continue` before it sends the body.
    pub(crate) fn expects_continue(&self) -> bool {
        self.fields().expecting_100 != 0
    }

    /// Sends `100 Continue`, if the client waits for it: httpd itself does so only for a read that waits.
    pub(crate) fn send_continue(&mut self) {
        if self.fields().expecting_100 == 0 {
            return;
        }
        let (status, line) = (self.fields().status, self.fields().status_line);
        self.fields_mut().status = 100;
        self.fields_mut().status_line = std::ptr::null();
        // SAFETY: the request is live, and nothing of its response has been sent.
        unsafe { ffi::ap_send_interim_response(self.raw(), 0) };
        self.fields_mut().status = status;
        self.fields_mut().status_line = line;
    }

    /// Prepares the body for reading, and checks its headers. Afterwards the input filters decode it.
    pub(crate) fn prepare_body(&mut self) -> Result<(), super::status::Status> {
        // SAFETY: the request is live.
        match unsafe { ffi::ap_setup_client_block(self.raw(), ffi::REQUEST_CHUNKED_DECHUNK) } {
            0 => Ok(()),
            status => Err(super::status::Status::http(u16::try_from(status).unwrap_or(500))),
        }
    }

    /// The length of the body by its header; `None` when it is chunked, or when there is none.
    pub(crate) fn body_length(&self) -> Option<u64> {
        let fields = self.fields();
        (fields.read_chunked == 0).then(|| u64::try_from(fields.remaining).unwrap_or(0))
    }

    /// Reads the rest of the body and throws it away.
    pub(crate) fn discard_body(&mut self) {
        // SAFETY: the request is live.
        unsafe { ffi::ap_discard_request_body(self.raw()) };
    }

    /// An empty brigade of this request.
    pub(crate) fn brigade(&self) -> Brigade<'r> {
        Brigade::new(self)
    }

    /// Whether the client's connection is broken.
    pub(crate) fn client_has_gone(&self) -> bool {
        self.connection().aborted != 0
    }

    /// Whether httpd still holds octets that the client has not taken.
    pub(crate) fn has_output_pending(&self) -> bool {
        self.connection().data_in_output_filters != 0
    }

    /// Sends as much of that as the client takes without being waited for, as httpd does when it completes a response.
    pub(crate) fn send_pending(&self) -> Result<(), PassError> {
        // SAFETY: the connection's filters are live, and the last of them is the core's, which takes no brigade for this question.
        let status = unsafe {
            let mut filter = self.connection().output_filters;
            while !(*filter).next.is_null() {
                filter = (*filter).next;
            }
            (*(*filter).frec).filter_func.out_func.map_or(0, |send| send(filter, std::ptr::null_mut()))
        };
        match status {
            _ if self.client_has_gone() => Err(PassError::ClientGone),
            0 => Ok(()),
            other => Err(PassError::Failed(other)),
        }
    }

    /// Says how long each wait for the client may take, for what is left of this request: with the next one httpd sets its own again.
    pub(crate) fn set_client_timeout(&mut self, timeout: std::time::Duration) {
        if self.connection().master.is_null() {
            // SAFETY: null or the live socket of the connection, which serves this request only.
            unsafe {
                let socket = ffi::ap_get_conn_socket(self.fields().connection);
                if !socket.is_null() {
                    ffi::apr_socket_timeout_set(socket, i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX));
                }
            }
        }
    }

    /// Gives the client up, as httpd's core does when it takes no more: nothing is sent, and the connection ends with the request.
    pub(crate) fn abort_client(&mut self) {
        // SAFETY: the connection is live, and serves this request only.
        unsafe { (*self.fields_mut().connection).aborted = 1 }
    }

    /// The descriptor of the client's connection, where the request has one of its own: in HTTP/2 it shares one.
    pub(crate) fn client_socket(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        if !self.connection().master.is_null() {
            return None;
        }
        let mut number = -1;
        // SAFETY: null or the live socket of the connection; writes one number.
        unsafe {
            let socket = ffi::ap_get_conn_socket(self.fields().connection);
            if socket.is_null() || ffi::apr_os_sock_get(&raw mut number, socket) != 0 || number < 0 {
                return None;
            }
            Some(std::os::fd::BorrowedFd::borrow_raw(number))
        }
    }

    /// Ends the connection after this response.
    pub(crate) fn close_after(&mut self) {
        // SAFETY: the connection is live, and serves this request only.
        unsafe { (*self.fields_mut().connection).keepalive = ffi::ap_conn_keepalive_e_AP_CONN_CLOSE }
    }

    /// Sets status and reason of the response; a line without a reason gets httpd's.
    pub(crate) fn set_status(&mut self, code: u16, line: &[u8]) {
        let line = (line.trim_ascii_end().len() > 3).then(|| self.pool().string(line));
        let fields = self.fields_mut();
        fields.status = c_int::from(code);
        fields.status_line = line.map_or(std::ptr::null(), CStr::as_ptr);
    }

    /// Sets the type of the response, through httpd's filters by type.
    pub(crate) fn set_content_type(&mut self, value: &[u8]) {
        let value = self.pool().string(value);
        // SAFETY: the request is live, and so is the text as long as it.
        unsafe { ffi::ap_set_content_type(self.raw(), value.as_ptr()) }
    }

    /// Sets the length of the response's body in octets.
    pub(crate) fn set_content_length(&mut self, length: u64) {
        // SAFETY: the request is live.
        unsafe { ffi::ap_set_content_length(self.raw(), i64::try_from(length).unwrap_or(i64::MAX)) }
    }

    /// Continues with another URL of this server, as GET.
    pub(crate) fn redirect_internally(&mut self, location: &[u8]) {
        let location = self.pool().string(location);
        let method = self.pool().string(b"GET");
        let headers = self.headers();
        let fields = self.fields_mut();
        fields.method = method.as_ptr();
        fields.method_number = ffi::M_GET;
        // What is left of the body belongs to this request, not to the next.
        headers.unset(b"Content-Length");
        headers.unset(b"Transfer-Encoding");
        // SAFETY: the request is live; httpd serves the other URL within this call.
        unsafe { ffi::ap_internal_redirect_handler(location.as_ptr(), self.raw()) }
    }
}
