//! Reads directives in tests as the fence does, with a system of its own.

use super::{DIRECTIVES, Definition, DirOptions, DirectiveError, Global, ServerKey, ServerOptions, Site, System, Target};
use crate::config::alias::Pattern;
use std::sync::Arc;

/// A server whose configuration a test writes line by line.
pub(crate) struct Reader {
    pub(crate) global: Global,
    pub(crate) server: ServerOptions,
    pub(crate) directory: DirOptions,
    pub(crate) line: u32,
    pub(crate) key: ServerKey,
    pub(crate) server_name: Option<&'static str>,
    pub(crate) system: TestSystem,
}

/// Knows `www-data` (33), `root` (0) and the group `staff` (50).
pub(crate) struct TestSystem {
    pub(crate) is_root: bool,
}

impl System for TestSystem {
    fn server_root_relative(&self, path: &[u8]) -> Option<Vec<u8>> {
        if path.starts_with(b"/") { Some(path.to_vec()) } else { Some([b"/etc/httpd/", path].concat()) }
    }

    fn uid(&self, name: &str) -> Option<u32> {
        [("root", 0), ("www-data", 33)].iter().find(|known| known.0 == name).map(|known| known.1)
    }

    fn gid(&self, name: &str) -> Option<u32> {
        [("root", 0), ("www-data", 33), ("staff", 50)].iter().find(|known| known.0 == name).map(|known| known.1)
    }

    fn user_name(&self, uid: u32) -> Option<String> {
        [("root", 0), ("www-data", 33)].iter().find(|known| known.1 == uid).map(|known| known.0.to_owned())
    }

    fn is_root(&self) -> bool {
        self.is_root
    }

    fn compile(&self, pattern: &[u8]) -> Result<Arc<dyn Pattern>, String> {
        if pattern.ends_with(b"(") { Err("missing )".to_owned()) } else { Ok(Arc::new(crate::config::alias::tests::FirstSegment)) }
    }
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            global: Global::default(),
            server: ServerOptions::default(),
            directory: DirOptions::default(),
            line: 1,
            key: ServerKey::Main,
            server_name: None,
            system: TestSystem { is_root: true },
        }
    }

    pub(crate) fn site<'s>(&'s self, directive: &'s str) -> Site<'s> {
        Site { directive, file: "test.conf", line: self.line, server: self.key, server_name: self.server_name, system: &self.system }
    }

    /// Reads one line; the error as httpd would show it.
    pub(crate) fn try_read(&mut self, line: &str) -> Result<(), String> {
        let (name, raw) = line.split_once(' ').unwrap_or((line, ""));
        self.apply(find(name).expect("a defined directive"), raw.as_bytes()).map_err(|error| error.to_string())
    }

    /// Applies a directive as the fence does.
    pub(crate) fn apply(&mut self, definition: &Definition, raw: &[u8]) -> Result<(), DirectiveError> {
        let Self { global, server, directory, line, key, server_name, system } = self;
        let site = Site { directive: definition.name(), file: "test.conf", line: *line, server: *key, server_name: *server_name, system };
        definition.apply(&site, raw, Target::Startup { global, server, directory })
    }

    /// Reads one line that is in order.
    pub(crate) fn read(&mut self, line: &str) -> &mut Self {
        self.try_read(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        self
    }

    /// The error of one line.
    pub(crate) fn error(&mut self, line: &str) -> String {
        self.try_read(line).expect_err(line)
    }
}

/// The definition of a directive, by its name with or without a container's `<`.
pub(crate) fn find(name: &str) -> Option<&'static Definition> {
    DIRECTIVES.iter().find(|definition| definition.name() == name.trim_start_matches('<'))
}
