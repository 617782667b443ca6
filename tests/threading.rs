//! `WSGIFreeThreading`: a free-threaded Python with its lock and without, and what is said where there is no choice.

use crate::harness::{Builder, Httpd, Mode, python};

/// Tells of the lock; loads what needs it, which would switch it on if that were left to Python.
const SCRIPT: &str = "import sys\n\
    def application(environ, start_response):\n\
    \x20   start_response('200 OK', [])\n\
    \x20   return [f'{sys._is_gil_enabled()} {sys.getswitchinterval()}'.encode()]\n";

/// A server on a free-threaded Python, if there is one.
fn server(mode: Mode) -> Option<Builder> {
    let Some(prefix) = python::free_threaded() else {
        crate::harness::not_on_this_machine("there is no free-threaded Python for which a host was built");
        return None;
    };
    let server = Httpd::new(mode).file("apps/lock.wsgi", SCRIPT).preamble(&format!("WSGIPythonHome {}", prefix.display()));
    Some(server.config(
        "WSGIScriptAlias /main ${APPS}/lock.wsgi application-group=%{GLOBAL}\nWSGIScriptAlias /one ${APPS}/lock.wsgi application-group=one",
    ))
}

#[test]
fn a_free_threaded_python_keeps_its_lock_unless_told() {
    if python::runs_without_lock() {
        return;
    }
    only_ours!("mod_wsgi runs on the Python that it was built for");
    for mode in Mode::ALL {
        for (directive, locked) in [("", "True"), ("WSGIFreeThreading Off", "True"), ("WSGIFreeThreading On", "False")] {
            let Some(server) = server(mode) else { return };
            let httpd = server.config(directive).start();
            assert_eq!(httpd.get("/main").text(), format!("{locked} 0.005"), "{mode:?} {directive}");
            assert_eq!(httpd.get("/one").text(), format!("{locked} 0.005"), "{mode:?} {directive}");
        }
    }
}

#[test]
fn each_process_group_has_its_lock_or_has_none() {
    if python::runs_without_lock() {
        return;
    }
    only_ours!("mod_wsgi runs on the Python that it was built for");
    let Some(server) = server(Mode::Daemon) else { return };
    let httpd = server
        .config("WSGIDaemonProcess other threads=2\nWSGIScriptAlias /other ${APPS}/lock.wsgi process-group=other")
        .config("<WSGIInterpreterOptions process-group=other>\nWSGIFreeThreading On\n</WSGIInterpreterOptions>")
        .start();
    assert_eq!([httpd.get("/main").text(), httpd.get("/other").text()], ["True 0.005", "False 0.005"]);
}

#[test]
fn nothing_can_be_said_of_a_lock_that_is_not_there() {
    only_ours!("mod_wsgi runs on the Python that it was built for");
    let Some(server) = server(Mode::Daemon) else { return };
    let own = "<WSGIInterpreterOptions application-group=one>\nWSGISwitchInterval 0.5\nWSGIPerInterpreterGIL On\n</WSGIInterpreterOptions>";
    let httpd = server.config("WSGIFreeThreading On\nWSGISwitchInterval 0.125").config(own).start();
    assert_eq!([httpd.get("/main").text(), httpd.get("/one").text()], ["False 0.005", "False 0.005"]);
    httpd.log().wait_for("WSGI0202");
    assert!(httpd.log().wait_for("WSGI0203").contains("0.125"));
    assert_eq!(httpd.log().lines_with("WSGI0203").len(), 2);
}

#[test]
fn a_python_that_is_not_free_threaded_says_so() {
    for mode in Mode::ALL {
        if python::chosen().and_then(python::version).is_some_and(|version| version.ends_with('t')) {
            return;
        }
        let httpd = Httpd::new(mode).app("hello.wsgi").config("WSGIFreeThreading On").start();
        assert_eq!(httpd.get("/").status, 200, "{mode:?}");
        httpd.log().wait_for("WSGI0200");
    }
}

#[test]
fn an_application_group_cannot_do_without_the_lock_alone() {
    let container = "<WSGIInterpreterOptions application-group=one>\nWSGIFreeThreading On\n</WSGIInterpreterOptions>";
    let httpd = Httpd::new(Mode::Daemon).app("hello.wsgi").config(container).start();
    assert_eq!(httpd.get("/").status, 200);
    let told = httpd.log().lines_with("WSGI0201");
    if !differs!("each process says that WSGIFreeThreading of one application group has no effect, where ours says it once") {
        assert_eq!(told.len(), 1, "{told:?}");
    }
}
