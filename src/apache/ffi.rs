//! What bindgen made of httpd's headers (`make bindings`). Named by its siblings only.

#![allow(
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    reason = "generated"
)]

include!(concat!(env!("CARGO_MANIFEST_DIR"), "/apache-headers/bindings.rs"));
