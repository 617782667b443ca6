//! What `ps` shows of this process: the kernel reads the argument area of the process's own memory (proc(5), `/proc/pid/cmdline`).

/// Overwrites the arguments with `title`, cut to their length. Returns whether that was possible.
///
/// What was an argument is gone afterwards; the caller has no use for it any more.
#[must_use]
pub fn set(title: &[u8]) -> bool {
    let Some((start, length)) = argument_area() else { return false };
    let shown = title.len().min(length - 1);
    // SAFETY: the kernel says that these octets are the process's own arguments: mapped, writable, and used by nobody else in a process
    // whose runtime has copied them at its start. The last octet stays NUL, or the kernel would read on into the environment.
    unsafe {
        let area = std::slice::from_raw_parts_mut(start as *mut u8, length);
        area.fill(0);
        area[..shown].copy_from_slice(&title[..shown]);
    }
    true
}

/// `arg_start` and `arg_end` of `/proc/self/stat`: fields 48 and 49.
fn argument_area() -> Option<(usize, usize)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the name in parentheses, and may hold blanks.
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace().skip(45);
    let start: usize = fields.next()?.parse().ok()?;
    let end: usize = fields.next()?.parse().ok()?;
    (start > 0 && end > start + 1).then_some((start, end - start))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_argument_area_holds_our_own_name() {
        let (start, length) = super::argument_area().expect("proc is mounted");
        let line = std::fs::read("/proc/self/cmdline").expect("proc is mounted");
        assert!(start > 0);
        assert_eq!(line.len(), length);
    }
}
