//! Scripts that httpd's own processes run: to dispatch, to control access, to authenticate, to tell a user's groups.

use super::script_alias::APPLICATION_GROUP;
use super::{Apply, Context, Definition, DirectiveError, Effect, Site};
use crate::config::expand::Template;
use crate::config::options::{ChildScript, Mentions};
use crate::config::value::{Arguments, NoOption};

pub(super) const DISPATCH_SCRIPT: Definition = Definition {
    name: c"WSGIDispatchScript",
    context: Context::Directory,
    help: c"A script that chooses process group, application group and callable of a request: script [application-group=].",
    effect: Effect::Works,
    apply: Apply::Directory(|site, raw, options, mentions| set(site, raw, "dispatch", &mut options.dispatch_script, mentions)),
};

pub(super) const ACCESS_SCRIPT: Definition = Definition {
    name: c"WSGIAccessScript",
    context: Context::AuthConfig,
    help: c"A script that allows or denies hosts: script [application-group=].",
    effect: Effect::Works,
    apply: Apply::Directory(|site, raw, options, mentions| set(site, raw, "access", &mut options.access_script, mentions)),
};

pub(super) const AUTH_USER_SCRIPT: Definition = Definition {
    name: c"WSGIAuthUserScript",
    context: Context::AuthConfig,
    help: c"A script that checks users' passwords: script [application-group=].",
    effect: Effect::Works,
    apply: Apply::Directory(|site, raw, options, mentions| set(site, raw, "auth user", &mut options.auth_user_script, mentions)),
};

pub(super) const AUTH_GROUP_SCRIPT: Definition = Definition {
    name: c"WSGIAuthGroupScript",
    context: Context::AuthConfig,
    help: c"A script that tells the groups of a user: script [application-group=].",
    effect: Effect::Works,
    apply: Apply::Directory(|site, raw, options, mentions| set(site, raw, "auth group", &mut options.auth_group_script, mentions)),
};

pub(super) const GROUP_AUTHORITATIVE: Definition = Definition {
    name: c"WSGIGroupAuthoritative",
    context: Context::AuthConfig,
    help: c"Accepted for mod_wsgi's sake, where nothing asks for it either.",
    effect: Effect::Replaced("httpd's own <RequireAll> and <RequireAny> say how several rules go together"),
    apply: Apply::Directory(|site, raw, options, _| {
        options.group_authoritative = Some(site.flag(raw)?);
        Ok(())
    }),
};

fn set(site: &Site<'_>, raw: &[u8], what: &str, slot: &mut Option<ChildScript>, mentions: &mut Mentions) -> Result<(), DirectiveError> {
    let mut arguments = Arguments::new(raw);
    let Some(script) = arguments.word().filter(|script| !script.is_empty()) else {
        return Err(site.error(format!("Location of {what} script not supplied."), "write the path of the script"));
    };
    let script = site.absolute_script(script)?;
    let mut application_group = None;
    while let Some(option) = arguments.option() {
        match option {
            Ok((name, value)) if name == "application-group" => {
                if value.is_empty() {
                    return Err(site.error(APPLICATION_GROUP, "write a name or %{GLOBAL}"));
                }
                application_group = Some(Template::child_script(&value));
            }
            Ok((name, _)) | Err(NoOption(name)) => {
                let problem = format!("Invalid option to WSGI {what} script definition.");
                return Err(site.error(problem, format_args!("'{name}' is not application-group=, the only one")));
            }
        }
    }
    mentions.needs_embedded = true;
    *slot = Some(ChildScript { script, application_group });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Reader;
    use super::*;

    #[test]
    fn each_script_is_kept_and_needs_python_in_httpd() {
        let mut reader = Reader::new();
        reader
            .read("WSGIDispatchScript /d.py application-group=%{SERVER}")
            .read("WSGIAccessScript '/a b.py'")
            .read("WSGIAuthUserScript /u.py application-group=%{GLOBAL}")
            .read("WSGIAuthGroupScript /g.py application-group=%{RESOURCE}")
            .read("WSGIGroupAuthoritative Off");
        let script = |path: &str, application_group| Some(ChildScript { script: path.into(), application_group });
        assert_eq!(reader.directory.dispatch_script, script("/d.py", Some(Template::Server)));
        assert_eq!(reader.directory.access_script, script("/a b.py", None));
        assert_eq!(reader.directory.auth_user_script, script("/u.py", Some(Template::Literal(Vec::new()))));
        assert_eq!(reader.directory.auth_group_script, script("/g.py", Some(Template::Literal(b"%{RESOURCE}".to_vec()))));
        assert_eq!(reader.directory.group_authoritative, Some(false));
        assert!(reader.global.mentions.needs_embedded);
    }

    #[test]
    fn nonsense_is_refused() {
        let mut reader = Reader::new();
        let refused = [
            ("WSGIAccessScript", "Location of access script not supplied. WSGIAccessScript: write the path of the script"),
            ("WSGIAuthUserScript ''", "Location of auth user script not supplied."),
            ("WSGIAuthGroupScript", "Location of auth group script not supplied."),
            ("WSGIDispatchScript", "Location of dispatch script not supplied."),
            ("WSGIAccessScript a.py", "Script path is not absolute."),
            ("WSGIAccessScript /a.py process-group=x", "Invalid option to WSGI access script definition."),
            ("WSGIAuthUserScript /a.py x", "Invalid option to WSGI auth user script definition."),
            ("WSGIAuthGroupScript /a.py application-group=", "Invalid name for WSGI application group."),
        ];
        for (line, text) in refused {
            let error = reader.error(line);
            assert!(error.starts_with(text), "{line}: {error}");
        }
        assert!(!reader.global.mentions.needs_embedded);
    }
}
