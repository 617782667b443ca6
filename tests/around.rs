//! Applications among httpd's other modules: what these do to a request on its way in, and to an answer on its way out.

use crate::harness::{Builder, Client, Httpd, Mode, Request, Response};

/// A server with the application that shows its environ at `/app`.
fn site(mode: Mode) -> Builder {
    Httpd::new(mode).mount("/app", "environ.wsgi").config("WSGIApplicationGroup %{GLOBAL}")
}

/// A value of the environ in an answer, as Python writes it; `-` where there is none.
#[track_caller]
fn value(answer: &Response, key: &str) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    let found = text.lines().find_map(|line| line.strip_prefix(&format!("{key}\t"))?.split_once('\t').map(|(_, value)| value.to_owned()));
    found.unwrap_or_else(|| String::from("-"))
}

/// Asserts values of the environ.
#[track_caller]
fn expect(answer: &Response, values: &[(&str, &str)]) {
    for (key, wanted) in values {
        assert_eq!(value(answer, key), *wanted, "{key}");
    }
}

#[test]
fn mod_headers_changes_requests_and_answers() {
    for mode in Mode::ALL {
        let httpd = site(mode)
            .module("headers")
            .mount("/headers", "headers.wsgi")
            .mount("/status", "status.wsgi")
            .config(
                "RequestHeader set X-Set httpd\nRequestHeader append X-Both httpd\nRequestHeader unset X-Gone\n\
                 Header set X-Added httpd\nHeader edit X-Twice ^ was-\nHeader unset X-Latin\nHeader always set X-Always httpd",
            )
            .start();
        let request = Request::get("/app").header("X-Set", "client").header("X-Both", "client").header("X-Gone", "client");
        let answer = httpd.ask(&request);
        expect(&answer, &[("HTTP_X_SET", "'httpd'"), ("HTTP_X_BOTH", "'client, httpd'"), ("HTTP_X_GONE", "-")]);
        let answer = httpd.get("/headers");
        assert_eq!((answer.header("X-Added"), answer.header("X-Latin")), (Some("httpd"), None), "{mode:?}");
        let edited = answer.all("X-Twice").join(", ");
        assert!(
            edited == "was-one, was-two" || edited == "was-one, two" && differs!("daemon mode joins repeated response headers"),
            "{edited}"
        );
        let answer = httpd.get("/status/404%20None");
        assert_eq!((answer.status, answer.header("X-Always"), answer.all("X-Always").len()), (404, Some("httpd"), 1), "{mode:?}");
    }
}

#[test]
fn mod_rewrite_leads_to_an_application() {
    for mode in Mode::ALL {
        let httpd = site(mode)
            .module("rewrite")
            .file("htdocs/front/there.txt", "there\n")
            .config(
                "RewriteEngine On\nRewriteRule ^/pass/(.*)$ /app/$1?rewritten=$1 [PT,QSA,E=WORD:$1]\n\
                 RewriteRule ^/handler/(.*)$ ${APPS}/environ.wsgi [H=wsgi-script]\n<Directory ${APPS}>\nOptions ExecCGI\n</Directory>\n\
                 <Directory ${ROOT}/htdocs/front>\nRewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\n\
                 RewriteRule ^(.*)$ /app/$1 [QSA,PT,L]\n</Directory>",
            )
            .start();
        let answer = httpd.get("/pass/a%3Ab?q=1");
        expect(
            &answer,
            &[
                ("SCRIPT_NAME", "'/app'"),
                ("PATH_INFO", "'/a:b'"),
                ("REQUEST_URI", "'/pass/a%3Ab?q=1'"),
                ("WORD", "'a:b'"),
                ("REDIRECT_URL", "-"),
            ],
        );
        assert!(value(&answer, "QUERY_STRING").ends_with("&q=1'"), "{mode:?}");
        expect(&httpd.get("/handler/x"), &[("mod_wsgi.request_handler", "'wsgi-script'"), ("REQUEST_URI", "'/handler/x'")]);
        // The usual front controller: files as they are, all else by the application, which is an internal redirect.
        assert_eq!(httpd.get("/front/there.txt").text(), "there\n");
        let answer = httpd.ask(&Request::post("/front/made/up?q=1", b"some body"));
        expect(
            &answer,
            &[
                ("REQUEST_METHOD", "'POST'"),
                ("SCRIPT_NAME", "'/app'"),
                ("PATH_INFO", "'/made/up'"),
                ("QUERY_STRING", "'q=1'"),
                ("REQUEST_URI", "'/front/made/up?q=1'"),
                ("REDIRECT_URL", "'/front/made/up'"),
                ("REDIRECT_STATUS", "'200'"),
                ("CONTENT_LENGTH", "'9'"),
            ],
        );
    }
}

#[test]
fn mod_remoteip_says_who_the_client_is() {
    for mode in Mode::ALL {
        let httpd = site(mode)
            .module("remoteip")
            .mount("/log", "logging.wsgi")
            .allow_log("said at import")
            .expect_log("] printed")
            .allow_log("stderr")
            .config("RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy 127.0.0.1 10.0.0.0/8")
            .start();
        let from = |chain: &str| httpd.ask(&Request::get("/app").header("X-Forwarded-For", chain));
        expect(&from("1.2.3.4"), &[("REMOTE_ADDR", "'1.2.3.4'"), ("HTTP_X_FORWARDED_FOR", "-")]);
        expect(&from("5.6.7.8, 1.2.3.4, 10.0.0.1"), &[("REMOTE_ADDR", "'1.2.3.4'"), ("HTTP_X_FORWARDED_FOR", "'5.6.7.8'")]);
        expect(&httpd.get("/app"), &[("REMOTE_ADDR", "'127.0.0.1'")]);
        httpd.ask(&Request::get("/log/print").header("X-Forwarded-For", "1.2.3.4"));
        let line = httpd.log().wait_for("] printed");
        assert!(line.contains("[client 1.2.3.4:") || line.contains("[remote "), "{mode:?}: {line}");
    }
}

#[test]
fn mod_reqtimeout_ends_a_body_that_does_not_come() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode)
            .app("input.wsgi")
            .module("reqtimeout")
            .config("RequestReadTimeout body=1")
            .allow_log("WSGI0126")
            .allow_log("AH")
            .start();
        let mut client = httpd.connect();
        client.send(b"POST /all HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nsome");
        let answer = client.response();
        // Who reads it is told; where httpd reads it first, the client is.
        let told = answer.text().starts_with("OSError: mod_wsgi request data read error: ");
        assert!(if mode == Mode::Embedded { told } else { answer.status == 408 }, "{mode:?}: {answer:?}");
        assert_eq!(httpd.ask(&Request::post("/all", b"fine")).text(), "b'fine'\n", "{mode:?}");
    }
}

#[test]
fn a_proxy_is_believed_as_far_as_it_is_trusted() {
    for mode in Mode::ALL {
        let builder = site(mode).module("proxy").module("proxy_http");
        let [front, behind, stranger] = [(); 3].map(|()| builder.another_port());
        let httpd = builder
            .config(&format!(
                "Listen 127.0.0.1:{front}\n<VirtualHost *:{front}>\nServerName front.example\n\
                 ProxyPass /trusted/ http://127.0.0.1:{behind}/app/\nProxyPass /strange/ http://127.0.0.1:{stranger}/app/\n</VirtualHost>\n\
                 Listen 127.0.0.1:{behind}\n<VirtualHost *:{behind}>\nWSGITrustedProxies 127.0.0.1 10.0.0.0/8\n\
                 WSGITrustedProxyHeaders X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-Script-Name\n</VirtualHost>\n\
                 Listen 127.0.0.1:{stranger}\n<VirtualHost *:{stranger}>\nWSGITrustedProxies 10.0.0.0/8\n\
                 WSGITrustedProxyHeaders X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-Script-Name\n</VirtualHost>"
            ))
            .start();
        let ask = |path: &str, chain: &str| {
            let request = Request::get(path)
                .header("X-Forwarded-For", chain)
                .header("X-Forwarded-Proto", "https")
                .header("X-Script-Name", "/mounted")
                .header("X-Scheme", "http")
                .header("Connection", "close");
            Client::connect(front).ask(&request)
        };
        // mod_proxy adds who has asked it.
        let answer = ask("/trusted/x", "6.6.6.6, 1.2.3.4, 10.0.0.7");
        expect(
            &answer,
            &[
                ("REMOTE_ADDR", "'1.2.3.4'"),
                ("HTTP_X_FORWARDED_FOR", "'1.2.3.4, 10.0.0.7, 127.0.0.1'"),
                ("HTTP_HOST", "'localhost'"),
                ("wsgi.url_scheme", "'https'"),
                ("SCRIPT_NAME", "'/mounted'"),
                ("mod_wsgi.mount_point", "'/mounted'"),
                ("mod_wsgi.script_name", "'/app'"),
                ("PATH_INFO", "'/x'"),
                ("HTTP_X_SCHEME", "-"),
            ],
        );
        if !differs!("what the C library takes for an address, such as 10.1, is one in X-Forwarded-For") {
            expect(&ask("/trusted/x", "1.2.3.4, 10.1"), &[("REMOTE_ADDR", "'10.1'")]);
        }
        let answer = ask("/strange/x", "1.2.3.4");
        expect(
            &answer,
            &[
                ("REMOTE_ADDR", "'127.0.0.1'"),
                ("HTTP_X_FORWARDED_FOR", "-"),
                ("HTTP_X_FORWARDED_HOST", "-"),
                ("wsgi.url_scheme", "'http'"),
                ("SCRIPT_NAME", "'/app'"),
                ("mod_wsgi.mount_point", "-"),
            ],
        );
        drop(httpd);
    }
}

#[test]
fn a_scheme_that_nobody_understands_leaves_the_word_to_another_header() {
    for mode in Mode::ALL {
        let httpd = site(mode).config("WSGITrustedProxyHeaders X-Scheme X-Real-IP X-Forwarded-Proto X-Forwarded-For").start();
        let ask = |lines: &[(&str, &str)]| {
            httpd.ask(&lines.iter().fold(Request::get("/app"), |request, (name, value)| request.header(name, value)))
        };
        expect(&ask(&[("X-Scheme", "https"), ("X-Forwarded-Proto", "odd")]), &[("wsgi.url_scheme", "'https'"), ("HTTP_X_SCHEME", "-")]);
        expect(&ask(&[("X-Scheme", "https"), ("X-Forwarded-Proto", "http")]), &[("wsgi.url_scheme", "'http'")]);
        expect(&ask(&[("X-Real-IP", "1.2.3.4"), ("X-Forwarded-For", ",")]), &[("REMOTE_ADDR", "'1.2.3.4'"), ("HTTP_X_REAL_IP", "-")]);
    }
}

#[test]
fn httpds_own_users_are_told_and_their_passwords_are_not() {
    for mode in Mode::ALL {
        let httpd = site(mode)
            .module("auth_basic")
            .module("authn_core")
            .module("authn_file")
            .module("authz_user")
            // The password is "secret".
            .file("users", "ada:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n")
            .config(
                "<Location /app>\nAuthType Basic\nAuthName closed\nAuthUserFile ${ROOT}/users\nRequire valid-user\n</Location>\n\
                 SetEnv REMOTE_USER somebody",
            )
            .start();
        assert_eq!(httpd.get("/app").status, 401, "{mode:?}");
        let answer = httpd.ask(&Request::get("/app").header("Authorization", "Basic YWRhOnNlY3JldA=="));
        expect(&answer, &[("REMOTE_USER", "'ada'"), ("AUTH_TYPE", "'Basic'"), ("HTTP_AUTHORIZATION", "-")]);
    }
}

#[test]
fn tls_is_told_unless_a_proxy_says_otherwise() {
    for mode in Mode::ALL {
        let builder = site(mode).with_credentials().mount("/behind", "environ.wsgi");
        let port = builder.another_port();
        let _httpd = builder
            .config(&format!(
                "Listen 127.0.0.1:{port}\n<VirtualHost *:{port}>\nServerName localhost\n{}\
                 <Location /behind>\nWSGITrustedProxyHeaders X-Forwarded-Proto\n</Location>\n</VirtualHost>",
                Builder::TLS
            ))
            .start();
        let ask = |path: &str, header: &str| {
            let url = format!("https://localhost:{port}{path}");
            let output = std::process::Command::new("curl").args(["--silent", "--insecure", "--header", header, &url]).output();
            let body = output.expect("curl is installed: 'make' sees to it").stdout;
            Response { status: 200, reason: String::new(), headers: Vec::new(), body, complete: true }
        };
        let answer = ask("/app", "X-Forwarded-Proto: http");
        expect(&answer, &[("wsgi.url_scheme", "'https'"), ("REQUEST_SCHEME", "'https'"), ("HTTPS", "-")]);
        for (said, scheme) in [("http", "'http'"), ("https", "'https'"), ("odd", "'https'")] {
            let answer = ask("/behind", &format!("X-Forwarded-Proto: {said}"));
            expect(&answer, &[("wsgi.url_scheme", scheme), ("REQUEST_SCHEME", "'https'")]);
        }
        expect(&ask("/behind", "X-Scheme: http"), &[("wsgi.url_scheme", "'https'"), ("HTTP_X_SCHEME", "-")]);
    }
}
