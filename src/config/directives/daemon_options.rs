//! The options of `WSGIDaemonProcess`: one row each, with the rule for its value.

use super::daemon_values::Value;
use super::{DirectiveError, Effect};
use crate::config::group::GroupOptions;

/// An option.
pub(super) struct Definition {
    /// Its name, without the sign.
    pub(super) name: &'static str,
    /// Whether it does what it says.
    pub(super) effect: Effect,
    /// What reads its value.
    pub(super) apply: Read,
}

type Read = fn(Value<'_>, &mut GroupOptions) -> Result<(), DirectiveError>;

/// The option `name`.
pub(super) fn find(name: &str) -> Option<&'static Definition> {
    OPTIONS.iter().find(|option| option.name == name)
}

/// The option that is meant by a name with one letter too many, too few or wrong, or in other case.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase().replace('_', "-");
    OPTIONS.iter().map(|option| option.name).find(|known| {
        let same_start = known.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        let same_end = known.bytes().rev().zip(name.bytes().rev()).take_while(|(a, b)| a == b).count();
        known.len().abs_diff(name.len()) <= 1 && same_start + same_end + 1 >= known.len().max(name.len())
    })
}

const fn works(name: &'static str, apply: Read) -> Definition {
    Definition { name, effect: Effect::Works, apply }
}

const fn replaced(name: &'static str, by: &'static str, apply: Read) -> Definition {
    Definition { name, effect: Effect::Replaced(by), apply }
}

/// What stands in the place of options of mod_wsgi that our design has no use for.
const SYSTEMS_BUFFERS: &str =
    "what the system's buffers do not hold is kept in a temporary file ('response-spool-limit=', 'body-spool-limit=')";
const LONG_LINES: &str = "the head of a response may have 16 MiB, however long its lines are";
const SPOOLED: &str = "what a client has not taken is kept in a temporary file ('response-spool-limit=')";

/// The largest group whose counters and sockets are sized for: far above what one machine runs.
const MOST_PROCESSES: u32 = 1024;

pub(super) static OPTIONS: &[Definition] = &[
    works("user", |v, o| v.user(&mut o.user)),
    works("group", |v, o| v.group(&mut o.group)),
    works("supplementary-groups", |v, o| v.group_list(&mut o.supplementary_groups)),
    works("processes", |v, o| v.count(&mut o.processes, "process count", 1..=MOST_PROCESSES)),
    works("threads", |v, o| v.count(&mut o.threads, "thread count", 0..=65533)),
    works("umask", |v, o| v.umask(&mut o.umask)),
    works("chroot", |v, o| v.chroot(&mut o.chroot)),
    works("home", |v, o| v.absolute(&mut o.home, "home directory")),
    works("lang", |v, o| v.octets(&mut o.lang)),
    works("locale", |v, o| v.octets(&mut o.locale)),
    works("python-home", |v, o| v.absolute(&mut o.python_home, "Python home")),
    works("python-path", |v, o| v.path_list(&mut o.python_path)),
    works("python-eggs", |v, o| v.octets(&mut o.python_eggs)),
    works("switch-interval", |v, o| v.interval(&mut o.switch_interval, "switch interval")),
    works("stack-size", |v, o| v.amount(&mut o.stack_size, "stack size", 16384)),
    works("maximum-requests", |v, o| v.amount(&mut o.maximum_requests, "request count", 0)),
    works("startup-timeout", |v, o| v.seconds(&mut o.startup_timeout, "startup timeout")),
    works("shutdown-timeout", |v, o| v.seconds(&mut o.shutdown_timeout, "shutdown timeout")),
    works("deadlock-timeout", |v, o| v.seconds(&mut o.deadlock_timeout, "deadlock timeout")),
    works("inactivity-timeout", |v, o| v.seconds(&mut o.inactivity_timeout, "inactivity timeout")),
    works("request-timeout", |v, o| v.seconds(&mut o.request_timeout, "request timeout")),
    works("interrupt-timeout", |v, o| v.seconds(&mut o.interrupt_timeout, "interrupt timeout")),
    works("graceful-timeout", |v, o| v.seconds(&mut o.graceful_timeout, "graceful timeout")),
    works("eviction-timeout", |v, o| v.seconds(&mut o.eviction_timeout, "eviction timeout")),
    works("restart-interval", |v, o| v.seconds(&mut o.restart_interval, "restart interval")),
    works("connect-timeout", |v, o| v.seconds(&mut o.connect_timeout, "connect timeout")),
    works("socket-timeout", |v, o| v.seconds(&mut o.socket_timeout, "socket timeout")),
    works("queue-timeout", |v, o| v.seconds(&mut o.queue_timeout, "queue timeout")),
    works("listen-backlog", |v, o| v.count(&mut o.listen_backlog, "listen backlog", 0..=i32::MAX.unsigned_abs())),
    works("display-name", |v, o| v.octets(&mut o.display_name)),
    replaced("send-buffer-size", SYSTEMS_BUFFERS, |v, o| v.buffer(&mut o.send_buffer_size, "Send", 512, "system default")),
    replaced("receive-buffer-size", SYSTEMS_BUFFERS, |v, o| v.buffer(&mut o.receive_buffer_size, "Receive", 512, "system default")),
    replaced("header-buffer-size", LONG_LINES, |v, o| v.buffer(&mut o.header_buffer_size, "Header", 8192, "default")),
    replaced("response-buffer-size", SPOOLED, |v, o| v.buffer(&mut o.response_buffer_size, "Response", 65536, "default")),
    works("response-socket-timeout", |v, o| v.seconds(&mut o.response_socket_timeout, "response socket timeout")),
    replaced("response-flush-delay", "each block that an application yields is sent to the client at once", |v, o| {
        v.milliseconds(&mut o.response_flush_delay, "response flush delay")
    }),
    works("socket-user", |v, o| v.socket_user(&mut o.socket_user)),
    works("script-user", |v, o| v.script_user(&mut o.script_user)),
    works("script-group", |v, o| v.script_group(&mut o.script_group)),
    works("cpu-time-limit", |v, o| v.amount(&mut o.cpu_time_limit, "CPU time limit", 0)),
    works("cpu-priority", |v, o| v.priority(&mut o.cpu_priority)),
    works("memory-limit", |v, o| v.amount(&mut o.memory_limit, "memory limit", 0)),
    works("virtual-memory-limit", |v, o| v.amount(&mut o.virtual_memory_limit, "virtual memory limit", 0)),
    works("server-metrics", |v, o| v.flag(&mut o.server_metrics, "server metrics flag")),
    works("reload", |v, o| v.reload(&mut o.reload)),
    works("queue-limit", |v, o| v.count(&mut o.queue_limit, "queue limit", 1..=i32::MAX.unsigned_abs())),
    works("body-spool-limit", |v, o| v.amount(&mut o.body_spool_limit, "body spool limit", 0)),
    works("response-spool-limit", |v, o| v.amount(&mut o.response_spool_limit, "response spool limit", 0)),
    works("slow-request", |v, o| v.seconds(&mut o.slow_request, "slow request time")),
    works("preload", |v, o| v.absolute(&mut o.preload, "preload script")),
    works("min-processes", |v, o| v.count(&mut o.min_processes, "process count", 0..=MOST_PROCESSES)),
    works("max-processes", |v, o| v.count(&mut o.max_processes, "process count", 1..=MOST_PROCESSES)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_of_mod_wsgi_is_there_once() {
        let theirs = "user group supplementary-groups processes threads umask chroot home lang locale python-home python-path python-eggs \
                      switch-interval stack-size maximum-requests startup-timeout shutdown-timeout deadlock-timeout inactivity-timeout \
                      request-timeout interrupt-timeout graceful-timeout eviction-timeout restart-interval connect-timeout socket-timeout \
                      queue-timeout listen-backlog display-name send-buffer-size receive-buffer-size header-buffer-size \
                      response-buffer-size response-socket-timeout response-flush-delay socket-user script-user script-group \
                      cpu-time-limit cpu-priority memory-limit virtual-memory-limit server-metrics";
        for name in theirs.split_whitespace() {
            assert_eq!(OPTIONS.iter().filter(|option| option.name == name).count(), 1, "{name}");
        }
    }

    #[test]
    fn a_slip_finds_the_option_that_is_meant() {
        for (slip, meant) in [("thread", "threads"), ("Processes", "processes"), ("python_path", "python-path"), ("hone", "home")] {
            assert_eq!(nearest(slip), Some(meant));
        }
        assert_eq!(nearest("proxy-buffer-size"), None);
    }
}
