//! httpd's scoreboard as plain values: what `mod_wsgi.server_metrics()` tells, on its way from httpd to the host.
//!
//! Times are microseconds since the epoch; 0 is never.

use crate::head::DecodeError;
use crate::settings::Octets;
use serde::{Deserialize, Serialize};

/// The longest encoded scoreboard that is taken, in octets.
pub const LIMIT: usize = 32 * 1024 * 1024;

/// The whole server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scoreboard {
    /// `ServerLimit`.
    pub server_limit: u32,
    /// `ThreadLimit`.
    pub thread_limit: u32,
    /// How often httpd was restarted.
    pub running_generation: u32,
    /// When it was started, or restarted the last time.
    pub restart_time: u64,
    /// A place for each child.
    pub processes: Vec<Process>,
}

/// A child of httpd.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its pid; 0 where there is none.
    pub pid: i32,
    /// Its generation.
    pub generation: i32,
    /// Whether it ends.
    pub quiescing: bool,
    /// A place for each thread.
    pub workers: Vec<Worker>,
}

/// A thread of a child.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// Its number.
    pub thread_num: i32,
    /// Its generation.
    pub generation: i32,
    /// httpd's number of what it does (`SERVER_*`, `scoreboard.h`).
    pub status: u8,
    /// Requests served.
    pub access_count: u64,
    /// Octets sent.
    pub bytes_served: u64,
    /// When its last request began.
    pub start_time: u64,
    /// When that ended.
    pub stop_time: u64,
    /// When it was last heard of.
    pub last_used: u64,
    /// The client's address.
    pub client: Octets,
    /// The request line.
    pub request: Octets,
    /// The virtual host.
    pub vhost: Octets,
}

impl Worker {
    /// mod_status's sign for what it does.
    #[must_use]
    pub fn sign(&self) -> &'static str {
        const SIGNS: [&str; 11] = [".", "S", "_", "R", "W", "K", "L", "D", "C", "G", "I"];
        SIGNS.get(usize::from(self.status)).copied().unwrap_or("?")
    }
}

impl Scoreboard {
    /// The octets of it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, Vec::new()).expect("a Vec grows and the types hold no unsized sequence")
    }

    /// Reads one.
    ///
    /// # Errors
    /// When `octets` hold none.
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        Ok(postcard::from_bytes(octets)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scoreboard_survives_the_wire() {
        let worker = Worker { thread_num: 1, status: 4, request: Octets::from(b"GET / HTTP/1.1".to_vec()), ..Worker::default() };
        assert_eq!((worker.sign(), Worker { status: 99, ..Worker::default() }.sign()), ("W", "?"));
        let board = Scoreboard {
            server_limit: 4,
            processes: vec![Process { pid: 7, workers: vec![worker], ..Process::default() }],
            ..Scoreboard::default()
        };
        assert_eq!(Scoreboard::decode(&board.encode()).expect("decodes"), board);
        assert!(Scoreboard::decode(b"\x01").is_err());
    }
}
