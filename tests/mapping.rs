//! Which URL runs which script: `WSGIScriptAlias` beside `Alias`, directories, access control, odd slashes.

use crate::harness::{Httpd, Mode};

#[test]
fn the_first_matching_alias_wins() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).mount("/app/inner", "whoami.wsgi").mount("/app", "environ.wsgi").mount("/hello", "hello.wsgi").start();
        assert_eq!(httpd.get("/app/inner/x").facts().get("path_info"), "/x");
        assert!(httpd.get("/app/x").text().contains("PATH_INFO\tstr\t'/x'"));
        assert_eq!(httpd.get("/hello").text(), "Hello World!\n");
        assert_eq!(httpd.get("/hello/").text(), "Hello World!\n");
        assert_eq!(httpd.get("/helloo").status, 404, "a prefix of a segment is no match");
        assert_eq!(httpd.get("/").status, 404);
    }
}

#[test]
fn slashes_are_compared_by_segment() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).mount("/one/two", "whoami.wsgi").start();
        for target in ["/one/two", "/one//two", "/one/two/", "//one/two//x"] {
            let facts = httpd.get(target).facts();
            assert_eq!(facts.get("script"), "/one/two", "{target}");
        }
    }
}

#[test]
fn an_alias_and_static_files_go_before_an_application_at_the_root() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .app("hello.wsgi")
            .config("Alias /robots.txt ${ROOT}/htdocs/robots.txt\nAlias /media/ ${ROOT}/htdocs/media/")
            .file("htdocs/robots.txt", "User-agent: *\n")
            .file("htdocs/media/a.css", "a {}\n")
            .start();
        assert_eq!(httpd.get("/robots.txt").text(), "User-agent: *\n");
        assert_eq!(httpd.get("/media/a.css").text(), "a {}\n");
        assert_eq!(httpd.get("/media/none.css").status, 404, "no such file is not a case for the application");
        assert_eq!(httpd.get("/other").text(), "Hello World!\n");
    }
}

#[test]
fn a_folder_of_scripts_may_be_the_target() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .with_app("hello.wsgi")
            .with_app("whoami.wsgi")
            .config("WSGIScriptAlias /apps/ ${APPS}/")
            .expect_log("WSGI0135")
            .expect_log("WSGI0136")
            .start();
        assert_eq!(httpd.get("/apps/hello.wsgi").text(), "Hello World!\n");
        let facts = httpd.get("/apps/whoami.wsgi/more").facts();
        assert_eq!((facts.get("script"), facts.get("path_info")), ("/apps/whoami.wsgi", "/more"));
        assert_eq!(httpd.get("/apps/none.wsgi").status, 404);
        assert_eq!(httpd.get("/apps/").status, 403);
    }
}

#[test]
fn a_pattern_may_name_the_script() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).with_app("whoami.wsgi").config("WSGIScriptAliasMatch ^/run/([a-z]+) ${APPS}/$1.wsgi").start();
        let facts = httpd.get("/run/whoami/more").facts();
        assert_eq!((facts.get("script"), facts.get("path_info")), ("/run/whoami", "/more"));
        assert_eq!(httpd.get("/run/").status, 404);
    }
}

#[test]
fn the_folder_of_a_script_needs_the_grant() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .with_app("hello.wsgi")
            .file("elsewhere/hello.wsgi", "application = None\n")
            .config("WSGIScriptAlias / ${ROOT}/elsewhere/hello.wsgi")
            .expect_log("AH01630: client denied by server configuration")
            .start();
        assert_eq!(httpd.get("/").status, 403, "{mode:?}");
    }
}

#[test]
fn a_script_that_is_not_there_is_a_404() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).config("WSGIScriptAlias / ${APPS}/none.wsgi").expect_log("WSGI0135").start();
        assert_eq!(httpd.get("/").status, 404, "{mode:?}");
    }
}

#[test]
fn encoded_slashes_follow_httpds_rule() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("whoami.wsgi").start();
        assert_eq!(httpd.get("/a%2Fb").status, 404);
        let httpd = Httpd::new(mode).app("whoami.wsgi").config("AllowEncodedSlashes NoDecode").start();
        assert_eq!(httpd.get("/a%2Fb").facts().get("path_info"), "/a%2Fb");
    }
}

#[test]
fn a_handler_needs_exec_cgi() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .with_app("whoami.wsgi")
            .with_app("hello.wsgi")
            .config("Alias /scripts ${APPS}\nAddHandler wsgi-script .wsgi")
            .config("<Directory ${APPS}>\nOptions ExecCGI\n</Directory>\n<Files hello.wsgi>\nOptions -ExecCGI\n</Files>")
            .expect_log("WSGI0134")
            .start();
        let facts = httpd.get("/scripts/whoami.wsgi/more").facts();
        assert_eq!((facts.get("script"), facts.get("path_info")), ("/scripts/whoami.wsgi", "/more"));
        assert_eq!(httpd.get("/scripts/hello.wsgi").status, 403);
    }
}
