//! What a file lies on.

use nix::sys::statfs::{BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, FsType, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC, XFS_SUPER_MAGIC, fstatfs};
use std::os::fd::AsFd;

/// File systems of the kernel's own, whose files sendfile(2) sends as read(2) reads them.
const LOCAL: [FsType; 5] = [EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, TMPFS_MAGIC, OVERLAYFS_SUPER_MAGIC];

/// Whether a file lies on a local file system that is known to be sound with sendfile(2): not one of a network or of a user's program.
#[must_use]
pub fn is_local(file: impl AsFd) -> bool {
    fstatfs(file).is_ok_and(|system| LOCAL.contains(&system.filesystem_type()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_memfd_is_local_and_proc_is_not() {
        let memory = crate::memory::file(c"test").expect("memory");
        assert!(super::is_local(&memory));
        assert!(!super::is_local(std::fs::File::open("/proc/self/stat").expect("proc is mounted")));
    }
}
