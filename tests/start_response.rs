//! `start_response`: what it accepts, what it refuses and with which exception.

use crate::harness::{Httpd, Mode, UnderTest, under_test};

#[test]
fn arguments_are_checked() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("start_response.wsgi").start();
        for (case, answer) in [
            ("fine", "accepted"),
            ("no-reason", "accepted"),
            ("blank-reason", "accepted"),
            ("none-exc-info", "accepted"),
            ("list-subclass", "accepted"),
            ("no-arguments", "TypeError: "),
            ("one-argument", "TypeError: "),
            ("keywords", "TypeError: "),
            ("headers-tuple", "TypeError: start_response() argument 2 must be list, not tuple"),
            ("headers-none", "TypeError: start_response() argument 2 must be list, not None"),
            ("exc-info-text", "RuntimeError: start_response() argument 'exc_info' must be a 3-tuple or None"),
            ("status-int", "TypeError: must be str, not int"),
            ("status-bytes", "TypeError: must be str, not bytes"),
            ("status-unicode", "UnicodeEncodeError: "),
            ("status-short", "ValueError: status code must be a 3 digit integer: "),
            ("status-long", "ValueError: status code must be a 3 digit integer: "),
            ("status-word", "ValueError: status code must be a 3 digit integer: "),
            ("status-no-space", "ValueError: no space following status code: b'200OK'"),
            ("status-newline", "ValueError: control character in status reason phrase: "),
            ("header-list", "TypeError: each header must be a 2-tuple, not list"),
            ("header-single", "ValueError: each header must be a 2-tuple, got length 1"),
            ("header-triple", "ValueError: each header must be a 2-tuple, got length 3"),
            ("name-int", "TypeError: must be str, not int"),
            ("name-bytes", "TypeError: must be str, not bytes"),
            ("name-unicode", "UnicodeEncodeError: "),
            ("name-empty", "ValueError: header name is empty"),
            ("name-control", "ValueError: control character in header name: b'A\\x01'"),
            ("name-newline", "ValueError: control character in header name: b'A\\n'"),
            ("name-space", "ValueError: space character in header name: b'A B'"),
            ("value-int", "TypeError: must be str, not int"),
            ("value-none", "TypeError: must be str, not NoneType"),
            ("value-bytes", "TypeError: must be str, not bytes"),
            ("value-unicode", "UnicodeEncodeError: "),
            ("value-cr", "ValueError: carriage return/line feed character in header value: "),
            ("value-lf", "ValueError: carriage return/line feed character in header value: "),
        ] {
            let text = httpd.get(&format!("/{case}")).text();
            assert!(text.starts_with(answer), "{mode:?} {case}: {text}");
        }
    }
}

#[test]
fn names_that_are_no_tokens_and_nuls_are_refused() {
    only_ours!("a header name that is no token, or a NUL in a name or value, corrupts the response instead of raising ValueError");
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("start_response.wsgi").start();
        for case in ["name-colon", "name-latin", "name-nul", "value-nul"] {
            let text = httpd.get(&format!("/{case}")).text();
            assert!(text.starts_with("ValueError: "), "{mode:?} {case}: {text}");
        }
    }
}

#[test]
fn a_second_call_needs_exc_info() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("start_response.wsgi").start();
        if !differs!("a second start_response() without exc_info before output is accepted") {
            let answer = httpd.get("/twice");
            assert_eq!(answer.text(), "RuntimeError: start_response() called more than once without exc_info");
        }
        let answer = httpd.get("/twice-with-exc-info");
        assert_eq!((answer.status, answer.text().as_str()), (503, "accepted"), "{mode:?}: the second call replaces the first");
        assert_eq!(answer.reason, "Changed");
        let answer = httpd.get("/after-write");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.text(), "written, RuntimeError: start_response() called more than once without exc_info");
        let answer = httpd.get("/after-write-with-exc-info");
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "written, KeyError: 'original'"),
            "the original exception is raised again"
        );
    }
}

#[test]
fn the_status_line_is_the_applications() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("status.wsgi").start();
        for (status, expected) in [
            ("200%20Fine", (200, "Fine")),
            ("201", (201, "Created")),
            ("299%20Own", (299, "Own")),
            ("404%20Gone%20Away", (404, "Gone Away")),
            ("503%20Busy", (503, "Busy")),
        ] {
            let answer = httpd.get(&format!("/{status}"));
            assert_eq!((answer.status, answer.reason.as_str()), expected, "{mode:?} {status}");
            assert_eq!(answer.text(), "the application's own page\n", "{mode:?} {status}: httpd adds no page of its own");
        }
    }
}

#[test]
fn an_interim_status_is_no_answer() {
    only_ours!("a status of 1xx is sent as if it were the answer, and the client goes on waiting");
    for mode in Mode::ALL {
        for status in ["100%20Continue", "101%20Switching%20Protocols", "102", "103%20Early%20Hints", "199%20Odd"] {
            let httpd = Httpd::new(mode)
                .app("status.wsgi")
                .expect_log("WSGI0174")
                .expect_traceback("ValueError: status code of an interim response, which cannot be the answer: b'1")
                .start();
            let answer = httpd.get(&format!("/{status}"));
            assert_eq!((answer.status, answer.complete), (500, true), "{mode:?} {status}");
        }
    }
}

#[test]
fn headers_are_sent_as_given() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("headers.wsgi").start();
        let answer = httpd.get("/");
        assert_eq!(answer.all("Set-Cookie"), ["a=1; Path=/", "b=2; HttpOnly"]);
        assert_eq!(answer.header("X-Latin"), Some("caf\u{e9}"));
        assert_eq!(answer.header("X-Empty"), Some(""));
        assert_eq!(answer.header("Content-Type"), Some("text/html; charset=UTF-8"));
        assert_eq!(answer.header("Location"), Some("http://elsewhere.example/"));
        let joined = mode == Mode::Daemon && under_test() == UnderTest::Theirs && differs!("daemon mode joins repeated response headers");
        assert_eq!(answer.all("X-Twice"), if joined { vec!["one, two"] } else { vec!["one", "two"] }, "{mode:?}");
    }
}
