//! Options of interpreters: `<WSGIInterpreterOptions>`, switch intervals, locks of their own.

use crate::harness::{Builder, Httpd, Mode, python};

/// Shows what `<WSGIInterpreterOptions>` can change of its interpreter.
const SCRIPT: &str = "import sys\n\
    def application(environ, start_response):\n\
    \x20   try:\n\
    \x20       sys.stdin.read\n\
    \x20       stdin = 'free'\n\
    \x20   except OSError:\n\
    \x20       stdin = 'restricted'\n\
    \x20   path = [entry for entry in sys.path if '/lib-' in entry and 'dynload' not in entry]\n\
    \x20   start_response('200 OK', [])\n\
    \x20   names = [entry.rsplit('/lib-')[1] for entry in path]\n\
    \x20   return [f'{stdin} {sys.getswitchinterval():.3f} {\",\".join(names)}'.encode()]\n";

fn server(mode: Mode) -> Builder {
    let server = Httpd::new(mode).file("apps/show.wsgi", SCRIPT);
    let server = ["base", "any", "group", "app", "both"].iter().fold(server, |server, name| server.file(&format!("lib-{name}/.keep"), ""));
    server.config("WSGIScriptAlias /main ${APPS}/show.wsgi application-group=%{GLOBAL}\nWSGIScriptAlias /one ${APPS}/show.wsgi application-group=one\nWSGIScriptAlias /two ${APPS}/show.wsgi application-group=two")
}

#[test]
fn a_container_is_for_some_interpreters() {
    if python::runs_without_lock() {
        return;
    }
    for mode in Mode::ALL {
        let group = if mode == Mode::Daemon { "test" } else { "%{GLOBAL}" };
        let httpd = server(mode)
            .daemon_options("threads=2 python-path=${ROOT}/lib-base")
            .config("WSGIPythonPath ${ROOT}/lib-base")
            .config(&format!("<WSGIInterpreterOptions process-group={group} application-group=one>\nWSGIPythonPath ${{ROOT}}/lib-both\nWSGIRestrictStdin Off\n</WSGIInterpreterOptions>"))
            .config("<WSGIInterpreterOptions application-group=one>\nWSGIPythonPath ${ROOT}/lib-app\nWSGIRestrictStdin On\n</WSGIInterpreterOptions>")
            .config(&format!("<WSGIInterpreterOptions process-group={group}>\nWSGIPythonPath ${{ROOT}}/lib-group\n</WSGIInterpreterOptions>"))
            .config("<WSGIInterpreterOptions application-group=two>\nWSGIRestrictStdin On\n</WSGIInterpreterOptions>")
            .config("<WSGIInterpreterOptions>\nWSGIPythonPath ${ROOT}/lib-any\nWSGISwitchInterval 0.125\n</WSGIInterpreterOptions>")
            .config("<WSGIInterpreterOptions process-group=nobody>\nWSGISwitchInterval 0.5\n</WSGIInterpreterOptions>")
            .start();
        assert_eq!(httpd.get("/one").text(), "free 0.125 both,group,app,any,base", "{mode:?}");
        assert_eq!(httpd.get("/two").text(), "restricted 0.125 group,any,base", "{mode:?}");
        assert_eq!(httpd.get("/main").text(), "free 0.125 group,any,base", "{mode:?}");
    }
}

#[test]
fn only_options_of_interpreters_stand_in_a_container() {
    only_ours!("<WSGIInterpreterOptions> accepts any directive");
    for directive in ["Alias /x /y", "WSGIPythonHome /venv", "<Directory />\nRequire all granted\n</Directory>"] {
        let said =
            Httpd::bare().config(&format!("<WSGIInterpreterOptions>\nWSGIRestrictStdin On\n{directive}\n</WSGIInterpreterOptions>")).test();
        assert!(!said.is_ok && said.output.contains("not allowed in <WSGIInterpreterOptions>"), "{directive}: {}", said.output);
    }
    let said = Httpd::bare()
        .config("<WSGIInterpreterOptions>\n<IfModule mod_alias.c>\nWSGIRestrictStdin On\n</IfModule>\n</WSGIInterpreterOptions>")
        .test();
    assert!(said.is_ok, "{}", said.output);
}

#[test]
fn an_interval_belongs_to_the_lock() {
    if python::runs_without_lock() {
        return;
    }
    let httpd = server(Mode::Daemon)
        .config(
            "<WSGIInterpreterOptions application-group=one>\nWSGISwitchInterval 0.5\n</WSGIInterpreterOptions>\nWSGISwitchInterval 0.125",
        )
        .start();
    assert_eq!(httpd.get("/main").text(), "free 0.125 ");
    assert_eq!(httpd.get("/one").text(), "free 0.125 ");
    httpd.log().wait_for("WSGI0199");
}

#[test]
fn the_interval_of_a_group_counts_more_than_that_of_the_server() {
    if python::runs_without_lock() {
        return;
    }
    let httpd = server(Mode::Daemon).daemon_options("threads=2 switch-interval=0.25").config("WSGISwitchInterval 0.125").start();
    assert_eq!(httpd.get("/main").text(), "free 0.250 ");
    if !differs!("a new sub-interpreter sets the server's switch interval over the group's") {
        assert_eq!(httpd.get("/one").text(), "free 0.250 ");
    }
}

#[test]
fn a_lock_of_its_own_needs_a_python_that_can() {
    if python::chosen().and_then(python::version).is_some_and(|version| can_have_own_locks(&version)) {
        return;
    }
    let config = "WSGIPerInterpreterGIL On";
    let httpd = server(Mode::Daemon).config(config).start();
    assert_eq!(httpd.get("/one").status, 200);
    httpd.log().wait_for("WSGI0198");
}

fn can_have_own_locks(version: &str) -> bool {
    version.trim_end_matches('t').strip_prefix("3.").and_then(|minor| minor.parse().ok()).is_some_and(|minor: u32| minor >= 13)
}

#[test]
fn an_interpreter_may_have_a_lock_of_its_own() {
    only_ours!("all daemon groups run on the Python that the module was built for");
    let Some((prefix, _)) = python::another().filter(|(_, version)| can_have_own_locks(version)) else {
        return crate::harness::not_on_this_machine("there is no second Python of version 3.13 or later");
    };
    let httpd = server(Mode::Daemon)
        .daemon_options(&format!("processes=1 threads=4 python-home={}", prefix.display()))
        .config(
            "WSGIPerInterpreterGIL On\n<WSGIInterpreterOptions application-group=one>\nWSGISwitchInterval 0.5\n</WSGIInterpreterOptions>",
        )
        .start();
    for _ in 0..20 {
        assert_eq!(httpd.get("/one").text(), "free 0.500 ");
        assert_eq!(httpd.get("/two").text(), "free 0.005 ");
        assert_eq!(httpd.get("/main").text(), "free 0.005 ");
    }
    assert_eq!(httpd.log().lines_with("with own GIL").len(), 2);
}

#[test]
fn an_extension_module_for_one_interpreter_is_named() {
    only_ours!("what a traceback about sub-interpreters means is left to the reader");
    for (text, name) in [
        ("PyO3 modules do not yet support subinterpreters, see issue 576", "_rust"),
        ("module _core does not support loading in subinterpreters", "_core"),
    ] {
        let httpd = Httpd::new(Mode::Embedded)
            .file("apps/needs.wsgi", &format!("raise ImportError({text:?}, name={name:?})\n"))
            .config("WSGIScriptAlias / ${APPS}/needs.wsgi")
            .expect_traceback("ImportError")
            .expect_log("WSGI0109")
            .expect_log("WSGI0349")
            .start();
        assert_eq!(httpd.get("/").status, 500);
        let line = httpd.log().wait_for("WSGI0349");
        assert!(line.contains(&format!("'{name}'")) && line.contains("WSGIApplicationGroup %{GLOBAL}"), "{line}");
    }
    let httpd = Httpd::new(Mode::Embedded)
        .file("apps/needs.wsgi", "raise ImportError('cannot load module more than once per process')\n")
        .config("WSGIScriptAlias / ${APPS}/needs.wsgi application-group=%{GLOBAL}")
        .expect_traceback("ImportError")
        .expect_log("WSGI0109")
        .start();
    assert_eq!(httpd.get("/").status, 500);
    assert_eq!(httpd.log().lines_with("WSGI0349").len(), 0, "it is in the main interpreter already");
}
