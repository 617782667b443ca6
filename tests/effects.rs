//! The effect of the directives and options that change Python, its process, or the queue in front of it.

use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use crate::harness::{Builder, Httpd, Mode, Request, is_root, not_on_this_machine};

/// What `effects.wsgi` says of one thing, in each mode, with directives for both and options for the daemon group.
fn told(name: &str, config: &str, options: &str) -> [String; 2] {
    Mode::ALL.map(|mode| {
        let httpd = effects(mode, config, options).start();
        httpd.get("/").facts().get(name).to_owned()
    })
}

fn effects(mode: Mode, config: &str, options: &str) -> Builder {
    Httpd::new(mode).daemon_options(&format!("threads=2 {options}")).app("effects.wsgi").config(config).allow_log("atexit was called")
}

/// The same for what only a daemon group has.
fn told_by_group(name: &str, options: &str) -> String {
    effects(Mode::Daemon, "", options).start().get("/").facts().get(name).to_owned()
}

fn both(value: &str) -> [String; 2] {
    [value.to_owned(), value.to_owned()]
}

#[test]
fn bytecode_is_written_unless_it_is_not_to_be() {
    assert_eq!(told("bytecode", "WSGIDontWriteBytecode Off", ""), both("True"));
    assert_eq!(told("bytecode", "WSGIDontWriteBytecode On", ""), both("False"));
}

#[test]
fn warnings_are_filtered_in_the_order_of_the_directives() {
    let config = "WSGIPythonWarnings ignore::UserWarning\nWSGIPythonWarnings error::BytesWarning";
    assert_eq!(told("warnings", config, ""), both("ignore::UserWarning error::BytesWarning"));
}

#[test]
fn python_optimizes_when_it_is_told() {
    for level in ["0", "1", "2"] {
        assert_eq!(told("optimize", &format!("WSGIPythonOptimize {level}"), ""), both(level));
    }
}

#[test]
fn hashes_have_the_seed_that_is_given() {
    let [one, two] = told("hash", "WSGIPythonHashSeed 42", "");
    assert_eq!(one, two);
    assert_ne!([&one, &one], told("hash", "WSGIPythonHashSeed 43", "").each_ref());
    if !differs!("WSGIPythonHashSeed random is a fixed seed") {
        let config = "WSGIPythonHashSeed random";
        assert_ne!(told("hash", config, ""), told("hash", config, ""));
    }
}

#[test]
fn eggs_have_their_folder() {
    // The directive is for embedded mode, the option for daemon mode.
    assert_eq!(told("eggs", "WSGIPythonEggs /srv/eggs", "python-eggs=/srv/other"), ["/srv/eggs", "/srv/other"]);
}

#[test]
fn python_is_ended_in_order_unless_it_is_not_to_be() {
    for mode in Mode::ALL {
        for (value, is_called) in [("On", true), ("Off", false)] {
            let mut httpd = effects(mode, &format!("WSGIDestroyInterpreter {value}"), "").start();
            assert_eq!(httpd.get("/").status, 200);
            httpd.stop();
            assert_eq!(!httpd.log().lines_with("atexit was called").is_empty(), is_called, "{mode:?} {value}");
        }
    }
}

#[test]
fn standard_output_may_be_restricted() {
    assert_eq!(told("stdout", "", ""), both("free"));
    if differs!("WSGIRestrictStdout On puts a failure into the log when embedded Python ends") {
        return;
    }
    assert_eq!(told("stdout", "WSGIRestrictStdout On", ""), both("restricted"));
}

#[test]
fn signal_handlers_are_ignored_unless_they_are_allowed() {
    assert_eq!(told("signal", "", ""), both("ignored"));
    assert_eq!(told("signal", "WSGIRestrictSignal Off", ""), both("real"));
}

#[test]
fn a_group_has_the_supplementary_groups_that_it_is_given() {
    if !is_root() {
        return not_on_this_machine("only root can change groups");
    }
    let groups = told_by_group("groups", "supplementary-groups=#7,#9");
    assert!(groups.contains('7') && groups.contains('9'), "{groups}");
}

#[test]
fn request_threads_have_the_stack_that_is_given() {
    let octets: u64 = told_by_group("stack", "stack-size=1048576").parse().expect("a number");
    // The system may round up, and add a guard.
    assert!((1 << 20..1 << 21).contains(&octets), "{octets}");
}

#[test]
fn limits_of_the_kernel_are_set() {
    assert_eq!(told_by_group("cpu", "cpu-time-limit=1234"), "1234");
    assert_eq!(told_by_group("data", "memory-limit=2000000000"), "2000000000");
    assert_eq!(told_by_group("address_space", "virtual-memory-limit=3000000000"), "3000000000");
    assert_eq!(told_by_group("priority", "cpu-priority=5"), "5");
}

#[test]
fn the_socket_belongs_to_whom_it_is_given() {
    if !is_root() {
        return not_on_this_machine("only root can give files away");
    }
    only_ours!("requests cannot connect to a socket of another user than httpd's");
    let nobody = nix::unistd::User::from_name("nobody").ok().flatten().expect("every system has it").uid;
    let httpd = effects(Mode::Daemon, "", "socket-user=nobody").start();
    let sockets = std::fs::read_dir(httpd.root().join("run")).expect("it is there").flatten();
    let owners: Vec<u32> = sockets
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(".sock"))
        .map(|entry| entry.metadata().expect("it is ours").uid())
        .collect();
    assert_eq!(owners, [nobody.as_raw()]);
}

/// A group whose only thread is busy for three seconds, and how a second request fares: its status, and after how long.
fn behind_a_busy_thread(options: &str, code: &str) -> (u16, Duration) {
    let options = format!("threads=1 {options}");
    let httpd = Httpd::new(Mode::Daemon).daemon_options(&options).app("sleep.wsgi").allow_log(code).allow_log("AH01").start();
    assert_eq!(httpd.get("/").status, 200);
    let mut busy = httpd.connect();
    busy.request(&Request::get("/?3"));
    std::thread::sleep(Duration::from_millis(500));
    let asked = Instant::now();
    let status = httpd.get("/").status;
    let after = asked.elapsed();
    assert_eq!(busy.response().status, 200);
    (status, after)
}

#[test]
fn a_request_leaves_the_queue_when_its_time_is_over() {
    let (status, after) = behind_a_busy_thread("queue-timeout=1", "WSGI");
    if differs!("queue-timeout is met only when a thread is free") {
        assert_eq!(status, 504);
        return;
    }
    assert!(status >= 500 && (900..2400).contains(&after.as_millis()), "{status} {after:?}");
}

#[test]
fn a_request_waits_in_the_queue_where_nothing_is_said() {
    let (status, after) = behind_a_busy_thread("listen-backlog=5 connect-timeout=1", "WSGI");
    assert!(status == 200 && after.as_millis() >= 2000, "{status} {after:?}");
}

#[test]
fn a_full_queue_is_an_answer() {
    only_ours!("there is no queue-limit=");
    let options = "threads=1 queue-limit=1";
    let httpd = Httpd::new(Mode::Daemon).daemon_options(options).app("sleep.wsgi").allow_log("WSGI0116").start();
    assert_eq!(httpd.get("/").status, 200);
    // The thread, those whom the kernel lets wait, and more.
    let mut clients: Vec<_> = (0..8).map(|_| httpd.connect()).collect();
    for client in &mut clients {
        client.request(&Request::get("/?1").header("Connection", "close"));
        std::thread::sleep(Duration::from_millis(50));
    }
    let answers: Vec<_> = clients.iter_mut().map(|client| client.response()).collect();
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert!(!refused.is_empty() && refused.len() < answers.len(), "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    assert!(refused.iter().all(|answer| answer.header("Retry-After").is_some()));
    let lines = httpd.log().lines_with("WSGI0116");
    assert!(lines.iter().all(|line| line.contains("is full") && line.contains("'queue-limit='")), "{lines:?}");
}

#[test]
fn a_body_above_the_limit_is_not_kept_first() {
    only_ours!("request bodies are never kept first");
    let script = "def application(environ, start_response):\n    first = environ['wsgi.input'].read(1)\n    \
                  start_response('200 OK', [])\n    yield first\n    environ['wsgi.input'].read()\n";
    for (limit, is_begun) in [("100000", true), ("10000000", false)] {
        let httpd = Httpd::new(Mode::Daemon)
            .daemon_options(&format!("threads=1 body-spool-limit={limit}"))
            .file("apps/first.wsgi", script)
            .config("WSGIScriptAlias / ${APPS}/first.wsgi")
            .start();
        let mut client = httpd.connect();
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n");
        client.send(&[b'x'; 200_000]);
        assert_eq!(client.hears_within(Duration::from_secs(1)), is_begun, "{limit}");
        client.send(&[b'x'; 800_000]);
        assert_eq!(client.response().status, 200);
    }
}
