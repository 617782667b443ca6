//! Settings as resolved: options with the defaults filled in, so that no Option is left that a default would fill.

pub(crate) mod group;
pub(crate) mod request;

use super::options::{Block, Global, GroupMention, Place};
use std::time::Duration;
use wire::settings::{Import, InterpreterBlock, Octets, Python, Server};

impl Global {
    /// Python's settings in embedded mode.
    pub(crate) fn embedded_python(&self, server: Server) -> Python {
        let path = self.interpreter.python_path.clone().unwrap_or_default();
        Python {
            home: self.python_home.clone().map(Octets::from),
            path: path.into_iter().map(Octets::from).collect(),
            eggs: self.python_eggs.clone().map(Octets::from),
            optimize: self.python_optimize.unwrap_or(0),
            dont_write_bytecode: self.dont_write_bytecode.unwrap_or(false),
            warnings: self.python_warnings.clone(),
            hash_seed: self.python_hash_seed.clone(),
            switch_interval: self.interpreter.switch_interval,
            restrict_stdin: self.interpreter.restrict_stdin.unwrap_or(false),
            restrict_stdout: self.interpreter.restrict_stdout.unwrap_or(false),
            restrict_signal: self.interpreter.restrict_signal.unwrap_or(true),
            own_gil: self.interpreter.per_interpreter_gil.unwrap_or(false),
            free_threading: self.is_free_threading(b""),
            blocks: self.blocks_of(b""),
            destroy_interpreter: self.destroy_interpreter.unwrap_or(true),
            server_metrics: self.server_metrics.unwrap_or(false),
            has_telemetry: self.telemetry_service.is_some(),
            server,
        }
    }

    /// From when on a request is slow; `None` when none is.
    pub(crate) fn slow_requests(&self) -> Option<Duration> {
        self.slow_requests.filter(|seconds| *seconds > 0.0).map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }

    /// Whether the processes of the group `name` run without Python's lock. What is said of one application group is not meant.
    pub(super) fn is_free_threading(&self, name: &[u8]) -> bool {
        let of_process = self.containers_of(name).into_iter().filter(|block| block.application_group.is_none());
        of_process.filter_map(|block| block.options.free_threading).next_back().or(self.interpreter.free_threading).unwrap_or(false)
    }

    /// The containers for the processes of the group `name`, the empty name being embedded mode. What has more selectors comes later
    /// and counts more; among equals the last in the file does.
    fn containers_of(&self, name: &[u8]) -> Vec<&Block> {
        let mut blocks: Vec<&Block> =
            self.blocks.iter().filter(|block| block.process_group.as_ref().is_none_or(|group| group == name)).collect();
        blocks.sort_by_key(|block| usize::from(block.process_group.is_some()) + usize::from(block.application_group.is_some()));
        blocks
    }

    /// What `<WSGIInterpreterOptions>` says for the interpreters of the group `name`, in the order of `containers_of`.
    pub(super) fn blocks_of(&self, name: &[u8]) -> Vec<InterpreterBlock> {
        let resolve = |block: &Block| InterpreterBlock {
            application_group: block.application_group.clone().map(Octets::from),
            own_gil: block.options.per_interpreter_gil,
            switch_interval: block.options.switch_interval,
            path: block.options.python_path.clone().unwrap_or_default().into_iter().map(Octets::from).collect(),
            restrict_stdin: block.options.restrict_stdin,
            restrict_stdout: block.options.restrict_stdout,
            restrict_signal: block.options.restrict_signal,
        };
        self.containers_of(name).into_iter().map(resolve).collect()
    }

    /// The scripts that a process of the group `name` loads at its start, in order; the empty name is embedded mode.
    pub(crate) fn imports_of(&self, name: &[u8]) -> Vec<Import> {
        let imports = self.imports.iter().filter(|import| import.process_group == name);
        imports
            .map(|import| Import {
                script: Octets::from(import.script.clone()),
                application_group: Octets::from(import.application_group.clone()),
            })
            .collect()
    }

    /// Whether httpd's children may have to run Python.
    pub(crate) fn allows_embedded(&self) -> bool {
        !self.restricts_embedded() || self.mentions.needs_embedded || self.imports.iter().any(|import| import.needs_embedded)
    }

    /// Whether applications are refused in embedded mode.
    pub(crate) fn restricts_embedded(&self) -> bool {
        self.restrict_embedded.unwrap_or(false)
    }

    /// Whether the case of letters makes no difference to script paths.
    pub(crate) fn folds_case(&self) -> bool {
        !self.case_sensitivity.unwrap_or(true)
    }

    /// The directives that name a daemon group which nobody defines.
    pub(crate) fn unknown_groups(&self) -> Vec<UnknownGroup> {
        let is_unknown = |mention: &&GroupMention| !self.groups.iter().any(|group| group.name.as_bytes() == mention.group);
        let known = self.groups.iter().map(|group| format!("'{}'", group.name)).collect::<Vec<_>>().join(", ");
        let unknown = self.mentions.groups.iter().filter(is_unknown).map(|mention| UnknownGroup {
            directive: mention.directive.clone(),
            place: mention.place.clone(),
            group: String::from_utf8_lossy(&mention.group).into_owned(),
            known: if known.is_empty() { "no group is defined".to_owned() } else { format!("defined are: {known}") },
        });
        unknown.collect()
    }
}

/// A directive names a daemon group which nobody defines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{directive} at {place}: there is no daemon group '{group}'; {known}. Define it with 'WSGIDaemonProcess {group}', or name another")]
pub(crate) struct UnknownGroup {
    directive: String,
    place: Place,
    group: String,
    known: String,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::directives::testing::Reader;

    /// The options that a few lines make.
    pub(crate) fn read(lines: &[&str]) -> Reader {
        let mut reader = Reader::new();
        for (number, line) in (1..).zip(lines) {
            reader.line = number;
            reader.read(line);
        }
        reader
    }

    /// Facts of no server in particular.
    pub(crate) fn server() -> Server {
        Server {
            apache_version: (2, 4, 71),
            description: "Apache/2.4.71".to_owned(),
            mpm_name: "event".to_owned(),
            build_date: String::new(),
            maximum_processes: 2,
            threads_per_process: 25,
        }
    }

    #[test]
    fn python_has_defaults() {
        let python = Global::default().embedded_python(server());
        let expected = Python {
            home: None,
            path: Vec::new(),
            eggs: None,
            optimize: 0,
            dont_write_bytecode: false,
            warnings: Vec::new(),
            hash_seed: None,
            switch_interval: None,
            restrict_stdin: false,
            restrict_stdout: false,
            restrict_signal: true,
            own_gil: false,
            free_threading: false,
            blocks: Vec::new(),
            destroy_interpreter: true,
            server_metrics: false,
            has_telemetry: false,
            server: server(),
        };
        assert_eq!(python, expected);
    }

    #[test]
    fn what_is_said_of_all_interpreters_holds_in_embedded_mode() {
        let reader = read(&["WSGIPythonPath /a:/b", "WSGISwitchInterval 0.01", "WSGIRestrictSignal Off", "WSGIPythonHome /venv"]);
        let python = reader.global.embedded_python(server());
        assert_eq!(python.path, [Octets::from(b"/a".to_vec()), Octets::from(b"/b".to_vec())]);
        assert_eq!((python.switch_interval, python.restrict_signal), (Some(0.01), false));
        assert_eq!(python.home, Some(Octets::from(b"/venv".to_vec())));
    }

    const CONTAINERS: [&[&str]; 4] = [
        &["<WSGIInterpreterOptions process-group=app application-group=x>", "WSGIPythonPath /both", "WSGIRestrictStdin Off"],
        &["<WSGIInterpreterOptions application-group=x>", "WSGIPythonPath /x", "WSGIRestrictStdin On", "WSGISwitchInterval 0.2"],
        &["<WSGIInterpreterOptions >", "WSGIPythonPath /any", "WSGIPerInterpreterGIL On", "WSGISwitchInterval 0.1"],
        &["<WSGIInterpreterOptions process-group=other>", "WSGIPythonPath /other"],
    ];

    fn containers(more: &[&str]) -> Global {
        let mut reader = read(more);
        for lines in CONTAINERS {
            lines.iter().for_each(|line| {
                reader.read(line);
            });
            reader.global.close_block();
        }
        reader.global
    }

    #[test]
    fn the_more_specific_container_counts_more() {
        let global = containers(&["WSGIDaemonProcess app python-path=/base", "WSGIRestrictSignal Off"]);
        let python = global.groups[0].python(&global, server());
        let x = python.interpreter(b"x");
        let path: Vec<&[u8]> = x.path.iter().flat_map(|layer| layer.iter().map(|directory| directory.as_slice())).collect();
        assert_eq!(path, [&b"/base"[..], b"/any", b"/x", b"/both"]);
        assert_eq!((x.restrict_stdin, x.restrict_signal, x.own_gil), (false, false, true));
        assert_eq!((x.switch_interval, x.interval_is_own), (Some(0.2), true));
        let main = python.interpreter(b"");
        assert_eq!((main.path.len(), main.restrict_stdin, main.switch_interval, main.interval_is_own), (2, false, Some(0.1), false));
    }

    #[test]
    fn a_groups_own_interval_counts_more_than_that_of_all_groups() {
        let global = containers(&["WSGIDaemonProcess app switch-interval=0.5", "WSGISwitchInterval 0.05"]);
        let python = global.groups[0].python(&global, server());
        assert_eq!(python.interpreter(b"").switch_interval, Some(0.5));
        assert_eq!(python.interpreter(b"x").switch_interval, Some(0.2));
        assert_eq!(global.embedded_python(server()).interpreter(b"").switch_interval, Some(0.1));
    }

    #[test]
    fn the_lock_is_the_processs() {
        let free = |lines: &[&str]| {
            let mut reader = read(&["WSGIDaemonProcess app"]);
            for line in lines {
                reader.read(line);
                if line.starts_with("WSGI") && reader.global.open_block().is_some() {
                    reader.global.close_block();
                }
            }
            let global = &reader.global;
            let of_group = global.groups[0].python(global, server()).free_threading;
            (global.embedded_python(server()).free_threading, of_group, global.mentions.notices.len())
        };
        let container = |selectors: &str| format!("<WSGIInterpreterOptions {selectors}>");
        let (any, app, embedded) = (container(""), container("process-group=app"), container("process-group=%{GLOBAL}"));
        assert_eq!(free(&[]), (false, false, 0));
        assert_eq!(free(&["WSGIFreeThreading On"]), (true, true, 0));
        assert_eq!(free(&[&app, "WSGIFreeThreading On"]), (false, true, 0));
        assert_eq!(free(&[&app, "WSGIFreeThreading On", &any, "WSGIFreeThreading Off"]), (false, true, 0));
        assert_eq!(free(&["WSGIFreeThreading On", &embedded, "WSGIFreeThreading Off"]), (false, true, 0));
        let one = container("process-group=app application-group=x");
        assert_eq!(free(&[&one, "WSGIFreeThreading On"]), (false, false, 1), "an application group has no lock of its own to do without");
    }

    #[test]
    fn an_application_group_with_options_of_its_own_keeps_to_its_interpreter() {
        let global = containers(&["WSGIDaemonProcess app", "WSGIDaemonProcess other"]);
        assert!(global.groups[0].uses_global(&global));
        assert!(!read(&["WSGIDaemonProcess app"]).global.groups[0].uses_global(&Global::default()));
    }

    #[test]
    fn python_runs_in_httpd_unless_nothing_needs_it() {
        let allows = |lines: &[&str]| read(lines).global.allows_embedded();
        let import = "WSGIImportScript /i.py process-group=%{GLOBAL} application-group=%{GLOBAL}";
        assert!(allows(&[]) && allows(&["WSGIRestrictEmbedded Off"]));
        assert!(!allows(&["WSGIRestrictEmbedded On"]));
        assert!(allows(&["WSGIRestrictEmbedded On", "WSGIAccessScript /a.py"]));
        assert!(allows(&["WSGIRestrictEmbedded On", import]));
        let alias = "WSGIScriptAlias / /a.wsgi process-group=%{GLOBAL} application-group=%{GLOBAL}";
        assert!(!allows(&["WSGIRestrictEmbedded On", alias]));
    }

    #[test]
    fn a_group_that_nobody_defines_is_found_with_its_place() {
        let mut reader = read(&["WSGIProcessGroup later", "WSGIDaemonProcess later", "WSGIScriptAlias / /a.wsgi process-group=lost"]);
        let texts: Vec<_> = reader.global.unknown_groups().iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            ["WSGIScriptAlias at test.conf:3: there is no daemon group 'lost'; defined are: 'later'. Define it with \
              'WSGIDaemonProcess lost', or name another"]
        );
        reader.read("WSGIDaemonProcess lost");
        assert_eq!(reader.global.unknown_groups(), []);
        assert!(read(&["WSGIProcessGroup x"]).global.unknown_groups()[0].to_string().contains("no group is defined. Define it"));
    }
}
