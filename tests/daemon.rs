//! Daemon groups: their processes and threads, and the options that say as whom, where and how they run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::harness::{Client, Httpd, Mode, Mpm, Request, Response, is_root, usual_mpm, wait_until};

/// Asks for one URL on many connections at once, and gives the answers' texts.
fn at_once(httpd: &Httpd, target: &str, connections: usize) -> Vec<String> {
    let port = httpd.port();
    let ask = || Client::connect(port).ask(&Request::get(target).header("Connection", "close"));
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..connections).map(|_| scope.spawn(ask)).collect();
        let answers = asking.into_iter().map(|client| client.join().expect("no client panics"));
        let text = |answer: Response| if answer.status == 200 { answer.text() } else { panic!("{answer:?}") };
        answers.map(text).collect()
    })
}

#[test]
fn two_processes_of_fifteen_threads_all_serve() {
    let httpd = Httpd::new(Mode::Daemon)
        .daemon_options("processes=2 threads=15 display-name=%{GROUP}")
        .app("sleep.wsgi")
        .config("StartServers 3")
        .for_clients(32)
        .start();
    // The first requests also wait for Python and for the import of the script.
    at_once(&httpd, "/?0.2", 20);
    let began = Instant::now();
    let answers = at_once(&httpd, "/?2", 30);
    assert!(began.elapsed() < Duration::from_millis(3900), "thirty requests of two seconds took {:?}", began.elapsed());
    let mut threads: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for answer in &answers {
        let (pid, thread) = answer.trim().split_once(' ').expect("sleep.wsgi gives two words");
        threads.entry(pid).or_default().insert(thread);
    }
    assert_eq!(threads.values().map(BTreeSet::len).collect::<Vec<_>>(), [15, 15], "{threads:?}");
}

#[test]
fn ps_shows_the_group() {
    let httpd = Httpd::bare()
        .with_app("whoami.wsgi")
        .config("WSGIDaemonProcess example.com processes=2 threads=15 display-name=%{GROUP}\nWSGIProcessGroup example.com")
        .config("WSGIDaemonProcess other display-name=my-name")
        .config("WSGIScriptAlias /other ${APPS}/whoami.wsgi process-group=other\nWSGIScriptAlias / ${APPS}/whoami.wsgi")
        .start();
    let pid = httpd.get("/").facts().number("pid");
    let found = wait_until(Duration::from_secs(5), || Some(httpd.workers("example.com")).filter(|workers| workers.len() == 2));
    let workers = found.unwrap_or_else(|| panic!("not two workers: {:#?}", httpd.processes()));
    assert!(workers.iter().any(|worker| worker.pid == pid), "{workers:?} has no {pid}");
    let other = httpd.get("/other").facts().number("pid");
    let named = httpd.processes().into_iter().find(|process| process.pid == other).expect("it has just answered");
    assert!(named.command.starts_with("my-name"), "{named:?}");
}

/// How nice the suite itself is, which httpd inherits.
fn own_niceness() -> i32 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc is mounted");
    let fields = stat.rsplit(") ").next().expect("the name stands in parentheses").split(' ');
    fields.into_iter().nth(16).and_then(|nice| nice.parse().ok()).expect("see proc(5)")
}

#[test]
fn what_executes_applications_interrupts_nobody() {
    const SCHED_BATCH: i32 = 3;
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("whoami.wsgi").start();
        let facts = httpd.get("/").facts();
        let is_batch = facts.number("policy") == SCHED_BATCH;
        if differs!("threads that execute applications interrupt those that pass requests on") {
            assert!(!is_batch, "{mode:?}");
        } else {
            assert!(is_batch, "{mode:?}");
        }
        assert_eq!(facts.number("nice"), own_niceness(), "{mode:?}");
    }
}

#[test]
fn a_group_tells_its_size() {
    let httpd = Httpd::new(Mode::Daemon).daemon_options("processes=2 threads=3").app("whoami.wsgi").start();
    let facts = httpd.get("/").facts();
    assert_eq!((facts.get("processes"), facts.get("threads")), ("2", "3"));
    assert_ne!(facts.number("pid"), httpd.parent().pid);
}

#[test]
fn surroundings_of_a_process_follow_the_options() {
    let httpd = Httpd::new(Mode::Daemon)
        .daemon_options("threads=2 umask=0027 home=${ROOT}/home lang=en_GB.UTF-8 locale=C.UTF-8")
        .file("home/empty", "")
        .app("whoami.wsgi")
        .start();
    let facts = httpd.get("/").facts();
    let home = format!("{}/home", httpd.root().display());
    assert_eq!(facts.get("umask"), "0o27");
    assert_eq!(facts.get("cwd"), home);
    assert!(facts.get("path").starts_with(&format!("['{home}', ")), "{}", facts.get("path"));
    assert_eq!((facts.get("LANG"), facts.get("LC_ALL"), facts.get("locale")), ("en_GB.UTF-8", "C.UTF-8", "C.UTF-8"));
}

#[test]
fn a_group_runs_as_its_user() {
    if !is_root() {
        return crate::harness::not_on_this_machine("only root can start a daemon group as another user");
    }
    let user = nix::unistd::User::from_name("daemon").ok().flatten().expect("every Unix has the user daemon");
    let httpd = Httpd::bare()
        .with_app("whoami.wsgi")
        .config("WSGIDaemonProcess default\nWSGIDaemonProcess named user=daemon group=daemon\nWSGIDaemonProcess numbered user=#1 group=#1")
        .config("WSGIScriptAlias /default ${APPS}/whoami.wsgi process-group=default")
        .config("WSGIScriptAlias /named ${APPS}/whoami.wsgi process-group=named")
        .config("WSGIScriptAlias /numbered ${APPS}/whoami.wsgi process-group=numbered")
        .start();
    let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
    let named = httpd.get("/named").facts();
    assert_eq!((named.get("uid"), named.get("gid")), (uid.as_str(), gid.as_str()));
    assert_eq!(named.get("HOME"), user.dir.to_str().expect("a path of text"));
    assert_eq!(named.get("groups"), format!("[{gid}]"), "no group of httpd's is left");
    let numbered = httpd.get("/numbered").facts();
    assert_eq!((numbered.get("uid"), numbered.get("gid")), ("1", "1"));
    let default = httpd.get("/default").facts();
    assert_ne!(default.get("uid"), "0");
    assert_ne!(default.get("uid"), uid);
}

#[test]
fn a_process_is_replaced_after_maximum_requests() {
    let httpd = Httpd::new(Mode::Daemon).daemon_options("processes=1 threads=1 maximum-requests=3").app("whoami.wsgi").start();
    let mut counts = BTreeMap::new();
    let replaced = wait_until(Duration::from_secs(15), || {
        *counts.entry(httpd.get("/").facts().number("pid")).or_insert(0) += 1;
        (counts.len() >= 4).then_some(())
    });
    assert!(replaced.is_some(), "{counts:?}");
    // While its successor gets ready, a process of ours goes on serving; mod_wsgi's does not, and requests wait.
    assert!(counts.values().filter(|count| **count >= 3).count() >= 3, "{counts:?}");
}

#[test]
fn requests_of_one_process_run_side_by_side() {
    for mode in Mode::ALL {
        if mode == Mode::Embedded && usual_mpm() == Mpm::Prefork {
            // Each request has a process of its own there.
            continue;
        }
        let httpd = Httpd::new(mode).app("sleep.wsgi").for_clients(6).start();
        at_once(&httpd, "/", 2);
        let began = Instant::now();
        let answers = at_once(&httpd, "/?0.5", 5);
        assert!(began.elapsed() < Duration::from_millis(1400), "{mode:?}: {:?}", began.elapsed());
        let pids: BTreeSet<&str> = answers.iter().filter_map(|answer| answer.split(' ').next()).collect();
        assert_eq!(pids.len(), 1, "{mode:?}");
    }
}

#[test]
fn more_requests_than_threads_wait_their_turn() {
    let httpd = Httpd::new(Mode::Daemon).daemon_options("threads=2").app("sleep.wsgi").start();
    at_once(&httpd, "/", 2);
    let began = Instant::now();
    at_once(&httpd, "/?0.3", 10);
    assert!(began.elapsed() >= Duration::from_millis(1400), "ten requests on two threads took {:?}", began.elapsed());
}

#[test]
fn the_process_group_says_where_it_runs() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("whoami.wsgi").start();
        let facts = httpd.get("/").facts();
        let group = if mode == Mode::Daemon { "test" } else { "" };
        assert_eq!((facts.get("process_group"), facts.get("environ_process_group")), (group, group));
    }
}
