//! How much memory this process takes, where pages that it shares with others count in parts (PSS): only the process itself may ask the
//! kernel for that, as nobody may look into it. The supervisor, which compares it with `memory-limit`, finds it in the counters.

#![forbid(unsafe_code)]

use super::request::Service;
use sys::nix::unistd::{SysconfVar, sysconf};

/// What is measured, and when.
pub(super) struct Scale {
    /// `memory-limit`, in octets; 0 is none.
    limit: u64,
}

impl Scale {
    /// Measures for this limit, and once at first: who has nearly as much from the beginning is judged by that.
    pub(super) fn new(limit: u64, service: &Service) -> Self {
        let scale = Self { limit };
        if limit > 0 {
            service.with_slot(|slot| slot.weigh(proportional().unwrap_or(0)));
        }
        scale
    }

    /// Measures again if it might be near the limit. The kernel goes through all pages for it, whose number is known without that, and
    /// is never less.
    pub(super) fn look(&self, service: &Service) {
        if self.limit > 0 && resident().is_none_or(|resident| resident >= self.limit / 2) {
            service.with_slot(|slot| slot.weigh(proportional().unwrap_or(0)));
        }
    }
}

/// `Pss` of all mappings, in octets; `None` where there is no `/proc`.
fn proportional() -> Option<u64> {
    pss(&std::fs::read_to_string("/proc/self/smaps_rollup").ok()?)
}

fn pss(text: &str) -> Option<u64> {
    let kibibytes = text.lines().find_map(|line| line.strip_prefix("Pss:"))?.trim().strip_suffix("kB")?.trim();
    kibibytes.parse::<u64>().ok()?.checked_mul(1024)
}

/// Pages that are in memory, shared or not, in octets.
fn resident() -> Option<u64> {
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|size| u64::try_from(size).ok())?;
    std::fs::read_to_string("/proc/self/statm").ok()?.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_all_mappings_is_read() {
        let text = "55d0-7ffc ---p 00000000 00:00 0 [rollup]\nRss:  9000 kB\nPss:                1234 kB\nPss_Dirty:   800 kB\n";
        assert_eq!(pss(text), Some(1234 * 1024));
        assert_eq!(pss("Rss: 9000 kB\n"), None);
    }

    #[test]
    fn the_share_is_never_more_than_what_is_in_memory() {
        sys::process::set_not_dumpable();
        let (share, all) = (proportional().expect("/proc"), resident().expect("/proc"));
        // Pages come and go between the two.
        assert!(share > 0 && share <= all + (1 << 20), "{share} of {all}");
    }
}
