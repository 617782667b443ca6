//! What the comparison with mod_wsgi has found (`docs/answers.md`), without mod_wsgi: what each of our modes answers there.
//!
//! Where mod_wsgi's two modes answer differently for no reason that an application could want, ours answer alike.

use crate::harness::{Builder, Httpd, Mode, Request, Response};

/// A server with the probe at `/app`, whose code comes with the request.
fn site(mode: Mode) -> Builder {
    let httpd = Httpd::new(mode).with_app("probe.wsgi").allow_log("probe.wsgi] closed");
    httpd.config("WSGIScriptAlias /app ${APPS}/probe.wsgi\nWSGIApplicationGroup %{GLOBAL}")
}

/// A request that makes the probe run `code`.
fn runs(method: &str, code: &str) -> Request {
    let escape = |octet: u8| if octet.is_ascii_alphanumeric() { char::from(octet).to_string() } else { format!("%{octet:02X}") };
    Request::new(method, "/app").header("X-Code", &code.bytes().map(escape).collect::<String>())
}

fn get(httpd: &Httpd, code: &str) -> Response {
    httpd.ask(&runs("GET", code))
}

/// An answer with these headers, as Python writes them.
fn with_headers(httpd: &Httpd, status: &str, list: &str) -> Response {
    get(httpd, &format!("start_response('{status}', {list}); result = [b'body']"))
}

#[test]
fn what_follows_the_script_may_be_long() {
    only_ours!("what follows a script in a URL must be a possible name of a file");
    for mode in Mode::ALL {
        let httpd = site(mode).start();
        let long = "x".repeat(2000);
        let answer = httpd.get(&format!("/app/{long}"));
        assert_eq!(answer.status, 200, "{mode:?}");
        assert!(answer.text().contains(&format!("PATH_INFO str '/{long}'")), "{mode:?}: {}", answer.text());
    }
}

#[test]
fn a_complete_answer_has_a_length() {
    only_ours!("an answer that is complete before anything is sent comes in chunks, and an empty one differs by mode");
    for mode in Mode::ALL {
        let httpd = site(mode).start();
        for (result, length) in [("[]", "0"), ("[b'']", "0"), ("[b'ab', b'c']", "3"), ("(b'abc',)", "3")] {
            let answer = get(&httpd, &format!("start_response('200 OK', []); result = {result}"));
            assert_eq!(answer.header("Content-Length"), Some(length), "{mode:?} {result}");
            assert_eq!(answer.header("Transfer-Encoding"), None, "{mode:?} {result}");
        }
        // Its head may have gone before there was more, without a length of nothing.
        let answer = get(&httpd, "w = start_response('200 OK', []); w(b''); w(b'abc'); result = []");
        assert_eq!((answer.text().as_str(), answer.complete), ("abc", true), "{mode:?}");
    }
}

#[test]
fn http_1_0_keeps_the_connection_when_the_length_is_known() {
    only_ours!("an answer of unknown length ends the connection of HTTP/1.0");
    for mode in Mode::ALL {
        let httpd = site(mode).start();
        let mut client = httpd.connect();
        for _ in 0..2 {
            let request = runs("GET", "start_response('200 OK', []); result = [b'kept']").old().header("Connection", "keep-alive");
            assert_eq!(client.ask(&request).text(), "kept", "{mode:?}");
        }
    }
}

#[test]
fn headers_go_as_they_are_given_in_both_modes() {
    only_ours!("daemon mode rewrites headers of responses, takes Status for the status, and 'Error' for a failure of its own");
    for mode in Mode::ALL {
        let httpd = site(mode).start();
        for (list, name, values) in [
            ("[('Status', '404 Not Found')]", "Status", vec!["404 Not Found"]),
            ("[('X-A', '1'), ('X-A', '2')]", "X-A", vec!["1", "2"]),
            ("[('Link', '<a>'), ('Link', '<b>')]", "Link", vec!["<a>", "<b>"]),
            ("[('Content-Type', 'TEXT/HTML; Charset=UTF-8')]", "Content-Type", vec!["TEXT/HTML; Charset=UTF-8"]),
            ("[('Last-Modified', 'yesterday')]", "Last-Modified", vec!["yesterday"]),
            ("[('Last-Modified', 'Fri, 01 Jan 2100 00:00:00 GMT')]", "Last-Modified", vec!["Fri, 01 Jan 2100 00:00:00 GMT"]),
            // Not of 200, which would be another URL of this server (see below).
            ("[('Location', '/one'), ('Location', 'two')]", "Location", vec!["/one", "two"]),
            ("[('Content-Range', 'bytes 0-3/10')]", "Content-Range", vec!["bytes 0-3/10"]),
        ] {
            let answer = with_headers(&httpd, if name == "Location" { "201 Created" } else { "200 OK" }, list);
            assert_eq!(answer.all(name), values, "{mode:?} {list}");
            assert_eq!(answer.text(), "body", "{mode:?} {list}");
        }
        let long = "v".repeat(7000);
        assert_eq!(with_headers(&httpd, "200 OK", &format!("[('X-Long', '{long}')]")).header("X-Long"), Some(long.as_str()), "{mode:?}");
        let answer = with_headers(&httpd, "200 Error", "[]");
        assert_eq!((answer.status, answer.reason.as_str(), answer.text().as_str()), (200, "Error", "body"), "{mode:?}");
        let answer = with_headers(&httpd, "200 ", "[]");
        assert_eq!((answer.status, answer.reason.as_str()), (200, "OK"), "{mode:?}: without a reason it is httpd's");
    }
}

#[test]
fn what_cannot_stand_in_a_response_is_a_500() {
    only_ours!("a status below 100, and a control character in a header, damage the response");
    for mode in Mode::ALL {
        for (status, list, reason) in [
            ("099 Low", "[]", "status code must be a 3 digit integer"),
            ("200 OK", "[('A(b)', 'c')]", "invalid character in header name"),
            ("200 OK", "[('Content-Length', '+4')]", "invalid Content-Length header value"),
            ("200 OK", "[('Content-Length', '')]", "invalid Content-Length header value"),
            ("200 OK", "[('Content-Length', 'four')]", "invalid Content-Length header value"),
        ] {
            let httpd = site(mode).expect_traceback(reason).start();
            assert_eq!(with_headers(&httpd, status, list).status, 500, "{mode:?} {status} {list}");
        }
        let httpd = site(mode).allow_log("AH02430").start();
        assert_eq!(with_headers(&httpd, "200 OK", "[('A', 'b\\x01c')]").status, 500, "{mode:?}: httpd refuses it");
        assert_eq!(with_headers(&httpd, "200 OK", "[('Content-Length', ' 4 ')]").header("Content-Length"), Some("4"), "{mode:?}");
        let answer = with_headers(&httpd, "200 OK", "[('Transfer-Encoding', 'chunked')]");
        assert_eq!((answer.text().as_str(), answer.complete), ("body", true), "{mode:?}: how a body is framed is for httpd to say");
    }
}

#[test]
fn a_local_location_is_served_in_daemon_mode_only() {
    for mode in Mode::ALL {
        let httpd = site(mode).start();
        let answer = with_headers(&httpd, "200 OK", "[('Location', '/app/inside?x=y')]");
        if mode == Mode::Embedded {
            assert_eq!((answer.header("Location"), answer.text().as_str()), (Some("/app/inside?x=y"), "body"));
            continue;
        }
        assert_eq!(answer.header("Location"), None, "as CGI has it");
        for line in ["PATH_INFO str '/inside'", "QUERY_STRING str 'x=y'", "REDIRECT_URL str '/app'", "REQUEST_METHOD str 'GET'"] {
            assert!(answer.text().lines().any(|shown| shown == line), "{line}: {}", answer.text());
        }
        if !differs!("the environ behind an internal redirect holds the whole one before it, internals as well") {
            assert!(!answer.text().contains("REDIRECT_mod_wsgi") && !answer.text().contains("REDIRECT_HTTP_"), "{}", answer.text());
        }
    }
}

#[test]
fn an_error_document_sees_cgis_variables_only() {
    only_ours!("the environ of an error document holds internals of mod_wsgi");
    for mode in Mode::ALL {
        let httpd = site(mode).config("ErrorDocument 500 /app/failed").expect_traceback("ZeroDivisionError").start();
        // The status is that of the application which serves the document.
        let answer = get(&httpd, "1 / 0");
        assert_eq!(answer.status, 200, "{mode:?}");
        for line in ["PATH_INFO str '/failed'", "REDIRECT_STATUS str '500'", "REDIRECT_SCRIPT_NAME str '/app'"] {
            assert!(answer.text().lines().any(|shown| shown == line), "{mode:?} {line}: {}", answer.text());
        }
        assert!(!answer.text().contains("REDIRECT_mod_wsgi") && !answer.text().contains("REDIRECT_HTTPS"), "{mode:?}: {}", answer.text());
    }
}

#[test]
fn a_connection_has_a_number_once_something_of_it_is_logged() {
    only_ours!("mod_wsgi.connection_id comes later in daemon mode");
    for mode in Mode::ALL {
        let httpd = site(mode).config("ErrorDocument 500 /app/failed").expect_traceback("ZeroDivisionError").start();
        let has_number = |answer: &Response| answer.text().contains("\nmod_wsgi.connection_id str ");
        assert!(!has_number(&httpd.get("/app")), "{mode:?}");
        assert!(has_number(&get(&httpd, "1 / 0")), "{mode:?}");
    }
}

#[test]
fn error_override_holds_in_both_modes() {
    only_ours!("WSGIErrorOverride has no effect in embedded mode");
    for mode in Mode::ALL {
        let httpd = site(mode).config("WSGIErrorOverride On\nErrorDocument 404 \"our own page\"").start();
        let answer = with_headers(&httpd, "404 Not Found", "[('X-Own', 'yes')]");
        assert_eq!((answer.status, answer.text().as_str(), answer.header("X-Own")), (404, "our own page", None), "{mode:?}");
        let answer = with_headers(&httpd, "401 Who", "[('WWW-Authenticate', 'Basic realm=x')]");
        assert_eq!((answer.status, answer.header("WWW-Authenticate")), (401, Some("Basic realm=x")), "{mode:?}");
        for status in ["400 Bad", "418 Teapot", "503 Busy", "599 Odd"] {
            assert_ne!(with_headers(&httpd, status, "[]").text(), "body", "{mode:?} {status}");
        }
        for status in ["302 Found", "600 Odd", "999 Odd"] {
            assert_eq!(with_headers(&httpd, status, "[]").text(), "body", "{mode:?} {status}: httpd has no page of it");
        }
    }
}

#[test]
fn a_failure_before_anything_is_sent_is_a_500() {
    only_ours!("an answer that breaks off before its first octet is a 200");
    for mode in Mode::ALL {
        let httpd = site(mode).expect_traceback("ValueError: late").start();
        let answer = get(&httpd, "start_response('200 OK', [('Content-Length', '1')]); result = []");
        assert_eq!((answer.status, answer.complete), (500, true), "{mode:?}");
        let answer = httpd.connect().ask(&runs("HEAD", "start_response('200 OK', []); result = closing([b'', ValueError('late')])"));
        assert_eq!(answer.status, 500, "{mode:?}");
    }
}

#[test]
fn continue_is_said_when_the_application_reads() {
    for mode in Mode::ALL {
        if mode == Mode::Daemon && differs!("daemon mode asks for a body that nobody reads") {
            continue;
        }
        let httpd = site(mode).start();
        let unread = "start_response('200 OK', []); result = [b'unread']";
        let request = runs("POST", unread).header("Content-Length", "9").header("Expect", "100-continue").header("Connection", "close");
        let mut client = httpd.connect();
        client.request(&request);
        let answer = client.response();
        assert_eq!((answer.status, answer.text().as_str()), (200, "unread"), "{mode:?}: the body was not asked for");
    }
}

#[test]
fn a_malformed_body_is_the_clients_mistake() {
    only_ours!("a malformed body is a 500 in daemon mode, and in embedded mode the application's answer follows httpd's in its body");
    for mode in Mode::ALL {
        let httpd = site(mode).config("WSGIChunkedRequest On").allow_log("WSGI0126").allow_log("AH").start();
        let told = "start_response('200 OK', []); result = [attempt(lambda: environ['wsgi.input'].read()).encode()]";
        for body in ["xyz\r\nabc\r\n0\r\n\r\n", "-3\r\nabc\r\n0\r\n\r\n", "FFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n", "3\nabc\n0\n\n"] {
            let mut client = httpd.connect();
            client.request(&runs("POST", told).header("Transfer-Encoding", "chunked").header("Connection", "close"));
            client.send(body.as_bytes());
            let answer = client.response();
            // httpd's filter answers as soon as it is read, and what the application says then is too late.
            let text = answer.text();
            assert!([400, 413].contains(&answer.status) && text.trim_end().ends_with("</html>"), "{mode:?} {body:?}: {text}");
        }
    }
}

#[test]
fn a_client_that_falls_silent_is_an_error_to_who_reads() {
    only_ours!("a client that was asked to continue and falls silent is a 408 in daemon mode");
    for mode in Mode::ALL {
        let httpd = site(mode).module("reqtimeout").config("RequestReadTimeout body=1").allow_log("AH").allow_log("WSGI0126").start();
        let told = "start_response('200 OK', []); result = [attempt(lambda: environ['wsgi.input'].read()).encode()]";
        let mut client = httpd.connect();
        client.request(&runs("POST", told).header("Content-Length", "9").header("Expect", "100-continue"));
        assert_eq!(client.head().status, 100, "{mode:?}");
        let answer = client.response();
        assert!(answer.text().starts_with("OSError: mod_wsgi request data read error"), "{mode:?}: {answer:?}");
    }
}

#[test]
fn a_size_beyond_memory_reads_what_there_is() {
    for mode in Mode::ALL {
        let httpd = site(mode).start();
        let code = |size: &str| {
            format!("i = environ['wsgi.input']; start_response('200 OK', []); result = [attempt(lambda: i.read({size})).encode()]")
        };
        let ask = |size: &str| {
            let mut client = httpd.connect();
            client.request(&runs("POST", &code(size)).header("Content-Length", "3"));
            client.send(b"abc");
            client.response().text()
        };
        if !differs!("read(2**40) is a MemoryError") {
            assert_eq!(ask("2**40"), "b'abc'", "{mode:?}");
        }
        assert!(ask("2**70").starts_with("OverflowError: "), "{mode:?}");
    }
}

#[test]
fn parts_are_served_in_both_modes() {
    only_ours!("ranges are served of files in embedded mode only");
    for mode in Mode::ALL {
        let httpd = site(mode).start();
        for code in [
            "start_response('200 OK', []); result = [b'0123456789']",
            "start_response('200 OK', []); result = environ['wsgi.file_wrapper'](regular(b'0123456789'))",
            "start_response('200 OK', []); result = environ['wsgi.file_wrapper'](regular(b'x' * 90000 + b'0123456789', 90000))",
        ] {
            let answer = httpd.ask(&runs("GET", code).header("Range", "bytes=2-4"));
            assert_eq!((answer.status, answer.text().as_str()), (206, "234"), "{mode:?} {code}");
            assert_eq!(answer.header("Content-Range"), Some("bytes 2-4/10"), "{mode:?} {code}");
            assert_eq!(httpd.ask(&runs("GET", code).header("Range", "bytes=50-60")).status, 416, "{mode:?} {code}");
        }
    }
}

#[test]
fn no_more_than_a_file_holds_is_sent() {
    only_ours!("a Content-Length beyond the end of a file sends what lies behind it in memory, or nothing");
    for mode in Mode::ALL {
        let httpd = site(mode).start();
        for size in [10, 100_000] {
            let wrapped = |list: &str, offset: usize| {
                format!("start_response('200 OK', {list}); result = environ['wsgi.file_wrapper'](regular(b'x' * {size}, {offset}))")
            };
            let answer = get(&httpd, &wrapped(&format!("[('Content-Length', '{}')]", size + 30), 0));
            assert_eq!((answer.body.len(), answer.complete), (size, false), "{mode:?} {size}");
            let answer = get(&httpd, &wrapped("[]", size + 10));
            assert_eq!((answer.status, answer.body.len(), answer.complete), (200, 0, true), "{mode:?} {size}: behind the end is nothing");
        }
    }
}

#[test]
fn what_is_compressed_is_complete_or_seen_to_be_cut() {
    for mode in Mode::ALL {
        let httpd = site(mode).module("deflate").module("filter").config("SetOutputFilter DEFLATE").expect_traceback("cut").start();
        let gzip = |code: &str| httpd.ask(&runs("GET", code).header("Accept-Encoding", "gzip"));
        let answer = gzip("start_response('200 OK', []); result = [b'a' * 5000, b'b' * 5000]");
        assert_eq!((answer.header("Content-Encoding"), answer.complete), (Some("gzip"), true), "{mode:?}");
        assert!(answer.body.len() < 1000 && answer.body.starts_with(b"\x1f\x8b"), "{mode:?}");
        let answer = gzip("start_response('200 OK', []); result = closing([b'y' * 5000, ValueError('cut')])");
        if mode == Mode::Embedded || !differs!("daemon mode ends the chunked body of a failed response as if it were complete") {
            assert!(!answer.complete, "{mode:?}");
        }
    }
}

#[test]
fn a_page_that_includes_an_application_is_cut_with_it() {
    for mode in Mode::ALL {
        let httpd = site(mode)
            .module("include")
            .file("htdocs/page.shtml", "<!--#include virtual=\"/app/inner?q=1\" -->|behind")
            .config("<Directory ${ROOT}/htdocs>\nOptions +Includes\nAddOutputFilter INCLUDES .shtml\n</Directory>")
            .expect_traceback("ValueError: cut")
            .start();
        let page = httpd.get("/page.shtml").text();
        assert!(page.ends_with("|behind") && page.contains("QUERY_STRING str 'q=1'") && page.contains("PATH_INFO str '/inner'"), "{page}");
        if !differs!("SCRIPT_NAME of an application that a page includes is the whole path") {
            assert!(page.contains("\nSCRIPT_NAME str '/app'\n"), "{mode:?}: {page}");
        }
        let code = runs("GET", "start_response('200 OK', []); result = closing([b'begun', ValueError('cut')])").to("/page.shtml");
        let answer = httpd.connect().ask(&code);
        if !differs!("a page that includes an answer which is cut short looks complete") {
            assert!(!answer.complete && answer.text().starts_with("begun"), "{mode:?}: {answer:?}");
        }
    }
}
