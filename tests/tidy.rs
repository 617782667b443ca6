//! The rules of the house that no compiler checks, over the files that git knows.

mod docs;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The files of this repository that end so, without what is generated.
fn files(ending: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z"])
        .current_dir(root)
        .output()
        .expect("git has made this checkout");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).expect("our names are text");
    names
        .split('\0')
        .filter(|name| name.ends_with(ending) && *name != "apache-headers/bindings.rs" && root.join(name).is_file())
        .map(|name| (PathBuf::from(name), std::fs::read_to_string(root.join(name)).unwrap_or_default()))
        .collect()
}

#[track_caller]
fn expect_none(found: &[String]) {
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = |(path, text): (PathBuf, String)| (!text.starts_with("//!")).then(|| format!("{} has no //! head", path.display()));
    expect_none(&files(".rs").into_iter().filter_map(silent).collect::<Vec<_>>());
    let silent = |(path, text): (PathBuf, String)| (!text.starts_with("\"\"\"")).then(|| format!("{} has no docstring", path.display()));
    expect_none(&files(".wsgi").into_iter().filter_map(silent).collect::<Vec<_>>());
}

#[test]
fn files_are_short() {
    let long = |(path, text): (PathBuf, String)| {
        let lines = text.lines().count();
        (lines > 600).then(|| format!("{} has {lines} lines, 600 at most", path.display()))
    };
    expect_none(&files(".rs").into_iter().filter_map(long).collect::<Vec<_>>());
}

#[test]
fn debts_have_a_number() {
    let mut found = Vec::new();
    for (path, text) in files(".rs") {
        for (number, line) in text.lines().enumerate() {
            let place = || format!("{}:{}: {}", path.display(), number + 1, line.trim());
            // Written apart, so that this file does not find itself.
            let debt = ["FIX", "ME"].concat();
            if line.contains(&debt) && !line.contains(&format!("{debt}(#")) {
                found.push(place());
            }
            if [["to", "do!("].concat(), ["unimple", "mented!("].concat(), ["TO", "DO"].concat()].iter().any(|word| line.contains(word)) {
                found.push(place());
            }
            let ignored = line.trim_start().strip_prefix("#[ignore");
            if ignored.is_some_and(|rest| !rest.trim_start_matches([' ', '=', '"']).starts_with('#')) {
                found.push(place());
            }
        }
    }
    expect_none(&found);
}

#[test]
fn unsafe_blocks_say_why() {
    let mut found = Vec::new();
    for (path, text) in files(".rs") {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            if !code.contains(&["unsafe", " {"].concat()) {
                continue;
            }
            let above = lines[..number].iter().rev().take(12);
            if !above.take_while(|line| !line.trim().is_empty()).any(|line| line.contains("SAFETY:")) {
                found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    expect_none(&found);
}

#[test]
fn nothing_names_the_machine_on_which_it_was_written() {
    let mut found = Vec::new();
    let forbidden = [["/wo", "rk/"].concat(), ["/ho", "me/"].concat(), ["/tmp/tar", "get"].concat()];
    for ending in [".rs", ".wsgi", ".py", ".conf", ".md", ".toml", "Makefile", "run", ".html"] {
        for (path, text) in files(ending) {
            // Whose home directory the README speaks of.
            let text = text.replace(&["/ho", "me/ada"].concat(), "");
            found.extend(forbidden.iter().filter(|word| text.contains(word.as_str())).map(|word| format!("{}: {word}", path.display())));
        }
    }
    expect_none(&found);
}

#[test]
fn every_application_is_used() {
    let tests: String = files(".rs").into_iter().filter(|(path, _)| path.starts_with("tests")).map(|(_, text)| text).collect();
    let unused = |(path, _): (PathBuf, String)| {
        let name = path.file_name().and_then(|name| name.to_str()).expect("our names are text").to_owned();
        (path.starts_with("tests/apps") && !tests.contains(&format!("\"{name}\"")) && !tests.contains(&format!("/{name}"))).then_some(name)
    };
    expect_none(&files(".wsgi").into_iter().filter_map(unused).collect::<Vec<_>>());
}

#[test]
fn every_directive_and_option_is_tried_in_an_httpd() {
    // What is refused or has no effect is tried where the grammar is (tests/grammar.rs), which holds every name.
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/directives.md")).expect("the page is there");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let works = |(name, rest): &(&str, &str)| (name.contains("WSGI") || name.ends_with('=')) && rest.split(" | ").any(|cell| cell == "yes");
    let tests: String = files(".rs")
        .into_iter()
        .filter(|(path, _)| path.starts_with("tests") && !path.ends_with("grammar.rs") && !path.ends_with("configtest.rs"))
        .map(|(_, text)| text)
        .collect();
    let used = |name: &str| [" ", "\"", "\n", "n", "<", "'"].iter().any(|before| tests.contains(&format!("{before}{name}")));
    let missing = rows.filter(works).map(|(name, _)| name.trim_matches(['<', '>'])).filter(|name| !used(name)).map(str::to_owned);
    expect_none(&missing.collect::<Vec<_>>());
}
