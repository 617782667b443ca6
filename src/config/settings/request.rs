//! The settings of one request: its directory's options, under those of its script alias or handler script.

use crate::config::alias::AliasOptions;
use crate::config::expand::{DEFAULT_CALLABLE, Facts, Template};
use crate::config::options::{DirOptions, HandlerScript, MapHeadToGet};
use std::borrow::Cow;

/// What makes the choice of the application: the URL by a script alias, or the handler by its script, or neither.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'o> {
    /// The file itself is the script.
    File,
    /// A script alias.
    Alias(&'o AliasOptions),
    /// A handler script.
    Handler(&'o HandlerScript),
}

/// The settings of one request.
#[derive(Debug)]
pub(crate) struct RequestSettings<'o> {
    process_group: &'o Template,
    application_group: &'o Template,
    callable: Callable<'o>,
    restrict_process: Option<&'o [Vec<u8>]>,
    /// Whether the application sees `Authorization`.
    pub(crate) pass_authorization: bool,
    /// Whether a changed script is loaded again.
    pub(crate) script_reloading: bool,
    /// Whether httpd's error responses stand in for the application's.
    pub(crate) error_override: bool,
    /// Whether a chunked request body is accepted.
    pub(crate) chunked_request: bool,
    /// Whether `HEAD` is shown as `GET`.
    pub(crate) map_head_to_get: MapHeadToGet,
    /// Whether the request leaves the inactivity timer alone.
    pub(crate) ignore_activity: bool,
    /// Whether the kernel sends files in embedded mode.
    pub(crate) enable_sendfile: Option<bool>,
}

#[derive(Debug)]
enum Callable<'o> {
    Name(&'o [u8]),
    Template(&'o Template),
}

static EMBEDDED: Template = Template::Literal(Vec::new());
static RESOURCE: Template = Template::Resource;

impl<'o> RequestSettings<'o> {
    /// Resolves the options of a directory. What the alias or handler script says goes over every directive.
    pub(crate) fn new(options: &'o DirOptions, source: Source<'o>) -> Self {
        let (process_group, application_group, callable, pass_authorization) = match source {
            Source::File => (None, None, None, None),
            Source::Alias(alias) => (
                alias.process_group.as_ref(),
                alias.application_group.as_ref(),
                alias.callable_object.as_deref().map(Callable::Name),
                alias.pass_authorization,
            ),
            Source::Handler(handler) => (
                handler.process_group.as_ref(),
                handler.application_group.as_ref(),
                Some(Callable::Name(b"handle_request")),
                handler.pass_authorization,
            ),
        };
        let callable = callable.or(options.callable_object.as_ref().map(Callable::Template));
        Self {
            process_group: process_group.or(options.process_group.as_ref()).unwrap_or(&EMBEDDED),
            application_group: application_group.or(options.application_group.as_ref()).unwrap_or(&RESOURCE),
            callable: callable.unwrap_or(Callable::Name(DEFAULT_CALLABLE)),
            restrict_process: options.restrict_process.as_deref(),
            pass_authorization: pass_authorization.or(options.pass_authorization).unwrap_or(false),
            script_reloading: options.script_reloading.unwrap_or(true),
            error_override: options.error_override.unwrap_or(false),
            chunked_request: options.chunked_request.unwrap_or(false),
            map_head_to_get: options.map_head_to_get.unwrap_or_default(),
            ignore_activity: options.ignore_activity.unwrap_or(false),
            enable_sendfile: options.enable_sendfile,
        }
    }

    /// The process group; empty is embedded mode.
    pub(crate) fn process_group<'f>(&self, facts: &'f dyn Facts) -> Cow<'f, [u8]>
    where
        'o: 'f,
    {
        self.process_group.expand(facts)
    }

    /// The application group; empty is the main interpreter.
    pub(crate) fn application_group<'f>(&self, facts: &'f dyn Facts) -> Cow<'f, [u8]>
    where
        'o: 'f,
    {
        self.application_group.expand(facts)
    }

    /// The name of the application in its script.
    pub(crate) fn callable<'f>(&self, facts: &'f dyn Facts) -> Cow<'f, [u8]>
    where
        'o: 'f,
    {
        match self.callable {
            Callable::Name(name) => Cow::Borrowed(name),
            Callable::Template(template) => template.expand_callable(facts),
        }
    }

    /// Whether `WSGIRestrictProcess` lets the request use a process group.
    pub(crate) fn allows_process_group(&self, group: &[u8]) -> bool {
        self.restrict_process.is_none_or(|names| names.iter().any(|name| name.eq_ignore_ascii_case(group)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;
    use crate::config::value::text;

    struct Server;

    impl Facts for Server {
        fn server(&self) -> Cow<'_, [u8]> {
            Cow::Borrowed(b"example.com")
        }
        fn host(&self) -> Cow<'_, [u8]> {
            Cow::Borrowed(b"www.example.com")
        }
        fn script_name(&self) -> Cow<'_, [u8]> {
            Cow::Borrowed(b"/app")
        }
        fn env(&self, _: &[u8]) -> Option<Cow<'_, [u8]>> {
            None
        }
    }

    fn chosen(settings: &RequestSettings<'_>) -> [String; 3] {
        [settings.process_group(&Server), settings.application_group(&Server), settings.callable(&Server)]
            .map(|name| text(&name).into_owned())
    }

    #[test]
    fn the_defaults_are_mod_wsgis() {
        let options = DirOptions::default();
        let settings = RequestSettings::new(&options, Source::File);
        assert_eq!(chosen(&settings), ["", "example.com|/app", "application"]);
        assert!(settings.script_reloading && settings.map_head_to_get == MapHeadToGet::Auto && settings.allows_process_group(b"x"));
        let off = [
            settings.pass_authorization,
            settings.error_override,
            settings.chunked_request,
            settings.ignore_activity,
            settings.enable_sendfile.unwrap_or(false),
        ];
        assert_eq!(off, [false; 5]);
    }

    #[test]
    fn an_alias_goes_over_the_directives() {
        let lines = ["WSGIProcessGroup p", "WSGIApplicationGroup a", "WSGICallableObject c", "WSGIPassAuthorization On"];
        let reader = read(&lines);
        let alias = AliasOptions {
            process_group: Some(Template::Host),
            application_group: None,
            callable_object: Some(b"%{ENV:literally}".to_vec()),
            pass_authorization: Some(false),
        };
        assert_eq!(chosen(&RequestSettings::new(&reader.directory, Source::File)), ["p", "a", "c"]);
        let settings = RequestSettings::new(&reader.directory, Source::Alias(&alias));
        assert_eq!(chosen(&settings), ["www.example.com", "a", "%{ENV:literally}"]);
        assert!(!settings.pass_authorization);
    }

    #[test]
    fn a_handler_script_has_its_own_callable() {
        let reader = read(&["WSGICallableObject main", "WSGIHandlerScript bob /bob.py process-group=p pass-authorization=On"]);
        let handler = &reader.directory.handler_scripts[b"bob".as_slice()];
        let settings = RequestSettings::new(&reader.directory, Source::Handler(handler));
        assert_eq!(chosen(&settings), ["p", "example.com|/app", "handle_request"]);
        assert!(settings.pass_authorization);
    }

    #[test]
    fn groups_may_be_restricted_whatever_their_case() {
        let reader = read(&["WSGIRestrictProcess One %{GLOBAL}"]);
        let settings = RequestSettings::new(&reader.directory, Source::File);
        let allowed = [&b"one"[..], b"ONE", b"", b"two"].map(|group| settings.allows_process_group(group));
        assert_eq!(allowed, [true, true, true, false]);
    }
}
