//! The timeouts of waits between httpd, its daemon processes and clients: each alone, with all others at their defaults, and named.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{Client, Httpd, Mode, Process, Request, wait_until};

const SECOND: Duration = Duration::from_secs(1);

fn with(options: &str) -> crate::harness::Builder {
    // What the application says of events is of level error, as all that goes to its standard error.
    Httpd::new(Mode::Daemon).daemon_options(options).app("timeouts.wsgi").allow_log("process_s")
}

/// A client whose request is being executed.
fn executing(httpd: &Httpd, target: &str) -> Client {
    let mut client = httpd.connect();
    client.request(&Request::get(target));
    assert!(!client.hears_within(SECOND / 2));
    client
}

#[test]
fn queue_timeout_ends_the_wait_for_a_thread() {
    let httpd = with("threads=1 queue-timeout=1").allow_log("WSGI0084").start();
    httpd.get("/");
    let mut client = executing(&httpd, "/?sleep=4");
    let began = Instant::now();
    assert_eq!(httpd.get("/").status, 504);
    let took = began.elapsed();
    httpd.log().wait_for("WSGI0084");
    assert_eq!(client.response().status, 200, "who is being served is not concerned");
    only_ours!("a request learns that it has waited too long when a thread is free");
    assert_eq!(httpd.get("/").status, 200);
    assert_eq!(httpd.log().lines_with("WSGI0084").len(), 1, "nor is it said again by the thread that finds the request");
    assert!(took >= SECOND && took < 3 * SECOND / 2, "{took:?}");
}

#[test]
fn connect_timeout_ends_the_wait_for_a_place_in_the_queue() {
    only_ours!("the connection is tried again every second");
    let httpd = with("threads=1 listen-backlog=1 connect-timeout=1").allow_log("WSGI0116").for_clients(6).start();
    httpd.get("/");
    let mut clients: Vec<Client> = vec![executing(&httpd, "/?sleep=4")];
    // Linux lets one more wait than the backlog says.
    clients.extend((0..2).map(|_| executing(&httpd, "/")));
    let began = Instant::now();
    let answer = httpd.get("/");
    let took = began.elapsed();
    assert!(answer.status == 503 && took >= SECOND && took < 2 * SECOND, "{took:?} {answer:?}");
    httpd.log().wait_for("WSGI0116");
    assert!(clients.iter_mut().all(|client| client.response().status == 200), "who waits is not concerned");
}

#[test]
fn socket_timeout_ends_the_wait_for_an_answer() {
    let httpd = with("threads=2 socket-timeout=1").allow_log("WSGI0145").start();
    httpd.get("/");
    let began = Instant::now();
    assert_eq!(httpd.get("/?sleep=4").status, 504);
    let took = began.elapsed();
    assert!(took >= SECOND && took < 2 * SECOND, "{took:?}");
    httpd.log().wait_for("WSGI0145");
    assert_eq!(httpd.get("/").status, 200);
}

/// A group whose application waits for clients, as little of an answer is kept for them: none, or less than a block.
fn impatient(spool: u32, options: &str) -> crate::harness::Builder {
    let options = format!("threads=2 response-spool-limit={spool} {options}");
    Httpd::new(Mode::Daemon).daemon_options(&options).app("slow_clients.wsgi").config("SendBufferSize 10000")
}

/// How long the application has waited for a client that takes nothing: until its answer is closed.
fn waited(httpd: &Httpd) -> Duration {
    httpd.get("/ended");
    let mut client = httpd.connect();
    client.request(&Request::get("/blocks"));
    let began = Instant::now();
    let ended = wait_until(10 * SECOND, || (httpd.get("/ended").text() == "/blocks").then_some(()));
    assert!(ended.is_some(), "{}", httpd.log().tail());
    began.elapsed()
}

#[test]
fn response_socket_timeout_ends_the_wait_for_a_client() {
    only_ours!("there is no response-spool-limit");
    for spool in [0, 65536] {
        let httpd = impatient(spool, "response-socket-timeout=1").allow_log("WSGI0120").start();
        let took = waited(&httpd);
        assert!(took >= SECOND && took < 3 * SECOND, "{spool}: {took:?}");
        let line = httpd.log().wait_for("WSGI0120");
        assert!(line.contains("response-socket-timeout=1") && line.contains("client"), "{line}");
    }
}

#[test]
fn response_socket_timeout_is_socket_timeout_or_timeout_by_default() {
    only_ours!("there is no response-spool-limit");
    for (options, config) in [("socket-timeout=1", ""), ("response-socket-timeout=0", "Timeout 1")] {
        for spool in [0, 65536] {
            let httpd = impatient(spool, options).config(config).allow_log("WSGI0120").start();
            let took = waited(&httpd);
            assert!(took >= SECOND && took < 3 * SECOND, "{options} {spool}: {took:?}");
            httpd.log().wait_for("WSGI0120");
        }
    }
}

#[test]
fn a_client_may_take_longer_than_an_application() {
    only_ours!("there is no response-spool-limit");
    for spool in [0, 65536] {
        let httpd = impatient(spool, "socket-timeout=1 response-socket-timeout=30").start();
        let mut client = httpd.connect();
        client.request(&Request::get("/blocks"));
        std::thread::sleep(5 * SECOND / 2);
        let answer = client.response();
        assert!(answer.complete && answer.body.len() == 2 << 20, "{spool}: {} octets\n{}", answer.body.len(), httpd.log().tail());
    }
}

#[test]
fn graceful_timeout_ends_the_wait_for_requests() {
    only_ours!("acceptance goes on, and the wait is for a moment without requests");
    let httpd = with("threads=2 graceful-timeout=1").allow_log("WSGI0146").allow_log("WSGI0321").start();
    let pid = httpd.get("/").text();
    let mut client = executing(&httpd, "/?sleep=60");
    Process::find(pid.parse().expect("a number")).expect("it serves").signal(Signal::SIGUSR1);
    let began = Instant::now();
    assert_eq!(client.response().status, 502);
    // Then shutdown-timeout begins, which is five seconds.
    assert!(began.elapsed() < 8 * SECOND, "{:?}", began.elapsed());
    httpd.log().wait_for("process_stopping graceful_signal");
    assert_ne!(httpd.get("/").text(), pid);
}

#[test]
fn shutdown_timeout_ends_the_wait_for_a_process_that_ends() {
    only_ours!("daemon processes are killed three seconds after SIGTERM");
    let httpd = with("threads=2 shutdown-timeout=1").allow_log("WSGI0146").allow_log("WSGI0321").start();
    let pid = httpd.get("/").text();
    let mut client = executing(&httpd, "/?sleep=60");
    Process::find(pid.parse().expect("a number")).expect("it serves").signal(Signal::SIGTERM);
    let began = Instant::now();
    assert_eq!(client.response().status, 502);
    assert!(began.elapsed() < 3 * SECOND, "{:?}", began.elapsed());
    httpd.log().wait_for("WSGI0321");
    assert_ne!(httpd.get("/").text(), pid);
}

#[test]
fn cpu_time_limit_replaces_a_process() {
    only_ours!("the process ends before another one is ready");
    let httpd = with("threads=2 cpu-time-limit=1").start();
    let pid = httpd.get("/").text();
    let replaced = wait_until(Duration::from_secs(30), || {
        // Each costs some time.
        let answer = httpd.get("/?burn=0.3");
        assert_eq!(answer.status, 200, "{answer:?}\n{}", httpd.log().tail());
        (answer.text() != pid).then_some(())
    });
    assert!(replaced.is_some(), "{}", httpd.log().tail());
    httpd.log().wait_for("process_stopping cpu_time_limit");
}
