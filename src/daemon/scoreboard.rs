//! Tells workers httpd's scoreboard, because their applications ask: a worker has nothing of httpd's memory.
//!
//! Any thread of an application may ask, at any time, so a request is no way to do it. httpd's parent listens at an abstract address
//! (unix(7)) where groups have `server-metrics=On`, its children answer, each by a thread of its own: whoever names the secret of such a
//! group is told the scoreboard as it is then.

#![forbid(unsafe_code)]

use crate::apache::pool::Pool;
use crate::apache::scoreboard;
use parking_lot::Mutex;
use std::io::{PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;
use sys::nix;
use sys::nix::errno::Errno;
use sys::nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sys::socket;

/// How long a worker may take to ask and to read.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many may wait to be answered.
const BACKLOG: u32 = 64;

/// What listens, and its address. Made once by the parent, and kept over restarts.
static LISTENER: Mutex<Option<(Arc<OwnedFd>, Vec<u8>)>> = Mutex::new(None);

/// In the parent: the address at which httpd's children tell the scoreboard.
pub(super) fn listen() -> nix::Result<Vec<u8>> {
    let mut listener = LISTENER.lock();
    if let Some((_, address)) = &*listener {
        return Ok(address.clone());
    }
    let address = format!("mod_wsgi.{}.scoreboard", std::process::id()).into_bytes();
    *listener = Some((Arc::new(socket::abstract_listener(&address, BACKLOG)?), address.clone()));
    Ok(address)
}

/// In a child: answers until the child ends. `may_ask` knows the secrets of the groups whose applications may ask.
pub(super) fn start_child(pool: Pool<'_>, may_ask: impl Fn(&[u8; 16]) -> bool + Send + 'static) -> std::io::Result<()> {
    let Some(listener) = LISTENER.lock().as_ref().map(|(listener, _)| Arc::clone(listener)) else { return Ok(()) };
    let (ended, end) = std::io::pipe()?;
    // Signals are for httpd.
    let blocked = sys::signals::block_all()?;
    let thread = std::thread::Builder::new().name("wsgi-scoreboard".to_owned()).spawn(move || {
        while wait(&listener, &ended) {
            // Another child may have been faster.
            if let Ok(Some(connection)) = socket::accepted(&*listener) {
                // Who does not ask in time, or does not read, is not told.
                let _told = tell(connection.into(), &may_ask);
            }
        }
    });
    drop(blocked);
    let thread = thread?;
    // The scoreboard's memory is there for longer than this pool.
    pool.at_end(move || {
        drop::<PipeWriter>(end);
        // A panic in it has been logged.
        let _ended = thread.join();
    });
    Ok(())
}

/// Waits for somebody who asks; `false` when the child ends.
fn wait(listener: &OwnedFd, ended: &impl AsFd) -> bool {
    let mut both = [PollFd::new(listener.as_fd(), PollFlags::POLLIN), PollFd::new(ended.as_fd(), PollFlags::POLLIN)];
    match poll(&mut both, PollTimeout::NONE) {
        Ok(_) => !both[1].any().unwrap_or(true),
        Err(error) => error == Errno::EINTR,
    }
}

fn tell(mut connection: UnixStream, may_ask: impl Fn(&[u8; 16]) -> bool) -> std::io::Result<()> {
    connection.set_nonblocking(false)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    let mut secret = [0; 16];
    connection.read_exact(&mut secret)?;
    match scoreboard::read().filter(|_| may_ask(&secret)) {
        Some(scoreboard) => connection.write_all(&scoreboard.encode()),
        None => Ok(()),
    }
}
