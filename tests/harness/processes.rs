//! The processes of one httpd, found in `/proc` by descent, by a mark in the environment, or by their process group.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Mutex;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// The variable that marks all that a test's httpd starts, unless it is wiped on the way.
pub(crate) const MARK: &str = "WSGI_TEST_MARK";

/// One process, as it was when asked.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: i32,
    /// Its parent's number.
    pub(crate) parent: i32,
    group: i32,
    state: char,
    started: u64,
    /// Its command line as `ps` shows it, arguments joined by blanks.
    pub(crate) command: String,
}

impl Process {
    /// The process `pid`, if there is one.
    pub(crate) fn find(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in parentheses and may hold anything, so the fields begin behind the last one.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ").trim().to_owned();
        Some(Self {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            state: fields.first()?.chars().next()?,
            started: fields.get(19)?.parse().ok()?,
            command,
        })
    }

    /// Those whose environment has this variable.
    pub(crate) fn with_variable(name: &str, value: &str) -> Vec<Self> {
        all().into_iter().filter(|process| process.state != 'Z' && process.has_variable(name, value)).collect()
    }

    /// Whether it still runs; a zombie does not.
    pub(crate) fn is_running(&self) -> bool {
        Self::find(self.pid).is_some_and(|now| now.started == self.started && now.state != 'Z')
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        nix::sys::signal::kill(Pid::from_raw(self.pid), signal).unwrap_or_else(|error| panic!("cannot send {signal} to {self:?}: {error}"));
    }

    /// The number of its open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid)).map_or(0, Iterator::count)
    }

    /// Its resident memory in KiB.
    pub(crate) fn resident(&self) -> u64 {
        let status = self.status();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
        line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
    }

    /// `/proc/PID/status`.
    pub(crate) fn status(&self) -> String {
        std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default()
    }

    fn has_variable(&self, name: &str, value: &str) -> bool {
        let environment = std::fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        let wanted = format!("{name}={value}");
        environment.split(|octet| *octet == 0).any(|entry| entry == wanted.as_bytes())
    }
}

/// All processes that belong to one httpd, remembered once seen.
#[derive(Debug)]
pub(crate) struct Family {
    root: i32,
    mark: String,
    seen: Mutex<HashMap<i32, u64>>,
}

impl Family {
    /// The family of the httpd `root`, which was started with the environment's mark and leads its process group.
    pub(crate) fn of(root: i32, mark: &str) -> Self {
        Self { root, mark: mark.to_owned(), seen: Mutex::new(HashMap::new()) }
    }

    /// Those that run now, httpd itself included.
    pub(crate) fn running(&self) -> Vec<Process> {
        let all = all();
        let mut seen = self.seen.lock().expect("nothing panics in between");
        let mut members: HashSet<i32> = all
            .iter()
            .filter(|process| {
                process.pid == self.root
                    || process.group == self.root
                    || seen.get(&process.pid) == Some(&process.started)
                    || process.has_variable(MARK, &self.mark)
            })
            .map(|process| process.pid)
            .collect();
        loop {
            let more: Vec<i32> = all.iter().filter(|p| members.contains(&p.parent) && !members.contains(&p.pid)).map(|p| p.pid).collect();
            if more.is_empty() {
                break;
            }
            members.extend(more);
        }
        let running: Vec<Process> = all.into_iter().filter(|p| members.contains(&p.pid) && p.state != 'Z').collect();
        seen.extend(running.iter().map(|process| (process.pid, process.started)));
        running
    }

    /// Zombies that a living member of the family has left unreaped.
    pub(crate) fn zombies(&self) -> Vec<Process> {
        let living: HashSet<i32> = self.running().iter().map(|process| process.pid).collect();
        all().into_iter().filter(|process| process.state == 'Z' && living.contains(&process.parent)).collect()
    }
}

fn all() -> Vec<Process> {
    let entries = std::fs::read_dir(Path::new("/proc")).expect("/proc is mounted");
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(Process::find).collect()
}
