//! What an interpreter of ours has that others have not: the `mod_wsgi` module, the streams, the types, the callbacks.
//!
//! A [`State`] is made when an interpreter is prepared and lives as long as it. Python objects that need it hold it themselves; no
//! static does.

#![forbid(unsafe_code)]

pub(crate) mod events;
mod functions;
pub(crate) mod metrics;

use crate::access::Ssl;
use crate::host::{HostSettings, LogSink, Mode};
use crate::python::{Attached, Class, Exception, Object, Type};
use crate::report::Place;
use crate::wsgi::environ::{Flags, Template};
use crate::wsgi::errors::Log;
use crate::wsgi::file_wrapper::FileWrapper;
use crate::wsgi::input::Input;
use crate::wsgi::response::Adapter;
use crate::wsgi::text::TextStreams;
use functions::Functions;
use metrics::{Figures, Meter};
use std::sync::Arc;
use wire::MOD_WSGI_VERSION;
use wire::settings::{InterpreterOptions, Python};

/// Our own name and version, `mod_wsgi.implementation`.
const IMPLEMENTATION: &str = concat!("mod_wsgi-rust/", env!("CARGO_PKG_VERSION"));

/// What an interpreter has of ours.
pub(crate) struct State {
    /// The interpreter in words.
    pub(crate) place: Place,
    /// The log of the process.
    pub(crate) sink: Arc<dyn LogSink>,
    /// Counts the requests of the process.
    pub(crate) meter: Arc<Meter>,
    /// Whether `WSGITelemetryService` is configured, which takes the figures for itself.
    has_telemetry: bool,
    /// Whether applications may have httpd's scoreboard, and who gives it.
    server_metrics: bool,
    scoreboard: Arc<dyn Fn() -> Option<Vec<u8>> + Send + Sync>,
    figures: Type<Figures>,
    /// Makes text streams.
    pub(crate) streams: TextStreams,
    /// `wsgi.input`.
    pub(crate) input: Type<Input>,
    /// `start_response` and `write`.
    pub(crate) adapter: Type<Adapter>,
    /// `mod_ssl.is_https` and `mod_ssl.var_lookup`.
    pub(crate) ssl: Type<Ssl>,
    /// `mod_wsgi.FileWrapper`.
    pub(crate) file_wrapper: Type<FileWrapper>,
    /// `mod_wsgi.RequestTimeout`.
    pub(crate) request_timeout: Object,
    /// The constant part of the environ.
    pub(crate) template: Template,
    /// `mod_wsgi.event_callbacks`.
    pub(crate) event_callbacks: Object,
    /// `mod_wsgi.shutdown_callbacks`.
    pub(crate) shutdown_callbacks: Object,
    /// `mod_wsgi.signal_callbacks`.
    pub(crate) signal_callbacks: Object,
    /// `mod_wsgi.active_requests`.
    pub(crate) active_requests: Object,
    /// The name `close`.
    pub(crate) close: Object,
    /// The module itself.
    module: Object,
    functions: Type<Functions>,
    /// Whether a script may end by `SystemExit`: a service script.
    pub(crate) may_exit: bool,
    /// Whether `subscribe_signals` has a meaning.
    daemon: bool,
}

impl State {
    /// Prepares the current interpreter for the application group `group`.
    pub(crate) fn prepare(
        py: Attached<'_>,
        settings: &HostSettings,
        options: &InterpreterOptions<'_>,
        place: Place,
        group: &str,
    ) -> Result<Arc<Self>, Exception> {
        let file_wrapper = Type::<FileWrapper>::new(py)?;
        let flags = Flags { multithread: settings.multithread, multiprocess: settings.multiprocess, run_once: settings.run_once };
        let state = Arc::new(Self {
            place,
            sink: Arc::clone(&settings.log),
            meter: Arc::clone(&settings.meter),
            has_telemetry: settings.python.has_telemetry,
            server_metrics: settings.python.server_metrics,
            scoreboard: Arc::clone(&settings.scoreboard),
            figures: Type::new(py)?,
            streams: TextStreams::new(py)?,
            input: Type::new(py)?,
            adapter: Type::new(py)?,
            ssl: Type::new(py)?,
            template: Template::new(py, flags, file_wrapper.object())?,
            file_wrapper,
            request_timeout: Exception::new_base_type(py, c"mod_wsgi.RequestTimeout")?,
            event_callbacks: py.list(&[])?,
            shutdown_callbacks: py.list(&[])?,
            signal_callbacks: py.list(&[])?,
            active_requests: py.dict()?,
            close: py.text("close")?,
            module: py.new_module(&py.text("mod_wsgi")?)?,
            functions: Type::new(py)?,
            may_exit: settings.mode.is_service(),
            daemon: settings.mode != Mode::Embedded,
        });
        state.fill_module(py, settings, group)?;
        state.run_script(py, settings, options)?;
        Ok(state)
    }

    /// Says in which application group the interpreter serves.
    pub(crate) fn set_group(&self, py: Attached<'_>, group: &str) -> Result<(), Exception> {
        self.module.set_attr(py, c"application_group", &py.text(group)?)
    }

    fn fill_module(self: &Arc<Self>, py: Attached<'_>, settings: &HostSettings, group: &str) -> Result<(), Exception> {
        let module = &self.module;
        let (major, minor, micro) = MOD_WSGI_VERSION;
        module.set_attr(py, c"version", &py.tuple(&[&py.int(major.into())?, &py.int(minor.into())?, &py.int(micro.into())?])?)?;
        module.set_attr(py, c"implementation", &py.text(IMPLEMENTATION)?)?;
        let process_group = if let Mode::Daemon { group, .. } = &settings.mode { group.as_str() } else { "" };
        module.set_attr(py, c"process_group", &py.text(process_group)?)?;
        module.set_attr(py, c"maximum_processes", &py.int(settings.maximum_processes.into())?)?;
        module.set_attr(py, c"threads_per_process", &py.int(settings.threads_per_process.into())?)?;
        module.set_attr(py, c"FileWrapper", self.file_wrapper.object())?;
        module.set_attr(py, c"RequestTimeout", &self.request_timeout)?;
        module.set_attr(py, c"active_requests", &self.active_requests)?;
        module.set_attr(py, c"event_callbacks", &self.event_callbacks)?;
        module.set_attr(py, c"shutdown_callbacks", &self.shutdown_callbacks)?;
        module.set_attr(py, c"signal_callbacks", &self.signal_callbacks)?;
        self.set_group(py, group)?;
        functions::add_public(py, self, module)?;
        metrics::add(py, self, module)
    }

    /// Executes `prepare.py`, which does what is said best in Python.
    fn run_script(self: &Arc<Self>, py: Attached<'_>, settings: &HostSettings, options: &InterpreterOptions<'_>) -> Result<(), Exception> {
        let globals = py.dict()?;
        globals.dict_set_name(py, c"__name__", &py.text("mod_wsgi_prepare")?)?;
        globals.dict_set_name(py, c"mod_wsgi", &self.module)?;
        globals.dict_set_name(py, c"stderr", &self.streams.wrap(py, Log::of_process("<stderr>", &self.sink))?)?;
        globals.dict_set_name(py, c"stdout", &self.streams.wrap(py, Log::of_process("<stdout>", &self.sink))?)?;
        globals.dict_set_name(py, c"settings", &script_settings(py, settings, options)?)?;
        functions::add_private(py, self, &globals)?;
        let file = py.text("<mod_wsgi prepare.py>")?;
        py.execute(&py.compile(&py.text(include_str!("module/prepare.py"))?, &file)?, &globals)
    }
}

/// The settings that `prepare.py` reads.
fn script_settings(py: Attached<'_>, settings: &HostSettings, options: &InterpreterOptions<'_>) -> Result<Object, Exception> {
    let Python { eggs, server, .. } = &settings.python;
    let InterpreterOptions { switch_interval, path, restrict_stdin, restrict_stdout, restrict_signal, .. } = options;
    let dict = py.dict()?;
    let layers = py.list(&[])?;
    for layer in path {
        let names = layer.iter().map(|name| py.file_name(name)).collect::<Result<Vec<_>, _>>()?;
        layers.list_append(py, &py.list(&names.iter().collect::<Vec<_>>())?)?;
    }
    dict.dict_set_name(py, c"path", &layers)?;
    let optional = |octets: Option<&[u8]>| octets.map_or_else(|| Ok(py.none()), |octets| py.file_name(octets));
    dict.dict_set_name(py, c"eggs", &optional(eggs.as_ref().map(|eggs| eggs.as_slice()))?)?;
    let (daemon, home) = match &settings.mode {
        Mode::Embedded => (false, None),
        Mode::Daemon { home, .. } => (true, home.as_ref().map(|home| home.as_slice())),
    };
    dict.dict_set_name(py, c"daemon", &py.bool(daemon))?;
    dict.dict_set_name(py, c"home", &optional(home)?)?;
    dict.dict_set_name(py, c"switch_interval", &switch_interval.map_or_else(|| Ok(py.none()), |seconds| py.float(seconds))?)?;
    dict.dict_set_name(py, c"restrict_stdin", &py.bool(*restrict_stdin))?;
    dict.dict_set_name(py, c"restrict_stdout", &py.bool(*restrict_stdout))?;
    dict.dict_set_name(py, c"restrict_signal", &py.bool(*restrict_signal && !settings.mode.is_service()))?;
    let (major, minor, patch) = server.apache_version;
    let version = py.tuple(&[&py.int(major.into())?, &py.int(minor.into())?, &py.int(patch.into())?])?;
    dict.dict_set_name(py, c"apache_version", &version)?;
    dict.dict_set_name(py, c"apache_description", &py.text(&server.description)?)?;
    dict.dict_set_name(py, c"apache_mpm_name", &py.text(&server.mpm_name)?)?;
    dict.dict_set_name(py, c"apache_build_date", &py.text(&server.build_date)?)?;
    dict.dict_set_name(py, c"apache_maximum_processes", &py.int(server.maximum_processes.into())?)?;
    dict.dict_set_name(py, c"apache_threads_per_process", &py.int(server.threads_per_process.into())?)?;
    Ok(dict)
}

const _: () = assert!(!<Functions as Class>::PUBLIC, "only we make the object behind mod_wsgi's functions");
