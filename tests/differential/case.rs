//! One thing to ask both modules: the octets of a request, and a name by which differences speak of it.

use super::doors::Door;

/// Something to ask.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// Its name, `topic/what`.
    pub(super) name: String,
    /// The way that it takes.
    pub(super) door: Door,
    /// Whether the lines that it leaves in the log are compared as well.
    pub(super) is_logged: bool,
    /// Whether the client ends its side of the connection when all is sent.
    pub(super) then_shut: bool,
    start: String,
    headers: Vec<String>,
    body: Vec<u8>,
    raw: Option<Vec<u8>>,
    methods: Vec<&'static str>,
}

impl Case {
    /// A request of HTTP/1.1 to `localhost`, which ends its connection.
    pub(super) fn new(name: &str, method: &'static str, target: &str) -> Self {
        Self {
            name: name.to_owned(),
            door: Door::default(),
            is_logged: false,
            then_shut: false,
            start: format!("{method} {target} HTTP/1.1"),
            headers: vec!["Host: localhost".to_owned(), "Connection: close".to_owned()],
            body: Vec::new(),
            raw: None,
            methods: vec![method],
        }
    }

    /// A GET.
    pub(super) fn get(name: &str, target: &str) -> Self {
        Self::new(name, "GET", target)
    }

    /// A GET that makes the probe run this code.
    pub(super) fn code(name: &str, code: &str) -> Self {
        Self::get(name, "/app").runs(code)
    }

    /// Octets as they are, in latin-1, and the methods of the requests in them.
    pub(super) fn raw(name: &str, methods: &[&'static str], text: &str) -> Self {
        let octets = text.chars().map(|c| u8::try_from(u32::from(c)).expect("requests are written as latin-1")).collect();
        Self { raw: Some(octets), methods: methods.to_vec(), ..Self::new(name, "GET", "/") }
    }

    /// At another virtual host.
    pub(super) fn at(mut self, host: &str) -> Self {
        self.headers[0] = format!("Host: {host}");
        self
    }

    /// With one more header line.
    pub(super) fn with(mut self, line: &str) -> Self {
        self.headers.push(line.to_owned());
        self
    }

    /// With the code for the probe.
    pub(super) fn runs(self, code: &str) -> Self {
        let escaped: String = code
            .bytes()
            .map(|octet| if octet.is_ascii_alphanumeric() { char::from(octet).to_string() } else { format!("%{octet:02X}") })
            .collect();
        self.with(&format!("X-Code: {escaped}"))
    }

    /// With a body and its length.
    pub(super) fn body(self, body: &[u8]) -> Self {
        let length = format!("Content-Length: {}", body.len());
        self.with(&length).unannounced(body)
    }

    /// With octets behind the head that no header speaks of.
    pub(super) fn unannounced(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    /// As HTTP/1.0.
    pub(super) fn old(mut self) -> Self {
        self.start = self.start.replace("HTTP/1.1", "HTTP/1.0");
        self
    }

    /// With the end of the client's side behind it.
    pub(super) fn shut(mut self) -> Self {
        self.then_shut = true;
        self
    }

    /// By another way than a plain socket.
    pub(super) fn through(mut self, door: Door) -> Self {
        self.door = door;
        self
    }

    /// With the lines that it leaves in the log.
    pub(super) fn logged(mut self) -> Self {
        self.is_logged = true;
        self
    }

    /// Method, target, headers and body for a client that makes a request of them itself.
    pub(super) fn parts(&self) -> (&str, &str, Vec<String>, Option<&[u8]>) {
        let mut words = self.start.split(' ');
        let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        // Whether a connection is kept is that client's business.
        let headers = self.headers.iter().filter(|line| *line != "Connection: close" && *line != "Host: localhost").cloned().collect();
        (method, target, headers, Some(self.body.as_slice()).filter(|body| !body.is_empty()))
    }

    /// What goes over the wire.
    pub(super) fn octets(&self) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let mut text = format!("{}\r\n", self.start);
        for line in &self.headers {
            text.push_str(line);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        let octets = text.chars().map(|c| u8::try_from(u32::from(c)).expect("requests are written as latin-1"));
        octets.chain(self.body.iter().copied()).collect()
    }

    /// The methods of the requests in it.
    pub(super) fn methods(&self) -> &[&'static str] {
        &self.methods
    }
}
