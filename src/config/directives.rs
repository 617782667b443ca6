//! What a directive is, and the list of all of them in the order of the documentation.
//!
//! Every directive is registered as `RAW_ARGS`: the words are split here, because the value of `name="a value"` is a quoted word of
//! its own, which httpd's other forms would cut at the blank. httpd puts file and line before an error's text.
//! <https://httpd.apache.org/docs/2.4/developer/modguide.html#configuration>

mod access;
mod daemon;
mod daemon_options;
mod daemon_values;
#[cfg(test)]
mod documentation;
mod handler_script;
mod import_script;
mod interpreter;
mod proxies;
mod python;
mod removed;
mod request;
mod script_alias;
mod selection;
mod socket;
mod telemetry;
#[cfg(test)]
pub(crate) mod testing;

use super::alias::Pattern;
use super::options::{DirOptions, Global, Mentions, Notice, Place, ServerOptions};
use super::value::{self, Arguments};
use std::borrow::Cow;
use std::ffi::CStr;
use std::sync::Arc;

/// Where a directive may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    /// The main server only, not within `<VirtualHost>`: `RSRC_CONF` and `GLOBAL_ONLY`.
    Global,
    /// The main server or a virtual host: `RSRC_CONF`.
    Server,
    /// Those and the directory containers: `RSRC_CONF | ACCESS_CONF`.
    Directory,
    /// Those and `.htaccess` with `AllowOverride FileInfo`: `OR_FILEINFO`.
    FileInfo,
    /// Directory containers, and `.htaccess` with `AllowOverride AuthConfig`: `OR_AUTHCFG`.
    AuthConfig,
    /// The main server only, by itself or within `<WSGIInterpreterOptions>`: `RSRC_CONF` and `GLOBAL_ONLY`.
    GlobalOrBlock,
}

/// Whether a directive does what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It does.
    Works,
    /// It is checked, and a warning at start-up says with these words that it will do nothing: what for, and why.
    Never(&'static str, &'static str),
    /// It is checked; the text says what stands in its place, at level info.
    Replaced(&'static str),
}

/// A directive.
#[derive(Debug)]
pub(crate) struct Definition {
    /// Its name; for a container with the `<`.
    pub(crate) name: &'static CStr,
    /// Where it may stand.
    pub(crate) context: Context,
    /// One line for `httpd -L`.
    pub(crate) help: &'static CStr,
    /// Whether it does what it says.
    pub(crate) effect: Effect,
    /// What reads it.
    pub(crate) apply: Apply,
}

/// What reads a directive's arguments, by what it changes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Apply {
    /// What exists once.
    Global(fn(&Site<'_>, &[u8], &mut Global) -> Result<(), DirectiveError>),
    /// What each virtual host has of its own.
    Server(fn(&Site<'_>, &[u8], &mut ServerOptions, &mut Global) -> Result<(), DirectiveError>),
    /// What each directory has of its own.
    Directory(fn(&Site<'_>, &[u8], &mut DirOptions, &mut Mentions) -> Result<(), DirectiveError>),
    /// A container: this opens it; the fence walks what is in it and then calls [`Global::close_block`].
    Block(fn(&Site<'_>, &[u8], &mut Global) -> Result<(), DirectiveError>),
}

/// What a directive may change.
pub(crate) enum Target<'t> {
    /// While the server reads its configuration.
    Startup {
        /// What exists once.
        global: &'t mut Global,
        /// The server or virtual host in which the directive stands.
        server: &'t mut ServerOptions,
        /// The directory in which it stands; outside of all, the server's own layer.
        directory: &'t mut DirOptions,
    },
    /// While a request reads `.htaccess`: everything else belongs to all threads.
    Htaccess {
        /// The directory with the file.
        directory: &'t mut DirOptions,
    },
}

impl Definition {
    /// The name as text, without a container's `<`.
    pub(crate) fn name(&self) -> &'static str {
        self.name.to_str().expect("names in DIRECTIVES are ASCII").trim_start_matches('<')
    }

    /// Reads the directive with the arguments `raw`, all that follows the name on its line.
    pub(crate) fn apply(&self, site: &Site<'_>, raw: &[u8], target: Target<'_>) -> Result<(), DirectiveError> {
        match (self.apply, target) {
            (Apply::Directory(apply), Target::Htaccess { directory }) => apply(site, raw, directory, &mut Mentions::default()),
            (_, Target::Htaccess { .. }) => Err(DirectiveError::NotInHtaccess { directive: self.name().to_owned() }),
            (apply, Target::Startup { global, server, directory }) => {
                if global.open_block().is_some() && self.context != Context::GlobalOrBlock {
                    return Err(DirectiveError::NotInBlock { directive: self.name().to_owned() });
                }
                self.mention(site, &mut global.mentions);
                match apply {
                    Apply::Global(apply) | Apply::Block(apply) => apply(site, raw, global),
                    Apply::Server(apply) => apply(site, raw, server, global),
                    Apply::Directory(apply) => apply(site, raw, directory, &mut global.mentions),
                }
            }
        }
    }

    fn mention(&self, site: &Site<'_>, mentions: &mut Mentions) {
        match self.effect {
            Effect::Works => {}
            Effect::Never(subject, why) => mentions.note(Notice::never(self.name(), subject, why, site.place())),
            Effect::Replaced(by) => mentions.note(Notice::replaced(self.name(), by, site.place())),
        }
    }
}

/// Where a directive stands, and whom to ask while it is read.
pub(crate) struct Site<'a> {
    /// The directive's name.
    pub(crate) directive: &'a str,
    /// The file.
    pub(crate) file: &'a str,
    /// The line in it.
    pub(crate) line: u32,
    /// The server or virtual host.
    pub(crate) server: ServerKey,
    /// Its `ServerName`, as far as it has been read.
    pub(crate) server_name: Option<&'a str>,
    /// httpd and the system.
    pub(crate) system: &'a dyn System,
}

impl Site<'_> {
    /// File and line.
    pub(crate) fn place(&self) -> Place {
        Place { file: self.file.to_owned(), line: self.line }
    }

    /// An error that begins with `problem`, mod_wsgi's sentence where it has one, and says in `detail` what would be right.
    pub(crate) fn error(&self, problem: impl Into<Cow<'static, str>>, detail: impl std::fmt::Display) -> DirectiveError {
        DirectiveError::Invalid { problem: problem.into(), directive: self.directive.to_owned(), detail: detail.to_string() }
    }

    /// The error of too few or too many arguments.
    fn takes(&self, takes: &'static str) -> DirectiveError {
        DirectiveError::Arguments { directive: self.directive.to_owned(), takes }
    }

    /// The only argument.
    fn one(&self, raw: &[u8], takes: &'static str) -> Result<Vec<u8>, DirectiveError> {
        let mut arguments = Arguments::new(raw);
        arguments.word().filter(|_| arguments.is_empty()).ok_or_else(|| self.takes(takes))
    }

    /// The only argument, as text.
    fn one_text(&self, raw: &[u8], takes: &'static str) -> Result<String, DirectiveError> {
        String::from_utf8(self.one(raw, takes)?).map_err(|_| self.error("Argument is no text.", "it must be UTF-8"))
    }

    /// The only argument, `On` or `Off`.
    fn flag(&self, raw: &[u8]) -> Result<bool, DirectiveError> {
        let given = self.one(raw, "one argument, On or Off")?;
        value::flag(&given).ok_or_else(|| self.choice("Off | On", &given))
    }

    /// The error of an argument that is none of a few words.
    fn choice(&self, choices: &'static str, given: &[u8]) -> DirectiveError {
        DirectiveError::Choice { directive: self.directive.to_owned(), choices, given: value::text(given).into_owned() }
    }

    /// Checks that the path of a script is absolute: what a relative one means depends on where httpd was started.
    fn absolute_script(&self, path: Vec<u8>) -> Result<Vec<u8>, DirectiveError> {
        if path.starts_with(b"/") {
            return Ok(path);
        }
        let given = value::text(&path).into_owned();
        Err(self.error("Script path is not absolute.", format_args!("write the whole path of '{given}', such as /srv/www/app.wsgi")))
    }
}

/// Which server or virtual host: equal for the same one within one reading of the configuration, without a meaning otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ServerKey {
    /// The main server.
    Main,
    /// A virtual host; the fence chooses the number (the address of its `server_rec`).
    VirtualHost(usize),
}

/// What reading a directive must ask of httpd and of the system.
pub(crate) trait System {
    /// `ap_server_root_relative`: an absolute path, or `None` when it cannot be made one.
    fn server_root_relative(&self, path: &[u8]) -> Option<Vec<u8>>;
    /// The uid of a user's name.
    fn uid(&self, name: &str) -> Option<u32>;
    /// The gid of a group's name.
    fn gid(&self, name: &str) -> Option<u32>;
    /// The name of the user with a uid.
    fn user_name(&self, uid: u32) -> Option<String>;
    /// Whether httpd was started by root.
    fn is_root(&self) -> bool;
    /// A compiled regular expression (`ap_pregcomp`, extended); the error is its reason.
    fn compile(&self, pattern: &[u8]) -> Result<Arc<dyn Pattern>, String>;
}

/// Why a directive is refused. httpd writes `Syntax error on line N of FILE:` before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DirectiveError {
    /// An argument is missing, unknown, of the wrong type or out of range.
    #[error("{problem} {directive}: {detail}")]
    Invalid {
        /// What is wrong, a sentence with its final stop; mod_wsgi's where it has one.
        problem: Cow<'static, str>,
        /// Which directive.
        directive: String,
        /// What was written and what would be right.
        detail: String,
    },
    /// The argument is none of a few words.
    #[error("{directive} must be one of: {choices}; '{given}' is none of them")]
    Choice {
        /// Which directive.
        directive: String,
        /// The words.
        choices: &'static str,
        /// What was written.
        given: String,
    },
    /// Too few or too many arguments.
    #[error("{directive} takes {takes}")]
    Arguments {
        /// Which directive.
        directive: String,
        /// What it takes.
        takes: &'static str,
    },
    /// A rule of one directive, whose text names it.
    #[error("{0}")]
    Rule(String),
    /// Only what belongs to a directory can change while requests are served.
    #[error("{directive} not allowed here: write it in the server's configuration, not in .htaccess")]
    NotInHtaccess {
        /// Which directive.
        directive: String,
    },
    /// The container describes interpreters, nothing else.
    #[error("{directive} not allowed in <WSGIInterpreterOptions>: write it outside of the container")]
    NotInBlock {
        /// Which directive.
        directive: String,
    },
}

/// All directives, in the order of the documentation; at the end those that were removed.
pub(crate) static DIRECTIVES: &[Definition] = &[
    script_alias::SCRIPT_ALIAS,
    script_alias::SCRIPT_ALIAS_MATCH,
    daemon::DAEMON_PROCESS,
    socket::SOCKET_PREFIX,
    socket::SOCKET_ROTATION,
    socket::ACCEPT_MUTEX,
    python::VERBOSE_DEBUGGING,
    python::DONT_WRITE_BYTECODE,
    python::PYTHON_WARNINGS,
    python::PYTHON_OPTIMIZE,
    python::PYTHON_HOME,
    interpreter::PYTHON_PATH,
    python::PYTHON_EGGS,
    python::PYTHON_HASH_SEED,
    interpreter::SWITCH_INTERVAL,
    python::DESTROY_INTERPRETER,
    interpreter::PER_INTERPRETER_GIL,
    interpreter::FREE_THREADING,
    interpreter::INTERPRETER_OPTIONS,
    python::RESTRICT_EMBEDDED,
    interpreter::RESTRICT_STDIN,
    interpreter::RESTRICT_STDOUT,
    interpreter::RESTRICT_SIGNAL,
    python::CASE_SENSITIVITY,
    selection::RESTRICT_PROCESS,
    selection::PROCESS_GROUP,
    selection::APPLICATION_GROUP,
    selection::CALLABLE_OBJECT,
    import_script::IMPORT_SCRIPT,
    access::DISPATCH_SCRIPT,
    handler_script::HANDLER_SCRIPT,
    request::PASS_APACHE_REQUEST,
    request::PASS_AUTHORIZATION,
    request::SCRIPT_RELOADING,
    request::ERROR_OVERRIDE,
    request::CHUNKED_REQUEST,
    request::MAP_HEAD_TO_GET,
    request::IGNORE_ACTIVITY,
    proxies::TRUSTED_PROXY_HEADERS,
    proxies::TRUSTED_PROXIES,
    request::ENABLE_SENDFILE,
    access::ACCESS_SCRIPT,
    access::AUTH_USER_SCRIPT,
    access::AUTH_GROUP_SCRIPT,
    access::GROUP_AUTHORITATIVE,
    telemetry::SERVER_METRICS,
    telemetry::TELEMETRY_SERVICE,
    telemetry::SLOW_REQUESTS,
    telemetry::TELEMETRY_OPTIONS,
    removed::LAZY_INITIALIZATION,
    removed::NEW_RELIC_CONFIG_FILE,
    removed::NEW_RELIC_ENVIRONMENT,
];

#[cfg(test)]
mod tests {
    use super::testing::{Reader, find};
    use super::*;

    #[test]
    fn every_directive_of_mod_wsgi_is_there_once() {
        let mut names: Vec<_> = DIRECTIVES.iter().map(|definition| definition.name().to_lowercase()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!((names.len(), DIRECTIVES.len()), (49 + 3, 49 + 3), "three were removed and say so");
        assert!(DIRECTIVES.iter().all(|definition| definition.name().starts_with("WSGI") && definition.help.to_bytes().ends_with(b".")));
    }

    #[test]
    fn a_flag_takes_one_of_two_words() {
        let mut reader = Reader::new();
        assert_eq!(reader.error("WSGIScriptReloading Maybe"), "WSGIScriptReloading must be one of: Off | On; 'Maybe' is none of them");
        assert_eq!(reader.error("WSGIScriptReloading On Off"), "WSGIScriptReloading takes one argument, On or Off");
        assert_eq!(reader.error("WSGIScriptReloading"), "WSGIScriptReloading takes one argument, On or Off");
    }

    #[test]
    fn no_octets_bring_a_directive_down() {
        // A fixed sequence (xorshift), over octets that mean something to a grammar.
        const OCTETS: &[u8] = b"  \t\"'\\=:/%{}>,#+-.0195aonf\x00\xff\xc3";
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |bound: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % bound as u64).expect("below the bound")
        };
        for definition in DIRECTIVES {
            let mut reader = Reader::new();
            for _ in 0..2000 {
                let mut raw: Vec<u8> = (0..next(24)).map(|_| OCTETS[next(OCTETS.len())]).collect();
                if next(2) == 0 {
                    raw.splice(0..0, *b"/a ");
                }
                let _either_is_fine = reader.apply(definition, &raw);
            }
        }
    }

    #[test]
    fn htaccess_changes_its_directory_only() {
        let mut directory = DirOptions::default();
        let mut apply = |name: &str, raw: &str| {
            let definition = find(name).expect("defined");
            let reader = Reader::new();
            definition.apply(&reader.site(definition.name()), raw.as_bytes(), Target::Htaccess { directory: &mut directory })
        };
        assert_eq!(apply("WSGICallableObject", "main"), Ok(()));
        assert_eq!(
            apply("WSGIPythonHome", "/venv").expect_err("refused").to_string(),
            "WSGIPythonHome not allowed here: write it in the server's configuration, not in .htaccess"
        );
        assert!(directory.callable_object.is_some());
    }

    #[test]
    fn what_has_no_effect_is_told_once_per_directive() {
        let mut reader = Reader::new();
        reader.line = 7;
        reader.read("WSGITelemetryOptions All");
        reader.line = 8;
        reader.read("WSGITelemetryOptions None");
        reader.read("WSGIVerboseDebugging Off");
        let notices = &reader.global.mentions.notices;
        assert_eq!(notices.len(), 2);
        assert!(notices[0].text.starts_with("WSGITelemetryOptions at test.conf:7 is checked and has no effect: "), "{}", notices[0].text);
        assert_eq!(notices.iter().map(|notice| notice.code.is_some()).collect::<Vec<_>>(), [true, false]);
    }
}
