//! The timers of daemon processes, each alone with all others at their defaults; signals, service scripts, strict reloads.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{Builder, Client, Httpd, Load, Mode, Process, Request, Response, python, wait_until};

const SECOND: Duration = Duration::from_secs(1);

fn with(options: &str) -> Builder {
    // What the application says of events is of level error, as all that goes to its standard error.
    Httpd::new(Mode::Daemon).daemon_options(options).app("timeouts.wsgi").allow_log("process_s")
}

/// An answer, and how long it took.
fn timed(httpd: &Httpd, target: &str) -> (Response, Duration) {
    let began = Instant::now();
    (httpd.get(target), began.elapsed())
}

/// Asks until another process answers, which has to be soon; nothing may fail on the way.
#[track_caller]
fn wait_for_another(httpd: &Httpd, pid: &str) {
    let another = wait_until(Duration::from_secs(15), || {
        let answer = httpd.get("/");
        assert_eq!(answer.status, 200, "{answer:?}\n{}", httpd.log().tail());
        (answer.text() != pid).then_some(())
    });
    assert!(another.is_some(), "process {pid} is not replaced\n{}", httpd.log().tail());
}

#[test]
fn an_interrupted_request_is_a_504_and_the_process_lives() {
    if python::runs_without_lock() {
        return;
    }
    let httpd = with("threads=15 request-timeout=1 interrupt-timeout=10").start();
    let pid = httpd.get("/").text();
    let (answer, took) = timed(&httpd, "/?spin=60");
    assert_eq!(answer.status, 504, "{answer:?}");
    only_ours!("request-timeout is longer the more threads there are, and checked about once a second");
    assert!(took >= SECOND && took < 3 * SECOND / 2, "{took:?}");
    assert_eq!(httpd.get("/").text(), pid);
    let line = httpd.log().wait_for("WSGI0323");
    assert!(line.contains("'test' (pid ") && line.contains("'GET /?spin=60'"), "{line}");
    httpd.log().wait_for("in spin");
}

#[test]
fn a_request_that_cannot_be_interrupted_is_a_504_and_its_process_replaced() {
    only_ours!("the client waits until the process is killed, and gets a 502");
    let httpd = with("threads=5 request-timeout=1 interrupt-timeout=1").start();
    let pid = httpd.get("/").text();
    let load = Load::start(httpd.port(), 3, "/", |answer| answer.status == 200);
    let (answer, took) = timed(&httpd, "/?sleep=60");
    assert!(answer.status == 504 && took < 2 * SECOND, "{took:?} {answer:?}");
    httpd.log().wait_for("WSGI0324");
    wait_for_another(&httpd, &pid);
    httpd.log().wait_for("process_stopping request_timeout");
    let account = load.stop();
    assert_eq!(account.failures, Vec::<String>::new(), "beside {} good ones", account.good);
}

#[test]
fn request_timeout_alone_answers_and_replaces() {
    only_ours!("the client waits until the process is killed, and gets a 502");
    let httpd = with("threads=1 request-timeout=1").start();
    let pid = httpd.get("/").text();
    let (answer, took) = timed(&httpd, "/?sleep=60");
    assert!(answer.status == 504 && took >= SECOND && took < 3 * SECOND / 2, "{took:?} {answer:?}");
    wait_for_another(&httpd, &pid);
}

#[test]
fn a_deadlock_costs_its_requests_and_another_process_serves() {
    if python::runs_without_lock() {
        return;
    }
    let httpd = with("threads=5 deadlock-timeout=2").allow_log("WSGI0325").allow_log("WSGI0146").allow_log("WSGI0147").start();
    let pid = httpd.get("/").text();
    let (answer, took) = timed(&httpd, "/?lock=60");
    assert!(answer.status == 502 && took < 12 * SECOND, "{took:?} {answer:?}");
    wait_for_another(&httpd, &pid);
    only_ours!("a process whose lock is kept ends after deadlock-timeout and shutdown-timeout; the log has no stacks");
    assert!(took < 5 * SECOND, "{took:?}");
    let line = httpd.log().wait_for("WSGI0325");
    assert!(line.contains("'GET /?lock=60'"), "{line}");
    httpd.log().wait_for("in keep_lock");
}

#[test]
fn an_idle_process_is_followed_by_one_that_has_loaded_nothing() {
    only_ours!("the timers exist only if deadlock-timeout is on");
    let httpd = with("threads=5 inactivity-timeout=1 deadlock-timeout=0").start();
    let pid = httpd.get("/").text();
    httpd.log().wait_for("process_stopping inactivity_timeout");
    std::thread::sleep(SECOND / 2);
    assert_eq!(httpd.log().lines_with("Loading WSGI script").len(), 1);
    assert_ne!(httpd.get("/").text(), pid);
    assert_eq!(httpd.log().lines_with("Loading WSGI script").len(), 2);
}

#[test]
fn requests_that_are_to_be_ignored_keep_nobody_alive() {
    let httpd = with("threads=5 inactivity-timeout=2")
        .config("<Location /health>\n    WSGIIgnoreActivity On\n</Location>\nWSGIScriptAlias /health ${APPS}/timeouts.wsgi")
        .start();
    let pid = httpd.get("/").text();
    let replaced = wait_until(Duration::from_secs(10), || (httpd.get("/health").text() != pid).then_some(()));
    assert!(replaced.is_some(), "{}", httpd.log().tail());
}

#[test]
fn nothing_fails_when_processes_are_replaced_after_their_time() {
    let httpd = with("processes=2 threads=5 restart-interval=2").start();
    let pid = httpd.get("/").text();
    let load = Load::start(httpd.port(), 5, "/", |answer| answer.status == 200);
    wait_for_another(&httpd, &pid);
    httpd.log().wait_for_count("process_stopping", 2);
    let account = load.stop();
    only_ours!("requests wait for the process that is started afterwards, and some fail");
    assert_eq!(account.failures, Vec::<String>::new(), "beside {} good ones", account.good);
    httpd.log().wait_for("process_stopping restart_interval");
}

#[test]
fn an_application_that_does_not_load_in_time_is_tried_again() {
    if python::runs_without_lock() {
        return;
    }
    let httpd = Httpd::new(Mode::Daemon)
        .daemon_options("threads=2 startup-timeout=1 shutdown-timeout=1")
        .allow_log("WSGI0307")
        .allow_log("WSGI0146")
        .allow_log("WSGI0147")
        .file("apps/never.wsgi", "import time\ntime.sleep(60)\n")
        .config("WSGIScriptAlias / ${APPS}/never.wsgi")
        .start();
    let (answer, took) = timed(&httpd, "/");
    assert!(answer.status == 502 && took < 5 * SECOND, "{took:?} {answer:?}");
    let good = "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'loaded']\n";
    httpd.folder().replace("apps/never.wsgi", good);
    assert_eq!(httpd.get("/").text(), "loaded");
    only_ours!("the log has no stacks");
    httpd.log().wait_for("never.wsgi\", line 2");
}

#[test]
fn a_slow_request_is_told_once_and_answered() {
    if python::runs_without_lock() {
        return;
    }
    only_ours!("there is no slow-request");
    let httpd = with("threads=5 slow-request=1").start();
    assert_eq!(httpd.get("/?sleep=1.7").status, 200);
    assert_eq!(httpd.log().lines_with("WSGI0328").len(), 1);
    assert_eq!(httpd.log().lines_with("in sleep").len(), 1);
}

#[test]
fn signals_to_a_process_are_told_or_end_it_in_order() {
    let httpd = with("threads=5 display-name=%{GROUP}").start();
    let pid = httpd.get("/").text();
    let process = |pid: &str| Process::find(pid.parse().expect("a number")).expect("it runs");
    process(&pid).signal(Signal::SIGHUP);
    httpd.log().wait_for("process_signal SIGHUP");
    process(&pid).signal(Signal::SIGUSR2);
    httpd.log().wait_for("process_signal SIGUSR2");
    assert_eq!(httpd.get("/").text(), pid);
    process(&pid).signal(Signal::SIGUSR1);
    httpd.log().wait_for("process_stopping graceful_signal");
    wait_for_another(&httpd, &pid);
    for (count, signal) in [(1, Signal::SIGTERM), (2, Signal::SIGINT)] {
        let pid = httpd.get("/").text();
        process(&pid).signal(signal);
        httpd.log().wait_for_count("process_stopping shutdown_signal", count);
        wait_for_another(&httpd, &pid);
    }
}

#[test]
fn an_eviction_is_bounded_by_its_own_timeout() {
    let httpd =
        with("threads=5 eviction-timeout=1 graceful-timeout=60 shutdown-timeout=1").allow_log("WSGI0146").allow_log("WSGI0147").start();
    let pid = httpd.get("/").text();
    let mut client = Client::connect(httpd.port());
    client.request(&Request::get("/?sleep=60"));
    std::thread::sleep(SECOND / 2);
    Process::find(pid.parse().expect("a number")).expect("it runs").signal(Signal::SIGUSR1);
    let began = Instant::now();
    assert_eq!(client.response().status, 502);
    assert!(began.elapsed() < 6 * SECOND, "{:?}", began.elapsed());
    httpd.log().wait_for("process_stopping eviction_signal");
}

/// Writes down that it runs, and what ends it.
const SERVICE: &str = "import os, sys, time\nprint('service begun', os.getpid(), file=sys.stderr, flush=True)\ntry:\n    while True: time.sleep(60)\nexcept BaseException as error:\n    print('service ended by', type(error).__name__, file=sys.stderr, flush=True)\n    raise\n";

#[test]
fn a_service_script_runs_until_it_is_told_and_takes_no_requests() {
    let mut httpd = Httpd::bare()
        .with_app("whoami.wsgi")
        .file("apps/service.py", SERVICE)
        .config("WSGIDaemonProcess service threads=0\nWSGIImportScript ${APPS}/service.py process-group=service application-group=named")
        .config("WSGIScriptAlias / ${APPS}/whoami.wsgi process-group=service")
        .allow_log("service begun")
        .allow_log("service ended by SystemExit")
        .allow_log("WSGI0350")
        .allow_log("WSGI0090")
        .allow_log("WSGI0145")
        .start();
    httpd.log().wait_for("service begun");
    only_ours!("SIGTERM does not end a service script in a named application group, and its requests hang");
    let (answer, took) = timed(&httpd, "/");
    assert!(answer.status == 503 && took < SECOND / 2, "{took:?} {answer:?}");
    httpd.log().wait_for("WSGI0350");
    httpd.graceful();
    httpd.log().wait_for_count("service begun", 2);
    let is_its_own = |line: &String| line.contains("service begun") || line.contains("service ended by");
    let lines: Vec<_> = httpd.log().lines_with("service ").into_iter().filter(is_its_own).collect();
    assert!(lines[1].contains("ended by SystemExit") && lines[2].contains("service begun"), "never two at a time: {lines:#?}");
    httpd.stop();
    assert_eq!(httpd.log().lines_with("service ended by SystemExit").len(), 2, "{}", httpd.log().tail());
}

#[test]
fn a_service_script_that_ends_is_run_again_after_a_pause() {
    let httpd = Httpd::bare()
        .allow_log("ran")
        .file("apps/short.py", "import sys\nprint('ran', file=sys.stderr, flush=True)\n")
        .config("WSGIDaemonProcess service threads=0\nWSGIImportScript ${APPS}/short.py process-group=service application-group=%{GLOBAL}")
        .start();
    httpd.log().wait_for_count("ran", 3);
    std::thread::sleep(3 * SECOND);
    let count = httpd.log().lines_with("ran").len();
    assert!((4..=9).contains(&count), "{count} runs");
}

#[test]
fn a_strict_group_never_answers_with_old_code() {
    only_ours!("there is no reload=, and requests fail while processes are replaced");
    let mut httpd = with("processes=2 threads=5 reload=strict").start();
    let load = Load::start(httpd.port(), 4, "/", |answer| answer.status == 200);
    for _ in 0..5 {
        let before: Vec<String> = (0..6).map(|_| httpd.get("/").text()).collect();
        httpd.folder().touch("apps/timeouts.wsgi");
        let after = httpd.get("/").text();
        assert!(!before.contains(&after), "process {after} of {before:?} has answered after the change\n{}", httpd.log().tail());
    }
    let account = load.stop();
    assert_eq!(account.failures, Vec::<String>::new(), "beside {} good ones", account.good);
    httpd.allow_log("WSGI0105");
    httpd.allow_log("SyntaxError");
    httpd.allow_log("this is no Python");
    httpd.allow_log("exception raised");
    httpd.allow_log("WSGI0106");
    httpd.allow_log("^");
    httpd.allow_log("File \"");
    httpd.folder().replace("apps/timeouts.wsgi", "this is no Python\n");
    assert_eq!(httpd.get("/").status, 500);
    let good = "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'mended']\n";
    httpd.folder().replace("apps/timeouts.wsgi", good);
    assert_eq!(httpd.get("/").text(), "mended");
}
