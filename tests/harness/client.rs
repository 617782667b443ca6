//! An HTTP/1.x client over a bare socket, which shows what a library would tidy up: chunks, truncation, pipelining.

use std::io::{Error, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// The longest wait for anything: a test ends even when the server hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: String,
    target: String,
    version: &'static str,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// An answer as it came over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    /// Such as 200.
    pub(crate) status: u16,
    /// The words behind the status.
    pub(crate) reason: String,
    /// Names and values in their order; octets above 127 are taken as latin-1.
    pub(crate) headers: Vec<(String, String)>,
    /// The body without its framing.
    pub(crate) body: Vec<u8>,
    /// Whether the framing says that nothing is missing.
    pub(crate) complete: bool,
}

/// A connection to the server.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    /// What has been read of the stream and not yet been used.
    buffer: Vec<u8>,
}

impl Request {
    /// A request without a body.
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), version: "HTTP/1.1", headers: Vec::new(), body: Vec::new() }
    }

    /// A GET.
    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A POST with its length in front.
    pub(crate) fn post(target: &str, body: &[u8]) -> Self {
        let mut request = Self::new("POST", target).header("Content-Length", &body.len().to_string());
        request.body = body.to_vec();
        request
    }

    /// A POST in chunks.
    pub(crate) fn post_chunked(target: &str, chunks: &[&[u8]]) -> Self {
        let mut request = Self::new("POST", target).header("Transfer-Encoding", "chunked");
        for chunk in chunks {
            request.body.extend(format!("{:x}\r\n", chunk.len()).bytes());
            request.body.extend(*chunk);
            request.body.extend(b"\r\n");
        }
        request.body.extend(b"0\r\n\r\n");
        request
    }

    /// With one more header.
    #[must_use]
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// For another target.
    #[must_use]
    pub(crate) fn to(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    /// As HTTP/1.0.
    #[must_use]
    pub(crate) fn old(mut self) -> Self {
        self.version = "HTTP/1.0";
        self
    }

    /// What goes over the wire.
    pub(crate) fn octets(&self) -> Vec<u8> {
        let mut text = format!("{} {} {}\r\n", self.method, self.target, self.version);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text.push_str("Host: localhost\r\n");
        }
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        // Headers are written as text and sent as latin-1, so that a test can send every octet.
        let mut octets: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).expect("a header of a test is latin-1")).collect();
        octets.extend(&self.body);
        octets
    }
}

impl Response {
    /// The first header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// All headers of that name.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn is_chunked(&self) -> bool {
        self.header("Transfer-Encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    }
}

impl Client {
    /// A new connection to a port of this machine.
    pub(crate) fn connect(port: u16) -> Self {
        Self::try_connect(port).unwrap_or_else(|error| panic!("cannot connect to port {port}: {error}"))
    }

    /// The same, for who expects failures.
    pub(crate) fn try_connect(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Sends octets as they are.
    pub(crate) fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).expect("the server takes what is sent");
    }

    /// Sends a request.
    pub(crate) fn request(&mut self, request: &Request) {
        self.send(&request.octets());
    }

    /// Sends a request and reads its answer.
    pub(crate) fn ask(&mut self, request: &Request) -> Response {
        self.try_ask(request).unwrap_or_else(|error| panic!("no answer to {request:?}: {error}"))
    }

    /// The same, for who expects failures.
    pub(crate) fn try_ask(&mut self, request: &Request) -> std::io::Result<Response> {
        self.stream.write_all(&request.octets())?;
        let mut response = self.try_head()?;
        let bodiless = request.method == "HEAD" || matches!(response.status, 100..=199 | 204 | 304);
        if bodiless { Ok(response) } else { self.try_body(&mut response).map(|()| response) }
    }

    /// Reads an answer with its body.
    pub(crate) fn response(&mut self) -> Response {
        let mut response = self.head();
        self.try_body(&mut response).unwrap_or_else(|error| panic!("no body behind {response:?}: {error}"));
        response
    }

    /// Reads an answer up to its body.
    pub(crate) fn head(&mut self) -> Response {
        self.try_head().unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    fn try_head(&mut self) -> std::io::Result<Response> {
        loop {
            let mut space = [httparse::EMPTY_HEADER; 128];
            let mut parser = httparse::Response::new(&mut space);
            let parsed = parser.parse(&self.buffer).map_err(|error| Error::new(ErrorKind::InvalidData, error))?;
            if let httparse::Status::Complete(length) = parsed {
                let response = Response {
                    status: parser.code.unwrap_or(0),
                    reason: parser.reason.unwrap_or("").to_owned(),
                    headers: parser.headers.iter().map(|h| (h.name.to_owned(), latin1(h.value))).collect(),
                    body: Vec::new(),
                    complete: true,
                };
                self.buffer.drain(..length);
                return Ok(response);
            }
            if !self.fill()? {
                return Err(Error::new(ErrorKind::UnexpectedEof, format!("closed within the head: {:?}", latin1(&self.buffer))));
            }
        }
    }

    fn try_body(&mut self, response: &mut Response) -> std::io::Result<()> {
        if response.is_chunked() {
            loop {
                match self.try_chunk()? {
                    Some(chunk) if chunk.is_empty() => return Ok(()),
                    Some(chunk) => response.body.extend(chunk),
                    None => {
                        response.complete = false;
                        return Ok(());
                    }
                }
            }
        }
        let length = response.header("Content-Length").and_then(|value| value.parse().ok());
        while length.is_none_or(|length: usize| self.buffer.len() < length) {
            if !self.fill_or_reset()? {
                break;
            }
        }
        let available = length.map_or(self.buffer.len(), |length| length.min(self.buffer.len()));
        response.body = self.buffer.drain(..available).collect();
        response.complete = length.is_none_or(|length| length == available);
        Ok(())
    }

    /// Reads one chunk of a chunked body; an empty one is the last. `None` if the connection ended instead.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        self.try_chunk().expect("the next chunk comes in time")
    }

    fn try_chunk(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(line) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let size = std::str::from_utf8(&self.buffer[..line]).unwrap_or("");
                let size = usize::from_str_radix(size.split(';').next().unwrap_or("").trim(), 16)
                    .map_err(|_| Error::new(ErrorKind::InvalidData, format!("not a chunk: {:?}", latin1(&self.buffer))))?;
                let end = line + 2 + size + 2;
                if self.buffer.len() >= end {
                    let chunk = self.buffer[line + 2..end - 2].to_vec();
                    self.buffer.drain(..end);
                    return Ok(Some(chunk));
                }
            }
            if !self.fill_or_reset()? {
                return Ok(None);
            }
        }
    }

    /// Reads up to `count` octets, as they come.
    pub(crate) fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(self.fill().expect("the server sends in time"), "the connection ended: {:?}", latin1(&self.buffer));
        }
        self.buffer.drain(..count).collect()
    }

    /// Reads until the server closes the connection.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.fill_or_reset().expect("the server closes the connection in time") {}
        std::mem::take(&mut self.buffer)
    }

    /// Waits for octets for so long; whether some came.
    pub(crate) fn hears_within(&mut self, limit: Duration) -> bool {
        if !self.buffer.is_empty() {
            return true;
        }
        self.stream.set_read_timeout(Some(limit)).expect("a limit above zero");
        let heard = self.fill().unwrap_or(false);
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a limit above zero");
        heard
    }

    /// Tells the server that nothing more will be sent.
    pub(crate) fn finish_sending(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("the connection is open");
    }

    /// Leaves at once, as a browser does whose tab is closed.
    pub(crate) fn hang_up(self) {
        drop(self);
    }

    /// Reads some more; a reset counts as an end, since both are how a server says that a body is cut short.
    fn fill_or_reset(&mut self) -> std::io::Result<bool> {
        match self.fill() {
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(false),
            other => other,
        }
    }

    fn fill(&mut self) -> std::io::Result<bool> {
        let mut space = [0; 65536];
        let count = loop {
            match self.stream.read(&mut space) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.buffer.extend(&space[..count]);
        Ok(count > 0)
    }
}

fn latin1(octets: &[u8]) -> String {
    octets.iter().map(|octet| char::from(*octet)).collect()
}
