//! A request's way: which file a URL means, which application that is, in which group, and whether it may be.

#![forbid(unsafe_code)]

use crate::apache::request::{FileKind, Request};
use crate::apache::status::Status;
use crate::apache::{log, server};
use crate::config::alias;
use crate::config::expand::{Facts, Template};
use crate::config::options::{DirOptions, HandlerScript};
use crate::names::{RequestFacts, split_path};
use crate::response::ResponseOptions;
use crate::{daemon, embedded, environ};
use std::borrow::Cow;
use wire::codes::{self, Code};
use wire::head::{Body, RequestHead};

/// The handler of a script alias, and of `AddHandler`.
const SCRIPT_HANDLER: &std::ffi::CStr = c"wsgi-script";

/// The same, by media type.
const SCRIPT_TYPE: &[u8] = b"application/x-httpd-wsgi";

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
    let aliases = &request.server().options().aliases;
    let Some((filename, alias)) = alias::map(aliases, uri) else { return Status::DECLINED };
    request.set_filename(&filename);
    request.set_handler(SCRIPT_HANDLER);
    // What httpd's own script alias leaves: mod_mime then keeps the handler.
    request.notes().set(b"alias-forced-type", SCRIPT_HANDLER.to_bytes());
    request.remember_alias(alias.options.clone());
    Status::OK
}

/// The handler hook.
pub(crate) fn handle(request: &mut Request<'_>) -> Status {
    let Some(handler) = request.handler() else { return Status::DECLINED };
    let options = request.options();
    let handler_script = options.handler_scripts.get(handler);
    if handler != SCRIPT_HANDLER.to_bytes() && handler != SCRIPT_TYPE && handler_script.is_none() {
        return Status::DECLINED;
    }
    match serve(request, handler, options, handler_script) {
        Ok(status) => status,
        Err(refusal) => refusal.report(request),
    }
}

fn serve<'r>(
    request: &mut Request<'r>,
    handler: &'r [u8],
    options: &'r DirOptions,
    handler_script: Option<&'r HandlerScript>,
) -> Result<Status, Refusal> {
    environ::remove_ambiguous_headers(request);
    if handler_script.is_none() {
        check_script(request)?;
    }
    check_message(request, options)?;
    if let Err(status) = request.prepare_body() {
        return Ok(status);
    }
    if let (Some(limit), Some(length)) = (request.body_limit(), request.body_length()) {
        if length > limit {
            request.discard_body();
            return Ok(Status::CONTENT_TOO_LARGE);
        }
    }

    let main = server::Server::main().and_then(server::Server::global);
    let fold_case = main.is_some_and(|global| global.case_sensitivity == Some(false));
    let (script_name, path_info) = split_path(request.uri().unwrap_or(b""), request.path_info());
    let keep = |octets: &[u8]| request.pool().string(octets).to_bytes();
    let (script_name, path_info): (&'r [u8], &'r [u8]) = (keep(&script_name), keep(&path_info));
    let facts = RequestFacts::new(request, script_name, fold_case);
    let choice = Choice::of(request, options, handler_script, &facts);
    let names = environ::Names {
        process_group: keep(&choice.process_group),
        application_group: keep(&choice.application_group),
        callable_object: keep(&choice.callable),
        handler,
        handler_script: handler_script.map_or(b"", |handler| &handler.script),
        script_name,
        path_info,
        pass_authorization: choice.pass_authorization,
        map_head_to_get: options.map_head_to_get.unwrap_or_default(),
    };
    check_group(options, names.process_group)?;
    let (pairs, https) = environ::build(request, &names);
    let head = RequestHead {
        secret: [0; 16],
        deadline: None,
        script: handler_script.map_or_else(|| request.filename(), |handler| &handler.script),
        callable: names.callable_object,
        application_group: names.application_group,
        filename: request.filename(),
        script_reloading: options.script_reloading.unwrap_or(true),
        fold_case,
        ignore_activity: options.ignore_activity.unwrap_or(false),
        https,
        header_only: request.header_only(),
        body: Body::Sent,
        request_start: request.start_micros(),
        queue_start: 0,
        apache_version: server::version(),
        environ: pairs,
    };
    let response = ResponseOptions {
        error_override: options.error_override.unwrap_or(false),
        sendfile: options.enable_sendfile.unwrap_or(false),
        internal_redirect: !names.process_group.is_empty(),
    };
    if names.process_group.is_empty() {
        if main.is_some_and(|global| global.restrict_embedded == Some(true)) {
            return Err(Refusal::new(
                &codes::EMBEDDED_RESTRICTED,
                Status::INTERNAL_SERVER_ERROR,
                "no daemon group is chosen for this URL, and WSGIRestrictEmbedded is On",
            ));
        }
        embedded::serve(request, &head, response)
    } else {
        daemon::serve(request, names.process_group, head, response)
    }
}

/// Whether the requested file may be run as a script.
fn check_script(request: &Request<'_>) -> Result<(), Refusal> {
    let file = || String::from_utf8_lossy(request.filename()).into_owned();
    if request.alias().is_none() && !request.allows_exec() {
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
fn check_message(request: &Request<'_>, options: &DirOptions) -> Result<(), Refusal> {
    if request.rejects_path_info() && !request.path_info().is_empty() {
        let what = format!("the URL goes on after the script with '{}'", String::from_utf8_lossy(request.path_info()));
        return Err(Refusal::new(&codes::PATH_INFO, Status::NOT_FOUND, what));
    }
    if let Some(coding) = request.headers().get(c"Transfer-Encoding") {
        if !coding.eq_ignore_ascii_case(b"chunked") {
            let what = format!("Transfer-Encoding '{}' is not supported", String::from_utf8_lossy(coding));
            return Err(Refusal::new(&codes::TRANSFER_ENCODING, Status::NOT_IMPLEMENTED, what));
        }
        if !options.chunked_request.unwrap_or(false) {
            return Err(Refusal::new(&codes::CHUNKED, Status::LENGTH_REQUIRED, "the request body is chunked"));
        }
    }
    if let Some(length) = request.headers().get(c"Content-Length") {
        if length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
            let what = format!("Content-Length '{}' is no number", String::from_utf8_lossy(length));
            return Err(Refusal::new(&codes::CONTENT_LENGTH, Status::BAD_REQUEST, what));
        }
    }
    Ok(())
}

/// Whether `WSGIRestrictProcess` allows the group.
fn check_group(options: &DirOptions, group: &[u8]) -> Result<(), Refusal> {
    let allowed = options.restrict_process.as_ref().is_none_or(|names| names.iter().any(|name| name.eq_ignore_ascii_case(group)));
    if allowed {
        return Ok(());
    }
    let what = format!("the process group '{}' may not be used for this URL", String::from_utf8_lossy(group));
    Err(Refusal::new(&codes::GROUP_RESTRICTED, Status::INTERNAL_SERVER_ERROR, what))
}

/// Which application serves: an alias or handler script says so before the directives do.
struct Choice<'c> {
    process_group: Cow<'c, [u8]>,
    application_group: Cow<'c, [u8]>,
    callable: Cow<'c, [u8]>,
    pass_authorization: bool,
}

impl<'c> Choice<'c> {
    fn of(request: &Request<'c>, options: &'c DirOptions, handler: Option<&'c HandlerScript>, facts: &'c dyn Facts) -> Self {
        let alias = request.alias().filter(|_| handler.is_none());
        let pick = |own: Option<&'c Template>, directive: &'c Option<Template>| own.or(directive.as_ref());
        let process = pick(
            alias.and_then(|alias| alias.process_group.as_ref()).or(handler.and_then(|handler| handler.process_group.as_ref())),
            &options.process_group,
        );
        let application = pick(
            alias.and_then(|alias| alias.application_group.as_ref()).or(handler.and_then(|handler| handler.application_group.as_ref())),
            &options.application_group,
        );
        let callable = match (handler, alias.and_then(|alias| alias.callable_object.as_deref()), &options.callable_object) {
            (Some(_), _, _) => Cow::Borrowed(&b"handle_request"[..]),
            (None, Some(name), _) => Cow::Borrowed(name),
            (None, None, Some(template)) => template.expand_callable(facts),
            (None, None, None) => Cow::Borrowed(&b"application"[..]),
        };
        let pass_authorization = alias
            .and_then(|alias| alias.pass_authorization)
            .or(handler.and_then(|handler| handler.pass_authorization))
            .or(options.pass_authorization)
            .unwrap_or(false);
        Self {
            process_group: process.map_or(Cow::Borrowed(&b""[..]), |template| template.expand(facts)),
            application_group: application.unwrap_or(&Template::Resource).expand(facts),
            callable,
            pass_authorization,
        }
    }
}
