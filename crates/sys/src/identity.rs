//! Becoming the user of a group: chroot, gid, supplementary groups, uid, in the order that keeps the right to do the next step.

use nix::unistd::{Gid, Uid, User, chroot, getgrouplist, setgid, setgroups, setuid};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use wire::settings::Identity;

/// Which step failed.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// chroot(2).
    #[error("cannot change the root directory to '{1}': {0}")]
    Chroot(nix::Error, PathBuf),
    /// setgid(2).
    #[error("cannot set the group id to {1}: {0}")]
    Gid(nix::Error, u32),
    /// setgroups(2).
    #[error("cannot set the supplementary groups: {0}")]
    Groups(nix::Error),
    /// getgrouplist(3).
    #[error("cannot find the groups of uid {1}: {0}")]
    NoGroups(nix::Error, u32),
    /// setuid(2).
    #[error("cannot set the user id to {1}: {0}")]
    Uid(nix::Error, u32),
}

/// What the user database says of a user.
#[derive(Clone, Debug)]
pub struct Account {
    /// The user's name.
    pub name: String,
    /// The user's home directory.
    pub home: PathBuf,
}

/// Looks up a user; `None` when the database has none of that id.
#[must_use]
pub fn account(uid: u32) -> Option<Account> {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten()?;
    Some(Account { name: user.name, home: user.dir })
}

/// Takes the identity on, for good. The user database is read before the root directory changes.
///
/// # Errors
/// The step that failed; the process must not go on then.
pub fn assume(identity: &Identity) -> Result<(), IdentityError> {
    let groups = match (&identity.groups, identity.uid, identity.gid) {
        (Some(groups), _, gid) => Some(gid.into_iter().chain(groups.iter().copied()).map(Gid::from_raw).collect()),
        (None, Some(uid), Some(gid)) => Some(groups_of(uid, gid)?),
        _ => None,
    };
    if let Some(root) = &identity.chroot {
        let root = Path::new(std::ffi::OsStr::from_bytes(root));
        let fail = |error| IdentityError::Chroot(error, root.to_owned());
        chroot(root).map_err(fail)?;
        nix::unistd::chdir("/").map_err(fail)?;
    }
    if let Some(gid) = identity.gid {
        setgid(Gid::from_raw(gid)).map_err(|error| IdentityError::Gid(error, gid))?;
    }
    if let Some(groups) = groups {
        setgroups(&groups).map_err(IdentityError::Groups)?;
    }
    if let Some(uid) = identity.uid {
        setuid(Uid::from_raw(uid)).map_err(|error| IdentityError::Uid(error, uid))?;
    }
    Ok(())
}

fn groups_of(uid: u32, gid: u32) -> Result<Vec<Gid>, IdentityError> {
    let fail = |error| IdentityError::NoGroups(error, uid);
    match User::from_uid(Uid::from_raw(uid)).map_err(fail)? {
        Some(user) => {
            let name = CString::new(user.name).map_err(|_| fail(nix::errno::Errno::EINVAL))?;
            getgrouplist(&name, Gid::from_raw(gid)).map_err(fail)
        }
        // A bare number is a user too: it is in its own group and no other.
        None => Ok(vec![Gid::from_raw(gid)]),
    }
}

/// The uid of a user's name.
#[must_use]
pub fn uid_of(name: &str) -> Option<u32> {
    User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())
}

/// The gid of a group's name.
#[must_use]
pub fn gid_of(name: &str) -> Option<u32> {
    nix::unistd::Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw())
}

/// Whether this process may take on other identities.
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Who this process acts as.
#[must_use]
pub fn effective_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}
