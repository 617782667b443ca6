//! Connections as clients use them: kept alive, pipelined, old, given up.

use std::time::{Duration, Instant};

use crate::harness::{Httpd, Mode, Request};

#[test]
fn a_connection_is_kept_for_many_requests() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("hello.wsgi").start();
        let mut client = httpd.connect();
        for _ in 0..50 {
            assert_eq!(client.ask(&Request::get("/")).text(), "Hello World!\n");
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("input.wsgi").start();
        let mut client = httpd.connect();
        for number in 0..10 {
            client.request(&Request::post("/all", format!("body {number}").as_bytes()));
        }
        for number in 0..10 {
            assert_eq!(client.response().text(), format!("b'body {number}'\n"), "{mode:?}");
        }
    }
}

#[test]
fn an_answer_on_a_kept_connection_does_not_linger() {
    // Nagle's algorithm, a missing flush or a wait for the next request would each show as a delay per answer.
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("hello.wsgi").start();
        let mut client = httpd.connect();
        client.ask(&Request::get("/"));
        let began = Instant::now();
        for _ in 0..100 {
            client.ask(&Request::get("/"));
        }
        assert!(began.elapsed() < Duration::from_secs(2), "{mode:?}: a hundred requests took {:?}", began.elapsed());
    }
}

#[test]
fn a_client_that_leaves_before_its_answer_does_no_harm() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("sleep.wsgi").daemon_options("threads=3").allow_log("AH0").start();
        httpd.get("/?0");
        for _ in 0..6 {
            let mut client = httpd.connect();
            client.request(&Request::get("/?0.3"));
            client.hang_up();
        }
        let answer = httpd.get("/?0");
        assert_eq!(answer.status, 200, "{mode:?}");
    }
}

#[test]
fn a_connection_of_http_1_0_ends_with_its_answer() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("hello.wsgi").start();
        let mut client = httpd.connect();
        client.request(&Request::get("/").old());
        let text = String::from_utf8_lossy(&client.rest()).into_owned();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\nHello World!\n"), "{text}");
    }
}
