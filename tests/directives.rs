//! The effect of each directive that says how an application is found, started and called.

use crate::harness::{Httpd, Mode, Request};

#[test]
fn the_callable_may_have_another_name() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .mount("/default", "whoami.wsgi")
            .mount("/directive", "whoami.wsgi")
            .mount("/env", "whoami.wsgi")
            .with_app("whoami.wsgi")
            .config("WSGIScriptAlias /option ${APPS}/whoami.wsgi callable-object=other")
            .config("<Location /directive>\nWSGICallableObject other\n</Location>")
            .config("<Location /env>\nSetEnv NAME other\nWSGICallableObject %{ENV:NAME}\n</Location>")
            .start();
        for (path, name) in [("/default", "application"), ("/directive", "other"), ("/option", "other"), ("/env", "other")] {
            let facts = httpd.get(path).facts();
            assert_eq!((facts.get("called"), facts.get("callable")), (name, name), "{mode:?} {path}");
        }
    }
}

#[test]
fn a_callable_that_is_not_there_is_named() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("whoami.wsgi").config("WSGICallableObject nothing").expect_log("WSGI0089").start();
        let status = httpd.get("/").status;
        if mode == Mode::Daemon || !differs!("a missing callable is a 404 in embedded mode") {
            assert_eq!(status, 500, "{mode:?}");
        }
        assert!(httpd.log().wait_for("WSGI0089").contains("nothing"));
    }
}

#[test]
fn a_callable_may_be_made_when_it_is_asked_for() {
    only_ours!("a callable that the script makes when it is asked for (PEP 562) is not found");
    let script = "
def __getattr__(name):
    if name != 'application':
        raise AttributeError(name)
    def made(environ, start_response):
        start_response('200 OK', [('Content-Type', 'text/plain')])
        return [b'made']
    return made
";
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).file("apps/made.wsgi", script).config("WSGIScriptAlias / ${APPS}/made.wsgi").start();
        assert_eq!(httpd.get("/").text(), "made", "{mode:?}");
    }
}

#[test]
fn authorization_is_passed_when_asked() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .mount("/off", "whoami.wsgi")
            .mount("/on", "whoami.wsgi")
            .config("WSGIScriptAlias /option ${APPS}/whoami.wsgi pass-authorization=On")
            .config("<Location /on>\nWSGIPassAuthorization On\n</Location>")
            .start();
        for (path, value) in [("/off", "None"), ("/on", "Basic eDp5"), ("/option", "Basic eDp5")] {
            let facts = httpd.ask(&Request::get(path).header("Authorization", "Basic eDp5")).facts();
            assert_eq!(facts.get("authorization"), value, "{mode:?} {path}");
        }
    }
}

#[test]
fn directives_work_in_htaccess_files() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .app("whoami.wsgi")
            .config("<Directory ${APPS}>\nAllowOverride FileInfo\n</Directory>")
            .file("apps/.htaccess", "WSGICallableObject other\nWSGIPassAuthorization On\n")
            .start();
        let facts = httpd.ask(&Request::get("/").header("Authorization", "Basic eDp5")).facts();
        assert_eq!((facts.get("called"), facts.get("authorization")), ("other", "Basic eDp5"), "{mode:?}");
    }
}

#[test]
fn embedded_mode_can_be_forbidden() {
    let httpd = Httpd::bare()
        .with_app("whoami.wsgi")
        .config("WSGIRestrictEmbedded On\nWSGIDaemonProcess one threads=2")
        .config("WSGIScriptAlias /embedded ${APPS}/whoami.wsgi\nWSGIScriptAlias /daemon ${APPS}/whoami.wsgi process-group=one")
        .expect_log("WSGI0143")
        .start();
    assert_eq!(httpd.get("/embedded").status, 500);
    assert_eq!(httpd.get("/daemon").status, 200);
}

#[test]
fn python_path_comes_first() {
    let module = "where = 'on the path'\n";
    let httpd = Httpd::bare()
        .file("lib/one/first.py", module)
        .file("lib/two/second.py", module)
        .with_app("path.wsgi")
        .config("WSGIPythonPath ${ROOT}/lib/one:${ROOT}/lib/two\nWSGIScriptAlias / ${APPS}/path.wsgi")
        .start();
    let root = httpd.root().display();
    assert_eq!(httpd.get("/").text(), format!("{root}/lib/one\n{root}/lib/two\n"));

    let httpd = Httpd::new(Mode::Daemon)
        .file("lib/one/first.py", module)
        .file("lib/two/second.py", module)
        .daemon_options("threads=2 python-path=${ROOT}/lib/one:${ROOT}/lib/two")
        .app("path.wsgi")
        .start();
    let root = httpd.root().display();
    assert_eq!(httpd.get("/").text(), format!("{root}/lib/one\n{root}/lib/two\n"));
}

#[test]
fn a_script_has_the_name_that_mod_wsgi_gives_it() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("whoami.wsgi").start();
        let facts = httpd.get("/").facts();
        assert_eq!(facts.get("file"), format!("{}/apps/whoami.wsgi", httpd.root().display()));
        let name = facts.get("name");
        assert!(name.strip_prefix("_mod_wsgi_").is_some_and(|digest| digest.len() == 32), "{name}");
        assert_eq!(facts.get("argv"), "['mod_wsgi']");
        assert!(!facts.get("path").contains("/apps"), "the script's folder is not on the path: {}", facts.get("path"));
    }
}

#[test]
fn a_script_that_cannot_be_loaded_is_a_500_each_time() {
    for mode in Mode::ALL {
        for (script, code, reason) in [
            ("this is no Python\n", "WSGI0105", "SyntaxError"),
            ("raise KeyError('at import')\n", "WSGI0109", "KeyError: 'at import'"),
            ("import no_such_module\n", "WSGI0109", "ModuleNotFoundError"),
            ("raise SystemExit(3)\n", "WSGI0107", "SystemExit: 3"),
            ("application = 5\0\n", "WSGI0105", "source code string cannot contain null bytes"),
        ] {
            if script.contains('\0') && differs!("a script is read up to its first NUL") {
                continue;
            }
            let httpd = Httpd::new(mode)
                .file("apps/bad.wsgi", script)
                .config("WSGIScriptAlias / ${APPS}/bad.wsgi")
                .mount("/good", "hello.wsgi")
                .expect_traceback(reason)
                .expect_log(code)
                .allow_log("bad.wsgi")
                .start();
            for _ in 0..2 {
                assert_eq!(httpd.get("/x").status, 500, "{mode:?} {script}");
            }
        }
    }
}
