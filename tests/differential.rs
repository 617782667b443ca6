//! The differential suite: the same requests to mod_wsgi and to our module in one run, in both modes.
//!
//! What differs is listed with its reason in `differential/differences.rs`, of which `docs/answers.md` is made: a difference
//! that is not listed fails the test, and so does a listed one that is gone. `make docs` writes the page.

mod bodies;
mod case;
mod differences;
mod doors;
mod fronts;
mod logs;
mod outputs;
mod requests;
mod scripts;
mod sites;
mod transcript;

use std::collections::BTreeSet;
use std::path::Path;

use crate::harness::{Mode, UnderTest, not_on_this_machine, reference, under_test};
use case::Case;
use sites::Site;

/// What both said to one case in one mode, where they do not agree.
struct Difference {
    case: String,
    mode: Mode,
    theirs: Vec<String>,
    ours: Vec<String>,
}

#[test]
fn both_modules_answer_alike() {
    if under_test() == UnderTest::Theirs {
        return;
    }
    if std::env::var_os("DIFFERENTIAL").is_none() {
        return not_on_this_machine("the comparison takes its time and a quiet machine: 'make differential' runs it");
    }
    if reference().is_none() {
        return not_on_this_machine("mod_wsgi to compare with is not in .build/reference: 'make differential' puts it there");
    }
    let cases = cases();
    let mut differences = compare(&cases.iter().collect::<Vec<_>>());
    // Some answers depend on the moment, such as which of two sides closes a connection first: what is not listed must be there twice.
    let strange: Vec<&Case> =
        cases.iter().filter(|case| differences.iter().any(|seen| seen.case == case.name && !unlisted(seen).is_empty())).collect();
    if !strange.is_empty() && std::env::var_os("CASES").is_none() {
        let again = compare(&strange);
        differences.retain(|seen| {
            let is_there_again =
                again.iter().any(|other| (&other.case, other.mode) == (&seen.case, seen.mode) && !unlisted(other).is_empty());
            let counts = unlisted(seen).is_empty() || is_there_again;
            if !counts {
                println!("seen once: {} ({:?})\n{}", seen.case, seen.mode, unlisted(seen).join("\n"));
            }
            counts
        });
    }
    judge(&differences);
}

/// Asks both sides, in both modes; gives what they do not agree on.
fn compare(cases: &[&Case]) -> Vec<Difference> {
    let mut differences = Vec::new();
    for mode in Mode::ALL {
        let (theirs, ours) = std::thread::scope(|scope| {
            let theirs = scope.spawn(|| run(UnderTest::Theirs, mode, cases));
            let ours = scope.spawn(|| run(UnderTest::Ours, mode, cases));
            (theirs.join().expect("it asserts nothing"), ours.join().expect("it asserts nothing"))
        });
        for ((case, theirs), ours) in cases.iter().zip(theirs).zip(ours) {
            if std::env::var_os("CASES").is_some() {
                println!("{} ({mode:?})\n--- theirs\n{}\n--- ours\n{}\n", case.name, theirs.join("\n"), ours.join("\n"));
            }
            if theirs != ours {
                differences.push(Difference { case: case.name.clone(), mode, theirs, ours });
            }
        }
    }
    differences
}

/// The lines of a difference for which no reason is listed.
fn unlisted(difference: &Difference) -> Vec<String> {
    let is_unlisted = |line: &String| differences::find(&difference.case, difference.mode, line).is_none();
    changes(&difference.theirs, &difference.ours).into_iter().filter(is_unlisted).collect()
}

#[test]
fn the_page_is_made_of_the_list() {
    if std::env::var_os("CASES").is_some() {
        return;
    }
    let page = differences::page(cases().len());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/answers.md");
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("the checkout is ours");
    }
    assert!(std::fs::read_to_string(&path).unwrap_or_default() == page, "docs/answers.md is stale: 'make docs' writes it");
}

fn cases() -> Vec<Case> {
    let mut cases = requests::cases();
    cases.extend(bodies::cases());
    cases.extend(outputs::cases());
    cases.extend(fronts::cases());
    cases.extend(logs::cases());
    cases.extend(scripts::cases());
    let mut names = std::collections::HashSet::new();
    for case in &cases {
        assert!(names.insert(&case.name), "two cases are called {}", case.name);
    }
    if let Ok(part) = std::env::var("CASES") {
        cases.retain(|case| case.name.contains(&part));
    }
    cases
}

/// Asks one side everything.
fn run(side: UnderTest, mode: Mode, cases: &[&Case]) -> Vec<Vec<String>> {
    let site = Site::start(side, mode);
    cases.iter().map(|case| site.ask(case)).collect()
}

/// Fails where something differs that is not listed, or does not that is.
fn judge(differences: &[Difference]) {
    let mut used = BTreeSet::new();
    let mut unknown = String::new();
    for difference in differences {
        let lines = changes(&difference.theirs, &difference.ours);
        used.extend(lines.iter().filter_map(|line| differences::find(&difference.case, difference.mode, line)));
        let left = unlisted(difference);
        if !left.is_empty() {
            unknown.push_str(&format!("\n{} ({:?})\n{}", difference.case, difference.mode, left.join("\n")));
        }
    }
    assert!(unknown.is_empty(), "not listed in tests/differential/differences.rs:\n{unknown}\n");
    if std::env::var_os("CASES").is_some() {
        return;
    }
    for (number, known) in differences::KNOWN.iter().enumerate() {
        assert!(used.contains(&number), "nothing differs any more by: {}", known.reason);
    }
}

#[test]
fn each_difference_has_a_test_of_its_own() {
    for known in differences::KNOWN {
        assert!(is_a_test(known.test), "there is no test {}, which is to show: {}", known.test, known.reason);
    }
    let page = include_str!("../docs/modes.md");
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.contains("| Test |"));
    for row in rows {
        let tests: Vec<&str> = row.rsplit('|').nth(1).unwrap_or("").split('`').filter(|word| word.contains("::")).collect();
        assert!(!tests.is_empty() && tests.iter().all(|test| is_a_test(test)), "docs/modes.md names no test of its own: {row}");
    }
}

/// Whether `FILE::TEST` is in the suite.
fn is_a_test(name: &str) -> bool {
    let (file, name) = name.split_once("::").expect("FILE::TEST");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(file).with_extension("rs");
    std::fs::read_to_string(path).unwrap_or_default().contains(&format!("#[test]\nfn {name}()"))
}

/// The lines that only one of them has: theirs with `-`, ours with `+`.
fn changes(theirs: &[String], ours: &[String]) -> Vec<String> {
    let only = |mark: &str, these: &[String], those: &[String]| -> Vec<String> {
        let mut left = those.to_vec();
        let mut found = Vec::new();
        for line in these {
            match left.iter().position(|other| other == line) {
                Some(at) => drop(left.remove(at)),
                None => found.push(format!("  {mark} {}", line.chars().take(300).collect::<String>())),
            }
        }
        found
    };
    let mut lines = only("-", theirs, ours);
    lines.extend(only("+", ours, theirs));
    if lines.is_empty() {
        lines.push("  the same lines in another order".to_owned());
    }
    lines
}
