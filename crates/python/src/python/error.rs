//! Exceptions as values.

use super::Attached;
use super::ffi;
use super::object::Object;
use std::ptr;

/// An exception instance, with its traceback, that is not set in the interpreter at the moment.
pub(crate) struct Exception(Object);

/// An exception told in text, which can leave its interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// The name of its type, such as `ValueError`.
    pub(crate) type_name: String,
    /// Its `str()`.
    pub(crate) text: String,
    /// The traceback as Python prints it, chained exceptions included, one entry per line.
    pub(crate) lines: Vec<String>,
}

macro_rules! builtin {
    ($($(#[$doc:meta])* $function:ident = $type:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $function(py: Attached<'_>, text: &str) -> Self {
            // SAFETY: the builtin exception types live as long as CPython.
            Self::new(py, unsafe { ffi::$type }, text)
        }
    )*};
}

impl Exception {
    builtin! {
        /// A `TypeError`.
        type_error = PyExc_TypeError;
        /// A `ValueError`.
        value_error = PyExc_ValueError;
        /// A `RuntimeError`.
        runtime_error = PyExc_RuntimeError;
        /// An `OSError`.
        os_error = PyExc_OSError;
        /// A `SystemError`.
        system_error = PyExc_SystemError;
    }

    fn new(py: Attached<'_>, class: *mut ffi::PyObject, text: &str) -> Self {
        match py.text(text) {
            // SAFETY: both are live for the call.
            Ok(text) => unsafe { ffi::PyErr_SetObject(class, text.as_ptr()) },
            Err(Self(memory_error)) => return Self(memory_error),
        }
        Self::fetch(py)
    }

    /// The exception that a failed function has set.
    pub(super) fn fetch(py: Attached<'_>) -> Self {
        Self::take(py).unwrap_or_else(|| Self::system_error(py, "a function failed without setting an exception"))
    }

    /// Takes the exception that is set, if one is.
    #[cfg_attr(Py_GIL_DISABLED, expect(deprecated, reason = "what replaces them is younger than 3.10"))]
    pub(super) fn take(py: Attached<'_>) -> Option<Self> {
        let (mut class, mut value, mut traceback) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: Fetch gives three references or nulls, Normalize makes them an instance with its class, both of which every
        // version has; the references are ours, and each is given back once.
        unsafe {
            ffi::PyErr_Fetch(&mut class, &mut value, &mut traceback);
            if class.is_null() {
                return None;
            }
            ffi::PyErr_NormalizeException(&mut class, &mut value, &mut traceback);
            if !traceback.is_null() {
                ffi::PyException_SetTraceback(value, traceback);
            }
            ffi::Py_XDECREF(class);
            ffi::Py_XDECREF(traceback);
            Object::from_new(py, value).ok().map(Self)
        }
    }

    /// The exception that an instance is, such as the second item of `sys.exc_info()`; `None` when it is no exception.
    pub(crate) fn from_instance(py: Attached<'_>, value: &Object, traceback: &Object) -> Option<Self> {
        // SAFETY: the object is live, and the builtin exception types live as long as CPython.
        unsafe {
            if ffi::PyExceptionInstance_Check(value.as_ptr()) == 0 {
                return None;
            }
            // A traceback of another type is ignored.
            if ffi::PyException_SetTraceback(value.as_ptr(), traceback.as_ptr()) < 0 {
                ffi::PyErr_Clear();
            }
        }
        Some(Self(value.clone_ref(py)))
    }

    /// Sets the exception, for CPython to raise.
    #[cfg_attr(Py_GIL_DISABLED, expect(deprecated, reason = "what replaces them is younger than 3.10"))]
    pub(super) fn restore(self, _py: Attached<'_>) {
        let value = self.0.into_ptr();
        // SAFETY: `value` is a live exception instance, and PyErr_Restore takes the three references.
        unsafe {
            let class = ffi::Py_TYPE(value).cast::<ffi::PyObject>();
            ffi::Py_INCREF(class);
            ffi::PyErr_Restore(class, value, ffi::PyException_GetTraceback(value));
        }
    }

    /// The instance.
    pub(crate) fn value(&self) -> &Object {
        &self.0
    }

    /// The three objects of `sys.exc_info()`.
    pub(crate) fn info(&self, py: Attached<'_>) -> Result<Object, Self> {
        let none = py.none();
        // SAFETY: a live exception has a type; its traceback comes as a new reference or null.
        let (class, traceback) = unsafe {
            let traceback = ffi::PyException_GetTraceback(self.0.as_ptr());
            (Object::from_borrowed(py, ffi::Py_TYPE(self.0.as_ptr()).cast()), Object::from_new(py, traceback).ok())
        };
        py.tuple(&[class.as_ref().unwrap_or(&none), &self.0, traceback.as_ref().unwrap_or(&none)])
    }

    /// Whether it is an `AttributeError`.
    pub(crate) fn is_attribute_error(&self, py: Attached<'_>) -> bool {
        // SAFETY: the builtin exception types live as long as CPython.
        self.is_a(py, unsafe { ffi::PyExc_AttributeError })
    }

    /// Whether it is a `TypeError`.
    pub(crate) fn is_type_error(&self, py: Attached<'_>) -> bool {
        // SAFETY: the builtin exception types live as long as CPython.
        self.is_a(py, unsafe { ffi::PyExc_TypeError })
    }

    /// Whether it is a `SystemExit`.
    pub(crate) fn is_system_exit(&self, py: Attached<'_>) -> bool {
        // SAFETY: the builtin exception types live as long as CPython.
        self.is_a(py, unsafe { ffi::PyExc_SystemExit })
    }

    fn is_a(&self, _py: Attached<'_>, class: *mut ffi::PyObject) -> bool {
        // SAFETY: both are live.
        unsafe { ffi::PyErr_GivenExceptionMatches(self.0.as_ptr(), class) != 0 }
    }

    /// Tells the exception in text, by Python's `traceback` module. What fails on the way is left out.
    pub(crate) fn report(&self, py: Attached<'_>) -> Report {
        let lines = self.format(py).unwrap_or_default();
        let (type_name, text) = (self.0.type_name(py), self.0.to_text(py));
        let lines = if lines.is_empty() { vec![format!("{type_name}: {text}")] } else { lines };
        Report { type_name, text, lines }
    }

    fn format(&self, py: Attached<'_>) -> Result<Vec<String>, Self> {
        let parts = py.import(c"traceback")?.attr(py, c"format_exception")?;
        let info = self.info(py)?.items(py).unwrap_or_default();
        let parts = parts.call(py, &info.iter().collect::<Vec<_>>())?.items(py).unwrap_or_default();
        Ok(parts.iter().flat_map(|part| part.to_text(py).lines().map(String::from).collect::<Vec<_>>()).collect())
    }

    /// Makes a new exception type, `module.Name`, derived from `BaseException`.
    pub(crate) fn new_base_type(py: Attached<'_>, name: &std::ffi::CStr) -> Result<Object, Self> {
        // SAFETY: the name is NUL-terminated, the base lives as long as CPython, and a new reference comes back.
        unsafe { Object::from_new(py, ffi::PyErr_NewException(name.as_ptr(), ffi::PyExc_BaseException, ptr::null_mut())) }
    }
}
