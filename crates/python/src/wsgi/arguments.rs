//! The arguments of the functions that applications call.

#![forbid(unsafe_code)]

use crate::python::{Attached, Exception, Object};

/// Refuses another number of arguments than from `least` to `most`, in CPython's words.
pub(crate) fn count(py: Attached<'_>, function: &str, arguments: &[Object], least: usize, most: usize) -> Result<(), Exception> {
    let given = arguments.len();
    if (least..=most).contains(&given) {
        return Ok(());
    }
    let (bound, limit) = if given < least { ("at least", least) } else { ("at most", most) };
    Err(Exception::type_error(
        py,
        &match most {
            0 => format!("{function}() takes no arguments ({given} given)"),
            _ if least == most => format!("{function}() takes exactly {}", plural(most, given)),
            _ => format!("{function}() takes {bound} {}", plural(limit, given)),
        },
    ))
}

fn plural(limit: usize, given: usize) -> String {
    format!("{limit} argument{} ({given} given)", if limit == 1 { "" } else { "s" })
}

/// The octets of a bytes object, or the `TypeError` that says what was given instead.
pub(crate) fn octets<'o>(py: Attached<'_>, object: &'o Object, complaint: &str) -> Result<&'o [u8], Exception> {
    object.as_bytes().ok_or_else(|| Exception::type_error(py, &format!("{complaint}, not {}", object.type_name(py))))
}

/// A `str` in latin-1, as a bytes object.
pub(crate) fn latin1(py: Attached<'_>, object: &Object) -> Result<Object, Exception> {
    if object.is_str() {
        object.to_latin1(py)
    } else {
        Err(Exception::type_error(py, &format!("must be str, not {}", object.type_name(py))))
    }
}
