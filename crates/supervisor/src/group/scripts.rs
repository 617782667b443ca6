//! Which scripts a group has loaded, and which changes of them were tried, and failed.

use std::collections::{BTreeMap, BTreeSet};
use wire::settings::{Import, Octets};

/// A script in a certain state: its path and its modification time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// Its path.
    pub(crate) script: Octets,
    /// Microseconds since the epoch.
    pub(crate) modified: i64,
}

/// The scripts of a group, over all generations.
#[derive(Debug, Default)]
pub(super) struct Scripts {
    known: Vec<Import>,
    /// Those that are reloaded when they change.
    watched: BTreeSet<Octets>,
    tried: BTreeMap<Octets, i64>,
    failed: BTreeSet<Octets>,
    /// What the newest settings do not lead to any more.
    unreached: Vec<Octets>,
}

impl Scripts {
    /// Remembers that a worker has loaded a script.
    pub(super) fn loaded(&mut self, import: &Import) {
        if !self.known.contains(import) {
            self.known.push(import.clone());
        }
    }

    /// Remembers that a script is reloaded when it changes. Returns whether that is new.
    pub(super) fn watch(&mut self, script: &Octets) -> bool {
        self.watched.insert(script.clone())
    }

    /// Forgets what is one of these paths, or beneath one that is a directory: nobody is led there any more.
    pub(super) fn forget(&mut self, unreached: Vec<Octets>) {
        self.unreached = unreached;
        let is_reached = |script: &Octets| !leads_to_any(&self.unreached, script);
        self.known.retain(|import| is_reached(&import.script));
        self.watched.retain(is_reached);
        self.tried.retain(|script, _| is_reached(script));
        self.failed.retain(is_reached);
    }

    /// Whether the newest settings have ceased to lead to a script.
    pub(super) fn is_unreached(&self, script: &Octets) -> bool {
        leads_to_any(&self.unreached, script)
    }

    /// Whether a script is reloaded when it changes.
    pub(super) fn is_watched(&self, script: &Octets) -> bool {
        self.watched.contains(script)
    }

    /// What a new worker is to load before it is ready, in the order of first use.
    pub(super) fn preload(&self) -> Vec<Import> {
        self.known.clone()
    }

    /// Remembers that a switch to this version was begun: whatever comes of it, one attempt is enough.
    pub(super) fn tried(&mut self, version: Version) {
        self.tried.insert(version.script, version.modified);
    }

    /// Whether a switch to this version was the last one that was begun for the script.
    pub(super) fn was_tried(&self, version: &Version) -> bool {
        self.tried.get(&version.script) == Some(&version.modified)
    }

    /// Remembers that the newest version of a script could not be loaded.
    pub(super) fn failed(&mut self, script: Octets) {
        self.failed.insert(script);
    }

    /// The script on disk is the one that runs: what was tried before is of no concern any more. Returns whether that had failed.
    pub(super) fn is_as_loaded(&mut self, script: &Octets) -> bool {
        self.tried.remove(script);
        self.failed.remove(script)
    }

    /// A new generation has loaded everything it was given.
    pub(super) fn all_loaded(&mut self) {
        self.failed.clear();
    }

    /// Whether the newest version of a script could not be loaded.
    pub(super) fn has_failed(&self, script: &Octets) -> bool {
        self.failed.contains(script)
    }

    /// Whether the newest version of some script could not be loaded.
    pub(super) fn any_failed(&self) -> bool {
        !self.failed.is_empty()
    }
}

/// Whether a script is one of these paths, or beneath one.
fn leads_to_any(paths: &[Octets], script: &[u8]) -> bool {
    let leads_to = |path: &[u8], script: &[u8]| {
        let rest = script.strip_prefix(path);
        rest.is_some_and(|rest| rest.is_empty() || path.ends_with(b"/") || rest.starts_with(b"/"))
    };
    // What follows a script in an alias is handed to it.
    paths.iter().any(|path| leads_to(path, script) || leads_to(script, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(script: &str, group: &str) -> Import {
        Import { script: Octets::from(script.as_bytes().to_vec()), application_group: Octets::from(group.as_bytes().to_vec()) }
    }

    #[test]
    fn a_script_in_two_groups_is_loaded_in_both_and_watched_once() {
        let mut scripts = Scripts::default();
        for group in ["", "other", ""] {
            scripts.loaded(&import("/a", group));
        }
        assert!(scripts.watch(&import("/a", "").script));
        assert!(!scripts.watch(&import("/a", "other").script));
        assert_eq!(scripts.preload(), [import("/a", ""), import("/a", "other")]);
    }

    #[test]
    fn what_nothing_leads_to_any_more_is_forgotten() {
        let mut scripts = Scripts::default();
        let paths = ["/srv/v1/app", "/srv/v1/app.wsgi", "/srv/v2/app", "/sites/a/x", "/sitess/b", "/with"];
        for path in paths {
            scripts.loaded(&import(path, ""));
            scripts.watch(&import(path, "").script);
        }
        let unreached = ["/srv/v1/app", "/sites", "/with/path"].map(|path| import(path, "").script);
        scripts.forget(unreached.to_vec());
        let left = ["/srv/v1/app.wsgi", "/srv/v2/app", "/sitess/b"].map(|path| import(path, ""));
        assert_eq!(scripts.preload(), left);
        assert!(scripts.is_watched(&left[0].script) && !scripts.is_watched(&import("/with", "").script));
    }

    #[test]
    fn a_version_is_tried_once_until_another_runs_or_is_tried() {
        let mut scripts = Scripts::default();
        let version = Version { script: import("/a", "").script, modified: 7 };
        scripts.tried(version.clone());
        scripts.failed(version.script.clone());
        assert!(scripts.was_tried(&version) && scripts.any_failed());
        assert!(!scripts.was_tried(&Version { modified: 8, ..version.clone() }));
        assert!(scripts.is_as_loaded(&version.script));
        assert!(!scripts.was_tried(&version) && !scripts.any_failed());
    }
}
