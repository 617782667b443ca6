//! Runs the built host, embedded, in every CPython of this machine that has a shared library, without httpd.
//!
//! Each Python needs a process of its own, so the test starts itself again once per Python, and the child plays mod_wsgi.so: it loads
//! libpython and the host, hands in a table of functions and serves requests with the scripts beside this file.

#![expect(unsafe_code, reason = "loads libraries and calls the host through its C table")]

mod harness;

use harness::{Answer, Driver, Request};
use std::process::Command;
use std::sync::Barrier;
use std::time::Duration;

#[test]
fn every_python_serves_the_same() {
    if std::env::var_os(harness::LIBRARY).is_some() {
        return;
    }
    let (pythons, host) = (harness::pythons(), harness::host());
    assert!(!pythons.is_empty(), "no libpython3 is installed: embedded mode cannot be tested");
    for (library, home) in pythons {
        let mut child = Command::new(std::env::current_exe().expect("a test has a file"));
        child.args(["--exact", "in_one_python", "--nocapture"]).env(harness::LIBRARY, &library).env(harness::HOST, &host);
        child.env_remove("PYTHONHOME").env_remove("PYTHONPATH");
        if let Some(home) = &home {
            child.env(harness::HOME, home);
        }
        let output = harness::output_within(child, Duration::from_secs(120));
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}: {:?}\n{text}", library.display(), output.status);
        println!("{}: {} cases", library.display(), text.matches("case ").count());
    }
}

/// A name and what is to be tried.
type Case = (&'static str, fn(&Driver));

/// The child of [`every_python_serves_the_same`], which does nothing on its own.
#[test]
fn in_one_python() {
    if std::env::var_os(harness::LIBRARY).is_none() {
        return;
    }
    let driver = Driver::start();
    let cases: &[Case] = &[
        ("environ", environ),
        ("successive environs", successive_environs),
        ("hello", hello),
        ("start_response", start_response),
        ("input", input),
        ("long input", long_input),
        ("output", output),
        ("failures", failures),
        ("errors", errors),
        ("kept objects", kept_objects),
        ("files", files),
        ("reload", reload),
        ("loading", loading),
        ("interpreters", interpreters),
        ("threads", threads),
        ("module", module),
        ("events", events),
        ("threads of the application", threads_of_the_application),
    ];
    for (name, case) in cases {
        println!("case {name}");
        case(&driver);
    }
    println!("case stop");
    stop(&driver);
}

fn environ(driver: &Driver) {
    let answer = driver.serve(
        &Request::new("environ.wsgi").https().pair("HTTP_X_LATIN", b"caf\xe9").pair("REPEATED", b"first").pair("REPEATED", b"second"),
    );
    assert_eq!(answer.body(), "ok", "{answer:?}");
}

/// What requests have in common is kept from one to the next; what one of them has of its own, or does to its environ, is not.
fn successive_environs(driver: &Driver) {
    let request = || Request::new("environs.wsgi").pair("HTTP_HOST", b"one").pair("REPEATED", b"first").pair("REPEATED", b"second");
    let (like, with_cookie) = (|| request().pair("QUERY_STRING", b"a"), || request().pair("HTTP_COOKIE", b"c").pair("QUERY_STRING", b"b"));
    for _ in 0..2 {
        assert_eq!(driver.serve(&like()).body(), "HTTP_HOST=one QUERY_STRING=a REPEATED=second wsgi.url_scheme=http");
        assert_eq!(driver.serve(&with_cookie()).body(), "HTTP_COOKIE=c HTTP_HOST=one QUERY_STRING=b REPEATED=second wsgi.url_scheme=http");
        let other = Request::new("environs.wsgi").pair("HTTP_HOST", b"two").pair("REPEATED", b"third").pair("REPEATED", b"second");
        assert_eq!(
            driver.serve(&other.https().pair("QUERY_STRING", b"")).body(),
            "HTTP_HOST=two QUERY_STRING= REPEATED=second wsgi.url_scheme=https"
        );
    }
    for number in 0..40 {
        let name = format!("HTTP_X_{number}");
        let body = driver.serve(&request().pair(&name, b"x")).body();
        assert_eq!(body, format!("HTTP_HOST=one {name}=x QUERY_STRING= REPEATED=second wsgi.url_scheme=http"));
    }
}

fn hello(driver: &Driver) {
    let answer = driver.serve(&Request::new("hello.wsgi").pair("PATH_INFO", b"/w\xf6rld").group("hello"));
    assert_eq!((answer.outcome, answer.status, answer.line.as_str()), (0, 200, "200 OK"));
    assert_eq!(answer.header("X-Group"), Some("hello"));
    assert_eq!(answer.octets(), b"hello /w\xf6rld");
    assert!(answer.flushes.is_empty(), "a small answer leaves with the end: {answer:?}");
    let again = driver.serve(&Request::new("hello.wsgi").group("hello"));
    assert_eq!(again.header("X-Count"), Some("2"));
}

fn start_response(driver: &Driver) {
    let answer = driver.serve(&Request::new("start_response.wsgi"));
    assert_eq!((answer.outcome, answer.status, answer.body()), (0, 201, "ok".into()), "{answer:?}");
    assert_eq!(answer.header("X-Value"), Some("caf\u{e9}"));
}

fn input(driver: &Driver) {
    let mut body: Vec<u8> = (0..5).flat_map(|line| format!("line {line}\n").into_bytes()).collect();
    body.resize(100_000, b'x');
    let answer = driver.serve(&Request::new("input.wsgi").body(&body));
    assert_eq!(answer.body(), "ok", "{answer:?}");
    let answer = driver.serve(&Request::new("input_error.wsgi").body(b"some").failing_body("gone"));
    assert_eq!((answer.status, answer.body()), (400, "ok".into()), "{answer:?}");
}

/// A body is read as it comes, whatever length was announced.
fn long_input(driver: &Driver) {
    let body: Vec<u8> = (0..300_000_u32).map(|at| if at == 99 { b'\n' } else { (at % 251) as u8 | 0x80 }).collect();
    for announced in [None, Some(300_000), Some(299_000), Some(150_000), Some(301_000), Some(u64::MAX)] {
        for (how, parts) in [("all", "300000"), ("parts", "7 93 200000 99900"), ("more", "300000")] {
            let request = Request::new("input_long.wsgi").pair("QUERY_STRING", how.as_bytes()).body(&body);
            let length = announced.map(|length| length.to_string()).unwrap_or_default();
            let request = if announced.is_some() { request.pair("CONTENT_LENGTH", length.as_bytes()) } else { request };
            let answer = driver.serve(&request);
            assert_eq!((answer.header("X-Parts"), answer.octets() == body), (Some(parts), true), "{how} {announced:?} {:?}", answer.log);
        }
    }
    let failing = Request::new("input_error.wsgi").pair("CONTENT_LENGTH", b"100000").body(b"some").failing_body("gone");
    assert_eq!(driver.serve(&failing).status, 400);
}

fn output(driver: &Driver) {
    let how = |how: &str| driver.serve(&Request::new("output.wsgi").pair("QUERY_STRING", how.as_bytes()));
    let answer = how("list");
    assert_eq!((answer.body(), answer.flushes.len()), ("ab".into(), 0));
    let answer = how("generator");
    assert_eq!((answer.body(), answer.flushes), ("ab".into(), vec![1, 2]));
    let answer = how("late-start");
    assert_eq!((answer.status, answer.body()), (202, "late".into()));
    let answer = how("closing");
    assert_eq!((answer.body(), answer.lines_with("close called")), ("a".into(), 1));
    let answer = how("write");
    assert_eq!((answer.body(), answer.flushes), ("written returned".into(), vec![0, 8]));
    let answer = how("too-much");
    assert_eq!((answer.outcome, answer.body(), answer.lines_with("close called")), (0, "12345".into(), 1));
    let answer = how("no-content");
    assert_eq!((answer.outcome, answer.status, answer.body()), (0, 204, String::new()));
    let request = Request::new("output.wsgi").pair("QUERY_STRING", b"list").pair("REQUEST_METHOD", b"HEAD").head_only();
    assert_eq!(driver.serve(&request).body(), "");
}

fn failures(driver: &Driver) {
    let how = |how: &str| driver.serve(&Request::new("output.wsgi").pair("QUERY_STRING", how.as_bytes()));
    for (kind, outcome, text) in [
        ("not-started", 1, "RuntimeError: start_response() must be called before response content is produced"),
        ("raise", 1, "ValueError: before the head"),
        ("bad-length", 1, "ValueError: invalid Content-Length header value: 'many'"),
        ("none", 1, "TypeError: 'NoneType' object is not iterable"),
        ("text", 1, "TypeError: response iterable must yield bytes, not str"),
        ("fails-late", 2, "ZeroDivisionError: late"),
    ] {
        let answer = how(kind);
        assert_eq!((answer.outcome, answer.lines_with(text)), (outcome, 1), "{kind}: {answer:?}");
        assert_eq!(answer.lines_with("WSGI0174: [script "), 1, "{kind}: {answer:?}");
    }
    assert_eq!(how("fails-late").lines_with("close called"), 1);
    assert_eq!(how("text").lines_with("close called"), 1);
    let answer = how("exit");
    assert_eq!((answer.outcome, answer.lines_with("WSGI0175")), (1, 1), "{answer:?}");
    let answer = how("chained");
    assert_eq!(answer.lines_with("Traceback (most recent call last):"), 2, "{answer:?}");
    assert_eq!((answer.lines_with("KeyError: 'cause'"), answer.lines_with("ValueError: two")), (1, 1), "{answer:?}");
    let answer = how("too-little");
    assert_eq!((answer.outcome, answer.body()), (2, "123".into()), "the client must see that something is missing");
    let answer = driver.serve(&Request::new("output.wsgi").pair("QUERY_STRING", b"gone").client_leaves());
    assert_eq!(answer.outcome, 3, "{answer:?}");
    assert_eq!(answer.lines_with("write raised mod_wsgi client connection closed"), 1, "{answer:?}");
    assert_eq!(answer.lines_with("close called"), 1, "{answer:?}");
}

fn errors(driver: &Driver) {
    let answer = driver.serve(&Request::new("output.wsgi").pair("QUERY_STRING", b"errors"));
    let lines: Vec<_> = answer.log.iter().filter_map(|(_, line)| line.strip_prefix("[script /file] ")).collect();
    assert_eq!(lines, ["part of a line", "one", "two", "snowman \u{2603} ?", "octets", "unfinished"], "{answer:?}");
}

fn kept_objects(driver: &Driver) {
    for how in ["keep", "use-kept"] {
        let answer = driver.serve(&Request::new("output.wsgi").pair("QUERY_STRING", how.as_bytes()));
        assert_eq!(answer.outcome, 0, "{answer:?}");
    }
}

fn files(driver: &Driver) {
    let how = |how: &str, path: &str| driver.serve(&Request::new("file.wsgi").pair("QUERY_STRING", format!("{how}:{path}").as_bytes()));
    let large = driver.file("large", &b"0123456789".repeat(10_000));
    let small = driver.file("small", b"0123456789");
    let answer = how("whole", &large);
    assert_eq!((answer.files.as_slice(), answer.header("Content-Length")), (&[(0, 100_000)][..], Some("100000")), "{answer:?}");
    assert_eq!(answer.lines_with("file closed: True"), 1);
    assert_eq!(how("offset", &large).files, [(5, 99_995)]);
    assert_eq!(how("length", &large).files, [(0, 7)]);
    let answer = how("offset", &small);
    assert_eq!((answer.body(), answer.header("Content-Length"), answer.files.len()), ("56789".into(), Some("5"), 0));
    assert_eq!(how("length", &small).body(), "0123456");
    let answer = how("memory", "");
    assert_eq!((answer.octets().len(), answer.flushes.len(), answer.lines_with("file closed: True")), (20_000, 20, 1));
}

fn reload(driver: &Driver) {
    let script = |text: &str| {
        let source = format!("def application(environ, start_response):\n    start_response('200 OK', [])\n    return [{text}]\n");
        driver.file("reloaded.wsgi", source.as_bytes())
    };
    let path = script("b'one'");
    let request = Request::at(&path).group("reload");
    assert_eq!(driver.serve(&request).body(), "one");
    script("b'two'");
    assert_eq!(driver.serve(&request.clone().without_reloading()).body(), "one");
    assert_eq!(driver.serve(&request).body(), "two");
    script("b'broken");
    for _ in 0..2 {
        let answer = driver.serve(&request);
        assert_eq!((answer.outcome, answer.lines_with("WSGI0105"), answer.lines_with("SyntaxError")), (1, 1, 2), "{answer:?}");
    }
    script("b'three'");
    assert_eq!(driver.serve(&request).body(), "three");
}

fn loading(driver: &Driver) {
    let script = |text: &str| driver.file("loaded.wsgi", text.as_bytes());
    let load = |text: &str| driver.serve(&Request::at(&script(text)).group("loading"));
    let answer = load("raise KeyError('at import')");
    assert_eq!((answer.outcome, answer.lines_with("WSGI0109"), answer.lines_with("KeyError: 'at import'")), (1, 1, 1), "{answer:?}");
    let answer = load("import sys; sys.exit(1)");
    assert_eq!((answer.outcome, answer.lines_with("WSGI0107"), answer.lines_with("SystemExit: 1")), (1, 1, 1), "{answer:?}");
    let answer = load("app = None");
    assert_eq!((answer.outcome, answer.lines_with("WSGI0089"), answer.lines_with("'application'")), (1, 1, 1), "{answer:?}");
    let answer = driver.serve(&Request::at("/nonexistent/script.wsgi").group("loading"));
    assert_eq!((answer.outcome, answer.lines_with("WSGI0105")), (1, 1), "{answer:?}");
}

fn interpreters(driver: &Driver) {
    let count = |group: &str| driver.serve(&Request::new("hello.wsgi").group(group)).header("X-Count").map(String::from);
    assert_eq!(count("first").as_deref(), Some("1"));
    assert_eq!(count("second").as_deref(), Some("1"));
    assert_eq!(count("first").as_deref(), Some("2"));
    // The thread that makes an interpreter ends with its only thread state; another one goes on there.
    let made = std::thread::scope(|scope| scope.spawn(|| count("made elsewhere")).join());
    assert_eq!(made.expect("no panic").as_deref(), Some("1"));
    assert_eq!(count("made elsewhere").as_deref(), Some("2"));
    // This thread has served others: the main interpreter is the main interpreter all the same.
    let answer = driver.serve(&Request::new("hello.wsgi").group(""));
    assert_eq!((answer.header("X-Group"), answer.header("X-Count")), (Some(""), Some("1")));
    let answer = driver.serve(&Request::new("extension.wsgi").group(""));
    assert_eq!(answer.body(), "ok", "{answer:?}");
}

fn threads(driver: &Driver) {
    std::thread::scope(|scope| {
        for number in 0..8 {
            scope.spawn(move || {
                for turn in 0..100 {
                    let group = ["", "first", "second"][(number + turn) % 3];
                    let answer = driver.serve(&Request::new("hello.wsgi").group(group));
                    assert_eq!((answer.outcome, answer.body(), answer.header("X-Group")), (0, "hello ".into(), Some(group)));
                    if group.is_empty() {
                        let answer: Answer = driver.serve(&Request::new("extension.wsgi"));
                        assert_eq!(answer.body(), "ok", "{answer:?}");
                    }
                }
            });
        }
    });
}

fn module(driver: &Driver) {
    let answer = driver.serve(&Request::new("module.wsgi"));
    assert_eq!(answer.body(), "ok", "{answer:?}");
    let levels: Vec<u8> =
        answer.log.iter().filter(|(_, line)| line.contains("a warning") || line.contains("a disaster")).map(|(level, _)| *level).collect();
    assert_eq!((levels, answer.lines_with("in two lines")), (vec![4, 2], 1), "{answer:?}");
    assert_eq!(answer.lines_with("Ignoring Python signal handler registration for signal 15"), 1, "{answer:?}");
}

fn events(driver: &Driver) {
    let note = driver.file("end", b"");
    for group in ["", "first"] {
        for _ in 0..2 {
            let answer = driver.serve(&Request::new("events.wsgi").group(group).pair("QUERY_STRING", note.as_bytes()));
            assert_eq!(answer.body(), "ok", "{answer:?}");
            assert_eq!((answer.lines_with("WSGI0112"), answer.lines_with("ValueError: in a callback")), (1, 1), "{answer:?}");
        }
    }
}

/// An interpreter made by a thread that is gone when it ends, with a thread of the application's that its end has to wait for.
fn threads_of_the_application(driver: &Driver) {
    let note = driver.file("end", b"");
    let request = Request::new("threads.wsgi").group("threads").pair("QUERY_STRING", note.as_bytes());
    let served = std::thread::scope(|scope| scope.spawn(|| driver.serve(&request)).join());
    assert_eq!(served.expect("no panic").body(), "ok");
}

/// Threads give their states back while Python stops, each in its own moment: CPython from 3.12 on once crashed of that.
fn stop(driver: &Driver) {
    let ready = Barrier::new(9);
    let (note, log) = std::thread::scope(|scope| {
        for number in 0..8 {
            let ready = &ready;
            scope.spawn(move || {
                for group in ["", "second", "first"] {
                    driver.serve(&Request::new("hello.wsgi").group(group));
                }
                ready.wait();
                std::thread::sleep(Duration::from_millis(2) * number);
            });
        }
        ready.wait();
        driver.stop("end")
    });
    let mut lines: Vec<_> = note.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [": atexit", ": process_stopping ''", "first: atexit", "first: process_stopping ''", "threads: thread ended"],
        "{log:?}"
    );
    assert!(log.iter().any(|line| line.contains("Python runtime has shut down")), "{log:?}");
    assert!(!log.iter().any(|line| line.contains("is left to the end of the process")), "{log:?}");
}
