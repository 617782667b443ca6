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
            // Whether what a script prints while it is loaded belongs to the request that caused it is left open.
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
