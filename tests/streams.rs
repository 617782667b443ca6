//! Streams as a browser meets them: server-sent events over TLS and HTTP/2, each on the wire when it is yielded.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Folder, Httpd, Mode, python};

/// How long the application waits between two events.
const PAUSE: Duration = Duration::from_millis(300);

#[test]
fn events_arrive_one_by_one_over_tls_and_http_2() {
    let folder = Folder::new();
    python::run(
        Command::new("openssl")
            .args("req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 2 -keyout key.pem -out cert.pem".split(' '))
            .current_dir(folder.path()),
    );
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("openssl has written it");
    for mode in Mode::ALL {
        let builder = Httpd::new(mode).app("events.wsgi").module("ssl").module("socache_shmcb").module("http2");
        let port = builder.another_port();
        let httpd = builder
            .file("tls/key.pem", &read("key.pem"))
            .file("tls/cert.pem", &read("cert.pem"))
            .config(&format!(
                "Listen 127.0.0.1:{port}\n<VirtualHost *:{port}>\nServerName localhost\nProtocols h2 http/1.1\nSSLEngine on\n\
                 SSLCertificateFile ${{ROOT}}/tls/cert.pem\nSSLCertificateKeyFile ${{ROOT}}/tls/key.pem\n\
                 WSGIScriptAlias / ${{APPS}}/events.wsgi\n</VirtualHost>\n<VirtualHost *:${{PORT}}>\nProtocols h2c http/1.1\n\
                 WSGIScriptAlias / ${{APPS}}/events.wsgi\n</VirtualHost>"
            ))
            .start();
        let target = format!("/?{}", PAUSE.as_secs_f64());
        for (protocol, url) in [
            ("--http1.1", format!("https://localhost:{port}{target}")),
            ("--http2", format!("https://localhost:{port}{target}")),
            ("--http2-prior-knowledge", format!("http://localhost:{}{target}", httpd.port())),
        ] {
            watch(protocol, &url, &format!("{mode:?} {protocol}"));
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
