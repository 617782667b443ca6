//! `WSGISlowRequests`: a line for each request that took long, with when what happened to it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{Httpd, Mode, Request};

/// The moments that a line tells, in milliseconds after the request came, by their names.
fn moments(line: &str) -> BTreeMap<String, u64> {
    let told = line.split_once(": ").expect("phases follow a colon").1.rsplit_once(", status").expect("the status is last").0;
    let phases = told.rsplit_once("): ").or_else(|| told.rsplit_once("mode: ")).map_or(told, |(_, phases)| phases);
    let moment = |phase: &str| {
        let (name, milliseconds) = phase.split_once(" at ").unwrap_or_else(|| panic!("no phase: {phase} in {line}"));
        (name.to_owned(), milliseconds.trim_end_matches(" ms").parse().expect("a number"))
    };
    phases.split(", ").map(moment).collect()
}

#[test]
fn a_slow_request_is_told_with_its_phases() {
    only_ours!("WSGISlowRequests goes to a telemetry service, not to the log");
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("metrics.wsgi").config("WSGISlowRequests 0.3").expect_log("WSGI0351").start();
        httpd.get("/status?404");
        let began = Instant::now();
        assert_eq!(httpd.get("/slow-stream?0.3").text(), "first\nsecond\n");
        let all = u64::try_from(began.elapsed().as_millis()).expect("not for ever");
        let line = httpd.log().wait_for("WSGI0351");
        assert!(line.contains("[wsgi:warn]") && line.contains("GET /slow-stream took ") && line.contains(", status 200;"), "{line}");
        let moments = moments(&line);
        let at = |name: &str| moments[name];
        assert!(at("begun") <= at("first byte") && (300..all).contains(&at("first byte")), "{line}");
        assert!((600..=all).contains(&at("done")), "{all}: {line}");
        match mode {
            Mode::Embedded => assert!(line.contains("in embedded mode: begun at ") && !moments.contains_key("queued"), "{line}"),
            Mode::Daemon => {
                let worker = httpd.workers("test")[0].pid;
                assert!(line.contains(&format!("in daemon group 'test' (worker pid {worker}): queued at ")), "{line}");
                assert!(at("queued") <= at("begun"), "{line}");
            }
        }
        assert_eq!(httpd.log().lines_with("WSGI0351").len(), 1, "the others were fast");
    }
}

#[test]
fn what_waits_in_the_queue_says_so() {
    only_ours!("WSGISlowRequests goes to a telemetry service, not to the log");
    let builder = Httpd::new(Mode::Daemon).daemon_options("threads=1").app("metrics.wsgi");
    let httpd = builder.config("WSGISlowRequests 1.2").expect_log("WSGI0351").for_clients(4).start();
    httpd.get("/");
    let mut clients = [httpd.connect(), httpd.connect()];
    for client in &mut clients {
        client.request(&Request::get("/sleep?0.8"));
        std::thread::sleep(Duration::from_millis(100));
    }
    clients.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    let line = httpd.log().wait_for("WSGI0351");
    let moments = moments(&line);
    assert!(moments["queued"] < 500 && moments["begun"] >= 600 && moments["first byte"] >= moments["begun"] + 800, "{line}");
}

#[test]
fn a_slow_request_that_is_lost_is_told_as_well() {
    only_ours!("WSGISlowRequests goes to a telemetry service, not to the log");
    let builder = Httpd::new(Mode::Daemon).app("metrics.wsgi").config("WSGISlowRequests 0.3");
    let httpd = builder.expect_log("WSGI0351").expect_log("was killed by SIGKILL").allow_log("WSGI0302").start();
    httpd.get("/");
    let worker = httpd.workers("test").remove(0);
    let mut client = httpd.connect();
    client.request(&Request::get("/sleep?20"));
    std::thread::sleep(Duration::from_millis(500));
    worker.signal(Signal::SIGKILL);
    assert_eq!(client.response().status, 502);
    let line = httpd.log().wait_for("WSGI0351");
    assert!(line.contains(", status 502;") && line.contains(&format!("(worker pid {})", worker.pid)), "{line}");
    let moments = moments(&line);
    assert!(moments["begun"] < 400 && !moments.contains_key("first byte") && moments["done"] >= 500, "{line}");
}

#[test]
fn it_is_said_that_no_telemetry_is_sent() {
    only_ours!("telemetry is sent");
    let config = "WSGITelemetryService unix:${ROOT}/run/nobody.sock\nWSGITelemetryOptions +CaptureUserAgent";
    let httpd = Httpd::new(Mode::Daemon).app("metrics.wsgi").config(config).expect_log("nothing is sent").start();
    httpd.get("/");
    let lines = httpd.log().lines_with("nothing is sent");
    assert!(lines.len() == 1 && lines[0].contains("WSGI0346: WSGITelemetryService at "), "{lines:?}");
}
