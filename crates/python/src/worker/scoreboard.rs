//! Asks httpd for its scoreboard: a worker has nothing of httpd's memory. Any thread may ask, whether it executes a request or not.

#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use wire::scoreboard::LIMIT;
use wire::settings::GroupSettings;

/// How long httpd may pause in telling it.
const PATIENCE: Duration = Duration::from_secs(2);

/// The encoded scoreboard; `None` where the group may not have it, or httpd does not answer.
pub(super) fn ask(group: &GroupSettings) -> Option<Vec<u8>> {
    let connection = sys::socket::connected_abstract(group.scoreboard.as_ref()?).ok()?;
    // Anybody may listen at such an address when httpd has ended: only httpd is told the secret.
    let listener = sys::socket::peer(&connection).ok()?.uid();
    if listener != 0 && !group.peers.contains(&listener) {
        return None;
    }
    let mut connection = UnixStream::from(connection);
    connection.set_nonblocking(false).ok()?;
    connection.set_write_timeout(Some(PATIENCE)).ok()?;
    connection.set_read_timeout(Some(PATIENCE)).ok()?;
    connection.write_all(&group.secret).ok()?;
    let mut octets = Vec::new();
    // It is closed when all has been told, or nothing.
    connection.take(LIMIT as u64).read_to_end(&mut octets).ok()?;
    Some(octets)
}
