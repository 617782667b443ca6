//! Workers that are forked from a process which has loaded the script (`preload=`).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{Builder, Facts, Httpd, Load, Mode, Process, not_on_this_machine, python, wait_until};

/// Says who loaded it, who serves it, and what a fork must not copy.
const SCRIPT: &str = "\
import os, random, signal, ssl, threading
version = 1
loaded_by = os.getpid()
forks = []
os.register_at_fork(after_in_child=lambda: forks.append(os.getpid()))
os.environ['MARK'] = 'kept'

def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    facts = {
        'version': version, 'loaded_by': loaded_by, 'pid': os.getpid(), 'random': random.random(), 'secret': ssl.RAND_bytes(8).hex(),
        'forks': len(forks), 'hook': forks[-1] if forks else 0, 'main': threading.main_thread().ident != threading.get_ident(),
        'uid': os.getuid(), 'thread': environ['mod_wsgi.thread_id'], 'ppid': os.getppid(),
        # Python's own raises outside of the main thread.
        'signal_is_ignored': signal.signal(signal.SIGUSR1, signal.SIG_DFL) == signal.SIG_DFL,
    }
    return [f'{name}={value}\\n'.encode() for name, value in facts.items()]
";

fn preloading(options: &str, script: &str) -> Builder {
    Httpd::new(Mode::Daemon)
        .daemon_options(&format!("{options} display-name=%{{GROUP}} preload=${{APPS}}/preloaded.wsgi"))
        .file("apps/preloaded.wsgi", script)
        .config("WSGIApplicationGroup %{GLOBAL}")
        .config("WSGIScriptAlias / ${APPS}/preloaded.wsgi")
}

/// How many templates there are.
fn templates(httpd: &Httpd) -> usize {
    httpd.processes().iter().filter(|process| process.command.starts_with("(wsgi-template:test)")).count()
}

/// Waits for as many workers, and asks until each of them has answered.
pub(crate) fn everybody(httpd: &Httpd, count: usize) -> Vec<Facts> {
    let mut answers = std::collections::BTreeMap::new();
    let found = wait_until(Duration::from_secs(15), || {
        std::thread::scope(|scope| {
            let asked: Vec<_> = (0..count * 2).map(|_| scope.spawn(|| httpd.get("/").facts())).collect();
            for facts in asked {
                let facts = facts.join().expect("answered");
                answers.insert(facts.number("pid"), facts);
            }
        });
        (answers.len() >= count).then_some(())
    });
    assert!(found.is_some(), "{} of {count} have answered\n{}", answers.len(), httpd.log().tail());
    answers.into_values().collect()
}

#[test]
fn one_process_loads_and_the_others_are_forked_from_it() {
    only_ours!("there is no preload=");
    let httpd = preloading("processes=3 threads=1", SCRIPT).start();
    let workers = everybody(&httpd, 3);
    let distinct = |name: &str| workers.iter().map(|facts| facts.get(name)).collect::<BTreeSet<_>>().len();
    assert_eq!((distinct("loaded_by"), distinct("pid"), distinct("random"), distinct("secret")), (1, 3, 3, 3));
    let supervisors = distinct("ppid");
    assert_eq!(supervisors, 1, "all are children of the supervisor");
    for facts in &workers {
        let forked = facts.number("pid") != facts.number("loaded_by");
        assert!(!forked || facts.number("hook") == facts.number("pid"), "hooks after a fork have run in the worker itself");
        assert_eq!((facts.get("main"), facts.get("signal_is_ignored")), ("True", "True"));
    }
    assert_eq!(httpd.workers("test").len(), 3);
    assert_eq!(httpd.log().lines_with("Loading WSGI script").len(), 1);
}

#[test]
fn a_killed_worker_is_forked_again_without_an_import() {
    only_ours!("there is no preload=");
    // Where some will be replaced anyway, there is always something to fork.
    let mut httpd = preloading("processes=2 threads=2 maximum-requests=100000", &format!("import time\ntime.sleep(1)\n{SCRIPT}")).start();
    httpd.allow_log("SIGKILL");
    let workers = everybody(&httpd, 2);
    let loaded_by = workers[0].number("loaded_by");
    for facts in &workers {
        let killed = Instant::now();
        Process::find(facts.number("pid")).expect("it has answered").signal(Signal::SIGKILL);
        assert!(wait_until(Duration::from_secs(5), || (httpd.workers("test").len() == 2).then_some(())).is_some());
        assert!(killed.elapsed() < Duration::from_secs(1), "{:?}", killed.elapsed());
        assert_eq!(httpd.get("/").facts().number("loaded_by"), loaded_by);
    }
    let deaths = httpd.log().wait_for_count("SIGKILL", 2);
    assert_eq!(deaths.len(), 2, "each death is known, also of the one that was executed");
    assert_eq!(httpd.log().lines_with("Loading WSGI script").len(), 1);
}

#[test]
fn the_template_ends_when_all_workers_are_there_and_is_made_anew_when_one_has_died() {
    only_ours!("there is no preload=");
    let mut httpd = preloading("processes=3 threads=2", SCRIPT).start();
    httpd.allow_log("SIGKILL");
    let workers = everybody(&httpd, 3);
    assert!(wait_until(Duration::from_secs(5), || (templates(&httpd) == 0).then_some(())).is_some());
    for (count, facts) in (1..).zip(&workers[..2]) {
        Process::find(facts.number("pid")).expect("it has answered").signal(Signal::SIGKILL);
        httpd.log().wait_for_count("SIGKILL", count);
        assert!(wait_until(Duration::from_secs(5), || (httpd.workers("test").len() == 3).then_some(())).is_some());
    }
    let now = everybody(&httpd, 3);
    let makers: BTreeSet<i32> = now.iter().map(|facts| facts.number("loaded_by")).collect();
    assert_eq!(makers.len(), 2, "the second successor was forked from what the first one has loaded");
    assert_eq!((templates(&httpd), httpd.log().lines_with("Loading WSGI script").len()), (1, 2));
}

#[test]
fn a_reload_makes_a_new_template_and_loses_nothing() {
    only_ours!("there is no preload=");
    let httpd = preloading("processes=3 threads=2", SCRIPT).start();
    everybody(&httpd, 3);
    let load = Load::start(httpd.port(), 5, "/", |answer| answer.text().starts_with("version="));
    load.wait_for(20);
    for version in 2..5 {
        httpd.folder().replace("apps/preloaded.wsgi", &SCRIPT.replace("version = 1", &format!("version = {version}")));
        let text = format!("version={version}\n");
        assert!(wait_until(Duration::from_secs(10), || httpd.get("/").text().starts_with(&text).then_some(())).is_some());
        load.wait_for(20);
    }
    assert_eq!(load.stop().failures, Vec::<String>::new());
    assert!(wait_until(Duration::from_secs(10), || (templates(&httpd) == 0).then_some(())).is_some(), "{} templates", templates(&httpd));
    assert_eq!(httpd.log().lines_with("Loading WSGI script").len(), 4);
}

#[test]
fn a_script_that_leaves_threads_behind_is_loaded_by_each_worker() {
    only_ours!("there is no preload=");
    let script =
        format!("import threading, time\nthreading.Thread(target=lambda: time.sleep(60), daemon=True, name='heartbeat').start()\n{SCRIPT}");
    let httpd = preloading("processes=2 threads=1", &script).expect_log("WSGI0313").start();
    let workers = everybody(&httpd, 2);
    assert!(workers.iter().all(|facts| facts.number("loaded_by") == facts.number("pid")));
    let lines = httpd.log().lines_with("WSGI0313");
    assert!(lines.len() == 1 && lines[0].contains("heartbeat"), "{lines:?}");
}

#[test]
fn forked_workers_have_the_groups_privileges_only() {
    only_ours!("there is no preload=");
    let httpd = preloading("processes=2 threads=1 umask=0027", SCRIPT).start();
    for facts in everybody(&httpd, 2) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", facts.number("pid"))).expect("it lives");
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
        assert_eq!((field("NoNewPrivs:"), field("Umask:")), ("1".to_owned(), "0027".to_owned()));
        let open = std::fs::read_dir(format!("/proc/{}/fd", facts.number("pid"))).expect("readable by root").count();
        assert!(open < 20, "{open} descriptors");
    }
}

#[test]
fn a_free_threaded_python_is_forked_with_its_lock_and_without() {
    only_ours!("there is no preload=");
    let Some(prefix) = python::free_threaded() else {
        return not_on_this_machine("there is no free-threaded Python for which a host was built");
    };
    let script = SCRIPT.replace("'version': version,", "'version': version, 'lock': __import__('sys')._is_gil_enabled(),");
    for (directive, lock) in [("WSGIFreeThreading Off", "True"), ("WSGIFreeThreading On", "False")] {
        let mut httpd = preloading("processes=3 threads=4 maximum-requests=1000000", &script)
            .config(&format!("WSGIPythonHome {}\n{directive}", prefix.display()))
            .start();
        httpd.allow_log("SIGKILL");
        let workers = everybody(&httpd, 3);
        assert!(workers.iter().all(|facts| facts.get("lock") == lock), "{directive}");
        let loaded_by: BTreeSet<_> = workers.iter().map(|facts| facts.number("loaded_by")).collect();
        assert_eq!(loaded_by.len(), 1, "{directive}");
        let load = Load::start(httpd.port(), 6, "/", |answer| answer.text().starts_with("version="));
        load.wait_for(50);
        httpd.folder().replace("apps/preloaded.wsgi", &script.replace("version = 1", "version = 2"));
        assert!(wait_until(Duration::from_secs(10), || httpd.get("/").text().starts_with("version=2").then_some(())).is_some());
        load.wait_for(50);
        assert_eq!(load.stop().failures, Vec::<String>::new(), "{directive}");
        let facts = httpd.get("/").facts();
        Process::find(facts.number("pid")).expect("it has answered").signal(Signal::SIGKILL);
        for facts in everybody(&httpd, 3) {
            assert_eq!((facts.get("version"), facts.get("lock")), ("2", lock), "{directive}");
        }
        assert_eq!(httpd.log().lines_with("Loading WSGI script").len(), 2, "{directive}: forked again without an import");
    }
}
