//! What is loaded before anybody asks: `WSGIImportScript`, and a `WSGIScriptAlias` that names both of its groups.

use std::time::Duration;

use crate::harness::{Builder, Httpd, Mode, wait_until};

/// Says when and where it is executed; as an application, where it was.
const SCRIPT: &str = "import mod_wsgi, os, sys\n\
    print(f'executed {os.path.basename(__file__)} in {mod_wsgi.process_group!r} {mod_wsgi.application_group!r}', file=sys.stderr)\n\
    loaded_in, count = os.getpid(), 0\n\
    def application(environ, start_response):\n\
    \x20   global count\n\
    \x20   count += 1\n\
    \x20   start_response('200 OK', [])\n\
    \x20   return [f'{loaded_in == os.getpid()} {count} {mod_wsgi.application_group}'.encode()]\n";

/// The configuration's name of the place where the applications of this mode are.
fn group(mode: Mode) -> &'static str {
    if mode == Mode::Daemon { "test" } else { "%{GLOBAL}" }
}

fn server(mode: Mode) -> Builder {
    Httpd::new(mode)
        .daemon_options("processes=1 threads=2")
        .file("apps/one.wsgi", SCRIPT)
        .file("apps/two.wsgi", SCRIPT)
        .allow_log("executed ")
}

/// Waits until the log has the lines, which is so before a request: nobody has sent one that leads to a script.
fn executed(httpd: &Httpd, count: usize) -> Vec<String> {
    let lines = || httpd.log().lines_with("executed ");
    let told = wait_until(Duration::from_secs(10), || Some(lines()).filter(|lines| lines.len() >= count)).unwrap_or_else(lines);
    told.iter().filter_map(|line| line.split_once("executed ")).map(|(_, rest)| rest.to_owned()).collect()
}

#[test]
fn scripts_are_imported_in_their_order_before_the_first_request() {
    for mode in Mode::ALL {
        let (group, name) = (group(mode), if mode == Mode::Daemon { "'test'" } else { "''" });
        let httpd = server(mode)
            .config("WSGIDaemonProcess other processes=1 threads=1")
            .config(&format!("WSGIImportScript ${{APPS}}/two.wsgi process-group={group} application-group=named"))
            .config(&format!("WSGIScriptAlias /one ${{APPS}}/one.wsgi process-group={group} application-group=%{{GLOBAL}}"))
            .config(&format!(
                "WSGIScriptAlias /two ${{APPS}}/two.wsgi process-group={group}\n<Location /two>\nWSGIApplicationGroup named\n</Location>"
            ))
            .start();
        let lines = executed(&httpd, 2);
        // httpd may have more than one child by now, each of which has executed both.
        assert_eq!(lines[..2], [format!("two.wsgi in {name} 'named'"), format!("one.wsgi in {name} ''")], "{mode:?}");
        assert!(
            lines.iter().all(|line| line.ends_with(&format!("in {name} 'named'")) || line.ends_with(&format!("in {name} ''"))),
            "{lines:?}"
        );
        let executed_before = lines.len();
        // It is the module that requests find.
        assert_eq!(httpd.get("/two").text(), "True 1 named", "{mode:?}");
        assert_eq!(httpd.get("/one").text(), "True 1 ", "{mode:?}");
        if mode == Mode::Daemon {
            assert_eq!(httpd.log().lines_with("executed ").len(), executed_before);
        }
    }
}

#[test]
fn an_alias_is_loaded_before_only_if_both_its_groups_are_plain() {
    for mode in Mode::ALL {
        let group = group(mode);
        let httpd = server(mode)
            .config(&format!("WSGIScriptAlias /one ${{APPS}}/one.wsgi process-group={group}"))
            .config(&format!("WSGIScriptAlias /env ${{APPS}}/one.wsgi process-group={group} application-group=%{{ENV:NAME}}"))
            .config(&format!("WSGIScriptAliasMatch ^/match/(.*) ${{APPS}}/$1.wsgi process-group={group} application-group=matched"))
            .config(&format!("WSGIScriptAliasMatch ^/two ${{APPS}}/two.wsgi process-group={group} application-group=two"))
            .start();
        executed(&httpd, 1);
        // What is loaded at all is loaded one after the other.
        std::thread::sleep(Duration::from_millis(300));
        let lines = executed(&httpd, 1);
        assert!(!lines.is_empty() && lines.iter().all(|line| line.starts_with("two.wsgi")), "{mode:?}: {lines:?}");
        assert_eq!(httpd.get("/match/one").text(), "True 1 matched", "{mode:?}");
    }
}

#[test]
fn a_script_that_cannot_be_imported_is_told_and_keeps_nobody_from_serving() {
    for mode in Mode::ALL {
        for (text, code, reason) in [
            ("no Python at all\n", "WSGI0106", "SyntaxError"),
            ("raise SystemExit(1)\n", "WSGI0108", "SystemExit: 1"),
            ("1 / 0\n", "WSGI0110", "ZeroDivisionError"),
        ] {
            let httpd = server(mode)
                .file("apps/bad.py", text)
                .config(&format!("WSGIImportScript ${{APPS}}/bad.py process-group={} application-group=%{{GLOBAL}}", group(mode)))
                .config("WSGIScriptAlias / ${APPS}/one.wsgi application-group=%{GLOBAL}")
                .expect_traceback("")
                .allow_log(reason)
                .expect_log(code)
                .allow_log("bad.py")
                .start();
            httpd.log().wait_for(code);
            assert_eq!(httpd.get("/").text(), "True 1 ", "{mode:?} {text}");
        }
    }
}

#[test]
fn what_is_preloaded_must_be_within_reach() {
    let host = |name: &str, text: &str| format!("<VirtualHost *>\n{name}\n{text}\n</VirtualHost>\n");
    let group = "WSGIDaemonProcess one threads=1";
    for script in ["WSGIImportScript", "WSGIScriptAlias /x"] {
        let script = format!("{script} /srv/app.wsgi process-group=one application-group=named");
        for (first, second, said) in [
            ("ServerName a.example", "ServerName a.example", None),
            ("ServerName a.example", "ServerName b.example", Some("WSGI process group not accessible.")),
            ("ServerName a.example", "", Some("WSGI process group not matchable.")),
            ("", "ServerName b.example", Some("WSGI process group not matchable.")),
        ] {
            let answer = Httpd::bare().config(&format!("{}{}", host(first, group), host(second, &script))).test();
            assert_eq!(answer.is_ok, said.is_none(), "{first} | {second}: {}", answer.output);
            assert!(answer.output.contains(said.unwrap_or("Syntax OK")), "{first} | {second}: {}", answer.output);
        }
        let answer = Httpd::bare().config(&format!("{script}\n{group}")).test();
        assert!(!answer.is_ok && answer.output.contains("WSGI process group not yet configured."), "{}", answer.output);
    }
}
