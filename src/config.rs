//! What the administrator wrote, as values: directives become options, options become settings.
//!
//! Pure: what must be asked of httpd or of the system (ids, paths, regular expressions, names of servers) comes in through the traits
//! [`System`](directives::System), [`Pattern`](alias::Pattern) and [`Facts`](expand::Facts). The fence in `apache/` calls
//! [`Definition::apply`](directives::Definition::apply) once per directive, merges [`DirOptions`](options::DirOptions) and
//! [`ServerOptions`](options::ServerOptions) where httpd asks it to, and reads the results.

#![forbid(unsafe_code)]

pub(crate) mod alias;
pub(crate) mod directives;
pub(crate) mod expand;
pub(crate) mod group;
pub(crate) mod options;
pub(crate) mod proxies;
pub(crate) mod settings;
pub(crate) mod value;
