//! `WSGIDaemonProcess`: defines a daemon group. Its options are in [`daemon_options`](super::daemon_options).

use super::daemon_options;
use super::daemon_values::Value;
use super::{Apply, Context, Definition, DirectiveError, Effect, Site};
use crate::config::group::{Group, GroupOptions};
use crate::config::options::{Global, Mentions, Notice, ServerOptions};
use crate::config::value::{Arguments, NoOption, text};

pub(super) const DAEMON_PROCESS: Definition = Definition {
    name: c"WSGIDaemonProcess",
    context: Context::Server,
    help: c"Define a group of processes that run applications: name [option=value ...].",
    effect: Effect::Works,
    apply: Apply::Server(daemon_process),
};

fn daemon_process(site: &Site<'_>, raw: &[u8], _: &mut ServerOptions, global: &mut Global) -> Result<(), DirectiveError> {
    let mut arguments = Arguments::new(raw);
    let Some(name) = arguments.word().filter(|name| !name.is_empty()) else {
        return Err(site.error("Name of WSGI daemon process not supplied.", "write a name, such as example.com"));
    };
    let Ok(name) = String::from_utf8(name) else {
        return Err(site.error("Invalid name for WSGI daemon process.", "it must be UTF-8"));
    };
    let mut options = GroupOptions::default();
    while let Some(option) = arguments.option() {
        let (option, value) = option.map_err(|NoOption(given)| unknown(site, &given))?;
        read_option(site, &option, &value, &mut options, &mut global.mentions)?;
    }
    finish(site, &name, &mut options)?;
    define(site, name, options, global)
}

fn read_option(
    site: &Site<'_>,
    name: &str,
    value: &[u8],
    options: &mut GroupOptions,
    mentions: &mut Mentions,
) -> Result<(), DirectiveError> {
    let definition = daemon_options::find(name).ok_or_else(|| unknown(site, name))?;
    (definition.apply)(Value { site, name, value }, options)?;
    let subject = format!("{name}= of {}", site.directive);
    match definition.effect {
        Effect::Works => {}
        Effect::Never(about, why) => mentions.note(Notice::never(&subject, about, why, site.place())),
        Effect::Replaced(by) => mentions.note(Notice::replaced(&subject, by, site.place())),
    }
    Ok(())
}

fn unknown(site: &Site<'_>, given: &str) -> DirectiveError {
    let detail = match daemon_options::nearest(given) {
        Some(near) => format!("there is no option '{given}'; is '{near}=' meant?"),
        None => format!("'{given}' is none of its options, which are written option=value without a blank before the sign"),
    };
    site.error("Invalid option to WSGI daemon process definition.", detail)
}

/// What can only be said when all options are known.
fn finish(site: &Site<'_>, name: &str, options: &mut GroupOptions) -> Result<(), DirectiveError> {
    if options.script_user.is_some() && options.script_group.is_some() {
        let detail = "script-user= asks for the owner of a script and script-group= for its group: leave one of them out";
        return Err(site.error("Only one of script-user and script-group allowed.", detail));
    }
    if let (Some(minimum), Some(maximum)) = (options.min_processes, options.max_processes)
        && minimum > maximum
    {
        let detail = format!("min-processes={minimum} is more than max-processes={maximum}");
        return Err(site.error("Invalid process count for WSGI daemon process.", detail));
    }
    if options.display_name.as_deref() == Some(b"%{GROUP}") {
        options.display_name = Some(format!("(wsgi:{name})").into_bytes());
    }
    Ok(())
}

/// Adds the group. One that is already there with the same options is the same group: so a copied virtual host is in order.
fn define(site: &Site<'_>, name: String, options: GroupOptions, global: &mut Global) -> Result<(), DirectiveError> {
    let server_name = site.server_name.map(str::to_owned);
    match global.groups.iter_mut().find(|group| group.name == name) {
        None => {
            let (place, servers, server_names) = (site.place(), vec![site.server], vec![server_name]);
            global.groups.push(Group { name, place, servers, server_names, options });
        }
        Some(group) if group.options == options => {
            group.servers.push(site.server);
            group.server_names.push(server_name);
        }
        Some(group) => {
            let (here, there) = (site.place(), &group.place);
            let detail = format!(
                "'{}' at {here} has other options than at {there}: give one of the two another name, or write both alike",
                text(name.as_bytes())
            );
            return Err(site.error("Name duplicates previous WSGI daemon definition.", detail));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::ServerKey;
    use super::super::testing::Reader;
    use super::*;

    #[test]
    fn a_group_needs_no_option() {
        let mut reader = Reader::new();
        reader.line = 5;
        reader.read("WSGIDaemonProcess example.com");
        let group = &reader.global.groups[0];
        assert_eq!((group.name.as_str(), group.place.to_string().as_str()), ("example.com", "test.conf:5"));
        assert_eq!(group.options, GroupOptions::default());
    }

    #[test]
    fn the_last_of_an_options_values_counts() {
        let mut reader = Reader::new();
        reader.read("WSGIDaemonProcess app processes=2 threads=15 threads=5 display-name=%{GROUP} home='/srv/my app'");
        let options = &reader.global.groups[0].options;
        assert_eq!((options.processes, options.threads), (Some(2), Some(5)));
        assert_eq!(options.display_name.as_deref(), Some(b"(wsgi:app)".as_slice()));
        assert_eq!(options.home.as_deref(), Some(b"/srv/my app".as_slice()));
        assert_eq!(reader.global.mentions.notices, []);
    }

    #[test]
    fn an_identical_group_in_a_copied_virtual_host_is_the_same() {
        let mut reader = Reader::new();
        (reader.key, reader.server_name) = (ServerKey::VirtualHost(1), Some("a.example"));
        reader.read("WSGIDaemonProcess app threads=5 processes=2");
        (reader.key, reader.line) = (ServerKey::VirtualHost(2), 30);
        reader.read("WSGIDaemonProcess app processes=2 threads=5");
        assert_eq!(reader.global.groups.len(), 1);
        assert_eq!(reader.global.groups[0].servers, [ServerKey::VirtualHost(1), ServerKey::VirtualHost(2)]);
        assert_eq!(reader.global.groups[0].place.line, 1);
    }

    #[test]
    fn another_group_of_the_same_name_is_refused_with_both_places() {
        let mut reader = Reader::new();
        reader.read("WSGIDaemonProcess app threads=5");
        reader.line = 30;
        assert_eq!(
            reader.error("WSGIDaemonProcess app threads=6"),
            "Name duplicates previous WSGI daemon definition. WSGIDaemonProcess: 'app' at test.conf:30 has other options than at \
             test.conf:1: give one of the two another name, or write both alike"
        );
    }

    #[test]
    fn nonsense_is_refused() {
        let mut reader = Reader::new();
        let refused = [
            ("", "Name of WSGI daemon process not supplied."),
            ("''", "Name of WSGI daemon process not supplied."),
            (
                "app thread=5",
                "Invalid option to WSGI daemon process definition. WSGIDaemonProcess: there is no option 'thread'; is 'threads='",
            ),
            ("app proxy-buffer-size=8192", "Invalid option to WSGI daemon process definition."),
            ("app threads", "Invalid option to WSGI daemon process definition."),
            ("app threads = 5", "Invalid option to WSGI daemon process definition."),
            ("app script-user=root script-group=root", "Only one of script-user and script-group allowed."),
            ("app min-processes=5 max-processes=2", "Invalid process count for WSGI daemon process."),
        ];
        for (arguments, text) in refused {
            let error = reader.error(&format!("WSGIDaemonProcess {arguments}"));
            assert!(error.starts_with(text), "{arguments}: {error}");
        }
        assert_eq!(reader.global.groups, []);
    }

    #[test]
    fn an_option_without_effect_is_told_once() {
        let mut reader = Reader::new();
        reader.read("WSGIDaemonProcess off deadlock-timeout=0 server-metrics=Off");
        reader
            .read("WSGIDaemonProcess a response-flush-delay=9")
            .read("WSGIDaemonProcess b response-flush-delay=10 threads=0 reload=strict");
        let texts: Vec<_> = reader.global.mentions.notices.iter().map(|notice| notice.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "response-flush-delay= of WSGIDaemonProcess at test.conf:1 has no effect: each block that an application yields is sent to the \
             client at once"
            ]
        );
    }
}
