//! The safe view of POSIX and Linux that the module, the supervisor and the host need: sockets that carry descriptors, control
//! channels, shared memory, clocks, ids, limits, processes. Knows neither httpd nor Python.
//!
//! nix does most of it; what it lacks, or makes costly on the path of a request, is libc behind the fences below.

#[expect(unsafe_code, reason = "localtime_r and clock_gettime write to memory that we lend")]
pub mod clock;
pub mod control;
pub mod files;
#[expect(unsafe_code, reason = "a handler after fork")]
pub mod forks;
pub mod identity;
#[expect(unsafe_code, reason = "setlocale takes a C string")]
pub mod locale;
pub mod log;
#[expect(unsafe_code, reason = "a mapping is a pointer until it is a slice")]
pub mod memory;
#[expect(unsafe_code, reason = "fork, exec and prctl")]
pub mod process;
#[expect(unsafe_code, reason = "the scheduling policy of a thread")]
pub mod schedule;
#[expect(unsafe_code, reason = "a signal handler")]
pub mod signals;
#[expect(unsafe_code, reason = "sendmsg and recvmsg with descriptors")]
pub mod socket;
#[expect(unsafe_code, reason = "the argument area is memory of the kernel's choosing")]
pub mod title;

pub use nix;
