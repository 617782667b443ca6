//! Which thread runs when several could: the scheduling policy, sched(7).

use std::ffi::c_int;

/// Lets the calling thread wait for its turn when it wakes, instead of interrupting the thread that runs (`SCHED_BATCH`). It gets as much
/// of the processor as before, with its nice value.
///
/// For threads that execute applications, and for those that wait for them: each request wakes some, and every one that interrupts whoever
/// has woken it, mostly just before that one would have waited anyway, costs two switches, and an interrupt where it ran on another
/// processor. A thread that an operator has given another policy than the default keeps it. Threads and processes that the calling one
/// starts inherit it.
pub fn batch() {
    let parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: concerns the calling thread (0) only; the parameter is read before the call returns.
    unsafe {
        if libc::sched_getscheduler(0) == libc::SCHED_OTHER {
            // A sandbox may forbid it: then everything is as it was.
            let _allowed: c_int = libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameter);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_thread_changes_its_own_policy_and_no_other() {
        // SAFETY: asks for a number.
        let policy = || unsafe { libc::sched_getscheduler(0) };
        let before = policy();
        let inside = std::thread::spawn(move || {
            super::batch();
            policy()
        });
        assert_eq!(inside.join().expect("ended"), if before == libc::SCHED_OTHER { libc::SCHED_BATCH } else { before });
        assert_eq!(policy(), before);
    }
}
