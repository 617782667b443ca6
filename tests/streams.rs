//! TLS and HTTP/2 around applications, as a browser meets them: streams that flow, streams side by side, streams that are cut.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Builder, Httpd, Mode, Mpm, not_on_this_machine, usual_mpm};

/// How long the application waits between two events.
const PAUSE: Duration = Duration::from_millis(300);

/// A server with an application at `/`, and the ways to it: what curl calls the protocol, and the front of the URL.
fn site(mode: Mode, app: &str) -> (Builder, [(&'static str, String); 3]) {
    let builder = Httpd::new(mode).with_app(app).with_credentials().module("http2").daemon_options("threads=10");
    let (plain, encrypted) = (builder.another_port(), builder.another_port());
    let host = |port: u16, directives: &str| {
        format!(
            "Listen 127.0.0.1:{port}\n<VirtualHost *:{port}>\nServerName localhost\n{directives}\nWSGIChunkedRequest On\n\
             WSGIScriptAlias / ${{APPS}}/{app}\nWSGIApplicationGroup %{{GLOBAL}}\n</VirtualHost>"
        )
    };
    let builder = builder
        .config(&host(encrypted, &format!("Protocols h2 http/1.1\n{}", Builder::TLS)))
        .config(&host(plain, "Protocols h2c http/1.1"));
    let ways = [
        ("--http1.1", format!("https://localhost:{encrypted}")),
        ("--http2", format!("https://localhost:{encrypted}")),
        ("--http2-prior-knowledge", format!("http://localhost:{plain}")),
    ];
    (builder, ways)
}

/// The header that makes the probe run `code`.
fn runs(code: &str) -> String {
    let escape = |octet: u8| if octet.is_ascii_alphanumeric() { char::from(octet).to_string() } else { format!("%{octet:02X}") };
    format!("X-Code: {}", code.bytes().map(escape).collect::<String>())
}

/// Whether httpd has no HTTP/2 here: it needs threads.
fn without_streams() -> bool {
    let without = usual_mpm() == Mpm::Prefork;
    if without {
        not_on_this_machine("mod_http2 does not work with prefork");
    }
    without
}

/// What curl writes of these URLs: bodies, and the lines that `--write-out` asks for.
fn curl(arguments: &[&str], body: &[u8]) -> String {
    let mut child = Command::new("curl")
        .args(["--silent", "--no-progress-meter", "--insecure", "--max-time", "20"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl is installed: 'make' sees to it");
    child.stdin.take().expect("it is piped").write_all(body).expect("curl reads what it is given");
    String::from_utf8_lossy(&child.wait_with_output().expect("our own child").stdout).into_owned()
}

#[test]
fn events_arrive_one_by_one_over_tls_and_http_2() {
    if without_streams() {
        return;
    }
    for mode in Mode::ALL {
        let (builder, ways) = site(mode, "events.wsgi");
        let _httpd = builder.start();
        for (protocol, front) in ways {
            watch(protocol, &format!("{front}/?{}", PAUSE.as_secs_f64()), &format!("{mode:?} {protocol}"));
        }
    }
}

#[test]
fn streams_of_one_connection_run_side_by_side() {
    if without_streams() {
        return;
    }
    for mode in Mode::ALL {
        let (builder, ways) = site(mode, "probe.wsgi");
        let _httpd = builder.start();
        let code = runs(
            "__import__('time').sleep(0.5); start_response('200 OK', [])
result = [('%s from %s\\n' % (environ['QUERY_STRING'], environ['REMOTE_PORT'])).encode()]",
        );
        for (protocol, front) in &ways[1..] {
            // A body of HTTP/2 needs no length.
            let said = curl(&[protocol, "--upload-file", "-", &format!("{front}/")], b"no length");
            if mode == Mode::Embedded || !differs!("daemon mode loses a body of HTTP/2 without a length") {
                assert!(said.contains("body \"9 b'no length'"), "{mode:?} {protocol}: {said}");
            }
            // Without TLS curl 7.88 gets nothing more on a connection of HTTP/2 than the first answer, of static files as well.
            if *protocol != "--http2" {
                continue;
            }
            let urls = format!("{front}/?[1-8]");
            let began = Instant::now();
            let said = curl(&["--parallel", protocol, "--header", &code, &urls], b"");
            assert!(began.elapsed() < Duration::from_secs(3), "{mode:?} {protocol}: one after the other, {:?}", began.elapsed());
            let answers: BTreeMap<_, _> = said.lines().filter_map(|line| line.split_once(" from ")).collect();
            assert!(answers.keys().copied().eq(["1", "2", "3", "4", "5", "6", "7", "8"]), "{mode:?} {protocol}: {said}");
            let connections: BTreeSet<_> = answers.values().collect();
            assert_eq!(connections.len(), 1, "{mode:?} {protocol}: {said}");
        }
    }
}

#[test]
fn an_answer_that_is_cut_short_resets_its_stream() {
    if without_streams() {
        return;
    }
    only_ours!("an answer that is cut short looks complete in HTTP/2, and a HEAD is reset now and then");
    for mode in Mode::ALL {
        let (builder, ways) = site(mode, "probe.wsgi");
        let _httpd = builder.allow_log("probe.wsgi] closed").expect_traceback("ValueError: cut").start();
        let cut = runs("start_response('200 OK', []); result = closing([b'begun', ValueError('cut')])");
        let whole = runs("start_response('200 OK', []); result = [b'a', b'b']");
        for (protocol, front) in &ways {
            let end = |arguments: &[&str]| {
                let url = format!("{front}/");
                let said =
                    curl(&[&[protocol, "--output", "/dev/null", "--write-out", "%{http_code} %{exitcode}", &url], arguments].concat(), b"");
                said.split_once(' ').map(|(status, end)| (status.to_owned(), end.to_owned())).expect("two words")
            };
            let (status, said) = end(&["--header", &cut]);
            // Whether curl tells of the head of a stream that is reset behind it is a matter of moments.
            let (statuses, ends) = if *protocol == "--http1.1" { (["200", "200"], ["18", "56"]) } else { (["200", "000"], ["92", "92"]) };
            assert!(statuses.contains(&status.as_str()) && ends.contains(&said.as_str()), "{mode:?} {protocol}: {status} {said}");
            assert_eq!(end(&["--header", &whole]), ("200".to_owned(), "0".to_owned()), "{mode:?} {protocol}");
            for _ in 0..5 {
                assert_eq!(end(&["--head", "--header", &whole]), ("200".to_owned(), "0".to_owned()), "{mode:?} {protocol}: HEAD");
            }
            // The others on the same connection go on.
            if *protocol != "--http2" {
                continue;
            }
            let url = format!("{front}/?[1-3]");
            let said = curl(&[protocol, "--header", &whole, "--write-out", " %{num_connects}|", &url], b"");
            assert_eq!(said, "ab 1|ab 0|ab 0|", "{mode:?} {protocol}");
        }
    }
}

/// Lets curl follow a stream: each event must come well before the next is sent.
fn watch(protocol: &str, url: &str, what: &str) {
    let mut curl = Command::new("curl")
        .args(["--silent", "--insecure", "--no-buffer", "--max-time", "20", protocol, "--write-out", "version %{http_version}\n", url])
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl is installed: 'make' sees to it");
    let lines = BufReader::new(curl.stdout.take().expect("it is piped")).lines();
    let mut came = Vec::new();
    let mut rest = Vec::new();
    for line in lines.map(|line| line.expect("curl writes text")) {
        if line.starts_with("data: ") {
            came.push(Instant::now());
        } else if !line.is_empty() {
            rest.push(line);
        }
    }
    assert!(curl.wait().expect("our own child").success(), "{what}: {rest:?}");
    assert_eq!(rest, [if protocol == "--http1.1" { "version 1.1" } else { "version 2" }], "{what}");
    assert_eq!(came.len(), 4, "{what}");
    // Together they would come within a moment; a machine that is busy delays one, and brings the next the nearer.
    assert!(came[3] - came[0] > PAUSE * 2, "{what}: the events came together");
    for pair in came.windows(2) {
        assert!(pair[1] - pair[0] > PAUSE / 3, "{what}: two events came together");
    }
}
