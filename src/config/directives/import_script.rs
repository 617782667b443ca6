//! `WSGIImportScript`: scripts that are loaded when a process starts.

use super::script_alias::{APPLICATION_GROUP, PROCESS_GROUP, group_option};
use super::selection::mention_global;
use super::{Apply, Context, Definition, DirectiveError, Effect, ServerKey, Site};
use crate::config::expand::Template;
use crate::config::options::{Global, ImportScript, ServerOptions};
use crate::config::value::{Arguments, NoOption, text};

pub(super) const IMPORT_SCRIPT: Definition = Definition {
    name: c"WSGIImportScript",
    context: Context::Server,
    help: c"Load a script when a process starts: script process-group= application-group=.",
    effect: Effect::Works,
    apply: Apply::Server(import_script),
};

fn import_script(site: &Site<'_>, raw: &[u8], _: &mut ServerOptions, global: &mut Global) -> Result<(), DirectiveError> {
    let mut arguments = Arguments::new(raw);
    let Some(script) = arguments.word().filter(|script| !script.is_empty()) else {
        return Err(site.error("Location of import script not supplied.", "write the path of the script"));
    };
    let script = site.absolute_script(script)?;
    let (mut process_group, mut application_group) = (None, None);
    while let Some(option) = arguments.option() {
        let (slot, problem, value) = match option {
            Ok((name, value)) if name == "process-group" => (&mut process_group, PROCESS_GROUP, value),
            Ok((name, value)) if name == "application-group" => (&mut application_group, APPLICATION_GROUP, value),
            Ok((name, _)) | Err(NoOption(name)) => {
                let detail = format!("'{name}' is neither process-group= nor application-group=");
                return Err(site.error("Invalid option to WSGI import script definition.", detail));
            }
        };
        group_option(site, problem, &value)?;
        *slot = Some(Template::global_or_name(&value));
    }
    let detail = "both process-group= and application-group= are needed; %{GLOBAL} is embedded mode and the main interpreter";
    let application_group = application_group.ok_or_else(|| site.error("Name of WSGI application group required.", detail))?;
    let process_group = process_group.ok_or_else(|| site.error("Name of WSGI process group required.", detail))?;
    check_group(site, &process_group, global)?;
    mention_global(Some(&Template::Literal(process_group.clone())), &Template::Literal(application_group.clone()), &mut global.mentions);
    let needs_embedded = process_group.is_empty();
    global.imports.push(early_import(site, &script, &process_group, &application_group, needs_embedded));
    Ok(())
}

/// A script to load early, by the directive at `site`.
pub(super) fn early_import(
    site: &Site<'_>,
    script: &[u8],
    process_group: &[u8],
    application_group: &[u8],
    needs_embedded: bool,
) -> ImportScript {
    ImportScript {
        script: script.to_vec(),
        process_group: process_group.to_vec(),
        application_group: application_group.to_vec(),
        needs_embedded,
        place: site.place(),
        server: site.server,
    }
}

/// Checks that a process group that has to exist when a process starts is defined above, and for the server of the directive.
pub(super) fn check_group(site: &Site<'_>, name: &[u8], global: &Global) -> Result<(), DirectiveError> {
    if name.is_empty() {
        return Ok(());
    }
    let given = text(name);
    let Some(group) = global.groups.iter().find(|group| group.name.as_bytes() == name) else {
        let detail = format!("no 'WSGIDaemonProcess {given}' stands above this line");
        return Err(site.error("WSGI process group not yet configured.", detail));
    };
    if group.servers.iter().any(|key| *key == ServerKey::Main || *key == site.server) {
        return Ok(());
    }
    let names = || group.server_names.iter().map(Option::as_deref);
    if names().any(|name| name == site.server_name) {
        return Ok(());
    }
    let detail = format!("'{given}' is defined at {} in a virtual host of another ServerName; define it in the main server", group.place);
    let unnamed = site.server_name.is_none() || names().any(|name| name.is_none());
    Err(site.error(if unnamed { "WSGI process group not matchable." } else { "WSGI process group not accessible." }, detail))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Reader;
    use super::*;

    #[test]
    fn imports_keep_their_order() {
        let mut reader = Reader::new();
        reader
            .read("WSGIDaemonProcess app")
            .read("WSGIImportScript /one.py process-group=app application-group=%{GLOBAL}")
            .read("WSGIImportScript /two.py application-group=x process-group=%{GLOBAL}");
        let scripts: Vec<_> = reader.global.imports.iter().map(|import| (import.script.as_slice(), import.needs_embedded)).collect();
        assert_eq!(scripts, [(b"/one.py".as_slice(), false), (b"/two.py".as_slice(), true)]);
        assert_eq!(reader.global.mentions.global_in, [Some(b"app".to_vec())]);
    }

    #[test]
    fn nonsense_is_refused() {
        let mut reader = Reader::new();
        let refused = [
            ("", "Location of import script not supplied."),
            ("one.py process-group=%{GLOBAL} application-group=x", "Script path is not absolute."),
            ("/one.py", "Name of WSGI application group required."),
            ("/one.py application-group=x", "Name of WSGI process group required."),
            ("/one.py application-group='' process-group=x", "Invalid name for WSGI application group."),
            ("/one.py application-group=x process-group=", "Invalid name for WSGI process group."),
            ("/one.py callable-object=x", "Invalid option to WSGI import script definition."),
            ("/one.py application-group=x process-group=x", "WSGI process group not yet configured."),
            ("/one.py application-group=x process-group=%{SERVER}", "WSGI process group not yet configured."),
        ];
        for (arguments, text) in refused {
            let error = reader.error(&format!("WSGIImportScript {arguments}"));
            assert!(error.starts_with(text), "{arguments}: {error}");
        }
    }

    #[test]
    fn a_group_of_another_virtual_host_is_refused() {
        let mut reader = Reader::new();
        (reader.key, reader.server_name) = (ServerKey::VirtualHost(1), Some("a.example"));
        reader.read("WSGIDaemonProcess app").read("WSGIImportScript /one.py process-group=app application-group=x");
        reader.key = ServerKey::VirtualHost(2);
        reader.read("WSGIImportScript /two.py process-group=app application-group=x");
        reader.server_name = Some("b.example");
        let line = "WSGIImportScript /three.py process-group=app application-group=x";
        assert!(reader.error(line).starts_with("WSGI process group not accessible. WSGIImportScript: 'app' is defined at test.conf:1"));
        reader.server_name = None;
        assert!(reader.error(line).starts_with("WSGI process group not matchable."));
    }
}
