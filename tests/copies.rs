//! Workers of a generation that are started together are copies of one interpreter, in which nothing of the application's is.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::{Builder, Facts, Httpd, Mode, Process, wait_until};
use crate::preload::everybody;

/// Tells what all copies of an interpreter have in common, the seed of its hashes, and what each worker has for itself.
const SCRIPT: &str = "\
import os, random, signal
loaded_by, seed = os.getpid(), random.random()

def forked():
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # The thread that forks is the main thread of its child.
        os.write(writer, str(signal.signal(signal.SIGUSR1, signal.SIG_IGN) == signal.SIG_DFL).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader) as file:
        return file.read()

def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    facts = {'pid': os.getpid(), 'loaded_by': loaded_by, 'hash': hash('a string'), 'random': seed,
        # Python's own raises outside of the main thread.
        'signal_is_ignored': signal.signal(signal.SIGUSR1, signal.SIG_DFL) == signal.SIG_DFL,
        'forked': forked(), 'ppid': os.getppid()}
    return [f'{name}={value}\\n'.encode() for name, value in facts.items()]
";

fn copying(options: &str) -> Builder {
    Httpd::new(Mode::Daemon)
        .daemon_options(&format!("threads=1 {options}"))
        .file("apps/copied.wsgi", SCRIPT)
        .config("WSGIScriptAlias / ${APPS}/copied.wsgi")
}

fn distinct(workers: &[Facts], name: &str) -> usize {
    workers.iter().map(|facts| facts.get(name)).collect::<BTreeSet<_>>().len()
}

fn templates(httpd: &Httpd) -> usize {
    httpd.processes().into_iter().filter(|process| process.command.starts_with("(wsgi-template:")).count()
}

#[test]
fn each_worker_loads_the_script_into_a_copy_of_one_interpreter() {
    only_ours!("each process starts an interpreter");
    for group in ["%{GLOBAL}", "site"] {
        let mut httpd = copying("processes=3").config(&format!("WSGIApplicationGroup {group}")).start();
        httpd.allow_log("SIGKILL");
        let workers = everybody(&httpd, 3);
        let counts = ["hash", "ppid", "pid", "random"].map(|name| distinct(&workers, name));
        assert_eq!(counts, [1, 1, 3, 3], "{group}: {workers:?}");
        for facts in &workers {
            assert_eq!(
                (facts.get("loaded_by"), facts.get("signal_is_ignored"), facts.get("forked")),
                (facts.get("pid"), "True", "True"),
                "{group}"
            );
        }
        assert!(wait_until(Duration::from_secs(5), || (templates(&httpd) == 0).then_some(())).is_some(), "nobody is left to be forked");

        httpd.folder().replace("apps/copied.wsgi", &format!("{SCRIPT}\n"));
        let old = workers[0].get("hash");
        assert!(wait_until(Duration::from_secs(10), || (httpd.get("/").facts().get("hash") != old).then_some(())).is_some());
        let workers = everybody(&httpd, 3);
        assert_eq!((distinct(&workers, "hash"), distinct(&workers, "pid")), (1, 3), "{group}: the next generation has its own");

        Process::find(workers[0].number("pid")).expect("it has answered").signal(Signal::SIGKILL);
        assert!(wait_until(Duration::from_secs(10), || (httpd.workers("test").len() == 3).then_some(())).is_some());
        assert_eq!(distinct(&everybody(&httpd, 3), "hash"), 2, "{group}: who comes later is no copy");
    }
}

#[test]
fn an_interpreter_that_has_threads_at_its_start_is_not_copied() {
    only_ours!("each process starts an interpreter");
    let thread = "import threading, time; threading.Thread(target=time.sleep, args=(60,), name='agent', daemon=True).start()\n";
    let httpd = copying("processes=2 python-path=${ROOT}/agents").file("agents/agent.pth", thread).log_level("info").start();
    let workers = everybody(&httpd, 2);
    assert_eq!((distinct(&workers, "hash"), distinct(&workers, "pid")), (2, 2));
    let lines = httpd.log().lines_with("starts its own interpreter");
    assert!(lines.len() == 1 && lines[0].contains("agent"), "{lines:?}");
}
