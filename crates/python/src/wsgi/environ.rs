//! The environ: a new dict per request, filled from the head.
//!
//! A template holds what is the same for each request of an interpreter; names are translated once and kept, and so is what successive
//! requests have in common ([`super::recent`]). See PEP 3333, "environ Variables".

#![forbid(unsafe_code)]

use super::recent::Recent;
use super::request::Request;
use crate::python::{Attached, Exception, Object};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use wire::MOD_WSGI_VERSION;
use wire::head::{Pair, RequestHead};

/// How many names are kept, and how long they may be: clients choose the names of headers.
const NAMES: usize = 1024;
const NAME_LENGTH: usize = 64;

/// httpd's version.
type Version = (u16, u16, u16);

/// What of the environ is the same for each request of an interpreter.
pub(crate) struct Template {
    constants: Object,
    names: Mutex<HashMap<Box<[u8]>, Object, Seed>>,
    keys: Keys,
    schemes: [Object; 2],
    apache_version: Mutex<Option<(Version, Object)>>,
    recent: Mutex<Vec<Recent>>,
}

/// How many kinds of requests are remembered: clients differ in the headers that they send.
const RECENT: usize = 16;

/// What the process says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags {
    /// `wsgi.multithread`.
    pub(crate) multithread: bool,
    /// `wsgi.multiprocess`.
    pub(crate) multiprocess: bool,
    /// `wsgi.run_once`.
    pub(crate) run_once: bool,
}

macro_rules! keys {
    ($($field:ident = $name:literal;)*) => {
        /// The names of what each request has of its own.
        struct Keys { $($field: Object,)* }

        impl Keys {
            fn new(py: Attached<'_>) -> Result<Self, Exception> {
                Ok(Self { $($field: py.latin1_key($name.as_bytes())?,)* })
            }

            fn each(&self) -> impl Iterator<Item = &Object> {
                [$(&self.$field),*].into_iter()
            }
        }
    };
}
keys! {
    url_scheme = "wsgi.url_scheme";
    input = "wsgi.input";
    errors = "wsgi.errors";
    thread_id = "mod_wsgi.thread_id";
    request_start = "mod_wsgi.request_start";
    queue_start = "mod_wsgi.queue_start";
    daemon_start = "mod_wsgi.daemon_start";
    application_start = "mod_wsgi.application_start";
    apache_version = "apache.version";
    version = "mod_wsgi.version";
}

impl Template {
    /// Prepares the template in the current interpreter.
    pub(crate) fn new(py: Attached<'_>, flags: Flags, file_wrapper: &Object) -> Result<Self, Exception> {
        let (constants, keys) = (py.dict()?, Keys::new(py)?);
        // Their places are taken at once, so that a copy of the dict need not grow.
        keys.each().try_for_each(|key| constants.dict_set(py, key, &py.none()))?;
        let (major, minor, micro) = MOD_WSGI_VERSION;
        let version = py.tuple(&[&py.int(major.into())?, &py.int(minor.into())?, &py.int(micro.into())?])?;
        constants.dict_set_name(py, c"mod_wsgi.version", &version)?;
        constants.dict_set_name(py, c"wsgi.version", &py.tuple(&[&py.int(1)?, &py.int(0)?])?)?;
        constants.dict_set_name(py, c"wsgi.multithread", &py.bool(flags.multithread))?;
        constants.dict_set_name(py, c"wsgi.multiprocess", &py.bool(flags.multiprocess))?;
        constants.dict_set_name(py, c"wsgi.run_once", &py.bool(flags.run_once))?;
        constants.dict_set_name(py, c"wsgi.input_terminated", &py.bool(true))?;
        constants.dict_set_name(py, c"wsgi.file_wrapper", file_wrapper)?;
        Ok(Self {
            constants,
            names: Mutex::default(),
            keys,
            schemes: [py.text("http")?, py.text("https")?],
            apache_version: Mutex::new(None),
            recent: Mutex::default(),
        })
    }

    /// The environ of a request.
    pub(crate) fn environ(
        &self,
        py: Attached<'_>,
        request: &Request,
        head: &RequestHead<'_>,
        input: &Object,
        errors: &Object,
        application_start: f64,
    ) -> Result<Object, Exception> {
        let environ = self.text(py, head)?;
        let keys = &self.keys;
        let daemon_start = if head.queue_start == 0 { 0.0 } else { seconds(request.begun) };
        environ.dict_set(py, &keys.url_scheme, &self.schemes[usize::from(head.https)])?;
        environ.dict_set(py, &keys.input, input)?;
        environ.dict_set(py, &keys.errors, errors)?;
        environ.dict_set(py, &keys.thread_id, &py.int(request.thread.into())?)?;
        environ.dict_set(py, &keys.request_start, &py.float(seconds(head.request_start))?)?;
        environ.dict_set(py, &keys.queue_start, &py.float(seconds(head.queue_start))?)?;
        environ.dict_set(py, &keys.daemon_start, &py.float(daemon_start)?)?;
        environ.dict_set(py, &keys.application_start, &py.float(application_start)?)?;
        environ.dict_set(py, &keys.apache_version, &self.apache_version(py, head.apache_version)?)?;
        Ok(environ)
    }

    /// The constants, and what the head tells of the request.
    fn text(&self, py: Attached<'_>, head: &RequestHead<'_>) -> Result<Object, Exception> {
        let taken = {
            let mut recent = self.recent.lock();
            let position = recent.iter().rposition(|recent| recent.resembles(head));
            position.map(|position| recent.remove(position))
        };
        let recent = match taken {
            Some(recent) => recent,
            None => {
                let common = self.constants.dict_copy(py)?;
                let keys = self.fill(py, &common, head)?;
                Recent::new(head, keys, common)
            }
        };
        let environ = recent.environ(py, head)?;
        let _oldest = {
            let mut known = self.recent.lock();
            if recent.is_small() {
                known.push(recent);
            }
            if known.len() > RECENT { Some(known.remove(0)) } else { None }
        };
        Ok(environ)
    }

    /// Puts what the head tells of the request into an environ, and gives the keys.
    pub(crate) fn fill(&self, py: Attached<'_>, environ: &Object, head: &RequestHead<'_>) -> Result<Vec<Object>, Exception> {
        let set = |pair: &Pair<'_>| {
            let key = self.key(py, pair.name)?;
            environ.dict_set(py, &key, &value(py, pair)?)?;
            Ok(key)
        };
        head.environ.iter().map(set).collect()
    }

    /// A name as a key of dicts and of attributes. It is kept for the next request.
    pub(crate) fn key(&self, py: Attached<'_>, name: &[u8]) -> Result<Object, Exception> {
        if let Some(key) = self.names.lock().get(name) {
            return Ok(key.clone_ref(py));
        }
        // Python is not called under the lock, for which others wait in the interpreter.
        let key = py.latin1_key(name)?;
        let mut names = self.names.lock();
        if names.len() < NAMES && name.len() <= NAME_LENGTH {
            names.entry(name.into()).or_insert_with(|| key.clone_ref(py));
        }
        Ok(key)
    }

    /// Puts `mod_wsgi.version` and `apache.version` into an environ.
    pub(crate) fn versions(&self, py: Attached<'_>, environ: &Object, head: &RequestHead<'_>) -> Result<(), Exception> {
        let keys = &self.keys;
        if let Some(version) = self.constants.dict_get(py, &keys.version)? {
            environ.dict_set(py, &keys.version, &version)?;
        }
        environ.dict_set(py, &keys.apache_version, &self.apache_version(py, head.apache_version)?)
    }

    fn apache_version(&self, py: Attached<'_>, version: Version) -> Result<Object, Exception> {
        if let Some((known, object)) = &*self.apache_version.lock()
            && *known == version
        {
            return Ok(object.clone_ref(py));
        }
        let (major, minor, patch) = version;
        let object = py.tuple(&[&py.int(major.into())?, &py.int(minor.into())?, &py.int(patch.into())?])?;
        // All httpd children that a worker meets have the same version but around an upgrade. The old object is dropped after the lock.
        let _old = self.apache_version.lock().replace((version, object.clone_ref(py)));
        Ok(object)
    }
}

/// The value of a pair: names of files are text as the file system has it, all else is latin-1.
pub(super) fn value(py: Attached<'_>, pair: &Pair<'_>) -> Result<Object, Exception> {
    match pair.name {
        b"DOCUMENT_ROOT" | b"SCRIPT_FILENAME" => py.file_name(pair.value).or_else(|_| py.latin1(pair.value)),
        _ => py.latin1(pair.value),
    }
}

/// Microseconds as Python counts time.
pub(crate) fn seconds(microseconds: u64) -> f64 {
    std::time::Duration::from_micros(microseconds).as_secs_f64()
}

/// Makes hashers for short names: one multiplication per eight octets, from a start that clients cannot know.
#[derive(Clone)]
struct Seed(u64);

impl Default for Seed {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0))
    }
}

impl BuildHasher for Seed {
    type Hasher = NameHasher;

    fn build_hasher(&self) -> NameHasher {
        NameHasher(self.0)
    }
}

struct NameHasher(u64);

impl Hasher for NameHasher {
    fn write(&mut self, octets: &[u8]) {
        for chunk in octets.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            let product = u128::from(self.0 ^ u64::from_le_bytes(word)) * 0x9e37_79b9_7f4a_7c15;
            self.0 = (product >> 64) as u64 ^ product as u64;
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
