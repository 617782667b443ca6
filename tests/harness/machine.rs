//! What this machine has: httpd, its modules, Pythons, the module under test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::{Mpm, place};

/// Whose module is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnderTest {
    /// The one this repository builds.
    Ours,
    /// mod_wsgi itself.
    Theirs,
}

/// Whose module is loaded, by the variable `WSGI_UNDER_TEST`.
pub(crate) fn under_test() -> UnderTest {
    match std::env::var("WSGI_UNDER_TEST").as_deref() {
        Ok("theirs") => UnderTest::Theirs,
        Ok("ours") | Err(_) => UnderTest::Ours,
        Ok(other) => panic!("WSGI_UNDER_TEST is 'ours' or 'theirs', not '{other}'"),
    }
}

/// Whether httpd starts as root here and gives up its rights to a user.
pub(crate) fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

/// Ends a test for lack of something that not every machine has, and says so beneath libtest's capture.
pub(crate) fn not_on_this_machine(what: &str) {
    use std::io::Write as _;
    let line = format!("\nskipped: {what}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("standard error is open");
}

/// The user that httpd's children are run as when it is started by root.
pub(crate) fn httpd_user() -> &'static str {
    static USER: OnceLock<&'static str> = OnceLock::new();
    USER.get_or_init(|| {
        ["www-data", "apache", "nobody"]
            .into_iter()
            .find(|name| nix::unistd::User::from_name(name).ok().flatten().is_some())
            .expect("a machine has the user 'nobody' at least")
    })
}

/// The group of [`httpd_user`].
pub(crate) fn httpd_group() -> String {
    let user = nix::unistd::User::from_name(httpd_user()).ok().flatten().expect("the user was found by name before");
    let group = nix::unistd::Group::from_gid(user.gid).ok().flatten().expect("a user's primary group has an entry");
    group.name
}

/// The numbers of [`httpd_user`] and its group.
pub(crate) fn server_ids() -> (u32, u32) {
    let user = nix::unistd::User::from_name(httpd_user()).ok().flatten().expect("the user was found by name before");
    (user.uid.as_raw(), user.gid.as_raw())
}

/// The server's executable.
pub(crate) fn httpd() -> &'static Path {
    static HTTPD: OnceLock<PathBuf> = OnceLock::new();
    HTTPD.get_or_init(|| {
        ["/usr/sbin/apache2", "/usr/sbin/httpd", "/usr/local/apache2/bin/httpd"]
            .into_iter()
            .map(PathBuf::from)
            .find(|path| path.exists())
            .expect("httpd is installed: 'make' installs the package apache2")
    })
}

/// The folder of httpd's own modules.
pub(crate) fn httpd_modules() -> &'static Path {
    static MODULES: OnceLock<PathBuf> = OnceLock::new();
    MODULES.get_or_init(|| {
        ["/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules", "/usr/local/apache2/modules"]
            .into_iter()
            .map(PathBuf::from)
            .find(|path| path.join("mod_mpm_event.so").exists())
            .expect("httpd's modules are installed where distributions put them")
    })
}

/// The MPM that the suite runs on: event, or what `WSGI_TEST_MPM` names.
pub(crate) fn usual_mpm() -> Mpm {
    match std::env::var("WSGI_TEST_MPM") {
        Ok(name) => Mpm::ALL.into_iter().find(|mpm| mpm.name() == name).unwrap_or_else(|| panic!("there is no MPM '{name}'")),
        Err(_) => Mpm::Event,
    }
}

/// The module to load as `wsgi_module`.
pub(crate) fn wsgi_module() -> &'static Path {
    module_of(under_test())
}

/// The module of one side, for who compares both in one run.
pub(crate) fn module_of(side: UnderTest) -> &'static Path {
    static OURS: OnceLock<PathBuf> = OnceLock::new();
    static THEIRS: OnceLock<PathBuf> = OnceLock::new();
    match side {
        UnderTest::Ours => OURS.get_or_init(ours),
        UnderTest::Theirs => {
            THEIRS.get_or_init(|| reference().expect("no mod_wsgi in .build/reference: 'make test-reference' puts it there"))
        }
    }
}

/// Our three files, copied to a folder that the server's user can reach: a checkout is often in a home directory that is closed to others.
fn ours() -> PathBuf {
    let built = built();
    let stage = place::shared().join("stage");
    std::fs::create_dir_all(&stage).expect("the folder shared with the server's user is ours");
    place::open_to_all(&stage);
    let files = ["mod_wsgi.so", "mod_wsgi_python.so", "mod_wsgi_supervisor"].map(str::to_owned);
    for name in files.into_iter().chain(free_threaded_hosts(&built)) {
        let from = built.join(&name);
        assert!(from.exists(), "{} does not exist: 'make build' first", from.display());
        let fresh = stage.join(format!("{name}.{}", std::process::id()));
        std::fs::copy(&from, &fresh).expect("the built file can be read and the stage written");
        std::fs::rename(&fresh, stage.join(&name)).expect("a rename within a folder");
    }
    stage.join("mod_wsgi.so")
}

/// The hosts for free-threaded Pythons in a folder, by their names.
pub(crate) fn free_threaded_hosts(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("mod_wsgi_python_") && name.ends_with("t.so")).collect()
}

/// Where `make build` leaves the three files: `release` beside the profile of this very test binary, unless `MOD_WSGI_BUILT` names a folder.
pub(crate) fn built() -> PathBuf {
    if let Some(folder) = std::env::var_os("MOD_WSGI_BUILT") {
        return folder.into();
    }
    let this = std::env::current_exe().expect("/proc is mounted");
    this.ancestors().nth(3).expect("cargo puts tests into TARGET/PROFILE/deps").join("release")
}

/// mod_wsgi's module in the virtual environment that `make test-reference` fills, or as `WSGI_REFERENCE` says.
pub(crate) fn reference() -> Option<PathBuf> {
    if let Some(module) = std::env::var_os("WSGI_REFERENCE") {
        return Some(module.into());
    }
    let lib = place::checkout().join(".build/reference/lib");
    let find = Command::new("find").arg(&lib).args(["-name", "mod_wsgi-py*.so"]).output().expect("find is on every Unix");
    let found = String::from_utf8(find.stdout).expect("the path of a checkout is text");
    found.lines().next().map(PathBuf::from)
}
