//! Frameworks and applications that people use, from PyPI, and PEP 3333's own validator, driven for real in both modes.

use std::path::PathBuf;

use crate::examples::cookie;
use crate::harness::python::{has_mercurial, is_free_threaded, venv};
use crate::harness::{Builder, Client, Httpd, Mode, Request};

/// The virtual environment that has all of them, but for Mercurial where that would have to be compiled.
pub(crate) fn home() -> PathBuf {
    let requirements = include_str!("frameworks/requirements.txt");
    let is_left_out = |line: &str| line.starts_with('#') || !has_mercurial() && line.starts_with("mercurial");
    let packages: Vec<&str> = requirements.lines().filter(|line| !is_left_out(line)).collect();
    venv("frameworks", &packages)
}

/// A server that runs on it.
pub(crate) fn server(mode: Mode) -> Builder {
    let home = home();
    let home = home.display();
    match mode {
        Mode::Daemon => Httpd::new(mode).daemon_options(&format!("threads=5 processes=1 python-home={home} python-path=${{APPS}}")),
        Mode::Embedded => Httpd::new(mode).config(&format!("WSGIPythonHome {home}\nWSGIPythonPath ${{APPS}}")),
    }
}

#[test]
fn the_validator_finds_nothing() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .app("validated.wsgi")
            .config("WSGIChunkedRequest On")
            .allow_log("said to the log")
            .allow_log("one")
            .allow_log("two")
            .start();
        let body = vec![b'x'; 100_000];
        for (request, status, text) in [
            (Request::get("/"), 200, "Hello".to_owned()),
            (Request::new("HEAD", "/"), 200, String::new()),
            (Request::new("OPTIONS", "/"), 200, "Hello".to_owned()),
            (Request::get("/%c3%a9?a=%20&b=%ff"), 200, "Hello".to_owned()),
            (Request::post("/body", b""), 200, String::new()),
            (Request::post("/body", &body), 200, String::from_utf8_lossy(&body).into_owned()),
            (Request::post_chunked("/body", &[b"one", b"two"]), 200, "onetwo".to_owned()),
            (Request::post("/lines", b"one\ntwo\nthree"), 200, "one\n|two\n|three".to_owned()),
            (Request::get("/write"), 200, "written and yielded".to_owned()),
            (Request::get("/stream"), 200, "block 0 block 1 block 2 ".to_owned()),
            (Request::get("/none"), 204, String::new()),
            (Request::get("/failure"), 500, "mended".to_owned()),
            (Request::get("/errors"), 200, "said".to_owned()),
        ] {
            let answer = httpd.ask(&request);
            assert_eq!((answer.status, answer.text()), (status, text), "{mode:?} {request:?}\n{}", httpd.log().tail());
        }
    }
}

#[test]
fn werkzeug() {
    for mode in Mode::ALL {
        let httpd = server(mode).app("with_werkzeug.wsgi").start();
        let home = httpd.ask(&Request::get("/?name=Ada").header("Cookie", "name=Grace"));
        assert_eq!((home.status, home.text().as_str()), (200, "Hello Grace from "));
        assert_eq!(home.header("Set-Cookie"), Some("name=Ada; Path=/"));
        let links = if mode == Mode::Daemon && differs!("daemon mode joins repeated response headers") {
            vec!["<a>, <b>"]
        } else {
            vec!["<a>", "<b>"]
        };
        assert_eq!(home.all("Link"), links);
        let form = format!(
            "--frontier\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nBig\r\n--frontier\r\nContent-Disposition: form-data; name=\"file\"; \
             filename=\"a.bin\"\r\n\r\n{}\r\n--frontier--\r\n",
            "x".repeat(700_000)
        );
        let upload = Request::post("/upload", form.as_bytes()).header("Content-Type", "multipart/form-data; boundary=frontier");
        assert_eq!(httpd.ask(&upload).text(), "a.bin 700000 Big");
        let stream = httpd.get("/stream/1000");
        assert!(stream.complete && stream.text().ends_with("line 999\n"));
        let file = httpd.get("/file");
        assert_eq!((file.status, file.body.len(), file.header("Content-Length")), (200, 200_000, Some("200000")));
        let etag = file.header("ETag").expect("send_file makes one").to_owned();
        assert_eq!(httpd.ask(&Request::get("/file").header("If-None-Match", &etag)).status, 304);
        let part = httpd.ask(&Request::get("/file").header("Range", "bytes=10-14"));
        assert_eq!((part.status, part.text().as_str()), (206, "01234"));
        let part = httpd.ask(&Request::get("/file").header("Range", "bytes=10-14").header("If-Range", &etag));
        assert_eq!((part.status, part.text().as_str()), (206, "01234"));
        assert_eq!(httpd.get("/upload").status, 405);
        assert_eq!(httpd.get("/none").status, 404);
    }
}

/// Asks the Flask application of `conf-examples` for everything that it has.
pub(crate) fn ask_flask(httpd: &Httpd, host: &str) {
    let to = |target: &str| Request::get(target).header("Host", host);
    assert_eq!(httpd.ask(&to("/")).text(), "<p>Hello, stranger!</p>");
    let form = Request::post("/name", b"name=Ada").header("Host", host).header("Content-Type", "application/x-www-form-urlencoded");
    let answer = httpd.ask(&form);
    assert_eq!((answer.status, answer.header("Location")), (302, Some("/")));
    let cookie = cookie(&answer, "session");
    assert_eq!(httpd.ask(&to("/").header("Cookie", &cookie)).text(), "<p>Hello, Ada!</p>");
    let file = format!(
        "--frontier\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n{}\r\n--frontier--\r\n",
        "x".repeat(300_000)
    );
    let upload =
        Request::post("/upload", file.as_bytes()).header("Host", host).header("Content-Type", "multipart/form-data; boundary=frontier");
    assert_eq!(httpd.ask(&upload).text().replace(char::is_whitespace, ""), "{\"name\":\"a.bin\",\"size\":300000}");
    let stream = httpd.ask(&to("/stream"));
    assert!(stream.complete && stream.text().ends_with("line 999\n") && stream.text().lines().count() == 1000);
    assert_eq!(httpd.ask(&to("/teapot")).status, 418);
    assert_eq!(httpd.ask(&to("/error")).status, 500);
    assert_eq!(httpd.ask(&to("/none")).status, 404);
}

#[test]
fn flask() {
    for mode in Mode::ALL {
        let httpd = server(mode)
            .example_script("hello.py", "apps")
            .example_script("hello.wsgi", "apps")
            .config("WSGIScriptAlias / ${APPS}/hello.wsgi")
            .expect_traceback("RuntimeError: a fault in the application")
            .allow_log("ERROR in app")
            .start();
        ask_flask(&httpd, "localhost");
    }
}

#[test]
fn bottle() {
    for mode in Mode::ALL {
        let httpd = server(mode).app("with_bottle.wsgi").start();
        assert_eq!(httpd.get("/hello/%3CAda%3E").text(), "<b>Hello &lt;Ada&gt;</b>");
        let sum = Request::post("/sum", b"{\"numbers\": [1, 2, 39]}").header("Content-Type", "application/json");
        assert_eq!(httpd.ask(&sum).text(), "{\"sum\": 42}");
        assert_eq!(httpd.get("/lines").text(), "line 0\nline 1\nline 2\n");
        let script = httpd.get("/static/with_bottle.wsgi");
        assert!(script.complete && script.text().starts_with("\"\"\"Bottle"), "{}", script.text());
        assert_eq!(httpd.ask(&Request::get("/static/with_bottle.wsgi").header("Range", "bytes=3-8")).text(), "Bottle");
        let missing = httpd.get("/none");
        assert_eq!((missing.status, missing.text().as_str()), (404, "nothing here"));
    }
}

#[test]
fn falcon() {
    for mode in Mode::ALL {
        let httpd = server(mode).app("with_falcon.wsgi").start();
        let answer = httpd.get("/things/7?a=1&a=2");
        assert_eq!(answer.text(), "{\"number\": 7, \"query\": {\"a\": [\"1\", \"2\"]}, \"host\": \"localhost\"}");
        let mut put = Request::post("/things/7", &[b'x'; 50_000]).octets();
        put.splice(..4, *b"PUT");
        let mut client = httpd.connect();
        client.send(&put);
        let answer = client.response();
        assert_eq!((answer.status, answer.text().as_str()), (201, "{\"length\": 50000}"));
        assert_eq!(httpd.ask(&Request::new("DELETE", "/things/7")).status, 409);
        assert_eq!(httpd.get("/things/x").status, 404);
        assert_eq!(httpd.ask(&Request::new("PATCH", "/things/7")).status, 405);
    }
}

#[test]
fn pyramid() {
    for mode in Mode::ALL {
        let httpd = server(mode).app("with_pyramid.wsgi").allow_log("pkg_resources").start();
        let first = httpd.get("/count");
        assert_eq!(first.text(), "visit 1 to http://localhost/count");
        let cookie = first.header("Set-Cookie").and_then(|cookie| cookie.split(';').next()).expect("there is a session").to_owned();
        assert_eq!(httpd.ask(&Request::get("/count").header("Cookie", &cookie)).text(), "visit 2 to http://localhost/count");
        let away = httpd.get("/away");
        assert_eq!((away.status, away.header("Location")), (302, Some("http://localhost/count")));
        assert_eq!(httpd.get("/blocks").text(), "one two three");
        assert!(httpd.get("/script").text().starts_with("\"\"\"Pyramid"));
        assert_eq!(httpd.get("/none").status, 404);
    }
}

#[test]
fn httpbin() {
    for mode in Mode::ALL {
        // It imports brotlicffi, which a free-threaded Python lets into the main interpreter only.
        let group = if is_free_threaded() { "WSGIApplicationGroup %{GLOBAL}" } else { "" };
        let builder = server(mode).app("with_httpbin.wsgi").config("WSGIPassAuthorization On").config(group);
        let httpd = builder.allow_log("flasgger is not installed").start();
        let has = |request: &Request, status: u16, text: &str| {
            let answer = httpd.ask(request);
            assert!(answer.status == status && answer.text().contains(text), "{request:?}: {} {}", answer.status, answer.text());
        };
        has(&Request::get("/get?a=b").header("X-Own", "c"), 200, "\"X-Own\": \"c\"");
        has(&Request::post("/post", b"some body"), 200, "\"data\": \"some body\"");
        has(&Request::get("/status/418"), 418, "teapot");
        has(&Request::get("/redirect/1"), 302, "/get");
        has(&Request::get("/cookies").header("Cookie", "a=b"), 200, "\"a\": \"b\"");
        has(&Request::get("/basic-auth/ada/secret"), 401, "");
        has(&Request::get("/basic-auth/ada/secret").header("Authorization", "Basic YWRhOnNlY3JldA=="), 200, "\"authenticated\": true");
        has(&Request::get("/etag/x").header("If-None-Match", "\"x\""), 304, "");
        has(&Request::get("/deny"), 200, "YOU SHOULDN'T BE HERE");
        has(&Request::get("/encoding/utf8"), 200, "UTF-8 encoded sample");
        assert_eq!(httpd.get("/bytes/10240").body.len(), 10_240);
        let stream = httpd.get("/stream-bytes/50000?chunk_size=1000");
        assert_eq!((stream.body.len(), stream.complete), (50_000, true));
        assert_eq!(httpd.get("/drip?duration=0.3&numbytes=5&delay=0").text(), "*****");
        let range = httpd.ask(&Request::get("/range/100").header("Range", "bytes=3-5"));
        assert_eq!((range.status, range.text().as_str()), (206, "def"));
        assert!(httpd.get("/gzip").body.starts_with(&[0x1f, 0x8b]));
    }
}

#[test]
fn wsgidav() {
    for mode in Mode::ALL {
        let httpd = server(mode).app("with_wsgidav.wsgi").config("WSGIChunkedRequest On").start();
        let ask = |method: &'static str, target: &str, headers: &[(&str, &str)], body: &[u8]| {
            let mut request = Request::new(method, target).header("Connection", "close").header("Content-Length", &body.len().to_string());
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let mut client: Client = httpd.connect();
            client.send(&[request.octets(), body.to_vec()].concat());
            client.response()
        };
        assert_eq!(ask("MKCOL", "/folder", &[], b"").status, 201);
        let content = b"0123456789".repeat(30_000);
        assert_eq!(ask("PUT", "/folder/file.txt", &[], &content).status, 201);
        assert_eq!(ask("PUT", "/folder/file.txt", &[], b"short").status, 204);
        assert_eq!(ask("PUT", "/folder/file.txt", &[], &content).status, 204);
        assert!(httpd.get("/folder/file.txt").body == content, "what was put comes back");
        let part = httpd.ask(&Request::get("/folder/file.txt").header("Range", "bytes=5-9"));
        assert_eq!((part.status, part.text().as_str()), (206, "56789"));
        let found = ask("PROPFIND", "/folder", &[("Depth", "1")], b"");
        assert!(found.status == 207 && found.text().contains(":href>/folder/file.txt</"), "{}", found.text());
        let to = "http://localhost/folder/copy.txt";
        assert_eq!(ask("COPY", "/folder/file.txt", &[("Destination", to)], b"").status, 201);
        let lock = b"<?xml version=\"1.0\"?><D:lockinfo xmlns:D=\"DAV:\"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockinfo>";
        let locked = ask("LOCK", "/folder/copy.txt", &[("Content-Type", "text/xml")], lock);
        let token = locked.header("Lock-Token").unwrap_or_else(|| panic!("{} {}", locked.status, locked.text())).to_owned();
        assert_eq!(ask("PUT", "/folder/copy.txt", &[], b"refused").status, 423);
        assert_eq!(ask("UNLOCK", "/folder/copy.txt", &[("Lock-Token", &token)], b"").status, 204);
        assert_eq!(ask("DELETE", "/folder", &[], b"").status, 204);
        assert_eq!(httpd.get("/folder/file.txt").status, 404);
    }
}
