//! Settings with what came beside them: the error log and the shared counters.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use sys::memory::{MemoryError, SharedWords};
use sys::nix::sys::signal::kill;
use sys::nix::sys::stat::fstat;
use sys::nix::unistd::Pid;
use wire::counters::Counters;
use wire::log::Level;
use wire::settings::GroupSettings;

/// The shared counters, mapped; of one edition or more.
pub(crate) struct Memory {
    words: SharedWords,
    /// Says whether two descriptors are of the same memory.
    inode: u64,
    /// Where the search for a free slot begins.
    next_slot: Cell<u32>,
}

impl Memory {
    /// The counters; `None` when somebody has scribbled over their mark.
    pub(crate) fn counters(&self) -> Option<Counters<'_>> {
        Counters::view(&self.words)
    }

    /// A slot that nobody of `taken` has, and that was free for the longest time: httpd's children look in the slot of a worker that has
    /// died for the request it executed, so its successor must not overwrite that at once.
    pub(crate) fn free_slot(&self, taken: &[u32]) -> Option<u32> {
        let counters = self.counters()?;
        let slots = counters.shape().workers;
        let first = self.next_slot.get();
        // Workers of a supervisor that has died drain, unknown to this one.
        let is_used = |slot: u32| taken.contains(&slot) || counters.worker(slot).is_some_and(|worker| is_alive(worker.pid()));
        let slot = (0..slots).map(|step| (first + step) % slots).find(|slot| !is_used(*slot))?;
        self.next_slot.set((slot + 1) % slots);
        Some(slot)
    }
}

fn is_alive(pid: u64) -> bool {
    i32::try_from(pid).is_ok_and(|pid| pid > 0 && kill(Pid::from_raw(pid), None).is_ok())
}

/// What is wrong with a message `Configure`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EditionError {
    /// The error log or the counters did not come beside it.
    #[error("settings came with {0} descriptors, expected the error log's and the counters'")]
    Descriptors(usize),
    /// The counters cannot be mapped.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The kernel said no.
    #[error("cannot look at the counters: {0}")]
    Stat(#[from] sys::nix::errno::Errno),
    /// The counters have no mark, or another size than they say.
    #[error("the memory that came as counters is something else")]
    NoCounters,
}

/// One message `Configure`.
pub(crate) struct Edition {
    /// The settings.
    pub(crate) settings: GroupSettings,
    /// The error log.
    pub(crate) log: OwnedFd,
    /// The counters' descriptor, for workers.
    pub(crate) counters: OwnedFd,
    /// The counters.
    pub(crate) memory: Rc<Memory>,
}

impl Edition {
    /// Takes settings and descriptors together. Memory that is mapped already, for one of `known`, is shared with it.
    ///
    /// # Errors
    /// [`EditionError`]: the message is of no use.
    pub(crate) fn new<'e>(
        settings: GroupSettings,
        descriptors: Vec<OwnedFd>,
        known: impl IntoIterator<Item = &'e Self>,
    ) -> Result<Self, EditionError> {
        let count = descriptors.len();
        let [log, counters] = <[OwnedFd; 2]>::try_from(descriptors).map_err(|_| EditionError::Descriptors(count))?;
        let inode = fstat(&counters)?.st_ino;
        let memory = match known.into_iter().find(|edition| edition.memory.inode == inode) {
            Some(edition) => Rc::clone(&edition.memory),
            None => Rc::new(Memory { words: SharedWords::map(&counters)?, inode, next_slot: Cell::new(0) }),
        };
        if memory.counters().is_none() {
            return Err(EditionError::NoCounters);
        }
        Ok(Self { settings, log, counters, memory })
    }

    /// Writes a line to the error log, if `LogLevel` wants it.
    pub(crate) fn log(&self, level: Level, text: &str) {
        if level as u8 <= self.settings.log_level {
            sys::log::write(&self.log, level, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_settings::settings;
    use wire::counters::Shape;

    fn edition(known: &[Edition], memory: &OwnedFd) -> Result<Edition, EditionError> {
        let log = std::fs::File::open("/dev/null").expect("there").into();
        Edition::new(settings(), vec![log, memory.try_clone().expect("a descriptor")], known)
    }

    #[test]
    fn memory_that_comes_again_is_the_same_memory() {
        let shape = Shape::new(1, 1);
        let (memory, words) = SharedWords::create(c"test", shape.words()).expect("created");
        assert!(matches!(edition(&[], &memory), Err(EditionError::NoCounters)));
        Counters::format(&words, shape).expect("large enough");
        let first = edition(&[], &memory).expect("an edition");
        let second = edition(std::slice::from_ref(&first), &memory).expect("an edition");
        assert!(Rc::ptr_eq(&first.memory, &second.memory));
        assert!(matches!(Edition::new(settings(), vec![], []), Err(EditionError::Descriptors(0))));
    }

    #[test]
    fn a_slot_is_used_again_as_late_as_possible() {
        let shape = Shape { workers: 3, threads: 1 };
        let (memory, words) = SharedWords::create(c"test", shape.words()).expect("created");
        Counters::format(&words, shape).expect("large enough");
        let edition = edition(&[], &memory).expect("an edition");
        let slots: Vec<_> = (0..4).map(|_| edition.memory.free_slot(&[1])).collect();
        assert_eq!(slots, [Some(0), Some(2), Some(0), Some(2)]);
        assert_eq!(edition.memory.free_slot(&[0, 1, 2]), None);
        Counters::view(&words).and_then(|counters| counters.worker(0)).expect("a slot").reset(std::process::id(), 1, 0);
        assert_eq!(edition.memory.free_slot(&[1]), Some(2), "somebody who lives is in the first");
    }
}
