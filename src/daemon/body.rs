//! The request body on its way to a worker: small ones go along with the head, larger ones are taken from the client first, so that a
//! slow client costs no Python thread; what is beyond the limit streams while the application reads.

#![forbid(unsafe_code)]

use crate::apache::brigade::{Brigade, Input, ReadError};
use crate::apache::request::Request;
use parking_lot::Mutex;
use std::fs::File;
use std::io::{IoSlice, Read as _, Seek as _};
use std::os::fd::{AsFd, BorrowedFd};
use sys::nix::sys::uio::pwritev;
use wire::frame::{FileRange, Kind, push};

/// A body up to this many octets goes along with the head.
const SMALL: usize = 64 * 1024;

/// Octets taken from the client at a time.
const BLOCK: usize = 64 * 1024;

/// A body up to this many octets is kept in memory, a larger one in a temporary file.
const IN_MEMORY: u64 = 4 << 20;

/// Memory up to this many octets is kept for the next body, ...
const SPARE: u64 = 1 << 20;

/// ... in so many files at most.
const SPARES: usize = 4;

/// Memory of bodies that a group's workers have read, for bodies to come: its pages are there already.
///
/// What is beyond a body's length is of a former one, of the same group: the group's applications have seen it.
#[derive(Default)]
pub(super) struct Spares(Mutex<Vec<File>>);

impl Spares {
    fn begin(&self) -> std::io::Result<Spool> {
        let spare = self.0.lock().pop();
        let file = spare.map_or_else(|| sys::memory::file(c"mod_wsgi request body"), Ok)?;
        Ok(Spool { file, length: 0, is_memory: true })
    }

    /// Keeps the memory of a body that is not needed any more, by the worker neither.
    pub(super) fn give_back(&self, spool: Spool) {
        // A worker could have made it longer.
        let is_kept = spool.is_memory && spool.file.metadata().is_ok_and(|facts| facts.len() <= SPARE);
        let mut spares = self.0.lock();
        if is_kept && spares.len() < SPARES {
            spares.push(spool.file);
        }
    }
}

/// What has been taken from the client before a worker is asked.
pub(super) struct Spool {
    file: File,
    length: u64,
    is_memory: bool,
}

impl AsFd for Spool {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Spool {
    fn append(&mut self, parts: &[&[u8]]) -> std::io::Result<()> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if self.is_memory && self.length + length as u64 > IN_MEMORY {
            let mut file = tempfile::tempfile()?;
            self.file.rewind()?;
            std::io::copy(&mut (&self.file).take(self.length), &mut file)?;
            self.file = file;
            self.is_memory = false;
        }
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut slices = slices.as_mut_slice();
        while !slices.is_empty() {
            // At a place, for the worker's descriptor shares the position.
            match pwritev(&self.file, slices, i64::try_from(self.length).unwrap_or(i64::MAX)) {
                Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.length += written as u64;
                    IoSlice::advance_slices(&mut slices, written);
                }
                Err(sys::nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// What is taken, in memory of ours as long as it is small.
struct Taking<'s> {
    memory: Vec<u8>,
    spool: Option<Spool>,
    spares: &'s Spares,
}

impl Taking<'_> {
    fn append(&mut self, parts: &[&[u8]]) -> std::io::Result<()> {
        if let Some(spool) = &mut self.spool {
            return spool.append(parts);
        }
        if self.memory.len() + parts.iter().map(|part| part.len()).sum::<usize>() <= SMALL {
            parts.iter().for_each(|part| self.memory.extend_from_slice(part));
            return Ok(());
        }
        let mut spool = self.spares.begin()?;
        if !self.memory.is_empty() {
            spool.append(&[&std::mem::take(&mut self.memory)])?;
        }
        spool.append(parts)?;
        self.spool = Some(spool);
        Ok(())
    }
}

/// The body of a request.
pub(super) struct RequestBody<'r> {
    brigade: Brigade<'r>,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Everything has been handed over, or there is nothing.
    Complete,
    /// Nothing is read until the application reads (`Expect: 100-continue`).
    HeldBack,
    /// More is to come from the client.
    Streaming,
}

/// Why the body was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// The client.
    #[error(transparent)]
    Client(#[from] ReadError),
    /// The temporary file.
    #[error("the request body cannot be kept in a temporary file: {0}")]
    Spool(#[from] std::io::Error),
}

/// What goes to the worker right after the head.
#[derive(Default)]
pub(super) struct Taken {
    /// Frames.
    pub(super) frames: Vec<u8>,
    /// The file that a frame among them announces.
    pub(super) file: Option<Spool>,
}

impl<'r> RequestBody<'r> {
    /// Takes as much of the body as is to be taken before a worker is asked, and says it in frames.
    pub(super) fn take(request: &Request<'r>, number: u64, limit: u64, spares: &Spares) -> Result<(Self, Taken), BodyError> {
        let mut body = Self { brigade: request.brigade(), state: State::Streaming };
        let mut taken = Taken::default();
        if request.body_length() == Some(0) {
            body.complete(number, &mut taken.frames);
            return Ok((body, taken));
        }
        if request.expects_continue() {
            body.state = State::HeldBack;
            return Ok((body, taken));
        }
        let mut taking = Taking { memory: Vec::new(), spool: None, spares };
        while taking.spool.as_ref().is_none_or(|spool| spool.length < limit) {
            match body.brigade.read_parts(request, BLOCK, |parts| taking.append(parts))? {
                Some(kept) => kept?,
                None => {
                    body.state = State::Complete;
                    break;
                }
            }
        }
        if !taking.memory.is_empty() {
            push(&mut taken.frames, Kind::RequestBody, number, &taking.memory);
        }
        if let Some(spool) = taking.spool {
            push(&mut taken.frames, Kind::RequestFile, number, &FileRange { offset: 0, length: spool.length }.encode());
            taken.file = Some(spool);
        }
        if body.state == State::Complete {
            body.complete(number, &mut taken.frames);
        }
        Ok((body, taken))
    }

    fn complete(&mut self, number: u64, frames: &mut Vec<u8>) {
        self.state = State::Complete;
        push(frames, Kind::RequestEnd, number, b"");
    }

    /// Whether the application's reading is waited for.
    pub(super) fn is_held_back(&self) -> bool {
        self.state == State::HeldBack
    }

    /// Whether more is to come from the client now.
    pub(super) fn is_streaming(&self) -> bool {
        self.state == State::Streaming
    }

    /// The application reads: what was held back may come.
    pub(super) fn release(&mut self, request: &mut Request<'r>) {
        if self.state == State::HeldBack {
            request.send_continue();
            self.state = State::Streaming;
        }
    }

    /// Takes some more from the client without waiting, as a frame. Returns whether there was something.
    pub(super) fn take_more(&mut self, request: &Request<'r>, number: u64, frames: &mut Vec<u8>) -> bool {
        // Not on the stack, whose pages would be touched by each request that comes along here.
        let mut block = vec![0; 16 * 1024];
        match self.brigade.read(request, &mut block, false) {
            Ok(Input::Octets(length)) => {
                push(frames, Kind::RequestBody, number, &block[..length]);
                true
            }
            Ok(Input::NotYet) => false,
            Ok(Input::End) => {
                self.complete(number, frames);
                true
            }
            Err(error) => {
                self.state = State::Complete;
                push(frames, Kind::RequestFailed, number, error.text.as_bytes());
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt as _;

    fn content(spool: &Spool) -> Vec<u8> {
        let mut octets = vec![0; usize::try_from(spool.length).expect("small")];
        spool.file.read_exact_at(&mut octets, 0).expect("as long as it says");
        octets
    }

    #[test]
    fn memory_of_a_longer_body_takes_a_shorter_one() {
        let spares = Spares::default();
        let mut long = spares.begin().expect("memory");
        long.append(&[&[b'a'; 3000], b"", &[b'b'; 5000]]).expect("written");
        spares.give_back(long);
        let mut taking = Taking { memory: Vec::new(), spool: None, spares: &spares };
        taking.append(&[b"short"]).expect("kept");
        assert!(taking.spool.is_none());
        taking.append(&[&[b'c'; SMALL]]).expect("written");
        let spool = taking.spool.expect("no small body any more");
        assert!(spares.0.lock().is_empty(), "the memory is used again");
        assert_eq!((&content(&spool)[..6], spool.length), (&b"shortc"[..], SMALL as u64 + 5));
    }

    #[test]
    fn what_a_former_body_left_does_not_get_into_a_temporary_file() {
        let spares = Spares::default();
        let mut spool = spares.begin().expect("memory");
        // The worker has made it longer, and moved its position.
        spool.file.set_len(2 * IN_MEMORY).expect("grown");
        spool.file.seek(std::io::SeekFrom::End(0)).expect("moved");
        let block = vec![b'x'; 1 << 20];
        (0..5).for_each(|_| spool.append(&[&block]).expect("written"));
        assert!(!spool.is_memory);
        assert_eq!(spool.file.metadata().expect("open").len(), 5 << 20);
        assert!(content(&spool).iter().all(|octet| *octet == b'x'));
    }

    #[test]
    fn only_a_little_memory_is_kept() {
        let spares = Spares::default();
        let large = spares.begin().expect("memory");
        large.file.set_len(SPARE + 1).expect("grown");
        spares.give_back(large);
        assert!(spares.0.lock().is_empty());
        let spools: Vec<Spool> = (0..=SPARES).map(|_| spares.begin().expect("memory")).collect();
        spools.into_iter().for_each(|spool| spares.give_back(spool));
        assert_eq!(spares.0.lock().len(), SPARES);
    }
}
