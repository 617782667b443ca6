//! Clients that leave, and clients that are sent away: what the application is told, and how much of it is in the log.

use std::time::Duration;

use crate::harness::{Builder, Httpd, Mode, Request, wait_until};

/// What the application does with a request, and a line in `calls.txt` for all that happens to it.
const APP: &str = r#"
import os

def note(text):
    with open(os.path.join(os.path.dirname(__file__), "notes", "calls.txt"), "a") as file:
        file.write(text + "\n")

class Endless:
    def __init__(self, name):
        self.name = name
    def __iter__(self):
        return self
    def __next__(self):
        return b"x" * 8192
    def close(self):
        note(self.name + " closed")

def application(environ, start_response):
    name = environ["PATH_INFO"].strip("/")
    head = [("Content-Type", "text/plain")]
    if name == "refuse":
        status = environ["QUERY_STRING"].replace("+", " ")
        start_response(status, head + [("WWW-Authenticate", "Basic realm=x"), ("Content-Length", "7")])
        return [b"refused"]
    if name in ("read", "told"):
        note("begun")
    if name == "read":
        environ["wsgi.input"].read()
        note("read whole")
    if name == "told":
        try:
            environ["wsgi.input"].read()
            note("read whole")
        except Exception as error:
            note("%s: %s" % (type(error).__name__, error))
    if name == "iterate":
        start_response("203 Streamed", head)
        return Endless("iterate")
    if name == "write":
        write = start_response("203 Streamed", head)
        try:
            while True:
                write(b"x" * 8192)
        except Exception as error:
            note("%s: %s" % (type(error).__name__, error))
        return Endless("write")
    start_response("200 OK", head + [("Content-Length", "0")])
    return []
"#;

fn site(mode: Mode) -> Builder {
    use std::os::unix::fs::PermissionsExt as _;
    let builder = Httpd::new(mode).file("apps/gone.wsgi", APP).file("apps/notes/.keep", "").config("WSGIScriptAlias / ${APPS}/gone.wsgi");
    let notes = builder.root().join("apps/notes");
    std::fs::set_permissions(notes, std::fs::Permissions::from_mode(0o777)).expect("the folder is ours");
    builder
}

/// Waits until the application has noted so many lines, and gives them all.
fn notes(httpd: &Httpd, count: usize) -> Vec<String> {
    let read = || std::fs::read_to_string(httpd.root().join("apps/notes/calls.txt")).unwrap_or_default();
    let all = || read().lines().map(str::to_owned).collect::<Vec<_>>();
    wait_until(Duration::from_secs(10), || Some(all()).filter(|lines| lines.len() >= count)).unwrap_or_else(all)
}

/// Lines of level error.
fn errors(httpd: &Httpd) -> Vec<String> {
    httpd.log().lines_with(":error]")
}

/// Three clients that announce so many octets, send some, and leave, at once or when the application has begun.
fn leave_while_sending(httpd: &Httpd, path: &str, size: usize, sent: usize, when_begun: bool) {
    for number in 1..=3 {
        let mut client = httpd.connect();
        client.send(format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n").as_bytes());
        client.send(&vec![b'x'; sent]);
        if when_begun {
            assert!(notes(httpd, number).len() >= number, "the application has not begun");
        }
        client.hang_up();
    }
}

/// What is sent of a body, and whether the application begins before it has all come.
const WAYS: [(Mode, usize, usize, bool); 3] =
    [(Mode::Embedded, 500_000, 9, true), (Mode::Daemon, 90_000, 9, false), (Mode::Daemon, 500_000_000, 200_000, true)];

#[test]
fn a_client_that_leaves_while_it_sends_is_one_line_in_the_log() {
    only_ours!("a client that leaves while it sends is a traceback in the log, or the last line of one");
    for (mode, size, sent, begins) in WAYS {
        let httpd = site(mode).daemon_options("threads=5 body-spool-limit=100000").allow_log("WSGI0126").start();
        leave_while_sending(&httpd, "/read", size, sent, begins);
        let lines = httpd.log().wait_for_count("WSGI0126", 3);
        assert!(lines.iter().all(|line| line.contains("[client 127.0.0.1:")), "{mode:?} {size}: {lines:#?}");
        httpd.get("/");
        assert_eq!(errors(&httpd).len(), 3, "{mode:?} {size}: {:#?}", errors(&httpd));
        assert_eq!(notes(&httpd, 0), vec!["begun"; if begins { 3 } else { 0 }], "{mode:?} {size}");
    }
}

#[test]
fn an_application_may_deal_with_a_client_that_leaves_while_it_sends() {
    for (mode, size, sent, _) in WAYS.into_iter().filter(|way| way.3) {
        if mode == Mode::Daemon && differs!("there is no body-spool-limit") {
            continue;
        }
        let httpd = site(mode).daemon_options("threads=5 body-spool-limit=100000").start();
        leave_while_sending(&httpd, "/told", size, sent, true);
        let notes: Vec<_> = notes(&httpd, 6).into_iter().filter(|note| note != "begun").collect();
        let told = |note: &String| note.starts_with("OSError: mod_wsgi request data read error: ");
        assert!(notes.len() == 3 && notes.iter().all(told), "{mode:?} {size}: {notes:#?}");
        assert_eq!(errors(&httpd), Vec::<String>::new(), "{mode:?} {size}: it has been dealt with");
    }
}

#[test]
fn another_failure_behind_a_lost_body_keeps_its_traceback() {
    let app = "
def application(environ, start_response):
    try:
        environ['wsgi.input'].read()
    except OSError as error:
        raise OSError('of the application')
";
    let httpd = Httpd::new(Mode::Embedded)
        .file("apps/own.wsgi", app)
        .config("WSGIScriptAlias / ${APPS}/own.wsgi")
        .expect_log("WSGI0174")
        .expect_traceback("OSError: of the application")
        .allow_log("OSError: mod_wsgi request data read error")
        .start();
    leave_while_sending(&httpd, "/", 1000, 9, false);
    httpd.log().wait_for_count("OSError: of the application", 3);
}

#[test]
fn a_client_that_leaves_while_it_is_answered_is_no_error() {
    for mode in Mode::ALL {
        for (path, expected) in
            [("iterate", vec!["iterate closed"]), ("write", vec!["OSError: mod_wsgi client connection closed", "write closed"])]
        {
            let httpd = site(mode).start();
            for _ in 0..3 {
                let mut client = httpd.connect();
                client.request(&Request::get(&format!("/{path}")));
                assert_eq!(client.head().status, 203);
                client.exactly(10_000);
                client.hang_up();
            }
            // How the connection has ended is the kernel's to say.
            let plain = |line: String| {
                if line.starts_with("OSError: mod_wsgi failed to write response data: ") { expected[0].to_owned() } else { line }
            };
            let mut noted: Vec<_> = notes(&httpd, 3 * expected.len()).into_iter().map(plain).collect();
            noted.sort();
            let thrice: Vec<&str> = expected.iter().flat_map(|line| [*line; 3]).collect();
            assert_eq!(noted, thrice, "{mode:?} {path}");
            assert_eq!(errors(&httpd), Vec::<String>::new(), "{mode:?} {path}");
            httpd.other_log("access.log").wait_for_count(&format!("\"GET /{path} HTTP/1.1\" 203 "), 3);
        }
    }
}

#[test]
fn a_stream_that_the_client_resets_ends_its_application() {
    for mode in Mode::ALL {
        let builder = site(mode).with_credentials().module("http2");
        let port = builder.another_port();
        let httpd = builder
            .config(&format!(
                "Listen 127.0.0.1:{port}\n<VirtualHost *:{port}>\nServerName localhost\nProtocols h2 http/1.1\n{}</VirtualHost>",
                Builder::TLS
            ))
            .start();
        for (number, protocol) in ["--http2", "--http1.1"].into_iter().enumerate() {
            // curl ends the stream when its time is over, while the application still has something to say.
            let url = format!("https://localhost:{port}/iterate");
            let arguments = ["--silent", "--insecure", "--output", "/dev/null", "--limit-rate", "1M", "--max-time", "1", protocol, &url];
            let curl = std::process::Command::new("curl").args(arguments).status().expect("curl is installed: 'make' sees to it");
            assert_eq!(curl.code(), Some(28), "{mode:?} {protocol}: it was not curl who ended it");
            assert_eq!(notes(&httpd, number + 1), vec!["iterate closed"; number + 1], "{mode:?} {protocol}");
        }
        assert_eq!(errors(&httpd), Vec::<String>::new(), "{mode:?}");
    }
}

#[test]
fn an_early_refusal_reaches_a_client_that_goes_on_sending() {
    for mode in Mode::ALL {
        let mut limits = vec![""];
        // Beyond the limit a body goes on to the application while it comes; before, httpd keeps it first.
        if mode == Mode::Daemon && !differs!("there is no body-spool-limit") {
            limits.push(" body-spool-limit=100000");
        }
        for limit in limits {
            // Of a client that leaves when it has been answered mod_wsgi says that its body is missing.
            let httpd = site(mode).allow_log("WSGI0126").daemon_options(&format!("threads=5{limit}")).start();
            for (status, code) in [("401+Who", 401), ("413+Large", 413)] {
                let mut client = httpd.connect();
                client.send(format!("POST /refuse?{status} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000000\r\n\r\n").as_bytes());
                client.send(&vec![b'x'; 20_000_000]);
                let answer = client.response();
                assert_eq!((answer.status, answer.text().as_str(), answer.complete), (code, "refused", true), "{mode:?} {limit}");
                // Whoever waits to be asked has not sent anything in vain.
                let mut client = httpd.connect();
                client.send(
                    format!(
                        "POST /refuse?{status} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 20000000\r\n\r\n"
                    )
                    .as_bytes(),
                );
                if mode == Mode::Embedded || !differs!("daemon mode asks for a body that nobody reads") {
                    let answer = client.response();
                    assert_eq!((answer.status, answer.text().as_str()), (code, "refused"), "{mode:?} {limit}");
                }
            }
            // What the application need not read it need not wait for either, unless httpd keeps it first.
            if mode == Mode::Embedded || !limit.is_empty() {
                let mut client = httpd.connect();
                client.send(b"POST /refuse?401+Who HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000000\r\n\r\n");
                client.send(&vec![b'x'; 200_000]);
                assert_eq!(client.response().status, 401, "{mode:?} {limit}: before the body is there");
            }
        }
    }
}
