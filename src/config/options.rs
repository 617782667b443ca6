//! Options as written: every field says whether it was set, and an inner context goes over an outer one.

use super::alias::Alias;
use super::directives::ServerKey;
use super::expand::Template;
use super::group::Group;
use super::value::Network;
use std::collections::BTreeMap;
use wire::codes::{self, Code};

/// A file and a line in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file.
    pub(crate) file: String,
    /// The line, from 1.
    pub(crate) line: u32,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Something to log at start-up, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// The code of a warning; without one it is information.
    pub(crate) code: Option<&'static Code>,
    /// What it is about; a second notice about the same is dropped.
    pub(crate) subject: String,
    /// Where it was written.
    pub(crate) place: Place,
    /// A sentence that names the subject, and what becomes of it.
    pub(crate) text: String,
}

impl Notice {
    /// `name` has no effect, for the reason `why`; that is told once of all that is about `subject`.
    pub(crate) fn never(name: &str, subject: &str, why: &str, place: Place) -> Self {
        let text = format!("{name} at {place} is checked and has no effect: {why}");
        Self { code: Some(&codes::NO_EFFECT), subject: subject.to_owned(), place, text }
    }

    /// `subject` has no effect because `by` stands in its place.
    pub(crate) fn replaced(subject: &str, by: &str, place: Place) -> Self {
        let text = format!("{subject} at {place} has no effect: {by}");
        Self { code: None, subject: subject.to_owned(), place, text }
    }

    /// `WSGIFreeThreading` stands in a container for one application group, whose processes have others as well.
    pub(crate) fn free_threading_of_one(place: Place) -> Self {
        let text = format!("WSGIFreeThreading at {place} has no effect in a container with 'application-group='");
        Self { code: Some(&codes::FREE_THREADING_OF_ONE), subject: "WSGIFreeThreading".to_owned(), place, text }
    }
}

/// A directive names a daemon group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupMention {
    /// The name, without expansion.
    pub(crate) group: Vec<u8>,
    /// The directive that names it.
    pub(crate) directive: String,
    /// Where.
    pub(crate) place: Place,
    /// In which server.
    pub(crate) server: ServerKey,
}

/// What directives of directories say about the whole server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mentions {
    /// The daemon groups that are named.
    pub(crate) groups: Vec<GroupMention>,
    /// The daemon groups for which the application group `%{GLOBAL}` is named; `None` is any of them.
    pub(crate) global_in: Vec<Option<Vec<u8>>>,
    /// Whether a script runs in httpd's children whatever `WSGIRestrictEmbedded` says (access control, dispatch).
    pub(crate) needs_embedded: bool,
    /// What to log at start-up.
    pub(crate) notices: Vec<Notice>,
}

impl Mentions {
    /// Keeps a notice, if none about the same subject is there.
    pub(crate) fn note(&mut self, notice: Notice) {
        if !self.notices.iter().any(|known| known.subject == notice.subject) {
            self.notices.push(notice);
        }
    }
}

/// What exists once per configuration: the directives of the main server, daemon groups, imports.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Global {
    /// `WSGIDaemonProcess`, in order of definition.
    pub(crate) groups: Vec<Group>,
    /// Scripts to load at the start of a process, in order.
    pub(crate) imports: Vec<ImportScript>,
    /// `WSGISocketPrefix`, absolute.
    pub(crate) socket_prefix: Option<Vec<u8>>,
    /// `WSGISocketRotation`.
    pub(crate) socket_rotation: Option<bool>,
    /// `WSGIDontWriteBytecode`.
    pub(crate) dont_write_bytecode: Option<bool>,
    /// `WSGIPythonWarnings`, in order.
    pub(crate) python_warnings: Vec<String>,
    /// `WSGIPythonOptimize`: 0, 1 or 2.
    pub(crate) python_optimize: Option<u8>,
    /// `WSGIPythonHome`.
    pub(crate) python_home: Option<Vec<u8>>,
    /// `WSGIPythonEggs`.
    pub(crate) python_eggs: Option<Vec<u8>>,
    /// `WSGIPythonHashSeed`.
    pub(crate) python_hash_seed: Option<String>,
    /// `WSGIDestroyInterpreter`.
    pub(crate) destroy_interpreter: Option<bool>,
    /// `WSGIRestrictEmbedded`.
    pub(crate) restrict_embedded: Option<bool>,
    /// `WSGICaseSensitivity`.
    pub(crate) case_sensitivity: Option<bool>,
    /// `WSGIServerMetrics`.
    pub(crate) server_metrics: Option<bool>,
    /// `WSGITelemetryService`.
    pub(crate) telemetry_service: Option<TelemetryService>,
    /// `WSGISlowRequests`, in seconds.
    pub(crate) slow_requests: Option<f64>,
    /// `WSGITelemetryOptions CaptureUserAgent`.
    pub(crate) capture_user_agent: Option<bool>,
    /// The interpreter options outside of all containers.
    pub(crate) interpreter: InterpreterOptions,
    /// `<WSGIInterpreterOptions>`, in order.
    pub(crate) blocks: Vec<Block>,
    /// What was named where.
    pub(crate) mentions: Mentions,
    open_block: Option<Block>,
}

impl Global {
    /// The container that is being read.
    pub(crate) fn open_block(&self) -> Option<&Block> {
        self.open_block.as_ref()
    }

    /// Begins a container: the interpreter options that follow are its own.
    pub(crate) fn begin_block(&mut self, block: Block) {
        self.open_block = Some(block);
    }

    /// Ends the container that was begun last, whether what is in it was in order or not.
    pub(crate) fn close_block(&mut self) {
        self.blocks.extend(self.open_block.take());
    }

    /// The interpreter options that a directive changes now: those of the open container, or the server's.
    pub(crate) fn interpreter_options(&mut self) -> &mut InterpreterOptions {
        match &mut self.open_block {
            Some(block) => &mut block.options,
            None => &mut self.interpreter,
        }
    }
}

/// `WSGIImportScript`, or a script alias that is complete enough to load its script early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImportScript {
    /// The script.
    pub(crate) script: Vec<u8>,
    /// The daemon group; empty is embedded mode.
    pub(crate) process_group: Vec<u8>,
    /// The application group; empty is the main interpreter.
    pub(crate) application_group: Vec<u8>,
    /// Whether it alone makes Python start in httpd's children.
    pub(crate) needs_embedded: bool,
    /// Where it was written.
    pub(crate) place: Place,
    /// In which server.
    pub(crate) server: ServerKey,
}

/// `WSGITelemetryService`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TelemetryService {
    /// The path of the socket.
    pub(crate) path: Vec<u8>,
    /// Seconds between reports.
    pub(crate) interval: f64,
}

/// What `<WSGIInterpreterOptions>` can say of interpreters.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct InterpreterOptions {
    /// `WSGIPerInterpreterGIL`.
    pub(crate) per_interpreter_gil: Option<bool>,
    /// `WSGIFreeThreading`.
    pub(crate) free_threading: Option<bool>,
    /// `WSGISwitchInterval`, in seconds.
    pub(crate) switch_interval: Option<f64>,
    /// `WSGIPythonPath`.
    pub(crate) python_path: Option<Vec<Vec<u8>>>,
    /// `WSGIRestrictStdin`.
    pub(crate) restrict_stdin: Option<bool>,
    /// `WSGIRestrictStdout`.
    pub(crate) restrict_stdout: Option<bool>,
    /// `WSGIRestrictSignal`.
    pub(crate) restrict_signal: Option<bool>,
}

/// `<WSGIInterpreterOptions>`: options for the interpreters that its selectors match; no selector matches any.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Block {
    /// The daemon group; empty is embedded mode.
    pub(crate) process_group: Option<Vec<u8>>,
    /// The application group; empty is the main interpreter.
    pub(crate) application_group: Option<Vec<u8>>,
    /// What holds for them.
    pub(crate) options: InterpreterOptions,
}

/// What each virtual host has of its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerOptions {
    /// `WSGIScriptAlias` and `WSGIScriptAliasMatch`, in order.
    pub(crate) aliases: Vec<Alias>,
}

impl ServerOptions {
    /// The options of a virtual host within the main server: its own aliases come first.
    pub(crate) fn merge(outer: &Self, inner: &Self) -> Self {
        Self { aliases: inner.aliases.iter().chain(&outer.aliases).cloned().collect() }
    }
}

/// `WSGIMapHEADToGET`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MapHeadToGet {
    /// Never.
    Off,
    /// Always.
    On,
    /// Where an output filter changes the content, which needs the body that `GET` would give.
    #[default]
    Auto,
}

/// `WSGIHandlerScript`, without its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HandlerScript {
    /// The script with `handle_request`.
    pub(crate) script: Vec<u8>,
    /// `process-group=`.
    pub(crate) process_group: Option<Template>,
    /// `application-group=`.
    pub(crate) application_group: Option<Template>,
    /// `pass-authorization=`.
    pub(crate) pass_authorization: Option<bool>,
}

/// A script that httpd's children run: dispatch, access, authentication, groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChildScript {
    /// The script.
    pub(crate) script: Vec<u8>,
    /// `application-group=`: the main interpreter if unset.
    pub(crate) application_group: Option<Template>,
}

/// What each directory has of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct DirOptions {
    /// `WSGIProcessGroup`.
    pub(crate) process_group: Option<Template>,
    /// `WSGIApplicationGroup`.
    pub(crate) application_group: Option<Template>,
    /// `WSGICallableObject`.
    pub(crate) callable_object: Option<Template>,
    /// `WSGIRestrictProcess`: lower-case names; empty is embedded mode.
    pub(crate) restrict_process: Option<Vec<Vec<u8>>>,
    /// `WSGIDispatchScript`.
    pub(crate) dispatch_script: Option<ChildScript>,
    /// `WSGIHandlerScript`, by handler name.
    pub(crate) handler_scripts: BTreeMap<Vec<u8>, HandlerScript>,
    /// `WSGIPassApacheRequest`.
    pub(crate) pass_apache_request: Option<bool>,
    /// `WSGIPassAuthorization`.
    pub(crate) pass_authorization: Option<bool>,
    /// `WSGIScriptReloading`.
    pub(crate) script_reloading: Option<bool>,
    /// `WSGIErrorOverride`.
    pub(crate) error_override: Option<bool>,
    /// `WSGIChunkedRequest`.
    pub(crate) chunked_request: Option<bool>,
    /// `WSGIMapHEADToGET`.
    pub(crate) map_head_to_get: Option<MapHeadToGet>,
    /// `WSGIIgnoreActivity`.
    pub(crate) ignore_activity: Option<bool>,
    /// `WSGIEnableSendfile`.
    pub(crate) enable_sendfile: Option<bool>,
    /// `WSGITrustedProxyHeaders`, as environ keys.
    pub(crate) trusted_proxy_headers: Option<Vec<String>>,
    /// `WSGITrustedProxies`.
    pub(crate) trusted_proxies: Option<Vec<Network>>,
    /// `WSGIAccessScript`.
    pub(crate) access_script: Option<ChildScript>,
    /// `WSGIAuthUserScript`.
    pub(crate) auth_user_script: Option<ChildScript>,
    /// `WSGIAuthGroupScript`.
    pub(crate) auth_group_script: Option<ChildScript>,
    /// `WSGIGroupAuthoritative`.
    pub(crate) group_authoritative: Option<bool>,
}

impl DirOptions {
    /// The options of an inner directory (or `.htaccess`, or location) within an outer one: what it says goes over what was said.
    pub(crate) fn merge(outer: &Self, inner: &Self) -> Self {
        let mut handler_scripts = outer.handler_scripts.clone();
        handler_scripts.extend(inner.handler_scripts.clone());
        Self {
            process_group: over(&inner.process_group, &outer.process_group),
            application_group: over(&inner.application_group, &outer.application_group),
            callable_object: over(&inner.callable_object, &outer.callable_object),
            restrict_process: over(&inner.restrict_process, &outer.restrict_process),
            dispatch_script: over(&inner.dispatch_script, &outer.dispatch_script),
            handler_scripts,
            pass_apache_request: inner.pass_apache_request.or(outer.pass_apache_request),
            pass_authorization: inner.pass_authorization.or(outer.pass_authorization),
            script_reloading: inner.script_reloading.or(outer.script_reloading),
            error_override: inner.error_override.or(outer.error_override),
            chunked_request: inner.chunked_request.or(outer.chunked_request),
            map_head_to_get: inner.map_head_to_get.or(outer.map_head_to_get),
            ignore_activity: inner.ignore_activity.or(outer.ignore_activity),
            enable_sendfile: inner.enable_sendfile.or(outer.enable_sendfile),
            trusted_proxy_headers: over(&inner.trusted_proxy_headers, &outer.trusted_proxy_headers),
            trusted_proxies: over(&inner.trusted_proxies, &outer.trusted_proxies),
            access_script: over(&inner.access_script, &outer.access_script),
            auth_user_script: over(&inner.auth_user_script, &outer.auth_user_script),
            auth_group_script: over(&inner.auth_group_script, &outer.auth_group_script),
            group_authoritative: inner.group_authoritative.or(outer.group_authoritative),
        }
    }
}

/// The inner value if it is set, or else the outer one.
fn over<T: Clone>(inner: &Option<T>, outer: &Option<T>) -> Option<T> {
    inner.as_ref().or(outer.as_ref()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::directives::testing::Reader;

    fn directory(lines: &[&str]) -> DirOptions {
        let mut reader = Reader::new();
        lines.iter().for_each(|line| {
            reader.read(line);
        });
        reader.directory
    }

    #[test]
    fn an_inner_directory_goes_over_an_outer_one() {
        let outer = directory(&["WSGIScriptReloading Off", "WSGIProcessGroup outer", "WSGICallableObject main", "WSGIMapHEADToGET On"]);
        let inner = directory(&["WSGIScriptReloading On", "WSGIProcessGroup %{GLOBAL}", "WSGIChunkedRequest On"]);
        let expected = directory(&[
            "WSGIScriptReloading On",
            "WSGIProcessGroup %{GLOBAL}",
            "WSGICallableObject main",
            "WSGIMapHEADToGET On",
            "WSGIChunkedRequest On",
        ]);
        assert_eq!(DirOptions::merge(&outer, &inner), expected);
    }

    #[test]
    fn what_is_not_said_stays() {
        let outer = directory(&[
            "WSGIProcessGroup p",
            "WSGIApplicationGroup a",
            "WSGICallableObject c",
            "WSGIRestrictProcess p",
            "WSGIDispatchScript /d",
            "WSGIHandlerScript h /h",
            "WSGIPassApacheRequest On",
            "WSGIPassAuthorization On",
            "WSGIScriptReloading Off",
            "WSGIErrorOverride On",
            "WSGIChunkedRequest On",
            "WSGIMapHEADToGET Off",
            "WSGIIgnoreActivity On",
            "WSGIEnableSendfile On",
            "WSGITrustedProxyHeaders X-Real-IP",
            "WSGITrustedProxies ::1",
            "WSGIAccessScript /a",
            "WSGIAuthUserScript /u",
            "WSGIAuthGroupScript /g",
            "WSGIGroupAuthoritative Off",
        ]);
        assert_eq!(DirOptions::merge(&outer, &DirOptions::default()), outer);
        assert_eq!(DirOptions::merge(&DirOptions::default(), &outer), outer);
    }

    #[test]
    fn lists_are_replaced_as_a_whole() {
        let outer = directory(&["WSGITrustedProxies 10.0.0.0/8", "WSGITrustedProxyHeaders X-Forwarded-For", "WSGIRestrictProcess a b"]);
        let inner = directory(&["WSGITrustedProxies ::1", "WSGITrustedProxyHeaders X-Real-IP", "WSGIRestrictProcess c"]);
        assert_eq!(DirOptions::merge(&outer, &inner), inner);
    }

    #[test]
    fn handlers_are_united_by_name() {
        let outer = directory(&["WSGIHandlerScript one /outer-one", "WSGIHandlerScript two /outer-two"]);
        let inner = directory(&["WSGIHandlerScript two /inner-two"]);
        let merged = DirOptions::merge(&outer, &inner);
        assert_eq!(merged.handler_scripts[b"one".as_slice()].script, b"/outer-one");
        assert_eq!(merged.handler_scripts[b"two".as_slice()].script, b"/inner-two");
    }

    #[test]
    fn a_virtual_hosts_aliases_come_first() {
        let server = |lines: &[&str]| {
            let mut reader = Reader::new();
            lines.iter().for_each(|line| {
                reader.read(line);
            });
            reader.server
        };
        let main = server(&["WSGIScriptAlias /a /main-a"]);
        let host = server(&["WSGIScriptAlias /b /host-b", "WSGIScriptAlias / /host"]);
        let merged = ServerOptions::merge(&main, &host);
        let targets: Vec<_> = merged.aliases.iter().map(|alias| alias.target.as_slice()).collect();
        assert_eq!(targets, [b"/host-b".as_slice(), b"/host", b"/main-a"]);
    }
}
