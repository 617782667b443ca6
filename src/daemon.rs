//! Daemon mode as httpd sees it: groups with their sockets and supervisors, and requests handed over to them.

#![forbid(unsafe_code)]

mod body;
mod client;
mod connections;
mod group;
mod incoming;
mod loss;
mod owner;
mod root;
mod scoreboard;

pub(crate) use client::serve;
pub(crate) use group::{start_child, start_groups};
