//! What an application finds in its environ.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::harness::{Client, Httpd, Mode, Mpm, Request, Response, usual_mpm};

/// The environ that `environ.wsgi` shows: for each key the type and Python's notation of the value.
struct Environ(BTreeMap<String, (String, String)>);

impl Environ {
    fn of(answer: &Response) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let entry = |line: &str| {
            let mut fields = line.splitn(3, '\t').map(str::to_owned);
            let mut next = || fields.next().expect("environ.wsgi writes three fields");
            (next(), (next(), next()))
        };
        Self(answer.text().lines().map(entry).collect())
    }

    /// Python's notation of a value.
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    fn expect(&self, key: &str, value: &str) {
        assert_eq!(self.get(key), Some(value), "{key}");
    }

    #[track_caller]
    fn expect_type(&self, key: &str, name: &str) {
        assert_eq!(self.0.get(key).map(|(found, _)| found.as_str()), Some(name), "{key}");
    }

    #[track_caller]
    fn expect_none(&self, key: &str) {
        assert_eq!(self.get(key), None, "{key}");
    }
}

#[test]
fn keys_of_a_plain_request() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("environ.wsgi").config("ServerAdmin me@example.com").start();
        let environ = Environ::of(&httpd.get("/some/path?a=b&c=%20d"));
        let port = format!("'{}'", httpd.port());
        let script = format!("'{}/apps/environ.wsgi'", httpd.root().display());
        for (key, value) in [
            ("REQUEST_METHOD", "'GET'"),
            ("SCRIPT_NAME", "''"),
            ("PATH_INFO", "'/some/path'"),
            ("QUERY_STRING", "'a=b&c=%20d'"),
            ("REQUEST_URI", "'/some/path?a=b&c=%20d'"),
            ("SERVER_PROTOCOL", "'HTTP/1.1'"),
            ("REQUEST_SCHEME", "'http'"),
            ("SERVER_NAME", "'localhost'"),
            ("SERVER_ADDR", "'127.0.0.1'"),
            // A Host header without a port means the scheme's.
            ("SERVER_PORT", "'80'"),
            ("SERVER_ADMIN", "'me@example.com'"),
            ("REMOTE_ADDR", "'127.0.0.1'"),
            ("HTTP_HOST", "'localhost'"),
            ("HTTP_CONNECTION", "'close'"),
            ("SCRIPT_FILENAME", &script),
            ("CONTEXT_PREFIX", "''"),
            ("wsgi.version", "(1, 0)"),
            ("wsgi.url_scheme", "'http'"),
            ("wsgi.run_once", "False"),
            ("wsgi.input_terminated", "True"),
            ("wsgi.multithread", if mode == Mode::Embedded && usual_mpm() == Mpm::Prefork { "False" } else { "True" }),
            ("mod_wsgi.version", "(6, 1, 1)"),
            ("mod_wsgi.callable_object", "'application'"),
            ("mod_wsgi.request_handler", "'wsgi-script'"),
            ("mod_wsgi.handler_script", "''"),
            ("mod_wsgi.script_name", "''"),
            ("mod_wsgi.path_info", "'/some/path'"),
            ("mod_wsgi.listener_host", "'127.0.0.1'"),
            ("mod_wsgi.listener_port", &port),
            ("mod_wsgi.application_group", "'localhost|'"),
            ("mod_wsgi.process_group", if mode == Mode::Daemon { "'test'" } else { "''" }),
        ] {
            environ.expect(key, value);
        }
        for (key, name) in [
            ("apache.version", "tuple"),
            ("mod_wsgi.thread_id", "int"),
            ("mod_wsgi.server_pid", "str"),
            ("mod_wsgi.request_id", "str"),
            ("mod_wsgi.request_start", "float"),
            ("mod_wsgi.queue_start", "float"),
            ("mod_wsgi.daemon_start", "float"),
            ("mod_wsgi.application_start", "float"),
            ("REMOTE_PORT", "str"),
            ("SERVER_SOFTWARE", "str"),
            ("wsgi.errors", "TextIOWrapper"),
            ("wsgi.file_wrapper", "type"),
        ] {
            environ.expect_type(key, name);
        }
        for key in [
            "GATEWAY_INTERFACE",
            "PATH_TRANSLATED",
            "REMOTE_HOST",
            "REMOTE_IDENT",
            "REMOTE_USER",
            "AUTH_TYPE",
            "SERVER_SIGNATURE",
            "PATH",
            "LD_LIBRARY_PATH",
            "HTTPS",
            "CONTENT_TYPE",
            "CONTENT_LENGTH",
            "apache.request_rec",
            "mod_wsgi.mount_point",
        ] {
            environ.expect_none(key);
        }
        assert!(!environ.0.keys().any(|key| key.starts_with("mod_wsgi.x-")), "internals are visible");
        environ.expect("apache.version", "(2, 4, 71)".replace("71", &httpd_patch(&environ)).as_str());
    }
}

/// The last number of httpd's version, from `SERVER_SOFTWARE`, which needs `ServerTokens Full`, the default.
fn httpd_patch(environ: &Environ) -> String {
    let software = environ.get("SERVER_SOFTWARE").expect("httpd names itself");
    let version = software.split("Apache/2.4.").nth(1).expect("httpd says its version");
    version.chars().take_while(char::is_ascii_digit).collect()
}

#[test]
fn times_are_seconds_of_the_epoch_in_their_order() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("environ.wsgi").start();
        let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
        let environ = Environ::of(&httpd.get("/"));
        let time = |key: &str| environ.get(key).expect("the key is there").parse::<f64>().expect("a float");
        let start = time("mod_wsgi.request_start");
        assert!((before - 1.0..before + 10.0).contains(&start), "{start} against {before}");
        assert!(time("mod_wsgi.application_start") >= start);
        match mode {
            Mode::Embedded => {
                environ.expect("mod_wsgi.queue_start", "0.0");
                environ.expect("mod_wsgi.daemon_start", "0.0");
            }
            Mode::Daemon => {
                assert!(time("mod_wsgi.queue_start") >= start);
                assert!(time("mod_wsgi.daemon_start") >= time("mod_wsgi.queue_start"));
                assert!(time("mod_wsgi.application_start") >= time("mod_wsgi.daemon_start"));
            }
        }
    }
}

#[test]
fn threads_and_processes_are_told() {
    for (mpm, options, multithread, multiprocess, run_once) in [
        (Mpm::Event, "threads=5", "True", "False", "False"),
        (Mpm::Event, "threads=1", "False", "False", "False"),
        (Mpm::Event, "processes=1 threads=1", "False", "True", "False"),
        (Mpm::Event, "processes=2 threads=2", "True", "True", "False"),
        (Mpm::Event, "threads=1 maximum-requests=1", "False", "False", "True"),
    ] {
        let httpd = Httpd::new(Mode::Daemon).mpm(mpm).daemon_options(options).app("environ.wsgi").start();
        let environ = Environ::of(&httpd.get("/"));
        environ.expect("wsgi.multithread", multithread);
        environ.expect("wsgi.multiprocess", multiprocess);
        environ.expect("wsgi.run_once", run_once);
    }
    for (mpm, multithread) in [(Mpm::Event, "True"), (Mpm::Worker, "True"), (Mpm::Prefork, "False")] {
        let httpd = Httpd::new(Mode::Embedded).mpm(mpm).app("environ.wsgi").start();
        let environ = Environ::of(&httpd.get("/"));
        environ.expect("wsgi.multithread", multithread);
        environ.expect("wsgi.multiprocess", "True");
    }
}

#[test]
fn paths_are_split_and_decoded() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).mount("/my/app", "environ.wsgi").start();
        for (target, script, path) in [
            ("/my/app", "'/my/app'", "''"),
            ("/my/app/", "'/my/app'", "'/'"),
            ("/my/app/a/b", "'/my/app'", "'/a/b'"),
            ("/my/app//a///b", "'/my/app'", "'/a/b'"),
            ("/my//app/a", "'/my/app'", "'/a'"),
            ("/my/app/a%20b%3Fc", "'/my/app'", "'/a b?c'"),
            ("/my/app/%C3%A9", "'/my/app'", "'/\u{c3}\u{a9}'"),
            ("/my/app/%ff", "'/my/app'", "'/\u{ff}'"),
            ("/my/app/x/../y", "'/my/app'", "'/y'"),
        ] {
            let environ = Environ::of(&httpd.get(target));
            // The application escapes what is not ASCII in its answer.
            let escaped = |text: &str| -> String {
                text.chars().map(|c| if c.is_ascii() { c.to_string() } else { format!("\\x{:02x}", u32::from(c)) }).collect()
            };
            environ.expect("SCRIPT_NAME", script);
            environ.expect("PATH_INFO", &escaped(path));
            environ.expect("REQUEST_URI", &format!("'{target}'"));
        }
        assert_eq!(httpd.get("/my/application").status, 404, "an alias ends at a segment");
    }
}

#[test]
fn headers_become_variables() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("environ.wsgi").start();
        let request = Request::get("/")
            .header("X-Custom-Header", "one")
            .header("x-custom-header", "two")
            .header("Cookie", "a=1")
            .header("Accept", "*/*")
            .header("Proxy", "http://evil.example/")
            .header("X-Latin", "caf\u{e9}")
            .header("X-Empty", "")
            .header("Authorization", "Basic eDp5");
        let environ = Environ::of(&httpd.ask(&request));
        environ.expect("HTTP_X_CUSTOM_HEADER", "'one, two'");
        environ.expect("HTTP_COOKIE", "'a=1'");
        environ.expect("HTTP_ACCEPT", "'*/*'");
        environ.expect("HTTP_X_LATIN", "'caf\\xe9'");
        environ.expect("HTTP_X_EMPTY", "''");
        environ.expect_none("HTTP_PROXY");
        environ.expect_none("HTTP_AUTHORIZATION");
    }
}

#[test]
fn a_header_with_an_underscore_cannot_pose_as_another() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("environ.wsgi").start();
        let environ = Environ::of(&httpd.ask(&Request::get("/").header("X_Forwarded_For", "1.2.3.4").header("X-Good", "yes")));
        environ.expect_none("HTTP_X_FORWARDED_FOR");
        environ.expect("HTTP_X_GOOD", "'yes'");
    }
}

#[test]
fn bodies_have_a_length_and_a_type() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("environ.wsgi").config("WSGIChunkedRequest On").start();
        let environ = Environ::of(&httpd.ask(&Request::post("/", b"abc").header("Content-Type", "text/x-test")));
        environ.expect("REQUEST_METHOD", "'POST'");
        environ.expect("CONTENT_LENGTH", "'3'");
        environ.expect("CONTENT_TYPE", "'text/x-test'");
        environ.expect_none("HTTP_CONTENT_LENGTH");
        environ.expect_none("HTTP_CONTENT_TYPE");
        let environ = Environ::of(&httpd.ask(&Request::post_chunked("/", &[b"abc"])));
        environ.expect_none("CONTENT_LENGTH");
        environ.expect("HTTP_TRANSFER_ENCODING", "'chunked'");
    }
}

#[test]
fn variables_of_other_modules_are_there() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .app("environ.wsgi")
            .config("SetEnv MY_SETTING value\nSetEnv PATH_INFO mine\nSetEnv REMOTE_USER somebody\nSetEnv PATH /evil")
            .config("SetEnvIf Host . FROM_SETENVIF=yes")
            .start();
        let environ = Environ::of(&httpd.get("/x"));
        environ.expect("MY_SETTING", "'value'");
        environ.expect("FROM_SETENVIF", "'yes'");
        environ.expect("PATH_INFO", "'/x'");
        environ.expect("REMOTE_USER", "'somebody'");
        environ.expect_none("PATH");
    }
}

#[test]
fn the_scheme_follows_the_variable_https() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("environ.wsgi").config("SetEnvIf X-Https (.+) HTTPS=$1").start();
        for (value, scheme) in [("on", "'https'"), ("ON", "'https'"), ("1", "'https'"), ("off", "'http'"), ("yes", "'http'")] {
            let environ = Environ::of(&httpd.ask(&Request::get("/").header("X-Https", value)));
            environ.expect("wsgi.url_scheme", scheme);
            environ.expect_none("HTTPS");
        }
    }
}

#[test]
fn old_and_odd_request_lines() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("environ.wsgi").start();
        let environ = Environ::of(&httpd.ask(&Request::get("/").old()));
        environ.expect("SERVER_PROTOCOL", "'HTTP/1.0'");
        let environ = Environ::of(&httpd.ask(&Request::get("http://localhost/absolute?q")));
        environ.expect("REQUEST_URI", "'http://localhost/absolute?q'");
        environ.expect("PATH_INFO", "'/absolute'");
        environ.expect("QUERY_STRING", "'q'");
        let environ = Environ::of(&httpd.ask(&Request::new("PROPFIND", "/")));
        environ.expect("REQUEST_METHOD", "'PROPFIND'");
    }
}

#[test]
fn requests_on_one_connection_do_not_mix() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("environ.wsgi").start();
        let mut client: Client = httpd.connect();
        client.request(&Request::get("/first").header("X-Only-First", "1"));
        client.request(&Request::get("/second"));
        let (first, second) = (Environ::of(&client.response()), Environ::of(&client.response()));
        first.expect("PATH_INFO", "'/first'");
        first.expect("HTTP_X_ONLY_FIRST", "'1'");
        second.expect("PATH_INFO", "'/second'");
        second.expect_none("HTTP_X_ONLY_FIRST");
    }
}
