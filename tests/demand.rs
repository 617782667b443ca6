//! The number of workers follows the demand (`min-processes=`, `max-processes=`), and their memory has a limit that nobody meets.

use std::time::{Duration, Instant};

use crate::harness::{Client, Httpd, Mode, Request, wait_until};

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
