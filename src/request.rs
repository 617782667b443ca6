//! A request's way: which file a URL means, which application that is, in which group, and whether it may be.

#![forbid(unsafe_code)]

use crate::apache::request::{FileKind, Request};
use crate::apache::status::Status;
use crate::apache::{log, server};
use crate::config::alias::{self, AliasOptions, Mapped};
use crate::config::expand::Template;
use crate::config::options::{ChildScript, Global, HandlerScript};
use crate::config::settings::request::{RequestSettings, Source};
use crate::names::RequestFacts;
use crate::paths::split_path;
use crate::response::ResponseOptions;
use crate::slow::{self, Timeline};
use crate::{auth, daemon, embedded, environ};
use std::cell::LazyCell;
use std::rc::Rc;
use wire::access::{Answer, Ask, Question};
use wire::codes::{self, Code};
use wire::head::{Body, Pair, RequestHead};

/// The handler of a script alias, and of `AddHandler`.
const SCRIPT_HANDLER: &std::ffi::CStr = c"wsgi-script";

/// The same, by media type.
const SCRIPT_TYPE: &[u8] = b"application/x-httpd-wsgi";

/// The note that says which alias of the server mapped the request. Of all that a module can leave with a request, only notes go along
/// when httpd puts a sub-request in its place, as mod_dir and mod_negotiation do.
const ALIAS: &std::ffi::CStr = c"wsgi-alias";

thread_local! {
    /// A thread of httpd's that serves applications is scheduled as a worker's is, from the first request on: in embedded mode it executes
    /// them, and in daemon mode each block of a worker's answer would have it take the processor from that worker.
    static BATCHED: LazyCell<()> = const { LazyCell::new(sys::schedule::batch) };
}

/// Why a request is not served.
pub(crate) struct Refusal {
    code: &'static Code,
    what: String,
    status: Status,
}

impl Refusal {
    /// A refusal with its line for the log, which has no final stop.
    pub(crate) fn new(code: &'static Code, status: Status, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), status }
    }

    /// Logs it; the status is the handler's.
    pub(crate) fn report(&self, request: &Request<'_>) -> Status {
        log::request(request, self.code.level, &self.code.line(&self.what));
        self.status
    }
}

/// The translate-name hook: which file a URL means by the script aliases.
pub(crate) fn translate(request: &mut Request<'_>) -> Status {
    let Some(uri) = request.uri() else { return Status::DECLINED };
    let Some(Mapped { target, rest, place }) = alias::map(&request.server().options().aliases, uri) else { return Status::DECLINED };
    // Where the target is a script, httpd need not find that out component by component, for want of a file of the whole name.
    if !rest.starts_with(b"/") || !request.set_file_and_path_info(&target, &rest) {
        request.set_filename(&[target, rest].concat());
    }
    request.set_handler(SCRIPT_HANDLER);
    // What httpd's own script alias leaves: mod_mime then keeps the handler.
    request.notes().set(b"alias-forced-type", SCRIPT_HANDLER.to_bytes());
    request.notes().set(ALIAS.to_bytes(), place.to_string().as_bytes());
    Status::OK
}

/// The options of the alias that mapped the request.
fn alias_of<'r>(request: &Request<'r>) -> Option<&'r AliasOptions> {
    let place: usize = std::str::from_utf8(request.notes().get(ALIAS)?).ok()?.parse().ok()?;
    request.server().options().aliases.get(place).map(|alias| &*alias.options)
}

/// The handler hook.
pub(crate) fn handle(request: &mut Request<'_>) -> Status {
    let Some(handler) = request.handler() else { return Status::DECLINED };
    let options = request.options();
    let handler_script = options.handler_scripts.get(handler);
    if handler != SCRIPT_HANDLER.to_bytes() && handler != SCRIPT_TYPE && handler_script.is_none() {
        return Status::DECLINED;
    }
    let source = match (handler_script, alias_of(request)) {
        (Some(script), _) => Source::Handler(script),
        (None, Some(alias)) => Source::Alias(alias),
        (None, None) => Source::File,
    };
    let timeline = slow::timeline();
    let status = match serve(request, handler, &RequestSettings::new(options, source), handler_script, timeline.clone()) {
        Ok(status) => status,
        Err(refusal) => refusal.report(request),
    };
    if let Some(timeline) = timeline {
        timeline.report(request, status);
    }
    status
}

fn serve<'r>(
    request: &mut Request<'r>,
    handler: &'r [u8],
    settings: &RequestSettings<'r>,
    handler_script: Option<&'r HandlerScript>,
    timeline: Option<Rc<Timeline>>,
) -> Result<Status, Refusal> {
    BATCHED.with(|batched| **batched);
    environ::remove_ambiguous_headers(request);
    if handler_script.is_none() {
        check_script(request)?;
    }
    check_message(request, settings.chunked_request)?;
    if let Err(status) = request.prepare_body() {
        return Ok(status);
    }
    if request.body_limit().zip(request.body_length()).is_some_and(|(limit, length)| length > limit) {
        request.discard_body();
        return Ok(Status::CONTENT_TOO_LARGE);
    }

    let global = server::Server::main().and_then(server::Server::global);
    let fold_case = global.is_some_and(Global::folds_case);
    let (script_name, path_info) = split_path(request.uri().unwrap_or(b""), request.path_info());
    let keep = |octets: &[u8]| request.pool().string(octets).to_bytes();
    let (script_name, path_info): (&'r [u8], &'r [u8]) = (keep(&script_name), keep(&path_info));
    let facts = RequestFacts::new(request, script_name, fold_case);
    let mut names = environ::Names {
        process_group: keep(&settings.process_group(&facts)),
        application_group: keep(&settings.application_group(&facts)),
        callable_object: keep(&settings.callable(&facts)),
        handler,
        handler_script: handler_script.map_or(b"", |handler| &handler.script),
        script_name,
        path_info,
        pass_authorization: settings.pass_authorization,
        map_head_to_get: settings.map_head_to_get,
        trusted_headers: request.options().trusted_proxy_headers.as_deref().unwrap_or_default(),
        trusted_proxies: request.options().trusted_proxies.as_deref(),
    };
    let (mut pairs, https) = environ::build(request, &names);
    if let Some(script) = &request.options().dispatch_script {
        dispatch(request, script, &mut names, &mut pairs, fold_case)?;
    }
    if !settings.allows_process_group(names.process_group) {
        let what = format!("the process group '{}' may not be used for this URL", String::from_utf8_lossy(names.process_group));
        return Err(Refusal::new(&codes::GROUP_RESTRICTED, Status::INTERNAL_SERVER_ERROR, what));
    }
    let is_embedded = names.process_group.is_empty();
    if is_embedded && global.is_some_and(Global::restricts_embedded) {
        let what = "no daemon group is chosen for this URL, and WSGIRestrictEmbedded is On";
        return Err(Refusal::new(&codes::EMBEDDED_RESTRICTED, Status::INTERNAL_SERVER_ERROR, what));
    }
    let head = RequestHead {
        secret: [0; 16],
        deadline: None,
        script: handler_script.map_or_else(|| request.filename(), |handler| &handler.script),
        callable: names.callable_object,
        application_group: names.application_group,
        filename: request.filename(),
        script_reloading: settings.script_reloading,
        script_modified: if handler_script.is_none() { request.file_modified() } else { 0 },
        fold_case,
        ignore_activity: settings.ignore_activity,
        https,
        header_only: request.header_only(),
        wants_times: timeline.is_some(),
        body: Body::Sent,
        request_start: request.start_micros(),
        queue_start: 0,
        apache_version: server::version(),
        environ: pairs,
    };
    let response = ResponseOptions {
        error_override: settings.error_override,
        sendfile: settings.enable_sendfile,
        internal_redirect: !is_embedded,
        spool_limit: 0,
        client_timeout: None,
        timeline,
    };
    let status =
        if is_embedded { embedded::serve(request, &head, response) } else { daemon::serve(request, names.process_group, head, response) }?;
    if status != Status::OK {
        environ::leave(request, &names);
    }
    Ok(status)
}

/// Lets a dispatch script choose groups and callable; the application sees what it chose.
fn dispatch<'r>(
    request: &mut Request<'r>,
    script: &'r ChildScript,
    names: &mut environ::Names<'r>,
    pairs: &mut Vec<Pair<'r>>,
    fold_case: bool,
) -> Result<(), Refusal> {
    let application_group = auth::application_group(request, script);
    let mut told: Vec<Pair<'r>> = pairs.iter().filter(|pair| pair.name != b"mod_wsgi.callable_object").copied().collect();
    told.push(Pair { name: b"mod_wsgi.process_group", value: b"" });
    told.push(Pair { name: b"mod_wsgi.application_group", value: application_group });
    let question = Question { ask: Ask::Dispatch, head: auth::head(request, script, application_group, told) };
    let failed = |code, what: &str| {
        let script = String::from_utf8_lossy(&script.script);
        Refusal::new(code, Status::INTERNAL_SERVER_ERROR, format!("'{script}' cannot choose where to serve the request: {what}"))
    };
    let choice = match embedded::ask(request, &question) {
        Some(Answer::Chosen(choice)) => choice,
        // As with mod_wsgi: what is configured holds.
        Some(Answer::NotLoaded) => return Ok(()),
        Some(_) => return Err(failed(&codes::DISPATCH_FAILED, "the log says why")),
        None => return Err(failed(&codes::NO_DISPATCH_INTERPRETER, "Python does not run in this httpd child")),
    };
    let facts = RequestFacts::new(request, names.script_name, fold_case);
    let keep = |octets: &[u8]| request.pool().string(octets).to_bytes();
    let mut set = |name: &'static [u8], slot: &mut &'r [u8], value: &[u8]| {
        *slot = keep(value);
        pairs.push(Pair { name, value: slot });
    };
    if let Some(group) = choice.process_group {
        set(b"mod_wsgi.process_group", &mut names.process_group, &Template::group(&group).expand(&facts));
    }
    if let Some(group) = choice.application_group {
        set(b"mod_wsgi.application_group", &mut names.application_group, &Template::group(&group).expand(&facts));
    }
    if let Some(callable) = choice.callable_object {
        set(b"mod_wsgi.callable_object", &mut names.callable_object, &Template::callable(&callable).expand_callable(&facts));
    }
    Ok(())
}

/// Whether the requested file may be run as a script.
fn check_script(request: &Request<'_>) -> Result<(), Refusal> {
    let file = || String::from_utf8_lossy(request.filename()).into_owned();
    if alias_of(request).is_none() && !request.allows_exec() {
        let what = format!("'{}' is not run: Options ExecCGI is off in its directory", file());
        return Err(Refusal::new(&codes::EXEC_CGI, Status::FORBIDDEN, what));
    }
    match request.file_kind() {
        FileKind::Missing => {
            Err(Refusal::new(&codes::SCRIPT_MISSING, Status::NOT_FOUND, format!("the script '{}' does not exist", file())))
        }
        FileKind::Directory => {
            Err(Refusal::new(&codes::SCRIPT_IS_DIRECTORY, Status::FORBIDDEN, format!("'{}' is a directory, not a script", file())))
        }
        FileKind::File => Ok(()),
    }
}

/// Whether the message is one that an application can be given.
fn check_message(request: &Request<'_>, allows_chunked: bool) -> Result<(), Refusal> {
    if request.rejects_path_info() && !request.path_info().is_empty() {
        let what = format!("the URL goes on after the script with '{}'", String::from_utf8_lossy(request.path_info()));
        return Err(Refusal::new(&codes::PATH_INFO, Status::NOT_FOUND, what));
    }
    if let Some(coding) = request.headers().get(c"Transfer-Encoding") {
        if !coding.eq_ignore_ascii_case(b"chunked") {
            let what = format!("Transfer-Encoding '{}' is not supported", String::from_utf8_lossy(coding));
            return Err(Refusal::new(&codes::TRANSFER_ENCODING, Status::NOT_IMPLEMENTED, what));
        }
        if !allows_chunked {
            return Err(Refusal::new(&codes::CHUNKED, Status::LENGTH_REQUIRED, "the request body is chunked"));
        }
    }
    let is_number = |length: &[u8]| !length.is_empty() && length.iter().all(u8::is_ascii_digit);
    if let Some(length) = request.headers().get(c"Content-Length").filter(|length| !is_number(length)) {
        let what = format!("Content-Length '{}' is no number", String::from_utf8_lossy(length));
        return Err(Refusal::new(&codes::CONTENT_LENGTH, Status::BAD_REQUEST, what));
    }
    Ok(())
}
