//! Process groups and application groups: what shares its globals with what.

use crate::harness::{Httpd, Mode, Request};

#[test]
fn two_virtual_hosts_have_separate_globals() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .with_app("whoami.wsgi")
            .config(
                "<VirtualHost *>\nServerName one.example\nWSGIApplicationGroup one\nWSGIScriptAlias / ${APPS}/whoami.wsgi\n</VirtualHost>\n\
                 <VirtualHost *>\nServerName two.example\nWSGIApplicationGroup two\nWSGIScriptAlias / ${APPS}/whoami.wsgi\n</VirtualHost>",
            )
            .start();
        let count = |host: &str| httpd.ask(&Request::get("/").header("Host", host)).facts().number("count");
        assert_eq!([count("one.example"), count("one.example"), count("one.example")], [1, 2, 3]);
        assert_eq!(count("two.example"), 1, "{mode:?}: the other host has its own globals");
        assert_eq!(count("one.example"), 4);
    }
}

#[test]
fn one_application_group_is_one_interpreter() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .with_app("whoami.wsgi")
            .config("WSGIApplicationGroup shared\nWSGIScriptAlias /a ${APPS}/whoami.wsgi\nWSGIScriptAlias /b ${APPS}/whoami.wsgi")
            .start();
        assert_eq!(httpd.get("/a").facts().number("count"), 1);
        let facts = httpd.get("/b").facts();
        assert_eq!(facts.number("count"), 2, "{mode:?}: the same file in the same interpreter is the same module");
        assert_eq!((facts.get("application_group"), facts.get("environ_application_group")), ("shared", "shared"));
    }
}

#[test]
fn the_default_application_group_is_the_mount_point() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).mount("/a", "whoami.wsgi").mount("/b", "whoami.wsgi").start();
        let (a, b) = (httpd.get("/a/x").facts(), httpd.get("/b/x").facts());
        assert_eq!((a.get("application_group"), b.get("application_group")), ("localhost|/a", "localhost|/b"));
        assert_eq!((a.number("count"), b.number("count")), (1, 1));
        assert_eq!(a.get("pid"), b.get("pid"));
    }
}

#[test]
fn application_groups_are_expanded() {
    for mode in Mode::ALL {
        for (value, expanded) in [
            ("%{GLOBAL}", ""),
            ("%{SERVER}", "localhost"),
            ("%{HOST}", "other.example:8123"),
            ("%{RESOURCE}", "localhost|"),
            ("%{ENV:MY_GROUP}", "from-env"),
            ("plain", "plain"),
            ("app-%{SERVER}", "app-%{SERVER}"),
        ] {
            let httpd =
                Httpd::new(mode).app("whoami.wsgi").config(&format!("SetEnv MY_GROUP from-env\nWSGIApplicationGroup {value}")).start();
            let facts = httpd.ask(&Request::get("/").header("Host", "other.example:8123")).facts();
            // The port of the request's Host header counts for every expansion that names one.
            let expanded = match value {
                "%{SERVER}" => "localhost:8123".to_owned(),
                "%{RESOURCE}" => "localhost:8123|".to_owned(),
                _ => expanded.to_owned(),
            };
            assert_eq!(facts.get("environ_application_group"), expanded, "{mode:?} {value}");
            assert_eq!(facts.get("application_group"), expanded, "{mode:?} {value}");
        }
    }
}

#[test]
fn global_is_the_main_interpreter() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .with_app("main_interpreter.wsgi")
            .config("WSGIScriptAlias /global ${APPS}/main_interpreter.wsgi application-group=%{GLOBAL}")
            .config("WSGIScriptAlias /named ${APPS}/main_interpreter.wsgi application-group=named")
            .start();
        assert_eq!(httpd.get("/global").text(), "main True\n", "{mode:?}");
        if !differs!("a request for %{GLOBAL} runs in a sub-interpreter if its thread served another application group first") {
            assert_eq!(httpd.get("/named").text(), "sub True\n");
            for _ in 0..30 {
                assert_eq!(httpd.get("/global").text(), "main True\n");
            }
        }
    }
}

#[test]
fn the_process_group_is_chosen_per_place() {
    let httpd = Httpd::bare()
        .with_app("whoami.wsgi")
        .config("WSGIDaemonProcess one threads=2\nWSGIDaemonProcess two threads=2")
        .config("WSGIScriptAlias /embedded ${APPS}/whoami.wsgi\nWSGIScriptAlias /one ${APPS}/whoami.wsgi process-group=one")
        .config("WSGIScriptAlias /two ${APPS}/whoami.wsgi\n<Location /two>\nWSGIProcessGroup two\n</Location>")
        .config("WSGIScriptAlias /env ${APPS}/whoami.wsgi process-group=%{ENV:WHERE}\nSetEnvIf X-Where (.*) WHERE=$1")
        .config("WSGIScriptAlias /back ${APPS}/whoami.wsgi process-group=%{GLOBAL}\n<Location /back>\nWSGIProcessGroup two\n</Location>")
        .start();
    let group = |request: &Request| {
        let facts = httpd.ask(request).facts();
        assert_eq!(facts.get("process_group"), facts.get("environ_process_group"));
        facts.get("process_group").to_owned()
    };
    assert_eq!(group(&Request::get("/embedded")), "");
    assert_eq!(group(&Request::get("/one")), "one");
    assert_eq!(group(&Request::get("/two")), "two");
    assert_eq!(group(&Request::get("/env").header("X-Where", "one")), "one");
    assert_eq!(group(&Request::get("/env").header("X-Where", "two")), "two");
    assert_eq!(group(&Request::get("/env").header("X-Where", "%{GLOBAL}")), "");
    assert_eq!(group(&Request::get("/back")), "", "the option of the alias goes over the directive");
}

#[test]
fn a_group_that_is_not_there_is_a_500() {
    let httpd = Httpd::bare()
        .with_app("whoami.wsgi")
        .config("WSGIDaemonProcess one threads=2")
        .config("WSGIScriptAlias /none ${APPS}/whoami.wsgi process-group=%{ENV:NOWHERE}\nSetEnv NOWHERE nothing")
        .config("WSGIScriptAlias /one ${APPS}/whoami.wsgi process-group=one")
        .expect_log("WSGI0151")
        .start();
    assert_eq!(httpd.get("/none").status, 500);
    assert_eq!(httpd.get("/one").status, 200);
}

#[test]
fn a_group_of_another_virtual_host_is_out_of_reach() {
    let httpd = Httpd::bare()
        .with_app("whoami.wsgi")
        .config(
            "<VirtualHost *>\nServerName one.example\nWSGIDaemonProcess private threads=2\nWSGIProcessGroup private\n\
             WSGIScriptAlias / ${APPS}/whoami.wsgi\n</VirtualHost>\n\
             <VirtualHost *>\nServerName two.example\nWSGIProcessGroup %{ENV:GROUP}\nSetEnv GROUP private\n\
             WSGIScriptAlias / ${APPS}/whoami.wsgi\n</VirtualHost>",
        )
        .expect_log("WSGI0152")
        .start();
    let status = |host: &str| httpd.ask(&Request::get("/").header("Host", host)).status;
    assert_eq!((status("one.example"), status("two.example")), (200, 500));
}

#[test]
fn restrict_process_limits_the_choice() {
    let httpd = Httpd::bare()
        .with_app("whoami.wsgi")
        .config("WSGIDaemonProcess one threads=2\nWSGIDaemonProcess two threads=2\nWSGIRestrictProcess one")
        .config("WSGIScriptAlias /one ${APPS}/whoami.wsgi process-group=one\nWSGIScriptAlias /two ${APPS}/whoami.wsgi process-group=two")
        .expect_log("WSGI0149")
        .start();
    assert_eq!(httpd.get("/one").status, 200);
    assert_eq!(httpd.get("/two").status, 500);
}

#[test]
fn a_variable_of_httpds_own_environment_may_name_the_group() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .environment("GROUP_OF_THE_DAY", "sunday")
            .app("whoami.wsgi")
            .config("WSGIApplicationGroup %{ENV:GROUP_OF_THE_DAY}")
            .start();
        assert_eq!(httpd.get("/").facts().get("application_group"), "sunday", "{mode:?}");
    }
}

#[test]
fn a_group_without_a_place_for_its_socket_is_a_503_and_a_reason() {
    only_ours!("the log names a mutex, and later groups get no processes either");
    let httpd = Httpd::new(Mode::Daemon)
        .app("hello.wsgi")
        .config("WSGISocketPrefix ${ROOT}/httpd.conf/wsgi")
        .expect_log("WSGI0345")
        .allow_log("WSGI0343")
        .start();
    let line = httpd.log().wait_for("WSGI0345");
    assert!(line.contains("'test'") && line.contains("httpd.conf/wsgi.") && line.contains("cannot be made: Not a directory"), "{line}");
    let answer = httpd.get("/");
    assert!(answer.status == 503 && answer.header("Retry-After").is_some(), "{answer:?}");
}
