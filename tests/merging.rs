//! What holds where several contexts speak of the same thing: the main server, a virtual host, directories, `.htaccess`, files, locations.

use crate::harness::{Builder, Httpd, Mode, Request};

/// A script with a callable for each letter, which answers with its own name.
const LETTERS: &str = "def named(name):\n    def call(environ, start_response):\n        start_response('200 OK', [])\n        \
                       return [name.encode()]\n    return call\n\nfor letter in 'abcdef':\n    globals()[letter] = named(letter)\n";

fn letters(mode: Mode) -> Builder {
    Httpd::new(mode).file("apps/letters.wsgi", LETTERS)
}

#[test]
fn the_innermost_context_counts() {
    /// From the outermost to the innermost; `.htaccess` is written apart.
    const PLACES: [&str; 6] = ["server", "host", "directory", ".htaccess", "files", "location"];
    for mode in Mode::ALL {
        let server = PLACES.iter().zip('a'..='f').enumerate().fold(letters(mode), |server, (depth, (_, letter))| {
            // One virtual host for each number of contexts that speak.
            let speak = |at: usize, letter: char| if depth >= at { format!("WSGICallableObject {letter}") } else { String::new() };
            let htaccess = if depth >= 3 { "WSGICallableObject d\n" } else { "" };
            server.file(&format!("apps/{letter}/letters.wsgi"), LETTERS).file(&format!("apps/{letter}/.htaccess"), htaccess).config(
                &format!(
                    "<VirtualHost *>\nServerName {letter}.example\nWSGIScriptAlias / ${{APPS}}/{letter}/letters.wsgi\n{}\n\
                     <Directory ${{APPS}}/{letter}>\nAllowOverride FileInfo\n{}\n<Files letters.wsgi>\n{}\n</Files>\n</Directory>\n\
                     <Location />\n{}\n</Location>\n</VirtualHost>",
                    speak(1, 'b'),
                    speak(2, 'c'),
                    speak(4, 'e'),
                    speak(5, 'f'),
                ),
            )
        });
        let httpd = server.config("WSGICallableObject a").start();
        for (place, letter) in PLACES.iter().zip('a'..='f') {
            let answer = httpd.ask(&Request::get("/").header("Host", &format!("{letter}.example")));
            assert_eq!(answer.text(), letter.to_string(), "{mode:?} {place}");
        }
    }
}

#[test]
fn the_last_of_equals_counts() {
    for mode in Mode::ALL {
        let httpd = letters(mode)
            .config("WSGIScriptAlias / ${APPS}/letters.wsgi\nWSGICallableObject a\nWSGICallableObject b")
            .config("WSGIScriptAlias /option ${APPS}/letters.wsgi callable-object=c callable-object=d")
            .start();
        assert_eq!(httpd.get("/").text(), "b", "{mode:?}");
        // The first alias that matches is taken, so the second one is never asked.
        assert_eq!(httpd.get("/option").text(), "b", "{mode:?}");
        let httpd = letters(mode).config("WSGIScriptAlias / ${APPS}/letters.wsgi callable-object=c callable-object=d").start();
        assert_eq!(httpd.get("/").text(), "d", "{mode:?}");
    }
}

#[test]
fn an_alias_of_a_virtual_host_goes_before_those_of_the_server() {
    for mode in Mode::ALL {
        let httpd = letters(mode)
            .config("WSGIScriptAlias /app ${APPS}/letters.wsgi callable-object=a\nWSGIScriptAlias /server ${APPS}/letters.wsgi callable-object=b")
            .config("<VirtualHost *>\nServerName one.example\nWSGIScriptAlias / ${APPS}/letters.wsgi callable-object=c\n</VirtualHost>")
            .config("<VirtualHost *>\nServerName two.example\nWSGIScriptAlias /app ${APPS}/letters.wsgi callable-object=d\n</VirtualHost>")
            .start();
        let ask = |host: &str, path: &str| httpd.ask(&Request::get(path).header("Host", host)).text();
        assert_eq!(ask("one.example", "/app"), "c", "{mode:?}: its own, though the server's is longer");
        assert_eq!(ask("two.example", "/app"), "d", "{mode:?}");
        assert_eq!(ask("two.example", "/server"), "b", "{mode:?}: and then the server's");
    }
}

#[test]
fn options_of_an_alias_go_over_directives_of_any_context() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .with_app("whoami.wsgi")
            .config("WSGIScriptAlias / ${APPS}/whoami.wsgi application-group=alias callable-object=other pass-authorization=On")
            .config("<Location />\nWSGIApplicationGroup location\nWSGICallableObject application_failing\nWSGIPassAuthorization Off\n</Location>")
            .start();
        let facts = httpd.ask(&Request::get("/").header("Authorization", "Basic eDp5")).facts();
        let told = (facts.get("application_group"), facts.get("called"), facts.get("authorization"));
        assert_eq!(told, ("alias", "other", "Basic eDp5"), "{mode:?}");
    }
}

#[test]
fn a_callable_is_expanded_in_the_directive_only() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .with_app("whoami.wsgi")
            .config("SetEnv NAME other\nWSGIScriptAlias /alias ${APPS}/whoami.wsgi callable-object=%{ENV:NAME}")
            .config("WSGIScriptAlias /unset ${APPS}/whoami.wsgi\n<Location /unset>\nWSGICallableObject %{ENV:NOBODY}\n</Location>")
            .config("WSGIScriptAlias /odd ${APPS}/whoami.wsgi\n<Location /odd>\nWSGICallableObject %odd\n</Location>")
            .expect_log("WSGI0089")
            .start();
        assert!(httpd.get("/alias").status >= 400, "{mode:?}");
        assert!(httpd.log().wait_for("WSGI0089").contains("'%{ENV:NAME}'"), "{mode:?}");
        for path in ["/unset", "/odd"] {
            assert_eq!(httpd.get(path).facts().get("called"), "application", "{mode:?} {path}");
        }
    }
}

#[test]
fn handler_scripts_add_up_by_their_names() {
    let script =
        |text: &str| format!("def handle_request(environ, start_response):\n    start_response('200 OK', [])\n    return [b\"{text}\"]\n");
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .file("apps/one.py", &script("server's one"))
            .file("apps/two.py", &script("server's two"))
            .file("apps/inner.py", &script("directory's two"))
            .file("htdocs/a.one", "")
            .file("htdocs/a.two", "")
            .file("htdocs/inner/a.one", "")
            .file("htdocs/inner/a.two", "")
            .config("WSGIHandlerScript one ${APPS}/one.py\nWSGIHandlerScript two ${APPS}/two.py\nAddHandler one .one\nAddHandler two .two")
            .config("<Directory ${ROOT}/htdocs/inner>\nWSGIHandlerScript two ${APPS}/inner.py\n</Directory>")
            .start();
        let told = ["/a.one", "/a.two", "/inner/a.one", "/inner/a.two"].map(|path| httpd.get(path).text());
        assert_eq!(told, ["server's one", "server's two", "server's one", "directory's two"], "{mode:?}");
    }
}

#[test]
fn lists_of_trusted_proxies_are_replaced_by_inner_ones_and_added_to_by_equals() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .with_app("probe.wsgi")
            .config("WSGIScriptAlias / ${APPS}/probe.wsgi")
            .config("WSGITrustedProxies 10.0.0.1\nWSGITrustedProxies 127.0.0.1")
            .config("WSGITrustedProxyHeaders X-Forwarded-For\nWSGITrustedProxyHeaders X-Forwarded-Host")
            .config("<Location /headers>\nWSGITrustedProxyHeaders X-Forwarded-Host\n</Location>")
            .config("<Location /proxies>\nWSGITrustedProxies 10.0.0.1\n</Location>")
            .start();
        let told = |path: &str| {
            let request = Request::get(path).header("X-Forwarded-For", "1.2.3.4").header("X-Forwarded-Host", "told.example");
            let text = httpd.ask(&request).text();
            [text.contains("REMOTE_ADDR str '1.2.3.4'"), text.contains("HTTP_HOST str 'told.example'")]
        };
        assert_eq!(told("/"), [true, true], "{mode:?}: what is repeated adds up");
        assert_eq!(told("/headers"), [false, true], "{mode:?}: another list takes the place");
        assert_eq!(told("/proxies"), [false, false], "{mode:?}: and so does another list of proxies");
    }
}

#[test]
fn the_processes_that_may_be_chosen_are_those_of_the_last_list() {
    let httpd = Httpd::bare()
        .with_app("whoami.wsgi")
        .config("WSGIDaemonProcess one threads=1\nWSGIDaemonProcess Two threads=1\nWSGIScriptAlias / ${APPS}/whoami.wsgi")
        .config("WSGIProcessGroup %{ENV:GROUP}\nSetEnvIf X-Group (.+) GROUP=$1\nSetEnvIf X-Group ^none$ GROUP=%{GLOBAL}")
        .config("WSGIRestrictProcess one\nWSGIRestrictProcess two\n<Location /inner>\nWSGIRestrictProcess ONE %{GLOBAL}\n</Location>")
        .module("setenvif")
        .expect_log("WSGI0149")
        .start();
    let status = |path: &str, group: &str| httpd.ask(&Request::get(path).header("X-Group", group)).status;
    // Names are compared without their case, here only.
    assert_eq!([status("/", "one"), status("/", "Two"), status("/", "none")], [500, 200, 500]);
    assert_eq!([status("/inner", "one"), status("/inner", "Two"), status("/inner", "none")], [200, 500, 200]);
}

#[test]
fn an_alias_goes_before_what_maps_whole_hosts() {
    for mode in Mode::ALL {
        let httpd = letters(mode)
            .module("vhost_alias")
            .config("VirtualDocumentRoot ${ROOT}/htdocs/%0\nWSGIScriptAlias /app ${APPS}/letters.wsgi callable-object=a")
            .file("htdocs/localhost/app", "a file")
            .file("htdocs/localhost/file", "a file")
            .start();
        assert_eq!([httpd.get("/app").text(), httpd.get("/file").text()], ["a", "a file"], "{mode:?}");
    }
}
