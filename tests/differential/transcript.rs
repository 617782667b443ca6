//! What a server says to one case, as lines that can be compared: chunks put together, and what must differ replaced.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// A server that says nothing for so long has nothing more to say. Longer than its own `Timeout`.
const SILENCE: Duration = Duration::from_secs(5);

/// Sends octets as they are, and reads until the server closes the connection.
pub(super) fn converse(port: u16, octets: &[u8], then_shut: bool, methods: &[&str]) -> Vec<String> {
    let address = ([127, 0, 0, 1], port).into();
    let mut stream = TcpStream::connect_timeout(&address, SILENCE).expect("the server accepts");
    stream.set_read_timeout(Some(SILENCE)).expect("a limit above zero");
    stream.set_write_timeout(Some(SILENCE)).expect("a limit above zero");
    // A server may refuse a request before it is complete, and close: its answer is what counts.
    let _refused = stream.write_all(octets);
    if then_shut {
        let _refused = stream.shutdown(Shutdown::Write);
    }
    let mut said = Vec::new();
    let mut space = [0; 65536];
    let end = loop {
        match stream.read(&mut space) {
            Ok(0) => break "closed",
            Ok(count) => said.extend(&space[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break "left open",
            // How a server cuts a connection is the kernel's business.
            Err(_) => break "closed",
        }
    };
    lines(&said, end, methods)
}

/// What was said, as lines, and how it ended.
pub(super) fn lines(said: &[u8], end: &str, methods: &[&str]) -> Vec<String> {
    let mut lines = read(said, methods);
    lines.push(format!("({end})"));
    let boundary = lines.iter().find_map(|line| line.split_once("boundary=")).map_or("no boundary", |(_, boundary)| boundary).to_owned();
    lines.iter().map(|line| line.replace(&boundary, "BOUNDARY")).collect()
}

/// The answers in what was said; `methods` are those of the requests, since an answer to HEAD has no body.
fn read(mut said: &[u8], methods: &[&str]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut methods = methods.iter();
    while !said.is_empty() {
        let Some(end) = said.windows(4).position(|four| four == b"\r\n\r\n") else {
            lines.push(format!("no head: {:?}", latin1(&said[..said.len().min(300)])));
            return lines;
        };
        let head = latin1(&said[..end]);
        said = &said[end + 4..];
        let mut head = head.split("\r\n");
        let status = head.next().unwrap_or("").to_owned();
        let mut headers: Vec<(String, String)> =
            head.filter_map(|line| line.split_once(':')).map(|(n, v)| (n.to_lowercase(), v.to_owned())).collect();
        let get = |name: &str| headers.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.trim().to_owned());
        let interim = status.contains(" 100 ");
        // The answer proper is still to come after an interim one.
        let is_head = !interim && methods.next() == Some(&"HEAD");
        let bodiless = interim || is_head || status.contains(" 204") || status.contains(" 304");
        let (body, framing) = if bodiless {
            (Vec::new(), "")
        } else if get("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            dechunk(&mut said)
        } else if let Some(length) = get("content-length").and_then(|length| length.parse::<usize>().ok()) {
            let have = said.len().min(length);
            let body = said[..have].to_vec();
            said = &said[have..];
            (body, if have == length { "" } else { "(cut short)" })
        } else {
            (std::mem::take(&mut said).to_vec(), "")
        };
        // Names in an order of their own mean the same; values of one name do not.
        headers.sort_by(|(one, _), (other, _)| one.cmp(other));
        lines.push(status);
        lines.extend(
            headers.into_iter().filter(|(name, _)| name != "date" && name != "server").map(|(name, value)| format!("{name}:{value}")),
        );
        lines.extend(latin1(&body).split('\n').map(|line| format!("| {}", line.escape_debug())));
        lines.extend((!framing.is_empty()).then(|| framing.to_owned()));
    }
    lines
}

/// The content of chunks, up to the last one.
fn dechunk(said: &mut &[u8]) -> (Vec<u8>, &'static str) {
    let mut body = Vec::new();
    loop {
        let Some(line) = said.windows(2).position(|two| two == b"\r\n") else { return (body, "(cut short)") };
        let size = latin1(&said[..line]);
        let Ok(size) = usize::from_str_radix(size.split(';').next().unwrap_or("").trim(), 16) else { return (body, "(no chunk)") };
        let Some(chunk) = said.get(line + 2..line + 2 + size) else {
            body.extend(&said[(line + 2).min(said.len())..]);
            *said = &[];
            return (body, "(cut short)");
        };
        body.extend(chunk);
        *said = said.get(line + 4 + size..).unwrap_or(&[]);
        if size == 0 {
            return (body, "");
        }
    }
}

fn latin1(octets: &[u8]) -> String {
    octets.iter().map(|octet| char::from(*octet)).collect()
}
