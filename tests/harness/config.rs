//! The configuration of a test's httpd, built up from what the test says.
//!
//! Snippets see `${ROOT}` (the server's folder), `${APPS}` (its applications) and `${PORT}`, by httpd's own `Define`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error_log::Expected;
use super::machine::{self, UnderTest};
use super::place::{self, Folder};
use super::python;
use super::{Httpd, Mode, Mpm};

/// An httpd that is being described.
#[derive(Debug)]
pub(crate) struct Builder {
    pub(super) folder: Folder,
    pub(super) port: u16,
    pub(super) expected: Expected,
    pub(super) environment: Vec<(String, String)>,
    mode: Option<Mode>,
    side: UnderTest,
    /// Where the module is, if not in the usual place.
    module: Option<PathBuf>,
    mpm: Mpm,
    modules: BTreeSet<&'static str>,
    daemon_options: String,
    log_level: &'static str,
    /// Above everything else, for what has to be known when the rest is read.
    preamble: String,
    body: String,
}

/// What `httpd -t` said.
#[derive(Clone, Debug)]
pub(crate) struct ConfigTest {
    /// Whether it would start.
    pub(crate) is_ok: bool,
    /// Its messages.
    pub(crate) output: String,
}

impl Builder {
    /// A server without any application, which serves static files from `htdocs`.
    pub(super) fn new(mode: Option<Mode>) -> Self {
        Self {
            folder: Folder::new(),
            port: place::free_port(),
            expected: Expected::default(),
            environment: Vec::new(),
            mode,
            side: machine::under_test(),
            module: None,
            mpm: machine::usual_mpm(),
            modules: BTreeSet::from(["authz_core", "alias", "dir", "mime", "env", "setenvif"]),
            daemon_options: "threads=5".to_owned(),
            log_level: "warn wsgi:info",
            preamble: String::new(),
            body: String::new(),
        }
    }

    /// Serves an application of `tests/apps` at `/`.
    #[must_use]
    pub(crate) fn app(self, name: &str) -> Self {
        self.mount("/", name)
    }

    /// Serves an application of `tests/apps` at a path.
    #[must_use]
    pub(crate) fn mount(self, path: &str, name: &str) -> Self {
        self.with_app(name).config(&format!("WSGIScriptAlias {path} ${{APPS}}/{name}"))
    }

    /// Copies an application of `tests/apps` to `${APPS}`.
    #[must_use]
    pub(crate) fn with_app(self, name: &str) -> Self {
        let source = place::checkout().join("tests/apps").join(name);
        let text = std::fs::read_to_string(&source).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
        self.file(&format!("apps/{name}"), &text)
    }

    /// Writes a file into the server's folder.
    #[must_use]
    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        self.folder.write(name, content);
        self
    }

    /// Writes a program into the server's folder.
    #[must_use]
    pub(crate) fn program(self, name: &str, content: &str) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.folder.write(name, content);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("the file is ours");
        self
    }

    /// Copies a file of `conf-examples/scripts` to a folder of this server.
    #[must_use]
    pub(crate) fn example_script(self, name: &str, folder: &str) -> Self {
        let text = read_example(&format!("scripts/{name}"));
        self.file(&format!("{folder}/{name}"), &text)
    }

    /// Loads a file of `conf-examples`, with its `Define`s set as a person would, relative to this server's folder, and with its port.
    #[must_use]
    pub(crate) fn example(self, name: &str, defines: &[(&str, &str)]) -> Self {
        self.example_without(name, defines, "\0")
    }

    /// The same without the lines that hold `text`.
    #[must_use]
    pub(crate) fn example_without(self, name: &str, defines: &[(&str, &str)], text: &str) -> Self {
        let mut config = String::new();
        let mut defined = BTreeSet::new();
        for line in read_example(name).lines().filter(|line| !line.contains(text)) {
            let mut words = line.split_whitespace();
            let define = words.next().filter(|word| *word == "Define").and(words.next());
            match define.and_then(|define| defines.iter().find(|(name, _)| *name == define)) {
                Some((name, value)) => {
                    defined.insert(*name);
                    config.push_str(&format!("Define {name} {}\n", self.folder.path().join(value).display()));
                }
                None => {
                    assert!(define.is_none(), "{name}: the test does not set {define:?}");
                    config.push_str(&line.replace("*:80>", &format!("*:{}>", self.port)));
                    config.push('\n');
                }
            }
        }
        assert_eq!(defined.len(), defines.len(), "{name} defines only {defined:?}");
        self.config(&config)
    }

    /// Adds directives.
    #[must_use]
    pub(crate) fn config(mut self, text: &str) -> Self {
        self.body.push_str(text);
        self.body.push('\n');
        self
    }

    /// Adds directives above all others.
    #[must_use]
    pub(crate) fn preamble(mut self, text: &str) -> Self {
        self.preamble.push_str(text);
        self.preamble.push('\n');
        self
    }

    /// The options of the daemon group `test`, which is the one that daemon mode uses.
    #[must_use]
    pub(crate) fn daemon_options(mut self, options: &str) -> Self {
        self.daemon_options = options.to_owned();
        self
    }

    /// Loads one more of httpd's modules.
    #[must_use]
    pub(crate) fn module(mut self, name: &'static str) -> Self {
        self.modules.insert(name);
        self
    }

    /// Loads the module of one side, whatever the rest of the suite runs against.
    #[must_use]
    pub(crate) fn side(mut self, side: UnderTest) -> Self {
        self.side = side;
        self
    }

    /// Loads the module under another name.
    #[must_use]
    pub(crate) fn loaded_from(mut self, module: PathBuf) -> Self {
        self.module = Some(module);
        self
    }

    /// Runs on this MPM, whatever the rest of the suite runs on.
    #[must_use]
    pub(crate) fn mpm(mut self, mpm: Mpm) -> Self {
        self.mpm = mpm;
        self
    }

    /// Lets so many clients connect at the same time: prefork needs a process for each of them, and otherwise makes one a second.
    #[must_use]
    pub(crate) fn for_clients(self, count: usize) -> Self {
        let is_prefork = self.mpm == Mpm::Prefork;
        if is_prefork { self.config(&format!("StartServers {count}\nMaxSpareServers {count}")) } else { self }
    }

    /// Sets `LogLevel`.
    #[must_use]
    pub(crate) fn log_level(mut self, level: &'static str) -> Self {
        self.log_level = level;
        self
    }

    /// Sets a variable of httpd's environment.
    #[must_use]
    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Declares a serious line that the log must hold in the end.
    #[must_use]
    pub(crate) fn expect_log(mut self, text: &str) -> Self {
        self.expected.required.push(text.to_owned());
        self
    }

    /// Declares a serious line that the log may hold.
    #[must_use]
    pub(crate) fn allow_log(mut self, text: &str) -> Self {
        self.expected.allowed.push(text.to_owned());
        self
    }

    /// Declares a traceback whose last line holds `text`, which may be empty.
    #[must_use]
    pub(crate) fn expect_traceback(mut self, text: &str) -> Self {
        self.expected.tracebacks = true;
        let this = self.allow_log("exception raised processing WSGI script");
        if text.is_empty() { this } else { this.expect_log(text) }
    }

    /// The folder of this server.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// One more port for this server.
    pub(crate) fn another_port(&self) -> u16 {
        place::free_port()
    }

    /// Starts it and waits until it answers.
    pub(crate) fn start(self) -> Httpd {
        let file = self.write();
        Httpd::start(self, &file)
    }

    /// Asks httpd whether it likes the configuration.
    pub(crate) fn test(&self) -> ConfigTest {
        let file = self.write();
        let output = Command::new(machine::httpd()).arg("-t").arg("-f").arg(file).output().expect("httpd can be run");
        let text = [output.stdout, output.stderr].concat();
        ConfigTest { is_ok: output.status.success(), output: String::from_utf8_lossy(&text).into_owned() }
    }

    fn write(&self) -> PathBuf {
        for folder in ["htdocs", "apps", "run"] {
            let path = self.folder.path().join(folder);
            std::fs::create_dir_all(&path).expect("the folder is ours");
            place::open_to_all(&path);
        }
        self.folder.write("httpd.conf", &self.text())
    }

    /// Whether the test says itself which Python the server's is.
    fn chooses_python(&self) -> bool {
        [&self.preamble, &self.body].iter().any(|text| text.contains("WSGIPythonHome"))
    }

    fn text(&self) -> String {
        let root = self.folder.path().display();
        let port = self.port;
        let modules = machine::httpd_modules().display();
        let mut text = format!(
            "Define ROOT {root}\nDefine APPS {root}/apps\nDefine PORT {port}\nServerRoot {root}\nDefaultRuntimeDir {root}/run\n\
             PidFile {root}/run/httpd.pid\nListen 127.0.0.1:{port}\nServerName localhost\nErrorLog {root}/error.log\n\
             LogLevel {level}\nTimeout 20\nKeepAliveTimeout 5\nAcceptFilter http none\n\
             LoadModule mpm_{mpm}_module {modules}/mod_mpm_{mpm}.so\n",
            level = self.log_level,
            mpm = self.mpm.name(),
        );
        for module in &self.modules {
            text.push_str(&format!("LoadModule {module}_module {modules}/mod_{module}.so\n"));
        }
        let module = self.module.as_deref().unwrap_or_else(|| machine::module_of(self.side));
        text.push_str(&format!("LoadModule wsgi_module {}\n", module.display()));
        text.push_str("LogFormat \"%h %t \\\"%r\\\" %>s %B\" plain\nCustomLog access.log plain\nTypesConfig /dev/null\n");
        text.push_str(match self.mpm {
            // One process, and as many more as there are connections: the next one within a second.
            Mpm::Prefork => "StartServers 1\nMinSpareServers 1\nMaxSpareServers 10\nMaxRequestWorkers 60\nServerLimit 60\n",
            Mpm::Event | Mpm::Worker => {
                "StartServers 1\nServerLimit 4\nThreadsPerChild 25\nMinSpareThreads 1\nMaxSpareThreads 100\nMaxRequestWorkers 100\n"
            }
        });
        if machine::is_root() {
            text.push_str(&format!("User {}\nGroup {}\n", machine::httpd_user(), machine::httpd_group()));
        }
        text.push_str("WSGISocketPrefix run/wsgi\nDocumentRoot ${ROOT}/htdocs\n");
        text.push_str("<Directory />\n    Require all denied\n    AllowOverride None\n</Directory>\n");
        text.push_str("<Directory ${ROOT}/htdocs>\n    Require all granted\n</Directory>\n<Directory ${APPS}>\n    Require all granted\n</Directory>\n");
        if let Some(home) = python::chosen().filter(|_| machine::under_test() == UnderTest::Ours && !self.chooses_python()) {
            text.push_str(&format!("WSGIPythonHome {}\n", home.display()));
        }
        // For the whole suite on a free-threaded Python.
        if std::env::var_os("WSGI_TEST_FREE_THREADING").is_some() && !self.body.contains("WSGIFreeThreading") {
            text.push_str("WSGIFreeThreading On\n");
        }
        text.push_str(&self.preamble);
        if self.mode == Some(Mode::Daemon) {
            text.push_str(&format!("WSGIDaemonProcess test {}\nWSGIProcessGroup test\n", self.daemon_options));
        }
        text.push_str(&self.body);
        text
    }
}

fn read_example(name: &str) -> String {
    let path = place::checkout().join("conf-examples").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
