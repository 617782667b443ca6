//! What is asked through more of HTTP than a plain request: proxies, TLS, HTTP/2, impatient servers, sub-requests, ignored case.

use super::case::Case;
use super::doors::Door;

/// All of them.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = proxied();
    cases.extend(remote_addresses());
    cases.extend(hasty());
    cases.extend(encrypted());
    cases.extend(sub_requests());
    cases.extend(folded());
    cases
}

/// Answers of every kind, as (name, code of the probe).
const ANSWERS: [(&str, &str); 18] = [
    ("list", "start_response('200 OK', []); result = [b'a', b'b']"),
    ("generator", "start_response('200 OK', []); result = (x for x in [b'a', b'b'])"),
    ("empty", "start_response('200 OK', []); result = []"),
    ("length", "start_response('200 OK', [('Content-Length', '4')]); result = [b'abcd']"),
    ("length-short", "start_response('200 OK', [('Content-Length', '10')]); result = [b'abcd']"),
    ("length-long", "start_response('200 OK', [('Content-Length', '3')]); result = [b'ab', b'cd']"),
    ("large", "start_response('200 OK', []); result = (b'x' * 50000 for n in range(10))"),
    ("cut", "start_response('200 OK', []); result = closing([b'begun', ValueError('x')])"),
    ("cut-length", "start_response('200 OK', [('Content-Length', '10')]); result = closing([b'begun', ValueError('x')])"),
    ("raise", "1 / 0"),
    ("204", "start_response('204 No Content', []); result = []"),
    ("304", "start_response('304 Not Modified', [('ETag', '\"x\"')]); result = []"),
    ("404", "start_response('404 Not Found', [('X-Own', 'yes')]); result = [b'own page']"),
    ("302", "start_response('302 Found', [('Location', '/elsewhere')]); result = []"),
    ("cookies", "start_response('200 OK', [('Set-Cookie', 'a=1'), ('Set-Cookie', 'b=2')]); result = [b'x']"),
    ("close", "start_response('200 OK', [('Connection', 'close')]); result = [b'x']"),
    ("latin", "start_response('200 Caf\\xe9', [('X-Latin', 'caf\\xe9')]); result = [b'x']"),
    ("file", "f = regular(b'0123456789' * 20000); start_response('200 OK', []); result = environ['wsgi.file_wrapper'](f)"),
];

/// The answers of [`ANSWERS`] by one way.
fn answers(topic: &str, door: Door) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, code) in ANSWERS {
        cases.push(Case::code(&format!("{topic}/answer-{name}"), code).through(door));
    }
    // Over HTTP/2 mod_wsgi resets such a stream now and then; `streams.rs` asks ours.
    if !matches!(door, Door::TlsHttp2 | Door::Http2) {
        cases.push(Case::new(&format!("{topic}/answer-list-head"), "HEAD", "/app").runs(ANSWERS[0].1).through(door));
    }
    cases.push(Case::new(&format!("{topic}/answer-length-head"), "HEAD", "/app").runs(ANSWERS[3].1).through(door));
    cases.push(Case::code(&format!("{topic}/answer-file-range"), ANSWERS[17].1).with("Range: bytes=5-9").through(door));
    cases.push(Case::code(&format!("{topic}/answer-length-range"), ANSWERS[3].1).with("Range: bytes=1-2").through(door));
    cases
}

/// Requests of every kind by one way.
fn requests(topic: &str, door: Door) -> Vec<Case> {
    let mut cases = Vec::new();
    for path in [
        "/app",
        "/app/",
        "/app//a///b",
        "/app/a%20b?c=%20d&e",
        "/app/%C3%A9",
        "/app/%ff",
        "/app/a%2Fb",
        "/app/a/../b",
        "/app?",
        "/deep/mount/x",
    ] {
        cases.push(Case::get(&format!("{topic}/path {path}"), path).through(door));
    }
    for (name, lines) in [
        ("cookie", &["Cookie: a=1; b=2"][..]),
        ("cookie-twice", &["Cookie: a=1", "Cookie: b=2"]),
        ("twice", &["X-Twice: a", "X-Twice: b"]),
        ("latin", &["X-Latin: caf\u{e9}"]),
        ("underscore", &["X_Under: a"]),
        ("proxy", &["Proxy: http://evil"]),
        ("credentials", &["Authorization: Basic YTpi"]),
        ("forwarded", &["X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: example.com"]),
        ("te", &["TE: trailers"]),
        ("type", &["Content-Type: text/plain"]),
    ] {
        cases.push(lines.iter().fold(Case::get(&format!("{topic}/header-{name}"), "/app"), |case, line| case.with(line)).through(door));
    }
    for method in ["HEAD", "OPTIONS", "DELETE", "PROPFIND", "BREW"] {
        cases.push(Case::new(&format!("{topic}/method-{method}"), method, "/app").through(door));
    }
    for size in [0, 1, 100, 70_000, 300_000] {
        cases.push(Case::new(&format!("{topic}/body-{size}"), "POST", "/app").body(&vec![b'x'; size]).through(door));
    }
    let unread = "start_response('200 OK', []); result = [b'unread']";
    cases.push(Case::new(&format!("{topic}/body-unread"), "POST", "/app").runs(unread).body(&[b'x'; 1000]).through(door));
    for host in ["root.test", "auth.test", "override.test", "documents.test", "headers.test", "proxies.test"] {
        cases.push(Case::get(&format!("{topic}/host-{host}"), "/app/x").at(host).through(door));
    }
    cases
}

fn proxied() -> Vec<Case> {
    let mut cases = answers("proxied", Door::Proxy);
    cases.extend(requests("proxied", Door::Proxy));
    let chunked = b"3\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: late\r\n\r\n";
    let post = |name: &str| Case::new(&format!("proxied/{name}"), "POST", "/app").through(Door::Proxy);
    cases.push(post("chunked").with("Transfer-Encoding: chunked").unannounced(chunked));
    cases.push(post("chunked-allowed").at("chunked.test").with("Transfer-Encoding: chunked").unannounced(chunked));
    cases.push(post("short").with("Content-Length: 20").unannounced(b"too short").shut());
    cases.push(post("expect").with("Expect: 100-continue").body(b"some body"));
    for host in ["remoteip.test", "proxies.test", "proxies-list.test", "proxies-untrusted.test"] {
        cases.push(Case::get(&format!("proxied/twice-{host}"), "/app").at(host).with("X-Forwarded-For: 1.2.3.4").through(Door::Proxy));
    }
    let text = "start_response('200 OK', [('Content-Type', 'text/plain')]); result = [b'compress me ' * 50]";
    let gzip = Case::code("proxied/gzip", text).at("head-auto-deflate.test").with("Accept-Encoding: gzip");
    cases.push(gzip.through(Door::Proxy));
    cases
}

fn remote_addresses() -> Vec<Case> {
    let mut cases = Vec::new();
    for host in ["remoteip.test", "remoteip-and-proxies.test"] {
        for lines in [
            &[][..],
            &["X-Forwarded-For: 1.2.3.4"],
            &["X-Forwarded-For: 1.2.3.4, 10.0.0.1"],
            &["X-Forwarded-For: 1.2.3.4, 5.6.7.8"],
            &["X-Forwarded-For: 1.2.3.4, 5.6.7.8, 10.0.0.1", "X-Forwarded-Proto: https"],
            &["X-Forwarded-For: 10.0.0.2, 10.0.0.1"],
            &["X-Forwarded-For: not-an-address"],
            &["X-Forwarded-For: 1.2.3.4, not-an-address"],
            &["X-Forwarded-For: 2001:db8::1"],
            &["X-Forwarded-For:"],
        ] {
            let case = Case::get(&format!("remoteip/{host} {}", lines.join(" | ")), "/app").at(host);
            cases.push(lines.iter().fold(case, |case, line| case.with(line)));
        }
    }
    cases
}

/// Requests that take too long for mod_reqtimeout.
fn hasty() -> Vec<Case> {
    let post = |name: &str| Case::new(&format!("hasty/{name}"), "POST", "/app").through(Door::Hasty);
    let unread = "start_response('200 OK', []); result = [b'unread']";
    let told = "start_response('200 OK', []); result = [attempt(lambda: environ['wsgi.input'].read()).encode()]";
    vec![
        Case::get("hasty/prompt", "/app").through(Door::Hasty),
        Case::raw("hasty/no-line", &["GET"], "GET /ap").through(Door::Hasty),
        Case::raw("hasty/no-head", &["GET"], "GET /app HTTP/1.1\r\nHost: localhost\r\nX-Slow:").through(Door::Hasty),
        post("body").with("Content-Length: 20").unannounced(b"too short"),
        post("body-told").with("Content-Length: 20").runs(told).unannounced(b"too short"),
        post("body-unread").with("Content-Length: 20").runs(unread).unannounced(b"too short"),
        post("body-expected").with("Content-Length: 20").with("Expect: 100-continue").unannounced(b""),
        post("chunks").with("Transfer-Encoding: chunked").unannounced(b"3\r\nabc\r\n5"),
        post("second").with("Content-Length: 3").unannounced(b"abc"),
    ]
}

fn encrypted() -> Vec<Case> {
    let mut cases = Vec::new();
    for (topic, door) in [("tls", Door::Tls), ("tls-http2", Door::TlsHttp2), ("http2", Door::Http2)] {
        cases.extend(answers(topic, door));
        // Host names are those of the plain port.
        cases.extend(requests(topic, door).into_iter().filter(|case| !case.name.contains("/host-")));
        cases.push(Case::new(&format!("{topic}/body-no-length"), "PUT", "/app").unannounced(b"no length").through(door));
        for code in ["environ['wsgi.url_scheme']", "environ.get('HTTPS')", "__import__('mod_wsgi').version"] {
            let code = format!("start_response('200 OK', []); result = [repr({code}).encode()]");
            cases.push(Case::get(&format!("{topic}/says {code}"), "/deep/mount").runs(&code).through(door));
        }
        for lines in [
            &[][..],
            &["X-Forwarded-Proto: https"],
            &["X-Forwarded-Proto: http"],
            &["X-Forwarded-Proto: odd"],
            &["X-Forwarded-SSL: off"],
            &["X-Forwarded-Port: 80"],
        ] {
            let case = Case::get(&format!("{topic}/behind {}", lines.join(" | ")), "/behind").through(door);
            cases.push(lines.iter().fold(case, |case, line| case.with(line)));
        }
    }
    cases
}

fn sub_requests() -> Vec<Case> {
    let mut cases = Vec::new();
    for path in [
        "/pages/",
        "/pages/index.shtml",
        "/pages/two.shtml",
        "/pages/missing.shtml",
        "/pages/thing.action",
        "/pages/thing.action/more?q=1",
        "/scripts/deep",
        "/scripts/deep/more?q=1",
        "/scripts/",
        "/scripts",
        "/empty/",
        "/empty/?q=1",
        "/empty/nothing",
        "/nowhere",
        "/nowhere/at/all?q=1",
        "/front/",
        "/front/there.txt",
        "/front/made//up?q=1",
        "/front/%C3%A9/a%20b",
        "/back/there.txt",
        "/back/a/../b?q=1&r=%20",
    ] {
        cases.push(Case::get(&format!("sub{path}"), path).at("subs.test"));
        cases.push(Case::new(&format!("sub{path}-head"), "HEAD", path).at("subs.test"));
        cases.push(Case::new(&format!("sub{path}-post"), "POST", path).at("subs.test").body(b"some body"));
        cases.push(Case::get(&format!("sub{path}-credentials"), path).at("subs.test").with("Authorization: Basic YTpi"));
    }
    for (name, code) in ANSWERS {
        cases.push(Case::get(&format!("sub/included-{name}"), "/pages/index.shtml").at("subs.test").runs(code));
        cases.push(Case::get(&format!("sub/index-{name}"), "/empty/").at("subs.test").runs(code));
    }
    cases
}

/// At the server that ignores case.
fn folded() -> Vec<Case> {
    let mut cases = Vec::new();
    let modules = "import hashlib
start_response('200 OK', [])
files = sorted((m.__file__, n) for n, m in sys.modules.items() if n.startswith('_mod_wsgi_'))
name = lambda path: '_mod_wsgi_' + hashlib.md5(path.encode()).hexdigest()
result = [repr([(f, n == name(f), n == name(f.lower())) for f, n in files]).encode()]";
    for path in ["/App", "/App/X", "/app", "/APP/x", "/lower", "/Lower", "/lower/Path"] {
        cases.push(Case::get(&format!("folded{path}"), path).through(Door::Folding));
        cases.push(Case::get(&format!("folded{path}-modules"), path).runs(modules).through(Door::Folding));
    }
    cases
}
