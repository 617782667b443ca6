//! Timers and signals of a worker.

use crate::httpd::Httpd;
use crate::process::{Folder, Worker, import, settings};
use crate::{HELLO, answer, ask, ask_in, ok};
use std::time::{Duration, Instant};
use sys::nix::sys::signal::{Signal, kill};
use sys::nix::sys::wait::WaitStatus;
use wire::control::{FromWorker, StopReason, ToWorker};
use wire::frame::{Aborted, Kind};

const SECOND: Duration = Duration::from_secs(1);

/// The next message of a worker that is not about a script.
fn message(worker: &Worker) -> FromWorker {
    loop {
        match worker.message() {
            FromWorker::Loaded { .. } => {}
            other => return other,
        }
    }
}

/// The reason that is given to subscribers of the end.
const TELLS_REASON: &str = r#"
import mod_wsgi, sys
@mod_wsgi.subscribe_shutdown
def stopping(event, shutdown_reason, **more):
    print('reason:', shutdown_reason, file=sys.stderr, flush=True)
"#;

fn lasts(what: &str) -> String {
    format!(
        "import time, mod_wsgi\ndef wait():\n    {what}\ndef application(environ, start_response):\n    if environ['REQUEST_METHOD'] == 'POST':\n        wait()\n    start_response('200 OK', [])\n    return [b'done']\n{TELLS_REASON}"
    )
}

#[test]
fn a_request_that_is_interrupted_is_answered_504_and_the_process_lives() {
    let folder = Folder::new();
    let script = folder.write("loop.wsgi", &lasts("while True: time.sleep(0.01)"));
    let mut settings = settings();
    settings.group.timeouts.request = SECOND;
    settings.group.timeouts.interrupt = 5 * SECOND;
    settings.group.threads = 15;
    settings.group.uses_global = true;
    let mut worker = Worker::serving(folder, &settings);
    for group in [&b""[..], b"second"] {
        assert_eq!(answer(ask_in(&worker, group, &script, b"")), ok(b"done"));
        let start = Instant::now();
        assert_eq!(ask_in(&worker, group, &script, b"wait").aborted(), Aborted::RequestTimeout);
        let took = start.elapsed();
        assert!(took >= SECOND && took < SECOND + Duration::from_millis(400), "{took:?}");
        assert_eq!(answer(ask_in(&worker, group, &script, b"")), ok(b"done"));
    }
    let log = worker.log();
    assert!(log.contains("WSGI0323: daemon process 'tests' (pid ") && log.contains("executes 'POST "), "{log}");
    assert!(log.contains("line 3, in wait"), "{log}");
    worker.send(&ToWorker::Drain(StopReason::ScriptReload));
    worker.ends_in_order();
    assert!(worker.log().contains("reason: script_reload"), "{}", worker.log());
}

#[test]
fn an_application_may_answer_by_itself_when_it_is_interrupted() {
    let folder = Folder::new();
    let script = folder.write(
        "catches.wsgi",
        "import time, mod_wsgi\ndef application(environ, start_response):\n    try:\n        while True: time.sleep(0.01)\n    except mod_wsgi.RequestTimeout:\n        start_response('200 OK', [])\n        return [b'sorry']\n",
    );
    let mut settings = settings();
    settings.group.timeouts.request = SECOND;
    settings.group.timeouts.interrupt = 5 * SECOND;
    let worker = Worker::serving(folder, &settings);
    assert_eq!(answer(ask(&worker, &script, b"")), ok(b"sorry"));
    assert_eq!(answer(ask(&worker, &script, b"")), ok(b"sorry"));
}

#[test]
fn who_cannot_be_interrupted_is_cut_off_and_its_process_replaced() {
    let folder = Folder::new();
    let script = folder.write("sleeps.wsgi", &lasts("time.sleep(60)"));
    let mut settings = settings();
    settings.group.timeouts.request = SECOND;
    settings.group.timeouts.interrupt = SECOND;
    settings.group.timeouts.shutdown = SECOND;
    let mut worker = Worker::serving(folder, &settings);
    let start = Instant::now();
    assert_eq!(ask(&worker, &script, b"wait").aborted(), Aborted::RequestTimeout);
    let took = start.elapsed();
    assert!(took >= SECOND && took < 2 * SECOND, "{took:?}");
    assert_eq!(message(&worker), FromWorker::ReplaceMe(StopReason::RequestTimeout));
    let took = start.elapsed();
    assert!(took >= 2 * SECOND && took < 3 * SECOND, "{took:?}");
    assert_eq!(answer(ask(&worker, &script, b"")), ok(b"done"), "others are served until there is a successor");
    worker.send(&ToWorker::Drain(StopReason::RequestTimeout));
    assert_eq!(worker.last_messages(), [FromWorker::Drained]);
    let status = worker.wait();
    assert!(matches!(status, WaitStatus::Exited(_, 255)), "{status:?}");
    assert!(start.elapsed() < 8 * SECOND, "what is stuck is not waited for: {:?}", start.elapsed());
    assert!(worker.log().contains("WSGI0324") && worker.log().contains("reason: request_timeout"), "{}", worker.log());
}

#[test]
fn without_interrupt_timeout_the_client_is_answered_and_the_process_replaced() {
    let folder = Folder::new();
    let script = folder.write("sleeps.wsgi", &lasts("time.sleep(60)"));
    let mut settings = settings();
    settings.group.timeouts.request = SECOND;
    let worker = Worker::serving(folder, &settings);
    let start = Instant::now();
    assert_eq!(ask(&worker, &script, b"wait").aborted(), Aborted::RequestTimeout);
    assert!(start.elapsed() < SECOND + Duration::from_millis(400), "{:?}", start.elapsed());
    assert_eq!(message(&worker), FromWorker::ReplaceMe(StopReason::RequestTimeout));
}

#[test]
fn a_response_that_has_begun_is_cut_short_by_request_timeout() {
    let folder = Folder::new();
    let script = folder.write(
        "stream.wsgi",
        "import time\ndef application(environ, start_response):\n    start_response('200 OK', [])\n    yield b'begun'\n    time.sleep(60)\n",
    );
    let mut settings = settings();
    settings.group.timeouts.request = SECOND;
    let worker = Worker::serving(folder, &settings);
    let frames = ask(&worker, &script, b"").rest();
    assert_eq!(frames.last(), Some(&(Kind::Aborted, vec![Aborted::Failed as u8])));
}

#[test]
fn a_slow_request_is_told_once_and_goes_on() {
    let folder = Folder::new();
    let script = folder.write("slow.wsgi", &lasts("time.sleep(1.6)"));
    let mut settings = settings();
    settings.group.timeouts.slow_request = SECOND;
    let worker = Worker::serving(folder, &settings);
    assert_eq!(answer(ask(&worker, &script, b"wait")), ok(b"done"));
    let log = worker.log();
    assert_eq!((log.matches("WSGI0328").count(), log.matches("in wait").count()), (1, 1), "{log}");
}

/// Calls C that keeps the interpreter's lock.
const KEEPS_LOCK: &str = "import ctypes\n    ctypes.PyDLL(None).sleep(60)";

#[test]
fn a_deadlock_ends_the_process_at_once_and_says_where() {
    let folder = Folder::new();
    let script = folder.write("lock.wsgi", &lasts(KEEPS_LOCK));
    let mut settings = settings();
    settings.group.timeouts.deadlock = 2 * SECOND;
    let mut worker = Worker::serving(folder, &settings);
    assert_eq!(answer(ask(&worker, &script, b"")), ok(b"done"));
    let start = Instant::now();
    let stuck = ask(&worker, &script, b"wait");
    assert_eq!(message(&worker), FromWorker::ReplaceMe(StopReason::DeadlockTimeout));
    assert_eq!(message(&worker), FromWorker::Drained);
    assert!(start.elapsed() < 4 * SECOND, "{:?}", start.elapsed());
    let status = worker.wait();
    assert!(matches!(status, WaitStatus::Exited(_, 255)), "{status:?}");
    let log = worker.log();
    assert!(log.contains("WSGI0325") && log.contains("'POST ") && log.contains("in wait"), "{log}");
    drop(stuck);
}

#[test]
fn an_inactive_process_is_replaced_and_one_that_was_never_active_is_not() {
    let folder = Folder::new();
    let script = folder.write("slow.wsgi", &lasts("time.sleep(2.5)"));
    let mut settings = settings();
    settings.group.timeouts.inactivity = SECOND;
    settings.group.timeouts.deadlock = Duration::ZERO;
    let worker = Worker::serving(folder, &settings);
    std::thread::sleep(SECOND + Duration::from_millis(500));
    assert_eq!(answer(ask(&worker, &script, b"wait")), ok(b"done"), "who is busy is not inactive");
    assert_eq!(message(&worker), FromWorker::ReplaceMe(StopReason::InactivityTimeout));
    assert!(worker.log().contains("WSGI0326"), "{}", worker.log());
}

#[test]
fn a_process_is_replaced_after_restart_interval() {
    let mut settings = settings();
    settings.group.timeouts.restart_interval = SECOND;
    let worker = Worker::serving(Folder::new(), &settings);
    let start = Instant::now();
    assert_eq!(message(&worker), FromWorker::ReplaceMe(StopReason::RestartInterval));
    assert!(start.elapsed() > Duration::from_millis(800), "{:?}", start.elapsed());
}

#[test]
fn a_process_that_cannot_load_its_application_ends() {
    let folder = Folder::new();
    let script = folder.write("never.wsgi", "import time\ntime.sleep(60)\n");
    let mut settings = settings();
    settings.group.timeouts.startup = SECOND;
    settings.group.timeouts.shutdown = SECOND;
    let mut worker = Worker::serving(folder, &settings);
    let start = Instant::now();
    let waiting = ask(&worker, &script, b"");
    assert_eq!(message(&worker), FromWorker::ReplaceMe(StopReason::StartupTimeout));
    assert_eq!(message(&worker), FromWorker::Drained);
    let status = worker.wait();
    assert!(matches!(status, WaitStatus::Exited(_, 255)), "{status:?}");
    assert!(start.elapsed() < 4 * SECOND, "{:?}", start.elapsed());
    assert!(worker.log().contains("WSGI0307") && worker.log().contains("never.wsgi\", line 2"), "{}", worker.log());
    drop(waiting);

    let folder = Folder::new();
    let script = folder.write("hello.wsgi", HELLO);
    let worker = Worker::serving(folder, &settings);
    assert_eq!(answer(ask(&worker, &script, b"")), ok(b"hello tests"));
    std::thread::sleep(SECOND + Duration::from_millis(200));
    assert_eq!(answer(ask(&worker, &script, b"")), ok(b"hello tests"), "what is loaded is loaded");
    assert_eq!(worker.message(), FromWorker::Loaded { import: import(&script), modified: loaded_at(&script), reloads: true });
    worker.send(&ToWorker::Drain(StopReason::GracefulSignal));
    assert_eq!(worker.last_messages(), [FromWorker::Drained]);
}

fn loaded_at(script: &std::path::Path) -> i64 {
    let modified = std::fs::metadata(script).and_then(|metadata| metadata.modified()).expect("it is there");
    let since = modified.duration_since(std::time::UNIX_EPOCH).expect("after it");
    i64::try_from(since.as_micros()).expect("it is not that late")
}

#[test]
fn subscribers_are_told_of_signals_and_the_process_goes_on() {
    let folder = Folder::new();
    let script = folder.write(
        "signals.wsgi",
        &format!(
            "{HELLO}\nimport mod_wsgi, sys\n@mod_wsgi.subscribe_signals\ndef told(event, signum, signame, **more):\n    print(event, signum, signame, file=sys.stderr, flush=True)\n"
        ),
    );
    let worker = Worker::serving(folder, &settings());
    assert_eq!(answer(ask(&worker, &script, b"")), ok(b"hello tests"));
    kill(worker.pid, Signal::SIGHUP).expect("it runs");
    kill(worker.pid, Signal::SIGUSR2).expect("it runs");
    let start = Instant::now();
    while !(worker.log().contains("process_signal 1 SIGHUP") && worker.log().contains("process_signal 12 SIGUSR2")) {
        assert!(start.elapsed() < 5 * SECOND, "{}", worker.log());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(answer(ask(&worker, &script, b"")), ok(b"hello tests"));
}

#[test]
fn each_graceful_signal_asks_for_a_successor_with_its_reason() {
    for (signal, eviction, reason) in [
        (Signal::SIGUSR1, Duration::ZERO, StopReason::GracefulSignal),
        (Signal::SIGUSR1, SECOND, StopReason::EvictionSignal),
        (Signal::SIGXCPU, Duration::ZERO, StopReason::CpuTimeLimit),
    ] {
        let folder = Folder::new();
        let script = folder.write("hello.wsgi", &format!("{HELLO}{TELLS_REASON}"));
        let mut settings = settings();
        settings.group.timeouts.eviction = eviction;
        let mut worker = Worker::serving(folder, &settings);
        let serving: Httpd = ask(&worker, &script, b"");
        assert_eq!(answer(serving), ok(b"hello tests"));
        kill(worker.pid, signal).expect("it runs");
        assert_eq!(message(&worker), FromWorker::ReplaceMe(reason));
        worker.send(&ToWorker::Drain(reason));
        worker.ends_in_order();
        assert!(worker.log().contains(&format!("reason: {}", reason.word())), "{}", worker.log());
    }
}

#[test]
fn a_strict_group_leaves_requests_to_the_new_code() {
    let folder = Folder::new();
    let script = folder.write("hello.wsgi", HELLO);
    let mut settings = settings();
    settings.group.reload = wire::settings::Reload::Strict;
    let mut worker = Worker::serving(folder, &settings);
    assert_eq!(answer(ask(&worker, &script, b"")), ok(b"hello tests"));
    let modified = loaded_at(&script);
    worker.folder.write("hello.wsgi", "this is no Python");
    let waits = ask(&worker, &script, b"");
    assert!(matches!(message(&worker), FromWorker::Changed { .. }));
    let file = std::fs::File::open(&script).expect("it is there");
    let back = std::time::UNIX_EPOCH + Duration::from_micros(modified.unsigned_abs());
    file.set_modified(back).expect("it is ours");
    assert_eq!(answer(waits), ok(b"hello tests"), "the file that was loaded is back");

    file.set_modified(back + SECOND).expect("it is ours");
    let (mut waits, mut also_waits) = (ask(&worker, &script, b""), ask(&worker, &script, b"a body"));
    std::thread::sleep(Duration::from_millis(300));
    worker.send(&ToWorker::Drain(StopReason::ScriptReload));
    assert_eq!(waits.rest(), [(Kind::Closing, Vec::new())]);
    assert_eq!(also_waits.rest(), [(Kind::Closing, Vec::new())]);
    worker.ends_in_order();
}
