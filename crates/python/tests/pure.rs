//! The unit tests of the parts that know no CPython.
//!
//! The crate itself cannot be linked into a test: its `Py*` symbols belong to the process that loads it. The files without them are
//! compiled here once more, with the tests beneath their code.

#[path = "../src/wsgi/header.rs"]
mod header;
#[path = "../src/wsgi/lines.rs"]
mod lines;
#[path = "pure/properties.rs"]
mod properties;
