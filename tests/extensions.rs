//! Extension modules from PyPI: those that can live in one interpreter of a process only serve as well, and what to do is said where they cannot.

use std::path::PathBuf;

use crate::harness::python::{is_free_threaded, venv};
use crate::harness::{Builder, Httpd, Mode};

/// What `with_extensions.wsgi` answers. The last one is on PyPI in source only, for a free-threaded Python.
const ANSWERS: [(&str, &str); 5] = [
    ("numpy", "[[1.0, 0.0], [0.0, 1.0]]"),
    ("lxml", "'42'"),
    ("cryptography", "'verified'"),
    ("pydantic", "[42, 'int_parsing']"),
    ("psycopg", "['binary', True]"),
];

fn answers() -> &'static [(&'static str, &'static str)] {
    &ANSWERS[..ANSWERS.len() - usize::from(is_free_threaded())]
}

/// What NumPy says where a free-threaded Python does not let it in.
const NUMPYS_ADVICE: [&str; 9] = [
    "IMPORTANT: PLEASE READ THIS",
    "Importing the numpy C-extensions failed.",
    "] installed.",
    "We have compiled some common reasons",
    "Please note and check the following:",
    "and make sure that they are the versions you expect.",
    "Please carefully study the information",
    "or environment on your machine.",
    "Original error was: ",
];

/// A virtual environment with all of them, as wheels: to compile them is not what is tried.
fn home() -> PathBuf {
    let packages = [
        "--only-binary=:all:",
        "numpy==2.2.6; python_version < '3.11'",
        "numpy==2.4.6; python_version >= '3.11' and python_version < '3.15'",
        "numpy==2.5.5; python_version >= '3.15'",
        "lxml==6.1.3",
        "cryptography==50.0.2",
        "pydantic==2.14.3",
        "psycopg[binary]==3.3.9",
    ];
    venv("extensions", &packages[..packages.len() - usize::from(is_free_threaded())])
}

#[test]
fn they_serve_in_a_daemon_group_without_further_words() {
    if differs!("an application group is a sub-interpreter in daemon mode as well, of which NumPy warns") {
        return;
    }
    let httpd =
        Httpd::new(Mode::Daemon).daemon_options(&format!("threads=3 python-home={}", home().display())).app("with_extensions.wsgi").start();
    // Each of the threads meets them.
    for _ in 0..6 {
        for (name, answer) in answers() {
            assert_eq!(httpd.get(&format!("/{name}")).text(), *answer, "{name}");
        }
    }
}

#[test]
fn a_second_interpreter_gets_advice() {
    only_ours!("what a traceback about sub-interpreters means is left to the reader");
    for mode in Mode::ALL {
        if mode == Mode::Embedded && is_free_threaded() {
            // Such a Python lets none of them into a sub-interpreter, so the first one in embedded mode has the advice already.
            continue;
        }
        let home = home();
        let builder = match mode {
            Mode::Daemon => Httpd::new(mode).daemon_options(&format!("threads=3 python-home={}", home.display())),
            Mode::Embedded => Httpd::new(mode).config(&format!("WSGIPythonHome {}", home.display())),
        };
        let httpd = builder
            .mount("/one", "with_extensions.wsgi")
            .mount("/two", "with_extensions.wsgi")
            .expect_log("WSGI0349")
            .expect_traceback("ImportError")
            // It warns of every sub-interpreter.
            .allow_log("NumPy")
            // Without a libpq of the machine's, psycopg tells all its attempts.
            .allow_log("Attempts made")
            .allow_log("couldn't import psycopg");
        let httpd = NUMPYS_ADVICE.into_iter().fold(httpd, Builder::allow_log).start();
        for (name, answer) in answers() {
            assert_eq!(httpd.get(&format!("/one/{name}")).text(), *answer, "{mode:?} {name}");
            let second = httpd.get(&format!("/two/{name}"));
            // psycopg finds a way without its compiled part; with another Python others may.
            if second.status == 200 && *name != "numpy" {
                continue;
            }
            assert_eq!(second.status, 500, "{mode:?} {name}: {}", second.text());
            let line = httpd.log().wait_for_count("WSGI0349", 1).pop().expect("there is one at least");
            let (what, rest) = line.split_once(" cannot be used in the sub-interpreter ").unwrap_or_else(|| panic!("{name}: {line}"));
            assert!(what.contains("the extension module '") && what.contains(name), "{name}: {line}");
            assert!(rest.contains("|/two") && rest.contains("WSGIApplicationGroup %{GLOBAL}"), "{name}: {line}");
        }
    }
}
