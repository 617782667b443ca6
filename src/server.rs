//! The server's life: what happens when httpd has read its configuration, and when a child begins and ends.

#![forbid(unsafe_code)]

use crate::apache::pool::Pool;
use crate::apache::server::{self, Server};
use crate::apache::{child as mpm, log, scoreboard};
use crate::config::options::Global;
use crate::{daemon, embedded};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use wire::codes;
use wire::log::Level;
use wire::settings::EmbeddedSettings;

/// The configuration has been read as a whole, by `configtest` too: what only the whole can show to be wrong. Returns whether it is right.
pub(crate) fn check(main: Server<'_>) -> bool {
    let unknown = main.global().map(Global::unknown_groups).unwrap_or_default();
    for group in &unknown {
        log::server(main, codes::GROUP_UNDEFINED.level, &codes::GROUP_UNDEFINED.line(group));
    }
    unknown.is_empty()
}

/// The real reading of the configuration is complete: in the parent, at its start and at each restart.
pub(crate) fn start(pool: Pool<'_>, main: Server<'_>) {
    let Some(global) = main.global() else { return };
    server::add_version_component(pool, IMPLEMENTATION);
    for notice in &global.mentions.notices {
        match notice.code {
            Some(code) => log::server(main, code.level, &code.line(&notice.text)),
            None => log::server(main, Level::Info, &notice.text),
        }
    }
    daemon::start_groups(pool, main, global);
    await_former_children();
}

/// How long children that are about to end are waited for.
const ABOUT_TO_END: Duration = Duration::from_millis(100);

/// Lets the children end that a graceful restart has told to, if they have nothing left to do.
///
/// httpd looks for ended children right after this and starts another for each. If it finds none it looks again after a second, and until
/// then nobody accepts a connection. Those that finish requests end later, in their own time.
fn await_former_children() {
    let children = scoreboard::children();
    let deadline = Instant::now() + ABOUT_TO_END;
    while Instant::now() < deadline && !children.iter().all(|child| sys::process::has_ended(*child)) {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What the `Server` header says of us.
const IMPLEMENTATION: &std::ffi::CStr =
    match std::ffi::CStr::from_bytes_with_nul(concat!("mod_wsgi-rust/", env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(name) => name,
        Err(_) => panic!("a version has no NUL"),
    };

/// A child begins: it keeps nothing of the parent's that is not for it, and starts Python if it is likely to need it.
pub(crate) fn start_child(pool: Pool<'_>, main: Server<'_>) {
    daemon::start_child(pool, main);
    let Some(global) = main.global() else { return };
    if !global.allows_embedded() {
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
    EmbeddedSettings { python: global.embedded_python(facts()), imports: global.imports_of(b""), log_level: main.log_level() }
}

/// Facts about httpd for the application's modules.
pub(crate) fn facts() -> wire::settings::Server {
    let mpm = mpm::mpm();
    wire::settings::Server {
        apache_version: server::version(),
        description: server::description().to_string_lossy().into_owned(),
        mpm_name: server::mpm_name().to_string_lossy().into_owned(),
        build_date: server::built().to_string_lossy().into_owned(),
        maximum_processes: mpm.processes,
        threads_per_process: mpm.threads,
    }
}

/// This httpd child.
struct Child {
    pid: u32,
    pid_text: String,
}

static CHILD: OnceLock<Child> = OnceLock::new();

fn child() -> &'static Child {
    // The parent serves no requests: whoever comes here first is the child itself.
    CHILD.get_or_init(|| Child { pid: std::process::id(), pid_text: std::process::id().to_string() })
}

/// The pid of this child, which serves requests.
pub(crate) fn pid() -> u32 {
    child().pid
}

/// The same, as text.
pub(crate) fn pid_text() -> &'static str {
    &child().pid_text
}

/// A file of ours, beside mod_wsgi.so, or beside what a link of that name leads to: distributions call the module `mod_wsgi_python3.so`.
pub(crate) fn beside_us(name: &str) -> PathBuf {
    let own = sys::process::file_of_this_library().unwrap_or_else(|| PathBuf::from("."));
    let beside = own.with_file_name(name);
    if beside.exists() {
        return beside;
    }
    // A failure names the place where it was looked for first.
    own.canonicalize().map(|own| own.with_file_name(name)).ok().filter(|path| path.exists()).unwrap_or(beside)
}
