//! Clocks: what wire's values need of time.

use std::mem::MaybeUninit;
use wire::log::LocalTime;

fn now(clock: libc::clockid_t) -> libc::timespec {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the kernel writes a timespec to the memory we lend; both clocks exist on every Linux, so it does not fail.
    unsafe {
        libc::clock_gettime(clock, time.as_mut_ptr());
        time.assume_init()
    }
}

fn micros(time: libc::timespec) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000
}

/// Microseconds of `CLOCK_MONOTONIC`, the same in every process of a machine.
#[must_use]
pub fn monotonic_micros() -> u64 {
    micros(now(libc::CLOCK_MONOTONIC))
}

/// Microseconds since the epoch.
#[must_use]
pub fn epoch_micros() -> u64 {
    micros(now(libc::CLOCK_REALTIME))
}

/// CPU time of the calling thread in microseconds: user and system together.
#[must_use]
pub fn thread_cpu_micros() -> u64 {
    micros(now(libc::CLOCK_THREAD_CPUTIME_ID))
}

/// The local time, for log lines.
#[must_use]
pub fn local_time() -> LocalTime {
    let time = now(libc::CLOCK_REALTIME);
    let mut parts = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are to memory of ours; a tm of zeros is valid, should the call fail.
    let parts = unsafe {
        libc::localtime_r(&raw const time.tv_sec, parts.as_mut_ptr());
        parts.assume_init()
    };
    let small = |number: libc::c_int| u8::try_from(number).unwrap_or(0);
    LocalTime {
        weekday: small(parts.tm_wday),
        month: small(parts.tm_mon),
        day: small(parts.tm_mday),
        hour: small(parts.tm_hour),
        minute: small(parts.tm_min),
        second: small(parts.tm_sec),
        microsecond: u32::try_from(time.tv_nsec / 1_000).unwrap_or(0),
        year: parts.tm_year + 1900,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_clocks_advance() {
        let start = super::monotonic_micros();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(super::monotonic_micros() >= start + 2_000);
        assert!(super::epoch_micros() > 1_700_000_000_000_000);
        assert!(super::local_time().year > 2020);
    }
}
