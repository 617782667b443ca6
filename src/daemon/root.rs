//! `chroot=` of a daemon group: its processes see files without the root directory's path in front.

#![forbid(unsafe_code)]

use crate::apache::request::Request;
use crate::apache::status::Status;
use crate::request::Refusal;
use wire::codes;
use wire::head::{Pair, RequestHead};

/// Rewrites the paths of a request for a group whose processes live under `root`.
pub(super) fn enter<'r>(request: &Request<'r>, root: &[u8], head: &mut RequestHead<'r>) -> Result<(), Refusal> {
    let keep = |octets: &[u8]| request.pool().string(octets).to_bytes();
    let outside = |path: &[u8]| {
        let (path, root) = (String::from_utf8_lossy(path), String::from_utf8_lossy(root));
        Refusal::new(&codes::OUTSIDE_CHROOT, Status::BAD_GATEWAY, format!("'{path}' is not below the root directory '{root}' of its group"))
    };
    head.script = below(root, head.script).map(keep).ok_or_else(|| outside(head.script))?;
    head.filename = below(root, head.filename).map(keep).ok_or_else(|| outside(head.filename))?;
    head.environ.retain_mut(|pair| match pair.name {
        b"SCRIPT_FILENAME" | b"DOCUMENT_ROOT" | b"mod_wsgi.handler_script" if !pair.value.is_empty() => {
            // What the group's processes cannot see, an application is better not told.
            let inside = below(root, pair.value).map(keep);
            *pair = Pair { name: pair.name, value: inside.unwrap_or_default() };
            inside.is_some()
        }
        _ => true,
    });
    Ok(())
}

/// A path as it is seen from `root`; `None` when it is not below it.
pub(super) fn below<'p>(root: &[u8], path: &'p [u8]) -> Option<&'p [u8]> {
    let mut root = root;
    while let Some(shorter) = root.strip_suffix(b"/") {
        root = shorter;
    }
    let rest = path.strip_prefix(root)?;
    // `..` would lead out of it again. httpd resolves these in URLs; an administrator's own path may have one.
    let climbs = rest.split(|octet| *octet == b'/').any(|name| name == b"..");
    match rest {
        [] => Some(b"/"),
        [b'/', ..] if !climbs => Some(rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn a_path_is_seen_from_the_root_directory() {
        assert_eq!(below(b"/srv/jail", b"/srv/jail/app.wsgi"), Some(&b"/app.wsgi"[..]));
        assert_eq!(below(b"/srv/jail/", b"/srv/jail/app.wsgi"), Some(&b"/app.wsgi"[..]));
        assert_eq!(below(b"/srv/jail", b"/srv/jail"), Some(&b"/"[..]));
        assert_eq!(below(b"/", b"/srv/app.wsgi"), Some(&b"/srv/app.wsgi"[..]));
    }

    #[test]
    fn what_is_outside_is_not_seen() {
        assert_eq!(below(b"/srv/jail", b"/srv/other/app.wsgi"), None);
        assert_eq!(below(b"/srv/jail", b"/srv/jailbreak/app.wsgi"), None);
        assert_eq!(below(b"/srv/jail", b"/srv/jail/../app.wsgi"), None);
    }
}
