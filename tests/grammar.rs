//! Each directive and each option of `WSGIDaemonProcess`: what is right, what is nonsense, and where it may stand. `docs/directives.md`
//! says which there are, and where; it is compared with the definitions in the code by a unit test, so nothing can be left out here.

use std::path::Path;

use crate::harness::{Client, Httpd, Request, UnderTest, under_test};

/// A directive with arguments that are right, and arguments that are not; nothing where all are right or all are refused.
const DIRECTIVES: &[(&str, &str, &str)] = &[
    ("WSGIScriptAlias", "/x /srv/app.wsgi", "/x"),
    ("WSGIScriptAliasMatch", "^/x /srv/app.wsgi", "^/( /srv/app.wsgi"),
    ("WSGIDaemonProcess", "one threads=2", "one threads=many"),
    ("WSGISocketPrefix", "run/other", ""),
    ("WSGISocketRotation", "Off", "maybe"),
    ("WSGIAcceptMutex", "default", "no_such_mutex"),
    ("WSGIVerboseDebugging", "Off", "maybe"),
    ("WSGIDontWriteBytecode", "On", "maybe"),
    ("WSGIPythonWarnings", "ignore", ""),
    ("WSGIPythonOptimize", "1", "much"),
    ("WSGIPythonHome", "/usr", "/usr /opt"),
    ("WSGIPythonPath", "/srv/lib", "/srv/lib /srv/more"),
    ("WSGIPythonEggs", "/srv/eggs", "/srv/eggs /srv/more"),
    ("WSGIPythonHashSeed", "42", "soon"),
    ("WSGISwitchInterval", "0.01", "0"),
    ("WSGIDestroyInterpreter", "Off", "maybe"),
    ("WSGIPerInterpreterGIL", "On", "maybe"),
    ("WSGIFreeThreading", "On", "maybe"),
    ("<WSGIInterpreterOptions>", "process-group=one", "group=one"),
    ("WSGIRestrictEmbedded", "On", "maybe"),
    ("WSGIRestrictStdin", "On", "maybe"),
    ("WSGIRestrictStdout", "On", "maybe"),
    ("WSGIRestrictSignal", "Off", "maybe"),
    ("WSGICaseSensitivity", "Off", "maybe"),
    ("WSGIRestrictProcess", "%{GLOBAL}", ""),
    ("WSGIProcessGroup", "%{GLOBAL}", "one two"),
    ("WSGIApplicationGroup", "one", "one two"),
    ("WSGICallableObject", "app", "one two"),
    ("WSGIImportScript", "/srv/app.wsgi process-group=%{GLOBAL} application-group=one", "/srv/app.wsgi"),
    ("WSGIDispatchScript", "/srv/dispatch.py", "/srv/dispatch.py speed=high"),
    ("WSGIHandlerScript", "name /srv/handler.py", "name"),
    ("WSGIPassApacheRequest", "On", "maybe"),
    ("WSGIPassAuthorization", "On", "maybe"),
    ("WSGIScriptReloading", "Off", "maybe"),
    ("WSGIErrorOverride", "On", "maybe"),
    ("WSGIChunkedRequest", "On", "maybe"),
    ("WSGIMapHEADToGET", "Auto", "maybe"),
    ("WSGIIgnoreActivity", "On", "maybe"),
    ("WSGITrustedProxyHeaders", "X-Forwarded-For", ""),
    ("WSGITrustedProxies", "10.0.0.0/8", "example.com"),
    ("WSGIEnableSendfile", "On", "maybe"),
    ("WSGIAccessScript", "/srv/access.py", "/srv/access.py speed=high"),
    ("WSGIAuthUserScript", "/srv/users.py", "/srv/users.py speed=high"),
    ("WSGIAuthGroupScript", "/srv/groups.py", "/srv/groups.py speed=high"),
    ("WSGIGroupAuthoritative", "On", "maybe"),
    ("WSGIServerMetrics", "On", "maybe"),
    ("WSGITelemetryService", "unix:/run/telemetry.sock", "udp:127.0.0.1"),
    ("WSGISlowRequests", "2.5", "often"),
    ("WSGITelemetryOptions", "All", "Some"),
    ("WSGILazyInitialization", "", "On"),
    ("WSGINewRelicConfigFile", "", "/etc/newrelic.ini"),
    ("WSGINewRelicEnvironment", "", "production"),
];

/// Stands for nonsense where any text is a value.
const ANYTHING: &str = "";

/// An option of `WSGIDaemonProcess` with a value that is right, and one that is not.
const OPTIONS: &[(&str, &str, &str)] = &[
    ("user", "nobody", "no-such-user"),
    ("group", "#65534", "no-such-group"),
    ("supplementary-groups", "#65534", "no-such-group"),
    ("processes", "2", "0"),
    ("threads", "0", "-1"),
    ("umask", "0027", "999"),
    ("chroot", "/srv", "srv"),
    ("home", "/srv", "srv"),
    ("lang", "C.UTF-8", ANYTHING),
    ("locale", "C.UTF-8", ANYTHING),
    ("python-home", "/usr", ANYTHING),
    ("python-path", "/srv/lib:/srv/more", ANYTHING),
    ("python-eggs", "/srv/eggs", ANYTHING),
    ("switch-interval", "0.01", "0"),
    ("stack-size", "1048576", "small"),
    ("maximum-requests", "1000", "-1"),
    ("startup-timeout", "10", "soon"),
    ("shutdown-timeout", "10", "-1"),
    ("deadlock-timeout", "10", "-1"),
    ("inactivity-timeout", "10", "-1"),
    ("request-timeout", "10", "-1"),
    ("interrupt-timeout", "10", "-1"),
    ("graceful-timeout", "10", "-1"),
    ("eviction-timeout", "10", "-1"),
    ("restart-interval", "10", "-1"),
    ("connect-timeout", "10", "-1"),
    ("socket-timeout", "10", "-1"),
    ("queue-timeout", "10", "-1"),
    ("listen-backlog", "10", "-1"),
    ("display-name", "%{GROUP}", ANYTHING),
    ("send-buffer-size", "8192", "100"),
    ("receive-buffer-size", "8192", "100"),
    ("header-buffer-size", "16384", "100"),
    ("response-buffer-size", "131072", "100"),
    ("response-socket-timeout", "10", "-1"),
    ("response-flush-delay", "10", "-1"),
    ("socket-user", "nobody", "no-such-user"),
    ("script-user", "nobody", "no-such-user"),
    ("script-group", "#65534", "no-such-group"),
    ("cpu-time-limit", "10", "-1"),
    ("cpu-priority", "5", "high"),
    ("memory-limit", "100000000", "-1"),
    ("virtual-memory-limit", "100000000", "-1"),
    ("server-metrics", "On", "maybe"),
    ("reload", "strict", "maybe"),
    ("queue-limit", "10", "-1"),
    ("body-spool-limit", "1048576", "-1"),
    ("response-spool-limit", "1048576", "-1"),
    ("slow-request", "2", "-1"),
    ("preload", "/srv/app.py", "app.py"),
    ("min-processes", "1", "-1"),
    ("max-processes", "3", "0"),
];

/// The first cells of the rows of the table that begins with `head`.
fn documented(head: &str) -> Vec<[String; 2]> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/directives.md")).expect("the page is there");
    let table = page.split_once(head).expect("the table is there").1;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cell = |row: &str, number: usize| row.split(" | ").nth(number).unwrap_or_default().trim_matches(['|', ' ', '`']).to_owned();
    rows.map(|row| [cell(row, 0), cell(row, 1)]).collect()
}

fn places() -> Vec<[String; 2]> {
    documented("| Directive | Where | Default | Effect | What it does |")
}

/// The lines that write a directive with arguments.
fn written(name: &str, arguments: &str) -> String {
    match name.strip_prefix('<').and_then(|name| name.strip_suffix('>')) {
        Some(container) => format!("<{container} {arguments}>\n</{container}>"),
        None => format!("{name} {arguments}"),
    }
}

/// Whether httpd accepts a configuration, and what it says.
fn tried(config: &str) -> (bool, String) {
    let answer = Httpd::bare().module("auth_basic").module("authn_core").config(config).test();
    (answer.is_ok, answer.output)
}

#[test]
fn each_directive_and_option_is_in_the_tables_of_this_file() {
    let here = |table: &[(&str, &str, &str)], ending: &str| table.iter().map(|row| format!("{}{ending}", row.0)).collect::<Vec<_>>();
    let there = |rows: Vec<[String; 2]>| rows.into_iter().map(|[name, _]| name).collect::<Vec<_>>();
    assert_eq!(here(DIRECTIVES, ""), there(places()));
    assert_eq!(here(OPTIONS, "="), there(documented("| Option | Default | Effect | What it does |")));
}

#[test]
fn nonsense_is_refused_by_each_directive() {
    only_ours!("numbers are read as far as they go, and not every directive looks at its arguments");
    let mut wrong = Vec::new();
    for (name, right, nonsense) in DIRECTIVES {
        // Those that may stand in directories only.
        let around = |text: String| {
            if text.contains("Auth") || text.contains("Access") { format!("<Directory /srv>\n{text}\n</Directory>") } else { text }
        };
        let bare = name.trim_matches(['<', '>']);
        let (is_ok, said) = tried(&around(written(name, nonsense)));
        if is_ok || !said.contains(bare) {
            wrong.push(format!("{name} {nonsense}: {said}"));
        }
        if !right.is_empty() {
            let (is_ok, said) = tried(&around(written(name, right)));
            if !is_ok {
                wrong.push(format!("{name} {right}: {said}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nonsense_is_refused_by_each_option_of_a_daemon_group() {
    only_ours!("numbers are read as far as they go, and options of ours are unknown");
    let mut wrong = Vec::new();
    for (name, right, nonsense) in OPTIONS {
        let (is_ok, said) = tried(&format!("WSGIDaemonProcess one {name}={right}"));
        if !is_ok {
            wrong.push(format!("{name}={right}: {said}"));
        }
        let nonsense = if *nonsense == ANYTHING { (*name).to_owned() } else { format!("{name}={nonsense}") };
        let (is_ok, said) = tried(&format!("WSGIDaemonProcess one {nonsense}"));
        if is_ok || !said.contains("WSGIDaemonProcess") {
            wrong.push(format!("{nonsense}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_directive_is_accepted_where_it_may_stand_only() {
    let mut wrong = Vec::new();
    for (name, right, _) in DIRECTIVES.iter().filter(|(_, right, _)| !right.is_empty()) {
        let line = written(name, right);
        let documented = places().into_iter().find(|[documented, _]| documented == name).expect("it is documented")[1].clone();
        for (place, config) in [
            ("server", line.clone()),
            ("virtual host", format!("<VirtualHost *>\nServerName a.example\n{line}\n</VirtualHost>")),
            ("directory", format!("<Directory /srv>\n{line}\n</Directory>")),
        ] {
            let may = documented.split(", ").any(|word| word == place);
            let (is_ok, said) = tried(&config);
            let says_so = said.contains("not allowed") || said.contains("cannot occur within");
            if is_ok != may || (!may && !says_so) {
                wrong.push(format!("{name} in {place}, which is {may}: {said}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_directive_is_accepted_in_htaccess_where_that_is_allowed_only() {
    let rows: Vec<_> = DIRECTIVES.iter().filter(|(name, right, _)| !right.is_empty() && !name.starts_with('<')).collect();
    let documented = places();
    let mut wrong = Vec::new();
    for class in ["FileInfo", "AuthConfig"] {
        let mut builder = Httpd::bare().module("auth_basic").module("authn_core");
        for (name, right, _) in &rows {
            builder = builder
                .file(&format!("htdocs/{name}/.htaccess"), &format!("{}\n", written(name, right)))
                .file(&format!("htdocs/{name}/file"), "content");
        }
        builder = builder.config(&format!("<Directory ${{ROOT}}/htdocs>\nAllowOverride {class}\n</Directory>"));
        let httpd = builder.allow_log("not allowed here").allow_log("cannot be asked").allow_log("WSGI0").allow_log("access.py").start();
        for (name, ..) in &rows {
            let place = &documented.iter().find(|row| row[0] == *name).expect("it is documented")[1];
            let may = place.contains(&format!(".htaccess ({class})"));
            let status = Client::connect(httpd.port()).ask(&Request::get(&format!("/{name}/file")).header("Connection", "close")).status;
            // A script that is not there denies; that the directive is refused is a 500.
            let refused = status == 500;
            if refused == may {
                wrong.push(format!("{name} in .htaccess with AllowOverride {class}: {status}, documented: {place}"));
            }
        }
    }
    let theirs = under_test() == UnderTest::Theirs;
    assert!(
        wrong.is_empty() || theirs && differs!("WSGIPassApacheRequest and others are not allowed in .htaccess"),
        "{}",
        wrong.join("\n")
    );
}
