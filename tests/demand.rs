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
