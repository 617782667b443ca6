//! A worker runs the application's code and may say anything: httpd's children take no harm from it, and neither does another group.

use std::time::{Duration, Instant};

use crate::harness::{Builder, Httpd, Mpm, Request, Response, python, usual_mpm};

/// A group of hostile workers at `/bad`, and one like any other at `/good`. One httpd child, so that it is the one that would suffer: with
/// prefork it could serve one connection at a time, so this is tried with threads only.
fn site() -> Builder {
    // The program names its interpreter by itself, which another Debian has under another name.
    let worker = include_str!("apps/hostile_worker.py").replacen("/usr/bin/python3", &python::usual().display().to_string(), 1);
    let builder = Httpd::bare()
        .with_app("hello.wsgi")
        .program("worker", &worker)
        .config("StartServers 1\nServerLimit 1\nThreadsPerChild 10\nMaxRequestWorkers 10\nMinSpareThreads 1\nMaxSpareThreads 10")
        .config("WSGIDaemonProcess bad threads=5 python-home=${ROOT}/worker socket-timeout=2 response-spool-limit=1000000")
        .config("WSGIDaemonProcess good threads=2")
        .config("WSGIScriptAlias /bad ${APPS}/hello.wsgi process-group=bad\nWSGIScriptAlias /good ${APPS}/hello.wsgi process-group=good");
    let builder = if usual_mpm() == Mpm::Prefork { builder.mpm(Mpm::Event) } else { builder };
    // What the supervisor does not understand, it says.
    ["AH02430", "WSGI0302", "WSGI0308", "WSGI0119", "WSGI0145", "WSGI0146", "WSGI0148", "WSGI0120", "WSGI0359"]
        .into_iter()
        .fold(builder, |builder, code| builder.allow_log(code))
}

fn ask(httpd: &Httpd, what: &str, number: usize) -> Response {
    httpd.get(&format!("/bad?do={what}.{number}"))
}

/// The only child of httpd that serves clients, and how many descriptors it has.
fn child(httpd: &Httpd) -> (i32, usize) {
    let parent = httpd.parent();
    let is_httpd = |command: &str| command.contains("apache2") || command.contains("httpd");
    let mut children = httpd.processes().into_iter().filter(|process| process.parent == parent.pid && is_httpd(&process.command));
    let child = children.next_back().expect("httpd has a child");
    (child.pid, child.descriptors())
}

#[test]
fn what_a_worker_says_is_not_believed() {
    only_ours!("a daemon process of mod_wsgi is a fork of httpd: nothing else can stand in for it");
    let httpd = site().start();
    let right = ask(&httpd, "right", 0);
    assert_eq!((right.status, right.text().as_str()), (200, "right"), "the wire is spoken as it should be\n{}", httpd.log().tail());
    let (pid, _) = child(&httpd);
    for (what, number) in [("garbage", 1), ("garbage", 15), ("garbage", 16), ("garbage", 100), ("garbage", 1_000_000)] {
        assert_eq!(ask(&httpd, what, number).status, 502, "{what} {number}");
    }
    for what in ["oversized", "zeros", "foreign", "began", "read_body", "crlf", "interim"] {
        let began = Instant::now();
        let answer = ask(&httpd, what, 0);
        assert!([500, 502].contains(&answer.status), "{what}: {answer:?}");
        assert!(!answer.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("Set-Cookie")), "{what}: {answer:?}");
        assert!(began.elapsed() < Duration::from_secs(5), "{what} took {:?}", began.elapsed());
    }
    for what in ["heads", "no_file", "device", "overflow"] {
        let answer = ask(&httpd, what, 0);
        assert!(answer.status == 502 || !answer.complete, "{what}: {answer:?}");
    }
    assert_eq!(ask(&httpd, "silent", 0).status, 504);
    for message in 0..4 {
        // The supervisor ends who does not speak its language, and starts another.
        ask(&httpd, "control", message);
        httpd.log().wait_for_count("WSGI0302", message + 1);
    }
    assert_eq!(ask(&httpd, "right", 0).text(), "right");
    assert_eq!(httpd.get("/good").text(), "Hello World!\n");
    assert_eq!(child(&httpd).0, pid, "the child has lived through all of it");
}

#[test]
fn a_worker_that_logs_without_end_is_cut_off() {
    only_ours!("a daemon process of mod_wsgi is a fork of httpd: nothing else can stand in for it");
    // The lines themselves are not kept here.
    let httpd = site().config("LogLevel notice wsgi:error").start();
    ask(&httpd, "right", 0);
    let (pid, before) = child(&httpd);
    for (number, what) in ["logs", "lines_of_files", "times", "flushes", "empty_blocks"].into_iter().enumerate() {
        let began = Instant::now();
        let answer = ask(&httpd, what, 0);
        assert!(answer.status == 502 || !answer.complete, "{what}: {answer:?}");
        assert!(began.elapsed() < Duration::from_secs(20), "{what} took {:?}", began.elapsed());
        httpd.log().wait_for_count("WSGI0359", number + 1);
    }
    assert_eq!(ask(&httpd, "right", 0).text(), "right");
    let (then, after) = child(&httpd);
    assert!(then == pid && after <= before + 5, "{before} descriptors became {after}");
}

/// Half right answers, some octets of which are wrong: as a fuzzer finds what the parser does with them, this is about httpd as a whole.
#[test]
fn a_worker_may_send_anything() {
    only_ours!("a daemon process of mod_wsgi is a fork of httpd: nothing else can stand in for it");
    let httpd = site().allow_log("").start();
    ask(&httpd, "right", 0);
    let (pid, before) = child(&httpd);
    std::thread::scope(|scope| {
        for client in 0..5 {
            let httpd = &httpd;
            scope.spawn(move || {
                for seed in (client..400).step_by(5) {
                    let answer = ask(httpd, "mutated", seed);
                    assert!((200..600).contains(&answer.status), "{seed}: {answer:?}");
                }
            });
        }
    });
    assert_eq!(ask(&httpd, "right", 0).text(), "right");
    assert_eq!(httpd.get("/good").text(), "Hello World!\n");
    let (then, after) = child(&httpd);
    assert!(then == pid && after <= before + 5, "{before} descriptors became {after}");
}

#[test]
fn a_worker_that_is_killed_in_any_state_is_named() {
    only_ours!("a daemon process of mod_wsgi is a fork of httpd: nothing else can stand in for it");
    let httpd = site().start();
    ask(&httpd, "right", 0);
    // Who has not even begun is not known: the process says in the counters what it executes, and this one does not.
    assert_eq!(ask(&httpd, "killed", 0).status, 502);
    // Begun, with a head, with a body, and before the end.
    for (number, length) in [20, 46, 67, 82].into_iter().enumerate() {
        let answer = ask(&httpd, "killed", length);
        assert!(answer.status == 502 || !answer.complete, "after {length} octets: {answer:?}");
        // The request and the process each have a line.
        httpd.log().wait_for_count("killed by SIGKILL", number + 1);
        assert_eq!(ask(&httpd, "right", 0).text(), "right");
    }
}

#[test]
fn a_worker_that_closes_at_any_point_leaves_a_502_or_an_answer_that_is_seen_to_be_cut() {
    only_ours!("a daemon process of mod_wsgi is a fork of httpd: nothing else can stand in for it");
    let httpd = site().start();
    let pid = {
        ask(&httpd, "right", 0);
        child(&httpd).0
    };
    // The frames of the whole answer: 20, 26, 21 and 16 octets.
    for length in 0..83 {
        let answer = ask(&httpd, "cut", length);
        let is_told = if length < 46 { answer.status == 502 } else { answer.status == 502 || !answer.complete };
        assert!(is_told, "after {length} octets: {answer:?}");
    }
    assert_eq!(httpd.get("/good").text(), "Hello World!\n");
    assert_eq!(child(&httpd).0, pid);
}

#[test]
fn a_worker_cannot_exhaust_httpds_descriptors_or_fill_its_memory() {
    only_ours!("a daemon process of mod_wsgi is a fork of httpd: nothing else can stand in for it");
    let httpd = site().start();
    ask(&httpd, "right", 0);
    let (pid, before) = child(&httpd);
    assert_eq!(ask(&httpd, "descriptors", 200).status, 502);
    for _ in 0..3 {
        let mut client = httpd.connect();
        client.request(&Request::get("/bad?do=endless.0"));
        assert!(client.hears_within(Duration::from_secs(5)));
        // It leaves in the middle.
    }
    assert_eq!(httpd.get("/good").text(), "Hello World!\n");
    let (then, after) = child(&httpd);
    assert_eq!(then, pid);
    assert!(after <= before + 5, "{before} descriptors became {after}");
    let resident = crate::harness::Process::find(pid).expect("it lives").resident();
    assert!(resident < 150 * 1024, "{resident} KiB");
}

#[test]
fn a_worker_that_scribbles_over_the_counters_hurts_only_its_own_group() {
    only_ours!("there is nothing to scribble over in mod_wsgi");
    let httpd = site().start();
    ask(&httpd, "right", 0);
    let (pid, _) = child(&httpd);
    for octet in [255, 1, 0, 127, 3] {
        let answer = ask(&httpd, "scribble", octet);
        assert!([200, 502, 503, 504].contains(&answer.status), "{octet}: {answer:?}");
        let answer = ask(&httpd, "right", 0);
        assert!([200, 502, 503, 504].contains(&answer.status), "after {octet}: {answer:?}");
        assert_eq!(httpd.get("/good").text(), "Hello World!\n");
    }
    assert_eq!(child(&httpd).0, pid);
}
