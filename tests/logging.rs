//! `wsgi.errors`, `print` and their like: each line in the right log, with the decoration of its request.

use crate::harness::{Httpd, Mode, Request};

/// The parts of a log line that httpd adds for a request.
fn has_request(line: &str) -> bool {
    line.contains("[client 127.0.0.1:") || line.contains("[remote 127.0.0.1:")
}

#[test]
fn lines_of_a_request_carry_its_client() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("logging.wsgi").allow_log("").start();
        for path in ["/errors", "/flush", "/print", "/warning", "/logging"] {
            assert_eq!(httpd.get(path).text(), "done", "{mode:?} {path}");
        }
        let log = httpd.log();
        for text in [
            "one line",
            "half and half",
            "listed 1",
            "listed 2",
            "printed to errors",
            "caf\\xc3\\xa9 \\xe2\\x82\\xac",
            "unfinished",
            "flushed",
            " and more",
            "] printed",
            "to stderr",
            "half of stdout half of stderr",
            "a warning",
            "through logging",
        ] {
            let line = log.wait_for(text);
            assert!(line.contains("[wsgi:error]"), "{mode:?}: {line}");
            assert!(has_request(&line), "{mode:?}: {line}");
        }
    }
}

#[test]
fn lines_of_other_threads_have_no_client() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("logging.wsgi").expect_log("from a thread").expect_log("said at import").start();
        httpd.get("/thread");
        let line = httpd.log().wait_for("from a thread");
        assert!(!has_request(&line), "{mode:?}: {line}");
    }
}

#[test]
fn nothing_that_is_written_can_fail_or_forge() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("logging.wsgi").expect_log("bad ? end").expect_log("said at import").allow_log("innocent").start();
        assert_eq!(httpd.get("/surrogate").text(), "done");
        assert_eq!(httpd.get("/forge").text(), "done");
        let forged = httpd.log().wait_for("forged");
        assert!(!forged.starts_with("[Sun Nov 01 00:00:00 2026]"), "{forged}");
    }
}

#[test]
fn odd_octets_are_shown_and_nothing_is_lost() {
    only_ours!("what follows a NUL is lost, octets pass unseen, and print() raises when wsgi.errors was closed");
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("logging.wsgi").allow_log("said at import").allow_log("] odd").start();
        assert_eq!(httpd.get("/odd").text(), "done", "{mode:?}");
        let log = httpd.log();
        assert!(log.wait_for("] odd null").ends_with("\\x00behind"), "{mode:?}");
        assert!(log.wait_for("] odd octets").ends_with("\\xef\\xbf\\xbd"), "{mode:?}: the replacement character");
        assert!(log.wait_for("] odd after").ends_with("closing"), "{mode:?}");
    }
}

#[test]
fn a_buffer_takes_octets_only() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("logging.wsgi").expect_log("said at import").start();
        assert_eq!(httpd.get("/wrong").text(), "'int' 'NoneType' 'list' 'dict' 'float'", "{mode:?}");
    }
}

#[test]
fn the_stream_says_what_it_is() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("logging.wsgi").expect_log("said at import").start();
        assert_eq!(httpd.get("/attributes").text(), "utf-8 replace <wsgi.errors> False True");
        httpd.get("/keep");
        assert_eq!(httpd.get("/late").text(), "write() called on wsgi.errors after request completed");
    }
}

#[test]
fn a_virtual_host_has_its_own_log() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .with_app("logging.wsgi")
            .with_app("output.wsgi")
            // mod_wsgi writes here what a script prints while it is loaded.
            .allow_log("said at import")
            .config(
                "<VirtualHost *>\nServerName one.example\nErrorLog one.log\nWSGIScriptAlias / ${APPS}/logging.wsgi\n</VirtualHost>\n\
                 <VirtualHost *>\nServerName two.example\nErrorLog two.log\nWSGIScriptAlias /log ${APPS}/logging.wsgi\n\
                 WSGIScriptAlias / ${APPS}/output.wsgi\n</VirtualHost>",
            )
            .start();
        for (host, path) in [("one.example", "/print"), ("two.example", "/log/logging"), ("two.example", "/call-fails")] {
            httpd.ask(&Request::get(path).header("Host", host));
        }
        let (one, two) = (httpd.other_log("one.log"), httpd.other_log("two.log"));
        assert!(has_request(&one.wait_for("] printed")), "{mode:?}");
        two.wait_for("through logging");
        two.wait_for("ValueError: deliberately");
        assert!(one.lines_with("through logging").is_empty() && one.lines_with("ValueError").is_empty());
        assert!(two.lines_with("to stderr").is_empty());
    }
}

#[test]
fn the_finest_level_does_no_harm() {
    only_ours!("LogLevel wsgi:trace1 can end the process");
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("hello.wsgi").log_level("warn wsgi:trace8").start();
        for _ in 0..3 {
            assert_eq!(httpd.get("/").text(), "Hello World!\n", "{mode:?}");
        }
    }
}

/// What `scopes.wsgi` says it by.
const WAYS: [&str; 5] = ["print", "stderr", "warning", "logging", "traceback"];

/// Asserts that all that `script` says in a scope is in one log of several, and with its request or without.
fn expect_in(httpd: &Httpd, logs: &[&str], script: &str, scope: &str, (wanted, with_request): (&str, bool)) {
    for way in WAYS {
        let text = format!("{script} {scope} by {way}");
        httpd.other_log(wanted).wait_for(&text);
        for log in logs {
            // A traceback and a warning show the line of the program too, but not the text that it makes.
            let lines = httpd.other_log(log).lines_with(&text);
            assert_eq!(lines.is_empty(), *log != wanted, "{text} in {log}: {lines:#?}");
            assert!(lines.iter().all(|line| has_request(line) == with_request), "{text} in {log}: {lines:#?}");
        }
    }
}

#[test]
fn each_scope_has_its_log() {
    const LOGS: [&str; 4] = ["error.log", "one.log", "two.log", "three.log"];
    let mut builder = Httpd::bare().allow_log("");
    for name in ["inner", "inner_fixed", "outer", "outer_fixed", "embedded"] {
        builder = builder.file(&format!("apps/{name}.wsgi"), include_str!("apps/scopes.wsgi"));
    }
    let httpd = builder
        .config(
            "WSGIDaemonProcess outer threads=2
            <VirtualHost *>
                ServerName one.example
                ErrorLog one.log
                WSGIDaemonProcess inner threads=2
                WSGIProcessGroup inner
                WSGIScriptAlias /fixed ${APPS}/inner_fixed.wsgi process-group=inner application-group=%{GLOBAL}
                WSGIScriptAlias / ${APPS}/inner.wsgi
            </VirtualHost>
            <VirtualHost *>
                ServerName two.example
                ErrorLog two.log
                WSGIProcessGroup outer
                WSGIScriptAlias /fixed ${APPS}/outer_fixed.wsgi process-group=outer application-group=%{GLOBAL}
                WSGIScriptAlias / ${APPS}/outer.wsgi
            </VirtualHost>
            <VirtualHost *>
                ServerName three.example
                ErrorLog three.log
                WSGIScriptAlias / ${APPS}/embedded.wsgi
            </VirtualHost>",
        )
        .start();
    // The log of the process, that of the request, and whether the script is loaded before there is a request.
    for (script, url, process, request, early) in [
        ("inner", "one.example/", "one.log", "one.log", false),
        ("inner_fixed", "one.example/fixed", "one.log", "one.log", true),
        ("outer", "two.example/", "error.log", "two.log", false),
        ("outer_fixed", "two.example/fixed", "error.log", "two.log", true),
        ("embedded", "three.example/", "error.log", "three.log", false),
    ] {
        let (host, path) = url.split_at(url.find('/').expect("there is a path"));
        assert_eq!(httpd.ask(&Request::get(path).header("Host", host)).text(), "done", "{url}");
        let expect = |scope: &str, wanted| expect_in(&httpd, &LOGS, script, scope, wanted);
        expect("request", (request, true));
        expect("background", (process, false));
        let at_import = if early { (process, false) } else { (request, true) };
        // A virtual host that is told of a failed load in its log is told there of what went before.
        if early || !differs!("what a script says while a request loads it is in the log of the process, without the request") {
            expect("import", at_import);
        }
        let loading = httpd.other_log(at_import.0).lines_with(&format!("/{script}.wsgi' into "));
        assert!(!loading.is_empty(), "{script}: {}", httpd.other_log(at_import.0).text());
    }
}

#[test]
fn a_failed_load_is_told_where_its_output_is() {
    const LOGS: [&str; 3] = ["error.log", "one.log", "two.log"];
    let speaks = format!("{}\n1 / 0\n", include_str!("apps/scopes.wsgi").split("threading.Thread(").next().expect("there is a first part"));
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .allow_log("")
            .file("apps/failing.wsgi", &speaks)
            .config(
                "<VirtualHost *>\nServerName one.example\nErrorLog one.log\nWSGIScriptAlias / ${APPS}/failing.wsgi\n</VirtualHost>\n\
                 <VirtualHost *>\nServerName two.example\nErrorLog two.log\nWSGIScriptAlias / ${APPS}/failing.wsgi\n</VirtualHost>",
            )
            .start();
        assert_eq!(httpd.ask(&Request::get("/").header("Host", "two.example")).status, 500, "{mode:?}");
        for code in ["WSGI0109", "ZeroDivisionError: division by zero"] {
            assert!(has_request(&httpd.other_log("two.log").wait_for(code)), "{mode:?}");
        }
        if !differs!("what a script says while a request loads it is in the log of the process, without the request") {
            expect_in(&httpd, &LOGS, "failing", "import", ("two.log", true));
        }
        let elsewhere = ["error.log", "one.log"].map(|log| httpd.other_log(log).lines_with("ZeroDivisionError"));
        assert!(elsewhere.concat().is_empty(), "{mode:?}: {elsewhere:#?}");
    }
}

#[test]
fn text_in_a_buffer_is_warned_of_once_in_a_process() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).mount("/other", "logging.wsgi").app("logging.wsgi").allow_log("").daemon_options("threads=1").start();
        let answers = ["/deprecated", "/deprecated", "/other/deprecated"].map(|path| httpd.get(path).text());
        assert_eq!(answers, ["DeprecationWarning and 5 lines", "no warning and 6 lines", "no warning and 6 lines"], "{mode:?}");
        httpd.log().wait_for_count("text in a buffer", 17);
    }
}
