//! `wsgi.file_wrapper`: regular files by their descriptor, everything else by reading.

use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Builder, Httpd, Mode, Request, is_root, not_on_this_machine, wait_until};

/// Content in which every place is told from every other.
fn content(length: u32) -> String {
    (0..length / 10).map(|number| format!("{number:09}\n")).collect()
}

#[test]
fn files_arrive_whole_and_are_closed() {
    // Below and above the size from which a descriptor travels instead of the content.
    for length in [5_000, 60_000, 70_000, 3_000_000] {
        let data = content(length);
        for mode in Mode::ALL {
            let httpd = Httpd::new(mode).app("file.wsgi").file("apps/data.bin", &data).start();
            let whole = httpd.get("/whole");
            assert_eq!(whole.header("Content-Length"), Some(length.to_string().as_str()), "{mode:?} {length}");
            assert!(whole.complete && whole.text() == data, "{mode:?} {length}");
            assert!(httpd.get("/offset").text() == data[1000..]);
            assert_eq!(httpd.get("/part").text(), data[1000..1050]);
            assert!(httpd.get("/after-write").text() == format!("head {data}"));
            assert!(httpd.get("/iterated").text() == data);
            let head = httpd.connect().ask(&Request::new("HEAD", "/whole"));
            assert_eq!((head.status, head.header("Content-Length")), (200, Some(length.to_string().as_str())));
            let closed = || (httpd.get("/closed").text() == "6").then_some(());
            if wait_until(Duration::from_secs(5), closed).is_none() {
                // The generator around a wrapper has no close() that would reach the file.
                assert_eq!(httpd.get("/closed").text(), "5", "{mode:?} {length}");
            }
        }
    }
}

#[test]
fn what_is_no_file_is_read() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("file.wsgi").start();
        assert_eq!(httpd.get("/memory").text(), "from memory");
        assert_eq!(httpd.get("/pipe").text(), "from a pipe");
    }
}

#[test]
fn the_connection_stays_in_step_behind_a_file() {
    let data = content(200_000);
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("file.wsgi").file("apps/data.bin", &data).start();
        let mut client = httpd.connect();
        for _ in 0..3 {
            assert!(client.ask(&Request::get("/whole")).text() == data);
            assert_eq!(client.ask(&Request::get("/memory")).text(), "from memory");
        }
    }
}

/// A server whose application returns a wrapper around what `file` gives.
fn wrapping(mode: Mode, file: &str) -> Builder {
    let script = format!(
        "import tempfile\ndef application(environ, start_response):\n    start_response('200 OK', [('Content-Type', 'text/plain')])\n    \
         return environ['wsgi.file_wrapper']({file})\n"
    );
    Httpd::new(mode).file("apps/wrapping.wsgi", &script).config("WSGIScriptAlias / ${APPS}/wrapping.wsgi")
}

#[test]
fn a_file_of_unknown_size_is_read() {
    for mode in Mode::ALL {
        let httpd = wrapping(mode, "open('/proc/version', 'rb')").start();
        if !differs!("a file in /proc is an empty answer") {
            assert_eq!(httpd.get("/").text(), std::fs::read_to_string("/proc/version").expect("there is one"), "{mode:?}");
        }
        let httpd = wrapping(mode, "open('/dev/null')").allow_log("WSGI0174").expect_traceback("must return bytes, not str").start();
        assert_eq!(httpd.get("/").status, 500, "{mode:?}: no regular file is read as it is");
        let httpd = wrapping(mode, "tempfile.TemporaryFile('w+')").start();
        assert_eq!((httpd.get("/").status, httpd.get("/").text().as_str()), (200, ""), "{mode:?}: of a file octets are sent, not text");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_failure() {
    only_ours!("a file that is open for writing only is no answer, or a 502");
    for mode in Mode::ALL {
        for size in [1, 100_000] {
            let file = format!(
                "(lambda n: (lambda f: (f.write(b'x' * {size}), f.flush(), f.seek(0), f)[3])(open(n.name, 'wb')))(tempfile.NamedTemporaryFile())"
            );
            let httpd = wrapping(mode, &file).allow_log("WSGI").allow_log("UnsupportedOperation").expect_traceback("").start();
            let answer = httpd.get("/");
            assert!(answer.status == 500 || !answer.complete, "{mode:?} {size}: {answer:?}");
        }
    }
}

#[test]
fn a_file_without_close_is_not_closed() {
    only_ours!("a file without close() is an AttributeError in the log");
    for mode in Mode::ALL {
        let httpd = wrapping(mode, "type('F', (), {'read': lambda s, n, l=[b'ab', b'c', b'']: l.pop(0)})()").start();
        assert_eq!(httpd.get("/").text(), "abc", "{mode:?}");
    }
}

/// How often httpd's processes call sendfile(2) while a file is asked for.
fn calls_of_sendfile(httpd: &Httpd) -> usize {
    let file = httpd.root().join("strace.log");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=sendfile", "-o"]).arg(&file).stdin(Stdio::null()).stderr(Stdio::null());
    let pids: Vec<i32> = httpd.processes().iter().map(|process| process.pid).collect();
    for pid in &pids {
        command.args(["-p", &pid.to_string()]);
    }
    let mut strace = command.spawn().expect("'make' installs strace");
    let is_traced = |pid: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
        !status.is_ok_and(|status| status.contains("TracerPid:\t0\n"))
    };
    assert!(wait_until(Duration::from_secs(10), || pids.iter().all(is_traced).then_some(())).is_some(), "strace does not attach");
    assert_eq!(httpd.get("/whole").status, 200);
    kill(Pid::from_raw(i32::try_from(strace.id()).expect("small")), Signal::SIGINT).expect("our own child");
    strace.wait().expect("our own child");
    std::fs::read_to_string(&file).expect("strace has written it").lines().filter(|line| line.contains("sendfile(")).count()
}

#[test]
fn the_kernel_sends_files_where_it_may() {
    if !is_root() {
        return not_on_this_machine("system calls are seen by root only");
    }
    let data = content(3_000_000);
    for mode in Mode::ALL {
        for (directive, is_used) in [("On", true), ("Off", false)] {
            let httpd =
                Httpd::new(mode).app("file.wsgi").file("apps/data.bin", &data).config(&format!("WSGIEnableSendfile {directive}")).start();
            // The script is loaded before anybody is watched.
            assert_eq!(httpd.get("/whole").text(), data);
            let calls = calls_of_sendfile(&httpd);
            if mode == Mode::Embedded || !differs!("WSGIEnableSendfile has no effect in daemon mode") {
                assert_eq!(calls > 0, is_used, "{mode:?} {directive}: {calls}");
            }
        }
    }
}
