//! Workers serve, die, and are replaced.

use crate::site::{Site, is_gone, until};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use sys::nix::sys::signal::{Signal, kill};
use sys::nix::unistd::Pid;
use wire::counters::{Cause, GroupState};

#[test]
fn requests_wait_in_the_queue_until_a_worker_is_ready() {
    let site = Site::new();
    site.write("app", "one");
    assert_eq!(site.counters().state(), GroupState::Starting);
    std::thread::scope(|scope| {
        let early = scope.spawn(|| site.get("app"));
        site.configure();
        let answer = early.join().expect("answered");
        assert_eq!((answer.generation, answer.text.as_str()), (1, "one"));
    });
    site.wait_for_state(GroupState::Serving);
    assert_eq!(site.counters().starts(), 1);
}

#[test]
fn every_process_of_a_group_serves() {
    let mut site = Site::new();
    site.settings.processes = 3;
    site.renew_counters();
    site.configure();
    let pids: BTreeSet<u32> = std::thread::scope(|scope| {
        let busy: Vec<_> = (0..3).map(|_| scope.spawn(|| site.request("sleep 300").expect("an answer").pid)).collect();
        busy.into_iter().map(|thread| thread.join().expect("answered")).collect()
    });
    assert_eq!(pids.len(), 3);
}

#[test]
fn a_worker_that_is_killed_is_named_and_replaced_within_100_ms() {
    let site = Site::new();
    site.configure();
    let first = site.request("where").expect("an answer").pid;
    let start = Instant::now();
    kill(Pid::from_raw(i32::try_from(first).expect("a pid")), Signal::SIGKILL).expect("killed");
    let second = site.request("where").expect("the queue waits for the successor").pid;
    let took = start.elapsed();
    assert_ne!(first, second);
    assert!(took < Duration::from_millis(100), "{took:?}");
    assert_eq!(site.counters().death_of(first), Some(Cause::Signal(9)));
    site.wait_for_log("WSGI0302: worker ");
    assert!(site.log().contains("was ended by SIGKILL after"), "{}", site.log());
}

#[test]
fn a_crash_costs_only_the_request_that_it_interrupts() {
    let site = Site::new();
    site.configure();
    assert_eq!(site.request("die"), None);
    assert!(site.request("where").is_some());
    site.wait_for_log("was ended by SIGABRT");
}

#[test]
fn who_asks_for_a_successor_serves_until_that_can() {
    let site = Site::new();
    site.configure();
    let first = site.request("replace").expect("an answer").pid;
    until("the successor", || site.request("where").expect("never refused").pid != first, || site.log());
    until("the end of the first", || is_gone(first), || site.log());
    assert_eq!(site.counters().death_of(first), None);
    assert!(!site.log().contains("WSGI"), "{}", site.log());
}

#[test]
fn a_worker_has_what_it_is_given_and_nothing_else() {
    let mut site = Site::new();
    site.settings.lang = Some(b"de_DE.UTF-8".to_vec().into());
    site.settings.python.hash_seed = Some("7".to_owned());
    site.configure();
    for (name, value) in [("LANG", "de_DE.UTF-8"), ("PYTHONHASHSEED", "7"), ("PATH", "/usr/bin:/bin"), ("LC_ALL", "")] {
        assert_eq!(site.request(&format!("variable {name}")).expect("an answer").text, value, "{name}");
    }
    let pid = site.request("where").expect("an answer").pid;
    let mut open: Vec<u32> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("ours")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    open.sort_unstable();
    // Behind the six that it is given are the two of its own signal pipe.
    assert!(open.starts_with(&[0, 1, 2, 3, 4, 5]) && open.len() <= 9, "{open:?}");
}
