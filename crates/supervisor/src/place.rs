//! Becoming the group's user, once; and the directory and umask that its workers start in.

use crate::edition::Edition;
use crate::group::Obstacle;
use std::cell::Cell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use sys::identity::{self, Account, IdentityError};
use sys::nix::sys::stat::{Mode, umask};
use sys::nix::unistd::{chdir, getuid, setsid};
use wire::codes::{self, Code};
use wire::log::Level;
use wire::settings::Identity;

/// Who this process is and where it was, for the rest of its life.
pub(crate) struct Place {
    identity: Identity,
    account: Option<Account>,
    /// The working directory and the umask that were inherited.
    directory: PathBuf,
    umask: Mode,
    warned_of_home: Cell<bool>,
}

/// The code of a failure to become the group's user.
pub(crate) fn code(error: &IdentityError) -> Code {
    match error {
        IdentityError::Chroot(..) => codes::CHROOT,
        IdentityError::Gid(..) => codes::GROUP_ID,
        IdentityError::Groups(..) => codes::GROUPS,
        IdentityError::NoGroups(..) => codes::GROUPS_OF_USER,
        IdentityError::Uid(..) => codes::USER_ID,
    }
}

impl Place {
    /// Takes on the identity of the group.
    ///
    /// # Errors
    /// The step that failed: nothing of the application's may run in this process then.
    pub(crate) fn take(edition: &Edition) -> Result<Self, IdentityError> {
        let identity = edition.settings.identity.clone();
        // httpd signals its process group when it stops or restarts; what we do then is for its parent to say, over the control socket.
        let _leads_one_already = setsid();
        // The user database may be out of reach after chroot.
        let account = identity::account(identity.uid.unwrap_or_else(|| getuid().as_raw()));
        prioritise(edition);
        identity::assume(&identity)?;
        sys::process::set_not_dumpable();
        let inherited = umask(Mode::empty());
        umask(inherited);
        let directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        Ok(Self { identity, account, directory, umask: inherited, warned_of_home: Cell::new(false) })
    }

    /// Whether settings are for the user that this process is; it cannot become another one.
    pub(crate) fn suits(&self, identity: &Identity) -> bool {
        let Identity { uid, gid, groups, chroot, cpu_priority: _ } = &self.identity;
        (uid, gid, groups, chroot) == (&identity.uid, &identity.gid, &identity.groups, &identity.chroot)
    }

    /// Applies what may change from edition to edition.
    pub(crate) fn adjust(&self, edition: &Edition) {
        if self.identity.cpu_priority != edition.settings.identity.cpu_priority {
            prioritise(edition);
        }
    }

    /// What the user database says of the user.
    pub(crate) fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// Enters the working directory of an edition and sets its umask; what is started now inherits both.
    ///
    /// # Errors
    /// When the directory of `home=` cannot be entered.
    pub(crate) fn enter(&self, edition: &Edition) -> Result<(), Obstacle> {
        let settings = &edition.settings;
        umask(settings.umask.map_or(self.umask, Mode::from_bits_truncate));
        if let Some(home) = &settings.home {
            let home = Path::new(OsStr::from_bytes(home));
            return chdir(home).map_err(|error| Obstacle {
                code: codes::HOME,
                what: format!("the home '{}' of group '{}' cannot be entered: {}", home.display(), settings.name, error.desc()),
            });
        }
        let directory = match (&self.account, self.identity.uid) {
            // As in mod_wsgi, only who is another user than httpd's own starts at home.
            (Some(account), Some(uid)) if !settings.peers.contains(&uid) => &account.home,
            _ => &self.directory,
        };
        if let Err(error) = chdir(directory) {
            if !self.warned_of_home.replace(true) {
                let (directory, name) = (directory.display(), &settings.name);
                let what = format!("the directory '{directory}' cannot be entered by the user of group '{name}': {}", error.desc());
                edition.log(Level::Warn, &codes::USER_HOME.line(format_args!("{what}; '/' is the working directory")));
            }
            // The root directory is there for everybody; if not even that, the old directory is as good as any.
            let _harmless = chdir("/");
        }
        Ok(())
    }
}

fn prioritise(edition: &Edition) {
    let priority = edition.settings.identity.cpu_priority;
    if priority == 0 {
        return;
    }
    if let Err(error) = sys::process::set_priority(priority) {
        let what = format!("the CPU priority of group '{}' cannot be set to {priority}: {}", edition.settings.name, error.desc());
        edition.log(Level::Warn, &codes::PRIORITY.line(what));
    }
}
