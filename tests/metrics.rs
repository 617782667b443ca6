//! What applications can ask of `mod_wsgi` about themselves, compared with what a client has counted.

use std::time::{Duration, Instant};

use crate::harness::{Httpd, Mode, Mpm, Process, Request, Response, usual_mpm};

/// The figures in an answer that is a list.
fn numbers(text: &str) -> Vec<f64> {
    let items = text.trim_matches(['[', ']']).split(", ").filter(|item| !item.is_empty());
    items.map(|item| item.parse().unwrap_or_else(|_| panic!("no number: {item}"))).collect()
}

fn number(answer: &Response, name: &str) -> f64 {
    let facts = answer.facts();
    facts.get(name).parse().unwrap_or_else(|_| panic!("{name} is no number: {}", facts.get(name)))
}

fn sum(answer: &Response, name: &str) -> f64 {
    numbers(answer.facts().get(name)).iter().sum()
}

/// Waits until the accounts of requests that have been answered are closed: that is the last thing a thread does for them.
fn settle() {
    std::thread::sleep(Duration::from_millis(200));
}

#[test]
fn requests_are_measured_from_when_somebody_asks() {
    for mode in Mode::with_one_process().iter().copied() {
        let httpd = Httpd::new(mode).app("metrics.wsgi").start();
        for path in ["/request", "/process"] {
            assert_eq!(httpd.get(path).text(), "None=None\n", "{mode:?} {path}");
        }
        settle();
        httpd.get("/start");
        settle();
        let first = httpd.get("/request");
        // The request that has started it is measured, as it ended afterwards.
        assert_eq!(number(&first, "request_count"), 1.0, "{mode:?}");

        let began = Instant::now();
        let mut octets = first.body.len();
        let mut count = |response: Response| octets += response.body.len();
        let statuses = ["404", "503", "404", "302", "204"];
        statuses.iter().for_each(|status| {
            // What is not sent to the client is not counted as sent, nor read from it.
            count(httpd.get(&format!("/status?{status}")));
        });
        (0..4).for_each(|_| count(httpd.ask(&Request::post("/echo", b"five!"))));
        count(httpd.get("/write"));
        count(httpd.get("/sleep?0.3"));
        count(httpd.get("/spin?0.2"));
        settle();
        let second = httpd.get("/request");
        // No time can be longer than all of it took a client. A busy machine makes the rest longer as it likes.
        let all = began.elapsed().as_secs_f64();

        let requests = statuses.len() as f64 + 4.0 + 3.0 + 1.0;
        let expected = [
            ("request_count", requests),
            ("status_1xx", 0.0),
            ("status_2xx", 9.0),
            ("status_3xx", 1.0),
            ("status_4xx", 2.0),
            ("status_5xx", 1.0),
            ("input_bytes", 20.0),
        ];
        for (name, expected) in expected {
            assert_eq!(number(&second, name), expected, "{mode:?} {name}");
        }
        let written = number(&second, "output_bytes");
        if !differs!("request_metrics() counts the body of a 204 that is not sent") {
            assert_eq!(written, octets as f64, "{mode:?}");
        }
        for name in ["request_threads_completed", "request_threads_buckets", "application_time_buckets", "request_time_buckets"] {
            assert_eq!(sum(&second, name), requests, "{mode:?} {name}");
        }
        let longest = number(&second, "application_time_max_us") / 1e6;
        assert!((0.3..all).contains(&longest), "{mode:?}: {longest}");
        let application = number(&second, "application_time") * requests;
        assert!((0.5..all).contains(&application), "{mode:?}: {application}");
        let busy = sum(&second, "request_threads_busy_time");
        assert!((0.5..all).contains(&busy), "{mode:?}: {busy}");
        let cpu = sum(&second, "request_threads_cpu_time");
        assert!((0.19..all).contains(&cpu), "{mode:?}: {cpu}");
        let (period, throughput) = (number(&second, "sample_period"), number(&second, "request_throughput"));
        assert!((throughput * period - requests).abs() < 0.01, "{mode:?}: {throughput} {period}");
        let capacity = number(&second, "capacity_utilization") * period * number(&second, "request_threads_maximum");
        assert!((0.5..all).contains(&capacity), "{mode:?}: {capacity}");
        let is_none = |name| second.facts().get(name) == "None";
        assert_eq!((is_none("queue_time"), is_none("daemon_time")), (mode == Mode::Embedded, mode == Mode::Embedded));
        assert!(number(&second, "gil_wait_count") >= requests);

        settle();
        let third = httpd.get("/request");
        assert_eq!(number(&third, "request_count"), 1.0, "{mode:?}: an interval begins where the last one ended");
    }
}

#[test]
fn a_process_counts_what_it_has_done_and_does() {
    for mode in Mode::with_one_process().iter().copied() {
        let httpd = Httpd::new(mode).app("metrics.wsgi").start();
        httpd.get("/start");
        settle();
        let before = httpd.get("/process");
        (0..7).for_each(|_| drop(httpd.get("/")));
        let mut sleeper = httpd.connect();
        sleeper.request(&Request::get("/sleep?1"));
        std::thread::sleep(Duration::from_millis(300));
        let during = httpd.get("/process");
        let elapsed = numbers(httpd.get("/request").facts().get("request_threads_current_elapsed"));
        assert_eq!(sleeper.response().status, 200);
        settle();
        let after = httpd.get("/process");

        let more = |name| number(&after, name) - number(&before, name);
        // Those three that asked before the last one, the sleeper, and the seven.
        assert_eq!(more("request_count"), 11.0, "{mode:?}");
        assert_eq!((number(&before, "active_requests"), number(&during, "active_requests")), (1.0, 2.0), "{mode:?}");
        let all = number(&after, "current_time") - number(&before, "current_time");
        assert!((1.0..2.0 * all).contains(&more("request_busy_time")), "{mode:?}: {}", more("request_busy_time"));
        assert!(elapsed.iter().any(|elapsed| (0.2..all).contains(elapsed)), "{mode:?}: {elapsed:?}");
        // Threads of an httpd child are known when they have served something.
        let threads = if mode == Mode::Daemon { 5.0..=5.0 } else { 2.0..=25.0 };
        assert!(threads.contains(&number(&after, "request_threads")), "{mode:?}: {}", number(&after, "request_threads"));
        assert!(number(&after, "memory_rss") > 1e6 && number(&after, "memory_max_rss") >= 1e6);
        let (start, now) = (number(&after, "restart_time"), number(&after, "current_time"));
        assert!(start > 1.7e9 && now > start && number(&after, "running_time") <= now - start + 1.0);
    }
}

#[test]
fn the_end_of_a_request_tells_what_it_took() {
    for mode in Mode::with_one_process().iter().copied() {
        let httpd = Httpd::new(mode).app("metrics.wsgi").start();
        httpd.ask(&Request::post("/echo", b"five!"));
        settle();
        let echo = httpd.get("/last");
        assert_eq!((number(&echo, "input_length"), number(&echo, "status")), (5.0, 200.0), "{mode:?}");
        assert!(number(&echo, "input_reads") >= 1.0);
        assert_eq!((number(&echo, "output_length"), number(&echo, "output_writes")), (2.0, 1.0), "{mode:?}");
        httpd.get("/write");
        settle();
        let write = httpd.get("/last");
        assert_eq!((number(&write, "output_length"), number(&write, "output_writes")), (3500.0, 4.0), "{mode:?}");
        let began = Instant::now();
        httpd.get("/spin?0.2");
        let all = began.elapsed().as_secs_f64();
        settle();
        let spin = httpd.get("/last");
        let cpu = number(&spin, "cpu_time");
        assert!((0.19..all).contains(&cpu), "{mode:?}: {cpu}");
        assert!((number(&spin, "cpu_user_time") + number(&spin, "cpu_system_time") - cpu).abs() < 1e-5);
        assert!((0.19..all).contains(&number(&spin, "application_time")), "{mode:?}");
        assert!(number(&spin, "gil_wait_count") >= 1.0 && number(&spin, "gil_wait_time") < all, "{mode:?}");
        let order: Vec<f64> = ["request_start", "queue_start", "daemon_start", "application_finish"].map(|name| number(&spin, name)).into();
        let order: Vec<f64> = order.into_iter().filter(|time| *time != 0.0).collect();
        assert!(order.is_sorted() && order.len() == if mode == Mode::Daemon { 4 } else { 2 }, "{mode:?}: {order:?}");
    }
}

#[test]
fn a_telemetry_service_takes_the_figures() {
    for mode in Mode::ALL {
        let builder = Httpd::new(mode).app("metrics.wsgi").config("WSGITelemetryService unix:${ROOT}/run/nobody.sock interval=0.5");
        let httpd = builder.allow_log("WSGITelemetryService").start();
        httpd.get("/start");
        for path in ["/request", "/process"] {
            assert_eq!(httpd.get(path).text(), "None=None\n", "{mode:?} {path}");
        }
    }
}

#[test]
fn a_process_is_told_what_httpd_does() {
    for mode in Mode::ALL {
        let builder = Httpd::new(mode)
            .daemon_options("threads=5 server-metrics=On")
            .app("metrics.wsgi")
            .config("WSGIServerMetrics On\nExtendedStatus On");
        let httpd = builder.start();
        // A body that is still to come does not get between the question and its answer.
        let mut client = httpd.connect();
        client.send(b"POST /server HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nfive!");
        let answer = client.response();
        let facts = answer.facts();
        // Its one process may be the one that answers.
        let is_prefork = usual_mpm() == Mpm::Prefork;
        let (processes, threads) = if is_prefork { (60.0, 1.0) } else { (4.0, 25.0) };
        assert_eq!((number(&answer, "server_limit"), number(&answer, "running_generation")), (processes, 0.0), "{mode:?}");
        assert!(number(&answer, "thread_limit") >= threads && number(&answer, "restart_time") > 1.7e9);
        assert!(number(&answer, "current_time") >= number(&answer, "restart_time"));
        assert_eq!(facts.get("process_keys"), "generation pid process_num quiescing workers");
        let keys = "access_count bytes_served client generation last_used request start_time status stop_time thread_num vhost";
        assert_eq!(facts.get("worker_keys"), keys);
        assert!(facts.get("requests").contains("POST /server HTTP/1.1"), "{mode:?}: {}", facts.get("requests"));
        assert!(
            facts.get("statuses").contains('W') && (is_prefork || facts.get("statuses").contains('_')),
            "{mode:?}: {}",
            facts.get("statuses")
        );
        let parent = httpd.parent().pid;
        let children: Vec<i32> = facts.get("pids").split(' ').map(|pid| pid.parse().expect("a pid")).collect();
        assert!(!children.is_empty() && children.iter().all(|pid| Process::find(*pid).is_some_and(|child| child.parent == parent)));

        let of_a_thread = httpd.get("/server-of-a-thread");
        assert_eq!(number(&of_a_thread, "server_limit"), processes, "{mode:?}");
        assert!(of_a_thread.facts().get("requests").contains("GET /server-of-a-thread"), "{mode:?}: it is told as it is");
        httpd.graceful();
        assert_eq!(number(&httpd.get("/server-of-a-thread"), "running_generation"), 1.0, "{mode:?}: another generation answers");
    }
}

#[test]
fn what_httpd_does_is_told_only_where_that_is_allowed() {
    for mode in Mode::ALL {
        // Each has the directive of the other.
        let (directive, option) = if mode == Mode::Daemon { ("On", "Off") } else { ("Off", "On") };
        let builder = Httpd::new(mode).daemon_options(&format!("server-metrics={option}")).app("metrics.wsgi");
        let httpd = builder.config(&format!("WSGIServerMetrics {directive}\nWSGIDaemonProcess other server-metrics={option}")).start();
        assert_eq!(httpd.get("/server").text(), "None=None\n", "{mode:?}");
    }
}
