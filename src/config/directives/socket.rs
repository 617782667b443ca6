//! Where the sockets of daemon groups are, and what used to be said about locks.

use super::{Apply, Context, Definition, DirectiveError, Effect, Site};
use crate::config::options::Global;
use crate::config::value::text;

pub(super) const SOCKET_PREFIX: Definition = Definition {
    name: c"WSGISocketPrefix",
    context: Context::Global,
    help: c"Where the sockets of daemon groups are made: the start of their paths.",
    effect: Effect::Works,
    apply: Apply::Global(socket_prefix),
};

pub(super) const SOCKET_ROTATION: Definition = Definition {
    name: c"WSGISocketRotation",
    context: Context::Global,
    help: c"Accepted for mod_wsgi's sake: the socket of a daemon group keeps its address over restarts.",
    effect: Effect::Replaced("the socket of a daemon group keeps its address over restarts"),
    apply: Apply::Global(socket_rotation),
};

pub(super) const ACCEPT_MUTEX: Definition = Definition {
    name: c"WSGIAcceptMutex",
    context: Context::Global,
    help: c"Accepted for mod_wsgi's sake: processes of a daemon group need no lock to accept requests.",
    effect: Effect::Replaced("the processes of a daemon group need no lock to accept requests"),
    apply: Apply::Global(accept_mutex),
};

fn socket_prefix(site: &Site<'_>, raw: &[u8], global: &mut Global) -> Result<(), DirectiveError> {
    let given = site.one(raw, "one argument, the start of the sockets' paths")?;
    let prefix = site.system.server_root_relative(&given).filter(|_| !given.is_empty());
    global.socket_prefix = Some(prefix.ok_or_else(|| {
        let problem = format!("Invalid WSGISocketPrefix '{}'.", text(&given));
        site.error(problem, "write the start of a path, absolute or relative to ServerRoot, such as /run/apache2/wsgi")
    })?);
    Ok(())
}

fn socket_rotation(site: &Site<'_>, raw: &[u8], global: &mut Global) -> Result<(), DirectiveError> {
    global.socket_rotation = Some(site.flag(raw)?);
    Ok(())
}

fn accept_mutex(site: &Site<'_>, raw: &[u8], _: &mut Global) -> Result<(), DirectiveError> {
    const MECHANISMS: [&str; 6] = ["default", "flock", "fcntl", "sysvsem", "posixsem", "pthread"];
    let given = site.one(raw, "one argument, the name of a lock mechanism")?;
    if MECHANISMS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(&given)) {
        return Ok(());
    }
    let (given, known) = (text(&given), MECHANISMS.join(", "));
    Err(DirectiveError::Rule(format!(
        "Accept mutex lock mechanism '{given}' is invalid. Valid accept mutex mechanisms for this platform are: {known}. \
         {} may as well be left out: no such lock is needed",
        site.directive
    )))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Reader;

    #[test]
    fn a_prefix_is_made_absolute() {
        let mut reader = Reader::new();
        reader.read("WSGISocketPrefix run/wsgi");
        assert_eq!(reader.global.socket_prefix.as_deref(), Some(b"/etc/httpd/run/wsgi".as_slice()));
        assert!(reader.error("WSGISocketPrefix ''").starts_with("Invalid WSGISocketPrefix ''. WSGISocketPrefix: write the start"));
        assert!(reader.error("WSGISocketPrefix").contains("takes one argument"));
    }

    #[test]
    fn what_is_no_longer_needed_is_still_checked() {
        let mut reader = Reader::new();
        reader.read("WSGIAcceptMutex Pthread").read("WSGISocketRotation Off");
        assert_eq!(reader.global.socket_rotation, Some(false));
        assert!(reader.error("WSGIAcceptMutex spin").starts_with("Accept mutex lock mechanism 'spin' is invalid. Valid accept mutex"));
        assert!(reader.error("WSGISocketRotation 1").contains("must be one of: Off | On"));
        assert!(reader.global.mentions.notices.iter().all(|notice| notice.code.is_none()));
    }
}
