//! The servers that are asked: the same configuration around either module, a virtual host per directive of interest.

use crate::harness::{Builder, Httpd, Mode, UnderTest};

/// What every virtual host begins with.
const COMMON: &str = "WSGIScriptAlias /app ${APPS}/probe.wsgi
    WSGIScriptAlias /deep/mount ${APPS}/probe.wsgi
    WSGIApplicationGroup %{GLOBAL}
    ";

/// Virtual hosts: name, and directives besides [`COMMON`].
const HOSTS: [(&str, &str); 32] = [
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
];

/// A server with one of the modules, in one mode.
pub(super) fn server(side: UnderTest, mode: Mode) -> Httpd {
    let mut builder = Httpd::new(mode)
        .side(side)
        .with_app("probe.wsgi")
        .file("apps/broken.wsgi", "1 / 0\n")
        .file("apps/none.wsgi", "nothing = None\n")
        .file("apps/exit.wsgi", "raise SystemExit(3)\n")
        .file("htdocs/index.html", "static\n")
        .file("htdocs/scripts/deep.wsgi", &probe())
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
    for (name, directives) in HOSTS {
        builder = builder.config(&format!("<VirtualHost *:${{PORT}}>\n    ServerName {name}\n    {COMMON}{directives}\n</VirtualHost>"));
    }
    // What either logs is compared by the rest of the suite.
    allow_all(builder).start()
}

fn allow_all(builder: Builder) -> Builder {
    builder.allow_log("")
}

fn probe() -> String {
    include_str!("../apps/probe.wsgi").to_owned()
}
