//! What `apachectl configtest` says about wrong configurations: the directive, the place, and what would be right.

use crate::harness::{Httpd, UnderTest, under_test};

/// Configurations that both refuse, with a part of the message.
const REFUSED: &[(&str, &str)] = &[
    // Arguments that are missing or too many.
    ("WSGIScriptAlias", "WSGIScriptAlias requires at least two arguments"),
    ("WSGIScriptAlias /", "WSGIScriptAlias requires at least two arguments"),
    ("WSGIScriptAliasMatch ^/", "WSGIScriptAliasMatch requires at least two arguments"),
    ("WSGIDaemonProcess", "Name of WSGI daemon process not supplied."),
    ("WSGIProcessGroup", "WSGIProcessGroup takes one argument"),
    ("WSGIProcessGroup a b", "WSGIProcessGroup takes one argument"),
    ("WSGIApplicationGroup", "WSGIApplicationGroup takes one argument"),
    ("WSGICallableObject", "WSGICallableObject takes one argument"),
    ("WSGIPythonHome", "WSGIPythonHome takes one argument"),
    // Options that are unknown or malformed.
    ("WSGIScriptAlias / /srv/app.wsgi speed=high", "Invalid option to WSGI script alias definition."),
    ("WSGIScriptAlias / /srv/app.wsgi process-group", "Invalid option to WSGI script alias definition."),
    ("WSGIScriptAlias / /srv/app.wsgi process-group=", "Invalid name for WSGI process group."),
    ("WSGIScriptAlias / /srv/app.wsgi application-group=", "Invalid name for WSGI application group."),
    ("WSGIScriptAlias / /srv/app.wsgi callable-object=", "Invalid name for WSGI callable object."),
    ("WSGIScriptAlias / /srv/app.wsgi pass-authorization=yes", "Invalid value for authorization flag."),
    ("WSGIScriptAliasMatch ^/( /srv/app.wsgi", "Regular expression could not be compiled."),
    ("WSGIDaemonProcess one speed=high", "Invalid option to WSGI daemon process definition."),
    ("WSGIDaemonProcess one two", "Invalid option to WSGI daemon process definition."),
    // Values out of range.
    ("WSGIDaemonProcess one processes=0", "Invalid process count for WSGI daemon process."),
    ("WSGIDaemonProcess one processes=-1", "Invalid process count for WSGI daemon process."),
    ("WSGIDaemonProcess one threads=-1", "Invalid thread count for WSGI daemon process."),
    ("WSGIDaemonProcess one threads=70000", "Invalid thread count for WSGI daemon process."),
    ("WSGIDaemonProcess one umask=999", "Invalid umask for WSGI daemon process."),
    ("WSGIDaemonProcess one home=relative/path", "Invalid home directory for WSGI daemon process."),
    ("WSGIDaemonProcess one maximum-requests=-1", "Invalid request count for WSGI daemon process."),
    ("WSGIDaemonProcess one graceful-timeout=-1", "Invalid graceful timeout for WSGI daemon process."),
    ("WSGIDaemonProcess one user=", "Invalid user for WSGI daemon process."),
    ("WSGIDaemonProcess one group=", "Invalid group for WSGI daemon process."),
    ("WSGIDaemonProcess one user=root", "WSGI process blocked from running as root."),
    ("WSGIDaemonProcess one threads=2\nWSGIDaemonProcess one threads=3", "Name duplicates previous WSGI daemon definition."),
    // Flags.
    ("WSGIScriptReloading maybe", "WSGIScriptReloading must be"),
    ("WSGIRestrictEmbedded maybe", "WSGIRestrictEmbedded must be"),
    ("WSGIPassAuthorization maybe", "WSGIPassAuthorization must be"),
    ("WSGIMapHEADToGET maybe", "WSGIMapHEADToGET must be"),
    // Groups that are not there, where the configuration alone tells.
    ("WSGIScriptAlias / /srv/app.wsgi process-group=none application-group=x", "WSGI process group not yet configured."),
    ("WSGIImportScript /srv/app.wsgi process-group=none application-group=x", "WSGI process group not yet configured."),
    ("WSGIImportScript /srv/app.wsgi process-group=none", "Name of WSGI application group required."),
    ("WSGIImportScript /srv/app.wsgi application-group=none", "Name of WSGI process group required."),
    // Places.
    ("<VirtualHost *>\nWSGIPythonHome /srv/venv\n</VirtualHost>", "WSGIPythonHome"),
    ("<VirtualHost *>\nWSGIPythonPath /srv/lib\n</VirtualHost>", "WSGIPythonPath"),
    ("<VirtualHost *>\nWSGIRestrictEmbedded On\n</VirtualHost>", "WSGIRestrictEmbedded"),
    ("<Directory /srv>\nWSGIPythonHome /srv/venv\n</Directory>", "WSGIPythonHome not allowed"),
    ("<Directory /srv>\nWSGIScriptAlias / /srv/app.wsgi\n</Directory>", "WSGIScriptAlias not allowed"),
    ("<Location />\nWSGIDaemonProcess one\n</Location>", "WSGIDaemonProcess not allowed"),
    // Others.
    ("WSGIPythonHashSeed soon", "WSGIPythonHashSeed must be \"random\" or an integer in range [0; 4294967295]"),
    ("WSGISwitchInterval 0", "WSGISwitchInterval must be a positive number of seconds."),
    ("WSGITrustedProxies not-an-address", "Unable to parse trusted proxy IP address/subnet"),
    ("WSGITrustedProxies 10.0.0.0/99", "Unable to parse trusted proxy IP address/subnet of \"10.0.0.0/99\"."),
    (
        "WSGIAcceptMutex spin",
        "Accept mutex lock mechanism 'spin' is invalid. Valid accept mutex mechanisms for this platform are: default, ",
    ),
    ("WSGIImportScript", "Location of import script not supplied."),
    ("WSGIImportScript /srv/app.wsgi speed=high", "Invalid option to WSGI import script definition."),
    ("WSGIImportScript /srv/app.wsgi application-group=x process-group=", "Invalid name for WSGI process group."),
    ("WSGIImportScript /srv/app.wsgi process-group=%{GLOBAL} application-group=", "Invalid name for WSGI application group."),
    ("WSGIImportScript /srv/app.wsgi process-group=%{SERVER} application-group=x", "WSGI process group not yet configured."),
    ("WSGIDispatchScript", "Location of dispatch script not supplied."),
    ("WSGIDispatchScript /srv/a.py speed=high", "Invalid option to WSGI dispatch script definition."),
    ("WSGIDispatchScript /srv/a.py application-group=", "Invalid name for WSGI application group."),
    ("WSGIHandlerScript", "Name for handler script not supplied."),
    ("WSGIHandlerScript name", "Location of handler script not supplied."),
    ("WSGIHandlerScript name /srv/a.py speed=high", "Invalid option to WSGI handler script definition."),
    ("WSGIHandlerScript name /srv/a.py callable-object=x", "Invalid option to WSGI handler script definition."),
    ("WSGIHandlerScript name /srv/a.py process-group=", "Invalid name for WSGI process group."),
    ("WSGIHandlerScript name /srv/a.py application-group=", "Invalid name for WSGI application group."),
    ("WSGIHandlerScript name /srv/a.py pass-authorization=maybe", "Invalid value for authorization flag."),
    ("<Location />\nWSGIAccessScript\n</Location>", "Location of access script not supplied."),
    ("<Location />\nWSGIAccessScript /srv/a.py speed=high\n</Location>", "Invalid option to WSGI access script definition."),
    ("<Location />\nWSGIAccessScript /srv/a.py application-group=\n</Location>", "Invalid name for WSGI application group."),
    ("<Location />\nWSGIAuthUserScript\n</Location>", "Location of auth user script not supplied."),
    ("<Location />\nWSGIAuthUserScript /srv/a.py speed=high\n</Location>", "Invalid option to WSGI auth user script definition."),
    ("<Location />\nWSGIAuthGroupScript\n</Location>", "Location of auth group script not supplied."),
    ("<Location />\nWSGIAuthGroupScript /srv/a.py speed=high\n</Location>", "Invalid option to WSGI auth group script definition."),
    ("WSGIAccessScript /srv/a.py", "WSGIAccessScript not allowed here"),
    ("<WSGIInterpreterOptions process-group=one\n</WSGIInterpreterOptions>", "<WSGIInterpreterOptions> directive missing closing '>'"),
    ("<WSGIInterpreterOptions one>\n</WSGIInterpreterOptions>", "argument 'one' is not of the form key=value"),
    (
        "<WSGIInterpreterOptions group=one>\n</WSGIInterpreterOptions>",
        "unknown selector 'group', expected process-group or application-group",
    ),
    (
        "<WSGIInterpreterOptions process-group=one process-group=two>\n</WSGIInterpreterOptions>",
        "<WSGIInterpreterOptions>: process-group given more than once",
    ),
    (
        "<WSGIInterpreterOptions application-group=one application-group=two>\n</WSGIInterpreterOptions>",
        "<WSGIInterpreterOptions>: application-group given more than once",
    ),
    ("<VirtualHost *>\n<WSGIInterpreterOptions>\n</WSGIInterpreterOptions>\n</VirtualHost>", "cannot occur within <VirtualHost> section"),
    ("WSGITelemetryService", "WSGITelemetryService"),
    ("WSGITelemetryService udp:127.0.0.1:1", "unix:/path"),
    ("WSGITelemetryService unix:/run/t interval=0.1", "WSGITelemetryService interval must be at least 0.5 seconds"),
    ("WSGITelemetryService unix:/run/t often", "WSGITelemetryService second argument must be 'interval=N'"),
    ("WSGISlowRequests -1", "WSGISlowRequests threshold must be non-negative"),
    ("WSGITelemetryOptions", "WSGITelemetryOptions: "),
    ("WSGITelemetryOptions +", "WSGITelemetryOptions: bare '+' / '-' is not a flag"),
    ("WSGITelemetryOptions +CaptureUserAgent CaptureUserAgent", "WSGITelemetryOptions: "),
    ("WSGITelemetryOptions +All", "WSGITelemetryOptions: "),
    ("WSGITelemetryOptions Some", "WSGITelemetryOptions: unknown flag 'Some'"),
    // What mod_wsgi 6 has no more.
    ("WSGILazyInitialization On", "WSGILazyInitialization"),
    ("WSGINewRelicConfigFile /etc/a.ini", "WSGINewRelicConfigFile"),
    ("WSGIDaemonProcess one proxy-buffer-size=8192", "Invalid option to WSGI daemon process definition."),
];

/// Configurations that mod_wsgi takes for something else.
const REFUSED_BY_OURS: &[(&str, &str)] = &[
    ("WSGIDaemonProcess one threads=abc", "threads"),
    ("WSGIDaemonProcess one threads=1.5", "threads"),
    ("WSGIDaemonProcess one processes=2x", "processes"),
    ("WSGIDaemonProcess one maximum-requests=often", "maximum-requests"),
    ("WSGIScriptAlias / relative/app.wsgi", "relative/app.wsgi"),
    ("WSGIScriptAlias / /srv/app.wsgi process-group=none", "none"),
    ("WSGIProcessGroup none", "none"),
    ("<Location /x>\nWSGIProcessGroup none\n</Location>", "none"),
];

/// Configurations that both accept.
const ACCEPTED: &[&str] = &[
    "WSGIScriptAlias / /srv/app.wsgi",
    "wsgiscriptalias / /srv/app.wsgi",
    "WSGIScriptAlias / \"/srv/with blank/app.wsgi\" application-group=%{GLOBAL}",
    "WSGIDaemonProcess one processes=2 threads=15 display-name=%{GROUP} maximum-requests=1000 umask=0022 lang='en_US.UTF-8' locale=C.UTF-8",
    "WSGIDaemonProcess one python-path=/srv/lib:/srv/more home=/tmp python-home=/usr",
    "WSGIDaemonProcess one\nWSGIScriptAlias / /srv/app.wsgi process-group=one application-group=%{GLOBAL}",
    "WSGIScriptAlias / /srv/app.wsgi process-group=%{GLOBAL}",
    "<VirtualHost *>\nServerName a.example\nWSGIDaemonProcess one\nWSGIProcessGroup one\nWSGIScriptAlias / /srv/app.wsgi\n</VirtualHost>",
    "<Directory /srv>\nWSGIProcessGroup %{GLOBAL}\nWSGIApplicationGroup %{GLOBAL}\nWSGICallableObject app\nWSGIPassAuthorization On\nWSGIScriptReloading off\n</Directory>",
    "WSGIPythonPath /srv/lib\nWSGIRestrictEmbedded on\nWSGIPythonOptimize 1\nWSGIDontWriteBytecode On",
    "WSGISocketPrefix run/other\nWSGIAcceptMutex default\nWSGIPythonWarnings ignore\nWSGIPythonHashSeed 42",
];

#[test]
fn wrong_configurations_are_refused() {
    let mut wrong = Vec::new();
    for (config, part) in REFUSED {
        let answer = Httpd::bare().config(config).test();
        if answer.is_ok || !answer.output.contains(part) {
            wrong.push(format!("{config}\n    should say: {part}\n    but says: {}", answer.output));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_refusal_names_directive_file_and_line() {
    only_ours!("error messages of the configuration do not always name the directive");
    let mut wrong = Vec::new();
    for (config, _) in REFUSED.iter().chain(REFUSED_BY_OURS) {
        let answer = Httpd::bare().config(config).test();
        let directive = config.split_whitespace().map(|word| word.trim_start_matches('<').trim_end_matches('>'));
        let directive = directive.into_iter().find(|word| word.starts_with("WSGI")).expect("each names one of our directives");
        // Either httpd says it, or we, of what is known only when all has been read.
        let names_place = answer.output.contains("httpd.conf:") || answer.output.contains("line ") && answer.output.contains("httpd.conf");
        if answer.is_ok || !answer.output.contains(directive) || !names_place {
            wrong.push(format!("{config}\n    says: {}", answer.output));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_mod_wsgi_misunderstands_is_refused() {
    only_ours!("numbers are read as far as they go, and relative scripts and unknown groups are accepted until a request comes");
    let mut wrong = Vec::new();
    for (config, part) in REFUSED_BY_OURS {
        let answer = Httpd::bare().config(config).test();
        if answer.is_ok || !answer.output.contains(part) {
            wrong.push(format!("{config}\n    should say: {part}\n    but says: {}", answer.output));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn usual_configurations_are_accepted() {
    let mut wrong = Vec::new();
    for config in ACCEPTED {
        let answer = Httpd::bare().config(config).test();
        if !answer.is_ok || !answer.output.contains("Syntax OK") {
            wrong.push(format!("{config}\n    says: {}", answer.output));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_identical_group_in_a_copied_virtual_host_is_the_same_group() {
    only_ours!("a copied virtual host, as certbot leaves it, is refused for the second definition of its daemon group");
    let host = |port: u16, threads: u16| {
        format!(
            "<VirtualHost *:{port}>\nServerName a.example\nWSGIDaemonProcess one threads={threads}\nWSGIScriptAlias / /srv/app.wsgi process-group=one\n</VirtualHost>\n"
        )
    };
    let same = Httpd::bare().config(&format!("{}{}", host(80, 5), host(443, 5))).test();
    assert!(same.is_ok, "{}", same.output);
    let differing = Httpd::bare().config(&format!("{}{}", host(80, 5), host(443, 6))).test();
    assert!(!differing.is_ok);
    let places = differing.output.split("httpd.conf:").skip(1).filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    assert_eq!(places.count(), 2, "both places are named: {}", differing.output);
}

#[test]
fn a_wrong_htaccess_file_is_a_500() {
    let httpd = Httpd::bare()
        .with_app("hello.wsgi")
        .config("WSGIScriptAlias / ${APPS}/hello.wsgi\n<Directory ${APPS}>\nAllowOverride FileInfo\n</Directory>")
        .file("apps/.htaccess", "WSGIScriptReloading maybe\n")
        .allow_log(".htaccess: ")
        .start();
    assert_eq!(httpd.get("/").status, 500);
    let code = if under_test() == UnderTest::Theirs { "must be one of" } else { "WSGIScriptReloading" };
    assert!(httpd.log().wait_for(".htaccess: ").contains(code));
    httpd.folder().replace("apps/.htaccess", "WSGIScriptReloading On\n");
    assert_eq!(httpd.get("/").status, 200);
    httpd.folder().replace("apps/.htaccess", "WSGIRestrictEmbedded On\n");
    assert_eq!(httpd.get("/").status, 500, "not a directive for such files");
}
