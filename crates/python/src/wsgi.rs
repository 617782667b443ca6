//! PEP 3333 (<https://peps.python.org/pep-3333/>), once for both modes.

#![forbid(unsafe_code)]

pub(crate) mod exchange;

pub(crate) mod arguments;
pub(crate) mod environ;
pub(crate) mod errors;
pub(crate) mod file_wrapper;
pub(crate) mod header;
pub(crate) mod input;
pub(crate) mod lines;
mod recent;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod text;

pub(crate) mod run;
