//! `wsgi.input`: bodies with a length and in chunks, each way of reading them, and what happens when they break off.

use std::time::Duration;

use crate::harness::{Httpd, Mode, Request};

/// The answers of `input.wsgi`, a line per call.
fn calls(httpd: &Httpd, request: &Request) -> Vec<String> {
    let answer = httpd.ask(request);
    assert_eq!(answer.status, 200, "{request:?}: {}", answer.text());
    answer.text().lines().map(str::to_owned).collect()
}

#[test]
fn every_way_of_reading() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("input.wsgi").config("WSGIChunkedRequest On").start();
        let body: &[u8] = b"ab\ncdefg\nlast";
        for (path, expected) in [
            ("/all", vec!["b'ab\\ncdefg\\nlast'"]),
            ("/minus", vec!["b'ab\\ncdefg\\nlast'"]),
            ("/parts", vec!["b'ab'", "b''", "b'\\ncd'", "b'efg\\nlast'", "b''", "b''"]),
            ("/line", vec!["b'ab\\n'", "b'cd'", "b'efg\\n'", "b'last'", "b''"]),
            ("/lines", vec!["[b'ab\\n', b'cdefg\\n', b'last']", "[]"]),
            ("/hint", vec!["[b'ab\\n']", "[b'cdefg\\n', b'last']"]),
            ("/iterate", vec!["[b'ab\\n', b'cdefg\\n', b'last']", "b''"]),
            ("/mixed", vec!["b'ab\\n'", "b'cd'", "b'efg\\n'", "b'last'", "b''"]),
            ("/close", vec!["None", "b'ab\\ncdefg\\nlast'"]),
        ] {
            assert_eq!(calls(&httpd, &Request::post(path, body)), expected, "{mode:?} {path} with a length");
            let chunked = Request::post_chunked(path, &[&body[..1], &body[1..8], &body[8..]]);
            assert_eq!(calls(&httpd, &chunked), expected, "{mode:?} {path} in chunks");
        }
        assert_eq!(calls(&httpd, &Request::get("/all")), ["b''"], "a request without a body");
        let wrong = calls(&httpd, &Request::post("/none", b"x"));
        assert!(wrong.iter().all(|line| line.starts_with("TypeError: ")), "{wrong:?}");
    }
}

#[test]
fn large_bodies_arrive_whole() {
    // Longer than any buffer on the way, with every octet in it.
    let body: Vec<u8> = (0..3_000_000_u32).flat_map(|number| u8::try_from(number * 7 % 251)).collect();
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("input.wsgi").config("WSGIChunkedRequest On").start();
        for path in ["/digest", "/digest-by-blocks"] {
            let with_length = calls(&httpd, &Request::post(path, &body));
            assert!(with_length[0].starts_with("(3000000, '"), "{with_length:?}");
            let blocks: Vec<&[u8]> = body.chunks(70_001).collect();
            assert_eq!(calls(&httpd, &Request::post_chunked(path, &blocks)), with_length);
        }
    }
}

#[test]
fn an_unread_body_does_not_disturb_the_next_request() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("input.wsgi").start();
        let mut client = httpd.connect();
        for size in [10, 100_000] {
            assert_eq!(client.ask(&Request::post("/ignore", &vec![b'x'; size])).status, 200);
            assert_eq!(client.ask(&Request::post("/all", b"next")).text(), "b'next'\n");
        }
    }
}

#[test]
fn chunks_are_refused_unless_allowed() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("input.wsgi").expect_log("WSGI0139").start();
        assert_eq!(httpd.ask(&Request::post_chunked("/all", &[b"abc"])).status, 411);
    }
}

#[test]
fn continue_is_said_when_the_client_waits_for_it() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("input.wsgi").start();
        let mut client = httpd.connect();
        client.send(b"POST /all HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
        assert_eq!(client.head().status, 100);
        client.send(b"abc");
        assert_eq!(client.response().text(), "b'abc'\n");
    }
}

#[test]
fn a_body_that_breaks_off_is_an_error_to_the_application() {
    for mode in Mode::ALL {
        // How the server's side of it is logged is httpd's and the module's business.
        let httpd = Httpd::new(mode).app("input.wsgi").allow_log("WSGI0126").allow_log("AH0").start();
        let mut client = httpd.connect();
        client.send(b"POST /all HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nonly this");
        client.finish_sending();
        if mode == Mode::Embedded {
            let answer = client.response();
            assert!(answer.text().starts_with("OSError: mod_wsgi request data read error: "), "{}", answer.text());
        } else {
            // The body is read before the application sees it, so the answer may be httpd's.
            client.rest();
        }
        assert_eq!(httpd.ask(&Request::post("/all", b"fine")).text(), "b'fine'\n", "{mode:?}: the server goes on");
    }
}

#[test]
fn a_client_that_leaves_while_it_sends_does_no_harm() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("input.wsgi").allow_log("WSGI0126").allow_log("AH0").start();
        for _ in 0..10 {
            let mut client = httpd.connect();
            client.send(b"POST /digest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nonly this");
            client.hang_up();
        }
        assert_eq!(httpd.ask(&Request::post("/all", b"fine")).text(), "b'fine'\n");
    }
}

#[test]
fn input_of_a_finished_request_says_so() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("input.wsgi").start();
        calls(&httpd, &Request::post("/keep", b"abc"));
        let after = |what: &str| format!("RuntimeError: {what} after request completed");
        assert_eq!(
            calls(&httpd, &Request::get("/later")),
            [
                after("read() called on wsgi.input"),
                after("readline() called on wsgi.input"),
                after("readlines() called on wsgi.input"),
                after("iteration of wsgi.input attempted"),
                after("close() called on wsgi.input"),
            ]
        );
    }
}

#[test]
fn a_slow_body_is_waited_for() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("input.wsgi").start();
        let mut client = httpd.connect();
        client.send(b"POST /all HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\nabc");
        assert!(!client.hears_within(Duration::from_millis(300)), "an answer before the body is there");
        client.send(b"def");
        assert_eq!(client.response().text(), "b'abcdef'\n");
    }
}
