//! Configurations as others leave them on a machine: what distributions ship, and what mod_wsgi-express writes. Each loads and serves unchanged.

use std::path::PathBuf;
use std::process::Command;

use crate::access::base64;
use crate::harness::{Builder, Client, Httpd, Mode, Request, not_on_this_machine, reference, server_ids, wsgi_module};

/// What distributions ship beside the module, in the forms that they use, each with an application that tells whether it is in force.
const DISTRIBUTIONS: &[&str] = &[
    // Debian asks for the module by the name of its source file.
    "<IfModule mod_wsgi.c>\nWSGIScriptAlias / ${APPS}/hello.wsgi\n</IfModule>",
    // The same file with all that is commented out there put into force.
    "<IfModule mod_wsgi.c>\nWSGISocketPrefix ${ROOT}/run/\nWSGIPythonOptimize 0\nWSGIPythonPath ${ROOT}/lib\n\
     WSGIPassAuthorization Off\nWSGIRestrictStdin On\nWSGIRestrictStdout Off\nWSGIRestrictSignal On\nWSGIAcceptMutex default\n\
     WSGIApplicationGroup %{RESOURCE}\nWSGICaseSensitivity On\nWSGIScriptReloading On\nWSGIScriptAlias / ${APPS}/hello.wsgi\n</IfModule>",
    // Red Hat loads the module unless another package's file has done so, from a file of another name.
    "<IfModule !wsgi_module>\nLoadModule wsgi_module modules/mod_wsgi_python3.so\n</IfModule>\n\
     <IfModule wsgi_module>\nWSGIScriptAlias / ${APPS}/hello.wsgi\n</IfModule>",
    // What certbot leaves: a copy of the virtual host for the other port, under the condition that TLS is there.
    "<IfModule mod_ssl.c>\n<VirtualHost *:443>\nSSLEngine on\nWSGIProcessGroup none\n</VirtualHost>\n</IfModule>\n\
     <VirtualHost *>\nServerName localhost\nWSGIScriptAlias / ${APPS}/hello.wsgi\n</VirtualHost>",
];

/// All directives that an express configuration has, in its order and quoting, each with the value that it has by default.
const EXPRESS: &str = "WSGIVerboseDebugging 'Off'\nWSGISocketRotation Off\nWSGIDestroyInterpreter On\nWSGICallableObject 'application'\n\
    WSGIPassAuthorization On\nWSGIMapHEADToGET Auto\nWSGIServerMetrics Off\nWSGIChunkedRequest On\nWSGIErrorOverride On\nWSGIEnableSendfile On\n\
    WSGISwitchInterval 0.005\nWSGITrustedProxyHeaders X-Forwarded-For\nWSGITrustedProxies 192.0.2.1\nWSGIPythonWarnings 'ignore'\n\
    <Location /quiet>\nWSGIIgnoreActivity On\n</Location>\n\
    <Directory ${ROOT}/htdocs>\nRewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule .* - [H=wsgi-handler]\n</Directory>";

/// The daemon group of such a configuration, with every option that is written there.
const EXPRESS_GROUP: &str = "WSGIRestrictEmbedded On\n\
    WSGIDaemonProcess 'localhost:8000' \\\n    display-name='(wsgi:localhost:8000:0)' \\\n    home='${ROOT}' \\\n    threads=5 \\\n\
    maximum-requests=0 \\\n    python-path='' \\\n    python-eggs='${ROOT}/eggs' \\\n    lang='C.UTF-8' \\\n    locale='C.UTF-8' \\\n\
    listen-backlog=100 \\\n    queue-timeout=45 \\\n    socket-timeout=60 \\\n    connect-timeout=15 \\\n    request-timeout=60 \\\n\
    interrupt-timeout=0 \\\n    inactivity-timeout=0 \\\n    startup-timeout=15 \\\n    deadlock-timeout=60 \\\n    graceful-timeout=15 \\\n\
    eviction-timeout=0 \\\n    restart-interval=0 \\\n    cpu-time-limit=0 \\\n    shutdown-timeout=5 \\\n    send-buffer-size=0 \\\n\
    receive-buffer-size=0 \\\n    header-buffer-size=0 \\\n    response-buffer-size=0 \\\n    response-socket-timeout=0 \\\n\
    response-flush-delay=5 \\\n    server-metrics=Off";

/// A handler script in the form of express's, which answers through `handle_request` and says itself when it is to be reloaded.
const HANDLER: &str = "def handle_request(environ, start_response):\n    start_response('200 OK', [])\n    \
    return [environ['mod_wsgi.process_group'].encode()]\n\ndef reload_required(resource):\n    return False\n";

/// A group script that puts everybody into one group.
const GROUPS: &str = "def groups_for_user(environ, user):\n    return ['staff']\n";

#[test]
fn what_distributions_ship_serves() {
    for config in DISTRIBUTIONS {
        // `WSGIAcceptMutex` and such are of the past, and say so.
        let httpd = Httpd::bare().with_app("hello.wsgi").config(config).allow_log("WSGI").start();
        assert_eq!(httpd.get("/").status, 200, "{config}");
    }
}

#[test]
fn the_module_may_be_a_link_of_another_name() {
    for mode in Mode::ALL {
        let builder = Httpd::new(mode).app("hello.wsgi");
        let link = builder.root().join("mod_wsgi_python3.so");
        std::os::unix::fs::symlink(wsgi_module(), &link).expect("the folder is ours");
        let httpd = builder.loaded_from(link).start();
        assert_eq!(httpd.get("/").status, 200, "{mode:?}");
    }
}

#[test]
fn what_express_writes_serves_in_its_form() {
    for (mode, group) in [(Mode::Daemon, "localhost:8000"), (Mode::Embedded, "%{GLOBAL}")] {
        let names = format!("'${{ROOT}}/htdocs/handler.wsgi' \\\n    process-group='{group}' application-group=%{{GLOBAL}}");
        let httpd = Httpd::bare()
            .module("rewrite")
            .file("htdocs/handler.wsgi", HANDLER)
            .file("htdocs/static.txt", "a file\n")
            .config(if mode == Mode::Daemon { EXPRESS_GROUP } else { "" })
            .config(EXPRESS)
            .config(&format!("WSGIHandlerScript wsgi-handler {names}\nWSGIImportScript {names}"))
            .start();
        assert_eq!(httpd.get("/static.txt").text(), "a file\n", "{mode:?}");
        let answer = httpd.get("/any/path");
        assert_eq!((answer.status, answer.text().as_str()), (200, if mode == Mode::Daemon { group } else { "" }));
    }
}

/// Options of express that change what it writes, the path to ask for, and the status without and with credentials.
const OPTIONS: &[(&[&str], &str, [u16; 2])] = &[
    (&[], "/", [200, 200]),
    (&["--processes", "2", "--threads", "3", "--mount-point", "/app", "--reload-on-changes"], "/app/x", [200, 200]),
    (&["--embedded-mode", "--error-override", "--chunked-request", "--python-warnings", "ignore"], "/", [200, 200]),
    (&["--server-metrics", "--disable-reloading", "--enable-sendfile", "--ignore-activity", "/quiet"], "/quiet", [200, 200]),
    (&["--trust-proxy-header", "X-Forwarded-For", "--trust-proxy", "127.0.0.1", "--switch-interval", "0.01"], "/", [200, 200]),
    (&["--auth-user-script", "APPS/access.wsgi"], "/", [401, 200]),
    (&["--auth-user-script", "APPS/access.wsgi", "--auth-group-script", "APPS/groups.py", "--auth-group", "staff"], "/", [401, 200]),
    (&["--auth-user-script", "APPS/access.wsgi", "--auth-group-script", "APPS/groups.py", "--auth-group", "admin"], "/", [401, 401]),
    (&["--auth-user-script", "APPS/access.wsgi", "--auth-type", "Digest"], "/", [401, 401]),
    (&["--url-alias", "/scripts", "APPS", "--compress-responses", "--directory-listing"], "/scripts/access.wsgi", [200, 200]),
    (&["--server-name", "localhost", "--server-alias", "b.example", "--http2", "--server-status"], "/", [200, 200]),
    (&["--server-name", "a.example"], "/", [403, 403]),
    (&["--add-handler", ".ours", "APPS/hello.wsgi", "--error-document", "404", "/e", "--setenv", "A", "B"], "/", [200, 200]),
    (&["--application-type", "module", "--entry-point", "mod_wsgi.diagnostics.environ"], "/", [200, 200]),
    (&["--application-type", "static", "--entry-point", "APPS"], "/groups.py", [200, 200]),
    (&["--service-script", "helper", "APPS/groups.py", "--python-path", "APPS", "--maximum-requests", "1000"], "/", [200, 200]),
    (&["--proxy-mount-point", "/there/", "http://127.0.0.1:1/", "--directory-index", "index.html", "--with-cgi"], "/x", [200, 200]),
    (&["--map-head-to-get", "Off", "--orphan-interpreter", "--server-mpm", "worker"], "/", [200, 200]),
    (&["--telemetry-service", "unix:APPS/none.sock", "--telemetry-interval", "2", "--slow-requests", "5"], "/", [200, 200]),
    (&["--host-access-script", "APPS/access.wsgi"], "/?false", [403, 403]),
];

#[test]
fn what_express_writes_serves_unchanged() {
    let Some(express) = express() else {
        not_on_this_machine("mod_wsgi-express is not in .build/reference: 'make test-reference' puts it there");
        return;
    };
    for (options, path, statuses) in OPTIONS {
        let builder = Httpd::bare().with_app("hello.wsgi").with_app("access.wsgi").file("apps/groups.py", GROUPS);
        let port = builder.another_port();
        let builder = generated(builder, &express, port, options);
        let allowed = ["WSGI0057", "WSGI0060", "AH01617", "AH01630", "AH01631", "AH01781", "change monitor", "elemetry"];
        let _httpd = allowed.into_iter().fold(builder, Builder::allow_log).start();
        let ask = |request: &Request| Client::connect(port).ask(request).status;
        let plain = Request::get(path);
        let known = plain.clone().header("Authorization", &format!("Basic {}", base64("true:secret")));
        assert_eq!([ask(&plain), ask(&known)], *statuses, "{options:?}");
    }
}

/// mod_wsgi's own command, beside its module, if it can be run: in another Debian the checkout's has no Python.
fn express() -> Option<PathBuf> {
    let module = reference()?;
    let runs = |command: &PathBuf| Command::new(command).arg("module-location").output().is_ok_and(|output| output.status.success());
    module.ancestors().map(|folder| folder.join("bin/mod_wsgi-express")).find(runs)
}

/// A server with the configuration that express writes for an application, but for the lines that say who serves: user and module are the suite's.
fn generated(builder: Builder, express: &PathBuf, port: u16, options: &[&str]) -> Builder {
    let root = builder.root().display().to_string();
    let output = Command::new(express)
        .args(["setup-server", "--host", "127.0.0.1", "--port", &port.to_string(), "--locale", "C.UTF-8"])
        .args(["--server-root", &root, "--working-directory", &root, "--pid-file", &format!("{root}/run/httpd.pid")])
        .args(["--socket-prefix", &format!("{root}/run"), "--log-directory", &root, "--error-log-name", "error.log"])
        .args(options.iter().map(|option| option.replace("APPS", &format!("{root}/apps"))))
        .arg(format!("{root}/apps/hello.wsgi"))
        .output()
        .expect("it is there");
    assert!(output.status.success(), "{options:?}: {}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| std::fs::read_to_string(builder.root().join(name)).expect("express has written it");
    let (config, control) = (read("httpd.conf"), read("apachectl"));
    // Its script starts httpd with definitions, and with variables in the environment; `Define` stands for both.
    let (user, group) = server_ids();
    let mut defines = format!("Define MOD_WSGI_USER #{user}\nDefine MOD_WSGI_GROUP #{group}\n");
    for line in control.lines() {
        let arguments = line.strip_prefix("HTTPD_ARGS=").unwrap_or_default();
        for name in arguments.trim_matches('"').split(' ').filter_map(|word| word.strip_prefix("-D")) {
            defines.push_str(&format!("Define {name}\n"));
        }
        if let Some((name, value)) = line.split_once("=\"").filter(|(name, _)| name.starts_with("MOD_WSGI_") && !line.contains('$')) {
            defines.push_str(&format!("Define {name} {}\n", value.trim_matches('"')));
        }
    }
    let is_the_suites =
        |line: &str| ["User ", "Group ", "LoadModule wsgi_module "].iter().any(|start| line.trim_start().starts_with(start));
    let kept: Vec<&str> = config.lines().filter(|line| !is_the_suites(line)).collect();
    builder.preamble(&defines).config(&kept.join("\n"))
}
