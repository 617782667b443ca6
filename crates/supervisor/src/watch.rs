//! Seeing that scripts change before the next request does (inotify(7)).
//!
//! Directories are watched, not files: an editor that writes a new file and renames it replaces the file. What is seen is a hint only;
//! whether a script has changed is decided by its modification time.

use crate::group::Version;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use sys::nix::errno::Errno;
use sys::nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use wire::settings::Octets;

/// The scripts of a group, and the directories they are in.
pub(crate) struct Watch {
    inotify: Option<Inotify>,
    scripts: BTreeSet<Octets>,
    directories: BTreeMap<i32, (WatchDescriptor, BTreeSet<OsString>)>,
}

impl Watch {
    /// Watches nothing yet. Without inotify, which the kernel may refuse, scripts are still remembered.
    pub(crate) fn new() -> (Self, Result<(), Errno>) {
        let (inotify, result) = match Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK) {
            Ok(inotify) => (Some(inotify), Ok(())),
            Err(error) => (None, Err(error)),
        };
        (Self { inotify, scripts: BTreeSet::new(), directories: BTreeMap::new() }, result)
    }

    /// Watches a script from now on.
    ///
    /// # Errors
    /// When its directory cannot be watched.
    pub(crate) fn add(&mut self, script: Octets) -> Result<(), Errno> {
        let path = PathBuf::from(OsStr::from_bytes(&script));
        self.scripts.insert(script);
        // A link is replaced in its own directory; what it points to changes in another one.
        let target = std::fs::canonicalize(&path).ok().filter(|target| *target != path);
        self.add_directory_of(&path)?;
        target.map_or(Ok(()), |target| self.add_directory_of(&target))
    }

    fn add_directory_of(&mut self, path: &Path) -> Result<(), Errno> {
        let (Some(inotify), Some(directory), Some(name)) = (&self.inotify, path.parent(), path.file_name()) else { return Ok(()) };
        let flags = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ATTRIB | AddWatchFlags::IN_CREATE;
        let descriptor = inotify.add_watch(directory, flags | AddWatchFlags::IN_ONLYDIR)?;
        self.directories.entry(descriptor.as_raw()).or_insert_with(|| (descriptor, BTreeSet::new())).1.insert(name.to_owned());
        Ok(())
    }

    /// The descriptor that becomes readable when something has happened.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    /// Reads what has happened. Returns whether a script may have changed.
    pub(crate) fn read(&mut self) -> bool {
        let mut may_have_changed = false;
        while let Some(events) = self.inotify.as_ref().and_then(|inotify| inotify.read_events().ok()).filter(|events| !events.is_empty()) {
            for event in events {
                if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    may_have_changed = true;
                } else if event.mask.contains(AddWatchFlags::IN_IGNORED) {
                    self.directories.remove(&event.wd.as_raw());
                } else if let Some((_, names)) = self.directories.get(&event.wd.as_raw()) {
                    // Other files in the directory may be written often, a database for instance.
                    may_have_changed |= event.name.is_some_and(|name| names.contains(&name));
                }
            }
        }
        may_have_changed
    }

    /// The scripts as they are on disk; who cannot be seen has no version.
    pub(crate) fn versions(&mut self) -> Vec<Version> {
        let scripts: Vec<Octets> = self.scripts.iter().cloned().collect();
        for script in &scripts {
            // A directory may have been replaced meanwhile; to watch one that is watched already does nothing.
            let _as_before = self.add(script.clone());
        }
        scripts.into_iter().filter_map(|script| Some(Version { modified: modified(&script)?, script })).collect()
    }
}

/// The modification time of a script, in microseconds since the epoch.
pub(crate) fn modified(script: &Octets) -> Option<i64> {
    let metadata = std::fs::metadata(OsStr::from_bytes(script)).ok()?;
    Some(metadata.mtime() * 1_000_000 + metadata.mtime_nsec() / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("supervisor-watch-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    fn octets(path: &Path) -> Octets {
        Octets::from(path.as_os_str().as_bytes().to_vec())
    }

    #[test]
    fn a_script_that_is_written_or_replaced_is_seen_and_its_neighbours_are_not() {
        let folder = folder("neighbours");
        let (script, neighbour) = (folder.join("app.wsgi"), folder.join("data.db"));
        std::fs::write(&script, "1").expect("written");
        let (mut watch, started) = Watch::new();
        assert_eq!((started, watch.add(octets(&script))), (Ok(()), Ok(())));
        std::fs::write(&neighbour, "x").expect("written");
        assert!(!watch.read());
        std::fs::write(&script, "2").expect("written");
        assert!(watch.read());
        std::fs::rename(&neighbour, &script).expect("renamed");
        assert!(watch.read() && !watch.read());
        assert_eq!(watch.versions().len(), 1);
        std::fs::remove_dir_all(&folder).expect("was there");
        assert_eq!(watch.versions(), []);
    }

    #[test]
    fn what_a_link_points_to_is_watched_too() {
        let (here, there) = (folder("link"), folder("target"));
        let (link, target) = (here.join("app.wsgi"), there.join("real.wsgi"));
        std::fs::write(&target, "1").expect("written");
        std::os::unix::fs::symlink(&target, &link).expect("linked");
        let (mut watch, _) = Watch::new();
        watch.add(octets(&link)).expect("watched");
        std::fs::write(&target, "2").expect("written");
        assert!(watch.read());
        for folder in [here, there] {
            std::fs::remove_dir_all(folder).expect("was there");
        }
    }
}
