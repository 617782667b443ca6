//! The other end of a worker's connection, as httpd plays it: for tests with and without a Python.

use std::io::IoSlice;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;
use sys::nix::errno::Errno;
use sys::socket::{self, Readiness};
use wire::frame::{Aborted, HEADER, Header, Kind, push};
use wire::head::{Body, RequestHead};
use wire::log::Level;

/// The secret of the group in the tests.
pub(crate) const SECRET: [u8; 16] = [9; 16];

const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

/// httpd's end of a connection.
pub(crate) struct Httpd {
    socket: OwnedFd,
    octets: Vec<u8>,
    /// What came beside frames, in order.
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl Httpd {
    /// A connection to a worker.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket, octets: Vec::new(), descriptors: Vec::new() }
    }

    /// The same connection, for another thread.
    pub(crate) fn same(&self) -> Self {
        Self::new(self.socket.try_clone().expect("a descriptor"))
    }

    /// Sends octets, and descriptors beside the first of them.
    pub(crate) fn send(&self, mut octets: &[u8], descriptors: &[BorrowedFd<'_>]) {
        let mut beside = descriptors;
        while !octets.is_empty() {
            match socket::send(&self.socket, &[IoSlice::new(octets)], beside) {
                Ok(sent) => (octets, beside) = (&octets[sent..], &[]),
                Err(Errno::EAGAIN) => assert!(socket::wait(&self.socket, Readiness::Write, PATIENCE).expect("waits"), "no room"),
                Err(other) => panic!("{other}"),
            }
        }
    }

    /// Receives once; whether anything came.
    pub(crate) fn receive(&mut self) -> bool {
        assert!(socket::wait(&self.socket, Readiness::Read, PATIENCE).expect("waits"), "nothing came");
        let mut buffer = vec![0; 1 << 20];
        let length = socket::receive(&self.socket, &mut buffer, &mut self.descriptors).expect("no reset");
        self.octets.extend_from_slice(&buffer[..length]);
        length > 0
    }

    /// The next frame that is already there.
    pub(crate) fn frame_at_hand(&mut self) -> Option<(Kind, Vec<u8>)> {
        let header = Header::decode(self.octets.first_chunk()?).expect("a header");
        let end = HEADER + header.length as usize;
        let payload = self.octets.get(HEADER..end)?.to_vec();
        self.octets.drain(..end);
        Some((header.kind, payload))
    }

    /// The next frame; `None` at the end. That a script is loaded, which the first request for it is told, is passed over.
    pub(crate) fn frame(&mut self) -> Option<(Kind, Vec<u8>)> {
        loop {
            match self.frame_at_hand() {
                Some((Kind::Log, line)) if line.first() == Some(&(Level::Info as u8)) => continue,
                Some(frame) => return Some(frame),
                None => {}
            }
            if !self.receive() {
                return None;
            }
        }
    }

    /// All frames until the end of the connection.
    pub(crate) fn rest(&mut self) -> Vec<(Kind, Vec<u8>)> {
        std::iter::from_fn(|| self.frame()).collect()
    }

    /// Why the response ended, after everything before was thrown away.
    pub(crate) fn aborted(&mut self) -> Aborted {
        match self.rest().last() {
            Some((Kind::Aborted, payload)) => Aborted::from_octet(payload[0]),
            other => panic!("{other:?}"),
        }
    }
}

/// A head that the tests change where they need to.
pub(crate) fn head() -> RequestHead<'static> {
    RequestHead {
        secret: SECRET,
        deadline: None,
        script: b"/srv/hello.wsgi",
        callable: b"application",
        application_group: b"",
        filename: b"/srv/hello.wsgi",
        script_reloading: true,
        script_modified: 0,
        fold_case: false,
        ignore_activity: false,
        https: false,
        header_only: false,
        wants_times: false,
        body: Body::Sent,
        request_start: 1,
        queue_start: sys::clock::epoch_micros(),
        apache_version: (2, 4, 71),
        environ: Vec::new(),
    }
}

/// The frames of a request whose body is `parts`.
pub(crate) fn request(head: &RequestHead<'_>, parts: &[&[u8]]) -> Vec<u8> {
    let mut octets = Vec::new();
    push(&mut octets, Kind::RequestHead, 77, &head.encode_onto(Vec::new()));
    for part in parts {
        push(&mut octets, Kind::RequestBody, 77, part);
    }
    push(&mut octets, Kind::RequestEnd, 77, b"");
    octets
}
