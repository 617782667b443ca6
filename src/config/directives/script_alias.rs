//! `WSGIScriptAlias` and `WSGIScriptAliasMatch`: URLs that mean scripts.

use super::import_script::{self, early_import};
use super::selection::{mention_global, mention_group};
use super::{Apply, Context, Definition, DirectiveError, Effect, Site};
use crate::config::alias::{Alias, AliasOptions, Location};
use crate::config::expand::Template;
use crate::config::options::{Global, ServerOptions};
use crate::config::value::{self, Arguments, NoOption};
use std::sync::Arc;

pub(super) const SCRIPT_ALIAS: Definition = Definition {
    name: c"WSGIScriptAlias",
    context: Context::Server,
    help: c"Map a URL-path to a WSGI script: URL-path script [process-group= application-group= callable-object= pass-authorization=].",
    effect: Effect::Works,
    apply: Apply::Server(script_alias),
};

pub(super) const SCRIPT_ALIAS_MATCH: Definition = Definition {
    name: c"WSGIScriptAliasMatch",
    context: Context::Server,
    help: c"Map URLs that a regular expression matches to a WSGI script; $1 to $9 in its path stand for the groups.",
    effect: Effect::Works,
    apply: Apply::Server(script_alias_match),
};

fn script_alias(site: &Site<'_>, raw: &[u8], server: &mut ServerOptions, global: &mut Global) -> Result<(), DirectiveError> {
    let mut arguments = Arguments::new(raw);
    let (Some(path), Some(target)) = (arguments.word(), arguments.word()) else {
        let problem = "WSGIScriptAlias requires at least two arguments, Map location to target WSGI script file.";
        return Err(site.error(problem, "write a URL-path and the path of the script, such as / /srv/www/app.wsgi"));
    };
    if !path.is_empty() && !path.starts_with(b"/") {
        let given = value::text(&path);
        return Err(
            site.error("Invalid URL-path for WSGI script alias.", format_args!("'{given}' does not begin with /, as every URL does"))
        );
    }
    let target = site.absolute_script(target)?;
    let options = options(site, arguments, global, Some(&target))?;
    server.aliases.push(Alias { location: Location::Path(path), target, options: Arc::new(options) });
    Ok(())
}

fn script_alias_match(site: &Site<'_>, raw: &[u8], server: &mut ServerOptions, global: &mut Global) -> Result<(), DirectiveError> {
    let mut arguments = Arguments::new(raw);
    let (Some(pattern), Some(target)) = (arguments.word(), arguments.word()) else {
        let problem = "WSGIScriptAliasMatch requires at least two arguments, Map location pattern to target WSGI script file.";
        return Err(site.error(problem, "write a regular expression and the path of the script, such as ^/(.*) /srv/www/$1.wsgi"));
    };
    let pattern = site.system.compile(&pattern).map_err(|reason| {
        let pattern = value::text(&pattern).into_owned();
        site.error("Regular expression could not be compiled.", format_args!("'{pattern}' has the fault: {reason}"))
    })?;
    // What a group stands for may begin with the slash itself.
    let target = if target.starts_with(b"$") { target } else { site.absolute_script(target)? };
    let known = (!target.contains(&b'$')).then_some(target.as_slice());
    let options = options(site, arguments, global, known)?;
    server.aliases.push(Alias { location: Location::Pattern(pattern), target, options: Arc::new(options) });
    Ok(())
}

/// The options of an alias. One whose `script` and groups are known beforehand also loads it early.
fn options(
    site: &Site<'_>,
    mut arguments: Arguments<'_>,
    global: &mut Global,
    script: Option<&[u8]>,
) -> Result<AliasOptions, DirectiveError> {
    let mut options = AliasOptions::default();
    while let Some(option) = arguments.option() {
        match option {
            Ok((name, value)) if name == "process-group" => options.process_group = Some(group_option(site, PROCESS_GROUP, &value)?),
            Ok((name, value)) if name == "application-group" => {
                options.application_group = Some(group_option(site, APPLICATION_GROUP, &value)?);
            }
            Ok((name, value)) if name == "callable-object" => {
                if value.is_empty() {
                    let detail = "write the name of the application after callable-object=";
                    return Err(site.error("Invalid name for WSGI callable object.", detail));
                }
                options.callable_object = Some(value);
            }
            Ok((name, value)) if name == "pass-authorization" => options.pass_authorization = Some(authorization_option(site, &value)?),
            Ok((name, _)) | Err(NoOption(name)) => {
                let known = "process-group=, application-group=, callable-object= and pass-authorization=";
                return Err(site.error("Invalid option to WSGI script alias definition.", format_args!("'{name}' is none of {known}")));
            }
        }
    }
    if let Some(process_group) = &options.process_group {
        mention_group(site, process_group, &mut global.mentions);
    }
    if let Some(application_group) = &options.application_group {
        mention_global(options.process_group.as_ref(), application_group, &mut global.mentions);
    }
    if let (Some(script), Some(process_group), Some(application_group)) = (script, &options.process_group, &options.application_group)
        && let (Some(process_group), Some(application_group)) = (early(process_group), early(application_group))
    {
        import_script::check_group(site, process_group, global)?;
        global.imports.push(early_import(site, script, process_group, application_group, false));
    }
    Ok(options)
}

/// A name that is known when the process starts; what looks like an expansion and is none is not counted on.
fn early(template: &Template) -> Option<&[u8]> {
    template.literal().filter(|name| !name.windows(2).any(|pair| pair == b"%{"))
}

/// mod_wsgi's words for an empty group.
pub(super) const PROCESS_GROUP: &str = "Invalid name for WSGI process group.";
pub(super) const APPLICATION_GROUP: &str = "Invalid name for WSGI application group.";

/// The value of `process-group=` or `application-group=`, which has a name.
pub(super) fn group_option(site: &Site<'_>, problem: &'static str, value: &[u8]) -> Result<Template, DirectiveError> {
    if value.is_empty() { Err(site.error(problem, "write a name or %{GLOBAL}")) } else { Ok(Template::group(value)) }
}

/// The value of `pass-authorization=`.
pub(super) fn authorization_option(site: &Site<'_>, value: &[u8]) -> Result<bool, DirectiveError> {
    value::flag(value).ok_or_else(|| {
        let detail = format!("'pass-authorization={}' is neither On nor Off", value::text(value));
        site.error("Invalid value for authorization flag.", detail)
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Reader;
    use super::*;
    use crate::config::alias::{Mapped, map};

    #[test]
    fn an_alias_maps_a_url() {
        let mut reader = Reader::new();
        reader.read("WSGIScriptAlias /app \"/srv/my app.wsgi\"");
        let found = map(&reader.server.aliases, b"/app/x").expect("matches");
        assert_eq!(found, Mapped { target: b"/srv/my app.wsgi".to_vec(), rest: b"/x".to_vec(), place: 0 });
        assert_eq!(*reader.server.aliases[0].options, AliasOptions::default());
    }

    #[test]
    fn the_options_are_kept() {
        let mut reader = Reader::new();
        reader.read(
            "WSGIScriptAlias / /a.wsgi process-group=%{ENV:P} application-group=%{GLOBAL} callable-object=%{ENV:X} pass-authorization=on",
        );
        let options = AliasOptions {
            process_group: Some(Template::Env(b"P".to_vec())),
            application_group: Some(Template::Literal(Vec::new())),
            callable_object: Some(b"%{ENV:X}".to_vec()),
            pass_authorization: Some(true),
        };
        assert_eq!(*reader.server.aliases[0].options, options);
        assert_eq!(reader.global.imports, []);
        assert_eq!(reader.global.mentions.global_in, [None]);
    }

    #[test]
    fn both_groups_known_load_the_script_early() {
        let mut reader = Reader::new();
        reader.read("WSGIDaemonProcess app").read("WSGIScriptAlias / /a.wsgi process-group=app application-group=%{GLOBAL}");
        let import = &reader.global.imports[0];
        assert_eq!((import.script.as_slice(), import.process_group.as_slice()), (b"/a.wsgi".as_slice(), b"app".as_slice()));
        assert_eq!((import.application_group.as_slice(), import.needs_embedded), (b"".as_slice(), false));
        assert_eq!(reader.global.mentions.global_in, [Some(b"app".to_vec())]);
        reader.read("WSGIScriptAlias /e /e.wsgi process-group=%{GLOBAL} application-group=%{SERVER}");
        assert_eq!(reader.global.imports.len(), 1);
    }

    #[test]
    fn a_pattern_is_compiled_when_it_is_read() {
        let mut reader = Reader::new();
        reader.read("WSGIDaemonProcess app").read("WSGIScriptAliasMatch ^/([^/]+) /srv/$1.wsgi process-group=app application-group=x");
        assert_eq!(map(&reader.server.aliases, b"/blue/x").expect("matches").target, b"/srv/blue.wsgi");
        assert_eq!(reader.global.imports, []);
        assert_eq!(
            reader.error("WSGIScriptAliasMatch ^/( /srv/$1.wsgi"),
            "Regular expression could not be compiled. WSGIScriptAliasMatch: '^/(' has the fault: missing )"
        );
    }

    #[test]
    fn nonsense_is_refused() {
        let mut reader = Reader::new();
        let refused = [
            ("/", "WSGIScriptAlias requires at least two arguments, Map location to target WSGI script file."),
            ("/ app.wsgi", "Script path is not absolute. WSGIScriptAlias: write the whole path of 'app.wsgi'"),
            ("app /app.wsgi", "Invalid URL-path for WSGI script alias."),
            ("/ /a.wsgi threads=5", "Invalid option to WSGI script alias definition. WSGIScriptAlias: 'threads' is none of"),
            ("/ /a.wsgi process-group", "Invalid option to WSGI script alias definition."),
            ("/ /a.wsgi process-group=", "Invalid name for WSGI process group."),
            ("/ /a.wsgi application-group=''", "Invalid name for WSGI application group."),
            ("/ /a.wsgi callable-object=", "Invalid name for WSGI callable object."),
            ("/ /a.wsgi pass-authorization=yes", "Invalid value for authorization flag."),
            ("/ /a.wsgi process-group=none application-group=x", "WSGI process group not yet configured."),
        ];
        for (arguments, text) in refused {
            let error = reader.error(&format!("WSGIScriptAlias {arguments}"));
            assert!(error.starts_with(text), "{arguments}: {error}");
        }
        assert!(reader.error("WSGIScriptAliasMatch ^/").contains("Map location pattern to target"));
        assert!(reader.server.aliases.is_empty());
    }
}
