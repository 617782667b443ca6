//! What a user types: `make run`, `make install`. The goals that build are not called again; what they call is.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Client, Request, built, free_port, wait_until};

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn run_serves_what_it_prints_and_leaves_nothing() {
    only_ours!("'make run' is of this repository");
    let port = free_port();
    let folder = crate::harness::Folder::new();
    // What runs the tests in the background may ignore SIGINT, and a shell cannot undo what it has inherited.
    let mut run = Command::new("env")
        .arg("--default-signal=INT")
        .arg(checkout().join("scripts/run"))
        .arg(built())
        .env("PORT", port.to_string())
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("scripts/run is executable");
    let serving = wait_until(Duration::from_secs(20), || {
        let answer = Client::try_connect(port).ok()?.try_ask(&Request::get("/daemon").header("Connection", "close")).ok()?;
        (answer.status == 200).then_some(answer)
    });
    let ask = |target: &str| Client::connect(port).ask(&Request::get(target).header("Connection", "close"));
    assert!(serving.is_some_and(|answer| answer.text().contains("<h1>Daemon mode</h1>")));
    assert!(ask("/embedded").text().contains("<h1>Embedded mode</h1>"));
    assert_eq!(ask("/").status, 200);
    assert_eq!(ask("/static/style.css").header("Content-Type"), Some("text/css"));

    // The script says so when it has seen httpd answer, which may be after we have.
    let mut output = BufReader::new(run.stdout.take().expect("it is piped"));
    let mut said = String::new();
    while !said.contains("Ctrl-C stops it") && output.read_line(&mut said).expect("it writes text") > 0 {}

    // As a terminal does on Ctrl-C.
    kill(Pid::from_raw(-i32::try_from(run.id()).expect("a process number is small")), Signal::SIGINT).expect("the group is there");
    let ended = wait_until(Duration::from_secs(15), || run.try_wait().expect("our own child"));
    if ended.is_none() {
        kill(Pid::from_raw(i32::try_from(run.id()).expect("a process number is small")), Signal::SIGTERM).expect("it still runs");
        run.wait().expect("our own child");
    }
    assert!(ended.is_some_and(|status| status.success()), "it does not end on Ctrl-C: {ended:?}");
    output.read_to_string(&mut said).expect("it writes text");
    for url in ["/embedded", "/daemon", "/static/style.css"] {
        assert!(said.contains(&format!("http://localhost:{port}{url}")), "{said}");
    }
    assert!(Client::try_connect(port).is_err(), "somebody still listens");
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("the folder is ours").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    let mark = folder.path().to_string_lossy().into_owned();
    let running = crate::harness::Process::with_variable("TMPDIR", &mark);
    assert!(running.is_empty(), "{running:?}");
}

#[test]
fn install_and_uninstall_respect_destdir() {
    only_ours!("'make install' is of this repository");
    if Command::new("apxs").arg("-q").arg("LIBEXECDIR").output().is_err() {
        return crate::harness::not_on_this_machine("apxs is not installed");
    }
    let folder = crate::harness::Folder::new();
    let release = built();
    if !release.join("libmod_wsgi.so").exists() {
        return crate::harness::not_on_this_machine("what is tested does not lie where 'make build' has made it");
    }
    let target = release.parent().expect("the profile's folder is below the target folder");
    let make = |goal: &str| {
        // What is built is built already; cargo itself would wait for the lock that the running tests hold.
        let output = Command::new("make")
            .arg(goal)
            .current_dir(checkout())
            .env("CARGO", "true")
            .env("CARGO_TARGET_DIR", target)
            .env("DESTDIR", folder.path())
            .output()
            .expect("make is installed");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "make {goal}: {text}");
    };
    let files = || {
        let find =
            Command::new("find").arg(folder.path()).args(["-type", "f", "-printf", "%f\\n"]).output().expect("find is on every Unix");
        let mut names: Vec<String> = String::from_utf8_lossy(&find.stdout).lines().map(str::to_owned).collect();
        names.sort();
        names
    };
    make("install");
    let mut expected = vec!["mod_wsgi.so".to_owned(), "mod_wsgi_python.so".to_owned(), "mod_wsgi_supervisor".to_owned()];
    if Path::new("/etc/apache2/mods-available").exists() {
        expected.push("wsgi.load".to_owned());
    }
    // One for each free-threaded Python of this machine.
    expected.extend(crate::harness::free_threaded_hosts(&release));
    expected.sort();
    assert_eq!(files(), expected);
    make("uninstall");
    assert_eq!(files(), Vec::<String>::new());
}
