//! Where an answer ends: [RFC 9112](https://www.rfc-editor.org/rfc/rfc9112#name-message-body-length), as far as a benchmark needs it.
//!
//! There is no pipelining here, so nothing ever follows an answer on its connection.

/// The last octets of a chunked body.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// An answer of which some octets have come.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    head: Vec<u8>,
    body: Option<Body>,
    /// Its status, once the head is there.
    pub(crate) status: u16,
    /// Whether the server closes the connection after it.
    pub(crate) closes: bool,
}

#[derive(Debug)]
enum Body {
    Sized { missing: usize },
    Chunked { tail: Vec<u8> },
    UntilClose,
}

impl Answer {
    /// Whether nothing has come yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    /// Whether the end of the connection is its end.
    pub(crate) fn ends_with_connection(&self) -> bool {
        matches!(self.body, Some(Body::UntilClose))
    }

    /// Takes what has come; says whether the answer is complete.
    pub(crate) fn take(&mut self, octets: &[u8]) -> bool {
        match &mut self.body {
            Some(body) => body.take(octets),
            None => {
                let from = self.head.len().saturating_sub(3);
                self.head.extend_from_slice(octets);
                let Some(at) = self.head[from..].windows(4).position(|four| four == b"\r\n\r\n") else { return false };
                let rest = self.head.split_off(from + at + 4);
                let mut body = self.parse();
                let is_complete = body.take(&rest);
                self.body = Some(body);
                is_complete
            }
        }
    }

    fn parse(&mut self) -> Body {
        let head = String::from_utf8_lossy(&self.head).to_ascii_lowercase();
        let mut lines = head.split("\r\n");
        self.status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|word| word.parse().ok()).unwrap_or(0);
        let mut body = Body::UntilClose;
        for line in lines {
            match line.split_once(':').map(|(name, value)| (name, value.trim())) {
                Some(("content-length", value)) => body = Body::Sized { missing: value.parse().unwrap_or(0) },
                Some(("transfer-encoding", "chunked")) => body = Body::Chunked { tail: b"\r\n".to_vec() },
                Some(("connection", "close")) => self.closes = true,
                _ => {}
            }
        }
        body
    }
}

impl Body {
    fn take(&mut self, octets: &[u8]) -> bool {
        match self {
            Self::Sized { missing } => {
                *missing = missing.saturating_sub(octets.len());
                *missing == 0
            }
            Self::Chunked { tail } => {
                let kept = octets.len().min(LAST_CHUNK.len());
                tail.extend_from_slice(&octets[octets.len() - kept..]);
                tail.drain(..tail.len().saturating_sub(LAST_CHUNK.len()));
                tail == LAST_CHUNK
            }
            Self::UntilClose => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Answer;

    /// Feeds an answer in pieces of each size; it has to be complete with the last octet and not before.
    fn ends_with_its_last_octet(text: &str) -> Answer {
        let octets = text.as_bytes();
        let mut whole = Answer::default();
        assert!(whole.take(octets));
        for size in 1..octets.len() {
            let mut answer = Answer::default();
            let ends: Vec<bool> = octets.chunks(size).map(|piece| answer.take(piece)).collect();
            assert_eq!(ends.iter().position(|end| *end), Some(ends.len() - 1), "pieces of {size}");
        }
        whole
    }

    #[test]
    fn a_length_is_counted() {
        let answer = ends_with_its_last_octet("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
        assert!(answer.status == 200 && answer.closes);
    }

    #[test]
    fn chunks_end_with_an_empty_one() {
        let head = "HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(ends_with_its_last_octet(&format!("{head}5\r\nhello\r\n0\r\n\r\n")).status, 503);
        ends_with_its_last_octet(&format!("{head}0\r\n\r\n"));
    }

    #[test]
    fn without_either_the_connection_ends_it() {
        let mut answer = Answer::default();
        assert!(!answer.take(b"HTTP/1.0 200 OK\r\n\r\nhello") && answer.ends_with_connection());
    }
}
