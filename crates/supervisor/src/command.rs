//! How a worker is executed: the interpreter, its arguments and its environment; and whether the group's user can execute it at all.
//!
//! `argv[0]` stays the interpreter's path as configured: it is how Python finds a virtual environment
//! (<https://docs.python.org/3/library/sys_path_init.html>).

use crate::group::Obstacle;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use sys::identity::Account;
use sys::nix::errno::Errno;
use sys::nix::unistd::{AccessFlags, access};
use wire::codes;
use wire::settings::{GroupSettings, Python};

/// What the interpreter executes.
const BOOTSTRAP: &str = include_str!("bootstrap.py");

/// Links that are followed to find what is in the way.
const LINKS: usize = 16;

/// The arguments of a worker, the first being the interpreter itself.
///
/// # Errors
/// When an argument holds a NUL.
pub(crate) fn arguments(settings: &GroupSettings) -> Result<Vec<CString>, std::ffi::NulError> {
    let Python { optimize, dont_write_bytecode, warnings, .. } = &settings.python;
    let mut arguments: Vec<Vec<u8>> = vec![settings.interpreter.to_vec()];
    match optimize {
        0 => {}
        1 => arguments.push(b"-O".to_vec()),
        _ => arguments.push(b"-OO".to_vec()),
    }
    if *dont_write_bytecode {
        arguments.push(b"-B".to_vec());
    }
    if let Some(keeps_lock) = settings.keeps_lock {
        arguments.extend([b"-X".to_vec(), format!("gil={}", u8::from(keeps_lock)).into_bytes()]);
    }
    arguments.extend(warnings.iter().map(|warning| format!("-W{warning}").into_bytes()));
    arguments.extend([b"-c".to_vec(), BOOTSTRAP.as_bytes().to_vec(), settings.host.to_vec()]);
    // The worker writes its display-name over its arguments, so these must be as long.
    arguments.push(vec![b' '; settings.display_name.as_ref().map_or(0, |name| name.len())]);
    arguments.into_iter().map(CString::new).collect()
}

/// The environment of a worker: the supervisor's own, with what the group's settings and its user say.
///
/// # Errors
/// When a value holds a NUL.
pub(crate) fn environment(
    base: impl IntoIterator<Item = (OsString, OsString)>,
    settings: &GroupSettings,
    account: Option<&Account>,
) -> Result<Vec<CString>, std::ffi::NulError> {
    let mut variables: Vec<(OsString, OsString)> = base.into_iter().collect();
    if let Some(account) = account {
        set(&mut variables, "HOME", account.home.as_os_str());
        // Only what is there already would be wrong; as in mod_wsgi, an application sees no more variables than httpd has.
        for name in ["USER", "LOGNAME", "USERNAME"] {
            if variables.iter().any(|(known, _)| known == name) {
                set(&mut variables, name, OsStr::new(&account.name));
            }
        }
    }
    let octets = |name: &str, value: Option<&[u8]>, variables: &mut Vec<(OsString, OsString)>| {
        if let Some(value) = value {
            set(variables, name, OsStr::from_bytes(value));
        }
    };
    octets("LANG", settings.lang.as_ref().map(|lang| lang.as_slice()), &mut variables);
    octets("LC_ALL", settings.locale.as_ref().map(|locale| locale.as_slice()), &mut variables);
    octets("PYTHONHASHSEED", settings.python.hash_seed.as_ref().map(|seed| seed.as_bytes()), &mut variables);
    octets("PYTHON_EGG_CACHE", settings.python.eggs.as_ref().map(|eggs| eggs.as_slice()), &mut variables);
    variables
        .into_iter()
        .map(|(name, value)| {
            let mut variable = name.into_vec();
            variable.push(b'=');
            variable.extend(value.as_bytes());
            CString::new(variable)
        })
        .collect()
}

fn set(variables: &mut Vec<(OsString, OsString)>, name: &str, value: &OsStr) {
    variables.retain(|(known, _)| known != name);
    variables.push((name.into(), value.to_owned()));
}

/// Whether this process, which is the group's user, can execute the interpreter and read the host.
///
/// # Errors
/// What is in the way.
pub(crate) fn check(settings: &GroupSettings) -> Result<(), Obstacle> {
    let user = sys::nix::unistd::getuid();
    let name = &settings.name;
    let interpreter = Path::new(OsStr::from_bytes(&settings.interpreter));
    if let Err(error) = usable(interpreter, AccessFlags::X_OK) {
        let what = format!("the interpreter of group '{name}' cannot be executed by uid {user}: {error}");
        return Err(Obstacle { code: codes::INTERPRETER, what });
    }
    let host = Path::new(OsStr::from_bytes(&settings.host));
    if let Err(error) = usable(host, AccessFlags::R_OK) {
        let what = format!("the host for group '{name}' cannot be read by uid {user}: {error}");
        return Err(Obstacle { code: codes::HOST, what });
    }
    Ok(())
}

/// access(2) for a file; the error names the directory that is in the way, if it is one.
fn usable(path: &Path, right: AccessFlags) -> Result<(), String> {
    if let Err(error) = access(path, right) {
        return Err(match closed_directory(path) {
            Some(directory) => format!("'{}': it may not enter the directory '{}'", path.display(), directory.display()),
            None => format!("'{}': {}", path.display(), error.desc()),
        });
    }
    if path.is_dir() { Err(format!("'{}': {}", path.display(), Errno::EISDIR.desc())) } else { Ok(()) }
}

/// The first directory on the way to a file, links followed, that exists and cannot be entered.
fn closed_directory(path: &Path) -> Option<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let mut directories: Vec<&Path> = path.ancestors().skip(1).filter(|directory| !directory.as_os_str().is_empty()).collect();
        directories.reverse();
        if let Some(closed) = directories.into_iter().find(|directory| access(*directory, AccessFlags::X_OK) == Err(Errno::EACCES)) {
            return Some(closed.to_owned());
        }
        let target = std::fs::read_link(&path).ok()?;
        path = path.parent()?.join(target);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_settings::settings;
    use wire::settings::Octets;

    fn words(strings: &[CString]) -> Vec<&str> {
        strings.iter().map(|string| string.to_str().expect("UTF-8")).collect()
    }

    #[test]
    fn python_gets_its_options_then_the_bootstrap_then_the_host() {
        let mut settings = settings();
        settings.interpreter = Octets::from(b"/venv/bin/python3".to_vec());
        settings.host = Octets::from(b"/usr/lib/host.so".to_vec());
        settings.display_name = Some(Octets::from(b"(wsgi:site)".to_vec()));
        settings.python.optimize = 2;
        settings.keeps_lock = Some(true);
        settings.python.dont_write_bytecode = true;
        settings.python.warnings = vec!["error::UserWarning".to_owned()];
        let arguments = arguments(&settings).expect("no NUL");
        let arguments = words(&arguments);
        assert_eq!(arguments[..7], ["/venv/bin/python3", "-OO", "-B", "-X", "gil=1", "-Werror::UserWarning", "-c"]);
        assert_eq!(arguments[8..], ["/usr/lib/host.so", "           "]);
    }

    #[test]
    fn a_python_that_has_no_choice_is_told_nothing_of_its_lock() {
        let options = arguments(&settings()).expect("no NUL");
        assert!(!words(&options).contains(&"-X"));
    }

    #[test]
    fn the_environment_is_httpds_with_the_groups_user_and_settings() {
        let mut settings = settings();
        settings.lang = Some(Octets::from(b"en_GB.UTF-8".to_vec()));
        settings.python.hash_seed = Some("7".to_owned());
        let account = Account { name: "app".to_owned(), home: PathBuf::from("/srv/app") };
        let base = [("PATH", "/bin"), ("USER", "root"), ("LANG", "C")].map(|(name, value)| (name.into(), value.into()));
        let environment = environment(base, &settings, Some(&account)).expect("no NUL");
        assert_eq!(words(&environment), ["PATH=/bin", "HOME=/srv/app", "USER=app", "LANG=en_GB.UTF-8", "PYTHONHASHSEED=7"]);
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        assert_eq!(usable(Path::new("/bin/sh"), AccessFlags::X_OK), Ok(()));
        assert_eq!(usable(Path::new("/no/python3"), AccessFlags::X_OK), Err("'/no/python3': No such file or directory".to_owned()));
        assert_eq!(usable(Path::new("/etc/passwd"), AccessFlags::X_OK), Err("'/etc/passwd': Permission denied".to_owned()));
        assert_eq!(usable(Path::new("/etc"), AccessFlags::X_OK), Err("'/etc': Is a directory".to_owned()));
    }
}
