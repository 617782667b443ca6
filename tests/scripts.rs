//! Scripts as modules: under which name, from which source, loaded how often, and what is left of one that fails.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use crate::harness::{Builder, Httpd, Mode, Request, wait_until};

/// An application that shows the scripts in `sys.modules`, a line for each: its file, whether its name is that of its path, and what it
/// has that is called `half`.
const LOOKS: &str = "
import hashlib, os, sys

def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    said = []
    for name, module in list(sys.modules.items()):
        if name.startswith('_mod_wsgi_'):
            path = module.__file__
            digest = lambda path: '_mod_wsgi_' + hashlib.md5(path.encode()).hexdigest()
            said.append('%s %s %s %s' % (os.path.basename(path), name == digest(path), name == digest(path.lower()), getattr(module, 'half', None)))
    return ['\\n'.join(sorted(said)).encode()]
";

fn site(mode: Mode) -> Builder {
    Httpd::new(mode)
        .daemon_options("threads=5")
        .file("apps/Looks.wsgi", LOOKS)
        .config("WSGIScriptAlias /looks ${APPS}/Looks.wsgi\nWSGIApplicationGroup %{GLOBAL}")
}

/// An application that answers with what `expression` gives.
fn answers(expression: &str) -> String {
    format!(
        "def application(environ, start_response):\n    start_response('200 OK', [('Content-Type', 'text/plain')])\n    \
         return [ascii({expression}).encode()]\n"
    )
}

#[test]
fn a_script_is_a_module_of_its_own() {
    let script = "
import os, sys
ran = __name__ == '__main__'
same = lambda: sys.modules[__name__].__dict__ is globals()
age = lambda: __mtime__ == os.stat(__file__).st_mtime_ns // 1000
";
    for mode in Mode::ALL {
        let httpd = site(mode)
            .file("apps/own.wsgi", &format!("{script}{}", answers("(ran, same(), age(), os.listdir(os.path.dirname(__file__)))")))
            .config("WSGIScriptAlias /own ${APPS}/own.wsgi")
            .start();
        assert_eq!(httpd.get("/looks").text(), "Looks.wsgi True False None", "{mode:?}");
        let said = httpd.get("/own").text();
        assert!(said.starts_with("(False, True, True, ["), "{mode:?}: {said}");
        assert!(!said.contains("__pycache__") && !said.contains(".pyc"), "{mode:?}: {said}");
        assert_eq!(httpd.get("/looks").text(), "Looks.wsgi True False None\nown.wsgi True True None", "{mode:?}");
    }
}

#[test]
fn the_source_says_how_it_is_encoded() {
    for mode in Mode::ALL {
        let httpd = site(mode)
            .file("apps/latin.wsgi", &format!("# -*- coding: latin-1 -*-\n{}", answers("'\u{e9}'")))
            .file("apps/utf.wsgi", &answers("'\u{e9}'"))
            .config("WSGIScriptAlias /latin ${APPS}/latin.wsgi\nWSGIScriptAlias /utf ${APPS}/utf.wsgi")
            .start();
        assert_eq!(httpd.get("/latin").text(), "'\\xc3\\xa9'", "{mode:?}");
        assert_eq!(httpd.get("/utf").text(), "'\\xe9'", "{mode:?}");
    }
}

#[test]
fn nothing_is_left_of_a_script_that_cannot_be_loaded() {
    for mode in Mode::ALL {
        let httpd = site(mode)
            .file("apps/late.wsgi", "half = 'loaded'\nimport no_such_module\n")
            .config("WSGIScriptAlias /late ${APPS}/late.wsgi")
            .expect_log("WSGI0109")
            .expect_traceback("ModuleNotFoundError")
            .start();
        for _ in 0..2 {
            assert_eq!(httpd.get("/late").status, 500, "{mode:?}");
            assert_eq!(httpd.get("/looks").text(), "Looks.wsgi True False None", "{mode:?}");
        }
        httpd.folder().replace("apps/late.wsgi", &format!("half = 'whole'\n{}", answers("half")));
        assert_eq!(httpd.get("/late").text(), "'whole'", "{mode:?}: a failed load is tried again");
        assert_eq!(httpd.get("/looks").text(), "Looks.wsgi True False None\nlate.wsgi True True whole", "{mode:?}");
    }
}

#[test]
fn nothing_is_left_of_a_script_that_cannot_be_loaded_again() {
    for (broken, reason) in [("half = 'second'\n1 / 0\n", "ZeroDivisionError"), ("this is no Python\n", "SyntaxError")] {
        let httpd = site(Mode::Embedded)
            .file("apps/late.wsgi", &format!("half = 'first'\n{}", answers("half")))
            .config("WSGIScriptAlias /late ${APPS}/late.wsgi")
            .allow_log("late.wsgi")
            .expect_traceback(reason)
            .start();
        assert_eq!(httpd.get("/late").text(), "'first'");
        httpd.folder().replace("apps/late.wsgi", broken);
        assert_eq!(httpd.get("/late").status, 500);
        assert_eq!(httpd.get("/looks").text(), "Looks.wsgi True False None", "{reason}");
    }
}

#[test]
fn many_first_requests_load_a_script_once() {
    for mode in Mode::with_one_process().iter().copied() {
        let builder = site(mode)
            .for_clients(6)
            .file("apps/notes/.keep", "")
            .file(
                "apps/slow.wsgi",
                &format!(
                    "import os, time\nopen(os.path.dirname(__file__) + '/notes/loads', 'a').write('x')\ntime.sleep(1)\n{}",
                    answers("1")
                ),
            )
            .file("apps/quick.wsgi", &answers("2"))
            .config("WSGIScriptAlias /slow ${APPS}/slow.wsgi\nWSGIScriptAlias /quick ${APPS}/quick.wsgi");
        let folder = builder.root().join("apps/notes");
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).expect("the folder is ours");
        let httpd = builder.start();
        httpd.get("/looks");
        std::thread::scope(|scope| {
            let asking: Vec<_> = (0..3).map(|_| scope.spawn(|| httpd.ask(&Request::get("/slow")).text())).collect();
            wait_until(Duration::from_secs(10), || folder.join("loads").exists().then_some(())).expect("it is being loaded");
            let began = Instant::now();
            assert_eq!(httpd.get("/quick").text(), "2", "{mode:?}");
            if !differs!("a slow import makes all requests of a process wait") {
                assert!(began.elapsed() < Duration::from_millis(700), "{mode:?}: waited {:?} for another script", began.elapsed());
            }
            assert!(asking.into_iter().all(|asked| asked.join().expect("no client panics") == "1"), "{mode:?}");
        });
        assert_eq!(std::fs::read_to_string(folder.join("loads")).unwrap_or_default(), "x", "{mode:?}");
    }
}

#[test]
fn a_thread_keeps_its_own_values_between_requests() {
    let script = "
import threading
own = threading.local()
def count():
    own.count = getattr(own, 'count', 0) + 1
    return own.count, threading.current_thread() is threading.main_thread()
";
    let text = format!("{script}{}", answers("count()"));
    for group in ["%{GLOBAL}", "another"] {
        let httpd = Httpd::new(Mode::Daemon)
            .daemon_options("threads=1")
            .file("apps/local.wsgi", &text)
            .config(&format!("WSGIScriptAlias / ${{APPS}}/local.wsgi\nWSGIApplicationGroup {group}"))
            .start();
        for count in 1..=3 {
            let said = httpd.get("/").text();
            assert!(said.starts_with(&format!("({count}, ")), "{group}: {said}");
            // Of a sub-interpreter mod_wsgi takes the first thread in it for the main one.
            assert!(group != "%{GLOBAL}" || said.ends_with(", False)"), "{group}: {said}");
        }
    }
}
