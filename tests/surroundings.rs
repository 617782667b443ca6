//! What an application finds around it in the server: the module `mod_wsgi` and a package of its name, callbacks and their order.

use crate::harness::{Builder, Httpd, Mode};

/// A script at `/` in the main interpreter, from its text.
fn site(mode: Mode, script: &str) -> Builder {
    let server = Httpd::new(mode).daemon_options("threads=2").file("apps/site.wsgi", script);
    // What is there before the configuration's own paths are: mod_wsgi looks for the package so early.
    let library = server.root().join("lib").display().to_string();
    server.environment("PYTHONPATH", &library).config("WSGIApplicationGroup %{GLOBAL}\nWSGIScriptAlias / ${APPS}/site.wsgi")
}

/// Answers with what a function `tell(environ)` gives.
const TELL: &str = "\ndef application(environ, start_response):\n    text = str(tell(environ))\n    start_response('200 OK', [])\n    \
                    return [text.encode()]\n";

#[test]
fn a_package_of_the_same_name_lends_its_submodules() {
    let script = format!(
        "try:\n    import mod_wsgi\n    from mod_wsgi.part import value\nexcept ImportError:\n    mod_wsgi = None\n\
         def tell(environ):\n    return value, mod_wsgi.version, hasattr(mod_wsgi, 'of_the_package'), hasattr(mod_wsgi, 'process_group')\n{TELL}"
    );
    for mode in Mode::ALL {
        let httpd = site(mode, &script)
            .file("lib/mod_wsgi/__init__.py", "of_the_package = True\nversion = 'another'\n")
            .file("lib/mod_wsgi/part.py", "value = 42\n")
            .log_level("warn wsgi:info")
            .start();
        assert_eq!(httpd.get("/").text(), "(42, (6, 1, 1), False, True)", "{mode:?}");
        httpd.log().wait_for("Imported existing 'mod_wsgi' Python extension module.");
    }
}

#[test]
fn a_package_that_is_broken_is_told_and_ignored() {
    let script = format!("import mod_wsgi\ndef tell(environ):\n    return mod_wsgi.version\n{TELL}");
    for mode in Mode::ALL {
        let httpd = site(mode, &script)
            .file("lib/mod_wsgi/__init__.py", "raise LookupError('of the package')\n")
            .expect_traceback("LookupError: of the package")
            .expect_log("WSGI0188")
            .start();
        assert_eq!(httpd.get("/").text(), "(6, 1, 1)", "{mode:?}");
    }
}

#[test]
fn the_module_apache_tells_of_the_server() {
    let script = format!(
        "import apache\ndef tell(environ):\n    return [apache.version == environ['apache.version'], apache.description.startswith('Apache/2.4'), \
         apache.mpm_name, bool(apache.build_date), apache.maximum_processes >= 1, apache.threads_per_process >= 1]\n{TELL}"
    );
    for mode in Mode::ALL {
        let httpd = site(mode, &script).start();
        let name = crate::harness::usual_mpm().name();
        assert_eq!(httpd.get("/").text(), format!("[True, True, '{name}', True, True, True]"), "{mode:?}");
    }
}

#[test]
fn callbacks_are_listed_as_they_come() {
    let script = format!(
        "import mod_wsgi\ndef cb(name, **payload):\n    pass\n\
         same = [f(x) is x for f in (mod_wsgi.subscribe_events, mod_wsgi.subscribe_shutdown) for x in (cb, cb, 'no callable')]\n\
         kept = [mod_wsgi.event_callbacks == [cb, cb, 'no callable'], mod_wsgi.shutdown_callbacks == [cb, cb, 'no callable']]\n\
         mod_wsgi.event_callbacks[:] = [cb]\ndel mod_wsgi.shutdown_callbacks[:]\n\
         def tell(environ):\n    return all(same), all(kept), len(mod_wsgi.event_callbacks), len(mod_wsgi.shutdown_callbacks)\n{TELL}"
    );
    for mode in Mode::ALL {
        let httpd = site(mode, &script).start();
        assert_eq!(httpd.get("/").text(), "(True, True, 1, 0)", "{mode:?}");
    }
}

/// Notes events, and what a request may do to them.
const EVENTS: &str = "\
import mod_wsgi
heard = []

@mod_wsgi.subscribe_events
def first(name, **payload):
    heard.append((name, payload.get('status'), type(payload.get('exception_info')).__name__))
    if name == 'request_started' and payload['request_environ']['PATH_INFO'] == '/replaced':
        return {'application_object': replacement, 'mine': 1}
    if name == 'request_started' and payload['request_environ']['PATH_INFO'] == '/failing':
        raise ValueError('in a callback')
    if name == 'request_started' and payload['request_environ']['PATH_INFO'] == '/exiting':
        raise SystemExit('in a callback')
    return 'ignored'

@mod_wsgi.subscribe_events
def second(name, **payload):
    if payload.get('mine'):
        heard.append((name, 'mine', payload['application_object'] is replacement))

def replacement(environ, start_response):
    start_response('200 OK', [])
    return [b'replaced']

def application(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/heard':
        text = '\\n'.join(map(repr, heard)).encode()
        heard.clear()
        start_response('200 OK', [])
        return [text]
    if path == '/raise':
        raise KeyError('deliberately')
    if path == '/late':
        return late(start_response)
    start_response('200 OK', [])
    return [b'as it is']

def late(start_response):
    start_response('201 Created', [])
    yield b'some'
    raise KeyError('deliberately')
";

#[test]
fn events_come_in_order_and_let_the_application_be_replaced() {
    for mode in Mode::ALL {
        let httpd = site(mode, EVENTS)
            .expect_traceback("KeyError: 'deliberately'")
            .expect_log("WSGI0112")
            .expect_log("WSGI0190")
            .allow_log("in a callback")
            .start();
        let heard = |path: &str| {
            httpd.get("/heard");
            let answer = httpd.get(path);
            // What this request itself has heard begins with its own start, behind the end of the one that cleared the list.
            let lines = httpd.get("/heard").text();
            let mut lines: Vec<_> = lines.lines().map(str::to_owned).collect();
            let rest = lines.split_off(2);
            assert_eq!(lines, ["('response_started', None, 'NoneType')", "('request_finished', 200, 'NoneType')"], "{mode:?} {path}");
            let mut lines = rest;
            assert_eq!(lines.pop().as_deref(), Some("('request_started', None, 'NoneType')"), "{mode:?} {path}");
            (answer.status, answer.text(), lines)
        };
        let started = "('request_started', None, 'NoneType')".to_owned();
        let answered = "('response_started', None, 'NoneType')".to_owned();
        let finished = |status: u16| format!("('request_finished', {status}, 'NoneType')");
        let raised = "('request_exception', None, 'tuple')".to_owned();

        let (status, text, lines) = heard("/plain");
        assert_eq!((status, text.as_str()), (200, "as it is"), "{mode:?}");
        assert_eq!(lines, [started.clone(), answered.clone(), finished(200)], "{mode:?}");

        let (_, text, lines) = heard("/replaced");
        let replaced = "('request_started', 'mine', True)".to_owned();
        assert_eq!(text, "replaced", "{mode:?}");
        assert_eq!(lines, [started.clone(), replaced, answered.clone(), finished(200)], "{mode:?}");

        let (status, _, lines) = heard("/raise");
        assert_eq!((status, lines), (500, vec![started.clone(), raised.clone(), finished(500)]), "{mode:?}");
        let (_, _, lines) = heard("/late");
        assert_eq!(lines, [started.clone(), answered.clone(), raised, finished(201)], "{mode:?}");

        for path in ["/failing", "/exiting"] {
            let (status, text, lines) = heard(path);
            assert_eq!((status, text.as_str()), (200, "as it is"), "{mode:?} {path}");
            assert_eq!(lines, [started.clone(), answered.clone(), finished(200)], "{mode:?} {path}");
        }
    }
}

#[test]
fn signals_are_subscribed_to_in_daemon_mode_only() {
    let script = format!(
        "import mod_wsgi\ndef cb(name, **payload):\n    pass\nreturned = mod_wsgi.subscribe_signals(cb) is cb\n\
         def tell(environ):\n    return returned, len(mod_wsgi.signal_callbacks)\n{TELL}"
    );
    for (mode, count) in [(Mode::Embedded, 0), (Mode::Daemon, 1)] {
        let httpd = site(mode, &script).log_level("warn wsgi:info").start();
        assert_eq!(httpd.get("/").text(), format!("(True, {count})"), "{mode:?}");
        if mode == Mode::Embedded {
            httpd.log().wait_for("mod_wsgi.subscribe_signals() called outside daemon mode");
        }
    }
}

#[test]
fn a_process_that_an_application_forks_may_handle_signals() {
    let script = format!(
        "import os, signal\ndef tell(environ):\n    pid = os.fork()\n    if pid == 0:\n        try:\n            \
         signal.signal(signal.SIGUSR1, signal.SIG_IGN)\n            os._exit(0 if signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN else 1)\n        \
         except ValueError:\n            # Python's own rule for threads other than the main one, which a fork makes its main one.\n            \
         os._exit(2)\n        finally:\n            os._exit(3)\n    \
         return signal.signal(signal.SIGUSR1, signal.SIG_IGN) == signal.SIG_IGN, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n{TELL}"
    );
    let httpd = site(Mode::Daemon, &script).start();
    assert_eq!(httpd.get("/").text(), "(True, 0)");
}
