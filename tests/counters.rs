//! The shared counters of a daemon group, read from outside and compared with what clients have counted.

use std::fs::File;
use std::time::Duration;

use nix::sys::signal::Signal;
use sys::memory::SharedWords;
use wire::control::StopReason;
use wire::counters::{Counters, GroupSnapshot, GroupState};

use crate::harness::{Client, Httpd, Mode, Request, wait_until};

/// The counters of the server's one group, as the parent of httpd holds them.
fn counters(httpd: &Httpd) -> SharedWords {
    let folder = format!("/proc/{}/fd", httpd.parent().pid);
    let mut entries = std::fs::read_dir(folder).expect("the parent runs").flatten();
    let is_ours = |target: &std::path::Path| target.to_string_lossy().contains("mod_wsgi counters");
    let found = entries.find(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| is_ours(&target)));
    let file = File::options().read(true).write(true).open(found.expect("a group has counters").path());
    SharedWords::map(file.expect("we may look into our own httpd")).expect("they are sealed")
}

fn snapshot(words: &SharedWords) -> GroupSnapshot {
    Counters::view(words).expect("they have our mark").snapshot()
}

/// The figures once they are as wanted; those of the last look otherwise.
fn wait_for(words: &SharedWords, wanted: impl Fn(&GroupSnapshot) -> bool) -> GroupSnapshot {
    wait_until(Duration::from_secs(5), || Some(snapshot(words)).filter(&wanted)).unwrap_or_else(|| snapshot(words))
}

fn ask_and_leave(httpd: &Httpd, target: &str) -> Client {
    let mut client = httpd.connect();
    client.request(&Request::get(target));
    client
}

#[test]
fn requests_are_counted_by_phase_and_status() {
    only_ours!("there are no shared counters");
    let httpd = Httpd::new(Mode::Daemon).daemon_options("processes=1 threads=2").app("metrics.wsgi").for_clients(12).start();
    let words = counters(&httpd);
    let ready = wait_for(&words, |group| group.workers.iter().any(|worker| worker.free == 2));
    assert_eq!((ready.state, ready.starts, ready.workers.len()), (GroupState::Serving, 1, 1), "{ready:?}");

    for path in ["/status?404", "/status?404", "/status?503", "/status?204", "/", "/sleep?0.3"] {
        httpd.get(path);
    }
    let idle = wait_for(&words, |group| group.workers[0].served == 6);
    let worker = &idle.workers[0];
    assert_eq!(i32::try_from(worker.pid), Ok(httpd.workers("test")[0].pid));
    assert_eq!((worker.statuses, worker.unanswered, worker.served), ([0, 3, 0, 2, 1], 0, 6));
    assert!((300_000..3_000_000).contains(&worker.busy) && worker.thinking >= 300_000 && worker.thinking <= worker.busy, "{worker:?}");
    assert!(worker.threads.iter().all(|thread| thread.request == 0), "{worker:?}");

    let running = |group: &GroupSnapshot| group.workers[0].threads.iter().filter(|thread| thread.request != 0).count();
    let mut clients: Vec<Client> = (0..2).map(|_| ask_and_leave(&httpd, "/sleep?1.5")).collect();
    wait_for(&words, |group| running(group) == 2);
    clients.extend((0..7).map(|_| ask_and_leave(&httpd, "/sleep?1.5")));
    let busy = wait_for(&words, |group| group.waiting == 7);
    assert_eq!((busy.waiting, busy.workers[0].free), (7, 0), "{busy:?}");
    let running: Vec<_> = busy.workers[0].threads.iter().filter(|thread| thread.request != 0).collect();
    assert_eq!(running.len(), 2, "{busy:?}");
    assert!(
        running.iter().all(|thread| thread.begun >= thread.handed_over && thread.handed_over > 0 && thread.answered == 0),
        "{running:?}"
    );
    clients.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));

    let after = wait_for(&words, |group| group.workers[0].served == 15 && group.workers[0].free == 2);
    let worker = &after.workers[0];
    assert_eq!((after.waiting, worker.served, worker.statuses[1], worker.free), (0, 15, 12, 2), "{after:?}");
    assert!(worker.busy - idle.workers[0].busy >= 9 * 1_500_000, "{after:?}");
    // The last one has waited for four others, one after the other.
    assert!(worker.longest_wait >= 5_000_000 && worker.waited >= 20_000_000, "{after:?}");
}

#[test]
fn the_ends_of_workers_are_counted_by_cause() {
    only_ours!("there are no shared counters");
    let builder = Httpd::new(Mode::Daemon).daemon_options("processes=1 threads=2 maximum-requests=5").app("metrics.wsgi");
    let httpd = builder.expect_log("WSGI0302").start();
    let words = counters(&httpd);
    httpd.get("/");
    httpd.workers("test")[0].signal(Signal::SIGKILL);
    let killed = wait_for(&words, |group| group.starts == 2 && group.state == GroupState::Serving);
    assert_eq!((killed.starts, killed.ended_by_signal, killed.stops.len()), (2, 1, 0), "{killed:?}");

    (0..5).for_each(|_| assert_eq!(httpd.get("/").status, 200));
    let replaced = wait_for(&words, |group| group.ended_well == 1);
    assert_eq!((replaced.starts, replaced.ended_well, replaced.ended_badly), (3, 1, 0), "{replaced:?}");
    assert_eq!(replaced.stops, [(StopReason::MaximumRequests, 1)]);

    // Within the second of the file system's clock a change would not be seen.
    std::thread::sleep(Duration::from_millis(1100));
    httpd.folder().touch("apps/metrics.wsgi");
    httpd.get("/");
    let reloaded = wait_for(&words, |group| group.ended_well == 2);
    assert_eq!((reloaded.starts, reloaded.ended_well), (4, 2), "{reloaded:?}");
    assert_eq!(reloaded.stops, [(StopReason::MaximumRequests, 1), (StopReason::ScriptReload, 1)]);
}
