//! Python types whose instances hold a Rust value.
//!
//! A type is made once per interpreter by `PyType_FromSpec`, so nothing of it is shared between interpreters. C enters Rust through
//! one trampoline per signature, inside [`guard`]: a panic becomes a `SystemError`, an [`Exception`] is raised.
//! See <https://docs.python.org/3/c-api/type.html#heap-types>.

use super::Attached;
use super::error::Exception;
use super::ffi;
use super::object::Object;
use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

/// A Rust value that lives in Python objects of a type of its own.
pub(crate) trait Class: Send + Sync + Sized + 'static {
    /// Module and name of the type.
    const NAME: &'static CStr;
    /// Its methods, ending with [`MethodDef::END`].
    const METHODS: &'static [MethodDef];
    /// Its read-only attributes, ending with [`GetterDef::END`].
    const GETTERS: &'static [GetterDef] = &[GetterDef::END];
    /// Whether instances are their own iterators, by [`Class::next`].
    const ITERATOR: bool = false;
    /// Whether Python code may make instances and subclasses, by [`Class::empty`] and [`Class::init`].
    const PUBLIC: bool = false;

    /// Whether instances pass for the object that [`Class::behind`] gives: attributes, iteration and `repr()` are that one's.
    const STANDS_IN: bool = false;

    /// The next item of the iteration.
    fn next(&self, _py: Attached<'_>) -> Result<Option<Object>, Exception> {
        Ok(None)
    }

    /// The object that an instance stands in for, which may be made only now.
    fn behind(&self, py: Attached<'_>) -> Result<Object, Exception> {
        Err(Exception::type_error(py, "there is nothing behind this object"))
    }

    /// The value of an instance that Python code makes, before `__init__`.
    fn empty(py: Attached<'_>) -> Result<Self, Exception> {
        Err(Exception::type_error(py, "cannot create instances of this type"))
    }

    /// `__init__` with a tuple and, if there are keywords, a dict.
    fn init(&self, _py: Attached<'_>, _arguments: &Object, _keywords: Option<&Object>) -> Result<(), Exception> {
        Ok(())
    }
}

/// A method of a [`Class`]; a type of its own, so that its trampoline knows it.
pub(crate) trait Method: 'static {
    /// The class.
    type Class: Class;
    /// The method's name.
    const NAME: &'static CStr;

    /// Executes it; keywords are refused by CPython.
    fn call(py: Attached<'_>, this: This<'_, Self::Class>, arguments: &[Object]) -> Result<Object, Exception>;
}

/// The instance that a method is called on: its value, and itself.
pub(crate) struct This<'o, C> {
    object: &'o Object,
    value: &'o C,
}

impl<'o, C> This<'o, C> {
    /// The instance.
    pub(crate) fn object(&self) -> &'o Object {
        self.object
    }
}

impl<C> Deref for This<'_, C> {
    type Target = C;

    fn deref(&self) -> &C {
        self.value
    }
}

/// A read-only attribute of a [`Class`].
pub(crate) trait Getter: 'static {
    /// The class.
    type Class: Class;
    /// The attribute's name.
    const NAME: &'static CStr;

    /// Its value.
    fn get(py: Attached<'_>, this: &Self::Class) -> Result<Object, Exception>;
}

/// CPython's record of a method.
#[repr(transparent)]
pub(crate) struct MethodDef(ffi::PyMethodDef);

impl MethodDef {
    /// Ends a list.
    pub(crate) const END: Self = Self(ffi::PyMethodDef::zeroed());

    /// The record of `M`.
    pub(crate) const fn of<M: Method>() -> Self {
        Self(ffi::PyMethodDef {
            ml_name: M::NAME.as_ptr(),
            ml_meth: ffi::PyMethodDefPointer { PyCFunctionFast: call_method::<M> },
            ml_flags: ffi::METH_FASTCALL,
            ml_doc: ptr::null(),
        })
    }
}

/// CPython's record of an attribute.
#[repr(transparent)]
pub(crate) struct GetterDef(ffi::PyGetSetDef);

impl GetterDef {
    /// Ends a list.
    pub(crate) const END: Self =
        Self(ffi::PyGetSetDef { name: ptr::null(), get: None, set: None, doc: ptr::null(), closure: ptr::null_mut() });

    /// The record of `G`.
    pub(crate) const fn of<G: Getter>() -> Self {
        Self(ffi::PyGetSetDef {
            name: G::NAME.as_ptr(),
            get: Some(call_getter::<G>),
            set: None,
            doc: ptr::null(),
            closure: ptr::null_mut(),
        })
    }
}

/// An instance in memory, as CPython allocates it.
///
/// # Invariants
///
/// `value` is initialised from the moment that the instance is reachable by anybody but its maker.
#[repr(C)]
struct Instance<C> {
    head: ffi::PyObject,
    value: C,
}

/// The Python type of `C` in one interpreter.
pub(crate) struct Type<C> {
    object: Object,
    class: PhantomData<fn() -> C>,
}

impl<C: Class> Type<C> {
    /// Makes the type in the current interpreter.
    pub(crate) fn new(py: Attached<'_>) -> Result<Self, Exception> {
        const { assert!(align_of::<C>() <= 16, "CPython aligns to 16 octets") };
        let slot = |slot: c_int, pfunc: *mut c_void| ffi::PyType_Slot { slot, pfunc };
        let mut slots = vec![
            slot(ffi::Py_tp_dealloc, deallocate::<C> as *mut c_void),
            slot(ffi::Py_tp_methods, C::METHODS.as_ptr().cast_mut().cast()),
            slot(ffi::Py_tp_getset, C::GETTERS.as_ptr().cast_mut().cast()),
        ];
        if C::ITERATOR {
            slots.push(slot(ffi::Py_tp_iter, ffi::PyObject_SelfIter as *mut c_void));
            slots.push(slot(ffi::Py_tp_iternext, call_next::<C> as *mut c_void));
        }
        if C::STANDS_IN {
            slots.push(slot(ffi::Py_tp_getattro, get_behind::<C> as *mut c_void));
            slots.push(slot(ffi::Py_tp_setattro, set_behind::<C> as *mut c_void));
            slots.push(slot(ffi::Py_tp_repr, repr_behind::<C> as *mut c_void));
            slots.push(slot(ffi::Py_tp_iter, iter_behind::<C> as *mut c_void));
        }
        if C::PUBLIC {
            slots.push(slot(ffi::Py_tp_new, call_new::<C> as *mut c_void));
            slots.push(slot(ffi::Py_tp_init, call_init::<C> as *mut c_void));
        }
        slots.push(slot(0, ptr::null_mut()));
        let kind = if C::PUBLIC { ffi::Py_TPFLAGS_BASETYPE } else { ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION };
        let mut spec = ffi::PyType_Spec {
            name: C::NAME.as_ptr(),
            basicsize: c_int::try_from(size_of::<Instance<C>>()).expect("a small struct"),
            itemsize: 0,
            flags: u32::try_from(ffi::Py_TPFLAGS_DEFAULT | kind).expect("flags have 32 bits"),
            slots: slots.as_mut_ptr(),
        };
        // SAFETY: the specification is complete and live for the call; what it points to beyond that is static.
        let object = unsafe { Object::from_new(py, ffi::PyType_FromSpec(&raw mut spec)) }?;
        Ok(Self { object, class: PhantomData })
    }

    /// The type itself.
    pub(crate) fn object(&self) -> &Object {
        &self.object
    }

    /// Makes an instance that holds `value`.
    pub(crate) fn instance(&self, py: Attached<'_>, value: C) -> Result<Object, Exception> {
        // SAFETY: the object is the type that we made for `C`, and `value` is written before anybody sees the instance.
        unsafe { allocate(py, self.object.as_ptr().cast(), value) }
    }

    /// The value in `object`, if it is an instance of this type or of a subclass.
    pub(crate) fn value<'o>(&self, py: Attached<'_>, object: &'o Object) -> Option<&'o C> {
        // SAFETY: an instance of the type has this layout, and the reference that we are lent keeps it alive.
        object.is_instance(py, &self.object).then(|| unsafe { &(*object.as_ptr().cast::<Instance<C>>()).value })
    }
}

/// A function object that calls `M` on `instance`, which must be an instance of `M`'s class; `None` when it is not.
pub(crate) fn bind<M: Method>(py: Attached<'_>, class: &Type<M::Class>, instance: &Object) -> Result<Object, Exception> {
    if !instance.is_instance(py, &class.object) {
        return Err(Exception::type_error(py, "a method is bound to an instance of its class"));
    }
    let record = const { &MethodDef::of::<M>() };
    // SAFETY: the record is static and not written to; the instance is live and of the class that the trampoline expects.
    unsafe { Object::from_new(py, ffi::PyCFunction_NewEx(ptr::from_ref(&record.0).cast_mut(), instance.as_ptr(), ptr::null_mut())) }
}

/// Runs `work` as the last Rust frame before C.
///
/// # Safety
///
/// CPython has called us, with a thread state of the calling thread current.
pub(super) unsafe fn guard<R>(failed: R, work: impl FnOnce(Attached<'_>) -> Result<R, Exception>) -> R {
    // SAFETY: the caller says so, and the state stays current until we return.
    let py = unsafe { Attached::assume() };
    let exception = match catch_unwind(AssertUnwindSafe(|| work(py))) {
        Ok(Ok(result)) => return result,
        Ok(Err(exception)) => exception,
        // The panic hook has logged what and where.
        Err(_panic) => Exception::system_error(py, "internal error in mod_wsgi"),
    };
    exception.restore(py);
    failed
}

/// # Safety
///
/// `class` is a type made for `C`, or a subclass of it.
unsafe fn allocate<C>(py: Attached<'_>, class: *mut ffi::PyTypeObject, value: C) -> Result<Object, Exception> {
    // SAFETY: every type has an allocator, and the slot's type is as CPython documents it.
    let object = unsafe {
        let allocator = std::mem::transmute::<*mut c_void, ffi::allocfunc>(ffi::PyType_GetSlot(class, ffi::Py_tp_alloc));
        Object::from_new(py, allocator(class, 0))
    }?;
    // SAFETY: the memory is as large as Instance<C>, and nobody has seen it.
    unsafe { (&raw mut (*object.as_ptr().cast::<Instance<C>>()).value).write(value) };
    // INVARIANT: the value is initialised.
    Ok(object)
}

/// # Safety
///
/// `this` is an instance of a type made for `C`.
unsafe fn value<'a, C>(this: *mut ffi::PyObject) -> &'a C {
    // SAFETY: the caller says so; CPython holds a reference to it during the call.
    unsafe { &(*this.cast::<Instance<C>>()).value }
}

unsafe extern "C" fn deallocate<C: Class>(this: *mut ffi::PyObject) {
    // SAFETY: CPython calls this once, when the last reference has gone. The value is dropped in place, then the memory goes back as
    // its type wants, then the reference to the type that each instance of a heap type holds.
    unsafe {
        let class = ffi::Py_TYPE(this);
        let dropped = catch_unwind(AssertUnwindSafe(|| ptr::drop_in_place(&raw mut (*this.cast::<Instance<C>>()).value)));
        let free = std::mem::transmute::<*mut c_void, ffi::freefunc>(ffi::PyType_GetSlot(class, ffi::Py_tp_free));
        free(this.cast());
        ffi::Py_DECREF(class.cast());
        // The panic hook has logged a panic; there is nobody to tell.
        drop(dropped);
    }
}

unsafe extern "C" fn call_method<M: Method>(
    this: *mut ffi::PyObject,
    arguments: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls a method with an instance of its class and `count` live arguments; Object is transparent over a pointer.
    unsafe {
        guard(ptr::null_mut(), |py| {
            let count = usize::try_from(count).unwrap_or(0);
            let arguments = if count == 0 { &[] } else { std::slice::from_raw_parts(arguments.cast::<Object>().cast_const(), count) };
            let this = This { object: Object::view(&this), value: value::<M::Class>(this) };
            M::call(py, this, arguments).map(Object::into_ptr)
        })
    }
}

unsafe extern "C" fn call_getter<G: Getter>(this: *mut ffi::PyObject, _closure: *mut c_void) -> *mut ffi::PyObject {
    // SAFETY: CPython calls a getter with an instance of its class.
    unsafe { guard(ptr::null_mut(), |py| G::get(py, value::<G::Class>(this)).map(Object::into_ptr)) }
}

unsafe extern "C" fn call_next<C: Class>(this: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: CPython calls the slot with an instance of its class; null without an exception is the end.
    unsafe { guard(ptr::null_mut(), |py| Ok(value::<C>(this).next(py)?.map_or(ptr::null_mut(), Object::into_ptr))) }
}

unsafe extern "C" fn call_new<C: Class>(
    class: *mut ffi::PyTypeObject,
    _arguments: *mut ffi::PyObject,
    _keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls the slot with its type or a subclass.
    unsafe { guard(ptr::null_mut(), |py| allocate(py, class, C::empty(py)?).map(Object::into_ptr)) }
}

unsafe extern "C" fn call_init<C: Class>(this: *mut ffi::PyObject, arguments: *mut ffi::PyObject, keywords: *mut ffi::PyObject) -> c_int {
    // SAFETY: CPython calls the slot with an instance, a tuple, and a dict or null, all live.
    unsafe {
        guard(-1, |py| {
            let keywords = if keywords.is_null() { None } else { Some(Object::view(&keywords)) };
            value::<C>(this).init(py, Object::view(&arguments), keywords).map(|()| 0)
        })
    }
}

unsafe extern "C" fn get_behind<C: Class>(this: *mut ffi::PyObject, name: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: CPython calls the slot with an instance of its class and a live name; a new reference comes back.
    unsafe {
        guard(ptr::null_mut(), |py| {
            let behind = value::<C>(this).behind(py)?;
            Object::from_new(py, ffi::PyObject_GetAttr(behind.as_ptr(), name)).map(Object::into_ptr)
        })
    }
}

unsafe extern "C" fn set_behind<C: Class>(this: *mut ffi::PyObject, name: *mut ffi::PyObject, to: *mut ffi::PyObject) -> c_int {
    // SAFETY: CPython calls the slot with an instance of its class, a live name, and a live value or null to delete the attribute.
    unsafe {
        guard(-1, |py| {
            let behind = value::<C>(this).behind(py)?;
            match ffi::PyObject_SetAttr(behind.as_ptr(), name, to) {
                0 => Ok(0),
                _ => Err(Exception::fetch(py)),
            }
        })
    }
}

unsafe extern "C" fn repr_behind<C: Class>(this: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: CPython calls the slot with an instance of its class; a new reference comes back.
    unsafe {
        guard(ptr::null_mut(), |py| {
            let behind = value::<C>(this).behind(py)?;
            Object::from_new(py, ffi::PyObject_Repr(behind.as_ptr())).map(Object::into_ptr)
        })
    }
}

unsafe extern "C" fn iter_behind<C: Class>(this: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: CPython calls the slot with an instance of its class.
    unsafe { guard(ptr::null_mut(), |py| value::<C>(this).behind(py)?.iter(py).map(Object::into_ptr)) }
}
