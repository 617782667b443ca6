#![deny(unsafe_code)]
//! The safe view of POSIX and Linux.
