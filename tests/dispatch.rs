//! `WSGIDispatchScript`: a script in httpd's own process chooses group and callable of each request.

use crate::harness::{Builder, Httpd, Mode};

const DISPATCH: &str = "WSGIDispatchScript ${APPS}/dispatch.wsgi";

fn server(mode: Mode) -> Builder {
    Httpd::new(mode).preamble("WSGIDaemonProcess chosen threads=2").app("whoami.wsgi").with_app("dispatch.wsgi")
}

#[test]
fn a_script_chooses_the_process_group() {
    for mode in Mode::ALL {
        let httpd = server(mode).config(DISPATCH).start();
        let group = |query: &str| httpd.get(query).facts().get("process_group").to_owned();
        let configured = if mode == Mode::Daemon { "test" } else { "" };
        assert_eq!(group("/"), configured);
        assert_eq!(group("/?process_group=chosen"), "chosen", "{mode:?}");
        assert_eq!(group("/?process_group=%25%7BGLOBAL%7D"), "", "{mode:?}");
        assert_eq!(group("/?process_group="), "", "{mode:?}");
    }
}

#[test]
fn a_script_chooses_the_application_group_and_the_callable() {
    for mode in Mode::ALL {
        let httpd = server(mode).config(DISPATCH).start();
        let facts = httpd.get("/?application_group=octets&callable_object=other").facts();
        assert_eq!(facts.get("environ_application_group"), "main", "{mode:?}");
        assert_eq!((facts.get("called"), facts.get("callable")), ("other", "other"), "{mode:?}");
        let facts = httpd.get("/?application_group=%25%7BSERVER%7D").facts();
        assert_eq!(facts.get("environ_application_group"), "localhost", "{mode:?}");
    }
}

#[test]
fn a_script_that_fails_is_an_error_of_the_server() {
    let httpd = server(Mode::Daemon)
        .config(DISPATCH)
        .expect_traceback("told to fail")
        .allow_log("TypeError")
        .allow_log("UnicodeEncodeError")
        .allow_log("WSGI0348")
        .start();
    for query in ["process_group=raise", "application_group=odd", "callable_object=wide"] {
        assert_eq!(httpd.get(&format!("/?{query}")).status, 500, "{query}");
    }
}

#[test]
fn what_is_configured_holds_without_a_choice() {
    let httpd = server(Mode::Daemon)
        .config("WSGIDispatchScript ${APPS}/empty.py\n<Location /broken>\nWSGIDispatchScript ${APPS}/broken.py\n</Location>")
        .file("apps/empty.py", "\n")
        .file("apps/broken.py", "raise RuntimeError('at import')\n")
        .expect_traceback("RuntimeError: at import")
        .expect_log("WSGI0109")
        .start();
    assert_eq!(httpd.get("/").facts().get("process_group"), "test");
    assert_eq!(httpd.get("/broken").facts().get("process_group"), "test");
}

#[test]
fn a_choice_is_restricted_as_any_other() {
    let httpd = server(Mode::Daemon).config(DISPATCH).config("WSGIRestrictProcess test").expect_log("WSGI0149").start();
    assert_eq!(httpd.get("/?process_group=chosen").status, 500);
    assert_eq!(httpd.get("/?process_group=test").status, 200);
    let httpd = server(Mode::Daemon).config(DISPATCH).config("WSGIRestrictEmbedded On").expect_log("WSGI0143").start();
    assert_eq!(httpd.get("/?process_group=").status, 500);
    let httpd = server(Mode::Daemon).config(DISPATCH).expect_log("WSGI0151").start();
    assert_eq!(httpd.get("/?process_group=nobody").status, 500);
}

#[test]
fn the_script_is_told_of_the_request_without_changing_it() {
    let httpd = server(Mode::Daemon)
        .mount("/environ", "environ.wsgi")
        .config("WSGIDispatchScript ${APPS}/dispatch.wsgi application-group=deciders\nSetEnv TOLD 1")
        .expect_log("KEY")
        .start();
    assert_eq!(httpd.get("/x?environ").status, 200);
    let keys = httpd.log().wait_for_count("KEY ", 20);
    let has = |text: &str| keys.iter().any(|line| line.contains(&format!("KEY {text}")));
    assert!(has("TOLD='1'") && has("SCRIPT_NAME=''") && has("PATH_INFO='/x'") && has("mod_wsgi.process_group=''"), "{keys:#?}");
    assert!(has("mod_wsgi.application_group='deciders'") && has("SCRIPT_FILENAME="), "{keys:#?}");
    for absent in ["wsgi.input", "wsgi.version", "mod_wsgi.callable_object", "mod_wsgi.version", "apache.version", "mod_ssl"] {
        assert!(!has(absent), "{absent}: {keys:#?}");
    }
    assert!(!httpd.get("/environ?environ").text().contains("CHANGED"));
}

#[test]
fn the_script_is_loaded_again_when_it_changes() {
    let text = |name: &str| format!("def callable_object(environ):\n    return '{name}'\n");
    let httpd = server(Mode::Embedded).config("WSGIDispatchScript ${APPS}/choose.py").file("apps/choose.py", &text("application")).start();
    assert_eq!(httpd.get("/").facts().get("called"), "application");
    httpd.folder().write("apps/choose.py", &text("other"));
    assert_eq!(httpd.get("/").facts().get("called"), "other");
}
