//! A daemon group as `WSGIDaemonProcess` defines it.

use super::directives::ServerKey;
use super::options::Place;
use std::time::Duration;
use wire::settings::Reload;

/// A daemon group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    /// The name, one for the whole server.
    pub(crate) name: String,
    /// Where it was defined first.
    pub(crate) place: Place,
    /// The servers whose configuration defines it: more than one when a virtual host was copied.
    pub(crate) servers: Vec<ServerKey>,
    /// Their `ServerName`s, as far as they had been read by then.
    pub(crate) server_names: Vec<Option<String>>,
    /// Its options.
    pub(crate) options: GroupOptions,
}

impl Group {
    /// Whether a request of the server `key` may use the group: it was defined in the main server, in the same one, or in one with the
    /// same `ServerName`, which `name_of` tells.
    pub(crate) fn is_accessible_from(&self, key: ServerKey, name_of: impl Fn(ServerKey) -> Option<String>) -> bool {
        self.servers.iter().any(|defined| *defined == ServerKey::Main || *defined == key || name_of(*defined) == name_of(key))
    }
}

/// An identity: the number, and what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Id {
    /// The uid or gid.
    pub(crate) number: u32,
    /// The name of the user, or what was written for a group.
    pub(crate) name: String,
}

/// The options of a daemon group as written. Durations of zero and sizes of zero mean what `daemon-process` documents for 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct GroupOptions {
    /// `user=`.
    pub(crate) user: Option<Id>,
    /// `group=`.
    pub(crate) group: Option<Id>,
    /// `supplementary-groups=`.
    pub(crate) supplementary_groups: Option<Vec<u32>>,
    /// `processes=`.
    pub(crate) processes: Option<u32>,
    /// `threads=`.
    pub(crate) threads: Option<u32>,
    /// `umask=`.
    pub(crate) umask: Option<u32>,
    /// `chroot=`.
    pub(crate) chroot: Option<Vec<u8>>,
    /// `home=`.
    pub(crate) home: Option<Vec<u8>>,
    /// `lang=`.
    pub(crate) lang: Option<Vec<u8>>,
    /// `locale=`.
    pub(crate) locale: Option<Vec<u8>>,
    /// `python-home=`.
    pub(crate) python_home: Option<Vec<u8>>,
    /// `python-path=`.
    pub(crate) python_path: Option<Vec<Vec<u8>>>,
    /// `python-eggs=`.
    pub(crate) python_eggs: Option<Vec<u8>>,
    /// `switch-interval=`, in seconds.
    pub(crate) switch_interval: Option<f64>,
    /// `stack-size=`, in octets.
    pub(crate) stack_size: Option<u64>,
    /// `maximum-requests=`.
    pub(crate) maximum_requests: Option<u64>,
    /// `startup-timeout=`.
    pub(crate) startup_timeout: Option<Duration>,
    /// `shutdown-timeout=`.
    pub(crate) shutdown_timeout: Option<Duration>,
    /// `deadlock-timeout=`.
    pub(crate) deadlock_timeout: Option<Duration>,
    /// `inactivity-timeout=`.
    pub(crate) inactivity_timeout: Option<Duration>,
    /// `request-timeout=`.
    pub(crate) request_timeout: Option<Duration>,
    /// `interrupt-timeout=`.
    pub(crate) interrupt_timeout: Option<Duration>,
    /// `graceful-timeout=`.
    pub(crate) graceful_timeout: Option<Duration>,
    /// `eviction-timeout=`.
    pub(crate) eviction_timeout: Option<Duration>,
    /// `restart-interval=`.
    pub(crate) restart_interval: Option<Duration>,
    /// `connect-timeout=`.
    pub(crate) connect_timeout: Option<Duration>,
    /// `socket-timeout=`.
    pub(crate) socket_timeout: Option<Duration>,
    /// `queue-timeout=`.
    pub(crate) queue_timeout: Option<Duration>,
    /// `listen-backlog=`.
    pub(crate) listen_backlog: Option<u32>,
    /// `display-name=`, expanded.
    pub(crate) display_name: Option<Vec<u8>>,
    /// `send-buffer-size=`, in octets.
    pub(crate) send_buffer_size: Option<u32>,
    /// `receive-buffer-size=`, in octets.
    pub(crate) receive_buffer_size: Option<u32>,
    /// `header-buffer-size=`, in octets.
    pub(crate) header_buffer_size: Option<u32>,
    /// `response-buffer-size=`, in octets.
    pub(crate) response_buffer_size: Option<u32>,
    /// `response-socket-timeout=`.
    pub(crate) response_socket_timeout: Option<Duration>,
    /// `response-flush-delay=`.
    pub(crate) response_flush_delay: Option<Duration>,
    /// `socket-user=`.
    pub(crate) socket_user: Option<Id>,
    /// `script-user=`.
    pub(crate) script_user: Option<Id>,
    /// `script-group=`.
    pub(crate) script_group: Option<Id>,
    /// `cpu-time-limit=`, in seconds.
    pub(crate) cpu_time_limit: Option<u64>,
    /// `cpu-priority=`.
    pub(crate) cpu_priority: Option<i32>,
    /// `memory-limit=`, in octets.
    pub(crate) memory_limit: Option<u64>,
    /// `virtual-memory-limit=`, in octets.
    pub(crate) virtual_memory_limit: Option<u64>,
    /// `server-metrics=`.
    pub(crate) server_metrics: Option<bool>,
    /// `reload=`.
    pub(crate) reload: Option<Reload>,
    /// `queue-limit=`: requests that may wait.
    pub(crate) queue_limit: Option<u32>,
    /// `body-spool-limit=`, in octets.
    pub(crate) body_spool_limit: Option<u64>,
    /// `response-spool-limit=`, in octets.
    pub(crate) response_spool_limit: Option<u64>,
    /// `slow-request=`.
    pub(crate) slow_request: Option<Duration>,
    /// `preload=`: a script.
    pub(crate) preload: Option<Vec<u8>>,
    /// `min-processes=`.
    pub(crate) min_processes: Option<u32>,
    /// `max-processes=`.
    pub(crate) max_processes: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_for_its_own_server_and_for_those_of_the_same_name() {
        let names = |key| match key {
            ServerKey::Main => Some("main.example".to_owned()),
            ServerKey::VirtualHost(1 | 2) => Some("a.example".to_owned()),
            ServerKey::VirtualHost(_) => None,
        };
        let defined_in = |servers: &[ServerKey]| Group {
            name: "app".to_owned(),
            place: Place::default(),
            servers: servers.to_vec(),
            server_names: vec![None; servers.len()],
            options: GroupOptions::default(),
        };
        let group = defined_in(&[ServerKey::VirtualHost(1)]);
        assert!(group.is_accessible_from(ServerKey::VirtualHost(1), names));
        assert!(group.is_accessible_from(ServerKey::VirtualHost(2), names));
        assert!(!group.is_accessible_from(ServerKey::VirtualHost(3), names));
        assert!(defined_in(&[ServerKey::Main]).is_accessible_from(ServerKey::VirtualHost(3), names));
        assert!(defined_in(&[ServerKey::VirtualHost(1), ServerKey::VirtualHost(3)]).is_accessible_from(ServerKey::VirtualHost(4), names));
    }
}
