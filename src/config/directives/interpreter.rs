//! What can be said of some interpreters within `<WSGIInterpreterOptions>`, and of all outside of it.

use super::{Apply, Context, Definition, DirectiveError, Effect, Site};
use crate::config::expand::Template;
use crate::config::options::{Block, Global, Notice};
use crate::config::value::{self, Arguments, text};

pub(super) const INTERPRETER_OPTIONS: Definition = Definition {
    name: c"<WSGIInterpreterOptions",
    context: Context::Global,
    help: c"Container for options of the interpreters of a process-group= and application-group=; either left out is any.",
    effect: Effect::Works,
    apply: Apply::Block(interpreter_options),
};

pub(super) const PYTHON_PATH: Definition = Definition {
    name: c"WSGIPythonPath",
    context: Context::GlobalOrBlock,
    help: c"Directories for sys.path in embedded mode, with colons between them.",
    effect: Effect::Works,
    apply: Apply::Global(python_path),
};

pub(super) const SWITCH_INTERVAL: Definition = Definition {
    name: c"WSGISwitchInterval",
    context: Context::GlobalOrBlock,
    help: c"Seconds after which Python lets another thread run.",
    effect: Effect::Works,
    apply: Apply::Global(switch_interval),
};

pub(super) const PER_INTERPRETER_GIL: Definition = Definition {
    name: c"WSGIPerInterpreterGIL",
    context: Context::GlobalOrBlock,
    help: c"Give each interpreter a lock of its own.",
    effect: Effect::Works,
    apply: Apply::Global(|site, raw, global| set(site, raw, &mut global.interpreter_options().per_interpreter_gil)),
};

pub(super) const FREE_THREADING: Definition = Definition {
    name: c"WSGIFreeThreading",
    context: Context::GlobalOrBlock,
    help: c"Run a free-threaded Python without its global lock.",
    effect: Effect::Works,
    apply: Apply::Global(free_threading),
};

pub(super) const RESTRICT_STDIN: Definition = Definition {
    name: c"WSGIRestrictStdin",
    context: Context::GlobalOrBlock,
    help: c"Refuse applications to read sys.stdin.",
    effect: Effect::Works,
    apply: Apply::Global(|site, raw, global| set(site, raw, &mut global.interpreter_options().restrict_stdin)),
};

pub(super) const RESTRICT_STDOUT: Definition = Definition {
    name: c"WSGIRestrictStdout",
    context: Context::GlobalOrBlock,
    help: c"Refuse applications to write to sys.stdout.",
    effect: Effect::Works,
    apply: Apply::Global(|site, raw, global| set(site, raw, &mut global.interpreter_options().restrict_stdout)),
};

pub(super) const RESTRICT_SIGNAL: Definition = Definition {
    name: c"WSGIRestrictSignal",
    context: Context::GlobalOrBlock,
    help: c"Keep applications from registering signal handlers.",
    effect: Effect::Works,
    apply: Apply::Global(|site, raw, global| set(site, raw, &mut global.interpreter_options().restrict_signal)),
};

fn set(site: &Site<'_>, raw: &[u8], option: &mut Option<bool>) -> Result<(), DirectiveError> {
    *option = Some(site.flag(raw)?);
    Ok(())
}

/// A process has the lock or has not: what is said of one of its application groups is understood, and without effect.
fn free_threading(site: &Site<'_>, raw: &[u8], global: &mut Global) -> Result<(), DirectiveError> {
    set(site, raw, &mut global.interpreter_options().free_threading)?;
    if global.open_block().is_some_and(|block| block.application_group.is_some()) {
        global.mentions.note(Notice::free_threading_of_one(site.place()));
    }
    Ok(())
}

fn python_path(site: &Site<'_>, raw: &[u8], global: &mut Global) -> Result<(), DirectiveError> {
    let list = site.one(raw, "one argument, directories with colons between them")?;
    global.interpreter_options().python_path = Some(value::path_list(&list));
    Ok(())
}

fn switch_interval(site: &Site<'_>, raw: &[u8], global: &mut Global) -> Result<(), DirectiveError> {
    let given = site.one(raw, "one argument, a number of seconds")?;
    let seconds = value::number(&given, |seconds| seconds > 0.0, "a number above 0").map_err(|not_a| {
        let given = text(&given);
        DirectiveError::Rule(format!("WSGISwitchInterval must be a positive number of seconds. '{given}' {not_a}, such as 0.005"))
    })?;
    global.interpreter_options().switch_interval = Some(seconds);
    Ok(())
}

fn interpreter_options(site: &Site<'_>, raw: &[u8], global: &mut Global) -> Result<(), DirectiveError> {
    let rule = |text: String| DirectiveError::Rule(format!("<{}>{text}", site.directive));
    let raw = raw.trim_ascii_end();
    let Some(raw) = raw.strip_suffix(b">") else {
        return Err(rule(" directive missing closing '>'".to_owned()));
    };
    let mut block = Block::default();
    let mut arguments = Arguments::new(raw);
    while let Some(selector) = arguments.option() {
        let (name, value) = selector.map_err(|given| rule(format!(": argument '{}' is not of the form key=value", given.0)))?;
        let slot = match name.to_ascii_lowercase().as_str() {
            "process-group" => &mut block.process_group,
            "application-group" => &mut block.application_group,
            _ => return Err(rule(format!(": unknown selector '{name}', expected process-group or application-group"))),
        };
        if slot.replace(Template::global_or_name(&value)).is_some() {
            return Err(rule(format!(": {} given more than once", name.to_ascii_lowercase())));
        }
    }
    global.begin_block(block);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Reader;
    use crate::config::options::{Block, InterpreterOptions};

    #[test]
    fn options_belong_to_the_container_or_to_all() {
        let mut reader = Reader::new();
        reader
            .read("WSGIRestrictStdin On")
            .read("<WSGIInterpreterOptions Process-Group='my app' application-group=%{GLOBAL}>")
            .read("WSGIRestrictStdin Off")
            .read("WSGISwitchInterval 0.01")
            .read("WSGIPythonPath /a:/b");
        reader.global.close_block();
        reader.read("WSGIRestrictSignal Off");
        let outside = InterpreterOptions { restrict_stdin: Some(true), restrict_signal: Some(false), ..Default::default() };
        let inside = InterpreterOptions {
            restrict_stdin: Some(false),
            switch_interval: Some(0.01),
            python_path: Some(vec![b"/a".to_vec(), b"/b".to_vec()]),
            ..Default::default()
        };
        assert_eq!(reader.global.interpreter, outside);
        let block = Block { process_group: Some(b"my app".to_vec()), application_group: Some(Vec::new()), options: inside };
        assert_eq!(reader.global.blocks, [block]);
    }

    #[test]
    fn each_flag_sets_its_own_option() {
        let options = |line: &str| {
            let mut reader = Reader::new();
            reader.read(line);
            reader.global.interpreter
        };
        let none = InterpreterOptions::default;
        assert_eq!(options("WSGIPerInterpreterGIL On"), InterpreterOptions { per_interpreter_gil: Some(true), ..none() });
        assert_eq!(options("WSGIFreeThreading On"), InterpreterOptions { free_threading: Some(true), ..none() });
        assert_eq!(options("WSGIRestrictStdout On"), InterpreterOptions { restrict_stdout: Some(true), ..none() });
    }

    #[test]
    fn a_container_has_two_selectors() {
        let mut reader = Reader::new();
        let refused = [
            ("process-group=a", "<WSGIInterpreterOptions> directive missing closing '>'"),
            ("app>", "<WSGIInterpreterOptions>: argument 'app' is not of the form key=value"),
            ("group=a>", "<WSGIInterpreterOptions>: unknown selector 'group', expected process-group or application-group"),
            ("process-group=a process-group=b>", "<WSGIInterpreterOptions>: process-group given more than once"),
        ];
        for (arguments, text) in refused {
            assert_eq!(reader.error(&format!("<WSGIInterpreterOptions {arguments}")), text);
        }
        reader.read("<WSGIInterpreterOptions >");
        assert_eq!(reader.global.open_block(), Some(&Block::default()));
    }

    #[test]
    fn nothing_else_stands_in_a_container() {
        let mut reader = Reader::new();
        reader.read("<WSGIInterpreterOptions >");
        assert_eq!(
            reader.error("WSGIPythonHome /venv"),
            "WSGIPythonHome not allowed in <WSGIInterpreterOptions>: write it outside of the container"
        );
        assert!(reader.error("<WSGIInterpreterOptions >").contains("not allowed in <WSGIInterpreterOptions>"));
    }

    #[test]
    fn an_interval_is_above_zero() {
        let mut reader = Reader::new();
        for wrong in ["0", "-1", "fast", "1s", "inf"] {
            let error = reader.error(&format!("WSGISwitchInterval {wrong}"));
            assert!(error.starts_with("WSGISwitchInterval must be a positive number of seconds."), "{error}");
        }
    }
}
