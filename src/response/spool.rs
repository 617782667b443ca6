//! What a slow client has not taken yet, in an unlinked temporary file.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;

/// The part of a response between what has been passed and what has come.
pub(super) struct Spool {
    file: File,
    passed: u64,
    written: u64,
}

impl Spool {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self { file: tempfile::tempfile()?, passed: 0, written: 0 })
    }

    /// Octets that wait.
    pub(super) fn len(&self) -> u64 {
        self.written - self.passed
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn append(&mut self, octets: &[u8]) -> std::io::Result<()> {
        // At its place: after a failure halfway the file is longer than what counts.
        self.file.write_all_at(octets, self.written)?;
        self.written += octets.len() as u64;
        Ok(())
    }

    /// Takes out as much as `buffer` has room for.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = usize::try_from(self.len()).unwrap_or(usize::MAX).min(buffer.len());
        self.file.read_exact_at(&mut buffer[..most], self.passed)?;
        self.passed += most as u64;
        Ok(most)
    }

    /// Takes all out: as a part of the file, with a descriptor of its own.
    pub(super) fn take(&mut self) -> Option<(OwnedFd, u64, u64)> {
        let length = self.len();
        let file = self.file.try_clone().ok().filter(|_| length > 0)?;
        let offset = self.passed;
        self.passed += length;
        Some((file.into(), offset, length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_once_and_in_order() {
        let mut spool = Spool::new().expect("a temporary file");
        spool.append(b"hello").expect("room");
        let mut buffer = [0; 3];
        assert_eq!((spool.read(&mut buffer).expect("written"), &buffer), (3, b"hel"));
        spool.append(b" world").expect("room");
        let part = |taken: Option<(OwnedFd, u64, u64)>| taken.map(|(_, offset, length)| (offset, length));
        assert_eq!((spool.len(), part(spool.take()), part(spool.take())), (8, Some((3, 8)), None));
        assert!(spool.is_empty());
    }
}
