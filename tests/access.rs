//! Access control by scripts: hosts, users by Basic and Digest authentication, groups. Whatever goes wrong denies.

use crate::harness::{Builder, Httpd, Mode, Mpm, Request, Response, python};

/// A server with everything that authentication needs, and the script.
fn server(mode: Mode, config: &str) -> Builder {
    modules(mode).app("whoami.wsgi").with_app("access.wsgi").config(config)
}

fn modules(mode: Mode) -> Builder {
    let modules = ["authn_core", "auth_basic", "auth_digest", "authz_user", "authz_host", "access_compat", "authn_file"];
    modules.into_iter().fold(Httpd::new(mode), Builder::module)
}

const ACCESS: &str = "<Location />\nWSGIAccessScript ${APPS}/access.wsgi\n</Location>";

const BASIC: &str = "<Location />\nAuthType Basic\nAuthName place\nAuthBasicProvider wsgi\n\
    WSGIAuthUserScript ${APPS}/access.wsgi\nRequire valid-user\n</Location>";

/// The whole of authentication by whoever comes, so that groups alone decide.
fn groups(require: &str) -> String {
    format!(
        "<Location />\nAuthType Basic\nAuthName place\nAuthBasicProvider file\nAuthUserFile ${{ROOT}}/users\n\
         WSGIAuthGroupScript ${{APPS}}/access.wsgi\n{require}\n</Location>"
    )
}

/// For `Authorization: Basic`.
pub(crate) fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, octet| word << 8 | u32::from(*octet)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place) & 63) as usize];
            encoded.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    encoded
}

fn login(httpd: &Httpd, user: &str, password: &str) -> Response {
    httpd.ask(&Request::get("/").header("Authorization", &format!("Basic {}", base64(&format!("{user}:{password}")))))
}

#[test]
fn a_script_decides_about_hosts() {
    for mode in Mode::ALL {
        let httpd = server(mode, ACCESS)
            .expect_traceback("told to fail")
            .expect_log("WSGI0055")
            .expect_log("WSGI0057")
            .allow_log("WSGI0175")
            .allow_log("SystemExit: 0")
            .start();
        let statuses = ["none", "true", "false", "one", "zero", "text", "raise", "exit"].map(|what| httpd.get(&format!("/?{what}")).status);
        assert_eq!(statuses, [200, 200, 403, 403, 403, 403, 403, 403], "{mode:?}");
    }
}

#[test]
fn a_script_decides_about_static_files_too() {
    let httpd = server(Mode::Daemon, "Alias /static ${ROOT}/htdocs\n<Location /static>\nWSGIAccessScript ${APPS}/access.wsgi\n</Location>")
        .file("htdocs/a.txt", "a\n")
        .expect_log("WSGI0057")
        .start();
    assert_eq!(httpd.get("/static/a.txt?true").text(), "a\n");
    assert_eq!(httpd.get("/static/a.txt?false").status, 403);
    assert_eq!(httpd.get("/?false").status, 200);
}

#[test]
fn true_leaves_the_other_rules_in_force() {
    let httpd = server(Mode::Embedded, ACCESS).config("<Location />\nRequire all denied\n</Location>").expect_log("AH01630").start();
    assert_eq!(httpd.get("/?true").status, 403);
}

#[test]
fn a_script_that_cannot_be_asked_denies() {
    for (script, code) in [("broken.py", "WSGI0105"), ("failing.py", "WSGI0109"), ("missing.py", "WSGI0105"), ("empty.py", "WSGI0056")] {
        let httpd = server(Mode::Embedded, &format!("<Location />\nWSGIAccessScript ${{APPS}}/{script}\n</Location>"))
            .file("apps/broken.py", "def\n")
            .file("apps/failing.py", "raise RuntimeError('at import')\n")
            .file("apps/empty.py", "\n")
            .expect_traceback("")
            .allow_log("exception raised processing")
            .allow_log("SyntaxError")
            .allow_log("RuntimeError")
            .allow_log("FileNotFoundError")
            .allow_log("    def")
            .expect_log(code)
            .expect_log("WSGI0057")
            .start();
        assert_eq!(httpd.get("/").status, 403, "{script}");
    }
}

#[test]
fn satisfy_any_lets_a_user_in_whose_host_is_denied() {
    let config = BASIC.replace("</Location>", "WSGIAccessScript ${APPS}/access.wsgi\nSatisfy Any\n</Location>");
    let httpd = server(Mode::Embedded, &config).start();
    let ask = |user: &str| {
        let credentials = base64(&format!("{user}:secret"));
        httpd.ask(&Request::get("/?false").header("Authorization", &format!("Basic {credentials}"))).status
    };
    assert_eq!(ask("true"), 200);
    assert_eq!(httpd.get("/?false").status, 401);
    assert_eq!(httpd.log().lines_with("WSGI0057").len(), 0, "the host was not the last word");
}

#[test]
fn a_password_is_checked_by_a_script() {
    for mode in Mode::ALL {
        let httpd = server(mode, BASIC)
            .expect_traceback("told to fail")
            .expect_log("WSGI0176")
            .expect_log("WSGI0177")
            .allow_log("WSGI0175")
            .allow_log("SystemExit: 0")
            .allow_log("UnicodeEncodeError")
            .allow_log("ValueError")
            .allow_log("AH01617")
            .allow_log("AH01618")
            .start();
        assert_eq!(httpd.get("/").status, 401);
        assert_eq!(login(&httpd, "true", "wrong").status, 401);
        let statuses = ["true", "false", "none", "text", "empty", "one", "bytes", "raise", "exit", "surrogate"]
            .map(|user| login(&httpd, user, "secret").status);
        assert_eq!(statuses, [200, 401, 401, 200, 500, 500, 500, 500, 500, 500], "{mode:?}");
        let nul = login(&httpd, "nul", "secret").status;
        if !differs!("a null character ends a user's new name early: another user gets in") {
            assert_eq!(nul, 500);
        }
    }
}

#[test]
fn strings_are_passed_octet_by_octet() {
    let httpd = server(Mode::Embedded, BASIC).expect_log("PASSWORD").start();
    assert_eq!(login(&httpd, "raw", "é").status, 200);
    assert!(httpd.log().wait_for("PASSWORD").ends_with("PASSWORD c3a9"));
}

#[test]
fn a_user_may_be_renamed() {
    for mode in Mode::ALL {
        let httpd = modules(mode).app("environ.wsgi").with_app("access.wsgi").config(BASIC).start();
        for (user, name) in [("true", "'true'"), ("renamed", r"'caf\xc3\xa9'")] {
            let credentials = base64(&format!("{user}:secret"));
            let environ = httpd.ask(&Request::get("/").header("Authorization", &format!("Basic {credentials}"))).text();
            assert!(environ.contains(&format!("REMOTE_USER\tstr\t{name}")), "{mode:?}: {environ}");
            assert!(environ.contains("AUTH_TYPE\tstr\t'Basic'"), "{mode:?}: {environ}");
            assert!(!environ.contains("HTTP_AUTHORIZATION"), "{mode:?}: {environ}");
        }
    }
}

#[test]
fn the_next_provider_is_asked_about_unknown_users_only() {
    let config = BASIC.replace("AuthBasicProvider wsgi", "AuthBasicProvider wsgi file\nAuthUserFile ${ROOT}/users");
    let httpd =
        server(Mode::Embedded, &config).file("users", "none:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\nfalse:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n");
    let httpd = httpd.allow_log("AH01617").start();
    assert_eq!(login(&httpd, "none", "secret").status, 200);
    assert_eq!(login(&httpd, "false", "secret").status, 401);
}

#[test]
fn a_provider_without_a_script_is_an_error() {
    let config = BASIC.replace("WSGIAuthUserScript ${APPS}/access.wsgi\n", "");
    let httpd = server(Mode::Embedded, &config).expect_log("WSGI0041").start();
    assert_eq!(login(&httpd, "true", "secret").status, 500);
    let httpd =
        server(Mode::Embedded, &BASIC.replace("access.wsgi", "empty.py")).file("apps/empty.py", "\n").expect_log("WSGI0043").start();
    assert_eq!(login(&httpd, "true", "secret").status, 500);
}

#[test]
fn a_provider_may_have_another_name() {
    let alias = "<AuthnProviderAlias wsgi mine>\nWSGIAuthUserScript ${APPS}/access.wsgi\n</AuthnProviderAlias>\n\
         <AuthzProviderAlias wsgi-group team \"staff\">\nWSGIAuthGroupScript ${APPS}/access.wsgi\n</AuthzProviderAlias>\n\
         <Location />\nAuthType Basic\nAuthName place\nAuthBasicProvider mine\nRequire valid-user\n</Location>\n\
         <Location /team>\nRequire team\n</Location>";
    let httpd = server(Mode::Embedded, alias).expect_log("WSGI0060").allow_log("AH01631").start();
    assert_eq!(login(&httpd, "true", "secret").status, 200);
    let team = |user: &str| {
        let credentials = base64(&format!("{user}:secret"));
        httpd.ask(&Request::get("/team").header("Authorization", &format!("Basic {credentials}"))).status
    };
    // "s" is a user by that name, and a group of one letter.
    assert_eq!(team("s"), 401);
}

const USERS: &str = "staff octets other nobody odd oddname wide one string s parts raise none exit";

fn user_file() -> String {
    USERS.split(' ').map(|user| format!("{user}:{{SHA}}5en6G6MezRroT3XKqkdPOmY/BfQ=\n")).collect()
}

#[test]
fn groups_are_told_by_a_script() {
    for mode in Mode::ALL {
        let httpd = server(mode, &groups("Require wsgi-group editors \"staff\""))
            .file("users", &user_file())
            .expect_traceback("told to fail")
            .expect_log("no more groups")
            .expect_log("WSGI0049")
            .expect_log("WSGI0050")
            .expect_log("WSGI0051")
            .allow_log("is not iterable")
            .allow_log("UnicodeEncodeError")
            .expect_log("WSGI0059")
            .expect_log("WSGI0060")
            .allow_log("WSGI0175")
            .allow_log("SystemExit: 0")
            .allow_log("AH01631")
            .start();
        let statuses = ["staff", "octets", "other", "nobody", "odd", "oddname", "wide", "one", "string", "raise", "none", "exit"]
            .map(|user| login(&httpd, user, "secret").status);
        assert_eq!(statuses, [200, 200, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401], "{mode:?}");
        assert_eq!(httpd.get("/").status, 401);
        let parts = login(&httpd, "parts", "secret").status;
        if !differs!("an exception halfway through the groups still lets the user in by those before it") {
            assert_eq!(parts, 401);
        }
    }
}

#[test]
fn case_makes_no_difference_to_groups() {
    let httpd = server(Mode::Embedded, &groups("Require wsgi-group STAFF\nAuthzSendForbiddenOnFailure On"))
        .file("users", &user_file())
        .expect_log("WSGI0060")
        .allow_log("AH01631")
        .start();
    assert_eq!(login(&httpd, "staff", "secret").status, 200);
    assert_eq!(login(&httpd, "other", "secret").status, 403);
}

#[test]
fn a_plain_string_is_a_group_per_character() {
    let httpd = server(Mode::Embedded, &groups("Require wsgi-group s")).file("users", &user_file()).start();
    assert_eq!([login(&httpd, "s", "secret").status, login(&httpd, "string", "secret").status], [200, 200]);
}

#[test]
fn a_failure_lets_nobody_in_where_a_rule_is_turned_round() {
    only_ours!("a group script that fails under 'Require not' lets the user in");
    for require in [
        "<RequireAll>\nRequire valid-user\nRequire not wsgi-group guests\n</RequireAll>",
        "<RequireAll>\nRequire valid-user\n<RequireNone>\nRequire wsgi-group guests\n</RequireNone>\n</RequireAll>",
    ] {
        let httpd = server(Mode::Embedded, &groups(require))
            .file("users", &user_file())
            .expect_traceback("told to fail")
            .expect_log("WSGI0059")
            .allow_log("AH01631")
            .start();
        assert_eq!(login(&httpd, "nobody", "secret").status, 200);
        assert_eq!(login(&httpd, "staff", "secret").status, 401);
        assert_eq!(login(&httpd, "raise", "secret").status, 500);
    }
}

#[test]
fn groups_without_a_script_deny() {
    let config = groups("Require wsgi-group staff").replace("WSGIAuthGroupScript ${APPS}/access.wsgi\n", "");
    let httpd = server(Mode::Embedded, &config).file("users", &user_file()).expect_log("WSGI0058").allow_log("AH01631").start();
    assert_eq!(login(&httpd, "staff", "secret").status, 401);
}

#[test]
fn digest_authentication_asks_for_a_hash() {
    let config = BASIC.replace("Basic\n", "Digest\n").replace("AuthBasicProvider", "AuthDigestProvider");
    let httpd = server(Mode::Embedded, &config)
        .expect_log("WSGI0178")
        .expect_log("WSGI0179")
        .expect_traceback("told to fail")
        .allow_log("AH01790")
        .allow_log("AH01793")
        .start();
    assert!(httpd.get("/").header("WWW-Authenticate").is_some_and(|header| header.starts_with("Digest realm=\"place\"")));
    let curl = |user: &str| {
        let url = format!("http://127.0.0.1:{}/", httpd.port());
        let arguments = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--digest", "-u"];
        let output = std::process::Command::new("curl").args(arguments).arg(format!("{user}:secret")).arg(url).output();
        String::from_utf8(output.expect("curl can be run").stdout).expect("a number")
    };
    let statuses = ["text", "octets", "none", "empty", "emptybytes", "one", "raise"].map(curl);
    assert_eq!(statuses, ["200", "200", "401", "500", "500", "500", "500"]);
}

#[test]
fn what_is_not_there_to_be_asked_lets_nobody_in() {
    let digest = BASIC.replace("Basic\n", "Digest\n").replace("AuthBasicProvider", "AuthDigestProvider");
    let curl = |httpd: &Httpd| {
        let url = format!("http://127.0.0.1:{}/", httpd.port());
        let arguments = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--digest", "-u", "text:secret"];
        let output = std::process::Command::new("curl").args(arguments).arg(url).output();
        String::from_utf8(output.expect("curl can be run").stdout).expect("a number")
    };
    let without = digest.replace("WSGIAuthUserScript ${APPS}/access.wsgi\n", "");
    let httpd = server(Mode::Embedded, &without).expect_log("WSGI0044").allow_log("AH0179").start();
    assert_eq!(curl(&httpd), "500");
    let empty = |config: &str| server(Mode::Embedded, &config.replace("access.wsgi", "empty.py")).file("apps/empty.py", "\n");
    let httpd = empty(&digest).expect_log("WSGI0046").allow_log("AH0179").start();
    assert_eq!(curl(&httpd), "500");
    let httpd = empty(&groups("Require wsgi-group staff")).file("users", &user_file()).expect_log("WSGI0052").allow_log("AH01631").start();
    assert_eq!(login(&httpd, "staff", "secret").status, 401);
}

#[test]
fn names_of_groups_that_only_requests_have_are_taken_as_they_are() {
    let text = "import mod_wsgi\ndef allow_access(environ, host):\n    \
                print('IN', mod_wsgi.application_group, file=environ['wsgi.errors'])\n    return True\n";
    for (written, name) in
        [("%{GLOBAL}", ""), ("%{HOST}", "localhost"), ("%{RESOURCE}", "%{RESOURCE}"), ("%{ENV:X}", "%{ENV:X}"), ("a", "a")]
    {
        let config = format!("SetEnv X y\n<Location />\nWSGIAccessScript ${{APPS}}/where.py application-group={written}\n</Location>");
        let httpd = server(Mode::Daemon, &config).file("apps/where.py", text).expect_log("IN ").start();
        assert_eq!(httpd.get("/").status, 200);
        let line = httpd.log().wait_for("IN ");
        assert_eq!(line.rsplit_once("IN ").map(|(_, rest)| rest.trim()), Some(name), "{written}: {line}");
    }
}

#[test]
fn the_environ_of_an_access_script_is_its_own() {
    let httpd = server(Mode::Daemon, ACCESS).config("SetEnv NOT_FOR_SCRIPTS 1\nWSGIPassAuthorization On").expect_log("KEY").start();
    let request =
        Request::get("/a//b?environ").header("Authorization", "Basic eDp5").header("Proxy", "p").header("X-One", "1").header("X_Two", "2");
    assert_eq!(httpd.ask(&request).status, 200);
    let keys = httpd.log().lines_with("KEY ");
    let value = |key: &str| {
        let wanted = format!("KEY {key}=");
        keys.iter().find_map(|line| line.split_once(&wanted)).map(|(_, value)| value.to_owned())
    };
    for (key, expected) in [
        ("SCRIPT_NAME", "''"),
        ("PATH_INFO", "'/a/b'"),
        ("REQUEST_URI", "'/a//b?environ'"),
        ("QUERY_STRING", "'environ'"),
        ("HTTP_PROXY", "'p'"),
        ("HTTP_X_ONE", "'1'"),
        ("REMOTE_ADDR", "'127.0.0.1'"),
        ("mod_wsgi.process_group", "''"),
        ("mod_wsgi.application_group", "''"),
        ("mod_wsgi.version", "(6, 1, 1)"),
        ("host", "'127.0.0.1'"),
    ] {
        assert_eq!(value(key).as_deref(), Some(expected), "{key} of {keys:#?}");
    }
    for key in ["HTTP_AUTHORIZATION", "HTTP_X_TWO", "NOT_FOR_SCRIPTS", "SCRIPT_FILENAME", "wsgi.input", "wsgi.version", "REMOTE_HOST"] {
        assert_eq!(value(key), None, "{key}");
    }
    let mut names: Vec<&str> = keys.iter().filter_map(|line| Some(line.split_once("KEY ")?.1.split_once('=')?.0)).collect();
    names.sort_unstable();
    let expected = "DOCUMENT_ROOT HTTP_CONNECTION HTTP_HOST HTTP_PROXY HTTP_X_ONE PATH_INFO QUERY_STRING REMOTE_ADDR REMOTE_PORT \
        REQUEST_METHOD REQUEST_URI SCRIPT_NAME SERVER_ADDR SERVER_ADMIN SERVER_NAME SERVER_PORT SERVER_PROTOCOL SERVER_SIGNATURE \
        SERVER_SOFTWARE apache.version host mod_ssl.is_https mod_ssl.var_lookup mod_wsgi.application_group mod_wsgi.process_group \
        mod_wsgi.version wsgi.errors";
    assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
    assert!(value("wsgi.errors").is_some_and(|stream| stream.contains("<log>")));
}

#[test]
fn what_a_script_is_lent_expires() {
    let httpd = server(Mode::Embedded, &ACCESS.replace("access.wsgi\n", "access.wsgi application-group=%{GLOBAL}\n"))
        .expect_log("KEPT")
        .expect_log("SSL 0 ")
        .expect_log("SSL TypeError")
        .start();
    assert_eq!([httpd.get("/?keep").status, httpd.get("/?kept").status, httpd.get("/?ssl").status], [200; 3]);
    httpd.log().wait_for("SSL 0 ");
    for line in httpd.log().wait_for_count("KEPT", 2) {
        assert!(line.ends_with("request object has expired"), "{line}");
    }
}

#[test]
fn a_script_may_have_an_application_group_and_is_loaded_again() {
    let config = "<Location />\nWSGIAccessScript ${APPS}/gate.py application-group=%{SERVER}\n</Location>";
    let text = |answer: &str| {
        format!(
            "import mod_wsgi\ndef allow_access(environ, host):\n    assert environ['mod_wsgi.application_group'] == mod_wsgi.application_group != ''\n    return {answer}\n"
        )
    };
    let httpd = server(Mode::Embedded, config).file("apps/gate.py", &text("True")).expect_log("WSGI0057").start();
    assert_eq!(httpd.get("/").status, 200);
    httpd.folder().write("apps/gate.py", &text("False"));
    assert_eq!(httpd.get("/").status, 403);
}

#[test]
fn scripts_are_asked_where_embedded_mode_is_restricted() {
    let httpd = server(Mode::Daemon, ACCESS).config("WSGIRestrictEmbedded On").expect_log("WSGI0057").start();
    assert_eq!([httpd.get("/?true").status, httpd.get("/?false").status], [200, 403]);
}

#[test]
fn a_script_named_too_late_denies() {
    only_ours!("a request hangs whose script is named in .htaccess where Python does not run");
    let httpd = server(Mode::Daemon, "WSGIRestrictEmbedded On\n<Directory ${APPS}>\nAllowOverride AuthConfig\n</Directory>")
        .file("apps/.htaccess", "WSGIAccessScript /nowhere/access.py\n")
        .expect_log("WSGI0054")
        .expect_log("WSGI0057")
        .start();
    assert_eq!(httpd.get("/").status, 403);
}

#[test]
fn a_script_sees_the_variables_of_tls() {
    let builder = server(Mode::Daemon, ACCESS).module("ssl").module("socache_shmcb");
    let port = builder.another_port();
    let make =
        ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2", "-keyout", "key.pem", "-out", "cert.pem"];
    let made = std::process::Command::new("openssl").args(make).current_dir(builder.root()).output().expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let httpd = builder
        .config(&format!(
            "Listen 127.0.0.1:{port}\n<VirtualHost *:{port}>\nServerName localhost\nSSLEngine on\n\
             SSLCertificateFile ${{ROOT}}/cert.pem\nSSLCertificateKeyFile ${{ROOT}}/key.pem\n</VirtualHost>"
        ))
        .expect_log("SSL 1 'on' 'on'")
        .expect_log("SSL TypeError")
        .start();
    let url = format!("https://127.0.0.1:{port}/?ssl");
    let arguments = ["-s", "-k", "-o", "/dev/null", "-w", "%{http_code}"];
    let output = std::process::Command::new("curl").args(arguments).arg(url).output().expect("curl can be run");
    assert_eq!(output.stdout, b"200");
    httpd.log().wait_for("SSL TypeError");
}

#[test]
fn a_script_may_be_named_in_htaccess() {
    let httpd = server(Mode::Embedded, "<Directory ${APPS}>\nAllowOverride AuthConfig\n</Directory>");
    let script = format!("WSGIAccessScript {}/apps/access.wsgi\n", httpd.root().display());
    let httpd = httpd.file("apps/.htaccess", &script).expect_log("WSGI0057").start();
    assert_eq!([httpd.get("/?true").status, httpd.get("/?false").status], [200, 403]);
    httpd.folder().write("apps/.htaccess", "");
    assert_eq!(httpd.get("/?false").status, 200);
}

#[test]
fn scripts_are_asked_on_every_mpm() {
    for mpm in Mpm::ALL {
        let httpd = server(Mode::Daemon, ACCESS).config(BASIC).mpm(mpm).expect_log("WSGI0057").allow_log("AH01617").start();
        let ask = |target: &str, user: &str| {
            let credentials = base64(&format!("{user}:secret"));
            httpd.ask(&Request::get(target).header("Authorization", &format!("Basic {credentials}"))).status
        };
        assert_eq!([ask("/?true", "true"), ask("/?true", "false"), ask("/?false", "true")], [200, 401, 403], "{mpm:?}");
    }
}

#[test]
fn nobody_gets_in_where_python_cannot_be_started() {
    only_ours!("a Python home that is none makes httpd's children crash in a loop, and requests hang");
    let config = format!("WSGIPythonHome ${{ROOT}}/htdocs\n{ACCESS}\n{}", BASIC.replace("<Location />", "<Location /users>"));
    let httpd = server(Mode::Daemon, &config)
        .daemon_options(&format!("threads=2 python-home={}", python::usual().display()))
        .expect_log("WSGI0001")
        .expect_log("WSGI0054")
        .expect_log("WSGI0057")
        .start();
    assert_eq!(httpd.get("/?true").status, 403);
    let httpd = server(Mode::Daemon, &format!("WSGIPythonHome ${{ROOT}}/htdocs\n{BASIC}"))
        .daemon_options(&format!("threads=2 python-home={}", python::usual().display()))
        .expect_log("WSGI0001")
        .expect_log("WSGI0042")
        .start();
    assert_eq!(login(&httpd, "true", "secret").status, 500);
}

#[test]
fn a_script_decides_about_users_of_a_login_form() {
    // The second time through an alias of the provider, which brings the script along.
    for (provider, script) in [("wsgi", "WSGIAuthUserScript ${APPS}/access.wsgi"), ("mine", "")] {
        let form = format!(
            "AuthType Form\nAuthName place\nAuthFormProvider {provider}\n{script}\nSession On\nSessionCookieName session path=/\n\
             AuthFormLoginSuccessLocation /app\nAuthFormLoginRequiredLocation /form.html"
        );
        let builder = ["auth_form", "request", "session", "session_cookie"].into_iter().fold(modules(Mode::Daemon), Builder::module);
        let httpd = builder
            .mount("/app", "environ.wsgi")
            .with_app("access.wsgi")
            .config("<AuthnProviderAlias wsgi mine>\nWSGIAuthUserScript ${APPS}/access.wsgi\n</AuthnProviderAlias>")
            .config(&format!("<Location /app>\n{form}\nRequire valid-user\n</Location>"))
            .config(&format!("<Location /login>\n{form}\nSetHandler form-login-handler\n</Location>"))
            .expect_log("AH01807")
            .expect_log("AH01808")
            .start();
        let login = |user: &str, password: &str| {
            let fields = format!("httpd_username={user}&httpd_password={password}");
            httpd.ask(&Request::post("/login", fields.as_bytes()).header("Content-Type", "application/x-www-form-urlencoded"))
        };
        let sent_to =
            |answer: &Response| (answer.status, answer.header("Location").map(|url| url.rsplit('/').next().unwrap_or(url).to_owned()));
        let required = (302, Some("form.html".to_owned()));
        assert_eq!(sent_to(&httpd.get("/app")), required, "{provider}: a stranger");
        for (user, password) in [("true", "wrong"), ("false", "secret"), ("none", "secret")] {
            assert_eq!(sent_to(&login(user, password)), required, "{provider}: {user} {password}");
        }
        let answer = login("true", "secret");
        assert_eq!(sent_to(&answer), (302, Some("app".to_owned())), "{provider}");
        let cookie = answer.header("Set-Cookie").and_then(|cookie| cookie.split(';').next()).expect("a session begins").to_owned();
        let environ = httpd.ask(&Request::get("/app").header("Cookie", &cookie)).text();
        assert!(environ.contains("REMOTE_USER\tstr\t'true'"), "{provider}: {environ}");
        // What stands in the cookie is judged by the script as well, at each request.
        let forged = cookie.replace("true", "false");
        assert_eq!(sent_to(&httpd.ask(&Request::get("/app").header("Cookie", &forged))), required, "{provider}");
    }
}

#[test]
fn a_cache_of_credentials_leaves_the_decision_to_the_script() {
    for (provider, script) in [("wsgi", "WSGIAuthUserScript ${APPS}/access.wsgi"), ("mine", "")] {
        let httpd = server(Mode::Embedded, "")
            .module("authn_socache")
            .module("socache_shmcb")
            .config("AuthnCacheEnable\nAuthnCacheSOCache shmcb")
            .config("<AuthnProviderAlias wsgi mine>\nWSGIAuthUserScript ${APPS}/access.wsgi\n</AuthnProviderAlias>")
            .config(&format!(
                "<Location />\nAuthType Basic\nAuthName place\nAuthBasicProvider socache {provider}\n{script}\n\
                 AuthnCacheProvideFor {provider}\nAuthnCacheContext directory\nRequire valid-user\n</Location>"
            ))
            .allow_log("a word from the script")
            .expect_log("AH01617")
            .start();
        let statuses = [("log", "secret"), ("log", "wrong"), ("false", "secret"), ("log", "secret")];
        let statuses = statuses.map(|(user, password)| login(&httpd, user, password).status);
        assert_eq!(statuses, [200, 401, 401, 200], "{provider}");
        // A verdict is no hash of a password, so there is nothing to be kept.
        assert_eq!(httpd.log().lines_with("a word from the script").len(), 2, "{provider}");
    }
}

#[test]
fn what_a_script_decides_reaches_expressions_and_faked_credentials() {
    for mode in Mode::ALL {
        let expression = "Require expr %{REMOTE_USER} == 'true' && %{REQUEST_METHOD} == 'GET'";
        let httpd = modules(mode)
            .mount("/", "environ.wsgi")
            .with_app("access.wsgi")
            .config(&BASIC.replace("Require valid-user", expression))
            // For what stands behind httpd and wants a name of its own.
            .config("<Location /fake>\nWSGIPassAuthorization On\nAuthBasicFake \"as-%{tolower:%{REMOTE_USER}}\" other\n</Location>")
            .expect_log("AH01629")
            .start();
        let ask = |request: Request, user: &str| {
            httpd.ask(&request.header("Authorization", &format!("Basic {}", base64(&format!("{user}:secret")))))
        };
        let statuses = [("true", "GET"), ("s", "GET"), ("true", "POST")];
        let statuses = statuses.map(|(user, method)| ask(Request::new(method, "/"), user).status);
        assert_eq!(statuses, [200, 401, 401], "{mode:?}");
        let environ = ask(Request::get("/fake"), "true").text();
        assert!(environ.contains(&format!("HTTP_AUTHORIZATION\tstr\t'Basic {}'", base64("as-true:other"))), "{mode:?}: {environ}");
    }
}
