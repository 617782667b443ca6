//! Access control by scripts: `WSGIAccessScript`, `WSGIAuthUserScript` (Basic and Digest) and `WSGIAuthGroupScript`.
//!
//! Scripts run in httpd's children, by the host of embedded mode, whatever mode the application has. Whatever goes wrong denies.

#![forbid(unsafe_code)]

use crate::apache::request::Request;
use crate::apache::server;
use crate::apache::status::Status;
use crate::config::expand::Template;
use crate::config::options::{ChildScript, Global};
use crate::config::value::Arguments;
use crate::names::RequestFacts;
use crate::paths::script_length;
use crate::request::Refusal;
use crate::{embedded, environ};
use wire::access::{Answer, Ask, Question};
use wire::codes::{self, Code};
use wire::head::{Body, Pair, RequestHead};

/// What a provider of authentication says of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Authentication {
    /// The password is right.
    Granted,
    /// The password is wrong.
    Denied,
    /// Another provider may know the user.
    Unknown,
    /// The hash to compare with.
    Hash(Vec<u8>),
    /// Nobody can say: 500.
    Failed,
}

/// What a provider of authorization says of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authorization {
    /// The user may.
    Granted,
    /// The user may not.
    Denied,
    /// There is no user yet.
    NoUser,
    /// Nobody can say: the user is denied, also where the rule is turned round.
    Failed,
}

/// The access-checker hook: whether a host may have access at all.
pub(crate) fn allow_access(request: &mut Request<'_>) -> Status {
    let Some(script) = &request.options().access_script else { return Status::DECLINED };
    let client = request.remote_name().or(request.client().0).unwrap_or(b"");
    match ask(request, script, Ask::AllowAccess { host: client }, &codes::NO_ACCESS_INTERPRETER) {
        Answer::Nothing => Status::DECLINED,
        Answer::Yes => Status::OK,
        _ => {
            // With "Satisfy Any" a user with a password may still have access, so this is no denial yet.
            if !request.may_satisfy_by_user() {
                let what = format!("client denied by '{}': '{}'", lossy(&script.script), lossy(request.filename()));
                Refusal::new(&codes::ACCESS_DENIED, Status::FORBIDDEN, what).report(request);
            }
            Status::FORBIDDEN
        }
    }
}

/// Basic authentication: whether a user has that password. The script may give the user another name.
pub(crate) fn check_password(request: &mut Request<'_>, user: &[u8], password: &[u8]) -> Authentication {
    let Some(script) = &request.options().auth_user_script else {
        return failed(request, &codes::NO_USER_SCRIPT, "the provider 'wsgi' has no script to ask for the user");
    };
    match ask(request, script, Ask::CheckPassword { user, password }, &codes::NO_USER_INTERPRETER) {
        Answer::Yes => Authentication::Granted,
        Answer::No => Authentication::Denied,
        Answer::Nothing => Authentication::Unknown,
        Answer::Text(name) => {
            request.set_user(&name);
            Authentication::Granted
        }
        _ => Authentication::Failed,
    }
}

/// Digest authentication: the MD5 sum of `user:realm:password`.
pub(crate) fn realm_hash(request: &mut Request<'_>, user: &[u8], realm: &[u8]) -> Authentication {
    let Some(script) = &request.options().auth_user_script else {
        return failed(request, &codes::NO_DIGEST_SCRIPT, "the provider 'wsgi' has no script to ask for the user");
    };
    match ask(request, script, Ask::RealmHash { user, realm }, &codes::NO_DIGEST_INTERPRETER) {
        Answer::Text(hash) => Authentication::Hash(hash.into_vec()),
        Answer::Nothing => Authentication::Unknown,
        _ => Authentication::Failed,
    }
}

/// `Require wsgi-group`: whether the user is in one of the groups that `required` lists, as words of a configuration line.
pub(crate) fn check_groups(request: &mut Request<'_>, required: &[u8]) -> Authorization {
    let Some(user) = request.user() else { return Authorization::NoUser };
    let denied = |request: &Request<'_>, code: &'static Code, what: &str| {
        Refusal::new(code, Status::FORBIDDEN, format!("authorization of user '{}' to '{}': {what}", lossy(user), lossy_uri(request)))
            .report(request);
        Authorization::Denied
    };
    let Some(script) = &request.options().auth_group_script else {
        denied(request, &codes::NO_GROUP_SCRIPT, "there is no script to ask for groups");
        return Authorization::Failed;
    };
    let Answer::Groups(groups) = ask(request, script, Ask::GroupsForUser { user }, &codes::NO_GROUP_INTERPRETER) else {
        return Authorization::Failed;
    };
    if groups.is_empty() {
        return denied(request, &codes::NO_GROUP_OF_USER, "the user is in no group");
    }
    let mut required = Arguments::new(required);
    while let Some(name) = required.word() {
        // As with mod_wsgi, case makes no difference.
        if groups.iter().any(|group| group.eq_ignore_ascii_case(&name)) {
            return Authorization::Granted;
        }
    }
    denied(request, &codes::NOT_IN_GROUP, "the user is in none of the required groups")
}

fn failed(request: &Request<'_>, code: &'static Code, what: &str) -> Authentication {
    Refusal::new(code, Status::INTERNAL_SERVER_ERROR, what).report(request);
    Authentication::Failed
}

/// Asks a script; `no_interpreter` says in the log that nobody can be asked.
fn ask<'r>(request: &mut Request<'r>, script: &'r ChildScript, ask: Ask<'_>, no_interpreter: &'static Code) -> Answer {
    let application_group = application_group(request, script);
    let question = Question { ask, head: head(request, script, application_group, environ(request, application_group)) };
    embedded::ask(request, &question).unwrap_or_else(|| {
        let what = format!("Python does not run in this httpd child, so '{}' cannot be asked", lossy(&script.script));
        Refusal::new(no_interpreter, Status::FORBIDDEN, what).report(request);
        Answer::Failed
    })
}

/// The application group in which a script of httpd's own processes runs; empty is the main interpreter.
pub(crate) fn application_group<'r>(request: &Request<'r>, script: &ChildScript) -> &'r [u8] {
    // %{RESOURCE} is a plain name here, so the script name is not asked for.
    let facts = RequestFacts::new(request, b"", false);
    script.application_group.as_ref().map_or(b"", |group: &Template| request.pool().string(&group.expand(&facts)).to_bytes())
}

/// The head of a question.
pub(crate) fn head<'r>(
    request: &Request<'r>,
    script: &'r ChildScript,
    application_group: &'r [u8],
    environ: Vec<Pair<'r>>,
) -> RequestHead<'r> {
    RequestHead {
        secret: [0; 16],
        deadline: None,
        script: &script.script,
        callable: b"",
        application_group,
        filename: request.filename(),
        script_reloading: request.options().script_reloading.unwrap_or(true),
        script_modified: 0,
        fold_case: server::Server::main().and_then(server::Server::global).is_some_and(Global::folds_case),
        ignore_activity: true,
        https: request.is_https(),
        header_only: request.header_only(),
        wants_times: false,
        body: Body::Sent,
        request_start: request.start_micros(),
        queue_start: 0,
        apache_version: server::version(),
        environ,
    }
}

/// What an access or authentication script is told: less than an application, and nothing that a directive or proxy has changed.
fn environ<'r>(request: &Request<'r>, application_group: &'r [u8]) -> Vec<Pair<'r>> {
    let pool = request.pool();
    let number = |number: u16| pool.string(number.to_string().as_bytes()).to_bytes();
    let mut pairs: Vec<Pair<'r>> = Vec::with_capacity(40);
    for (name, value) in request.headers().iter() {
        let is_secret = name.eq_ignore_ascii_case(b"Authorization") || name.eq_ignore_ascii_case(b"Proxy-Authorization");
        if !is_secret && environ::is_plain(name) {
            pairs.push(Pair { name: environ::key(request, name), value });
        }
    }
    let mut push = |name: &'static [u8], value: &'r [u8]| pairs.push(Pair { name, value });
    push(b"SERVER_SIGNATURE", request.signature());
    push(b"SERVER_SOFTWARE", server::description().to_bytes());
    push(b"SERVER_NAME", request.bare_server_name());
    let (local, _) = request.local();
    push(b"SERVER_ADDR", local.unwrap_or(b""));
    push(b"SERVER_PORT", number(request.server_port()));
    if let Some(name) = request.remote_name() {
        push(b"REMOTE_HOST", name);
    }
    let (client, client_port) = request.client();
    push(b"REMOTE_ADDR", client.unwrap_or(b""));
    push(b"REMOTE_PORT", number(client_port));
    let [root, ..] = request.roots();
    push(b"DOCUMENT_ROOT", root.unwrap_or(b""));
    if let Some(admin) = request.server().admin() {
        push(b"SERVER_ADMIN", admin);
    }
    push(b"SERVER_PROTOCOL", request.protocol());
    push(b"REQUEST_METHOD", request.method());
    push(b"QUERY_STRING", request.query());
    push(b"REQUEST_URI", environ::request_uri(request));
    let uri = request.uri().unwrap_or(b"");
    push(b"SCRIPT_NAME", &uri[..script_length(uri, request.path_info())]);
    push(b"PATH_INFO", request.path_info());
    push(b"mod_wsgi.process_group", b"");
    push(b"mod_wsgi.application_group", application_group);
    pairs
}

fn lossy(octets: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(octets)
}

fn lossy_uri(request: &Request<'_>) -> String {
    lossy(request.uri().unwrap_or(b"")).into_owned()
}
