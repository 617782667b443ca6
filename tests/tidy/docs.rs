//! What the documentation repeats of the code is the same there: `make docs` writes it, and these tests compare.

use std::fmt::Write as _;
use std::path::Path;

/// Compares the file at `path` with what `make` makes of it, or writes that when `make docs` asks for it.
fn keep(path: &str, make: impl FnOnce(&str) -> String) {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let old = std::fs::read_to_string(&full).unwrap_or_default();
    let new = make(&old);
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(&full, new).expect("the checkout is ours");
        return;
    }
    let differs = old.lines().zip(new.lines()).find(|(old, new)| old != new);
    assert!(old == new, "{path} is not up to date: run `make docs`; the first difference: {differs:#?}");
}

/// Text as Markdown shows it, within a table.
fn escape(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "\\<")
}

#[test]
fn the_readme_shows_the_files_that_are_tested() {
    const MARK: &str = "<!-- file: ";
    keep("README.md", |old| {
        let mut new = String::new();
        let mut rest = old;
        while let Some(at) = rest.find(MARK) {
            let (before, behind) = rest.split_at(at);
            let (name, block) = behind[MARK.len()..].split_once(" -->\n").expect("the mark is closed");
            let (fence, block) = block.split_once('\n').expect("a block follows");
            assert!(fence.starts_with("```"), "a block follows the mark of {name}");
            let (_, after) = block.split_once("```\n").expect("the block is closed");
            let file =
                std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("the README names files that exist");
            write!(new, "{before}{MARK}{name} -->\n{fence}\n{file}```\n").expect("a String takes everything");
            rest = after;
        }
        new + rest
    });
}

#[test]
fn each_log_code_is_documented() {
    const HEAD: &str = "\
# Codes of log lines

Every line of level `warn` and above that this module writes begins with a code, `WSGI` and four digits. A code never changes its meaning.
Numbers below 300 are mod_wsgi's, where the meaning is the same. Of lines of level `info`, those have one that say
why a process is replaced.

The line says what happened this time: which file, group, process. This table says what the code means, and what to do.

| Code | Level | What it means | What follows from it | What to do |
|---|---|---|---|---|
";
    keep("docs/log-codes.md", |_| {
        let mut codes: Vec<_> = wire::codes::ALL.iter().collect();
        codes.sort_by_key(|code| code.number);
        codes.into_iter().fold(HEAD.to_owned(), |mut page, code| {
            let level = format!("{:?}", code.level).to_lowercase();
            let [meaning, effect, advice] = [code.meaning, code.effect, code.advice].map(escape);
            writeln!(page, "| {code} | {level} | {meaning} | {effect} | {advice} |").expect("a String takes everything");
            page
        })
    });
}

#[test]
fn each_log_code_is_written_by_somebody() {
    let registry = super::files("crates/wire/src/codes.rs").pop().expect("it is there").1;
    let names = registry.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(" = ")).map(|(name, _)| name);
    let names: Vec<&str> = names.filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_')).collect();
    assert_eq!(names.len(), wire::codes::ALL.len(), "{names:?}");
    let code: String = super::files(".rs")
        .into_iter()
        .filter(|(path, _)| path.components().any(|part| part.as_os_str() == "src") && !path.ends_with("codes.rs"))
        .map(|(_, text)| text)
        .collect();
    let is_unused = |name: &&str| !code.contains(&format!("codes::{name}"));
    let unused: Vec<String> = names.into_iter().filter(is_unused).map(str::to_owned).collect();
    super::expect_none(&unused);
}

#[test]
fn each_known_difference_is_documented() {
    const HEAD: &str = "\
# What mod_wsgi 6.1.1 does differently

The tests of this repository run against mod_wsgi as well (`make test-reference`). Where it behaves differently, the test says so, and the
command prints this list. Ours does in each case what the test of the given name expects.

| mod_wsgi 6.1.1 | Test |
|---|---|
";
    keep("docs/differences.md", |_| {
        let mut rows: Vec<String> = Vec::new();
        for (path, text) in super::files(".rs") {
            let Some(file) = path.to_str().and_then(|path| path.strip_prefix("tests/")) else { continue };
            let mut test = "";
            for line in text.lines() {
                test = line.trim().strip_prefix("fn ").and_then(|rest| rest.split('(').next()).unwrap_or(test);
                // Written apart, so that this file does not find itself.
                let said = [["only_", "ours!(\""].concat(), ["diff", "ers!(\""].concat()];
                let reason =
                    said.iter().find_map(|macro_call| line.split_once(macro_call.as_str())).and_then(|(_, rest)| rest.split('"').next());
                if let Some(reason) = reason.filter(|reason| !reason.ends_with("is of this repository")) {
                    let reason = escape(reason);
                    rows.push(format!("| {reason} | `{}::{test}` |", file.trim_end_matches(".rs").replace('/', "::")));
                }
            }
        }
        rows.sort();
        rows.dedup();
        format!("{HEAD}{}\n", rows.join("\n"))
    });
}
