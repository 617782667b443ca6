//! `wsgi.file_wrapper`: an iterable over a file, which the server may send without reading it.
//!
//! PEP 3333, "Optional Platform-Specific File Handling".

#![forbid(unsafe_code)]

use super::arguments;
use crate::python::{Attached, Class, Exception, Getter, GetterDef, Method, MethodDef, Object, This};
use parking_lot::Mutex;
use std::ffi::CStr;

/// `mod_wsgi.FileWrapper`.
pub(crate) struct FileWrapper(Mutex<Inner>);

struct Inner {
    file: Object,
    block_size: i64,
    closed: bool,
}

impl FileWrapper {
    /// The file, unless it is closed.
    pub(crate) fn file(&self, py: Attached<'_>) -> Option<Object> {
        let inner = self.0.lock();
        (!inner.closed).then(|| inner.file.clone_ref(py))
    }
}

impl Class for FileWrapper {
    const NAME: &'static CStr = c"mod_wsgi.FileWrapper";
    const METHODS: &'static [MethodDef] = &[MethodDef::of::<Close>(), MethodDef::END];
    const GETTERS: &'static [GetterDef] = &[GetterDef::of::<FileLike>(), GetterDef::of::<BlockSize>(), GetterDef::END];
    const ITERATOR: bool = true;
    const PUBLIC: bool = true;

    fn empty(py: Attached<'_>) -> Result<Self, Exception> {
        Ok(Self(Mutex::new(Inner { file: py.none(), block_size: 8192, closed: false })))
    }

    fn init(&self, py: Attached<'_>, arguments: &Object, keywords: Option<&Object>) -> Result<(), Exception> {
        let given = arguments.items(py).unwrap_or_default();
        arguments::count(py, "FileWrapper", &given, 0, 2)?;
        let mut given = given.into_iter();
        let (mut file, mut block_size) = (given.next(), given.next());
        for (name, place) in [("filelike", &mut file), ("blksize", &mut block_size)] {
            if let Some(value) = keywords.map_or(Ok(None), |keywords| keywords.dict_get(py, &py.text(name)?))? {
                *place = Some(value);
            }
        }
        let block_size = block_size.map_or(Ok(8192), |size| size.to_i64(py))?;
        if block_size < 0 {
            return Err(Exception::value_error(py, "blksize must not be negative"));
        }
        let mut inner = Inner { file: file.unwrap_or_else(|| py.none()), block_size, closed: false };
        // The old file may run code when it is dropped, so that happens outside of the lock.
        std::mem::swap(&mut *self.0.lock(), &mut inner);
        Ok(())
    }

    fn next(&self, py: Attached<'_>) -> Result<Option<Object>, Exception> {
        let block_size = self.0.lock().block_size;
        let file = self.file(py).ok_or_else(|| Exception::value_error(py, "I/O operation on closed file"))?;
        let block = file.call_method(py, c"read", &[&py.int(block_size)?])?;
        let empty = arguments::octets(py, &block, "file wrapper read() must return bytes")?.is_empty();
        Ok(if empty { None } else { Some(block) })
    }
}

struct Close;
impl Method for Close {
    type Class = FileWrapper;
    const NAME: &'static CStr = c"close";

    fn call(py: Attached<'_>, this: This<'_, FileWrapper>, arguments: &[Object]) -> Result<Object, Exception> {
        arguments::count(py, "close", arguments, 0, 0)?;
        let file = {
            let mut inner = this.0.lock();
            (!std::mem::replace(&mut inner.closed, true)).then(|| inner.file.clone_ref(py))
        };
        if let Some(file) = file {
            // A file that cannot be closed, or has no close(), is the application's affair.
            drop(file.call_method(py, c"close", &[]));
        }
        Ok(py.none())
    }
}

struct FileLike;
impl Getter for FileLike {
    type Class = FileWrapper;
    const NAME: &'static CStr = c"filelike";

    fn get(py: Attached<'_>, this: &FileWrapper) -> Result<Object, Exception> {
        Ok(this.0.lock().file.clone_ref(py))
    }
}

struct BlockSize;
impl Getter for BlockSize {
    type Class = FileWrapper;
    const NAME: &'static CStr = c"blksize";

    fn get(py: Attached<'_>, this: &FileWrapper) -> Result<Object, Exception> {
        py.int(this.0.lock().block_size)
    }
}
