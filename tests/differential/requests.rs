//! What is asked: request lines, paths and headers, as the environ shows them.

use super::case::Case;

/// All of them.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = methods();
    cases.extend(paths());
    cases.extend(lines());
    cases.extend(headers());
    cases.extend(proxies());
    cases
}

fn methods() -> Vec<Case> {
    let mut cases = Vec::new();
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "TRACE", "CONNECT", "BREW", "get", "M-SEARCH"] {
        cases.push(Case::new(&format!("method/{method}"), method, "/app/m?q"));
        cases.push(Case::new(&format!("method/{method}-body"), method, "/app/m").body(b"some body"));
    }
    let show = "start_response('200 OK', [('X-Method', environ['REQUEST_METHOD'])]); result = [b'body']";
    for host in ["localhost", "head-on.test", "head-off.test", "head-auto-deflate.test", "head-off-deflate.test"] {
        for method in ["HEAD", "GET", "POST", "OPTIONS"] {
            cases.push(Case::new(&format!("head/{host}-{method}"), method, "/app").at(host).runs(show));
        }
        cases.push(
            Case::new(&format!("head/{host}-length"), "HEAD", "/app")
                .at(host)
                .runs("start_response('200 OK', [('Content-Length', '1234')]); result = []"),
        );
        cases.push(Case::new(&format!("head/{host}-gzip"), "HEAD", "/app").at(host).runs(show).with("Accept-Encoding: gzip"));
    }
    cases
}

const PATHS: [&str; 62] = [
    "/app",
    "/app/",
    "/app//",
    "/app///a",
    "/app/a//b",
    "/app/a//b//",
    "//app/a",
    "///app",
    "/app//?q=//",
    "/app/.",
    "/app/..",
    "/app/./a",
    "/app/a/../b",
    "/app/a/./b",
    "/app/a/..",
    "/app/...",
    "/app/a/.b",
    "/app/../app/x",
    "/app/../../etc",
    "/app/%2e%2e/app",
    "/app/%2E/a",
    "/app/a%20b",
    "/app/a+b",
    "/app/%41",
    "/app/%c3%a9",
    "/app/\u{c3}\u{a9}",
    "/app/%ff%fe",
    "/app/\u{ff}",
    "/app/%E2%82%AC",
    "/app/%80",
    "/app/%2F",
    "/app/a%2Fb",
    "/app/a%2fb//c",
    "/app/%2F%2F",
    "/app%2Fa",
    "/app/%5C",
    "/app/a%5Cb",
    "/app/%25",
    "/app/%2525",
    "/app/%",
    "/app/%4",
    "/app/%zz",
    "/app/%00",
    "/app/a%00b",
    "/app/%0a",
    "/app/%0D%0A",
    "/app/%7F",
    "/app/a;p=1",
    "/app/a;p=1/b",
    "/app/a:b",
    "/app/a@b",
    "/app/a,b",
    "/app/!$&'()*+,=~",
    "/app/\"quoted\"",
    "/app/<b>",
    "/app/a|b",
    "/app/[x]",
    "/app/a^b`",
    "/app/{x}",
    "/appx",
    "/APP",
    "/deep/mount/a//b",
];

const QUERIES: [&str; 14] =
    ["", "a=1", "a=1&b=2", "?", "?a", "a=%20+%2F", "%ff", "\u{e9}", "a=b?c", "a=\"<>'", "/../x//y", "a[]=1", "=", "&&"];

fn paths() -> Vec<Case> {
    let mut cases: Vec<Case> = PATHS.iter().map(|path| Case::get(&format!("path/{}", path.escape_debug()), path)).collect();
    for host in ["slashes-on.test", "slashes-nodecode.test", "merge-off.test", "current-uri.test", "path-info.test"] {
        for path in [
            "/app",
            "/app/",
            "/app/a%2Fb",
            "/app/%2F",
            "/app/%2F%2F/x",
            "/app%2Fa",
            "/app/a%252Fb",
            "/app/a%2f..%2fb",
            "/app/%2e%2e%2fb",
            "/app//a///b",
            "/app/a%2F%2Fb//c",
            "//app//a",
            "/pt/x%2Fy",
            "/app/a%20b?c=%20d",
        ] {
            cases.push(Case::get(&format!("path/{host}{path}"), path).at(host));
        }
    }
    for path in ["/", "//", "/a", "//a//b", "/%2e", "/a/../", "/?", "/?a=b", "/apple", "/app", "/%C3%A9"] {
        cases.push(Case::get(&format!("path/root.test{path}"), path).at("root.test"));
        cases.push(Case::get(&format!("path/slash.test{path}"), &format!("/end{path}")).at("slash.test"));
    }
    for query in QUERIES {
        cases.push(Case::get(&format!("query/{}", query.escape_debug()), &format!("/app?{query}")));
    }
    for path in
        ["/scripts/deep.wsgi", "/scripts/deep.wsgi/", "/scripts/deep.wsgi/a//b", "/scripts//deep.wsgi/a", "/scripts/none.wsgi", "/scripts/"]
    {
        cases.push(Case::get(&format!("path/file{path}"), path));
    }
    cases.push(Case::get("path/file-path-info-off", "/scripts/deep.wsgi/a").at("path-info.test"));
    for path in ["/none", "/broken", "/exit"] {
        cases.push(Case::get(&format!("script{path}"), path).at("callable.test"));
        cases.push(Case::get(&format!("script{path}-again"), path).at("callable.test"));
    }
    cases
}

/// Request lines and message framing that no client library would send.
fn lines() -> Vec<Case> {
    let end = "Host: localhost\r\nConnection: close\r\n\r\n";
    let one = |name: &str, line: &str| Case::raw(&format!("line/{name}"), &["GET"], &format!("{line}\r\n{end}"));
    vec![
        one("absolute", "GET http://localhost/app/x?y=z HTTP/1.1"),
        one("absolute-other-host", "GET http://root.test/x HTTP/1.1"),
        one("absolute-port", "GET http://localhost:81/app/x HTTP/1.1"),
        one("absolute-upper", "GET HTTP://LOCALHOST/app/x HTTP/1.1"),
        one("absolute-https", "GET https://localhost/app/x HTTP/1.1"),
        one("absolute-slashes", "GET http://localhost//app//x HTTP/1.1"),
        one("absolute-empty-path", "GET http://root.test HTTP/1.1"),
        one("absolute-user", "GET http://ada:x@localhost/app HTTP/1.1"),
        one("star", "OPTIONS * HTTP/1.1"),
        one("fragment", "GET /app/x#fragment HTTP/1.1"),
        one("no-slash", "GET app HTTP/1.1"),
        one("two-spaces", "GET  /app HTTP/1.1"),
        one("tab", "GET\t/app HTTP/1.1"),
        one("space-in-path", "GET /app/a b HTTP/1.1"),
        one("lower-protocol", "GET /app http/1.1"),
        one("http-1.2", "GET /app HTTP/1.2"),
        one("http-2", "GET /app HTTP/2.0"),
        one("http-0.9", "GET /app"),
        one("long", &format!("GET /app/{} HTTP/1.1", "x".repeat(7000))),
        one("too-long", &format!("GET /app/{} HTTP/1.1", "x".repeat(9000))),
        Case::raw("line/http-1.0", &["GET"], "GET /app/x HTTP/1.0\r\n\r\n"),
        Case::raw("line/http-1.0-host", &["GET"], "GET /x HTTP/1.0\r\nHost: root.test\r\n\r\n"),
        Case::raw("line/http-1.0-keep-alive", &["GET"], "GET /app/x HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n"),
        Case::raw("line/http-1.1-no-host", &["GET"], "GET /app HTTP/1.1\r\nConnection: close\r\n\r\n"),
        Case::raw("line/empty-lines-before", &["GET"], &format!("\r\n\r\nGET /app HTTP/1.1\r\n{end}")),
        Case::raw("line/bare-newlines", &["GET"], "GET /app HTTP/1.1\nHost: localhost\nConnection: close\n\n"),
        Case::raw("line/unsafe-bare-newlines", &["GET"], "GET /app HTTP/1.1\nHost: unsafe.test\nConnection: close\n\n"),
        Case::raw("line/unsafe-two-spaces", &["GET"], "GET  /app HTTP/1.1\r\nHost: unsafe.test\r\nConnection: close\r\n\r\n"),
        Case::raw("line/unsafe-trailing-words", &["GET"], "GET /app/a b HTTP/1.1\r\nHost: unsafe.test\r\nConnection: close\r\n\r\n"),
        Case::raw("line/kept", &["GET"], "GET /app/kept HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Case::raw(
            "line/pipelined",
            &["GET", "HEAD", "GET"],
            &format!(
                "GET /app/1 HTTP/1.1\r\nHost: localhost\r\n\r\nHEAD /app/2 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /app/3 HTTP/1.1\r\n{end}"
            ),
        ),
        Case::raw(
            "line/pipelined-unread-body",
            &["POST", "GET"],
            &format!(
                "POST /app/1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nX-Code: start_response%28%27200%20OK%27%2C%5B%5D%29%3Bresult%3D%5Bb%27x%27%5D\r\n\r\nsome bodyGET /app/2 HTTP/1.1\r\n{end}"
            ),
        ),
        Case::raw(
            "line/pipelined-chunked",
            &["POST", "GET"],
            &format!(
                "POST /app/1 HTTP/1.1\r\nHost: chunked.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /app/2 HTTP/1.1\r\n{end}"
            ),
        ),
    ]
}

const HEADERS: [(&str, &[&str]); 64] = [
    ("plain", &["X-Plain: value"]),
    ("case", &["x-lower: V", "X-UPPER: v"]),
    ("empty", &["X-Empty:"]),
    ("blanks", &["X-Blanks:   a  b  "]),
    ("no-blank", &["X-None:a"]),
    ("tab", &["X-Tab:\ta\tb\t"]),
    ("latin", &["X-Latin: caf\u{e9}"]),
    ("utf-8", &["X-Utf: \u{e2}\u{82}\u{ac}"]),
    ("high", &["X-High: \u{80}\u{ff}"]),
    ("control", &["X-Control: a\u{1}b"]),
    ("delete", &["X-Delete: a\u{7f}b"]),
    ("nul", &["X-Nul: a\0b"]),
    ("folded", &["X-Folded: a", " b"]),
    ("folded-tab", &["X-Folded: a", "\tb", "\tc"]),
    ("folded-first", &[" X-First: a"]),
    ("twice", &["X-Twice: a", "X-Twice: b"]),
    ("twice-case", &["X-Twice: a", "x-tWICE: b"]),
    ("twice-empty", &["X-Twice:", "X-Twice: b", "X-Twice:"]),
    ("cookie", &["Cookie: a=1; b=2"]),
    ("cookie-twice", &["Cookie: a=1", "Cookie: b=2"]),
    ("cookie-latin", &["Cookie: a=\u{e9}"]),
    ("underscore", &["X_Under: a"]),
    ("underscore-and-dash", &["X-Under: right", "X_Under: forged"]),
    ("underscore-first", &["X_Under: forged", "X-Under: right"]),
    ("dot", &["X.Dot: a"]),
    ("star", &["X*Star: a"]),
    ("digits", &["X-1-2: a", "9: b"]),
    ("odd-token", &["!#$%&'*+.^_`|~: a"]),
    ("only-dash", &["-: a"]),
    ("space-in-name", &["X Space: a"]),
    ("space-before-colon", &["X-Space : a"]),
    ("no-name", &[": a"]),
    ("no-colon", &["X-No-Colon"]),
    ("latin-name", &["X-\u{e9}: a"]),
    ("paren-name", &["X(y): a"]),
    ("proxy", &["Proxy: http://evil"]),
    ("proxy-connection", &["Proxy-Connection: keep-alive"]),
    ("authorization", &["Authorization: Basic YTpi"]),
    ("proxy-authorization", &["Proxy-Authorization: Basic YTpi"]),
    ("content-type", &["Content-Type: text/plain; charset=utf-8"]),
    ("content-type-twice", &["Content-Type: text/plain", "Content-Type: text/html"]),
    ("content-type-empty", &["Content-Type:"]),
    ("content-length-0", &["Content-Length: 0"]),
    ("content-length-plus", &["Content-Length: +0"]),
    ("content-length-negative", &["Content-Length: -1"]),
    ("content-length-word", &["Content-Length: many"]),
    ("content-length-empty", &["Content-Length:"]),
    ("content-length-hex", &["Content-Length: 0x0"]),
    ("content-length-huge", &["Content-Length: 99999999999999999999"]),
    ("content-length-twice", &["Content-Length: 0", "Content-Length: 0"]),
    ("content-length-two", &["Content-Length: 0", "Content-Length: 1"]),
    ("content-md5", &["Content-MD5: x", "Content-Language: de", "Content-Encoding: gzip"]),
    ("connection-names", &["Connection: close, X-Hop", "X-Hop: a"]),
    ("upgrade", &["Upgrade: websocket", "Connection: Upgrade"]),
    ("te", &["TE: trailers"]),
    ("range", &["Range: bytes=0-3", "If-Range: \"x\""]),
    ("conditional", &["If-None-Match: \"x\"", "If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT"]),
    ("if-match", &["If-Match: \"x\""]),
    ("if-unmodified", &["If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT"]),
    ("marked", &["X-Marked: yes"]),
    ("long", &["X-Long: LONG"]),
    ("too-long", &["X-Long: TOO-LONG"]),
    ("https", &["HTTPS: on", "X-Forwarded-Proto: https"]),
    ("http-prefix", &["HTTP-X: a", "HTTP-HTTP: b", "Host-Name: c"]),
];

fn headers() -> Vec<Case> {
    let fill = |line: &str| match line {
        "X-Long: LONG" => format!("X-Long: {}", "v".repeat(8000)),
        "X-Long: TOO-LONG" => format!("X-Long: {}", "v".repeat(8300)),
        other => other.to_owned(),
    };
    let build = |name: &str, host: &str, lines: &[&str]| {
        lines.iter().fold(Case::get(&format!("header/{name}"), "/app/h").at(host), |case, line| case.with(&fill(line)))
    };
    let mut cases: Vec<Case> = HEADERS.iter().map(|(name, lines)| build(name, "localhost", lines)).collect();
    for name in ["no-name", "space-in-name", "space-before-colon", "control", "latin-name", "odd-token", "no-colon", "folded", "nul"] {
        let lines = HEADERS.iter().find(|(known, _)| *known == name).map(|(_, lines)| *lines);
        let lines = lines.unwrap_or_else(|| panic!("no header is called {name}"));
        cases.push(build(&format!("unsafe-{name}"), "unsafe.test", lines));
    }
    let credentials = ["Authorization: Basic YWRhOnNlY3JldA==", "Proxy-Authorization: Basic YTpi"];
    for host in ["pass.test", "cgi-pass.test", "auth.test"] {
        cases.push(build(&format!("credentials-{host}"), host, &credentials));
        cases.push(build(&format!("no-credentials-{host}"), host, &[]));
        cases.push(build(&format!("wrong-credentials-{host}"), host, &["Authorization: Basic YWRhOndyb25n"]));
        cases.push(build(&format!("odd-credentials-{host}"), host, &["Authorization: Bearer token"]));
    }
    for host in [
        "env.test",
        "https-1.test",
        "https-off.test",
        "canonical.test",
        "alias.test",
        "none.test",
        "LOCALHOST",
        "localhost:8080",
        "localhost:",
        "[::1]",
        "127.0.0.1",
        "a<b",
        "a b",
        "",
        "localhost, root.test",
        "root.test.",
    ] {
        cases.push(build(&format!("host-{host}"), host, &[]));
    }
    let many: Vec<String> = (0..90).map(|number| format!("X-Many-{number}: {number}")).collect();
    cases.push(build("many", "localhost", &many.iter().map(String::as_str).collect::<Vec<_>>()));
    let too_many: Vec<String> = (0..110).map(|number| format!("X-Many-{number}: {number}")).collect();
    cases.push(build("too-many", "localhost", &too_many.iter().map(String::as_str).collect::<Vec<_>>()));
    cases.push(build("request-headers", "headers.test", &["X-Request-Set: client", "X-Request-Unset: client", "X-Request-Append: client"]));
    cases
}

const FORWARDED: [&[&str]; 43] = [
    &[],
    &["X-Forwarded-For: 1.2.3.4"],
    &["X-Forwarded-For: 1.2.3.4, 5.6.7.8"],
    &["X-Forwarded-For: 1.2.3.4, 10.0.0.1"],
    &["X-Forwarded-For: 10.0.0.2, 10.0.0.1"],
    &["X-Forwarded-For: 1.2.3.4, 10.0.0.2, 10.0.0.1"],
    &["X-Forwarded-For: 10.0.0.9, 1.2.3.4, 10.0.0.1"],
    &["X-Forwarded-For: , ,1.2.3.4 ,, 10.0.0.1,"],
    &["X-Forwarded-For:"],
    &["X-Forwarded-For: ,"],
    &["X-Forwarded-For: ::1"],
    &["X-Forwarded-For: [2001:db8::1], 10.0.0.1"],
    &["X-Forwarded-For: 1.2.3.4:567, 10.0.0.1"],
    &["X-Forwarded-For: 1.2.3.4", "X-Forwarded-For: 10.0.0.1"],
    &["X-Forwarded-For: 999.1.1.1, 10.0.0.1"],
    &["X-Real-IP: 1.2.3.4"],
    &["X-Client-IP: 1.2.3.4", "X-Real-IP: 5.6.7.8"],
    &["X-Real-IP: 1.2.3.4", "X-Forwarded-For: 5.6.7.8"],
    &["X-Forwarded-Host: example.com"],
    &["X-Forwarded-Host: example.com, other.com", "X-Host: third.com"],
    &["X-Forwarded-Server: server.example"],
    &["X-Forwarded-Port: 8443"],
    &["X-Forwarded-Port: x"],
    &["X-Script-Name: /mounted"],
    &["X-Script-Name: /a", "X-Forwarded-Script-Name: /b"],
    &["X-Script-Name:"],
    &["X-Forwarded-Proto: https"],
    &["X-Forwarded-Proto: HTTPS", "X-Scheme: http"],
    &["X-Forwarded-Proto: wss"],
    &["X-Forwarded-Scheme: https", "X-Forwarded-Proto: http"],
    &["X-Forwarded-SSL: on", "X-Forwarded-HTTPS: off", "X-HTTPS: 1"],
    &["X-Forwarded-SSL: off", "X-Forwarded-Proto: https"],
    &["X-Forwarded-SSL: yes", "X-HTTPS: True"],
    &["X-Forwarded-Proto: http", "X-Scheme: https"],
    &["X-Forwarded-Proto: odd", "X-Scheme: https", "X-Forwarded-HTTPS: 1"],
    &["X-Real-IP: 1.2.3.4", "X-Forwarded-For: ,"],
    &["X-Client-IP: 5.6.7.8", "X-Real-IP: 1.2.3.4", "X-Forwarded-For: 9.9.9.9, 10.0.0.1"],
    &["X-Forwarded-Host: one", "X-Host: two", "X-Forwarded-Host: three"],
    &["X-Forwarded-For: 2001:db8::7, 2001:db8::8", "X-Forwarded-Server: a, b"],
    &["X-Forwarded-For: 2001:0DB8:0:0::9, 2001:db9::1, ::1, 127.9.9.9"],
    &["X-Forwarded-For: ::ffff:127.0.0.1, ::ffff:1.2.3.4"],
    &["X-Forwarded-For: \"1.2.3.4\", for=10.0.0.1, unknown", "X-Unheard-Of: a"],
    &["X-Forwarded-For: 1.2.3.4, 010.0.0.1, 10.1, 0x0a000001"],
];

fn proxies() -> Vec<Case> {
    let mut cases = Vec::new();
    for host in [
        "localhost",
        "proxies.test",
        "proxies-few.test",
        "proxies-real-ip.test",
        "proxies-list.test",
        "proxies-untrusted.test",
        "proxies-scheme.test",
        "proxies-order.test",
        "proxies-six.test",
        "proxies-inner.test",
    ] {
        for lines in FORWARDED {
            let case = Case::get(&format!("proxy/{host} {}", lines.join(" | ")), "/app/p//q").at(host);
            cases.push(lines.iter().fold(case, |case, line| case.with(line)));
        }
    }
    cases
}
