//! How a group ends: in order, with httpd, or without its supervisor.

use crate::site::{Site, is_gone, until};
use std::time::{Duration, Instant};
use sys::nix::sys::signal::{Signal, kill};
use sys::nix::sys::wait::WaitStatus;
use wire::control::ToSupervisor;

/// "Gone within two seconds" is what is promised.
const GONE: Duration = Duration::from_secs(2);

#[test]
fn a_stop_lets_requests_finish() {
    let mut site = Site::new();
    site.configure();
    let pid = site.request("where").expect("an answer").pid;
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| site.request("sleep 500"));
        std::thread::sleep(Duration::from_millis(100));
        site.control().send(&ToSupervisor::Stop, &[]).expect("sent");
        assert_eq!(slow.join().expect("answered").expect("finished").text, "slept");
    });
    assert!(matches!(site.wait_for_end(), WaitStatus::Exited(_, 0)));
    assert!(is_gone(pid));
    assert!(!site.log().contains("WSGI"), "{}", site.log());
}

#[test]
fn a_stop_is_bounded_by_shutdown_timeout() {
    let mut site = Site::new();
    site.settings.timeouts.shutdown = Duration::from_millis(200);
    site.configure();
    let pid = site.request("where").expect("an answer").pid;
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| site.request("sleep 5000"));
        std::thread::sleep(Duration::from_millis(100));
        site.control().send(&ToSupervisor::Stop, &[]).expect("sent");
        assert_eq!(slow.join().expect("the connection ends"), None);
    });
    site.wait_for_end();
    assert!(is_gone(pid));
    site.wait_for_log("has not ended in its time: killing it");
}

#[test]
fn sigterm_is_a_stop() {
    let mut site = Site::new();
    site.configure();
    site.request("where");
    kill(site.child, Signal::SIGTERM).expect("sent");
    assert!(matches!(site.wait_for_end(), WaitStatus::Exited(_, 0)));
}

#[test]
fn sighup_begins_a_new_generation() {
    let site = Site::new();
    site.configure();
    site.request("where");
    kill(site.child, Signal::SIGHUP).expect("sent");
    until("the next generation", || site.request("where").expect("never refused").generation == 2, || site.log());
}

#[test]
fn everything_ends_with_the_control_socket() {
    let mut site = Site::new();
    site.write("host", "stubborn");
    site.configure();
    let pid = site.request("where").expect("an answer").pid;
    let start = Instant::now();
    site.control = None;
    site.wait_for_end();
    assert!(is_gone(pid) && start.elapsed() < GONE, "{:?}", start.elapsed());
}

#[test]
fn everything_ends_with_httpds_parent_even_if_somebody_holds_the_control_socket() {
    let mut site = Site::with_parent();
    site.write("host", "stubborn");
    site.configure();
    let worker = site.request("where").expect("an answer").pid;
    let supervisor = parent_of(worker);
    assert_ne!(supervisor, u32::try_from(site.child.as_raw()).expect("a pid"));
    let start = Instant::now();
    kill(site.child, Signal::SIGKILL).expect("killed");
    site.wait_for_end();
    until("the end of everybody", || is_gone(worker) && is_gone(supervisor), || site.log());
    assert!(start.elapsed() < GONE, "{:?}", start.elapsed());
}

#[test]
fn what_is_being_executed_survives_the_supervisor() {
    let mut site = Site::new();
    site.configure();
    let pid = site.request("where").expect("an answer").pid;
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| site.request("sleep 500"));
        std::thread::sleep(Duration::from_millis(100));
        kill(site.child, Signal::SIGKILL).expect("killed");
        assert_eq!(slow.join().expect("answered").expect("finished").text, "slept");
    });
    site.wait_for_end();
    until("the end of the worker", || is_gone(pid), || site.log());
}

fn parent_of(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("alive");
    let fields = &stat[stat.rfind(')').expect("proc(5)") + 2..];
    fields.split(' ').nth(1).and_then(|parent| parent.parse().ok()).expect("proc(5)")
}
