//! Which thread runs when several could: the scheduling policy, sched(7).

use std::ffi::c_int;
use std::marker::PhantomData;

/// Lets the calling thread wait for its turn when it wakes, instead of interrupting the thread that runs (`SCHED_BATCH`). It gets as much
/// of the processor as before, with its nice value.
///
/// For threads that execute applications: each request wakes some, and every one that interrupts whoever has woken it, mostly just before
/// that one would have waited anyway, costs two switches, and an interrupt where it ran on another processor. A thread that an operator
/// has given another policy than the default keeps it. Threads and processes that the calling one starts inherit it.
pub fn batch() {
    let _for_good = change(libc::SCHED_OTHER, libc::SCHED_BATCH);
}

/// The same until the returned value is dropped, by the same thread.
#[must_use]
pub fn batch_meanwhile() -> Meanwhile {
    Meanwhile { changed: change(libc::SCHED_OTHER, libc::SCHED_BATCH), of_one_thread: PhantomData }
}

/// A thread is scheduled as `SCHED_BATCH` for as long as this exists, if it may and was not before.
#[derive(Debug)]
pub struct Meanwhile {
    changed: bool,
    of_one_thread: PhantomData<*mut ()>,
}

impl Drop for Meanwhile {
    fn drop(&mut self) {
        if self.changed {
            let _back = change(libc::SCHED_BATCH, libc::SCHED_OTHER);
        }
    }
}

/// Gives the calling thread another policy, if it has the first one; whether it has the second now.
fn change(from: c_int, to: c_int) -> bool {
    let parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: concerns the calling thread (0) only; the parameter is read before the call returns. A sandbox may forbid it: then everything
    // is as it was.
    unsafe { libc::sched_getscheduler(0) == from && libc::sched_setscheduler(0, to, &raw const parameter) == 0 }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_thread_changes_its_own_policy_and_no_other() {
        // SAFETY: asks for a number.
        let policy = || unsafe { libc::sched_getscheduler(0) };
        let before = policy();
        let batch = if before == libc::SCHED_OTHER { libc::SCHED_BATCH } else { before };
        let inside = std::thread::spawn(move || {
            let during = {
                let _meanwhile = super::batch_meanwhile();
                policy()
            };
            let after = policy();
            super::batch();
            (during, after, policy())
        });
        assert_eq!(inside.join().expect("ended"), (batch, before, batch));
        assert_eq!(policy(), before);
    }
}
