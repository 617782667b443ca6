//! Memory shared between processes: words of a sealed memfd (memfd_create(2)).

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

/// Why memory cannot be shared.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The kernel said no.
    #[error("cannot share memory: {0}")]
    Os(#[from] nix::errno::Errno),
    /// What a peer sent may shrink, or is not a memfd.
    #[error("shared memory is not sealed against shrinking")]
    NotSealed,
    /// What a peer sent is empty.
    #[error("shared memory is empty")]
    Empty,
}

/// A file in memory, without a name in any folder (memfd_create(2)).
///
/// # Errors
/// When the kernel refuses memory or descriptors.
pub fn file(name: &std::ffi::CStr) -> std::io::Result<std::fs::File> {
    Ok(memfd_create(name, MFdFlags::MFD_CLOEXEC)?.into())
}

/// Lets the threads of this process share fewer heaps of malloc(3), unless `MALLOC_ARENA_MAX` says how many: glibc would make eight for each
/// processor, each of which keeps what it was given. Threads that take turns at an interpreter's lock do not need one each.
///
/// What mallopt(3) refuses changes nothing.
pub fn share_heaps(processors: usize) {
    #[cfg(target_env = "gnu")]
    if std::env::var_os("MALLOC_ARENA_MAX").is_none() {
        let most = std::ffi::c_int::try_from(processors.max(2)).unwrap_or(2);
        // SAFETY: sets a number of the allocator's, which may be set at any time.
        let _best_effort = unsafe { libc::mallopt(libc::M_ARENA_MAX, most) };
    }
}

/// Words that other processes see, and may change at any time.
///
/// # Invariants
/// `start` is a shared mapping of `length` words, writable, of a memfd that cannot shrink; it lives until drop.
pub struct SharedWords {
    start: NonNull<AtomicU64>,
    length: usize,
}

// SAFETY: atomics may be used from any thread, and the mapping belongs to the process, not to a thread.
unsafe impl Send for SharedWords {}
// SAFETY: as above; all access is through atomics.
unsafe impl Sync for SharedWords {}

impl SharedWords {
    /// Makes a memfd of `length` words of zero, sealed against every change of size, and maps it.
    ///
    /// # Errors
    /// When the kernel refuses memory or descriptors.
    pub fn create(name: &std::ffi::CStr, length: usize) -> Result<(OwnedFd, Self), MemoryError> {
        use nix::fcntl::{FcntlArg, SealFlag, fcntl};
        let memory = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        let octets = length.saturating_mul(size_of::<AtomicU64>());
        nix::unistd::ftruncate(&memory, i64::try_from(octets).unwrap_or(i64::MAX))?;
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        fcntl(&memory, FcntlArg::F_ADD_SEALS(seals))?;
        let words = Self::map(&memory)?;
        Ok((memory, words))
    }

    /// Maps a memfd that somebody else has made. It must be sealed against shrinking, or a read could end this process (SIGBUS).
    ///
    /// # Errors
    /// When it is not sealed, is empty, or cannot be mapped.
    pub fn map(memory: impl AsFd) -> Result<Self, MemoryError> {
        use nix::fcntl::{FcntlArg, SealFlag, fcntl};
        let seals = fcntl(&memory, FcntlArg::F_GET_SEALS).map_err(|_| MemoryError::NotSealed)?;
        if seals & SealFlag::F_SEAL_SHRINK.bits() == 0 {
            return Err(MemoryError::NotSealed);
        }
        let octets = usize::try_from(nix::sys::stat::fstat(&memory)?.st_size).unwrap_or(0);
        let length = octets / size_of::<AtomicU64>();
        let octets = NonZeroUsize::new(length * size_of::<AtomicU64>()).ok_or(MemoryError::Empty)?;
        // SAFETY: a new shared mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe { mmap(None, octets, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED, memory, 0) }?;
        // INVARIANT: the mapping has `length` words, is page aligned, and its file cannot shrink (checked above).
        Ok(Self { start: start.cast(), length })
    }
}

impl Deref for SharedWords {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: by the type's invariants these are `length` mapped words for as long as self lives, and atomics may change under us.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no slice of it outlives self.
        let _unmapped = unsafe { munmap(self.start.cast::<c_void>(), self.length * size_of::<AtomicU64>()) };
    }
}

/// A file in memory for what somebody writes who may not wait.
pub struct Scratch(std::fs::File);

impl Scratch {
    /// An empty one.
    ///
    /// # Errors
    /// When the kernel refuses memory or descriptors.
    pub fn new(name: &std::ffi::CStr) -> Result<Self, MemoryError> {
        Ok(Self(std::fs::File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC)?)))
    }

    /// What has been written since it was made.
    #[must_use]
    pub fn contents(&self) -> Vec<u8> {
        use std::os::unix::fs::FileExt;
        let length = self.0.metadata().map_or(0, |metadata| metadata.len());
        let mut octets = vec![0; usize::try_from(length).unwrap_or(0)];
        if self.0.read_exact_at(&mut octets, 0).is_err() {
            octets.clear();
        }
        octets
    }
}

impl std::os::fd::AsRawFd for Scratch {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn two_mappings_see_the_same_words() {
        let (memory, words) = SharedWords::create(c"test", 10).expect("created");
        let other = SharedWords::map(&memory).expect("mapped");
        words[9].store(7, Relaxed);
        assert_eq!((other.len(), other[9].load(Relaxed)), (10, 7));
    }

    #[test]
    fn memory_that_could_shrink_is_refused() {
        let memory = memfd_create(c"test", MFdFlags::MFD_ALLOW_SEALING).expect("created");
        nix::unistd::ftruncate(&memory, 4096).expect("sized");
        assert!(matches!(SharedWords::map(&memory), Err(MemoryError::NotSealed)));
    }
}
