//! Which Python an application runs on: `WSGIPythonHome` and `python-home=`.

use crate::harness::python::{self, venv};
use crate::harness::{Httpd, Mode};

#[test]
fn a_virtual_environment_may_be_the_home() {
    let home = venv("six-1.16", &["six==1.16.0"]);
    let script = "import six, sys\ndef application(environ, start_response):\n    start_response('200 OK', [])\n    return [f'{sys.prefix} {six.__version__}'.encode()]\n";
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .file("apps/six.wsgi", script)
            .preamble(&format!("WSGIPythonHome {}", home.display()))
            .config("WSGIScriptAlias / ${APPS}/six.wsgi")
            .start();
        assert_eq!(httpd.get("/").text(), format!("{} 1.16.0", home.display()), "{mode:?}: of the whole server");
    }
    let httpd = Httpd::new(Mode::Daemon)
        .file("apps/six.wsgi", script)
        .daemon_options(&format!("threads=2 python-home={}", home.display()))
        .config("WSGIScriptAlias / ${APPS}/six.wsgi")
        .start();
    assert_eq!(httpd.get("/").text(), format!("{} 1.16.0", home.display()), "of the group");
}

#[test]
fn a_home_that_is_none_is_an_answer_and_a_reason() {
    only_ours!("a python-home without a Python makes daemon processes crash in a loop, and requests hang");
    let httpd = Httpd::bare()
        .with_app("hello.wsgi")
        .config("WSGIDaemonProcess bad threads=2 python-home=${ROOT}/htdocs\nWSGIDaemonProcess good threads=2")
        .config("WSGIScriptAlias /good ${APPS}/hello.wsgi process-group=good\nWSGIScriptAlias / ${APPS}/hello.wsgi process-group=bad")
        .allow_log("htdocs")
        .allow_log("[client ")
        .allow_log("'bad'")
        .start();
    let began = std::time::Instant::now();
    assert_eq!(httpd.get("/").status, 503);
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
    httpd.log().wait_for("htdocs");
    assert_eq!(httpd.get("/good").text(), "Hello World!\n", "other groups are unharmed");
}

#[test]
fn another_version_of_python_serves_all_that_the_usual_one_does() {
    only_ours!("all daemon groups run on the Python that the module was built for");
    let Some((prefix, version)) = python::another() else {
        return crate::harness::not_on_this_machine("there is no second Python of version 3.10 or later");
    };
    let httpd = Httpd::new(Mode::Daemon)
        .daemon_options(&format!("processes=2 threads=5 python-home={}", prefix.display()))
        .mount("/who", "whoami.wsgi")
        .mount("/out", "output.wsgi")
        .mount("/in", "input.wsgi")
        .start();
    let facts = httpd.get("/who").facts();
    assert_eq!(facts.get("version"), format!("({})", version.replace('.', ", ")));
    assert_eq!(httpd.get("/out/generator").text(), "one two");
    assert_eq!(httpd.ask(&crate::harness::Request::post("/in/lines", b"a\nb")).text(), "[b'a\\n', b'b']\n[]\n");
}

#[test]
fn the_suite_runs_on_the_python_it_is_told_to() {
    let Some(python) = python::chosen() else { return };
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("whoami.wsgi").start();
        let (major, minor) = python::version(python)
            .and_then(|version| {
                let (major, minor) = version.split_once('.')?;
                Some((major.to_owned(), minor.trim_end_matches('t').to_owned()))
            })
            .expect("it can be run");
        assert_eq!(httpd.get("/").facts().get("version"), format!("({major}, {minor})"), "{mode:?}");
    }
}
