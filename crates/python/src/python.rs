//! The safe view of CPython: interpreters, threads, objects, exceptions, types.
//!
//! This folder is the fence around CPython's C API (<https://docs.python.org/3/c-api/>): `ffi` is named by its siblings only, and what
//! the rest of the crate needs is a safe function here. It knows nothing of WSGI. [`attach`] is the only way into an interpreter,
//! [`Attached::detach`] the way to wait.

mod ffi;

pub(crate) mod runtime;

mod interpreter;
mod interrupt;
mod line;
mod thread;

mod blank;
mod class;
mod error;
mod object;

pub(crate) mod extension;

pub(crate) use blank::Blank;
pub(crate) use class::{Class, Getter, GetterDef, Method, MethodDef, This, Type, bind};
pub(crate) use error::{Exception, Report};
pub(crate) use interpreter::{Gil, Interpreter, InterpreterError};
pub(crate) use interrupt::ThreadIdent;
pub(crate) use object::Object;
pub(crate) use thread::{Attached, GilWaits, attach, release_idle_thread, release_this_thread};
