//! The environ: every key of PEP 3333 and CGI whose value is a `str`, as octets. The host adds what is Python's own.
//! <https://peps.python.org/pep-3333/#environ-variables>

#![forbid(unsafe_code)]

pub(crate) mod header;

pub(crate) use header::is_plain;

use crate::apache::request::Request;
use crate::apache::server;
use crate::config::options::MapHeadToGet;
use crate::config::proxies::{self, Scheme};
use crate::config::value::Network;

use std::borrow::Cow;
use std::ffi::CString;
use wire::head::Pair;

/// What the environ says besides what the request itself knows.
pub(crate) struct Names<'n> {
    /// `mod_wsgi.process_group`.
    pub(crate) process_group: &'n [u8],
    /// `mod_wsgi.application_group`.
    pub(crate) application_group: &'n [u8],
    /// `mod_wsgi.callable_object`.
    pub(crate) callable_object: &'n [u8],
    /// `mod_wsgi.request_handler`.
    pub(crate) handler: &'n [u8],
    /// `mod_wsgi.handler_script`, empty for a script that is requested itself.
    pub(crate) handler_script: &'n [u8],
    /// `SCRIPT_NAME`.
    pub(crate) script_name: &'n [u8],
    /// `PATH_INFO`.
    pub(crate) path_info: &'n [u8],
    /// Whether the application sees `Authorization`.
    pub(crate) pass_authorization: bool,
    /// `WSGIMapHEADToGET`.
    pub(crate) map_head_to_get: MapHeadToGet,
    /// `WSGITrustedProxyHeaders`, as environ keys.
    pub(crate) trusted_headers: &'n [String],
    /// `WSGITrustedProxies`.
    pub(crate) trusted_proxies: Option<&'n [Network]>,
}

/// Variables of the request's environment that no application sees: the process's own, and those whose value the host gives.
const HIDDEN: [&[u8]; 9] = [
    b"PATH",
    b"HTTPS",
    b"mod_wsgi.version",
    b"wsgi.version",
    b"wsgi.multithread",
    b"wsgi.multiprocess",
    b"wsgi.run_once",
    b"wsgi.input_terminated",
    b"wsgi.file_wrapper",
];

/// The pairs, later ones replacing earlier ones, and whether the scheme is https.
pub(crate) fn build<'r>(request: &Request<'r>, names: &Names<'r>) -> (Vec<Pair<'r>>, bool) {
    let mut pairs = Vec::with_capacity(64);
    let mut https = false;
    for (name, value) in request.environment().iter() {
        if name == b"HTTPS" {
            https |= value.eq_ignore_ascii_case(b"on") || value == b"1";
        }
        if !HIDDEN.contains(&name) && !name.starts_with(b"mod_wsgi.x-") {
            pairs.push(Pair { name, value });
        }
    }
    headers(request, names.pass_authorization, &mut pairs);
    cgi(request, names, &mut pairs);
    own(request, names, &mut pairs);
    let scheme = if names.trusted_headers.is_empty() { Scheme::Unsaid } else { trust(request, names, &mut pairs) };
    let https = match scheme {
        Scheme::Unsaid => https || request.is_https(),
        Scheme::Unknown => https,
        Scheme::Http => false,
        Scheme::Https => true,
    };
    (pairs, https)
}

/// Puts the variables of CGI into the request's own environment, for the error document that httpd serves next: it sees them as
/// `REDIRECT_SCRIPT_NAME` and so on, as behind a CGI script.
pub(crate) fn leave<'r>(request: &Request<'r>, names: &Names<'r>) {
    let environment = request.environment();
    for pair in build(request, names).0 {
        if !pair.name.starts_with(b"mod_wsgi.") {
            environment.set(pair.name, pair.value);
        }
    }
}

/// Takes over what a trusted proxy says, and removes what is not to be believed.
fn trust<'r>(request: &Request<'r>, names: &Names<'r>, pairs: &mut Vec<Pair<'r>>) -> Scheme {
    let get = |name: &str| pairs.iter().rev().find(|pair| pair.name == name.as_bytes()).map(|pair| pair.value);
    let changes = proxies::changes(names.trusted_headers, names.trusted_proxies, get);
    pairs.retain(|pair| !changes.removed.iter().any(|name| pair.name == name.as_bytes()));
    pairs.extend(changes.set.iter().map(|(name, value)| Pair { name: name.as_bytes(), value: request.pool().string(value).to_bytes() }));
    changes.scheme
}

/// `HTTP_*`, `CONTENT_TYPE` and `CONTENT_LENGTH`.
fn headers<'r>(request: &Request<'r>, pass_authorization: bool, pairs: &mut Vec<Pair<'r>>) {
    let cgi_passes = request.passes_authorization();
    for (name, value) in request.headers().iter() {
        let is_secret = (name.eq_ignore_ascii_case(b"Authorization") && !pass_authorization && !cgi_passes)
            || (name.eq_ignore_ascii_case(b"Proxy-Authorization") && !cgi_passes);
        // "Proxy" would become HTTP_PROXY, which HTTP clients take for their configuration (httpoxy).
        if is_secret || name.eq_ignore_ascii_case(b"Proxy") {
            continue;
        }
        pairs.push(Pair { name: key(request, name), value });
    }
}

/// The environ's key for a header.
pub(crate) fn key<'r>(request: &Request<'r>, header: &[u8]) -> &'r [u8] {
    match header::key(header) {
        Cow::Borrowed(key) => key,
        Cow::Owned(key) => request.pool().string(&key).to_bytes(),
    }
}

/// `REQUEST_URI`: what the client asked for, undecoded; or the present URI, where httpd's `CGIVar` says so.
pub(crate) fn request_uri<'r>(request: &Request<'r>) -> &'r [u8] {
    if request.shows_current_uri() {
        return request.uri().unwrap_or(b"");
    }
    request.request_line().split(|octet| *octet == b' ').nth(1).unwrap_or(b"")
}

/// The variables of CGI.
fn cgi<'r>(request: &Request<'r>, names: &Names<'r>, pairs: &mut Vec<Pair<'r>>) {
    let pool = request.pool();
    let number = |number: u16| pool.string(number.to_string().as_bytes()).to_bytes();
    let mut push = |name: &'static [u8], value: &'r [u8]| pairs.push(Pair { name, value });
    let map_head = match names.map_head_to_get {
        MapHeadToGet::Off => false,
        MapHeadToGet::On => true,
        MapHeadToGet::Auto => request.has_content_filter(),
    };
    push(b"REQUEST_METHOD", if map_head && request.is_get() { b"GET" } else { request.method() });
    push(b"SCRIPT_NAME", names.script_name);
    push(b"PATH_INFO", names.path_info);
    push(b"QUERY_STRING", request.query());
    push(b"REQUEST_URI", request_uri(request));
    push(b"SERVER_PROTOCOL", request.protocol());
    push(b"REQUEST_SCHEME", request.scheme());
    push(b"SERVER_NAME", request.server_name());
    push(b"SERVER_PORT", number(request.server_port()));
    push(b"SERVER_SOFTWARE", server::description().to_bytes());
    let (local, port) = request.local();
    push(b"SERVER_ADDR", local.unwrap_or(b""));
    if let Some(admin) = request.server().admin() {
        push(b"SERVER_ADMIN", admin);
    }
    let (client, client_port) = request.client();
    push(b"REMOTE_ADDR", client.unwrap_or(b""));
    push(b"REMOTE_PORT", number(client_port));
    let [root, prefix, context] = request.roots();
    push(b"DOCUMENT_ROOT", root.unwrap_or(b""));
    push(b"CONTEXT_PREFIX", prefix.unwrap_or(b""));
    push(b"CONTEXT_DOCUMENT_ROOT", context.unwrap_or(b""));
    push(b"SCRIPT_FILENAME", request.filename());
    if let Some(user) = request.user() {
        push(b"REMOTE_USER", user);
    }
    if let Some(kind) = request.auth_type() {
        push(b"AUTH_TYPE", kind);
    }
    if let Some(previous) = request.previous() {
        push(b"REDIRECT_URL", previous.uri.unwrap_or(b""));
        if let Some(query) = previous.query {
            push(b"REDIRECT_QUERY_STRING", query);
        }
        if let (None, Some(user)) = (request.user(), previous.user) {
            push(b"REDIRECT_REMOTE_USER", user);
        }
    }
    push(b"mod_wsgi.listener_host", request.listener_host());
    push(b"mod_wsgi.listener_port", number(port));
}

/// The `mod_wsgi.*` keys whose values are text.
fn own<'r>(request: &Request<'r>, names: &Names<'r>, pairs: &mut Vec<Pair<'r>>) {
    let mut push = |name: &'static [u8], value: &'r [u8]| pairs.push(Pair { name, value });
    push(b"mod_wsgi.process_group", names.process_group);
    push(b"mod_wsgi.application_group", names.application_group);
    push(b"mod_wsgi.callable_object", names.callable_object);
    push(b"mod_wsgi.request_handler", names.handler);
    push(b"mod_wsgi.handler_script", names.handler_script);
    push(b"mod_wsgi.script_name", names.script_name);
    push(b"mod_wsgi.path_info", names.path_info);
    push(b"mod_wsgi.server_pid", crate::server::pid_text().as_bytes());
    let (request_id, connection_id) = request.log_ids();
    push(b"mod_wsgi.request_id", request_id.unwrap_or(b""));
    if let Some(id) = connection_id {
        push(b"mod_wsgi.connection_id", id);
    }
}

/// Removes from the request every header whose name could be mistaken for another's once it is an environ key: `X_User` for `X-User`.
pub(crate) fn remove_ambiguous_headers(request: &Request<'_>) {
    let headers = request.headers();
    if headers.iter().all(|(name, _)| is_plain(name)) {
        return;
    }
    let odd: Vec<CString> = headers.iter().filter(|(name, _)| !is_plain(name)).filter_map(|(name, _)| CString::new(name).ok()).collect();
    for name in odd {
        headers.unset(name.to_bytes());
    }
}
