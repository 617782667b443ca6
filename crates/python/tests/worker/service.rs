//! Service scripts (`threads=0`).

use crate::process::{Folder, Worker, settings};
use std::time::{Duration, Instant};
use sys::nix::sys::signal::{Signal, kill};
use wire::control::{FromWorker, StopReason, ToWorker, WorkerSettings};
use wire::settings::Import;

fn service(folder: &Folder, script: &str, group: &str) -> WorkerSettings {
    use std::os::unix::ffi::OsStrExt;
    let path = folder.write("service.py", script);
    let mut settings = settings();
    settings.group.threads = 0;
    settings.group.uses_global = true;
    settings.group.imports =
        vec![Import { script: path.as_os_str().as_bytes().to_vec().into(), application_group: group.as_bytes().to_vec().into() }];
    settings
}

fn wait_for(worker: &Worker, text: &str) {
    let start = Instant::now();
    while !worker.log().contains(text) {
        assert!(start.elapsed() < Duration::from_secs(10), "no '{text}' in {}", worker.log());
        std::thread::sleep(Duration::from_millis(5));
    }
}

const WAITS: &str = r#"
import atexit, mod_wsgi, sys, time
def say(*words):
    print(*words, file=sys.stderr, flush=True)
atexit.register(say, 'at exit')
mod_wsgi.subscribe_shutdown(lambda event, shutdown_reason, **more: say('reason:', shutdown_reason))
say('begun in', repr(mod_wsgi.application_group))
try:
    time.sleep(60)
except BaseException as error:
    say('ended by', type(error).__name__)
    raise
"#;

#[test]
fn a_service_script_begins_when_it_is_wanted_and_is_ended_by_system_exit_in_any_group() {
    for (group, signal, reason) in [
        ("", Some(Signal::SIGTERM), "shutdown_signal"),
        ("named", Some(Signal::SIGUSR1), "shutdown_signal"),
        ("named", None, "graceful_signal"),
    ] {
        let folder = Folder::new();
        let settings = service(&folder, WAITS, group);
        let mut worker = Worker::start(folder, &settings);
        assert_eq!(worker.message(), FromWorker::Ready);
        std::thread::sleep(Duration::from_millis(100));
        assert!(!worker.log().contains("begun"), "{}", worker.log());
        worker.send(&ToWorker::Accept);
        wait_for(&worker, &format!("begun in '{group}'"));
        let start = Instant::now();
        match signal {
            Some(signal) => kill(worker.pid, signal).expect("it runs"),
            None => worker.send(&ToWorker::Drain(StopReason::GracefulSignal)),
        }
        worker.ends_in_order();
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        let log = worker.log();
        assert!(log.contains("ended by SystemExit") && log.contains(&format!("reason: {reason}")) && log.contains("at exit"), "{log}");
        assert!(!log.contains("WSGI0"), "{log}");
        let told = if signal.is_none() { vec![FromWorker::Drained] } else { vec![] };
        assert_eq!(worker.last_messages(), told);
    }
}

#[test]
fn a_service_script_that_is_not_wanted_any_more_does_not_begin() {
    let folder = Folder::new();
    let settings = service(&folder, WAITS, "");
    let mut worker = Worker::start(folder, &settings);
    assert_eq!(worker.message(), FromWorker::Ready);
    worker.send(&ToWorker::Stop(StopReason::ShutdownSignal));
    worker.ends_in_order();
    assert!(!worker.log().contains("begun"), "{}", worker.log());
}

#[test]
fn a_service_script_that_fails_says_why_and_signals_are_its_own() {
    let folder = Folder::new();
    let script = "import os, signal, sys\nsignal.signal(signal.SIGHUP, lambda *_: print('hung up', file=sys.stderr))\nos.kill(os.getpid(), signal.SIGHUP)\nraise ValueError('on purpose')\n";
    let settings = service(&folder, script, "");
    let mut worker = Worker::start(folder, &settings);
    assert_eq!(worker.message(), FromWorker::Ready);
    worker.send(&ToWorker::Accept);
    worker.ends_in_order();
    let log = worker.log();
    assert!(log.contains("WSGI0110") && log.contains("ValueError: on purpose") && log.contains("hung up"), "{log}");
}

#[test]
fn a_service_script_ends_with_its_supervisor() {
    let folder = Folder::new();
    let settings = service(&folder, WAITS, "named");
    let mut worker = Worker::start(folder, &settings);
    assert_eq!(worker.message(), FromWorker::Ready);
    worker.send(&ToWorker::Accept);
    wait_for(&worker, "begun");
    let (other, _theirs) = sys::control::Channel::pair().expect("a pair");
    drop(std::mem::replace(&mut worker.channel, other));
    worker.ends_in_order();
    assert!(worker.log().contains("ended by SystemExit"), "{}", worker.log());
}
