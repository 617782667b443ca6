//! The client of `make bench`: asks one URL over many connections and prints what it saw as one line of JSON.
//!
//! A closed loop asks again as soon as an answer is complete. An open loop (`--rate`) asks at fixed times whatever becomes of the answers, and a
//! latency counts from the time at which the request was due: a server that pauses is charged with all that waited. Every latency is kept, so
//! that the quantiles are exact; none is invented afterwards, as some clients do to make a closed loop look like an open one.
//! It knows nothing of the server but its port.

#![forbid(unsafe_code)]

mod answer;
mod connection;
mod load;
mod report;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use load::{Load, Pace};

const USAGE: &str =
    "bench_client PORT PATH [--connections N] [--seconds S] [--rate PER_SECOND] [--header 'Name: value']... [--body OCTETS]";

fn main() -> ExitCode {
    let load = match parse(std::env::args().skip(1)) {
        Ok(load) => load,
        Err(what) => {
            eprintln!("{what}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match load.run().and_then(|seen| writeln!(std::io::stdout(), "{}", seen.json())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Load, String> {
    let mut plain = Vec::new();
    let (mut connections, mut seconds, mut body) = (1_usize, 1.0_f64, 0_usize);
    let mut rate: Option<f64> = None;
    let mut headers = String::new();
    while let Some(word) = words.next() {
        if !word.starts_with("--") {
            plain.push(word);
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--connections" => connections = number(&value)?,
            "--seconds" => seconds = number(&value)?,
            "--rate" => rate = Some(number(&value)?),
            "--body" => body = number(&value)?,
            "--header" => headers.push_str(&format!("{value}\r\n")),
            _ => return Err(format!("{word} is unknown")),
        }
    }
    let [port, path] = plain.as_slice() else { return Err("a port and a path are needed".to_owned()) };
    let port: u16 = number(port)?;
    let pace = match rate {
        Some(rate) if rate > 0.0 => Pace::Open { interval: Duration::from_secs_f64(1.0 / rate) },
        Some(_) => return Err("a rate is above 0".to_owned()),
        None => Pace::Closed,
    };
    let method = if body > 0 { "POST" } else { "GET" };
    let length = if body > 0 { format!("Content-Length: {body}\r\n") } else { String::new() };
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\n{length}{headers}\r\n").into_bytes();
    request.resize(request.len() + body, b'b');
    Ok(Load { port, request, connections, duration: Duration::from_secs_f64(seconds), pace })
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("'{word}' is no number that fits"))
}
