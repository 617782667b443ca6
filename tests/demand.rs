//! The number of workers follows the demand (`min-processes=`, `max-processes=`), and their memory has a limit that nobody meets.

use std::time::{Duration, Instant};

use crate::harness::{Client, Httpd, Mode, Request, not_on_this_machine, wait_until};

#[test]
fn a_group_grows_when_requests_wait() {
    only_ours!("the number of daemon processes is fixed");
    let httpd = Httpd::new(Mode::Daemon)
        .daemon_options("threads=1 min-processes=1 max-processes=3 display-name=%{GROUP}")
        .app("sleep.wsgi")
        .start();
    httpd.get("/?0");
    assert_eq!(httpd.workers("test").len(), 1);
    let port = httpd.port();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| Client::connect(port).ask(&Request::get("/?3").header("Connection", "close")));
        }
    });
    // One after the other they would take nine seconds, two beside one another six.
    assert!(began.elapsed() < Duration::from_millis(5500), "{:?}\n{}", began.elapsed(), httpd.log().tail());
    assert_eq!(httpd.workers("test").len(), 3, "{}", httpd.log().tail());
}

#[test]
fn a_worker_near_its_memory_limit_is_replaced_before_anything_fails() {
    only_ours!("a daemon process at its memory-limit answers every request with 500");
    let script = "import os\nkept = []\ndef application(environ, start_response):\n    kept.append(bytearray(8 << 20))\n    \
                  start_response('200 OK', [])\n    return [str(os.getpid()).encode()]\n";
    let httpd = Httpd::new(Mode::Daemon)
        .daemon_options("threads=2 memory-limit=300000000")
        .file("apps/leak.wsgi", script)
        .config("WSGIScriptAlias / ${APPS}/leak.wsgi")
        .start();
    let mut pids = std::collections::BTreeSet::new();
    let enough = wait_until(Duration::from_secs(20), || {
        // Slower than the supervisor looks, as a leak is in life.
        std::thread::sleep(Duration::from_millis(120));
        let answer = httpd.get("/");
        assert_eq!(answer.status, 200, "{}", httpd.log().tail());
        pids.insert(answer.text());
        (pids.len() == 3).then_some(())
    });
    assert!(enough.is_some(), "{pids:?} have answered");
    assert_eq!(httpd.log().lines_with("WSGI0312").len(), 2);
}

/// Keeps as many MiB of shared memory as the query says, and more at each request, and has some from the beginning. The kernel's limit
/// of data does not know of it.
const SHARES: &str = "\
import mmap, os

def take(mebibytes):
    memory = mmap.mmap(-1, max(1, mebibytes) << 20)
    for page in range(0, len(memory), 4096):
        memory[page] = 1
    return memory

kept = [take(AT_FIRST)]

# A fork copies no table of such pages: they count for whoever has looked at them.
os.register_at_fork(after_in_child=lambda: kept[0][::4096])

def application(environ, start_response):
    kept.append(take(int(environ['QUERY_STRING'] or 0)))
    start_response('200 OK', [])
    return [str(os.getpid()).encode()]
";

#[test]
fn memory_that_is_no_data_counts_for_the_limit_as_well() {
    only_ours!("memory-limit is RLIMIT_DATA, and nothing is replaced for what else a process takes");
    let httpd = Httpd::new(Mode::Daemon)
        .daemon_options("threads=2 memory-limit=300000000")
        .file("apps/shares.wsgi", &SHARES.replace("AT_FIRST", "1"))
        .config("WSGIScriptAlias / ${APPS}/shares.wsgi")
        .start();
    let first = httpd.get("/").text();
    for _ in 0..7 {
        assert_eq!(httpd.get("/?40").status, 200);
    }
    let line = httpd.log().wait_for("WSGI0312");
    assert!(line.contains(" of memory, near memory-limit=300000000"), "{line}");
    let other = wait_until(Duration::from_secs(10), || (httpd.get("/").text() != first).then_some(()));
    assert!(other.is_some(), "{}", httpd.log().tail());
}

#[test]
fn memory_that_preloaded_siblings_share_does_not_count_in_full() {
    only_ours!("there is no preload=");
    let httpd = Httpd::new(Mode::Daemon)
        .daemon_options("processes=3 threads=1 memory-limit=300000000 preload=${APPS}/shares.wsgi display-name=%{GROUP}")
        .file("apps/shares.wsgi", &SHARES.replace("AT_FIRST", "270"))
        .config("WSGIApplicationGroup %{GLOBAL}\nWSGIScriptAlias / ${APPS}/shares.wsgi")
        .start();
    assert!(wait_until(Duration::from_secs(10), || (httpd.workers("test").len() == 3).then_some(())).is_some());
    let before: Vec<i32> = httpd.workers("test").iter().map(|worker| worker.pid).collect();
    // With what they have together each would be beyond the limit.
    for _ in 0..12 {
        assert_eq!(httpd.get("/?10").status, 200);
    }
    // They look at themselves once a second.
    std::thread::sleep(Duration::from_millis(2500));
    let after: Vec<i32> = httpd.workers("test").iter().map(|worker| worker.pid).collect();
    assert_eq!((after, httpd.log().lines_with("WSGI0312")), (before, vec![]));
}

/// A control group of the kernel's with a limit of memory, for as long as the test runs.
struct Confined(std::path::PathBuf);

impl Confined {
    /// Puts a process into one; `None` where the kernel, or whoever runs us, has none to give (cgroups(7), version 1).
    fn new(pid: i32, limit: &str) -> Option<Self> {
        let folder = std::path::Path::new("/sys/fs/cgroup/memory").join(format!("suite-{}-{pid}", std::process::id()));
        std::fs::create_dir(&folder).ok()?;
        let confined = Self(folder);
        std::fs::write(confined.0.join("memory.limit_in_bytes"), limit).ok()?;
        // Or it would be swapped out instead; not every kernel counts that.
        let _where_counted = std::fs::write(confined.0.join("memory.memsw.limit_in_bytes"), limit);
        std::fs::write(confined.0.join("cgroup.procs"), pid.to_string()).ok()?;
        Some(confined)
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        let _empty_by_now = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn a_worker_that_the_kernel_kills_for_memory_is_named_so() {
    only_ours!("a daemon process that the kernel has killed for lack of memory was ended by signal 9");
    let script = "import os\ndef application(environ, start_response):\n    kept = []\n    while environ['QUERY_STRING']:\n        \
                  kept.append(bytearray(b'x' * (10 << 20)))\n    start_response('200 OK', [])\n    return [str(os.getpid()).encode()]\n";
    let mut httpd = Httpd::new(Mode::Daemon)
        .daemon_options("threads=1")
        .file("apps/eat.wsgi", script)
        .config("WSGIScriptAlias / ${APPS}/eat.wsgi")
        .start();
    let worker = httpd.get("/").text();
    let Some(_confined) = Confined::new(worker.parse().expect("a pid"), "100M") else {
        return not_on_this_machine("there is no control group of memory (version 1) for a test to make");
    };
    httpd.allow_log("WSGI0302");
    httpd.allow_log("WSGI0146");
    assert_eq!(httpd.get("/?eat").status, 502);
    for code in ["WSGI0302", "WSGI0146"] {
        let line = httpd.log().wait_for(code);
        assert!(line.contains(&worker) && line.contains("memory"), "{line}");
    }
    assert_ne!(httpd.get("/").text(), worker);
}
