//! What the kernel tells of workers: their memory, and whether one of them was killed for lack of it.

use crate::group::Memory;
use std::path::PathBuf;
use sys::nix::unistd::{Pid, SysconfVar, sysconf};

/// The memory of a process (`/proc/pid/statm`, which anybody may read); `None` when it has ended.
pub(crate) fn memory(pid: Pid) -> Option<Memory> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|size| u64::try_from(size).ok()).unwrap_or(4096);
    statm(&text, page)
}

/// The first field is the size of all, the sixth that of data and stack, in pages.
fn statm(text: &str, page: u64) -> Option<Memory> {
    let mut fields = text.split_whitespace().map(|field| field.parse::<u64>().ok()?.checked_mul(page));
    let space = fields.next()??;
    let data = fields.nth(4)??;
    Some(Memory { data, space, weight: 0 })
}

/// Counts the processes that the kernel has killed for lack of memory: in our control group if it says so (`memory.events` of version 2),
/// otherwise on the machine (`/proc/vmstat`).
pub(crate) struct OutOfMemory {
    file: PathBuf,
    seen: u64,
}

impl OutOfMemory {
    /// Counts from now on.
    pub(crate) fn new() -> Self {
        let group = std::fs::read_to_string("/proc/self/cgroup").ok();
        let path = group.iter().flat_map(|text| text.lines()).find_map(|line| line.strip_prefix("0::/"));
        let own = path.map(|path| PathBuf::from("/sys/fs/cgroup").join(path).join("memory.events"));
        let file = own.filter(|file| count(file).is_some()).unwrap_or_else(|| PathBuf::from("/proc/vmstat"));
        let seen = count(&file).unwrap_or(0);
        Self { file, seen }
    }

    /// Whether there were more since it was asked last.
    pub(crate) fn has_struck(&mut self) -> bool {
        // After chroot the files may be out of reach: then nobody knows.
        let Some(now) = count(&self.file) else { return false };
        now > std::mem::replace(&mut self.seen, now)
    }
}

fn count(file: &std::path::Path) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_octets() {
        assert_eq!(statm("2000 500 300 10 0 700 0\n", 4096), Some(Memory { data: 700 * 4096, space: 2000 * 4096, weight: 0 }));
        assert_eq!(statm("", 4096), None);
        let own = memory(Pid::this()).expect("we live");
        assert!(own.data > 0 && own.space >= own.data);
    }

    #[test]
    fn a_count_that_grows_is_seen_once() {
        let file = std::env::temp_dir().join(format!("supervisor-oom-{}", std::process::id()));
        std::fs::write(&file, "low 0\noom 2\noom_kill 4\n").expect("written");
        let mut oom = OutOfMemory { file: file.clone(), seen: 4 };
        assert!(!oom.has_struck());
        std::fs::write(&file, "oom_kill 5\n").expect("written");
        assert!(oom.has_struck() && !oom.has_struck());
        std::fs::remove_file(&file).expect("was there");
        assert!(!oom.has_struck());
    }
}
