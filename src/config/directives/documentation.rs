//! `docs/directives.md` names every directive and option, and says of each what the definitions say.
//!
//! Place, effect and the directives' meaning are written by `make docs`; defaults, and the meaning of options, are kept as they stand there.

use super::daemon_options::OPTIONS;
use super::{Context, DIRECTIVES, Effect};
use std::fmt::Write as _;
use std::path::Path;

fn place(context: Context) -> &'static str {
    match context {
        Context::Global => "server",
        Context::Server => "server, virtual host",
        Context::Directory => "server, virtual host, directory",
        Context::FileInfo => "server, virtual host, directory, .htaccess (FileInfo)",
        Context::AuthConfig => "directory, .htaccess (AuthConfig)",
        Context::GlobalOrBlock => "server, `<WSGIInterpreterOptions>`",
    }
}

fn effect(effect: Effect, help: &str) -> String {
    match effect {
        Effect::Works if help.starts_with("Removed:") => "refused".to_owned(),
        Effect::Works => "yes".to_owned(),
        Effect::Never(_, why) => format!("never: {}", escape(why)),
        Effect::Replaced(by) => format!("not needed: {}", escape(by)),
    }
}

/// Text as Markdown shows it, within a table.
fn escape(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "\\<")
}

/// The cells of the row of `name` in the page, without the name.
fn cells<'a>(page: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let start = format!("| `{name}` | ");
    let row = page.lines().find_map(|line| line.strip_prefix(&start))?;
    Some(row.trim_end_matches(" |").split(" | ").collect())
}

/// The page with the table behind `head` replaced by `rows`.
fn with_table(page: &str, head: &str, rows: &str) -> String {
    let (before, behind) = page.split_once(head).unwrap_or_else(|| panic!("the page has a table that begins with {head}"));
    let rest = behind.split_once("\n\n").map_or("", |(_, rest)| rest);
    let separator = if rest.is_empty() { "" } else { "\n" };
    format!("{before}{head}{rows}{separator}{rest}")
}

fn written(page: &str) -> String {
    const UNKNOWN: &str = "?";
    let mut rows = String::new();
    for directive in DIRECTIVES {
        let help = directive.help.to_str().expect("help texts are ASCII");
        let name = directive.name.to_str().expect("names are ASCII");
        let name = if name.starts_with('<') { format!("{name}>") } else { name.to_owned() };
        let default = cells(page, &name).and_then(|cells| cells.get(1).copied()).unwrap_or(UNKNOWN);
        let (place, effect) = (place(directive.context), effect(directive.effect, help));
        writeln!(rows, "| `{name}` | {place} | {default} | {effect} | {} |", escape(help)).expect("a String takes everything");
    }
    let page = with_table(page, "| Directive | Where | Default | Effect | What it does |\n|---|---|---|---|---|\n", &rows);
    rows.clear();
    for option in OPTIONS {
        let name = format!("{}=", option.name);
        let old = cells(&page, &name).unwrap_or_default();
        let cell = |at: usize| old.get(at).copied().unwrap_or(UNKNOWN);
        writeln!(rows, "| `{name}` | {} | {} | {} |", cell(0), effect(option.effect, ""), cell(2)).expect("a String takes everything");
    }
    with_table(&page, "| Option | Default | Effect | What it does |\n|---|---|---|---|\n", &rows)
}

#[test]
fn every_directive_and_option_is_documented_as_defined() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/directives.md");
    let old = std::fs::read_to_string(&path).expect("docs/directives.md is there");
    let new = written(&old);
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(&path, &new).expect("the checkout is ours");
    } else {
        let differs = old.lines().zip(new.lines()).find(|(old, new)| old != new);
        assert!(old == new, "docs/directives.md is not up to date: run `make docs`; the first difference: {differs:#?}");
    }
    let unknown: Vec<_> = new.lines().filter(|line| line.contains("| ? |")).collect();
    assert!(unknown.is_empty(), "write default and meaning in docs/directives.md: {unknown:#?}");
}
