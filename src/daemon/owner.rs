//! Whom a script may belong to: `script-user=` and `script-group=` of a daemon group, checked at each request.
//!
//! A group runs what it is given with its own rights, so these options say that nobody else may have written it: neither the file nor
//! the directory in which it could be replaced.

#![forbid(unsafe_code)]

use crate::apache::status::Status;
use crate::config::group::Id;
use crate::request::Refusal;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use wire::codes::{self, Code};

const GROUP_MAY_WRITE: u32 = 0o020;
const WORLD_MAY_WRITE: u32 = 0o002;

/// What of a file or directory matters here.
#[derive(Clone, Copy, Debug)]
struct Facts {
    uid: u32,
    gid: u32,
    mode: u32,
}

/// Whether a requested file belongs to whom the options of a group demand.
pub(super) fn check(file: &[u8], user: Option<&Id>, group: Option<&Id>) -> Result<(), Refusal> {
    if user.is_none() && group.is_none() {
        return Ok(());
    }
    let path = Path::new(OsStr::from_bytes(file));
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    judge(facts(path), facts(folder), user, group).map_err(|(code, what)| {
        let what = format!("{what}: '{}' is not served", path.display());
        Refusal::new(code, Status::FORBIDDEN, what)
    })
}

fn facts(path: &Path) -> io::Result<Facts> {
    std::fs::metadata(path).map(|found| Facts { uid: found.uid(), gid: found.gid(), mode: found.mode() })
}

type Fault = (&'static Code, String);

fn judge(file: io::Result<Facts>, folder: io::Result<Facts>, user: Option<&Id>, group: Option<&Id>) -> Result<(), Fault> {
    if let Some(group) = group {
        let is = |facts: Facts| facts.gid == group.number;
        let file = known(&file, &codes::SCRIPT_GROUP_UNKNOWN, "the file")?;
        demand(is(file), &codes::SCRIPT_GROUP, || format!("the group of the file is not '{}'", group.name))?;
        deny(file, WORLD_MAY_WRITE, &codes::SCRIPT_GROUP_WORLD, "everybody may write to the file")?;
        let folder = known(&folder, &codes::FOLDER_GROUP_UNKNOWN, "its directory")?;
        demand(is(folder), &codes::FOLDER_GROUP, || format!("the group of its directory is not '{}'", group.name))?;
        deny(folder, WORLD_MAY_WRITE, &codes::FOLDER_GROUP_WORLD, "everybody may write to its directory")?;
    }
    if let Some(user) = user {
        let is = |facts: Facts| facts.uid == user.number;
        let file = known(&file, &codes::SCRIPT_USER_UNKNOWN, "the file")?;
        demand(is(file), &codes::SCRIPT_USER, || format!("the owner of the file is not '{}'", user.name))?;
        deny(file, GROUP_MAY_WRITE, &codes::SCRIPT_USER_GROUP, "its group may write to the file")?;
        deny(file, WORLD_MAY_WRITE, &codes::SCRIPT_USER_WORLD, "everybody may write to the file")?;
        let folder = known(&folder, &codes::FOLDER_USER_UNKNOWN, "its directory")?;
        demand(is(folder), &codes::FOLDER_USER, || format!("the owner of its directory is not '{}'", user.name))?;
        deny(folder, WORLD_MAY_WRITE, &codes::FOLDER_USER_WORLD, "everybody may write to its directory")?;
        deny(folder, GROUP_MAY_WRITE, &codes::FOLDER_USER_GROUP, "its group may write to its directory")?;
    }
    Ok(())
}

fn known(facts: &io::Result<Facts>, code: &'static Code, what: &str) -> Result<Facts, Fault> {
    facts.as_ref().copied().map_err(|error| (code, format!("{what} cannot be examined: {error}")))
}

fn demand(holds: bool, code: &'static Code, what: impl FnOnce() -> String) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err((code, what())) }
}

fn deny(facts: Facts, right: u32, code: &'static Code, what: &str) -> Result<(), Fault> {
    demand(facts.mode & right == 0, code, || what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: Facts = Facts { uid: 7, gid: 8, mode: 0o100_644 };

    fn id(number: u32) -> Id {
        Id { number, name: "bob".to_owned() }
    }

    fn code(file: Option<Facts>, folder: Option<Facts>, user: bool, group: bool) -> u16 {
        let or_missing = |facts: Option<Facts>| facts.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound));
        let (user, group) = (user.then(|| id(7)), group.then(|| id(8)));
        judge(or_missing(file), or_missing(folder), user.as_ref(), group.as_ref()).map_or_else(|(code, _)| code.number, |()| 0)
    }

    #[test]
    fn an_owner_has_file_and_directory_for_himself() {
        let user = |file, folder| code(file, folder, true, false);
        let writable = |mode| Some(Facts { mode, ..RIGHT });
        let foreign = Some(Facts { uid: 9, ..RIGHT });
        assert_eq!(user(Some(RIGHT), Some(RIGHT)), 0);
        assert_eq!([user(None, Some(RIGHT)), user(foreign, Some(RIGHT))], [162, 164]);
        assert_eq!([user(writable(0o664), Some(RIGHT)), user(writable(0o646), Some(RIGHT))], [166, 168]);
        assert_eq!([user(Some(RIGHT), None), user(Some(RIGHT), foreign)], [169, 171]);
        assert_eq!([user(Some(RIGHT), writable(0o757)), user(Some(RIGHT), writable(0o775))], [172, 173]);
    }

    #[test]
    fn a_group_has_file_and_directory_for_itself() {
        let group = |file, folder| code(file, folder, false, true);
        let writable = |mode| Some(Facts { mode, ..RIGHT });
        let foreign = Some(Facts { gid: 9, ..RIGHT });
        assert_eq!([group(Some(RIGHT), Some(RIGHT)), group(writable(0o664), writable(0o775))], [0, 0]);
        assert_eq!([group(None, Some(RIGHT)), group(foreign, Some(RIGHT)), group(writable(0o646), Some(RIGHT))], [153, 155, 157]);
        assert_eq!([group(Some(RIGHT), None), group(Some(RIGHT), foreign), group(Some(RIGHT), writable(0o757))], [158, 160, 161]);
    }

    #[test]
    fn both_demands_hold_together() {
        assert_eq!(code(Some(RIGHT), Some(RIGHT), true, true), 0);
        assert_eq!(code(Some(Facts { uid: 9, ..RIGHT }), Some(RIGHT), true, true), 164);
        assert_eq!(code(Some(Facts { gid: 9, ..RIGHT }), Some(RIGHT), true, true), 155);
    }
}
