//! The ways to the applications besides a plain socket: through a proxy, TLS, HTTP/2, an impatient server.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::harness::Builder;

/// A way to the applications.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Door {
    /// HTTP/1 over a socket.
    #[default]
    Plain,
    /// HTTP/1 over a socket to a reverse proxy, which is another virtual host of the same server.
    Proxy,
    /// HTTP/1 over a socket, where mod_reqtimeout waits for a second.
    Hasty,
    /// HTTP/1 over TLS, by curl.
    Tls,
    /// HTTP/2 over TLS, by curl.
    TlsHttp2,
    /// HTTP/2 without TLS, by curl.
    Http2,
    /// HTTP/1 over a socket, to the server that ignores case in file names.
    Folding,
}

/// An application that believes a proxy, by whatever way it is asked.
const BEHIND: &str = "WSGIScriptAlias /behind ${APPS}/probe.wsgi
    <Location /behind>
        WSGITrustedProxyHeaders X-Forwarded-Proto X-Forwarded-Port
    </Location>";

/// The ports of a server that are no plain ones.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ports {
    proxy: u16,
    hasty: u16,
    tls: u16,
    http2: u16,
}

impl Ports {
    /// Adds virtual hosts for all doors to a server; `common` is what each of them has.
    pub(super) fn open(builder: Builder, common: &str) -> (Builder, Self) {
        let [proxy, hasty, tls, http2] = [(); 4].map(|()| builder.another_port());
        let host = |port: u16, directives: &str| {
            format!("Listen 127.0.0.1:{port}\n<VirtualHost *:{port}>\n    ServerName localhost\n    {directives}\n</VirtualHost>\n")
        };
        let config = [
            // A connection that httpd has closed meanwhile would be a 502 now and then.
            host(proxy, "ProxyPreserveHost On\n    ProxyPass / http://127.0.0.1:${PORT}/ disablereuse=on"),
            host(hasty, &format!("RequestReadTimeout header=1 body=1\n    WSGIChunkedRequest On\n    {common}")),
            host(http2, &format!("Protocols h2c\n    WSGIChunkedRequest On\n    {BEHIND}\n    {common}")),
            host(
                tls,
                &format!(
                    "Protocols h2 http/1.1\n    {}\n    <Location /app>\n        SSLOptions +StdEnvVars\n    </Location>\n    \
                     WSGIChunkedRequest On\n    {BEHIND}\n    {common}",
                    Builder::TLS
                ),
            ),
        ];
        let mut builder = builder.with_credentials().config(&config.concat());
        for module in ["proxy", "proxy_http", "reqtimeout", "http2"] {
            builder = builder.module(module);
        }
        (builder, Self { proxy, hasty, tls, http2 })
    }

    /// The port of a door, if it is not the plain one.
    pub(super) fn of(self, door: Door) -> Option<u16> {
        match door {
            Door::Plain | Door::Folding => None,
            Door::Proxy => Some(self.proxy),
            Door::Hasty => Some(self.hasty),
            Door::Tls | Door::TlsHttp2 => Some(self.tls),
            Door::Http2 => Some(self.http2),
        }
    }

    /// All of them, to be replaced in what is compared.
    pub(super) fn all(self) -> [u16; 4] {
        [self.proxy, self.hasty, self.tls, self.http2]
    }
}

/// Sends a request by curl; the octets of the answer with its head, and how curl liked it.
pub(super) fn curl(door: Door, port: u16, method: &str, target: &str, headers: &[String], body: Option<&[u8]>) -> (Vec<u8>, String) {
    let (protocol, scheme) = match door {
        Door::TlsHttp2 => ("--http2", "https"),
        Door::Http2 => ("--http2-prior-knowledge", "http"),
        _ => ("--http1.1", "https"),
    };
    let mut command = Command::new("curl");
    command.args(["--silent", "--insecure", "--include", "--raw", "--path-as-is", "--globoff", "--max-time", "10", protocol]);
    // Without these the environ shows nothing that depends on curl.
    command.args(["--user-agent", "", "--header", "Accept:"]);
    match (method, body) {
        ("HEAD", _) => command.arg("--head"),
        ("GET", None) => &mut command,
        (method, _) => command.args(["--request", method]),
    };
    for header in headers {
        command.args(["--header", header]);
    }
    match body {
        // curl counts what it has read whole.
        Some(_) if headers.iter().any(|header| header.starts_with("Content-Length:")) => {
            command.args(["--header", "Content-Type:", "--data-binary", "@-"]);
        }
        Some(_) => {
            command.args(["--header", "Expect:", "--upload-file", "-"]);
        }
        None => {}
    }
    let url = format!("{scheme}://localhost:{port}{target}");
    let mut child = command
        .arg(url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("curl is installed: 'make' sees to it");
    // A server may refuse a body before it is complete.
    let _refused = child.stdin.take().expect("it is piped").write_all(body.unwrap_or_default());
    let output = child.wait_with_output().expect("our own child");
    let end = match output.status.code() {
        Some(0) => "complete".to_owned(),
        // A transfer that was closed early, in HTTP/1 and HTTP/2.
        Some(18 | 56 | 92) => "cut short".to_owned(),
        code => format!("curl says {code:?}"),
    };
    (output.stdout, end)
}
