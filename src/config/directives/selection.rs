//! Where a request runs: process group, application group, callable.

use super::{Apply, Context, Definition, DirectiveError, Effect, Site};
use crate::config::expand::Template;
use crate::config::options::{DirOptions, GroupMention, Mentions};
use crate::config::value::Arguments;

pub(super) const PROCESS_GROUP: Definition = Definition {
    name: c"WSGIProcessGroup",
    context: Context::Directory,
    help: c"The daemon group that runs applications, or %{GLOBAL} for embedded mode.",
    effect: Effect::Works,
    apply: Apply::Directory(process_group),
};

pub(super) const APPLICATION_GROUP: Definition = Definition {
    name: c"WSGIApplicationGroup",
    context: Context::Directory,
    help: c"The Python interpreter that runs applications, or %{GLOBAL} for the main one.",
    effect: Effect::Works,
    apply: Apply::Directory(application_group),
};

pub(super) const CALLABLE_OBJECT: Definition = Definition {
    name: c"WSGICallableObject",
    context: Context::FileInfo,
    help: c"The name of the application in its script.",
    effect: Effect::Works,
    apply: Apply::Directory(callable_object),
};

pub(super) const RESTRICT_PROCESS: Definition = Definition {
    name: c"WSGIRestrictProcess",
    context: Context::Directory,
    help: c"The daemon groups that may be chosen; %{GLOBAL} is embedded mode.",
    effect: Effect::Works,
    apply: Apply::Directory(restrict_process),
};

fn process_group(site: &Site<'_>, raw: &[u8], options: &mut DirOptions, mentions: &mut Mentions) -> Result<(), DirectiveError> {
    let template = Template::group(&site.one(raw, "one argument, the name of a daemon group or %{GLOBAL}")?);
    mention_group(site, &template, mentions);
    options.process_group = Some(template);
    Ok(())
}

fn application_group(site: &Site<'_>, raw: &[u8], options: &mut DirOptions, mentions: &mut Mentions) -> Result<(), DirectiveError> {
    let template = Template::group(&site.one(raw, "one argument, the name of an application group or %{GLOBAL}")?);
    mention_global(None, &template, mentions);
    options.application_group = Some(template);
    Ok(())
}

fn callable_object(site: &Site<'_>, raw: &[u8], options: &mut DirOptions, _: &mut Mentions) -> Result<(), DirectiveError> {
    let name = site.one(raw, "one argument, the name of the application in its script")?;
    if name.is_empty() {
        return Err(site.error("Invalid name for WSGI callable object.", "write the name of the application, such as application"));
    }
    options.callable_object = Some(Template::callable(&name));
    Ok(())
}

fn restrict_process(site: &Site<'_>, raw: &[u8], options: &mut DirOptions, _: &mut Mentions) -> Result<(), DirectiveError> {
    let mut arguments = Arguments::new(raw);
    // Names are compared without regard to case here, and only here: as mod_wsgi does.
    let names: Vec<_> = std::iter::from_fn(|| arguments.word()).map(|name| Template::global_or_name(&name).to_ascii_lowercase()).collect();
    if names.is_empty() {
        return Err(site.takes("one or more arguments, the daemon groups that may be chosen"));
    }
    options.restrict_process = Some(names);
    Ok(())
}

/// Keeps that a daemon group is named, to be checked when all are known.
pub(super) fn mention_group(site: &Site<'_>, template: &Template, mentions: &mut Mentions) {
    if let Some(group) = template.literal().filter(|group| !group.is_empty()) {
        let (directive, place, server) = (site.directive.to_owned(), site.place(), site.server);
        mentions.groups.push(GroupMention { group: group.to_vec(), directive, place, server });
    }
}

/// Keeps that the main interpreter of `process_group` is asked for, or may be by a variable.
pub(super) fn mention_global(process_group: Option<&Template>, application_group: &Template, mentions: &mut Mentions) {
    if matches!(application_group, Template::Env(_)) || application_group.literal() == Some(b"") {
        let group = process_group.and_then(Template::literal).map(<[u8]>::to_vec);
        if !mentions.global_in.contains(&group) {
            mentions.global_in.push(group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Reader;
    use super::*;

    #[test]
    fn groups_may_depend_on_the_request() {
        let mut reader = Reader::new();
        reader.read("WSGIProcessGroup %{GLOBAL}").read("WSGIApplicationGroup %{RESOURCE}");
        assert_eq!(reader.directory.process_group, Some(Template::Literal(Vec::new())));
        assert_eq!(reader.directory.application_group, Some(Template::Resource));
        assert_eq!(reader.global.mentions.groups, []);
    }

    #[test]
    fn a_named_group_is_remembered_with_its_place() {
        let mut reader = Reader::new();
        reader.line = 12;
        reader.read("WSGIProcessGroup example.com");
        let mention = &reader.global.mentions.groups[0];
        assert_eq!((mention.group.as_slice(), mention.place.to_string().as_str()), (b"example.com".as_slice(), "test.conf:12"));
    }

    #[test]
    fn asking_for_the_main_interpreter_is_remembered() {
        let mut reader = Reader::new();
        reader.read("WSGIApplicationGroup app").read("WSGIApplicationGroup %{SERVER}");
        assert_eq!(reader.global.mentions.global_in, []);
        reader.read("WSGIApplicationGroup %{GLOBAL}").read("WSGIApplicationGroup %{ENV:WHERE}");
        assert_eq!(reader.global.mentions.global_in, [None]);
    }

    #[test]
    fn the_callable_has_a_name() {
        let mut reader = Reader::new();
        reader.read("WSGICallableObject %{ENV:CALLABLE}");
        assert_eq!(reader.directory.callable_object, Some(Template::Env(b"CALLABLE".to_vec())));
        assert_eq!(
            reader.error("WSGICallableObject ''"),
            "Invalid name for WSGI callable object. WSGICallableObject: write the name of the application, such as application"
        );
        assert_eq!(
            reader.error("WSGICallableObject a b"),
            "WSGICallableObject takes one argument, the name of the application in its script"
        );
    }

    #[test]
    fn the_allowed_groups_of_the_last_line_count() {
        let mut reader = Reader::new();
        reader.read("WSGIRestrictProcess one").read("WSGIRestrictProcess Two %{GLOBAL} %{SERVER}");
        let names = reader.directory.restrict_process.clone().expect("set");
        assert_eq!(names, [b"two".to_vec(), Vec::new(), b"%{server}".to_vec()]);
        assert!(reader.error("WSGIRestrictProcess").contains("takes one or more arguments"));
    }
}
