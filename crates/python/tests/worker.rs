//! Workers with a real Python: the test plays supervisor and httpd.

#[path = "worker/httpd.rs"]
mod httpd;
#[path = "worker/process.rs"]
mod process;
#[path = "worker/service.rs"]
mod service;
#[path = "worker/timers.rs"]
mod timers;

use httpd::{Httpd, head, request};
use process::{Folder, Worker, import, settings};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};
use sys::nix::errno::Errno;
use sys::nix::sys::signal::{Signal, kill};
use sys::nix::sys::wait::WaitStatus;
use sys::nix::unistd::Pid;
use wire::control::{FromWorker, StopReason, ToWorker};
use wire::counters::Counters;
use wire::frame::{Aborted, HEADER, Kind};
use wire::head::{Pair, RequestHead, ResponseHead};
use wire::settings::GroupSettings;

const HELLO: &str = r#"
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'hello ' + environ['mod_wsgi.process_group'].encode()]
"#;

/// Asks for `script` with a body.
fn ask(worker: &Worker, script: &Path, body: &[u8]) -> Httpd {
    ask_in(worker, b"", script, body)
}

/// Asks for `script` in an application group.
fn ask_in(worker: &Worker, group: &[u8], script: &Path, body: &[u8]) -> Httpd {
    let httpd = worker.connect();
    send(&httpd, group, script, body);
    httpd
}

/// Sends a request for `script`, on a thread of its own: httpd sends and receives at the same time.
fn send(httpd: &Httpd, group: &[u8], script: &Path, body: &[u8]) {
    let script = script.as_os_str().as_bytes();
    let length = body.len().to_string();
    let environ = [
        (&b"REQUEST_METHOD"[..], if body.is_empty() { &b"GET"[..] } else { b"POST" }),
        (b"SCRIPT_NAME", b""),
        (b"PATH_INFO", b"/"),
        (b"QUERY_STRING", b""),
        (b"SERVER_NAME", b"localhost"),
        (b"SERVER_PORT", b"80"),
        (b"SERVER_PROTOCOL", b"HTTP/1.1"),
        (b"CONTENT_LENGTH", length.as_bytes()),
        (b"mod_wsgi.process_group", b"tests"),
        (b"mod_wsgi.application_group", group),
        (b"mod_wsgi.callable_object", b"application"),
        (b"mod_wsgi.request_id", b"id"),
        (b"mod_wsgi.server_pid", b"1"),
    ];
    let environ = environ.iter().map(|(name, value)| Pair { name, value }).collect();
    let head = RequestHead { script, filename: script, application_group: group, environ, ..head() };
    let parts: &[&[u8]] = if body.is_empty() { &[] } else { &[body] };
    let (octets, sender) = (request(&head, parts), httpd.same());
    std::thread::spawn(move || sender.send(&octets, &[]));
}

/// A whole answer: its status line, its body, and whether it is complete.
fn answer(mut httpd: Httpd) -> (String, Vec<u8>, bool) {
    let (mut line, mut body, mut complete) = (String::new(), Vec::new(), false);
    for (kind, payload) in httpd.rest() {
        match kind {
            Kind::ResponseHead => line = String::from_utf8_lossy(ResponseHead::decode(&payload).expect("a head").line).into_owned(),
            Kind::ResponseBody => body.extend_from_slice(&payload),
            Kind::End => complete = true,
            _ => {}
        }
    }
    (line, body, complete)
}

fn ok(body: &[u8]) -> (String, Vec<u8>, bool) {
    ("200 OK".to_owned(), body.to_vec(), true)
}

#[test]
fn a_request_is_answered_and_a_drain_ends_the_worker_in_order() {
    let folder = Folder::new();
    let script = folder.write("hello.wsgi", &format!("{HELLO}\nimport atexit\natexit.register(open, {:?}, 'w')", folder.path("done")));
    let mut worker = Worker::serving(folder, &settings());
    assert_eq!(answer(ask(&worker, &script, b"")), ok(b"hello tests"));
    assert!(matches!(worker.message(), FromWorker::Loaded { import: loaded, modified, .. } if loaded == import(&script) && modified > 0));
    assert_eq!(answer(ask(&worker, &script, b"")), ok(b"hello tests"));
    let title = std::fs::read(format!("/proc/{}/cmdline", worker.pid)).expect("it runs");
    assert!(title.starts_with(b"(wsgi:tests)"), "{title:?}");
    worker.send(&ToWorker::Drain(StopReason::GracefulSignal));
    assert_eq!(worker.last_messages(), [FromWorker::Drained]);
    worker.ends_in_order();
    assert!(worker.folder.path("done").exists(), "atexit was not called; its log: {}", worker.log());
}

#[test]
fn what_has_begun_is_finished_by_a_drain() {
    let folder = Folder::new();
    let script = folder.write(
        "slow.wsgi",
        "import time\ndef application(environ, start_response):\n    start_response('200 OK', [])\n    yield b'begun'\n    time.sleep(0.5)\n    yield b', ended'\n",
    );
    let mut worker = Worker::serving(folder, &settings());
    let mut slow = ask(&worker, &script, b"");
    assert!(matches!(slow.frame(), Some((Kind::ResponseHead, _))));
    assert_eq!(slow.frame(), Some((Kind::ResponseBody, b"begun".to_vec())));
    worker.send(&ToWorker::Drain(StopReason::GracefulSignal));
    assert_eq!(answer(slow).1, b", ended");
    worker.ends_in_order();
}

#[test]
fn bodies_go_both_ways_at_once() {
    let folder = Folder::new();
    let script = folder.write(
        "echo.wsgi",
        "def application(environ, start_response):\n    start_response('200 OK', [])\n    yield b'early ' * 100000\n    yield environ['wsgi.input'].read()\n",
    );
    let worker = Worker::serving(folder, &settings());
    let body = vec![b'b'; 900_000];
    let (line, answered, complete) = answer(ask(&worker, &script, &body));
    assert_eq!((line.as_str(), complete, answered.len()), ("200 OK", true, 600_000 + body.len()));
    assert!(answered.ends_with(&body));
}

#[test]
fn a_failure_is_told_and_its_traceback_is_logged_for_the_request() {
    let folder = Folder::new();
    let script = folder.write("broken.wsgi", "def application(environ, start_response):\n    raise ValueError('on purpose')\n");
    let worker = Worker::serving(folder, &settings());
    let mut broken = ask(&worker, &script, b"");
    let frames = broken.rest();
    let lines: Vec<String> = frames
        .iter()
        .filter(|(kind, _)| *kind == Kind::Log)
        .map(|(_, payload)| String::from_utf8_lossy(&payload[1..]).into_owned())
        .collect();
    assert!(lines.iter().any(|line| line.contains("WSGI0174")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("ValueError: on purpose")), "{lines:?}");
    assert_eq!(frames.last(), Some(&(Kind::Aborted, vec![Aborted::Failed as u8])));
}

#[test]
fn a_script_that_does_not_load_fails_its_request() {
    let folder = Folder::new();
    let script = folder.write("broken.wsgi", "import no_such_module\n");
    let worker = Worker::serving(folder, &settings());
    assert_eq!(ask(&worker, &script, b"").aborted(), Aborted::Failed);
    worker.folder.write("broken.wsgi", HELLO);
    assert_eq!(answer(ask(&worker, &script, b"")), ok(b"hello tests"));
}

#[test]
fn a_changed_script_is_reported_once_and_the_old_code_goes_on() {
    let folder = Folder::new();
    let script = folder.write("hello.wsgi", HELLO);
    let worker = Worker::serving(folder, &settings());
    assert_eq!(answer(ask(&worker, &script, b"")), ok(b"hello tests"));
    assert!(matches!(worker.message(), FromWorker::Loaded { .. }));
    worker.folder.write("hello.wsgi", "this is no Python");
    for _ in 0..3 {
        assert_eq!(answer(ask(&worker, &script, b"")), ok(b"hello tests"));
    }
    assert!(matches!(worker.message(), FromWorker::Changed { script: changed, .. } if changed == import(&script).script));
    worker.send(&ToWorker::Drain(StopReason::GracefulSignal));
    assert_eq!(worker.last_messages(), [FromWorker::Drained]);
}

#[test]
fn a_spare_that_cannot_load_what_served_before_fails_with_the_reason() {
    let folder = Folder::new();
    let script = folder.write("broken.wsgi", "this is no Python");
    let mut settings = settings();
    settings.preload = vec![import(&script)];
    settings.preload_must_succeed = true;
    let mut worker = Worker::start(folder, &settings);
    assert!(matches!(worker.message(), FromWorker::LoadFailed { script: failed, modified: Some(_) } if failed == import(&script).script));
    match worker.message() {
        FromWorker::Failed(text) => assert!(text.contains("broken.wsgi") && !text.contains('\n'), "{text}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(worker.wait(), WaitStatus::Exited(_, 1)));
    assert!(worker.log().contains("SyntaxError"), "{}", worker.log());

    // Another one says the same.
    settings.follows = true;
    let folder = Folder::new();
    folder.write("broken.wsgi", "this is no Python");
    settings.preload = vec![import(&folder.path("broken.wsgi"))];
    let mut worker = Worker::start(folder, &settings);
    assert!(matches!(worker.message(), FromWorker::LoadFailed { modified: Some(_), .. }));
    assert!(matches!(worker.message(), FromWorker::Failed(_)));
    assert!(matches!(worker.wait(), WaitStatus::Exited(_, 1)));
    assert!(!worker.log().contains("SyntaxError"), "{}", worker.log());

    settings.follows = false;
    settings.preload_must_succeed = false;
    let folder = Folder::new();
    folder.write("broken.wsgi", "this is no Python");
    settings.preload = vec![import(&folder.path("broken.wsgi"))];
    let worker = Worker::start(folder, &settings);
    assert_eq!(worker.message(), FromWorker::Ready);
}

#[test]
fn requests_run_beside_each_other_and_are_counted() {
    let folder = Folder::new();
    let script = folder.write(
        "meet.wsgi",
        "import threading\nbarrier = threading.Barrier(3, timeout=10)\ndef application(environ, start_response):\n    barrier.wait()\n    start_response('200 OK', [])\n    return [str(environ['mod_wsgi.thread_id']).encode()]\n",
    );
    let worker = Worker::serving(folder, &settings());
    let asked: Vec<Httpd> = (0..3).map(|_| ask(&worker, &script, b"")).collect();
    let mut threads: Vec<Vec<u8>> = asked.into_iter().map(|httpd| answer(httpd).1).collect();
    threads.sort();
    assert_eq!(threads, [b"1", b"2", b"3"]);
    let slot = Counters::view(&worker.words).expect("ours").worker(2).expect("a slot");
    assert_eq!((slot.served(), slot.busy()), (3, 0));
}

#[test]
fn a_limit_asks_for_a_successor_and_goes_on() {
    let folder = Folder::new();
    let script = folder.write("hello.wsgi", HELLO);
    let mut settings = settings();
    settings.group.maximum_requests = 2;
    let worker = Worker::serving(folder, &settings);
    for _ in 0..5 {
        assert_eq!(answer(ask(&worker, &script, b"")), ok(b"hello tests"));
    }
    assert!(matches!(worker.message(), FromWorker::Loaded { .. }));
    assert_eq!(worker.message(), FromWorker::ReplaceMe(StopReason::MaximumRequests));
    kill(worker.pid, Signal::SIGUSR1).expect("it runs");
    assert_eq!(answer(ask(&worker, &script, b"")), ok(b"hello tests"));
    worker.send(&ToWorker::Drain(StopReason::GracefulSignal));
    assert_eq!(worker.last_messages(), [FromWorker::Drained]);
}

#[test]
fn a_stop_is_bounded_by_shutdown_timeout_whatever_requests_do() {
    let folder = Folder::new();
    let script = folder.write(
        "stuck.wsgi",
        "import time\ndef application(environ, start_response):\n    start_response('200 OK', [])\n    yield b'begun'\n    time.sleep(60)\n",
    );
    let mut settings = settings();
    settings.group.timeouts.shutdown = Duration::from_secs(1);
    let mut worker = Worker::serving(folder, &settings);
    let mut stuck = ask(&worker, &script, b"");
    assert!(matches!(stuck.frame(), Some((Kind::ResponseHead, _))));
    let start = Instant::now();
    kill(worker.pid, Signal::SIGTERM).expect("it runs");
    let status = worker.wait();
    assert!(matches!(status, WaitStatus::Exited(_, 255)), "{status:?}; its log: {}", worker.log());
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert!(worker.log().contains("WSGI0321"), "{}", worker.log());
    assert!(!answer(stuck).2, "a torn response must not look complete");
}

#[test]
fn an_end_is_orderly_whatever_threads_the_application_has_left() {
    let folder = Folder::new();
    let script = folder.write(
        "threads.wsgi",
        r#"
import threading
def spin():
    while True:
        sum(range(1000))
for number in range(3):
    threading.Thread(target=spin, daemon=True).start()
def application(environ, start_response):
    start_response('200 OK', [])
    return [environ['mod_wsgi.application_group'].encode()]
"#,
    );
    for (group, shutdown) in [(&b""[..], 5), (b"second", 10), (b"second", 0)] {
        let mut settings = settings();
        settings.group.timeouts.shutdown = Duration::from_secs(shutdown);
        settings.group.uses_global = true;
        let mut worker = Worker::serving(Folder::new(), &settings);
        let asked: Vec<Httpd> = (0..3).map(|_| ask_in(&worker, group, &script, b"")).collect();
        for httpd in asked {
            assert_eq!(answer(httpd), ok(group));
        }
        kill(worker.pid, Signal::SIGTERM).expect("it runs");
        worker.ends_in_order();
    }
}

#[test]
fn a_thread_that_python_waits_for_is_not_waited_for_ever() {
    let folder = Folder::new();
    let script = folder.write(
        "stays.wsgi",
        &format!("import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=False).start()\n{HELLO}"),
    );
    let mut settings = settings();
    settings.group.timeouts.shutdown = Duration::from_secs(1);
    let mut worker = Worker::serving(folder, &settings);
    assert_eq!(answer(ask(&worker, &script, b"")), ok(b"hello tests"));
    worker.send(&ToWorker::Stop(StopReason::ShutdownSignal));
    let start = Instant::now();
    let status = worker.wait();
    assert!(matches!(status, WaitStatus::Exited(_, 255)), "{status:?}; its log: {}", worker.log());
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());

    settings.group.python.destroy_interpreter = false;
    let folder = Folder::new();
    let mut worker = Worker::serving(folder, &settings);
    assert_eq!(answer(ask(&worker, &script, b"")), ok(b"hello tests"));
    worker.send(&ToWorker::Stop(StopReason::ShutdownSignal));
    worker.ends_in_order();
}

#[test]
fn an_orphan_finishes_what_it_has_begun() {
    let folder = Folder::new();
    let script = folder.write(
        "slow.wsgi",
        "import time\ndef application(environ, start_response):\n    start_response('200 OK', [])\n    yield b'begun'\n    time.sleep(0.3)\n    yield b', ended'\n",
    );
    let mut worker = Worker::serving(folder, &settings());
    let mut slow = ask(&worker, &script, b"");
    assert!(matches!(slow.frame(), Some((Kind::ResponseHead, _))));
    let (other, _theirs) = sys::control::Channel::pair().expect("a pair");
    drop(std::mem::replace(&mut worker.channel, other));
    std::thread::sleep(Duration::from_millis(50));
    kill(worker.pid, Signal::SIGTERM).expect("the kernel signals it as well");
    let (_, body, complete) = answer(slow);
    assert_eq!((&body[..], complete), (&b"begun, ended"[..], true));
    worker.ends_in_order();
}

#[test]
fn what_the_application_starts_can_be_ended_and_holds_nothing_of_ours() {
    let folder = Folder::new();
    let script = folder.write(
        "child.wsgi",
        r#"
import os, signal, subprocess, time
def application(environ, start_response):
    started = subprocess.Popen(['ls', '/proc/self/fd'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, close_fds=False)
    listed = started.communicate()[0].decode().split()
    sleeper = subprocess.Popen(['sleep', '60'])
    sleeper.terminate()
    forked = os.fork()
    if forked == 0:
        time.sleep(60)
        os._exit(0)
    time.sleep(0.1)
    os.kill(forked, signal.SIGTERM)
    status = os.waitpid(forked, 0)[1]
    returning = os.fork()
    if returning == 0:
        raise SystemExit(3)
    ended = os.waitpid(returning, 0)[1]
    start_response('200 OK', [])
    return [repr((len(listed), sleeper.wait(5), os.WTERMSIG(status), os.WIFEXITED(ended))).encode()]
"#,
    );
    let worker = Worker::serving(folder, &settings());
    let (_, body, _) = answer(ask(&worker, &script, b""));
    // Standard streams, and the folder that ls reads.
    assert_eq!(String::from_utf8_lossy(&body), "(4, -15, 15, True)");
    assert_eq!(answer(ask(&worker, &script, b"")).1, body, "the worker itself was not told to end");
}

#[test]
fn a_request_is_lost_with_its_worker_and_httpd_can_tell() {
    let folder = Folder::new();
    let script = folder
        .write("suicide.wsgi", "import os, signal\ndef application(environ, start_response):\n    os.kill(os.getpid(), signal.SIGKILL)\n");
    let mut worker = Worker::serving(folder, &settings());
    Counters::view(&worker.words).expect("ours").worker(2).expect("a slot").reset(worker.pid.as_raw().unsigned_abs(), 1, 0);
    let mut lost = ask(&worker, &script, b"");
    assert_eq!(lost.rest(), []);
    assert!(matches!(worker.wait(), WaitStatus::Signaled(_, Signal::SIGKILL, _)));
    let counters = Counters::view(&worker.words).expect("ours");
    assert_eq!(counters.worker_of(77), Some(worker.pid.as_raw().unsigned_abs()));
}

#[test]
fn a_killed_worker_does_not_live_on_in_what_it_forked() {
    let folder = Folder::new();
    let script = folder.write(
        "forks.wsgi",
        r#"
import os, signal, time
def application(environ, start_response):
    child = os.fork()
    if child == 0:
        time.sleep(30)
        os._exit(0)
    start_response('200 OK', [])
    yield str(child).encode()
    os.kill(os.getpid(), signal.SIGKILL)
"#,
    );
    let mut worker = Worker::serving(folder, &settings());
    let start = Instant::now();
    let (_, child, complete) = answer(ask(&worker, &script, b""));
    assert!(matches!(worker.wait(), WaitStatus::Signaled(_, Signal::SIGKILL, _)));
    let own = GroupSettings::direct_address(&settings().group.direct, worker.pid.as_raw().unsigned_abs());
    assert_eq!(sys::socket::connected_abstract(&own).map(drop), Err(Errno::ECONNREFUSED));
    assert!(!complete && start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let child = Pid::from_raw(String::from_utf8_lossy(&child).parse().expect("a pid"));
    kill(child, Signal::SIGKILL).expect("it has lived on alone");
}

#[test]
fn requests_over_a_kept_connection_are_answered_one_after_the_other() {
    let folder = Folder::new();
    let script = folder.write("hello.wsgi", HELLO);
    let worker = Worker::serving(folder, &settings());
    let slot = Counters::view(&worker.words).and_then(|counters| counters.worker(2)).expect("a slot");
    let start = Instant::now();
    while slot.free() == 0 && start.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let own = GroupSettings::direct_address(&settings().group.direct, worker.pid.as_raw().unsigned_abs());
    let mut httpd = Httpd::new(sys::socket::connected_abstract(&own).expect("connected"));
    for _ in 0..5 {
        assert!(slot.reserve().is_some());
        send(&httpd, b"", &script, b"");
        let frames: Vec<_> = std::iter::from_fn(|| httpd.frame()).take(3).collect();
        assert_eq!(frames[1..], [(Kind::ResponseBody, b"hello tests".to_vec()), (Kind::End, vec![1])]);
        assert_eq!(slot.free(), 3);
    }
    worker.send(&ToWorker::Drain(StopReason::GracefulSignal));
    assert_eq!(httpd.rest(), [(Kind::Closing, Vec::new())]);
}

#[test]
fn headers_alone_hold_no_thread_for_long() {
    let folder = Folder::new();
    let script = folder.write("hello.wsgi", HELLO);
    let mut settings = settings();
    settings.group.threads = 1;
    let worker = Worker::serving(folder, &settings);
    let silent = worker.connect();
    silent.send(&[0; HEADER / 2], &[]);
    let start = Instant::now();
    assert_eq!(answer(ask(&worker, &script, b"")), ok(b"hello tests"));
    assert!(start.elapsed() < Duration::from_secs(7));
    drop(silent);
}
