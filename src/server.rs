//! The server's life: what happens when httpd has read its configuration, and when a child begins and ends.

#![forbid(unsafe_code)]

use crate::apache::pool::Pool;
use crate::apache::server::{self, Server};
use crate::apache::{child, log};
use crate::config::options::{Global, InterpreterOptions};
use crate::{daemon, embedded};
use std::path::PathBuf;
use wire::codes;
use wire::log::Level;
use wire::settings::{EmbeddedSettings, Import, Octets, Python};

/// The real reading of the configuration is complete: in the parent, at its start and at each restart.
pub(crate) fn start(pool: Pool<'_>, main: Server<'_>) {
    let Some(global) = main.global() else { return };
    server::add_version_component(pool, IMPLEMENTATION);
    for notice in &global.mentions.notices {
        if notice.is_warning {
            log::server(main, Level::Warn, &codes::NO_EFFECT_YET.line(&notice.text));
        } else {
            log::server(main, Level::Info, &notice.text);
        }
    }
    daemon::start_groups(pool, main, global);
}

/// What the `Server` header says of us.
const IMPLEMENTATION: &std::ffi::CStr =
    match std::ffi::CStr::from_bytes_with_nul(concat!("mod_wsgi-rust/", env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(name) => name,
        Err(_) => panic!("a version has no NUL"),
    };

/// A child begins: it keeps nothing of the parent's that is not for it, and starts Python if it is likely to need it.
pub(crate) fn start_child(pool: Pool<'_>, main: Server<'_>) {
    daemon::start_child();
    let Some(global) = main.global() else { return };
    if global.restrict_embedded == Some(true)
        && !global.mentions.needs_embedded
        && !global.imports.iter().any(|import| import.needs_embedded)
    {
        return;
    }
    embedded::prepare(embedded_settings(main, global));
    // Registered before Python starts, so that it runs after what Python registers in this pool.
    pool.at_end(embedded::stop);
    if expects_embedded(main, global) {
        embedded::start();
    }
}

/// Whether some application is likely to run in this child. If none is, Python is started by the first request that needs it all the
/// same, and until then the child does not carry it.
fn expects_embedded(main: Server<'_>, global: &Global) -> bool {
    let imports = global.imports.iter().any(|import| import.process_group.is_empty());
    let aliases = main.all().any(|server| {
        let directive = &server.directory_defaults().process_group;
        server.options().aliases.iter().any(|alias| {
            let group = alias.options.process_group.as_ref().or(directive.as_ref());
            group.is_none_or(|template| template.literal().is_none_or(<[u8]>::is_empty))
        })
    });
    imports || aliases || global.mentions.needs_embedded
}

fn embedded_settings(main: Server<'_>, global: &Global) -> EmbeddedSettings {
    let imports = global.imports.iter().filter(|import| import.process_group.is_empty()).map(|import| Import {
        script: Octets::from(import.script.clone()),
        application_group: Octets::from(import.application_group.clone()),
    });
    let mut python = python(global, &global.interpreter);
    python.path = octets_of(global.interpreter.python_path.as_deref().unwrap_or_default());
    python.eggs = global.python_eggs.clone().map(Octets::from);
    EmbeddedSettings { python, imports: imports.collect(), log_level: main.log_level() }
}

/// What Python is told in either mode; path and eggs are the caller's.
pub(crate) fn python(global: &Global, options: &InterpreterOptions) -> Python {
    let mpm = child::mpm();
    Python {
        home: global.python_home.clone().map(Octets::from),
        path: Vec::new(),
        eggs: None,
        optimize: global.python_optimize.unwrap_or(0),
        dont_write_bytecode: global.dont_write_bytecode.unwrap_or(false),
        warnings: global.python_warnings.clone(),
        hash_seed: global.python_hash_seed.clone(),
        switch_interval: options.switch_interval,
        restrict_stdin: options.restrict_stdin.unwrap_or(false),
        restrict_stdout: options.restrict_stdout.unwrap_or(false),
        restrict_signal: options.restrict_signal.unwrap_or(true),
        destroy_interpreter: global.destroy_interpreter.unwrap_or(true),
        server: wire::settings::Server {
            apache_version: server::version(),
            description: server::description().to_string_lossy().into_owned(),
            mpm_name: server::mpm_name().to_string_lossy().into_owned(),
            build_date: server::built().to_string_lossy().into_owned(),
            maximum_processes: mpm.processes,
            threads_per_process: mpm.threads,
        },
    }
}

/// Paths as they travel.
pub(crate) fn octets_of(paths: &[Vec<u8>]) -> Vec<Octets> {
    paths.iter().cloned().map(Octets::from).collect()
}

/// A file of ours, beside mod_wsgi.so.
pub(crate) fn beside_us(name: &str) -> PathBuf {
    let own = sys::process::file_of_this_library().unwrap_or_else(|| PathBuf::from("."));
    own.parent().map_or_else(|| PathBuf::from(name), |folder| folder.join(name))
}
