//! Clients that read or send slowly, and applications that do, in daemon mode: they cost no Python thread, and no memory.

use std::time::{Duration, Instant};

use crate::harness::{Builder, Client, Httpd, Mode, Mpm, Process, Request, not_on_this_machine, usual_mpm, wait_until};

/// How long a small request may take beside slow clients: a stuck thread would let it wait for ever.
const SOON: Duration = Duration::from_secs(5);

/// A server with a single Python thread, with sockets that keep little: whoever holds a thread stops everybody soon. With event httpd has few
/// threads too; the other MPMs have one for each connection in any case.
fn server() -> Builder {
    let threads = match usual_mpm() {
        Mpm::Event => "ServerLimit 1\nThreadsPerChild 5\nMaxRequestWorkers 5\nMaxSpareThreads 5\nAsyncRequestWorkerFactor 10",
        Mpm::Worker => "ServerLimit 1\nThreadsPerChild 40\nMaxRequestWorkers 40\nMaxSpareThreads 40",
        Mpm::Prefork => "",
    };
    let server = Httpd::new(Mode::Daemon).daemon_options("processes=1 threads=1").app("slow_clients.wsgi");
    server.config(&format!("SendBufferSize 10000\n{threads}")).for_clients(32)
}

/// What has been answered in full by the application, by paths.
fn ended(httpd: &Httpd) -> Vec<String> {
    let asked = Instant::now();
    let answer = httpd.get("/ended");
    assert_eq!(answer.status, 200, "{}", httpd.log().tail());
    assert!(asked.elapsed() < SOON, "a small request took {:?}", asked.elapsed());
    answer.text().split_whitespace().map(str::to_owned).collect()
}

/// Waits until so many answers have ended; each request that asks for that is answered soon.
fn wait_for_ended(httpd: &Httpd, count: usize) -> Vec<String> {
    let all = || Some(ended(httpd)).filter(|ended| ended.len() >= count);
    wait_until(Duration::from_secs(15), all).unwrap_or_else(|| panic!("of {count} answers only these have ended: {:?}", ended(httpd)))
}

/// The content of `slow_clients.wsgi`.
fn content() -> Vec<u8> {
    (0..2 << 16).flat_map(|number| format!("{number:015}\n").into_bytes()).collect()
}

#[test]
fn who_does_not_read_holds_no_thread() {
    only_ours!("a client that does not read holds a thread of the daemon process");
    let httpd = server().start();
    let paths = ["/block", "/blocks", "/file", "/write"];
    // More for each path than httpd has threads.
    let mut clients: Vec<Client> = Vec::new();
    for path in paths {
        for _ in 0..6 {
            let mut client = httpd.connect();
            client.request(&Request::get(path));
            clients.push(client);
        }
    }
    assert_eq!(wait_for_ended(&httpd, clients.len()), paths.iter().flat_map(|path| [*path; 6]).collect::<Vec<_>>());
    let content = content();
    for mut client in clients {
        let answer = client.response();
        assert!(answer.complete && answer.body == content, "{} octets of {}", answer.body.len(), content.len());
    }
}

#[test]
fn who_leaves_a_large_answer_leaves_nothing_behind() {
    only_ours!("a client that does not read holds a thread of the daemon process");
    if usual_mpm() == Mpm::Prefork {
        return not_on_this_machine("which of prefork's processes answers is chance, and each that has answered keeps a connection");
    }
    let httpd = server().start();
    ended(&httpd);
    let descriptors = || -> usize {
        let parent = httpd.parent().pid;
        httpd.processes().iter().filter(|process| process.parent == parent).map(Process::descriptors).sum()
    };
    let before = descriptors();
    for path in ["/block", "/blocks", "/file", "/write"] {
        let mut client = httpd.connect();
        client.request(&Request::get(path));
        assert_eq!(client.head().status, 200);
        client.hang_up();
    }
    wait_for_ended(&httpd, 4);
    // Spools and connections; the one that has just asked may still be there.
    let gone = || (descriptors() <= before + 1).then_some(());
    assert!(wait_until(Duration::from_secs(10), gone).is_some(), "{} descriptors instead of {before}", descriptors());
}

#[test]
fn who_sends_slowly_holds_no_python_thread() {
    only_ours!("a client that sends slowly holds a thread of the daemon process");
    let httpd = server().config("WSGIChunkedRequest On").start();
    let with_length = Request::post("/upload", &[b'x'; 200_000]).octets();
    let chunked = Request::post_chunked("/upload", &[&[b'x'; 100_000], &[b'x'; 100_000]]).octets();
    let mut clients = Vec::new();
    for octets in [&with_length, &chunked, &with_length, &chunked] {
        let mut client = httpd.connect();
        let (first, rest) = octets.split_at(octets.len() - 50_000);
        client.send(first);
        clients.push((client, rest));
    }
    assert!(ended(&httpd).is_empty());
    for (client, rest) in &mut clients {
        client.send(rest);
        assert_eq!(client.response().text(), "200000 octets");
    }
}

#[test]
fn what_streams_to_a_slow_application_is_not_kept() {
    let httpd = Httpd::new(Mode::Daemon).daemon_options("threads=1 body-spool-limit=100000").app("slow_clients.wsgi");
    let httpd = if differs!("there is no body-spool-limit") { server().start() } else { httpd.start() };
    let memory = || -> u64 { httpd.processes().iter().map(Process::resident).sum() };
    assert_eq!(httpd.ask(&Request::post("/sip", &[b'x'; 1 << 20])).text(), "1048576 octets");
    let before = memory();
    let mut client = httpd.connect();
    client.send(b"POST /sip HTTP/1.1\r\nHost: localhost\r\nContent-Length: 33554432\r\n\r\n");
    let mut grown = 0;
    for _ in 0..32 {
        client.send(&[b'x'; 1 << 20]);
        grown = grown.max(memory().saturating_sub(before));
    }
    assert_eq!(client.response().text(), "33554432 octets");
    let grown = grown.max(memory().saturating_sub(before));
    assert!(grown < 8 << 10, "all processes have grown by {grown} KiB");
}
