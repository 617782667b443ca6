//! Pythons for tests: virtual environments with packages from PyPI, and other versions of Python that the machine may have.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use super::place;

/// The interpreter that the tests are about when nothing else is said.
const DEFAULT: &str = "/usr/bin/python3";

/// The interpreter that everything runs on unless a test says otherwise: `WSGI_TEST_PYTHON` names another one (`make matrix`).
pub(crate) fn usual() -> &'static Path {
    static USUAL: OnceLock<PathBuf> = OnceLock::new();
    USUAL.get_or_init(|| chosen().map_or_else(|| DEFAULT.into(), Path::to_owned))
}

/// What `WSGI_TEST_PYTHON` names, where the server's user can run it: for `WSGIPythonHome`.
pub(crate) fn chosen() -> Option<&'static Path> {
    static CHOSEN: OnceLock<Option<PathBuf>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let python = PathBuf::from(std::env::var_os("WSGI_TEST_PYTHON")?);
        let version = version(&python).unwrap_or_else(|| panic!("WSGI_TEST_PYTHON={} cannot be run", python.display()));
        let prefix = python.parent().and_then(Path::parent).expect("an interpreter lies in PREFIX/bin");
        Some(reachable(prefix, &version).join("bin").join(format!("python{version}")))
    });
    chosen.as_deref()
}

/// Whether the usual interpreter is a free-threaded one, for which not everything on PyPI has been built, nor can be.
pub(crate) fn is_free_threaded() -> bool {
    version(usual()).is_some_and(|version| version.ends_with('t'))
}

/// Whether Mercurial is on PyPI for the usual interpreter without a compiler.
pub(crate) fn has_mercurial() -> bool {
    let minor = version(usual()).and_then(|version| version.strip_prefix("3.")?.parse::<u32>().ok());
    minor.is_some_and(|minor| minor < 15)
}

/// Whether the whole suite runs without the lock of a free-threaded Python: ends a test that is about the lock, or about what only
/// Python with its lock can tell.
pub(crate) fn runs_without_lock() -> bool {
    let without = std::env::var_os("WSGI_TEST_FREE_THREADING").is_some();
    if without {
        super::not_on_this_machine("Python has no lock");
    }
    without
}

/// A virtual environment with these packages, made once and kept for later runs, where the server's user can reach it.
pub(crate) fn venv(name: &str, packages: &[&str]) -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    // Tests that share one wait for the first of them; a failure there is a failure here.
    let _alone = MAKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let version = version(usual()).expect("the interpreter can be run");
    let home = place::shared().join("venvs").join(version).join(name);
    let stamp = home.join("packages.txt");
    let wanted = packages.join(" ");
    if std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return home;
    }
    drop(std::fs::remove_dir_all(&home));
    run(Command::new(usual()).args(["-m", "venv"]).arg(&home));
    if !packages.is_empty() {
        run(Command::new(home.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
            .args(packages));
    }
    std::fs::write(stamp, wanted).expect("the folder is ours");
    home
}

/// Runs a command to its end, with an umask under which everybody can read what it makes.
pub(crate) fn run(command: &mut Command) -> String {
    let mut sh = Command::new("sh");
    sh.args(["-c", "umask 022; exec \"$0\" \"$@\""]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => sh.env(name, value),
            None => sh.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        sh.current_dir(folder);
    }
    let output = sh.output().expect("there is a shell");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?} failed: {text}");
    text
}

/// A Python of another version than the usual one, at least 3.10, which the server's user can run: its prefix and version.
pub(crate) fn another() -> Option<(PathBuf, String)> {
    let usual = version(usual())?;
    let prefixes = installed_prefixes();
    let mut seen = HashSet::new();
    prefixes.into_iter().rev().find_map(|prefix| {
        let version = version(&prefix.join("bin/python3"))?;
        let minor: u32 = version.strip_prefix("3.")?.parse().ok()?;
        (version != usual && minor >= 10 && seen.insert(version.clone())).then(|| (reachable(&prefix, &version), version))
    })
}

/// A free-threaded Python for which a host was built, and which the server's user can run: its prefix.
pub(crate) fn free_threaded() -> Option<PathBuf> {
    let hosts = super::free_threaded_hosts(&super::built());
    let listed = Command::new(place::checkout().join("scripts/pythons")).current_dir(place::checkout()).output().ok()?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let pythons = chosen().into_iter().map(Path::to_owned).chain(listed.lines().map(PathBuf::from));
    pythons.filter(|python| python.to_string_lossy().ends_with('t')).find_map(|python| {
        let version = version(&python)?;
        let prefix = python.parent()?.parent()?;
        hosts.contains(&format!("mod_wsgi_python_{version}.so")).then(|| reachable(prefix, &version))
    })
}

/// Where Pythons are that did not come with the system, oldest first.
fn installed_prefixes() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let roots = [home.join(".pyenv/versions"), "/opt/pyenv/versions".into(), "/opt/python".into()];
    let mut prefixes: Vec<PathBuf> =
        roots.iter().filter_map(|root| std::fs::read_dir(root).ok()).flatten().flatten().map(|entry| entry.path()).collect();
    prefixes.push("/usr/local".into());
    prefixes.sort();
    prefixes
}

/// Major and minor version of an interpreter, such as "3.12", or "3.14t" of a free-threaded one.
pub(crate) fn version(python: &Path) -> Option<String> {
    let code = "import sys; print('%d.%d' % sys.version_info[:2] + getattr(sys, 'abiflags', ''))";
    let output = Command::new(python).args(["-I", "-c", code]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The prefix itself, or a copy where it lies in a folder that is closed to others, as a home directory often is.
fn reachable(prefix: &Path, version: &str) -> PathBuf {
    if !super::is_root() || place::is_open_to_all(prefix) {
        return prefix.to_owned();
    }
    let copy = place::shared().join("pythons").join(version);
    if copy.join("complete").exists() {
        return copy;
    }
    std::fs::create_dir_all(&copy).expect("the shared folder is ours");
    run(Command::new("sh").args([
        "-c",
        "tar -C \"$0\" --exclude=test --exclude=__pycache__ --exclude='*.a' -cf - bin lib | tar -C \"$1\" -xf -",
        &prefix.to_string_lossy(),
        &copy.to_string_lossy(),
    ]));
    relocate(&copy.join(format!("bin/python{version}")), prefix);
    std::fs::write(copy.join("complete"), "").expect("the folder is ours");
    copy
}

/// Lets a copied executable find the shared library beside it instead of where it was built.
fn relocate(executable: &Path, prefix: &Path) {
    let old = format!("{}/lib\0", prefix.display()).into_bytes();
    let mut new = b"$ORIGIN/../lib".to_vec();
    let mut octets = std::fs::read(executable).expect("the copy is there");
    assert!(new.len() < old.len(), "the place of {} is too short to be replaced", prefix.display());
    new.resize(old.len(), 0);
    // One that is linked statically names no such folder, and needs none.
    if let Some(at) = octets.windows(old.len()).position(|window| window == old) {
        octets[at..at + old.len()].copy_from_slice(&new);
        std::fs::write(executable, octets).expect("the copy is ours");
    }
}
