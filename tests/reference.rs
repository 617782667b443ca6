//! Rules of mod_wsgi's that no other file of this suite is about: names, paths, scripts and the odd corners of each of them.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use crate::harness::{Builder, Httpd, Mode, Request, Response};

/// A server with the probe at `/app`, whose code comes with the request.
fn site(mode: Mode) -> Builder {
    Httpd::new(mode).with_app("probe.wsgi").config("WSGIScriptAlias /app ${APPS}/probe.wsgi\nWSGIApplicationGroup %{GLOBAL}")
}

/// What a line of Python gives or raises, run in the application with its environ.
fn eval(httpd: &Httpd, code: &str) -> String {
    let code = format!("start_response('200 OK', []); result = [attempt(lambda: {code}).encode()]");
    let escape = |octet: u8| if octet.is_ascii_alphanumeric() { char::from(octet).to_string() } else { format!("%{octet:02X}") };
    httpd.ask(&Request::get("/app").header("X-Code", &code.bytes().map(escape).collect::<String>())).text()
}

/// Whether the probe shows this line of its environ.
fn shows(answer: &Response, line: &str) -> bool {
    answer.text().lines().any(|shown| shown == line)
}

#[test]
fn trusted_proxies_speak_for_their_clients() {
    for mode in Mode::ALL {
        let httpd = site(mode)
            .config("WSGITrustedProxies 127.0.0.1 10.0.0.0/8")
            .config("WSGITrustedProxyHeaders X-Forwarded-For X-Forwarded-Host X-Forwarded-Port X-Forwarded-Proto X-Script-Name")
            .start();
        let request = Request::get("/app/x")
            .header("X-Forwarded-For", "1.2.3.4, 5.6.7.8, 10.0.0.1")
            .header("X-Forwarded-Host", "example.com")
            .header("X-Forwarded-Port", "8443")
            .header("X-Forwarded-Proto", "https")
            .header("X-Scheme", "http")
            .header("X-Script-Name", "/mounted");
        let answer = httpd.ask(&request);
        for line in [
            "REMOTE_ADDR str '5.6.7.8'",
            "HTTP_X_FORWARDED_FOR str '5.6.7.8, 10.0.0.1'",
            "HTTP_HOST str 'example.com'",
            "SERVER_PORT str '8443'",
            "wsgi.url_scheme str 'https'",
            "SCRIPT_NAME str '/mounted'",
            "PATH_INFO str '/x'",
            "mod_wsgi.mount_point str '/mounted'",
            "mod_wsgi.script_name str '/app'",
        ] {
            assert!(shows(&answer, line), "{mode:?} {line}: {}", answer.text());
        }
        assert!(!answer.text().contains("HTTP_X_SCHEME"), "{mode:?}: only one of two synonyms is believed");
        let httpd = site(mode).config("WSGITrustedProxies 10.0.0.0/8\nWSGITrustedProxyHeaders X-Forwarded-For X-Forwarded-Proto").start();
        let answer = httpd.ask(&request);
        assert!(shows(&answer, "REMOTE_ADDR str '127.0.0.1'") && shows(&answer, "wsgi.url_scheme str 'http'"), "{mode:?}: a stranger");
        assert!(!answer.text().contains("HTTP_X_FORWARDED_FOR") && shows(&answer, "HTTP_X_FORWARDED_HOST str 'example.com'"), "{mode:?}");
    }
}

#[test]
fn the_environ_follows_httpds_own_directives() {
    for mode in Mode::ALL {
        let httpd = site(mode)
            .config("UseCanonicalName On\nServerName canonical.example\nServerAdmin me@example.com")
            .config("RewriteEngine On\nRewriteRule ^/pt/(.*)$ /app/$1 [PT]\n<Location />\nCGIVar REQUEST_URI current-uri\n</Location>")
            .module("rewrite")
            .start();
        let answer = httpd.get("/pt/x?q");
        for line in ["SERVER_NAME str 'canonical.example'", "REQUEST_URI str '/app/x'", "PATH_INFO str '/x'", "QUERY_STRING str 'q'"] {
            assert!(shows(&answer, line), "{mode:?} {line}: {}", answer.text());
        }
        let httpd = site(mode)
            .module("auth_basic")
            .module("authn_core")
            .module("authn_file")
            .module("authz_user")
            .file("users", "ada:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n")
            .config("<Location />\nAuthType Basic\nAuthName closed\nAuthUserFile ${ROOT}/users\nRequire valid-user\n</Location>")
            .start();
        assert_eq!(httpd.get("/app").status, 401, "{mode:?}");
        let answer = httpd.ask(&Request::get("/app").header("Authorization", "Basic YWRhOnNlY3JldA=="));
        assert!(shows(&answer, "REMOTE_USER str 'ada'") && shows(&answer, "AUTH_TYPE str 'Basic'"), "{mode:?}: {}", answer.text());
        assert!(!answer.text().contains("HTTP_AUTHORIZATION"), "{mode:?}");
    }
}

#[test]
fn variables_of_tls_are_there_where_they_are_exported() {
    for mode in Mode::ALL {
        let builder = site(mode).with_credentials();
        let port = builder.another_port();
        let _httpd = builder
            .config(&format!(
                "Listen 127.0.0.1:{port}\n<VirtualHost *:{port}>\nServerName localhost\n{}WSGIScriptAlias /app ${{APPS}}/probe.wsgi\n\
                 WSGIScriptAlias /bare ${{APPS}}/probe.wsgi\n<Location /app>\nSSLOptions +StdEnvVars\n</Location>\n</VirtualHost>",
                Builder::TLS
            ))
            .start();
        for (path, has_variables) in [("app", true), ("bare", false)] {
            let mut curl = std::process::Command::new("curl");
            let output = curl.args(["--silent", "--insecure", "--http1.1", &format!("https://localhost:{port}/{path}")]).output();
            let text = String::from_utf8_lossy(&output.expect("curl is installed: 'make' sees to it").stdout).into_owned();
            for line in ["wsgi.url_scheme str 'https'", "REQUEST_SCHEME str 'https'"] {
                assert!(text.lines().any(|shown| shown == line), "{mode:?} {path} {line}: {text}");
            }
            assert!(!text.contains("\nHTTPS "), "{mode:?} {path}");
            assert_eq!(text.contains("\nSSL_SERVER_S_DN_CN str 'localhost'"), has_variables, "{mode:?} {path}: {text}");
        }
    }
}

#[test]
fn head_is_shown_as_get_where_filters_need_the_body() {
    for mode in Mode::ALL {
        let shown = |directives: &str| {
            let httpd = site(mode).module("deflate").module("filter").config(directives).start();
            let code = "start_response%28%27200%20OK%27%2C%20%5B%28%27X%2DMethod%27%2C%20environ%5B%27REQUEST%5FMETHOD%27%5D%29%5D%29%3B%20result%20%3D%20%5Bb%27x%27%5D";
            let answer = httpd.connect().ask(&Request::new("HEAD", "/app").header("X-Code", code));
            answer.header("X-Method").map(str::to_owned)
        };
        for (directives, method) in [
            ("", "HEAD"),
            ("WSGIMapHEADToGET On", "GET"),
            ("WSGIMapHEADToGET Off", "HEAD"),
            ("SetOutputFilter DEFLATE", "GET"),
            ("SetOutputFilter DEFLATE\nWSGIMapHEADToGET Off", "HEAD"),
        ] {
            assert_eq!(shown(directives).as_deref(), Some(method), "{mode:?} {directives}");
        }
    }
}

#[test]
fn requests_that_no_application_can_be_given_are_refused() {
    for mode in Mode::ALL {
        let httpd = site(mode)
            .config("WSGIScriptAlias /exact ${APPS}/probe.wsgi\n<Location /exact>\nAcceptPathInfo Off\n</Location>")
            .expect_log("WSGI0137")
            .allow_log("WSGI0141")
            .allow_log("AH0")
            .start();
        assert_eq!(httpd.get("/exact").status, 200, "{mode:?}");
        assert_eq!(httpd.get("/exact/more").status, 404, "{mode:?}");
        // httpd itself knows what it cannot read.
        assert_eq!(httpd.ask(&Request::new("POST", "/app").header("Transfer-Encoding", "odd")).status, 400, "{mode:?}");
        for length in ["many", "-1", "+0", "0x0", ""] {
            assert_eq!(httpd.ask(&Request::new("POST", "/app").header("Content-Length", length)).status, 400, "{mode:?} {length}");
        }
    }
}

#[test]
fn a_file_wrapper_is_an_iterable_of_its_file() {
    for mode in Mode::ALL {
        let httpd = site(mode).start();
        let wrapper = "environ['wsgi.file_wrapper']";
        for (code, said) in [
            ("[w(io.BytesIO(b'abcde'), 2).blksize, w(io.BytesIO()).blksize]", "[2, 8192]"),
            ("list(w(io.BytesIO(b'abcde'), 2))", "[b'ab', b'cd', b'e']"),
            ("w(io.BytesIO(), -1)", "ValueError: blksize must not be negative"),
            ("list(w(io.StringIO('x')))", "TypeError: file wrapper read() must return bytes, not str"),
            ("[f := io.BytesIO(b'x'), w(f).close(), f.closed][1:]", "[None, True]"),
            ("[r := w(io.BytesIO(b'x')), r.close(), list(r)]", "ValueError: I/O operation on closed file"),
            ("setattr(w(io.BytesIO()), 'filelike', 1)", "AttributeError: "),
            ("list(type('W', (w,), {})(io.BytesIO(b'x')))", "[b'x']"),
        ] {
            let text = eval(&httpd, &code.replace("w(", &format!("{wrapper}(")).replace("(w,)", &format!("({wrapper},)")));
            assert!(text.starts_with(said), "{mode:?} {code}: {text}");
        }
    }
}

#[test]
fn a_close_that_cannot_be_looked_up_is_told() {
    for mode in Mode::ALL {
        let httpd = site(mode).expect_log("WSGI0194").expect_traceback("ZeroDivisionError").start();
        let code = "type('C', (), {'__iter__': lambda s: iter([b'a']), '__getattr__': lambda s, n: 1 / 0})()";
        let escape = |octet: u8| if octet.is_ascii_alphanumeric() { char::from(octet).to_string() } else { format!("%{octet:02X}") };
        let code: String = format!("start_response('200 OK', []); result = {code}").bytes().map(escape).collect();
        let answer = httpd.ask(&Request::get("/app").header("X-Code", &code));
        assert_eq!((answer.text().as_str(), answer.complete), ("a", true), "{mode:?}");
    }
}

#[test]
fn names_of_scripts_may_ignore_case() {
    for mode in Mode::ALL {
        let names = |directives: &str| {
            let httpd = Httpd::new(mode)
                .with_app("probe.wsgi")
                .config("WSGIScriptAlias /app ${APPS}/Probe.wsgi\nWSGIScriptAlias /App ${APPS}/Probe.wsgi")
                .file("apps/Probe.wsgi", include_str!("apps/probe.wsgi"))
                .config(directives)
                .start();
            let module = eval(
                &httpd,
                "[n == '_mod_wsgi_' + __import__('hashlib').md5(m.__file__.lower().encode()).hexdigest() for n, m in list(sys.modules.items()) if n.startswith('_mod_wsgi_')]",
            );
            (module, httpd.get("/App").text().contains("mod_wsgi.application_group str 'localhost|/app'"))
        };
        assert_eq!(names(""), ("[False]".to_owned(), false), "{mode:?}");
        assert_eq!(names("WSGICaseSensitivity Off"), ("[True]".to_owned(), true), "{mode:?}");
    }
}

#[test]
fn an_older_file_is_another_script() {
    for mode in Mode::ALL {
        let script = |body: &str| format!("def application(e, s):\n    s('200 OK', [])\n    return [b'{body}']\n");
        let httpd =
            Httpd::new(mode).config("WSGIScriptAlias / ${APPS}/old.wsgi").file("apps/old.wsgi", &script("first")).allow_log("WSGI").start();
        assert_eq!(httpd.get("/").text(), "first");
        // As when a backup is put back, with its own date.
        let file = httpd.folder().write("apps/old.wsgi", &script("second"));
        let file = std::fs::File::options().append(true).open(file).expect("the file is ours");
        file.set_modified(SystemTime::now() - Duration::from_secs(86_400)).expect("the file is ours");
        let second = crate::harness::wait_until(Duration::from_secs(10), || (httpd.get("/").text() == "second").then_some(()));
        assert!(second.is_some(), "{mode:?}");
    }
}

#[test]
fn a_handler_script_may_ask_to_be_loaded_again() {
    for mode in Mode::ALL {
        let script = "import os\nasked = []\n\ndef reload_required(path):\n    asked.append(path)\n    return path.endswith('again.page') and len(asked) > 1\n\n\
                      def handle_request(environ, start_response):\n    start_response('200 OK', [])\n    return [str(len(asked)).encode()]\n";
        let httpd = Httpd::new(mode)
            .file("apps/handler.wsgi", script)
            .file("htdocs/plain.page", "x")
            .file("htdocs/again.page", "x")
            .config("WSGIHandlerScript pages ${APPS}/handler.wsgi\nAddHandler pages .page")
            .allow_log("WSGI")
            .start();
        let count = |page: &str| httpd.get(page).text().parse::<u32>().expect("a number");
        let (first, second) = (count("/plain.page"), count("/plain.page"));
        assert!(second == first + 1, "{mode:?}: asked at each request: {first} {second}");
        // A fresh module has not been asked as often.
        let fresh = crate::harness::wait_until(Duration::from_secs(10), || (count("/again.page") < second).then_some(()));
        assert!(fresh.is_some(), "{mode:?}");
    }
}

#[test]
fn a_script_that_cannot_be_read_is_a_500_and_one_that_is_gone_a_404() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .config("WSGIScriptAlias / ${APPS}/closed.wsgi")
            .file("apps/closed.wsgi", "def application(e, s):\n    s('200 OK', [])\n    return [b'x']\n")
            .allow_log("WSGI")
            .allow_log("Permission denied")
            .start();
        let path = httpd.root().join("apps/closed.wsgi");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).expect("the file is ours");
        if crate::harness::is_root() {
            assert_eq!(httpd.get("/").status, 500, "{mode:?}");
        }
        std::fs::remove_file(path).expect("the file is ours");
        assert_eq!(httpd.get("/").status, 404, "{mode:?}");
    }
}
