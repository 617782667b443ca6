//! Which libpython fits a Python home: looked for beside the interpreter that the home names, then where the system keeps libraries.

use std::path::{Path, PathBuf};

/// The interpreter where no home is configured: recorded when the module was built (`make PYTHON=…`).
pub(crate) const DEFAULT_INTERPRETER: &str = match option_env!("MOD_WSGI_PYTHON") {
    Some(path) => path,
    None => "/usr/bin/python3",
};

/// No library fits.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotFound {
    /// No interpreter there.
    #[error("there is no Python interpreter at '{0}'; set WSGIPythonHome to a Python installation or a virtual environment")]
    Interpreter(String),
    /// The version cannot be told from the interpreter's name.
    #[error("the version of the Python interpreter '{0}' cannot be told; its file should be named like python3.11")]
    Version(String),
    /// There is an interpreter, but no library.
    #[error(
        "no shared libpython{version} fits the interpreter '{interpreter}'; install it (Debian: apt-get install libpython{version}), or \
         use daemon mode, which needs none"
    )]
    Library {
        /// Such as `3.11`.
        version: String,
        /// The interpreter that it should fit.
        interpreter: String,
    },
}

/// A library that was found.
#[derive(Debug)]
pub(crate) struct Libpython {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The interpreter that it belongs to.
    pub(crate) interpreter: PathBuf,
    /// Such as `3.11`, or `3.14t` of a free-threaded one.
    version: String,
}

impl Libpython {
    /// Whether it is of a free-threaded Python, whose objects have another layout.
    pub(crate) fn is_free_threaded(&self) -> bool {
        self.version.ends_with('t')
    }

    /// The file name of the host that was made for it.
    pub(crate) fn host(&self) -> String {
        if self.is_free_threaded() { format!("mod_wsgi_python_{}.so", self.version) } else { "mod_wsgi_python.so".to_owned() }
    }
}

/// Whether an interpreter is a free-threaded one, as far as its name or that of what it links to tells.
pub(crate) fn is_free_threaded(interpreter: &Path) -> bool {
    base_of(interpreter).and_then(|resolved| version_at(&resolved)).is_some_and(|version| version.ends_with('t'))
}

/// Finds the library by `opens`, which tries one and says whether it could be loaded.
pub(crate) fn find(home: Option<&Path>, opens: impl Fn(&Path) -> bool) -> Result<Libpython, NotFound> {
    let interpreter = interpreter_of(home);
    let resolved = base_of(&interpreter).ok_or_else(|| NotFound::Interpreter(interpreter.display().to_string()))?;
    let version = version_at(&resolved).ok_or_else(|| NotFound::Version(resolved.display().to_string()))?;
    match candidates(&resolved, &version).into_iter().find(|candidate| opens(candidate)) {
        Some(path) => Ok(Libpython { path, interpreter: resolved, version }),
        None => Err(NotFound::Library { version, interpreter: resolved.display().to_string() }),
    }
}

/// The interpreter that a home names: `bin/python3` in it, or the home itself where that is a file.
pub(crate) fn interpreter_of(home: Option<&Path>) -> PathBuf {
    match home {
        None => PathBuf::from(DEFAULT_INTERPRETER),
        Some(home) if home.is_file() => home.to_owned(),
        Some(home) => home.join("bin/python3"),
    }
}

/// The interpreter behind links, and behind a virtual environment that holds a copy of it.
fn base_of(interpreter: &Path) -> Option<PathBuf> {
    let resolved = std::fs::canonicalize(interpreter).ok()?;
    if version_of(&resolved).is_some() {
        return Some(resolved);
    }
    let settings = std::fs::read_to_string(interpreter.parent()?.parent()?.join("pyvenv.cfg")).ok();
    let home =
        settings.as_deref().and_then(|text| text.lines().find_map(|line| line.split_once('=').filter(|(key, _)| key.trim() == "home")));
    match home {
        Some((_, folder)) => std::fs::canonicalize(Path::new(folder.trim()).join("python3")).ok(),
        None => Some(resolved),
    }
}

/// `3.11` of `python3.11`, `3.14t` of `python3.14t`.
fn version_of(interpreter: &Path) -> Option<String> {
    let version = interpreter.file_name()?.to_str()?.strip_prefix("python")?;
    let (major, minor) = version.split_once('.')?;
    let minor = minor.strip_suffix('t').unwrap_or(minor);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    (is_number(major) && is_number(minor)).then(|| version.to_owned())
}

/// The version of the interpreter at a path. A free-threaded one has two names, of which one has a `t` at its end.
fn version_at(interpreter: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let version = version_of(interpreter)?;
    let file = |path: &Path| path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
    let named = file(&interpreter.with_file_name(format!("python{version}t")));
    Some(if named.is_some() && named == file(interpreter) { version + "t" } else { version })
}

fn candidates(interpreter: &Path, version: &str) -> Vec<PathBuf> {
    let name = format!("libpython{version}.so.1.0");
    let prefix = interpreter.parent().and_then(Path::parent);
    let beside = prefix.into_iter().flat_map(|prefix| ["lib", "lib64"].map(|folder| prefix.join(folder).join(&name)));
    // Without a slash the loader looks where the system keeps its libraries.
    beside.filter(|path| path.is_file()).chain([PathBuf::from(&name)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_in_the_interpreters_name() {
        assert_eq!(version_of(Path::new("/usr/bin/python3.11")).as_deref(), Some("3.11"));
        assert_eq!(version_of(Path::new("/opt/bin/python3.14t")).as_deref(), Some("3.14t"));
        assert_eq!(version_of(Path::new("/usr/bin/python3")), None);
        assert_eq!(version_of(Path::new("/usr/bin/python3.11-config")), None);
    }

    #[test]
    fn a_free_threaded_python_has_a_host_of_its_own() {
        let host = |version: &str| {
            let library = Libpython { path: PathBuf::new(), interpreter: PathBuf::new(), version: version.to_owned() };
            library.host()
        };
        assert_eq!([host("3.11"), host("3.14t")], ["mod_wsgi_python.so", "mod_wsgi_python_3.14t.so"]);
    }

    #[test]
    fn either_name_of_a_free_threaded_python_tells() {
        let folder = tempfile::tempdir().expect("a folder");
        let (plain, threaded) = (folder.path().join("python3.14"), folder.path().join("python3.14t"));
        std::fs::write(&plain, "").expect("ours");
        assert_eq!(version_at(&plain).as_deref(), Some("3.14"));
        std::fs::write(&threaded, "").expect("ours");
        assert_eq!(version_at(&plain).as_deref(), Some("3.14"), "another installation beside it");
        std::fs::remove_file(&threaded).expect("ours");
        std::fs::hard_link(&plain, &threaded).expect("ours");
        assert_eq!((version_at(&plain).as_deref(), is_free_threaded(&plain)), (Some("3.14t"), true));
    }

    #[test]
    fn a_missing_home_is_named() {
        let error = find(Some(Path::new("/no/such/prefix")), |_| true).expect_err("nothing there");
        assert!(error.to_string().contains("/no/such/prefix/bin/python3"), "{error}");
    }
}
