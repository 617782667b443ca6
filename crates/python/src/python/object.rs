//! An owned reference to a Python object, and what we do with objects.

use super::Attached;
use super::error::Exception;
use super::ffi;
use std::ffi::{CStr, c_char};
use std::fs::File;
use std::mem::ManuallyDrop;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};

/// A reference that we own.
///
/// # Invariants
///
/// The object is live. It is used, cloned and dropped only by a thread that has entered the object's interpreter: each method wants
/// an [`Attached`] token, and whoever keeps an `Object` drops it inside `attach` (debug builds check that the thread is inside some
/// interpreter).
#[repr(transparent)]
pub(crate) struct Object(NonNull<ffi::PyObject>);

// SAFETY: by its invariant a reference is only used by a thread that has entered its interpreter, whichever that is; there CPython
// counts references, under its lock or without one.
unsafe impl Send for Object {}
// SAFETY: as above.
unsafe impl Sync for Object {}

impl Drop for Object {
    fn drop(&mut self) {
        debug_assert!(ffi::is_attached(), "a Python object is dropped by a thread that is in no interpreter");
        // SAFETY: we own the reference, and by the invariant we are inside its interpreter.
        unsafe { ffi::Py_DECREF(self.0.as_ptr()) };
    }
}

/// Conversions from and to CPython's pointers, for the siblings.
impl Object {
    /// Takes a new reference that CPython returned; null is the exception it has set.
    ///
    /// # Safety
    ///
    /// `raw` is null or a reference that nobody else gives back.
    pub(super) unsafe fn from_new(py: Attached<'_>, raw: *mut ffi::PyObject) -> Result<Self, Exception> {
        // INVARIANT: the reference is ours now.
        NonNull::new(raw).map(Self).ok_or_else(|| Exception::fetch(py))
    }

    /// Takes a reference of our own to an object that somebody else holds.
    ///
    /// # Safety
    ///
    /// `raw` is null or a live object.
    pub(super) unsafe fn from_borrowed(_py: Attached<'_>, raw: *mut ffi::PyObject) -> Option<Self> {
        let raw = NonNull::new(raw)?;
        // SAFETY: the object is live, and we are inside its interpreter.
        unsafe { ffi::Py_INCREF(raw.as_ptr()) };
        // INVARIANT: the count was increased for us.
        Some(Self(raw))
    }

    /// Views a pointer that somebody else holds as an object, for the time of that hold.
    ///
    /// # Safety
    ///
    /// `raw` is a live object for as long as it is borrowed.
    pub(super) unsafe fn view(raw: &*mut ffi::PyObject) -> &Self {
        // SAFETY: Object is a transparent wrapper of a pointer that is not null.
        unsafe { &*ptr::from_ref(raw).cast::<Self>() }
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::PyObject {
        self.0.as_ptr()
    }

    /// Gives the reference away.
    pub(super) fn into_ptr(self) -> *mut ffi::PyObject {
        ManuallyDrop::new(self).0.as_ptr()
    }
}

/// What every object can do.
impl Object {
    /// Another reference to the same object.
    pub(crate) fn clone_ref(&self, _py: Attached<'_>) -> Self {
        // SAFETY: the object is live, and we are inside its interpreter.
        unsafe { ffi::Py_INCREF(self.as_ptr()) };
        // INVARIANT: the count was increased for us.
        Self(self.0)
    }

    /// Whether both are the same object.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// Whether this is `None`.
    pub(crate) fn is_none(&self) -> bool {
        // SAFETY: Py_None gives the address of the singleton.
        self.as_ptr() == unsafe { ffi::Py_None() }
    }

    /// Whether this is an instance of `class`, a type.
    pub(crate) fn is_instance(&self, _py: Attached<'_>, class: &Self) -> bool {
        // SAFETY: both are live, and `class` is a type: its callers pass types only.
        unsafe { ffi::PyObject_TypeCheck(self.as_ptr(), class.as_ptr().cast()) != 0 }
    }

    /// The name of its type, without a module.
    pub(crate) fn type_name(&self, py: Attached<'_>) -> String {
        // SAFETY: a live object has a type, which it keeps alive.
        let class = unsafe { Self::from_borrowed(py, ffi::Py_TYPE(self.as_ptr()).cast()) };
        let name = class.and_then(|class| class.attr(py, c"__name__").ok());
        name.map_or_else(|| String::from("object"), |name| name.to_text(py))
    }

    /// The attribute `name`.
    pub(crate) fn attr(&self, py: Attached<'_>, name: &CStr) -> Result<Self, Exception> {
        // SAFETY: both pointers are live for the call, and a new reference comes back.
        unsafe { Self::from_new(py, ffi::PyObject_GetAttrString(self.as_ptr(), name.as_ptr())) }
    }

    /// The attribute whose name is a Python string.
    pub(crate) fn attr_object(&self, py: Attached<'_>, name: &Self) -> Result<Self, Exception> {
        // SAFETY: both are live, and a new reference comes back.
        unsafe { Self::from_new(py, ffi::PyObject_GetAttr(self.as_ptr(), name.as_ptr())) }
    }

    /// The attribute `name`, or `None` where there is none.
    pub(crate) fn optional_attr(&self, py: Attached<'_>, name: &Self) -> Result<Option<Self>, Exception> {
        match self.attr_object(py, name) {
            Ok(value) => Ok(Some(value)),
            Err(exception) if exception.is_attribute_error(py) => Ok(None),
            Err(exception) => Err(exception),
        }
    }

    /// Sets the attribute `name`.
    pub(crate) fn set_attr(&self, py: Attached<'_>, name: &CStr, value: &Self) -> Result<(), Exception> {
        // SAFETY: all pointers are live for the call.
        done(py, unsafe { ffi::PyObject_SetAttrString(self.as_ptr(), name.as_ptr(), value.as_ptr()) })
    }

    /// Calls it with positional arguments.
    pub(crate) fn call(&self, py: Attached<'_>, arguments: &[&Self]) -> Result<Self, Exception> {
        let null = ptr::null_mut::<ffi::PyObject>();
        // SAFETY: all objects are live for the call, each list of variable arguments ends with null, a new reference comes back.
        unsafe {
            let result = match arguments {
                [] => ffi::PyObject_CallFunctionObjArgs(self.as_ptr(), null),
                [a] => ffi::PyObject_CallFunctionObjArgs(self.as_ptr(), a.as_ptr(), null),
                [a, b] => ffi::PyObject_CallFunctionObjArgs(self.as_ptr(), a.as_ptr(), b.as_ptr(), null),
                more => ffi::PyObject_Call(self.as_ptr(), py.tuple(more)?.as_ptr(), null),
            };
            Self::from_new(py, result)
        }
    }

    /// Calls it with positional and keyword arguments; `keywords` is a dict.
    pub(crate) fn call_with(&self, py: Attached<'_>, arguments: &[&Self], keywords: &Self) -> Result<Self, Exception> {
        let arguments = py.tuple(arguments)?;
        // SAFETY: all objects are live, and are a tuple and a dict as PyObject_Call wants.
        unsafe { Self::from_new(py, ffi::PyObject_Call(self.as_ptr(), arguments.as_ptr(), keywords.as_ptr())) }
    }

    /// Calls its method `name` with positional arguments.
    pub(crate) fn call_method(&self, py: Attached<'_>, name: &CStr, arguments: &[&Self]) -> Result<Self, Exception> {
        self.attr(py, name)?.call(py, arguments)
    }

    /// Its truth.
    pub(crate) fn is_true(&self, py: Attached<'_>) -> Result<bool, Exception> {
        // SAFETY: the object is live.
        let truth = unsafe { ffi::PyObject_IsTrue(self.as_ptr()) };
        if truth < 0 { Err(Exception::fetch(py)) } else { Ok(truth != 0) }
    }

    /// An iterator over it.
    pub(crate) fn iter(&self, py: Attached<'_>) -> Result<Self, Exception> {
        // SAFETY: the object is live, and a new reference comes back.
        unsafe { Self::from_new(py, ffi::PyObject_GetIter(self.as_ptr())) }
    }

    /// The next item of an iterator; `None` at its end.
    pub(crate) fn next(&self, py: Attached<'_>) -> Result<Option<Self>, Exception> {
        // SAFETY: the object is live and an iterator, which PyIter_Next relies on: it comes from `iter`.
        match NonNull::new(unsafe { ffi::PyIter_Next(self.as_ptr()) }) {
            Some(item) => Ok(Some(Self(item))),
            None => Exception::take(py).map_or(Ok(None), Err),
        }
    }

    /// The file of a file-like object or of an integer, as a descriptor of our own: the object may close its own at any time.
    pub(crate) fn duplicate_file(&self, py: Attached<'_>) -> Result<File, Exception> {
        // SAFETY: the object is live.
        let descriptor = unsafe { ffi::PyObject_AsFileDescriptor(self.as_ptr()) };
        if descriptor < 0 {
            return Err(Exception::fetch(py));
        }
        // SAFETY: the descriptor is borrowed for one system call only, which says so if it is closed.
        let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
        let duplicate = descriptor.try_clone_to_owned().map_err(|error| Exception::os_error(py, &error.to_string()))?;
        Ok(File::from(duplicate))
    }
}

/// Numbers, strings and octets.
impl Object {
    /// Its value, if it is an `int` that fits.
    pub(crate) fn to_i64(&self, py: Attached<'_>) -> Result<i64, Exception> {
        // SAFETY: the object is live.
        let value = unsafe { ffi::PyLong_AsLongLong(self.as_ptr()) };
        if value == -1 { Exception::take(py).map_or(Ok(value), Err) } else { Ok(value) }
    }

    /// Whether it is a `str`, or a subclass of it.
    pub(crate) fn is_str(&self) -> bool {
        // SAFETY: the object is live.
        unsafe { ffi::PyUnicode_Check(self.as_ptr()) != 0 }
    }

    /// Whether it is a `dict`, or a subclass of it.
    pub(crate) fn is_dict(&self) -> bool {
        // SAFETY: the object is live.
        unsafe { ffi::PyDict_Check(self.as_ptr()) != 0 }
    }

    /// Its octets, if it is `bytes` or a subclass of it.
    pub(crate) fn as_bytes(&self) -> Option<&[u8]> {
        // SAFETY: the object is live; a bytes object never changes, and lives as long as our reference, which is lent.
        unsafe {
            if ffi::PyBytes_Check(self.as_ptr()) == 0 {
                return None;
            }
            let data = ffi::PyBytes_AsString(self.as_ptr()).cast::<u8>();
            let length = usize::try_from(ffi::PyBytes_Size(self.as_ptr())).ok()?;
            Some(std::slice::from_raw_parts(data, length))
        }
    }

    /// The characters of a `str` that is ASCII, without a copy.
    pub(crate) fn as_ascii(&self, _py: Attached<'_>) -> Option<&[u8]> {
        if !self.is_str() {
            return None;
        }
        let mut length = 0;
        // SAFETY: the object is a str, which never changes and keeps its octets as long as it lives; our reference is lent.
        let octets = unsafe {
            let data = ffi::PyUnicode_AsUTF8AndSize(self.as_ptr(), &raw mut length);
            if data.is_null() {
                ffi::PyErr_Clear();
                return None;
            }
            std::slice::from_raw_parts(data.cast::<u8>(), usize::try_from(length).ok()?)
        };
        octets.is_ascii().then_some(octets)
    }

    /// A `str` as a bytes object in latin-1; anything that does not fit is a `UnicodeEncodeError`.
    pub(crate) fn to_latin1(&self, py: Attached<'_>) -> Result<Self, Exception> {
        // SAFETY: the object is live, and a new reference comes back.
        unsafe { Self::from_new(py, ffi::PyUnicode_AsLatin1String(self.as_ptr())) }
    }

    /// A `str` as a bytes object in UTF-8; a lone surrogate is a `UnicodeEncodeError`.
    pub(crate) fn to_utf8(&self, py: Attached<'_>) -> Result<Self, Exception> {
        // SAFETY: the object is live, and a new reference comes back.
        unsafe { Self::from_new(py, ffi::PyUnicode_AsUTF8String(self.as_ptr())) }
    }

    /// The bytes of a bytes-like object.
    pub(crate) fn to_bytes(&self, py: Attached<'_>) -> Result<Self, Exception> {
        // SAFETY: the object is live, and a new reference comes back.
        unsafe { Self::from_new(py, ffi::PyBytes_FromObject(self.as_ptr())) }
    }

    /// A `str` as text, with escapes where UTF-8 has no octets; the `str()` of anything else.
    pub(crate) fn to_text(&self, py: Attached<'_>) -> String {
        // SAFETY: all pointers are live for the call, and each function returns a new reference or null.
        let octets = unsafe {
            Self::from_new(py, ffi::PyObject_Str(self.as_ptr())).and_then(|text| {
                Self::from_new(py, ffi::PyUnicode_AsEncodedString(text.as_ptr(), c"utf-8".as_ptr(), c"backslashreplace".as_ptr()))
            })
        };
        match octets {
            Ok(octets) => String::from_utf8_lossy(octets.as_bytes().unwrap_or_default()).into_owned(),
            Err(_) => String::from("<unprintable object>"),
        }
    }
}

/// Containers.
impl Object {
    /// Sets an item of a dict.
    pub(crate) fn dict_set(&self, py: Attached<'_>, key: &Self, value: &Self) -> Result<(), Exception> {
        // SAFETY: all are live; CPython checks that this is a dict.
        done(py, unsafe { ffi::PyDict_SetItem(self.as_ptr(), key.as_ptr(), value.as_ptr()) })
    }

    /// Sets an item of a dict by a name.
    pub(crate) fn dict_set_name(&self, py: Attached<'_>, key: &CStr, value: &Self) -> Result<(), Exception> {
        // SAFETY: all are live; CPython checks that this is a dict.
        done(py, unsafe { ffi::PyDict_SetItemString(self.as_ptr(), key.as_ptr(), value.as_ptr()) })
    }

    /// An item of a dict.
    pub(crate) fn dict_get(&self, py: Attached<'_>, key: &Self) -> Result<Option<Self>, Exception> {
        // SAFETY: both are live, and a new reference comes back, or null with or without an exception.
        match NonNull::new(unsafe { ffi::dict_item(self.as_ptr(), key.as_ptr()) }) {
            // INVARIANT: the reference is ours now.
            Some(value) => Ok(Some(Self(value))),
            None => Exception::take(py).map_or(Ok(None), Err),
        }
    }

    /// Takes an item out of a dict, if it is there.
    pub(crate) fn dict_remove(&self, py: Attached<'_>, key: &Self) -> Result<(), Exception> {
        if self.dict_get(py, key)?.is_none() {
            return Ok(());
        }
        // SAFETY: both are live.
        match done(py, unsafe { ffi::PyDict_DelItem(self.as_ptr(), key.as_ptr()) }) {
            // Another thread may have been faster.
            Err(_) if self.dict_get(py, key)?.is_none() => Ok(()),
            done => done,
        }
    }

    /// A copy of a dict.
    pub(crate) fn dict_copy(&self, py: Attached<'_>) -> Result<Self, Exception> {
        // SAFETY: the object is live, and a new reference comes back.
        unsafe { Self::from_new(py, ffi::PyDict_Copy(self.as_ptr())) }
    }

    /// Puts the items of another dict into this one.
    pub(crate) fn dict_update(&self, py: Attached<'_>, other: &Self) -> Result<(), Exception> {
        // SAFETY: both are live.
        done(py, unsafe { ffi::PyDict_Update(self.as_ptr(), other.as_ptr()) })
    }

    /// Appends to a list.
    pub(crate) fn list_append(&self, py: Attached<'_>, item: &Self) -> Result<(), Exception> {
        // SAFETY: both are live; CPython checks that this is a list.
        done(py, unsafe { ffi::PyList_Append(self.as_ptr(), item.as_ptr()) })
    }

    /// The items of a list or tuple as they are now; `None` for anything else.
    pub(crate) fn items(&self, py: Attached<'_>) -> Option<Vec<Self>> {
        // SAFETY: the object is live and of the type that each function wants; borrowed references are taken at once, and nothing of
        // Python runs in between that could change the list: where other threads could, the items are those of a copy.
        unsafe {
            let raw = self.as_ptr();
            if ffi::PyList_Check(raw) != 0 {
                if ffi::FREE_THREADED {
                    return Self::from_new(py, ffi::PyList_AsTuple(raw)).ok()?.items(py);
                }
                return Some((0..ffi::PyList_Size(raw)).filter_map(|i| Self::from_borrowed(py, ffi::PyList_GetItem(raw, i))).collect());
            }
            if ffi::PyTuple_Check(raw) != 0 {
                return Some((0..ffi::PyTuple_Size(raw)).filter_map(|i| Self::from_borrowed(py, ffi::PyTuple_GetItem(raw, i))).collect());
            }
        }
        None
    }

    /// The items of a tuple of two.
    pub(crate) fn pair(&self, py: Attached<'_>) -> Option<(Self, Self)> {
        // SAFETY: the object is live and a tuple of two before its items are asked for; borrowed references are taken at once.
        unsafe {
            if ffi::PyTuple_Check(self.as_ptr()) == 0 || ffi::PyTuple_Size(self.as_ptr()) != 2 {
                return None;
            }
            let item = |at| Self::from_borrowed(py, ffi::PyTuple_GetItem(self.as_ptr(), at));
            Some((item(0)?, item(1)?))
        }
    }

    /// Whether it is a `list`, or a subclass of it.
    pub(crate) fn is_list(&self) -> bool {
        // SAFETY: the object is live.
        unsafe { ffi::PyList_Check(self.as_ptr()) != 0 }
    }

    /// Whether it is a `tuple`, or a subclass of it.
    pub(crate) fn is_tuple(&self) -> bool {
        // SAFETY: the object is live.
        unsafe { ffi::PyTuple_Check(self.as_ptr()) != 0 }
    }

    /// The item of exactly a `list` or a `tuple` that has no other.
    pub(crate) fn only_item(&self, py: Attached<'_>) -> Option<Self> {
        // SAFETY: the object is live; the functions are called on their own types only, and the borrowed reference is taken at once.
        unsafe {
            let raw = self.as_ptr();
            let item = if ffi::PyList_CheckExact(raw) != 0 && ffi::PyList_Size(raw) == 1 {
                if ffi::FREE_THREADED {
                    // Another thread may take it out meanwhile.
                    return self.items(py).and_then(|mut items| if items.len() == 1 { items.pop() } else { None });
                }
                ffi::PyList_GetItem(raw, 0)
            } else if ffi::PyTuple_CheckExact(raw) != 0 && ffi::PyTuple_Size(raw) == 1 {
                ffi::PyTuple_GetItem(raw, 0)
            } else {
                return None;
            };
            Self::from_borrowed(py, item)
        }
    }

    /// The length, if it is exactly a `list` or a `tuple`: iterating it then runs no code of the application's.
    pub(crate) fn plain_length(&self) -> Option<usize> {
        // SAFETY: the object is live; the functions are called on their own types only.
        let length = unsafe {
            if ffi::PyList_CheckExact(self.as_ptr()) != 0 {
                ffi::PyList_Size(self.as_ptr())
            } else if ffi::PyTuple_CheckExact(self.as_ptr()) != 0 {
                ffi::PyTuple_Size(self.as_ptr())
            } else {
                return None;
            }
        };
        usize::try_from(length).ok()
    }
}

/// New objects.
impl Attached<'_> {
    /// `None`.
    pub(crate) fn none(self) -> Object {
        // SAFETY: the singleton lives for ever.
        unsafe { Object::from_borrowed(self, ffi::Py_None()) }.expect("None is an object")
    }

    /// `True` or `False`.
    pub(crate) fn bool(self, value: bool) -> Object {
        // SAFETY: the singletons live for ever.
        unsafe { Object::from_borrowed(self, if value { ffi::Py_True() } else { ffi::Py_False() }) }.expect("a bool is an object")
    }

    /// An `int`.
    pub(crate) fn int(self, value: i64) -> Result<Object, Exception> {
        // SAFETY: a new reference comes back.
        unsafe { Object::from_new(self, ffi::PyLong_FromLongLong(value)) }
    }

    /// A `float`.
    pub(crate) fn float(self, value: f64) -> Result<Object, Exception> {
        // SAFETY: a new reference comes back.
        unsafe { Object::from_new(self, ffi::PyFloat_FromDouble(value)) }
    }

    /// A `str` of text.
    pub(crate) fn text(self, value: &str) -> Result<Object, Exception> {
        // SAFETY: the octets are live for the call, and a new reference comes back.
        unsafe { Object::from_new(self, ffi::PyUnicode_FromStringAndSize(value.as_ptr().cast(), size(value.len()))) }
    }

    /// A `str` with one character per octet.
    pub(crate) fn latin1(self, octets: &[u8]) -> Result<Object, Exception> {
        // SAFETY: the octets are live for the call, errors are the default, and a new reference comes back.
        unsafe { Object::from_new(self, ffi::PyUnicode_DecodeLatin1(octets.as_ptr().cast(), size(octets.len()), ptr::null())) }
    }

    /// The same for a key: Python keeps one `str` of its value, which dicts find without comparing characters.
    pub(crate) fn latin1_key(self, octets: &[u8]) -> Result<Object, Exception> {
        let mut raw = self.latin1(octets)?.into_ptr();
        // SAFETY: the reference is ours, and is exchanged for one to the object that is kept.
        unsafe {
            ffi::PyUnicode_InternInPlace(&raw mut raw);
            Object::from_new(self, raw)
        }
    }

    /// A `str` in the file system's encoding, undecodable octets escaped.
    pub(crate) fn file_name(self, octets: &[u8]) -> Result<Object, Exception> {
        // SAFETY: the octets are live for the call, and a new reference comes back.
        unsafe { Object::from_new(self, ffi::PyUnicode_DecodeFSDefaultAndSize(octets.as_ptr().cast(), size(octets.len()))) }
    }

    /// `bytes`.
    pub(crate) fn bytes(self, octets: &[u8]) -> Result<Object, Exception> {
        // SAFETY: the octets are live for the call and copied, and a new reference comes back.
        unsafe { Object::from_new(self, ffi::PyBytes_FromStringAndSize(octets.as_ptr().cast::<c_char>(), size(octets.len()))) }
    }

    /// A capsule without a name around an address that means something to whoever unpacks it; nothing happens to it at the end.
    pub(crate) fn capsule(self, address: NonZeroUsize) -> Result<Object, Exception> {
        // SAFETY: CPython keeps the address, which is not null, and does not follow it; a new reference comes back.
        unsafe { Object::from_new(self, ffi::PyCapsule_New(ptr::without_provenance_mut(address.get()), ptr::null(), None)) }
    }

    /// An empty `dict`.
    pub(crate) fn dict(self) -> Result<Object, Exception> {
        // SAFETY: a new reference comes back.
        unsafe { Object::from_new(self, ffi::PyDict_New()) }
    }

    /// A `list` of the items.
    pub(crate) fn list(self, items: &[&Object]) -> Result<Object, Exception> {
        // SAFETY: a new reference comes back.
        let list = unsafe { Object::from_new(self, ffi::PyList_New(0)) }?;
        items.iter().try_for_each(|item| list.list_append(self, item))?;
        Ok(list)
    }

    /// A `tuple` of the items.
    pub(crate) fn tuple(self, items: &[&Object]) -> Result<Object, Exception> {
        // SAFETY: a new reference comes back; PyTuple_SetItem fills a fresh tuple and takes a reference each.
        unsafe {
            let tuple = Object::from_new(self, ffi::PyTuple_New(size(items.len())))?;
            for (index, item) in items.iter().enumerate() {
                done(self, ffi::PyTuple_SetItem(tuple.as_ptr(), size(index), item.clone_ref(self).into_ptr()))?;
            }
            Ok(tuple)
        }
    }

    /// The module `name`, imported.
    pub(crate) fn import(self, name: &CStr) -> Result<Object, Exception> {
        // SAFETY: the name is NUL-terminated, and a new reference comes back.
        unsafe { Object::from_new(self, ffi::PyImport_ImportModule(name.as_ptr())) }
    }

    /// `sys.modules`.
    pub(crate) fn modules(self) -> Object {
        // SAFETY: a borrowed reference to the interpreter's dict comes back.
        unsafe { Object::from_borrowed(self, ffi::PyImport_GetModuleDict()) }.expect("an interpreter has sys.modules")
    }

    /// A new module object, in no `sys.modules`.
    pub(crate) fn new_module(self, name: &Object) -> Result<Object, Exception> {
        // SAFETY: the name is live, and a new reference comes back.
        unsafe { Object::from_new(self, ffi::PyModule_NewObject(name.as_ptr())) }
    }

    /// Compiles Python source, given as `str` or `bytes`, as the module `file` (a `str`).
    pub(crate) fn compile(self, source: &Object, file: &Object) -> Result<Object, Exception> {
        let mode = self.text("exec")?;
        let (flags, dont_inherit) = (self.int(0)?, self.bool(true));
        self.import(c"builtins")?.call_method(self, c"compile", &[source, file, &mode, &flags, &dont_inherit])
    }

    /// Executes compiled code as the module `name` of the file `file`, in `sys.modules`; a failure takes it out again.
    pub(crate) fn execute_module(self, name: &Object, code: &Object, file: &Object) -> Result<Object, Exception> {
        // SAFETY: all are live, `code` comes from `compile`, there is no cached file, and a new reference comes back.
        unsafe {
            let module = ffi::PyImport_ExecCodeModuleObject(name.as_ptr(), code.as_ptr(), file.as_ptr(), ptr::null_mut());
            Object::from_new(self, module)
        }
    }

    /// Executes compiled code with `globals`, a dict.
    pub(crate) fn execute(self, code: &Object, globals: &Object) -> Result<(), Exception> {
        // SAFETY: both are live, `code` comes from `compile`, and a new reference comes back.
        unsafe { Object::from_new(self, ffi::PyEval_EvalCode(code.as_ptr(), globals.as_ptr(), globals.as_ptr())) }.map(drop)
    }
}

fn size(length: usize) -> ffi::Py_ssize_t {
    ffi::Py_ssize_t::try_from(length).expect("no slice is longer than isize::MAX")
}

fn done(py: Attached<'_>, status: std::ffi::c_int) -> Result<(), Exception> {
    if status < 0 { Err(Exception::fetch(py)) } else { Ok(()) }
}
