//! `WSGIHandlerScript`: a script that serves resources of other kinds, by the name of a handler.

use super::script_alias::{APPLICATION_GROUP, PROCESS_GROUP, authorization_option, group_option};
use super::selection::{mention_global, mention_group};
use super::{Apply, Context, Definition, DirectiveError, Effect, Site};
use crate::config::options::{DirOptions, HandlerScript, Mentions};
use crate::config::value::{Arguments, NoOption};

pub(super) const HANDLER_SCRIPT: Definition = Definition {
    name: c"WSGIHandlerScript",
    context: Context::Directory,
    help: c"Let a script serve a handler's resources: handler script [process-group= application-group= pass-authorization=].",
    effect: Effect::Works,
    apply: Apply::Directory(handler_script),
};

fn handler_script(site: &Site<'_>, raw: &[u8], options: &mut DirOptions, mentions: &mut Mentions) -> Result<(), DirectiveError> {
    let mut arguments = Arguments::new(raw);
    let Some(handler) = arguments.word().filter(|handler| !handler.is_empty()) else {
        return Err(site.error("Name for handler script not supplied.", "write the name that AddHandler or SetHandler use"));
    };
    let Some(script) = arguments.word().filter(|script| !script.is_empty()) else {
        return Err(site.error("Location of handler script not supplied.", "write the path of the script after the handler's name"));
    };
    let script = site.absolute_script(script)?;
    let mut handler_script = HandlerScript { script, process_group: None, application_group: None, pass_authorization: None };
    while let Some(option) = arguments.option() {
        match option {
            Ok((name, value)) if name == "process-group" => {
                handler_script.process_group = Some(group_option(site, PROCESS_GROUP, &value)?);
            }
            Ok((name, value)) if name == "application-group" => {
                handler_script.application_group = Some(group_option(site, APPLICATION_GROUP, &value)?);
            }
            Ok((name, value)) if name == "pass-authorization" => {
                handler_script.pass_authorization = Some(authorization_option(site, &value)?);
            }
            Ok((name, _)) | Err(NoOption(name)) => {
                let known = "process-group=, application-group= and pass-authorization=";
                return Err(site.error("Invalid option to WSGI handler script definition.", format_args!("'{name}' is none of {known}")));
            }
        }
    }
    if let Some(process_group) = &handler_script.process_group {
        mention_group(site, process_group, mentions);
    }
    if let Some(application_group) = &handler_script.application_group {
        mention_global(handler_script.process_group.as_ref(), application_group, mentions);
    }
    options.handler_scripts.insert(handler, handler_script);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Reader;
    use super::*;
    use crate::config::expand::Template;

    #[test]
    fn a_handler_has_a_script_and_options() {
        let mut reader = Reader::new();
        reader.read("WSGIHandlerScript bob /bob.py process-group=app application-group=%{GLOBAL} pass-authorization=On");
        let expected = HandlerScript {
            script: b"/bob.py".to_vec(),
            process_group: Some(Template::Literal(b"app".to_vec())),
            application_group: Some(Template::Literal(Vec::new())),
            pass_authorization: Some(true),
        };
        assert_eq!(reader.directory.handler_scripts.get(b"bob".as_slice()), Some(&expected));
        assert_eq!(reader.global.mentions.groups.len(), 1);
    }

    #[test]
    fn the_last_script_of_a_name_counts() {
        let mut reader = Reader::new();
        reader.read("WSGIHandlerScript bob /one.py").read("WSGIHandlerScript bob /two.py").read("WSGIHandlerScript eve /eve.py");
        assert_eq!(reader.directory.handler_scripts.len(), 2);
        assert_eq!(reader.directory.handler_scripts[b"bob".as_slice()].script, b"/two.py");
    }

    #[test]
    fn nonsense_is_refused() {
        let mut reader = Reader::new();
        let refused = [
            ("", "Name for handler script not supplied."),
            ("bob", "Location of handler script not supplied."),
            ("bob bob.py", "Script path is not absolute."),
            ("bob /bob.py callable-object=x", "Invalid option to WSGI handler script definition."),
            ("bob /bob.py process-group=", "Invalid name for WSGI process group."),
            ("bob /bob.py application-group=", "Invalid name for WSGI application group."),
            ("bob /bob.py pass-authorization=", "Invalid value for authorization flag."),
        ];
        for (arguments, text) in refused {
            let error = reader.error(&format!("WSGIHandlerScript {arguments}"));
            assert!(error.starts_with(text), "{arguments}: {error}");
        }
    }
}
