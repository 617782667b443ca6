//! Ways to a script besides `WSGIScriptAlias`: handlers by name or extension, `Action`, `MultiViews`, `DirectoryIndex`, and what httpd
//! passes on there.

use crate::harness::{Builder, Httpd, Mode, Request};

const SCRIPTS: &str = "Alias /scripts ${APPS}\n<Directory ${APPS}>\nOptions +ExecCGI\nAddHandler wsgi-script .wsgi\n</Directory>";

fn server(mode: Mode) -> Builder {
    Httpd::new(mode).with_app("whoami.wsgi").with_app("handler.wsgi")
}

#[test]
fn a_handler_script_serves_resources_of_its_kind() {
    for mode in Mode::ALL {
        let httpd = server(mode)
            .config("WSGIHandlerScript page ${APPS}/handler.wsgi\nAddHandler page .page")
            .config("<Location /virtual>\nSetHandler page\n</Location>")
            .file("htdocs/a.page", "content\n")
            .start();
        let facts = httpd.get("/a.page/more").facts();
        let root = httpd.root().display();
        assert_eq!((facts.get("SCRIPT_NAME"), facts.get("PATH_INFO")), ("/a.page", "/more"), "{mode:?}");
        assert_eq!(facts.get("SCRIPT_FILENAME"), format!("{root}/htdocs/a.page"));
        assert_eq!(facts.get("mod_wsgi.handler_script"), format!("{root}/apps/handler.wsgi"));
        assert_eq!(facts.get("mod_wsgi.request_handler"), "page");
        assert_eq!(httpd.get("/virtual").status, 200, "the resource need not exist");
    }
}

#[test]
fn an_action_leads_to_a_script() {
    for mode in Mode::ALL {
        let httpd = server(mode)
            .module("actions")
            .config("WSGIScriptAlias /run ${APPS}/whoami.wsgi\nAction text-page /run\nAddHandler text-page .page")
            .file("htdocs/a.page", "content\n")
            .start();
        let facts = httpd.get("/a.page").facts();
        assert_eq!((facts.get("script"), facts.get("path_info")), ("/run", "/a.page"), "{mode:?}");
    }
}

#[test]
fn a_script_is_found_without_its_extension() {
    for mode in Mode::ALL {
        let httpd = server(mode)
            .module("negotiation")
            .config(SCRIPTS)
            .config("<Directory ${APPS}>\nOptions +MultiViews\nMultiviewsMatch Handlers\n</Directory>");
        let httpd = httpd.start();
        let facts = httpd.get("/scripts/whoami/more").facts();
        assert_eq!((facts.get("script"), facts.get("path_info")), ("/scripts/whoami.wsgi", "/more"), "{mode:?}");
    }
}

#[test]
fn a_script_may_be_the_index_of_a_directory() {
    for mode in Mode::ALL {
        let httpd = server(mode).config(SCRIPTS).config("<Directory ${APPS}>\nDirectoryIndex whoami.wsgi\n</Directory>").start();
        let facts = httpd.get("/scripts/").facts();
        assert_eq!((facts.get("script"), facts.get("path_info")), ("/scripts/whoami.wsgi", ""), "{mode:?}");
    }
}

#[test]
fn an_application_may_stand_in_for_what_is_not_there() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .with_app("whoami.wsgi")
            .file("htdocs/folder/.keep", "")
            .config("WSGIScriptAlias /app ${APPS}/whoami.wsgi application-group=chosen\nFallbackResource /app/fallback")
            .config("<Directory ${ROOT}/htdocs/folder>\nFallbackResource disabled\nDirectoryIndex /app/index\n</Directory>")
            .start();
        for (target, path_info) in [("/folder/", "/index"), ("/nowhere", "/fallback"), ("/not/at/all?q", "/fallback")] {
            let facts = httpd.get(target).facts();
            assert_eq!((facts.get("script"), facts.get("path_info")), ("/app", path_info), "{mode:?} {target}");
            assert_eq!(facts.get("application_group"), "chosen", "the alias and its options count: {mode:?} {target}");
        }
    }
}

#[test]
fn credentials_are_passed_where_httpd_passes_them_to_cgi() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("environ.wsgi").config("<Directory ${APPS}>\nCGIPassAuth On\n</Directory>").start();
        let request = Request::get("/").header("Authorization", "Basic eDp5").header("Proxy-Authorization", "Basic YTpi");
        let environ = httpd.ask(&request).text();
        assert!(environ.contains("HTTP_AUTHORIZATION\tstr\t'Basic eDp5'"), "{mode:?}: {environ}");
        assert!(environ.contains("HTTP_PROXY_AUTHORIZATION\tstr\t'Basic YTpi'"), "{mode:?}: {environ}");
    }
}

#[test]
fn httpds_record_is_passed_in_its_own_process_only() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .mount("/off", "record.wsgi")
            .mount("/on", "record.wsgi")
            .config("<Location /on>\nWSGIPassApacheRequest On\n</Location>")
            .start();
        assert_eq!(httpd.get("/off").text(), "None\n");
        let record = httpd.get("/on").text();
        match mode {
            Mode::Embedded => assert!(record.starts_with("<capsule object NULL at 0x"), "{record}"),
            Mode::Daemon => assert_eq!(record, "None\n"),
        }
    }
}

#[test]
fn htaccess_files_may_not_choose_what_the_server_runs() {
    for directive in ["WSGIHandlerScript page /srv/other/users.py", "WSGIDispatchScript /srv/other/users.py"] {
        let httpd = Httpd::new(Mode::Embedded)
            .app("hello.wsgi")
            .config("<Directory ${APPS}>\nAllowOverride All\n</Directory>")
            .file("apps/.htaccess", directive)
            .expect_log("not allowed here")
            .start();
        assert_eq!(httpd.get("/").status, 500, "{directive}");
    }
    only_ours!("WSGIPassApacheRequest is refused in .htaccess, though documented there");
    let httpd = Httpd::new(Mode::Embedded)
        .app("record.wsgi")
        .config("<Directory ${APPS}>\nAllowOverride FileInfo\n</Directory>")
        .file("apps/.htaccess", "WSGIPassApacheRequest On\n")
        .start();
    assert!(httpd.get("/").text().starts_with("<capsule object"));
}
