//! How Python starts, said once for the whole server.

use super::{Apply, Context, Definition, DirectiveError, Effect, Site};
use crate::config::options::Global;
use crate::config::value::{integer, text};

pub(super) const VERBOSE_DEBUGGING: Definition = Definition {
    name: c"WSGIVerboseDebugging",
    context: Context::Global,
    help: c"Accepted for mod_wsgi's sake: 'LogLevel wsgi:trace1' tells what happens inside.",
    effect: Effect::Replaced("'LogLevel wsgi:trace1' tells what happens inside"),
    apply: Apply::Global(|site, raw, _| site.flag(raw).map(drop)),
};

pub(super) const DONT_WRITE_BYTECODE: Definition = Definition {
    name: c"WSGIDontWriteBytecode",
    context: Context::Global,
    help: c"Do not write .pyc files.",
    effect: Effect::Works,
    apply: Apply::Global(|site, raw, global| set(site, raw, &mut global.dont_write_bytecode)),
};

pub(super) const PYTHON_WARNINGS: Definition = Definition {
    name: c"WSGIPythonWarnings",
    context: Context::Global,
    help: c"A filter for Python's warnings, as python -W takes it; may be repeated.",
    effect: Effect::Works,
    apply: Apply::Global(python_warnings),
};

pub(super) const PYTHON_OPTIMIZE: Definition = Definition {
    name: c"WSGIPythonOptimize",
    context: Context::Global,
    help: c"Python's optimisation: 0, 1 without assertions, 2 without documentation strings as well.",
    effect: Effect::Works,
    apply: Apply::Global(python_optimize),
};

pub(super) const PYTHON_HOME: Definition = Definition {
    name: c"WSGIPythonHome",
    context: Context::Global,
    help: c"The Python installation or virtual environment: an absolute path.",
    effect: Effect::Works,
    apply: Apply::Global(python_home),
};

pub(super) const PYTHON_EGGS: Definition = Definition {
    name: c"WSGIPythonEggs",
    context: Context::Global,
    help: c"Where Python eggs are unpacked in embedded mode (PYTHON_EGG_CACHE).",
    effect: Effect::Works,
    apply: Apply::Global(python_eggs),
};

pub(super) const PYTHON_HASH_SEED: Definition = Definition {
    name: c"WSGIPythonHashSeed",
    context: Context::Global,
    help: c"The seed of Python's hashes: random, or a number from 0 to 4294967295.",
    effect: Effect::Works,
    apply: Apply::Global(python_hash_seed),
};

pub(super) const DESTROY_INTERPRETER: Definition = Definition {
    name: c"WSGIDestroyInterpreter",
    context: Context::Global,
    help: c"End Python in order when a process exits.",
    effect: Effect::Works,
    apply: Apply::Global(|site, raw, global| set(site, raw, &mut global.destroy_interpreter)),
};

pub(super) const RESTRICT_EMBEDDED: Definition = Definition {
    name: c"WSGIRestrictEmbedded",
    context: Context::Global,
    help: c"Refuse to run applications in httpd's own processes.",
    effect: Effect::Works,
    apply: Apply::Global(|site, raw, global| set(site, raw, &mut global.restrict_embedded)),
};

pub(super) const CASE_SENSITIVITY: Definition = Definition {
    name: c"WSGICaseSensitivity",
    context: Context::Global,
    help: c"Whether the case of letters tells script paths apart.",
    effect: Effect::Works,
    apply: Apply::Global(|site, raw, global| set(site, raw, &mut global.case_sensitivity)),
};

fn set(site: &Site<'_>, raw: &[u8], option: &mut Option<bool>) -> Result<(), DirectiveError> {
    *option = Some(site.flag(raw)?);
    Ok(())
}

fn python_warnings(site: &Site<'_>, raw: &[u8], global: &mut Global) -> Result<(), DirectiveError> {
    global.python_warnings.push(site.one_text(raw, "one argument, a filter such as ignore::DeprecationWarning")?);
    Ok(())
}

fn python_optimize(site: &Site<'_>, raw: &[u8], global: &mut Global) -> Result<(), DirectiveError> {
    let given = site.one(raw, "one argument, 0, 1 or 2")?;
    let level = integer(&given, 0..=2);
    let level = level.map_err(|not_a| site.error("Invalid optimisation level.", format_args!("'{}' {not_a}", text(&given))))?;
    global.python_optimize = u8::try_from(level).ok();
    Ok(())
}

fn python_home(site: &Site<'_>, raw: &[u8], global: &mut Global) -> Result<(), DirectiveError> {
    let home = site.one(raw, "one argument, the directory of a Python installation or virtual environment")?;
    if !home.starts_with(b"/") {
        let given = text(&home);
        return Err(site.error("Python home is not absolute.", format_args!("write the whole path of '{given}', such as /srv/www/venv")));
    }
    global.python_home = Some(home);
    Ok(())
}

fn python_eggs(site: &Site<'_>, raw: &[u8], global: &mut Global) -> Result<(), DirectiveError> {
    global.python_eggs = Some(site.one(raw, "one argument, a directory")?);
    Ok(())
}

fn python_hash_seed(site: &Site<'_>, raw: &[u8], global: &mut Global) -> Result<(), DirectiveError> {
    let given = site.one_text(raw, "one argument, random or a number")?;
    let is_number = !given.is_empty() && given.bytes().all(|octet| octet.is_ascii_digit()) && given.parse::<u32>().is_ok();
    if given != "random" && !is_number {
        return Err(DirectiveError::Rule(format!(
            "WSGIPythonHashSeed must be \"random\" or an integer in range [0; 4294967295]; '{given}' is neither"
        )));
    }
    global.python_hash_seed = Some(given);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Reader;
    use super::*;

    #[test]
    fn python_is_told_once() {
        let mut reader = Reader::new();
        reader
            .read("WSGIPythonHome /srv/venv")
            .read("WSGIPythonEggs /var/cache/eggs")
            .read("WSGIPythonOptimize 2")
            .read("WSGIPythonHashSeed random")
            .read("WSGIDontWriteBytecode On")
            .read("WSGIDestroyInterpreter Off")
            .read("WSGIRestrictEmbedded On")
            .read("WSGICaseSensitivity Off");
        let mut expected = Global::default();
        expected.python_home = Some(b"/srv/venv".to_vec());
        expected.python_eggs = Some(b"/var/cache/eggs".to_vec());
        expected.python_optimize = Some(2);
        expected.python_hash_seed = Some("random".to_owned());
        expected.dont_write_bytecode = Some(true);
        expected.destroy_interpreter = Some(false);
        expected.restrict_embedded = Some(true);
        expected.case_sensitivity = Some(false);
        assert_eq!(reader.global, expected);
    }

    #[test]
    fn warnings_add_up() {
        let mut reader = Reader::new();
        reader.read("WSGIPythonWarnings ignore").read("WSGIPythonWarnings \"error:a b:UserWarning\"");
        assert_eq!(reader.global.python_warnings, ["ignore", "error:a b:UserWarning"]);
    }

    #[test]
    fn nonsense_is_refused() {
        let mut reader = Reader::new();
        let refused = [
            ("WSGIPythonHome venv", "Python home is not absolute. WSGIPythonHome: write the whole path of 'venv'"),
            ("WSGIPythonHome", "WSGIPythonHome takes one argument"),
            ("WSGIPythonOptimize 3", "Invalid optimisation level. WSGIPythonOptimize: '3' is not a whole number from 0 to 2"),
            ("WSGIPythonOptimize On", "Invalid optimisation level."),
            ("WSGIPythonHashSeed 4294967296", "WSGIPythonHashSeed must be \"random\" or an integer in range [0; 4294967295]; '4294967296'"),
            ("WSGIPythonHashSeed ''", "WSGIPythonHashSeed must be"),
            ("WSGIPythonHashSeed +5", "WSGIPythonHashSeed must be"),
            ("WSGIPythonEggs a b", "WSGIPythonEggs takes one argument, a directory"),
            ("WSGIVerboseDebugging yes", "WSGIVerboseDebugging must be one of: Off | On"),
            ("WSGIPythonWarnings", "WSGIPythonWarnings takes one argument"),
        ];
        for (line, text) in refused {
            let error = reader.error(line);
            assert!(error.starts_with(text), "{line}: {error}");
        }
        reader.read("WSGIPythonHashSeed 4294967295");
    }
}
