//! Text that is collected until a line is complete.

#![forbid(unsafe_code)]

/// The longest line that is kept; a longer one is cut into several.
const LIMIT: usize = 32 * 1024;

/// Octets that wait for their newline.
#[derive(Debug, Default)]
pub(crate) struct LineBuffer {
    rest: Vec<u8>,
}

impl LineBuffer {
    /// Takes octets and gives the lines that are complete now, without their newlines.
    pub(crate) fn push(&mut self, mut octets: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(end) = octets.iter().position(|octet| *octet == b'\n') {
            self.rest.extend_from_slice(&octets[..end]);
            lines.push(self.take());
            octets = &octets[end + 1..];
        }
        self.rest.extend_from_slice(octets);
        while self.rest.len() > LIMIT {
            let rest = self.rest.split_off(LIMIT);
            lines.push(self.take());
            self.rest = rest;
        }
        lines
    }

    /// Gives the line that has no newline yet, if there is one.
    pub(crate) fn flush(&mut self) -> Option<String> {
        (!self.rest.is_empty()).then(|| self.take())
    }

    /// Whether a line waits for its end.
    pub(crate) fn is_pending(&self) -> bool {
        !self.rest.is_empty()
    }

    fn take(&mut self) -> String {
        let octets = std::mem::take(&mut self.rest);
        String::from_utf8(octets).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_come_in_parts() {
        let mut buffer = LineBuffer::default();
        assert!(buffer.push(b"one ").is_empty());
        assert_eq!(buffer.push(b"line\nand\n\ntwo"), ["one line", "and", ""]);
        assert!(buffer.is_pending());
        assert_eq!(buffer.flush().as_deref(), Some("two"));
        assert_eq!(buffer.flush(), None);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let mut buffer = LineBuffer::default();
        let lines = buffer.push(&[b'x'; 3 * LIMIT]);
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [LIMIT, LIMIT]);
    }

    #[test]
    fn what_is_no_utf_8_is_replaced() {
        assert_eq!(LineBuffer::default().push(b"a\xff\n"), ["a\u{fffd}"]);
    }
}
