//! The servers that are asked: the same configuration around either module, a virtual host per directive of interest.

use super::case::Case;
use super::doors::{self, Door, Ports};
use super::logs::Logs;
use super::scripts;
use super::transcript;
use crate::harness::{Builder, Httpd, Mode, UnderTest};

/// What every virtual host begins with.
const COMMON: &str = "WSGIScriptAlias /app ${APPS}/probe.wsgi
    WSGIScriptAlias /deep/mount ${APPS}/probe.wsgi
    WSGIApplicationGroup %{GLOBAL}
    ";

/// Virtual hosts: name, and directives besides [`COMMON`].
const HOSTS: [(&str, &str); 40] = [
    (
        "localhost",
        "ErrorDocument 404 /app/missing?e=1
    ErrorDocument 403 /app/forbidden
    RewriteEngine On
    RewriteRule ^/pt/(.*)$ /app/$1 [PT]
    RewriteRule ^/ptq/(.*)$ /app/$1?rewritten=$1 [PT,QSA]
    RewriteRule ^/env/(.*)$ /app/$1 [PT,E=FROM_REWRITE:$1]
    RewriteRule ^/handler/(.*)$ ${APPS}/probe.wsgi [H=wsgi-script]
    RewriteRule ^/moved$ /app/target [R=302]
    RewriteRule ^/gone$ - [G]
    SetEnvIf X-Marked yes MARKED=1
    <Location /denied>
        Require all denied
    </Location>
    RedirectMatch 301 ^/old/(.*)$ /app/$1",
    ),
    ("root.test", "WSGIScriptAlias / ${APPS}/probe.wsgi"),
    ("slash.test", "WSGIScriptAlias /end/ ${APPS}/probe.wsgi/"),
    ("slashes-on.test", "AllowEncodedSlashes On"),
    ("slashes-nodecode.test", "AllowEncodedSlashes NoDecode"),
    ("merge-off.test", "MergeSlashes Off"),
    ("head-on.test", "WSGIMapHEADToGET On"),
    ("head-off.test", "WSGIMapHEADToGET Off"),
    ("head-auto-deflate.test", "SetOutputFilter DEFLATE"),
    ("head-off-deflate.test", "SetOutputFilter DEFLATE\nWSGIMapHEADToGET Off"),
    (
        "override.test",
        "WSGIErrorOverride On\nErrorDocument 404 \"our own page\"\nErrorDocument 401 /app/document\nErrorDocument 503 /app/document",
    ),
    ("documents.test", "ErrorDocument 500 /app/failed\nErrorDocument 404 \"our own page\"\nErrorDocument 411 /app/length"),
    ("chunked.test", "WSGIChunkedRequest On"),
    ("pass.test", "WSGIPassAuthorization On"),
    ("cgi-pass.test", "<Location />\nCGIPassAuth On\n</Location>"),
    (
        "auth.test",
        "<Location />
        AuthType Basic
        AuthName closed
        AuthUserFile ${ROOT}/users
        Require valid-user
    </Location>
    ErrorDocument 401 /app/document",
    ),
    (
        "proxies.test",
        "WSGITrustedProxyHeaders X-Forwarded-For X-Forwarded-Host X-Forwarded-Server X-Forwarded-Port X-Script-Name X-Forwarded-Proto X-Forwarded-SSL",
    ),
    ("proxies-few.test", "WSGITrustedProxyHeaders X-Forwarded-For X-Forwarded-Scheme"),
    ("proxies-real-ip.test", "WSGITrustedProxyHeaders X-Real-IP X-Client-IP X-Host X-HTTPS X-Forwarded-Script-Name"),
    (
        "proxies-list.test",
        "WSGITrustedProxies 127.0.0.1 10.0.0.0/8
    WSGITrustedProxyHeaders X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-Script-Name X-Forwarded-Port",
    ),
    (
        "proxies-untrusted.test",
        "WSGITrustedProxies 10.0.0.0/8\nWSGITrustedProxyHeaders X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-Script-Name",
    ),
    (
        "headers.test",
        "Header set X-Set by-httpd
    Header append X-From-App appended
    Header unset X-Unwanted
    Header always set X-Always here
    Header edit X-Edited ^a b
    RequestHeader set X-Request-Set by-httpd
    RequestHeader unset X-Request-Unset
    RequestHeader append X-Request-Append more",
    ),
    (
        "env.test",
        "SetEnv HTTPS on
    SetEnv PATH /usr/evil
    SetEnv REMOTE_USER preset
    SetEnv SCRIPT_NAME wrong
    SetEnv wsgi.url_scheme ftp
    SetEnv wsgi.multithread x
    SetEnv mod_wsgi.process_group other
    SetEnv mod_wsgi.custom value
    SetEnv HTTP_X_PRESET preset
    SetEnv HTTP_HOST preset
    SetEnv CONTENT_LENGTH 12
    SetEnv my.key with.dots
    SetEnv EMPTY
    SetEnv LATIN caf\u{e9}
    SetEnv apache.version x
    SetEnv GATEWAY_INTERFACE CGI/1.1
    SetEnv LD_LIBRARY_PATH /x
    SetEnv REMOTE_IDENT x
    SetEnv PATH_TRANSLATED x
    SetEnv SERVER_SIGNATURE x
    SetEnv wsgi.custom x
    SetEnv wsgi.version x
    SetEnv wsgi.file_wrapper x
    SetEnv wsgi.input_terminated x
    SetEnv mod_wsgi.version x
    SetEnv mod_wsgi.x-hidden x
    SetEnv mod_wsgi.thread_id x
    SetEnv REMOTE_HOST host.example
    SetEnv AUTH_TYPE Preset
    SetEnv DOCUMENT_ROOT /preset
    PassEnv LANG",
    ),
    ("https-1.test", "SetEnv HTTPS 1"),
    ("https-off.test", "SetEnv HTTPS off"),
    ("canonical.test", "UseCanonicalName On\nServerAlias alias.test\nServerAdmin admin@example.com\nUseCanonicalPhysicalPort On"),
    ("limit.test", "LimitRequestBody 100\nWSGIChunkedRequest On"),
    ("sendfile.test", "WSGIEnableSendfile On\nEnableSendfile On"),
    ("unsafe.test", "HttpProtocolOptions Unsafe\nWSGIChunkedRequest On"),
    (
        "current-uri.test",
        "<Location />\nCGIVar REQUEST_URI current-uri\n</Location>\nRewriteEngine On\nRewriteRule ^/pt/(.*)$ /app/$1 [PT]",
    ),
    ("path-info.test", "<Location />\nAcceptPathInfo Off\n</Location>"),
    (
        "callable.test",
        "WSGIScriptAlias /none ${APPS}/none.wsgi\nWSGIScriptAlias /broken ${APPS}/broken.wsgi\nWSGIScriptAlias /exit ${APPS}/exit.wsgi",
    ),
    ("remoteip.test", "RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy 127.0.0.1 10.0.0.0/8"),
    (
        "remoteip-and-proxies.test",
        "RemoteIPHeader X-Forwarded-For
    RemoteIPInternalProxy 127.0.0.1
    WSGITrustedProxies 10.0.0.0/8
    WSGITrustedProxyHeaders X-Forwarded-For X-Forwarded-Proto",
    ),
    (
        "subs.test",
        "WSGIScriptAlias /callable-none ${APPS}/none.wsgi
    FallbackResource /app/fallback
    <Directory ${ROOT}/htdocs/pages>
        Options +Includes
        AddOutputFilter INCLUDES .shtml
        DirectoryIndex index.shtml
        Action probed /app/action
        AddHandler probed .action
    </Directory>
    <Directory ${ROOT}/htdocs/scripts>
        Options +MultiViews
        DirectoryIndex deep.wsgi
    </Directory>
    <Directory ${ROOT}/htdocs/front>
        RewriteEngine On
        RewriteCond %{REQUEST_FILENAME} !-f
        RewriteRule ^(.*)$ /app/$1 [QSA,PT,L]
    </Directory>
    <Directory ${ROOT}/htdocs/back>
        RewriteEngine On
        RewriteRule ^(.*)$ /scripts/deep.wsgi/$1?back=$1 [QSA,L]
    </Directory>
    <Directory ${ROOT}/htdocs/empty>
        FallbackResource disabled
        DirectoryIndex nothing.html /app/index
    </Directory>",
    ),
    (
        "own-log.test",
        "ErrorLog own.log
    WSGIScriptAlias /none ${APPS}/none.wsgi
    WSGIScriptAlias /broken ${APPS}/broken.wsgi
    WSGIScriptAlias /exit ${APPS}/exit.wsgi
    WSGIScriptAliasMatch ^/odd/([a-z-]+) ${APPS}/odd/$1.wsgi",
    ),
    ("proxies-scheme.test", "WSGITrustedProxyHeaders x-scheme X-Forwarded-HTTPS X-Forwarded-Proto"),
    ("proxies-order.test", "WSGITrustedProxyHeaders X-Forwarded-Proto X-Scheme X-Real-IP X-Forwarded-For X-Host X-Forwarded-Host"),
    (
        "proxies-six.test",
        "WSGITrustedProxies 127.0.0.0/8 ::1 2001:db8::/32
    WSGITrustedProxyHeaders X-Forwarded-For X-Forwarded-Server X-Forwarded-Port X-Host X-Unheard-Of",
    ),
    (
        "proxies-inner.test",
        "WSGITrustedProxies 10.0.0.0/8
    WSGITrustedProxyHeaders X-Forwarded-For
    <Location /app>
        WSGITrustedProxies 127.0.0.1
        WSGITrustedProxyHeaders X-Forwarded-Proto
    </Location>",
    ),
];

/// The servers of one module in one mode.
pub(super) struct Site {
    /// Where nearly everything is asked.
    main: Httpd,
    ports: Ports,
    /// `WSGICaseSensitivity Off`, which is for a whole server.
    folding: Httpd,
}

impl Site {
    /// Starts them.
    pub(super) fn start(side: UnderTest, mode: Mode) -> Self {
        let (builder, ports) = main(side, mode);
        let folding = plain(side, mode)
            .config("WSGICaseSensitivity Off\nWSGIScriptAlias /App ${APPS}/probe.wsgi\nWSGIScriptAlias /lower ${APPS}/Mixed.wsgi")
            .file("apps/Mixed.wsgi", &probe());
        Self { main: builder.start(), ports, folding: folding.start() }
    }

    /// Asks one thing; the answer as lines that can be compared, and those that it leaves in the log where they count.
    pub(super) fn ask(&self, case: &Case) -> Vec<String> {
        let httpd = if case.door == Door::Folding { &self.folding } else { &self.main };
        let logs = case.is_logged.then(|| Logs::here(httpd));
        let port = self.ports.of(case.door).unwrap_or_else(|| httpd.port());
        let mut lines = match case.door {
            Door::Tls | Door::TlsHttp2 | Door::Http2 => {
                let (method, target, headers, body) = case.parts();
                let (said, end) = doors::curl(case.door, port, method, target, &headers, body);
                // What curl shows of a stream that is reset behind its head is a matter of moments.
                let said = if end == "cut short" && case.door != Door::Tls { &[] } else { said.as_slice() };
                transcript::lines(said, &end, case.methods())
            }
            _ => transcript::converse(port, &case.octets(), case.then_shut, case.methods()),
        };
        lines.extend(logs.map(|logs| logs.news(httpd)).unwrap_or_default());
        let root = httpd.root().display().to_string();
        let ports = [httpd.port()].into_iter().chain(self.ports.all()).map(|port| port.to_string()).collect::<Vec<_>>();
        let common = |line: String| ports.iter().fold(line.replace(&root, "ROOT"), |line, port| without(&line, port));
        lines.into_iter().map(common).collect()
    }
}

/// A line with the word PORT for each port: the same digits within a longer word, such as a digest, are no port.
fn without(line: &str, port: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, behind)) = rest.split_once(port) {
        let joins = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        text.push_str(before);
        let is_within = joins(text.chars().next_back()) || joins(behind.chars().next());
        text.push_str(if is_within { port } else { "PORT" });
        rest = behind;
    }
    text + rest
}

fn main(side: UnderTest, mode: Mode) -> (Builder, Ports) {
    let mut builder = plain(side, mode)
        .file("apps/broken.wsgi", "1 / 0\n")
        .file("apps/none.wsgi", "nothing = None\n")
        .file("apps/exit.wsgi", "raise SystemExit(3)\n")
        .file("htdocs/index.html", "static\n")
        .file("htdocs/scripts/deep.wsgi", &probe())
        .file("htdocs/pages/index.shtml", "<!--#include virtual=\"/app/included/a%20b?q=1\" -->")
        .file("htdocs/pages/two.shtml", "<!--#include virtual=\"/app/one\" -->|<!--#include virtual=\"/scripts/deep.wsgi/two\" -->")
        .file("htdocs/pages/missing.shtml", "<!--#include virtual=\"/callable-none\" -->|")
        .file("htdocs/pages/thing.action", "not shown\n")
        .file("htdocs/empty/.keep", "")
        .file("htdocs/front/there.txt", "there\n")
        .file("htdocs/back/there.txt", "there\n")
        // The password is "secret".
        .file("users", "ada:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n")
        .environment("LANG", "C.UTF-8")
        .config("FileETag None\nTimeout 3\nKeepAliveTimeout 1\nServerSignature Off\nServerTokens Prod\nUseCanonicalName Off")
        .config(
            "<Directory ${ROOT}/htdocs/scripts>
    Options ExecCGI
    AddHandler wsgi-script .wsgi
    WSGIApplicationGroup %{GLOBAL}
</Directory>",
        );
    for module in ["headers", "rewrite", "deflate", "filter", "auth_basic", "authn_core", "authn_file", "authz_user"] {
        builder = builder.module(module);
    }
    for module in ["remoteip", "include", "negotiation", "actions"] {
        builder = builder.module(module);
    }
    for (name, directives) in HOSTS {
        builder = builder.config(&format!("<VirtualHost *:${{PORT}}>\n    ServerName {name}\n    {COMMON}{directives}\n</VirtualHost>"));
    }
    Ports::open(scripts::add(builder), COMMON)
}

fn plain(side: UnderTest, mode: Mode) -> Builder {
    // What either logs is compared where a case asks for it, and by the rest of the suite.
    Httpd::new(mode).side(side).with_app("probe.wsgi").allow_log("")
}

fn probe() -> String {
    include_str!("../apps/probe.wsgi").to_owned()
}
