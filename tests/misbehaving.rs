//! Applications that harm their own process: each is named in the log, its group serves again, and nobody else notices.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{Builder, Httpd, Process, python, wait_until};

/// A group of one process that misbehaves at `/bad`, with these options, and another one at `/good`.
fn site(options: &str) -> Builder {
    let builder = Httpd::bare()
        .with_app("misbehaving.wsgi")
        .config(&format!("WSGIDaemonProcess bad threads=3 display-name=%{{GROUP}} {options}\nWSGIDaemonProcess good threads=2"))
        .config("WSGIScriptAlias /bad ${APPS}/misbehaving.wsgi process-group=bad")
        .config("WSGIScriptAlias /good ${APPS}/misbehaving.wsgi process-group=good");
    ["WSGI0119", "WSGI0146", "WSGI0147", "WSGI0302"].into_iter().fold(builder, |builder, code| builder.allow_log(code))
}

/// Waits until another process than `pid` serves the group.
#[track_caller]
fn wait_for_another(httpd: &Httpd, pid: &str) {
    let serves = || {
        let answer = httpd.get("/bad");
        (answer.status == 200 && answer.text() != pid).then_some(())
    };
    assert!(wait_until(Duration::from_secs(10), serves).is_some(), "process {pid} is not replaced\n{}", httpd.log().tail());
}

#[test]
fn a_process_that_ends_itself_is_named_with_its_request() {
    only_ours!("the log does not name the process, nor how it ended");
    let httpd = site("").start();
    let good = httpd.get("/good").text();
    for (fault, how) in [("leave", "exited with status 3"), ("crash", "was killed by SIGSEGV"), ("abort", "was killed by SIGABRT")] {
        let pid = httpd.get("/bad").text();
        assert_eq!(httpd.get(&format!("/bad?{fault}")).status, 502, "{fault}");
        let line = httpd.log().wait_for(&format!("WSGI0146: the worker (pid {pid}) of the daemon group 'bad' {how}"));
        assert!(line.contains("[client "), "{line}");
        httpd.log().wait_for(&format!("WSGI0302: worker {pid} of"));
        wait_for_another(&httpd, &pid);
        assert_eq!(httpd.get("/good").text(), good, "the other group has not noticed");
    }
}

#[test]
fn a_process_that_closes_all_its_descriptors_is_named_and_replaced() {
    only_ours!("the log does not name the process");
    let httpd = site("").start();
    let pid = httpd.get("/bad").text();
    assert_eq!(httpd.get("/bad?close_all").status, 502);
    httpd.log().wait_for("WSGI0146: the worker (pid ");
    wait_for_another(&httpd, &pid);
    let gone = || Process::find(pid.parse().expect("a number")).is_none_or(|process| !process.is_running()).then_some(());
    assert!(wait_until(Duration::from_secs(10), gone).is_some(), "process {pid} goes on without descriptors\n{}", httpd.log().tail());
    // The request was executed, though nothing says so: another process must not get it as well.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(httpd.log().lines_with("WSGI0302").len(), 1, "{}", httpd.log().tail());
}

#[test]
fn what_a_process_has_forked_keeps_nobody_waiting() {
    only_ours!("a killed daemon process is replaced after up to a second");
    let httpd = site("").start();
    let pid = httpd.get("/bad").text();
    let kill = |pid: &str| Process::find(pid.parse().expect("a number")).expect("it lives").signal(Signal::SIGKILL);
    let child = httpd.get("/bad?fork").text();
    kill(&pid);
    let began = Instant::now();
    wait_for_another(&httpd, &pid);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    httpd.log().wait_for(&format!("WSGI0302: worker {pid} of"));
    kill(&child);
}

#[test]
fn a_process_that_listens_to_no_signal_is_replaced_all_the_same() {
    only_ours!("a daemon process that ignores SIGTERM is never replaced");
    let httpd = site("graceful-timeout=1 shutdown-timeout=1").allow_log("WSGI0321").start();
    let pid = httpd.get("/bad").text();
    assert_eq!(httpd.get("/bad?ignore").status, 200);
    httpd.folder().touch("apps/misbehaving.wsgi");
    wait_for_another(&httpd, &pid);
    let line = httpd.log().wait_for("WSGI0321");
    assert!(line.contains("'bad'"), "{line}");
    let gone = || httpd.workers("bad").iter().all(|worker| worker.pid.to_string() != pid).then_some(());
    assert!(wait_until(Duration::from_secs(10), gone).is_some(), "process {pid} goes on\n{}", httpd.log().tail());
}

#[test]
fn who_allocates_until_the_limit_gets_a_memory_error_and_lives() {
    let httpd = site("memory-limit=300000000").expect_traceback("MemoryError").allow_log("WSGI0312").allow_log("MemoryError").start();
    httpd.get("/bad");
    assert_eq!(httpd.get("/bad?allocate").status, 500);
    httpd.log().wait_for("MemoryError");
    if python::is_free_threaded() {
        // Its allocator gives memory back to other threads a while later, or the process is replaced for that.
        let serves = || (httpd.get("/bad").status == 200).then_some(());
        assert!(wait_until(Duration::from_secs(5), serves).is_some(), "{}", httpd.log().tail());
        return;
    }
    assert_eq!(httpd.get("/bad").status, 200);
}

#[test]
fn who_keeps_pythons_lock_in_c_is_named_and_ended() {
    if python::runs_without_lock() {
        return;
    }
    let httpd = site("deadlock-timeout=1").allow_log("WSGI0325").start();
    let (pid, good) = (httpd.get("/bad").text(), httpd.get("/good").text());
    std::thread::scope(|scope| {
        let spins = scope.spawn(|| httpd.get("/bad?spin").status);
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(httpd.get("/good").text(), good, "the other group has not noticed");
        assert_eq!(spins.join().expect("no panic"), 502);
    });
    wait_for_another(&httpd, &pid);
    only_ours!("the log does not name the request");
    let line = httpd.log().wait_for("WSGI0325");
    assert!(line.contains(&format!("'bad' (pid {pid})")) && line.contains("'GET /bad?spin'"), "{line}");
}

#[test]
fn a_process_serves_until_a_killed_supervisor_has_a_successor() {
    only_ours!("mod_wsgi has no such process");
    let httpd = site("").allow_log("WSGI0344").start();
    let pid = httpd.get("/bad").text();
    let supervisor = Process::find(httpd.workers("bad")[0].parent).expect("it has just started a process");
    supervisor.signal(Signal::SIGKILL);
    // It knows by then, and no other process can be ready so soon.
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(httpd.get("/bad").text(), pid);
    wait_for_another(&httpd, &pid);
    let gone = || Process::find(pid.parse().expect("a number")).is_none_or(|process| !process.is_running()).then_some(());
    assert!(wait_until(Duration::from_secs(10), gone).is_some(), "process {pid} goes on without a supervisor\n{}", httpd.log().tail());
    assert!(httpd.log().wait_for("WSGI0344").contains("SIGKILL"), "{}", httpd.log().tail());
}
