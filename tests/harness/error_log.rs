//! httpd's error log: waiting for a line, and the check that it holds nothing unexpected.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::place::wait_until;

/// Levels that a test has to declare when it causes them.
const SERIOUS: [&str; 4] = ["emerg", "alert", "crit", "error"];

/// One log file.
#[derive(Clone, Debug)]
pub(crate) struct ErrorLog {
    path: PathBuf,
}

/// What the log may and must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    /// Each of these has to be there.
    pub(crate) required: Vec<String>,
    /// These may be there.
    pub(crate) allowed: Vec<String>,
    /// Lines of tracebacks may be there.
    pub(crate) tracebacks: bool,
}

impl ErrorLog {
    /// The log at `path`, which need not exist yet.
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.path).unwrap_or_default()).into_owned()
    }

    /// The lines that hold `text`.
    pub(crate) fn lines_with(&self, text: &str) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }

    /// Waits until a line holds `text`, and gives the first that does.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.wait_for_count(text, 1).remove(0)
    }

    /// Waits until at least `count` lines hold `text`.
    pub(crate) fn wait_for_count(&self, text: &str, count: usize) -> Vec<String> {
        wait_until(Duration::from_secs(15), || Some(self.lines_with(text)).filter(|lines| lines.len() >= count))
            .unwrap_or_else(|| panic!("fewer than {count} lines with '{text}' within 15 s\n{}", self.tail()))
    }

    /// The end of it, for messages of failed assertions.
    pub(crate) fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(60);
        format!("--- end of {} ---\n{}\n---", self.path.display(), lines[from..].join("\n"))
    }

    /// What is wrong with the log, measured by what a test declared.
    pub(crate) fn complaints(&self, expected: &Expected) -> Vec<String> {
        let text = self.text();
        let mut complaints: Vec<String> = text
            .lines()
            .filter(|line| is_serious(line) && !expected.covers(line))
            .map(|line| format!("unexpected in the log: {line}"))
            .collect();
        complaints.extend(
            expected.required.iter().filter(|wanted| !text.contains(wanted.as_str())).map(|wanted| format!("missing in the log: {wanted}")),
        );
        complaints
    }
}

impl Expected {
    fn covers(&self, line: &str) -> bool {
        let named = self.required.iter().chain(&self.allowed).any(|text| line.contains(text.as_str()));
        named || (self.tracebacks && is_traceback(message(line)))
    }
}

/// Whether a line is of level error or above, or not in httpd's format at all: something wrote past the log.
fn is_serious(line: &str) -> bool {
    match level(line) {
        Some(level) => SERIOUS.contains(&level),
        None => !line.trim().is_empty(),
    }
}

/// The level in `[date] [module:level] …`.
fn level(line: &str) -> Option<&str> {
    let (_date, rest) = line.strip_prefix('[')?.split_once("] [")?;
    let (tag, _rest) = rest.split_once(']')?;
    Some(tag.split_once(':')?.1)
}

/// The text behind the bracketed fields.
fn message(line: &str) -> &str {
    let mut rest = line;
    while let Some((_field, behind)) = rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        rest = behind;
    }
    // httpd trims nothing, so what is left of a continuation line keeps its indentation.
    rest
}

fn is_traceback(message: &str) -> bool {
    const HEADS: [&str; 4] =
        ["Traceback (most recent call last)", "During handling of the above exception", "The above exception was the direct cause", "  "];
    message.trim().is_empty() || HEADS.iter().any(|head| message.starts_with(head)) || message.trim_start().starts_with("File \"")
}
