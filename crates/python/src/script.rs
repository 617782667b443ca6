//! The scripts of an application group: loaded once, loaded again when their file has changed.
//!
//! A script is a module named after the MD5 sum of its path, as in mod_wsgi. One lock per interpreter and script covers its loading. It
//! is taken in no interpreter and held while the script is executed, so a slow import makes only those wait who want this script.

#![forbid(unsafe_code)]

use crate::group::Group;
use crate::host::{LogSink, ReloadPolicy};
use crate::module::State;
use crate::python::{Attached, Exception, Object, attach};
use crate::report::with_reader;
use crate::wsgi::request::Request;
use md5::{Digest, Md5};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use wire::codes;
use wire::log::Level;

/// The scripts of an application group.
#[derive(Default)]
pub(crate) struct Scripts(Mutex<HashMap<Vec<u8>, Arc<Script>>>);

/// A script of an application group.
pub(crate) struct Script {
    path: Vec<u8>,
    module_name: String,
    loading: Mutex<()>,
    module: Mutex<Option<Object>>,
    modified: AtomicI64,
}

/// Stands for the modification time of a script that is not loaded.
const NOT_LOADED: i64 = i64::MIN;

/// A script could not be loaded; the log has the reason.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScriptError {
    /// It could not be read.
    #[error("cannot read '{0}': {1}")]
    Unreadable(String, std::io::Error),
    /// It could not be compiled or executed: the type and text of the exception, and the modification time of what it was.
    #[error("cannot load '{0}': {1}")]
    Exception(String, String, i64),
    /// Python is being stopped.
    #[error("cannot load '{0}': Python is being stopped")]
    Stopped(String),
}

impl ScriptError {
    /// The modification time of what could not be loaded, if it could be read.
    pub(crate) fn modified(&self) -> Option<i64> {
        match self {
            Self::Exception(_, _, modified) => Some(*modified),
            Self::Unreadable(..) | Self::Stopped(_) => None,
        }
    }
}

impl Scripts {
    /// The script with a path, known from now on.
    pub(crate) fn get(&self, path: &[u8], fold_case: bool) -> Arc<Script> {
        let mut scripts = self.0.lock();
        if let Some(script) = scripts.get(path) {
            return Arc::clone(script);
        }
        let script = Arc::new(Script::new(path, fold_case));
        scripts.insert(path.to_vec(), Arc::clone(&script));
        script
    }
}

impl Script {
    fn new(path: &[u8], fold_case: bool) -> Self {
        Self {
            path: path.to_vec(),
            module_name: module_name(path, fold_case),
            loading: Mutex::new(()),
            module: Mutex::new(None),
            modified: AtomicI64::new(NOT_LOADED),
        }
    }

    /// Its module, if it is loaded.
    pub(crate) fn module(&self, py: Attached<'_>) -> Option<Object> {
        self.module.lock().as_ref().map(|module| module.clone_ref(py))
    }

    /// The modification time it had when it was loaded.
    pub(crate) fn modified(&self) -> i64 {
        self.modified.load(SeqCst)
    }

    /// The modification time on disk, if it is loaded and differs from that at its load.
    pub(crate) fn changed(&self) -> Option<i64> {
        let loaded = self.modified.load(SeqCst);
        let now = modified(Path::new(OsStr::from_bytes(&self.path)))?;
        (loaded != NOT_LOADED && now != loaded).then_some(now)
    }

    /// Loads it if that is needed; `reloading` says whether changes matter, `seen` the modification time that httpd saw just now. The
    /// calling thread is in no interpreter. Gives the modification time if this call has loaded it.
    pub(crate) fn ensure(&self, group: &Group, policy: &ReloadPolicy, reloading: bool, seen: i64) -> Result<Option<i64>, ScriptError> {
        self.ensure_telling(&group.state.sink, group, policy, reloading, seen)
    }

    /// The same, where a failure outside of requests is told to somebody else than the group's log.
    pub(crate) fn ensure_telling(
        &self,
        sink: &Arc<dyn LogSink>,
        group: &Group,
        policy: &ReloadPolicy,
        reloading: bool,
        seen: i64,
    ) -> Result<Option<i64>, ScriptError> {
        // What httpd has seen needs no look at the disk, unless it is a change.
        if !self.needs_load(policy, reloading && seen != self.modified()) {
            return Ok(None);
        }
        let _loading = self.loading.lock();
        // Whoever held the lock may have done it.
        let reload = self.modified.load(SeqCst) != NOT_LOADED;
        if reload && self.changed().is_none() {
            return Ok(None);
        }
        self.load(sink, group, reload).map(Some)
    }

    /// Whether it is loaded and has changed since, which is reported; `seen` is the modification time that httpd saw just now.
    pub(crate) fn is_outdated(&self, policy: &ReloadPolicy, seen: i64) -> bool {
        let loaded = self.modified();
        loaded != NOT_LOADED && seen != loaded && self.changed().is_some() && !self.needs_load(policy, true)
    }

    /// Whether its module, if it is loaded, wants to be loaded again before a request for `resource`: `reload_required(path)` of a
    /// handler script. An exception is logged, and means no.
    pub(crate) fn asks_for_reload(&self, py: Attached<'_>, state: &State, resource: &[u8]) -> bool {
        let Some(module) = self.module(py) else { return false };
        let asked = (|| match module.optional_attr(py, &py.text("reload_required")?)? {
            Some(question) => question.call(py, &[&py.file_name(resource)?])?.is_true(py),
            None => Ok(false),
        })();
        asked.unwrap_or_else(|exception: Exception| {
            with_reader(&state.sink, |reader| reader.exception(py, &String::from_utf8_lossy(&self.path), &state.place, &exception));
            false
        })
    }

    /// Lets the next request load it; those under way keep the module that they have.
    pub(crate) fn forget(&self, _py: Attached<'_>) {
        let old = self.module.lock().take();
        self.modified.store(NOT_LOADED, SeqCst);
        drop(old);
    }

    fn needs_load(&self, policy: &ReloadPolicy, reloading: bool) -> bool {
        if self.modified.load(SeqCst) == NOT_LOADED {
            return true;
        }
        match (reloading.then(|| self.changed()).flatten(), policy) {
            (None, _) => false,
            (Some(_), ReloadPolicy::InPlace) => true,
            (Some(modified), ReloadPolicy::Report { changed, .. }) => {
                changed(&self.path, modified);
                false
            }
        }
    }

    fn load(&self, sink: &Arc<dyn LogSink>, group: &Group, reload: bool) -> Result<i64, ScriptError> {
        let path = String::from_utf8_lossy(&self.path);
        let place = &group.state.place;
        let doing = if reload { "Reloading" } else { "Loading" };
        let said = format!("{doing} WSGI script '{path}' into {place}.");
        // It stands where what the script says while it is loaded does: with the request that needs it, if there is one.
        match Request::current() {
            Some(request) => request.log_outside(Level::Info, &said),
            None => group.state.sink.log(Level::Info, &said),
        }
        let source = read(Path::new(OsStr::from_bytes(&self.path)));
        let loaded = attach(&group.interpreter, |py| {
            // A failed load leaves nothing behind, of the old module neither; and one that is still there would be executed over.
            self.forget(py);
            let removed = py.text(&self.module_name).and_then(|name| py.modules().dict_remove(py, &name));
            let (source, modified) = source.map_err(|error| {
                with_reader(sink, |reader| {
                    let code = if is_request() { codes::SCRIPT_UNREADABLE } else { codes::IMPORT_UNREADABLE };
                    reader.message(py, code, &format!("cannot read WSGI script '{path}' for {place}: {error}"));
                });
                ScriptError::Unreadable(path.to_string(), error)
            })?;
            let module = removed.map_err(Failure::Execute).and_then(|()| self.execute(py, &source, modified)).map_err(|failure| {
                let (code, exception) = failure.into_parts(py);
                let ends = group.state.may_exit && exception.is_system_exit(py);
                with_reader(sink, |reader| {
                    if ends {
                        return;
                    }
                    reader.message(py, code, &format!("cannot load WSGI script '{path}' for {place}"));
                    if exception.is_system_exit(py) {
                        reader.traceback(py, &exception.report(py));
                    } else {
                        reader.exception(py, &path, place, &exception);
                    }
                });
                let report = exception.report(py);
                ScriptError::Exception(path.to_string(), format!("{}: {}", report.type_name, report.text), modified)
            })?;
            *self.module.lock() = Some(module);
            self.modified.store(modified, SeqCst);
            Ok(modified)
        });
        loaded.unwrap_or_else(|| Err(ScriptError::Stopped(path.to_string())))
    }

    fn execute(&self, py: Attached<'_>, source: &[u8], modified: i64) -> Result<Object, Failure> {
        let compiled = (|| {
            let file = py.file_name(&self.path)?;
            Ok((py.text(&self.module_name)?, py.compile(&py.bytes(source)?, &file)?, file))
        })();
        let (name, code, file) = compiled.map_err(Failure::Compile)?;
        let loaded = (|| {
            let module = py.execute_module(&name, &code, &file)?;
            module.set_attr(py, c"__mtime__", &py.int(modified)?)?;
            Ok(module)
        })();
        loaded.map_err(Failure::Execute)
    }
}

/// Where a load has failed.
enum Failure {
    Compile(Exception),
    Execute(Exception),
}

impl Failure {
    fn into_parts(self, py: Attached<'_>) -> (codes::Code, Exception) {
        let request = is_request();
        match self {
            Self::Compile(exception) => (if request { codes::SCRIPT_UNREADABLE } else { codes::IMPORT_UNREADABLE }, exception),
            Self::Execute(exception) if exception.is_system_exit(py) => {
                (if request { codes::SCRIPT_EXIT } else { codes::IMPORT_EXIT }, exception)
            }
            Self::Execute(exception) => (if request { codes::SCRIPT_FAILED } else { codes::IMPORT_FAILED }, exception),
        }
    }
}

fn is_request() -> bool {
    Request::current().is_some()
}

/// The module name of a script.
fn module_name(path: &[u8], fold_case: bool) -> String {
    let sum = if fold_case { Md5::digest(path.to_ascii_lowercase()) } else { Md5::digest(path) };
    sum.iter().fold(String::from("_mod_wsgi_"), |name, octet| format!("{name}{octet:02x}"))
}

/// The contents of a file, and the modification time that it had before they were read.
fn read(path: &Path) -> std::io::Result<(Vec<u8>, i64)> {
    let mut file = std::fs::File::open(path)?;
    let modified = microseconds(&file.metadata()?);
    let mut source = Vec::new();
    file.read_to_end(&mut source)?;
    Ok((source, modified))
}

/// The modification time of a file in microseconds since the epoch.
fn modified(path: &Path) -> Option<i64> {
    std::fs::metadata(path).ok().map(|metadata| microseconds(&metadata))
}

fn microseconds(metadata: &std::fs::Metadata) -> i64 {
    metadata.mtime().saturating_mul(1_000_000).saturating_add(metadata.mtime_nsec() / 1000)
}
