//! The module.

mod config;
