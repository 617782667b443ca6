//! What happens when a script changes under a running server.

use std::time::Duration;

use crate::harness::{Builder, Httpd, Load, Mode, Request, wait_until};

/// A script that answers with its version.
fn version(number: u32) -> String {
    format!(
        "def application(environ, start_response):\n    start_response('200 OK', [('Content-Type', 'text/plain')])\n    return [b'version {number}']\n"
    )
}

fn versioned(mode: Mode) -> Builder {
    Httpd::new(mode).file("apps/version.wsgi", &version(1)).config("WSGIScriptAlias / ${APPS}/version.wsgi")
}

/// Waits until the application answers so.
#[track_caller]
fn wait_for_answer(httpd: &Httpd, text: &str) {
    let found = wait_until(Duration::from_secs(10), || (httpd.get("/").text() == text).then_some(()));
    assert!(found.is_some(), "'{text}' is not answered: '{}'\n{}", httpd.get("/").text(), httpd.log().tail());
}

#[test]
fn a_changed_script_is_served_without_a_restart_of_httpd() {
    for mode in Mode::ALL {
        let httpd = versioned(mode).start();
        let parent = httpd.parent().pid;
        assert_eq!(httpd.get("/").text(), "version 1");
        for number in 2..4 {
            httpd.folder().replace("apps/version.wsgi", &version(number));
            wait_for_answer(&httpd, &format!("version {number}"));
        }
        assert_eq!(httpd.parent().pid, parent);
    }
}

#[test]
fn no_request_fails_while_the_code_changes() {
    for mode in Mode::ALL {
        let httpd = versioned(mode).daemon_options("processes=2 threads=5").start();
        httpd.get("/");
        let load = Load::start(httpd.port(), 10, "/", |answer| answer.text().starts_with("version "));
        load.wait_for(50);
        for number in 2..7 {
            httpd.folder().replace("apps/version.wsgi", &version(number));
            wait_for_answer(&httpd, &format!("version {number}"));
            load.wait_for(50);
        }
        let account = load.stop();
        assert_eq!(account.failures, Vec::<String>::new(), "{mode:?}, beside {} good ones", account.good);
    }
}

/// A stream of `letter` that ends when a file `end` lies beside the script; `close()` says so in the log.
fn stream(letter: char) -> String {
    format!(
        "import os, time\n\n\
         class Stream:\n\
         \x20   def __init__(self, errors):\n\
         \x20       self.errors = errors\n\
         \x20   def __iter__(self):\n\
         \x20       yield b'{letter}'\n\
         \x20       while not os.path.exists(os.path.join(os.path.dirname(__file__), 'end')):\n\
         \x20           time.sleep(0.02)\n\
         \x20           yield b'.'\n\
         \x20       yield b'end'\n\
         \x20   def close(self):\n\
         \x20       print('closed {letter}', file=self.errors)\n\n\
         def application(environ, start_response):\n\
         \x20   start_response('200 OK', [('Content-Type', 'text/plain')])\n\
         \x20   return Stream(environ['wsgi.errors']) if environ['PATH_INFO'] == '/stream' else [b'{letter}']\n"
    )
}

#[test]
fn close_is_called_once_for_what_is_under_way_while_the_code_changes() {
    for mode in Mode::ALL {
        if mode == Mode::Daemon && differs!("a process that is replaced cuts its streams off after a few seconds") {
            continue;
        }
        let httpd = Httpd::new(mode)
            .file("apps/stream.wsgi", &stream('a'))
            .config("WSGIScriptAlias / ${APPS}/stream.wsgi")
            .allow_log("closed")
            .allow_log("AH0")
            .start();
        let (mut stays, mut leaves) = (httpd.connect(), httpd.connect());
        for client in [&mut stays, &mut leaves] {
            client.request(&Request::get("/stream").header("Connection", "close"));
            assert_eq!(client.head().status, 200);
            // What follows soon may come along.
            assert!(client.chunk().is_some_and(|chunk| chunk.starts_with(b"a")), "{mode:?}");
        }
        httpd.folder().replace("apps/stream.wsgi", &stream('b'));
        wait_for_answer(&httpd, "b");
        leaves.hang_up();
        httpd.log().wait_for("closed a");
        httpd.folder().replace("apps/end", "");
        let rest = String::from_utf8(stays.rest()).expect("text");
        assert!(rest.contains("end") && rest.ends_with("0\r\n\r\n"), "{mode:?}: {rest}");
        httpd.log().wait_for_count("closed a", 2);
        // Another one would come with the end of the old process, or with garbage that is collected.
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(httpd.log().lines_with("closed a").len(), 2, "{mode:?}");
    }
}

#[test]
fn a_touch_is_enough() {
    let httpd = Httpd::new(Mode::Daemon).app("whoami.wsgi").start();
    let first = httpd.get("/").facts().number("pid");
    httpd.folder().touch("apps/whoami.wsgi");
    let other = wait_until(Duration::from_secs(10), || (httpd.get("/").facts().number("pid") != first).then_some(()));
    assert!(other.is_some(), "the process was not replaced");

    let httpd = Httpd::new(Mode::Embedded).app("whoami.wsgi").start();
    assert_eq!([httpd.get("/"), httpd.get("/")].map(|answer| answer.facts().number("count")), [1, 2]);
    let pid = httpd.get("/").facts().number("pid");
    httpd.folder().touch("apps/whoami.wsgi");
    let facts = httpd.get("/").facts();
    assert_eq!((facts.number("count"), facts.number("pid")), (1, pid), "the script file is imported again in the same process");
}

#[test]
fn new_code_of_several_processes_comes_after_one_import() {
    only_ours!("the processes end first, and each imports when a request comes to it");
    let slow = |number| format!("import time\ntime.sleep(1.5)\n{}", version(number));
    let httpd = versioned(Mode::Daemon).daemon_options("processes=3 threads=2").file("apps/version.wsgi", &slow(1)).start();
    assert_eq!(httpd.get("/").text(), "version 1");
    // Before all of them have loaded it, a change might be seen by one that has not.
    httpd.log().wait_for_count("Loading WSGI script", 3);
    std::thread::sleep(Duration::from_secs(2));
    httpd.folder().replace("apps/version.wsgi", &slow(2));
    let began = std::time::Instant::now();
    wait_for_answer(&httpd, "version 2");
    assert!(began.elapsed() < Duration::from_millis(2900), "{:?}: two imports take three seconds", began.elapsed());
    for _ in 0..20 {
        assert_eq!(httpd.get("/").text(), "version 2", "and it does not go back");
    }
}

#[test]
fn a_broken_edit_leaves_the_old_code_serving() {
    only_ours!("after a broken edit in daemon mode every request is a 500 until the script is repaired");
    let httpd = versioned(Mode::Daemon)
        .daemon_options("processes=2 threads=5")
        .allow_log("version.wsgi")
        .expect_traceback("ZeroDivisionError")
        .allow_log("test")
        .start();
    assert_eq!(httpd.get("/").text(), "version 1");
    let load = Load::start(httpd.port(), 5, "/", |answer| answer.text() == "version 1");
    load.wait_for(20);
    httpd.folder().replace("apps/version.wsgi", "1 / 0\n");
    httpd.log().wait_for("ZeroDivisionError");
    load.wait_for(200);
    let account = load.stop();
    assert_eq!(account.failures, Vec::<String>::new());
    assert_eq!(httpd.log().lines_with("ZeroDivisionError: ").len(), 1, "the reason is in the log once");
    httpd.folder().replace("apps/version.wsgi", &version(3));
    wait_for_answer(&httpd, "version 3");
}

#[test]
fn a_broken_edit_in_embedded_mode_is_a_500_until_it_is_repaired() {
    let httpd = versioned(Mode::Embedded).expect_traceback("ZeroDivisionError").expect_log("WSGI0109").start();
    assert_eq!(httpd.get("/").text(), "version 1");
    httpd.folder().replace("apps/version.wsgi", "1 / 0\n");
    assert_eq!([httpd.get("/").status, httpd.get("/").status], [500, 500]);
    httpd.folder().replace("apps/version.wsgi", &version(3));
    wait_for_answer(&httpd, "version 3");
}

#[test]
fn reloading_can_be_switched_off() {
    for mode in Mode::ALL {
        let httpd = versioned(mode).config("WSGIScriptReloading Off").start();
        assert_eq!(httpd.get("/").text(), "version 1");
        httpd.folder().replace("apps/version.wsgi", &version(2));
        for _ in 0..5 {
            std::thread::sleep(Duration::from_millis(100));
            assert_eq!(httpd.get("/").text(), "version 1", "{mode:?}");
        }
    }
}

#[test]
fn modules_are_loaded_afresh_in_daemon_mode_only() {
    for mode in Mode::ALL {
        let path = match mode {
            Mode::Daemon => Httpd::new(mode).daemon_options("threads=2 python-path=${ROOT}/lib"),
            Mode::Embedded => Httpd::new(mode).config("WSGIPythonPath ${ROOT}/lib"),
        };
        let script = "import part\ndef application(environ, start_response):\n    start_response('200 OK', [])\n    return [part.text]\n";
        let httpd = path
            .file("apps/version.wsgi", script)
            .file("lib/part.py", "text = b'part 1'\n")
            .config("WSGIScriptAlias / ${APPS}/version.wsgi")
            .start();
        assert_eq!(httpd.get("/").text(), "part 1");
        httpd.folder().replace("lib/part.py", "text = b'part two'\n");
        assert_eq!(httpd.get("/").text(), "part 1", "{mode:?}: only the script file is watched");
        httpd.folder().touch("apps/version.wsgi");
        match mode {
            Mode::Daemon => wait_for_answer(&httpd, "part two"),
            Mode::Embedded => assert_eq!(httpd.get("/").text(), "part 1"),
        }
    }
}

#[test]
fn a_script_that_was_removed_keeps_no_other_from_being_reloaded() {
    let script = |name: &str, text: &str| {
        let text = format!(
            "import os\ndef application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'{text} %d' % os.getpid()]\n"
        );
        (format!("apps/{name}.wsgi"), text)
    };
    let ((stays, old), (goes, gone)) = (script("stays", "old"), script("goes", "gone"));
    let httpd = Httpd::new(Mode::Daemon)
        .file(&stays, &old)
        .file(&goes, &gone)
        .config("WSGIApplicationGroup %{GLOBAL}\nWSGIScriptAlias /stays ${APPS}/stays.wsgi\nWSGIScriptAlias /goes ${APPS}/goes.wsgi")
        .allow_log("AH")
        .allow_log("WSGI013")
        .start();
    assert!(httpd.get("/stays").text().starts_with("old") && httpd.get("/goes").text().starts_with("gone"));
    std::fs::remove_file(httpd.folder().path().join(&goes)).expect("it is there");
    assert_eq!(httpd.get("/goes").status, 404);
    httpd.folder().replace(&stays, &script("stays", "new").1);
    let is_new = || httpd.get("/stays").text().starts_with("new").then_some(());
    assert!(wait_until(Duration::from_secs(10), is_new).is_some(), "{}", httpd.log().tail());
}
