//! Repositories over HTTP, served by applications from PyPI, in both modes, to the clients that people use.

use std::process::Command;

use crate::frameworks::{home, server};
use crate::harness::{Folder, Mode, Request, not_on_this_machine, python};

/// Three megabytes without a pattern.
fn noise() -> Vec<u8> {
    (0..3_000_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[test]
fn git() {
    for mode in Mode::ALL {
        let mut builder = server(mode).app("with_git.wsgi").config("WSGIChunkedRequest On");
        if differs!("an exception while Python ends is written past the log's format") {
            builder = builder.allow_log("");
        }
        let httpd = builder.start();
        let folder = Folder::new();
        let url = format!("http://localhost:{}/project.git", httpd.port());
        let git = |place: &str, arguments: &[&str]| {
            let mut command = Command::new("git");
            command.args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main"]).args(arguments);
            command
                .current_dir(folder.path().join(place))
                .env("GIT_CONFIG_NOSYSTEM", "1")
                .env("GIT_TERMINAL_PROMPT", "0")
                .env("HOME", folder.path());
            python::run(&mut command)
        };
        git("", &["init", "first"]);
        // Above git's http.postBuffer of 1 MiB the push is chunked.
        std::fs::write(folder.path().join("first/noise.bin"), noise()).expect("the folder is ours");
        folder.write("first/README", "one\n");
        git("first", &["add", "."]);
        git("first", &["commit", "-m", "One"]);
        git("first", &["push", &url, "HEAD:refs/heads/main"]);
        git("", &["clone", "--branch", "main", &url, "second"]);
        assert!(std::fs::read(folder.path().join("second/noise.bin")).expect("it was cloned") == noise());
        folder.write("second/README", "two\n");
        git("second", &["commit", "-a", "-m", "Two"]);
        git("second", &["push", "origin", "HEAD:refs/heads/main"]);
        git("first", &["pull", "--ff-only", &url, "main"]);
        assert_eq!(std::fs::read_to_string(folder.path().join("first/README")).expect("it was pulled"), "two\n");
        git("first", &["tag", "v1"]);
        git("first", &["push", &url, "v1"]);
        assert!(git("second", &["ls-remote", &url]).contains("refs/tags/v1"));
    }
}

#[test]
fn mercurial() {
    if !python::has_mercurial() {
        return not_on_this_machine("Mercurial is not on PyPI for this Python without a compiler");
    }
    // Server and client are one package.
    let hg = home().join("bin/hg");
    for mode in Mode::with_one_process().iter().copied() {
        let httpd = server(mode).app("with_mercurial.wsgi").config("WSGIChunkedRequest On").start();
        let folder = Folder::new();
        let url = format!("http://localhost:{}/", httpd.port());
        let hg = |place: &str, arguments: &[&str]| {
            let mut command = Command::new(&hg);
            command.args(["--noninteractive", "--config", "ui.username=Ada", "--config", "web.cacerts="]).args(arguments);
            python::run(command.current_dir(folder.path().join(place)).env("HGRCPATH", "").env("HOME", folder.path()))
        };
        hg("", &["clone", &url, "first"]);
        std::fs::write(folder.path().join("first/noise.bin"), noise()).expect("the folder is ours");
        folder.write("first/README", "one\n");
        hg("first", &["commit", "--addremove", "--message", "One"]);
        hg("first", &["push"]);
        hg("", &["clone", &url, "second"]);
        assert!(std::fs::read(folder.path().join("second/noise.bin")).expect("it was cloned") == noise());
        folder.write("second/README", "two\n");
        hg("second", &["commit", "--message", "Two"]);
        hg("second", &["bookmark", "release"]);
        hg("second", &["push", "--bookmark", "release"]);
        hg("first", &["pull", "--update"]);
        assert_eq!(std::fs::read_to_string(folder.path().join("first/README")).expect("it was pulled"), "two\n");
        assert!(hg("first", &["identify", "--bookmarks", &url]).contains("release"));
        // With the port, as hg says it: a host without is another application group, with a repository of its own.
        let page = |target: &str| httpd.ask(&Request::get(target).header("Host", &format!("localhost:{}", httpd.port())));
        assert!(page("/rev/tip?style=raw").text().contains("+two"), "the pages for people");
        assert!(page("/raw-file/tip/noise.bin").body == noise());
    }
}
