//! What is asked: request bodies, their framing, and every way of reading them.

use super::case::Case;

/// All of them.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = framing();
    cases.extend(reading());
    cases
}

fn framing() -> Vec<Case> {
    let mut cases = Vec::new();
    for size in [0, 1, 9, 8191, 8192, 65_536, 300_000, 2_000_000] {
        let body: Vec<u8> = (0..size).map(|number: u32| b'a' + u8::try_from(number % 23).expect("less than 23")).collect();
        cases.push(Case::new(&format!("body/size-{size}"), "POST", "/app").body(&body));
        cases.push(Case::new(&format!("body/size-{size}-1.0"), "POST", "/app").old().body(&body));
        cases.push(Case::new(&format!("body/size-{size}-expect"), "PUT", "/app").with("Expect: 100-continue").body(&body));
        cases.push(chunked(&format!("size-{size}"), "chunked.test", &chunk(&body)));
    }
    cases.push(Case::new("body/octets", "POST", "/app").body(&(0..=255).collect::<Vec<u8>>()));
    cases.push(Case::new("body/short", "POST", "/app").with("Content-Length: 20").unannounced(b"too short").shut());
    cases.push(Case::new("body/short-silent", "POST", "/app").with("Content-Length: 20").unannounced(b"too short"));
    cases.push(Case::new("body/long", "POST", "/app").with("Content-Length: 3").unannounced(b"too long"));
    cases.push(Case::new("body/no-length", "POST", "/app").unannounced(b"no length"));
    cases.push(Case::new("body/no-length-1.0", "POST", "/app").old().unannounced(b"no length").shut());
    cases.push(Case::new("body/expect-other", "POST", "/app").with("Expect: something").body(b"x"));
    cases.push(Case::new("body/expect-unread", "POST", "/app").with("Expect: 100-continue").runs(SKIP).body(b"some body"));
    cases.push(Case::new("body/expect-1.0", "POST", "/app").old().with("Expect: 100-continue").body(b"x"));
    cases.push(Case::new("body/unread", "POST", "/app").runs(SKIP).body(&[b'x'; 100_000]));
    cases.push(Case::new("body/limit-under", "POST", "/app").at("limit.test").body(&[b'x'; 100]));
    cases.push(Case::new("body/limit-over", "POST", "/app").at("limit.test").body(&[b'x'; 101]));
    cases.push(Case::new("body/limit-over-unread", "POST", "/app").at("limit.test").runs(SKIP).body(&[b'x'; 101]));
    cases.push(chunked("limit-under", "limit.test", b"5\r\nabcde\r\n0\r\n\r\n"));
    cases.push(chunked("limit-over", "limit.test", &chunk(&[b'x'; 5000])));
    for (name, body) in [
        ("extension", &b"3;name=value\r\nabc\r\n2;a=\"b;c\"\r\nde\r\n0;last\r\n\r\n"[..]),
        ("trailers", b"3\r\nabc\r\n0\r\nX-Trailer: late\r\nX_Under: x\r\n\r\n"),
        ("upper-hex", b"A\r\n0123456789\r\n0\r\n\r\n"),
        ("leading-zeros", b"0003\r\nabc\r\n000\r\n\r\n"),
        ("blank-after-size", b"3 \r\nabc\r\n0\r\n\r\n"),
        ("no-size", b"\r\nabc\r\n0\r\n\r\n"),
        ("bad-size", b"xyz\r\nabc\r\n0\r\n\r\n"),
        ("negative-size", b"-3\r\nabc\r\n0\r\n\r\n"),
        ("huge-size", b"FFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n"),
        ("bare-newline", b"3\nabc\n0\n\n"),
        ("empty", b"0\r\n\r\n"),
    ] {
        cases.push(chunked(name, "chunked.test", body));
        cases.push(chunked(&format!("off-{name}"), "localhost", body));
    }
    for (name, body) in [("cut-in-size", &b"3\r\nabc\r\n5"[..]), ("cut-in-chunk", b"5\r\nabc"), ("cut-before-last", b"3\r\nabc\r\n")] {
        cases.push(chunked(name, "chunked.test", body).shut());
        cases.push(chunked(&format!("{name}-silent"), "chunked.test", body));
    }
    let post = |name: &str| Case::new(&format!("body/{name}"), "POST", "/app").at("chunked.test");
    let last = b"3\r\nabc\r\n0\r\n\r\n";
    cases.push(post("chunked-and-length").with("Transfer-Encoding: chunked").with("Content-Length: 5").unannounced(last));
    cases.push(post("gzip-chunked").with("Transfer-Encoding: gzip, chunked").unannounced(last));
    cases.push(post("identity").with("Transfer-Encoding: identity").with("Content-Length: 3").unannounced(b"abc"));
    cases.push(post("unknown-coding").with("Transfer-Encoding: unknown").unannounced(last));
    cases.push(post("chunked-upper").with("Transfer-Encoding: CHUNKED").unannounced(last));
    cases.push(post("chunked-twice").with("Transfer-Encoding: chunked").with("Transfer-Encoding: chunked").unannounced(last));
    cases.push(post("chunked-expect").with("Expect: 100-continue").with("Transfer-Encoding: chunked").unannounced(last));
    cases.push(post("chunked-unread").runs(SKIP).with("Transfer-Encoding: chunked").unannounced(last));
    cases.push(post("chunked-1.0").old().with("Transfer-Encoding: chunked").unannounced(last));
    cases.push(
        Case::new("body/chunked-refused-document", "POST", "/app")
            .at("documents.test")
            .with("Transfer-Encoding: chunked")
            .unannounced(last),
    );
    cases.push(Case::get("body/chunked-get", "/app").at("chunked.test").with("Transfer-Encoding: chunked").unannounced(last));
    cases
}

/// An application that answers without reading.
const SKIP: &str = "start_response('200 OK', []); result = [b'unread']";

fn chunked(name: &str, host: &str, body: &[u8]) -> Case {
    Case::new(&format!("body/chunked-{name}"), "POST", "/app").at(host).with("Transfer-Encoding: chunked").unannounced(body)
}

/// A body in chunks of at most 5,000 octets.
fn chunk(body: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    for part in body.chunks(5000) {
        octets.extend(format!("{:x}\r\n", part.len()).bytes());
        octets.extend(part);
        octets.extend(b"\r\n");
    }
    octets.extend(b"0\r\n\r\n");
    octets
}

/// Calls of `wsgi.input`, one after the other, whose results are shown.
const CALLS: [&str; 40] = [
    "read()",
    "read(-1)",
    "read(0)",
    "read(3), i.read(100), i.read(1), i.read()",
    "read(), i.read(), i.read(5), i.readline(), i.readlines()",
    "read(None)",
    "read('3')",
    "read(3.0)",
    "read(1, 2)",
    "read(size=3)",
    "read(-2)",
    "read(2**40)",
    "read(2**70)",
    "read(True)",
    "readline()",
    "readline(), i.readline(), i.readline(), i.readline(), i.readline()",
    "readline(3), i.readline(3), i.readline(30)",
    "readline(0)",
    "readline(-1)",
    "readline(None)",
    "readline('x')",
    "readlines()",
    "readlines(1)",
    "readlines(7)",
    "readlines(0)",
    "readlines(-1)",
    "readlines(None)",
    "read(4), i.readline(), i.read(2), i.readlines()",
    "readline(), i.read(3), next(i), list(i)",
    "__iter__() is i, list(i), list(i)",
    "__next__(), next(i), next(i), next(i)",
    "close(), i.read()",
    "close(), i.close(), i.readline()",
    "fileno()",
    "seek(0)",
    "readinto(bytearray(3))",
    "__enter__()",
    "closed",
    "readable()",
    "__class__.__name__",
];

fn reading() -> Vec<Case> {
    let mut cases = Vec::new();
    for calls in CALLS {
        let code = format!("i = environ['wsgi.input']\nstart_response('200 OK', [])\nresult = [attempt(lambda: (i.{calls},)).encode()]");
        for (kind, body) in [("lines", &b"one\ntwo\r\n\nfour"[..]), ("empty", b""), ("one", b"one\n")] {
            cases.push(Case::new(&format!("input/{kind} {calls}"), "POST", "/app").runs(&code).body(body));
        }
    }
    for (name, code) in [
        ("read-after-head", "w = start_response('200 OK', []); w(b'head '); result = [environ['wsgi.input'].read()]"),
        (
            "read-while-iterating",
            "def run():\n    yield b'<'\n    yield environ['wsgi.input'].read()\n    yield b'>'\nstart_response('200 OK', []); result = run()",
        ),
        ("read-in-pieces", "start_response('200 OK', []); result = iter(lambda: environ['wsgi.input'].read(3), b'')"),
        ("echo-length", "d = environ['wsgi.input'].read(); start_response('200 OK', [('Content-Length', str(len(d)))]); result = [d]"),
        (
            "replace-input",
            "environ['wsgi.input'] = io.BytesIO(b'mine'); start_response('200 OK', []); result = [environ['wsgi.input'].read()]",
        ),
    ] {
        cases.push(Case::new(&format!("input/{name}"), "POST", "/app").runs(code).body(b"some body"));
    }
    cases
}
