//! Many threads of one process do at once what has state in the host: with Python's lock, and without it where there is such a Python.

use std::time::{Duration, Instant};

use crate::harness::{Builder, Client, Httpd, Mode, Mpm, Request, python, usual_mpm};

/// How many clients ask side by side: more than a group has threads.
const CLIENTS: usize = 8;

/// A server whose Python has no lock.
const WITHOUT: &str = "without a lock";

/// A server on the usual Python, and one that runs without the lock of another.
fn servers(mode: Mode) -> Vec<(&'static str, Builder)> {
    let server = || {
        Httpd::new(mode)
            .daemon_options("processes=1 threads=6")
            .module("setenvif")
            .with_app("races.wsgi")
            .config("WSGIScriptAlias /main ${APPS}/races.wsgi\nWSGIScriptAlias /groups ${APPS}/races.wsgi")
            .config("<Location /main>\nWSGIApplicationGroup %{GLOBAL}\n</Location>")
            .config("<Location /groups>\nWSGIApplicationGroup %{ENV:GROUP}\n</Location>\nSetEnvIf X-Group (.+) GROUP=$1")
            .log_level("warn wsgi:info")
            .allow_log("written ")
            .allow_log("printed ")
            .allow_log("logged ")
    };
    let mut servers = vec![("as usual", server())];
    if let Some(prefix) = python::free_threaded().filter(|_| !python::is_free_threaded()) {
        servers.push((WITHOUT, server().config(&format!("WSGIPythonHome {}\nWSGIFreeThreading On", prefix.display()))));
    }
    servers
}

/// One of the requests, told from all others by its token; `Some` with what was wrong with its answer.
fn wrong(client: &mut Client, token: &str, path: &str, group: &str) -> Option<String> {
    let request = Request::post(&format!("{path}?token={token}"), token.repeat(100).as_bytes());
    let request = request.header("X-Token", token).header("X-Twice", &token.repeat(2)).header("X-Group", group);
    let answer = match client.try_ask(&request) {
        Ok(answer) => answer,
        Err(error) => return Some(format!("{token}: {error}")),
    };
    let text = answer.text();
    let is_right = answer.status == 200 && answer.complete && answer.header("X-Token") == Some(token) && text.trim() == "version 1";
    (!is_right).then(|| format!("{token}: {} complete={} {text}", answer.status, answer.complete))
}

/// Each client asks `each` times, every third time for one of four groups of its own; what was wrong with the answers.
fn hammer(port: u16, each: usize) -> Vec<String> {
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                scope.spawn(move || {
                    let mut client = Client::connect(port);
                    let mut ask = |turn| {
                        let (path, group) =
                            if turn % 3 == 0 { ("/groups", format!("group-{}", turn / 3 % 4)) } else { ("/main", String::new()) };
                        wrong(&mut client, &format!("t{number}x{turn}x"), path, &group)
                    };
                    (0..each).filter_map(&mut ask).collect::<Vec<_>>()
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().expect("what is wrong is counted")).collect()
    })
}

#[test]
fn what_threads_do_at_once_is_counted_once() {
    only_ours!("a request for %{GLOBAL} runs in a sub-interpreter if its thread served another application group first");
    for mode in Mode::ALL {
        for (name, server) in servers(mode) {
            let httpd = server.start();
            const EACH: usize = 60;
            let wrong = hammer(httpd.port(), EACH);
            assert!(wrong.is_empty(), "{mode:?} {name}: {wrong:#?}\n{}", httpd.log().tail());

            let requests = CLIENTS * EACH;
            for line in ["logged t", "written t", "printed t"] {
                assert_eq!(httpd.log().wait_for_count(line, requests).len(), requests, "{mode:?} {name} {line}");
            }
            // An interpreter is made once, and a script is loaded once in each, however many threads ask for it at the same time. With
            // prefork each request may have a process of its own.
            if mode == Mode::Embedded && usual_mpm() == Mpm::Prefork {
                continue;
            }
            assert_eq!(httpd.log().lines_with("Loading WSGI script").len(), 5, "{mode:?} {name}");
            assert_eq!(httpd.log().lines_with("Creating sub-interpreter").len(), 4, "{mode:?} {name}");
            // The last thing that a thread does for a request is to close its account.
            std::thread::sleep(Duration::from_millis(200));
            let counts = httpd.get("/main/counts").facts();
            let of_main = CLIENTS * (0..EACH).filter(|turn| turn % 3 != 0).count();
            // A request has its token only after the application has been called.
            for event in ["response_started", "request_finished"] {
                assert_eq!(counts.get(event), of_main.to_string(), "{mode:?} {name} {event}");
            }
            assert_eq!(counts.get("metered"), requests.to_string(), "{mode:?} {name}");
            assert!(name != WITHOUT || counts.get("locked") == "False", "{mode:?} {name}");
        }
    }
}

#[test]
fn threads_go_on_while_their_script_changes() {
    only_ours!("a request for %{GLOBAL} runs in a sub-interpreter if its thread served another application group first");
    for mode in Mode::ALL {
        for (name, server) in servers(mode) {
            let httpd = server.start();
            assert_eq!(hammer(httpd.port(), 3), Vec::<String>::new(), "{mode:?} {name}");
            let end = Instant::now() + Duration::from_secs(3);
            let wrong = std::thread::scope(|scope| {
                let asking = scope.spawn(|| {
                    let mut wrong = Vec::new();
                    while Instant::now() < end && wrong.is_empty() {
                        wrong = hammer(httpd.port(), 20);
                    }
                    wrong
                });
                while Instant::now() < end {
                    httpd.folder().touch("apps/races.wsgi");
                    std::thread::sleep(Duration::from_millis(if mode == Mode::Daemon { 400 } else { 20 }));
                }
                asking.join().expect("what is wrong is counted")
            });
            assert!(wrong.is_empty(), "{mode:?} {name}: {wrong:#?}\n{}", httpd.log().tail());
            assert!(httpd.log().lines_with("oading WSGI script").len() > 5, "{mode:?} {name}: the script was loaded again");
        }
    }
}
