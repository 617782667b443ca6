//! What an application returns, and what the client gets: iterables, `write`, `close`, framing, failures.

use std::time::Duration;

use crate::harness::{Builder, Httpd, Mode, Request, wait_until};

fn output(mode: Mode) -> Builder {
    Httpd::new(mode).app("output.wsgi")
}

/// Waits until the application has noted something about its iterables, and says how often.
fn times_seen(httpd: &Httpd, what: &str) -> usize {
    let count = || httpd.get("/seen").text().lines().filter(|line| *line == what).count();
    wait_until(Duration::from_secs(5), || Some(count()).filter(|count| *count > 0)).unwrap_or(0)
}

#[test]
fn iterables_are_sent_in_order() {
    for mode in Mode::ALL {
        let httpd = output(mode).start();
        for (path, status, body) in [
            ("/list", 200, "abc"),
            ("/tuple", 200, "ab"),
            ("/generator", 200, "one two"),
            ("/lazy", 201, "lazy"),
            ("/write", 200, "written twice and returned"),
            ("/empty", 200, ""),
            ("/exact", 200, "abcdef"),
        ] {
            let answer = httpd.get(path);
            assert_eq!((answer.status, answer.text().as_str(), answer.complete), (status, body, true), "{mode:?} {path}");
        }
    }
}

#[test]
fn large_answers_arrive_whole() {
    for mode in Mode::ALL {
        let httpd = output(mode).start();
        let answer = httpd.get("/large");
        assert!(answer.complete);
        assert_eq!(answer.body.len(), 5_000_000);
        assert!(
            answer
                .body
                .chunks(100_000)
                .enumerate()
                .all(|(number, block)| block.iter().all(|octet| usize::from(*octet) == 65 + number % 26))
        );
    }
}

#[test]
fn a_block_is_on_the_wire_when_it_is_yielded() {
    for mode in Mode::ALL {
        let httpd = output(mode).start();
        let mut client = httpd.connect();
        client.request(&Request::get("/stream"));
        assert_eq!(client.head().status, 200);
        assert_eq!(client.chunk().as_deref(), Some(&b"first"[..]), "{mode:?}");
        assert!(!client.hears_within(Duration::from_millis(100)), "the second block waits for the test");
        assert_eq!(httpd.get("/open").text(), "opened");
        let mut rest = Vec::new();
        while let Some(chunk) = client.chunk().filter(|chunk| !chunk.is_empty()) {
            rest.extend(chunk);
        }
        assert_eq!(rest, b"secondthird");
    }
}

#[test]
fn write_takes_bytes_only() {
    for mode in Mode::ALL {
        let httpd = output(mode).start();
        let text = httpd.get("/write-wrong").text();
        for wrong in ["str", "bytearray", "NoneType", "int"] {
            assert!(text.contains(&format!("write() argument must be bytes, not {wrong}")), "{mode:?}: {text}");
        }
    }
}

#[test]
fn what_is_called_after_the_request_says_so() {
    for mode in Mode::ALL {
        let httpd = output(mode).start();
        assert_eq!(httpd.get("/keep-write").text(), "kept");
        assert_eq!(
            httpd.get("/late-write").text(),
            "write() called after request completed\nstart_response() called after request completed"
        );
    }
}

#[test]
fn an_answer_has_a_length_or_chunks() {
    for mode in Mode::ALL {
        let httpd = output(mode).start();
        let mut client = httpd.connect();
        // A generator that has ended before anything was sent may get a length as well.
        let answer = client.ask(&Request::get("/generator"));
        assert!(answer.header("Transfer-Encoding").is_some() != answer.header("Content-Length").is_some(), "{mode:?}: {answer:?}");
        assert_eq!(client.ask(&Request::get("/exact")).header("Content-Length"), Some("6"));
        let old = httpd.connect().ask(&Request::get("/generator").old());
        assert_eq!((old.header("Transfer-Encoding"), old.text().as_str()), (None, "one two"), "HTTP/1.0 knows no chunks");
    }
}

#[test]
fn answers_without_a_body_keep_the_connection_in_step() {
    for mode in Mode::ALL {
        let httpd = output(mode).start();
        let mut client = httpd.connect();
        assert_eq!(client.ask(&Request::get("/no-content")).status, 204);
        let answer = client.ask(&Request::get("/not-modified"));
        assert_eq!((answer.status, answer.header("ETag")), (304, Some("\"x\"")));
        let head = client.ask(&Request::new("HEAD", "/exact"));
        assert_eq!((head.status, head.header("Content-Length")), (200, Some("6")));
        assert_eq!(client.ask(&Request::get("/list")).text(), "abc", "{mode:?}: nothing is left of the others");
    }
}

#[test]
fn no_more_than_the_length_is_sent() {
    for mode in Mode::with_one_process().iter().copied() {
        let httpd = output(mode).start();
        let mut client = httpd.connect();
        assert_eq!(client.ask(&Request::get("/too-much")).text(), "abcd", "{mode:?}");
        assert_eq!(client.ask(&Request::get("/list")).text(), "abc", "the surplus is not taken for the next answer");
        assert_eq!(times_seen(&httpd, "sized closed"), 1);
    }
}

#[test]
fn less_than_the_length_is_seen_by_the_client() {
    for mode in Mode::ALL {
        // Ours says so in the log; mod_wsgi at level trace1 only.
        let httpd = output(mode).allow_log("Content-Length").allow_log("length").start();
        let answer = httpd.get("/too-little");
        assert_eq!((answer.text().as_str(), answer.complete), ("abc", false), "{mode:?}");
    }
}

#[test]
fn close_is_called_once_whatever_happens() {
    for mode in Mode::ALL {
        let httpd = output(mode)
            .expect_traceback("ValueError: deliberately")
            .expect_log("response iterable must yield bytes, not str")
            .expect_log("start_response() must be called before response content is produced")
            .expect_log("KeyError: 'while closing'")
            .start();
        for path in ["closed", "first-item-fails", "second-item-fails", "text-items", "no-start", "close-fails"] {
            httpd.get(&format!("/{path}"));
            assert_eq!(times_seen(&httpd, &format!("{path} closed")), 1, "{mode:?} {path}");
        }
        assert_eq!(httpd.get("/closed").text(), "xy");
    }
}

#[test]
fn close_is_called_when_the_client_leaves() {
    for mode in Mode::ALL {
        let httpd = output(mode).allow_log("AH0").start();
        let mut client = httpd.connect();
        client.request(&Request::get("/endless"));
        client.head();
        client.exactly(10);
        client.hang_up();
        assert_eq!(times_seen(&httpd, "endless closed"), 1, "{mode:?}");
    }
}

#[test]
fn an_exception_before_the_head_is_a_500() {
    for mode in Mode::ALL {
        for (path, exception) in [
            ("/call-fails", "ValueError: deliberately"),
            ("/first-item-fails", "ValueError: deliberately"),
            ("/text-items", "TypeError: response iterable must yield bytes, not str"),
            ("/text", "TypeError: response iterable must yield bytes, not str"),
            ("/bytes", "TypeError: response iterable must yield bytes, not int"),
            ("/none", "TypeError: 'NoneType' object is not iterable"),
            ("/no-start", "RuntimeError: start_response() must be called before response content is produced"),
            ("/no-start-empty", "RuntimeError: start_response() must be called before response content is produced"),
            ("/bad-length", "ValueError: invalid Content-Length header value: 'x'"),
        ] {
            let httpd = output(mode).expect_log("WSGI0174").expect_traceback(exception).start();
            let answer = httpd.get(path);
            assert_eq!(answer.status, 500, "{mode:?} {path}");
            assert!(answer.text().contains("Internal Server Error"), "httpd's own page: {}", answer.text());
            assert!(answer.complete);
            assert_eq!(httpd.get("/list").text(), "abc");
        }
    }
}

#[test]
fn sys_exit_ends_the_request_and_not_the_process() {
    for mode in Mode::ALL {
        let httpd = output(mode).expect_log("WSGI0175").expect_traceback("SystemExit: 3").start();
        assert_eq!(httpd.get("/keep-write").text(), "kept");
        assert_eq!(httpd.get("/exit").status, 500);
        assert!(httpd.get("/late-write").text().starts_with("write() called"), "the process and its state are still there");
    }
}

#[test]
fn error_documents_replace_the_page_of_a_failure() {
    for mode in Mode::ALL {
        let httpd = output(mode)
            .config("ErrorDocument 500 /sorry.html\nAlias /sorry.html ${ROOT}/htdocs/sorry.html")
            .file("htdocs/sorry.html", "Sorry.\n")
            .expect_traceback("ValueError: deliberately")
            .start();
        let answer = httpd.get("/call-fails");
        assert_eq!((answer.status, answer.text().as_str()), (500, "Sorry.\n"), "{mode:?}");
    }
}

#[test]
fn a_failure_after_the_head_is_seen_by_the_client() {
    for mode in Mode::ALL {
        if mode == Mode::Daemon && differs!("daemon mode ends the chunked body of a failed response as if it were complete") {
            continue;
        }
        let httpd = output(mode).expect_log("WSGI0174").expect_traceback("ValueError: deliberately").start();
        for path in ["/second-item-fails", "/early-write-failure"] {
            if path == "/early-write-failure" && differs!("embedded mode appends httpd's error page to what write() has sent") {
                continue;
            }
            // On a connection that would stay open, so that only the framing can tell.
            let answer = httpd.connect().ask(&Request::get(path));
            assert_eq!((answer.status, answer.text().as_str(), answer.complete), (200, "begun", false), "{mode:?} {path}");
        }
        let answer = httpd.get("/sized-item-fails");
        assert_eq!((answer.status, answer.text().as_str(), answer.complete), (200, "begun", false), "{mode:?}");
    }
}

#[test]
fn the_whole_traceback_is_in_the_log() {
    only_ours!("before Python 3.12 the log has only the last line of an uncaught exception");
    for mode in Mode::ALL {
        let httpd = output(mode).expect_traceback("ValueError: deliberately").start();
        httpd.get("/call-fails");
        let log = httpd.log();
        log.wait_for("ValueError: deliberately");
        let head = log.wait_for("WSGI0174");
        assert!(head.contains("output.wsgi"), "{head}");
        assert_eq!(log.lines_with("Traceback (most recent call last)").len(), 1);
        assert!(!log.lines_with("in fail").is_empty(), "the innermost frame is there");
    }
}
