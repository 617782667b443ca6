//! What an application's process must not have of httpd's, and httpd not of Python's.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::harness::{Httpd, Mode, Request, is_root, python, wsgi_module};

/// A private key made for one test, as PEM files and as the octets that it has in memory.
struct Key {
    pem: String,
    certificate: String,
    /// The first prime, most significant octet first.
    prime: Vec<u8>,
}

fn openssl(arguments: &[&str], folder: &Path) -> String {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().expect("openssl is installed: 'make' sees to it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("openssl writes text")
}

impl Key {
    fn make() -> Self {
        let folder = crate::harness::Folder::new();
        let at = folder.path();
        openssl(
            &[
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-subj",
                "/CN=localhost",
                "-days",
                "2",
                "-keyout",
                "key.pem",
                "-out",
                "cert.pem",
            ],
            at,
        );
        openssl(&["rsa", "-in", "key.pem", "-traditional", "-out", "plain.pem"], at);
        let structure = openssl(&["asn1parse", "-in", "plain.pem"], at);
        // Version, modulus, two exponents, then the first prime.
        let prime = structure.lines().filter_map(|line| line.split("INTEGER").nth(1)?.split(':').nth(1)).nth(4).expect("an RSA key");
        let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("hexadecimal"), 16).expect("hexadecimal");
        Self {
            pem: std::fs::read_to_string(at.join("key.pem")).expect("openssl has written it"),
            certificate: std::fs::read_to_string(at.join("cert.pem")).expect("openssl has written it"),
            prime: prime.trim().as_bytes().chunks(2).map(octet).collect(),
        }
    }

    /// What `memory_search.wsgi` is asked for: four octets to look for, and a digest of the thirty-two that begin there, so that
    /// the question itself does not put the key into the memory that is searched. In both orders: OpenSSL keeps numbers least significant first.
    fn question(&self) -> String {
        let turned: Vec<u8> = self.prime.iter().rev().copied().collect();
        [&self.prime, &turned].map(|octets| format!("{}:{}", hex(&octets[..4]), sha256(&octets[..32]))).join(",")
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn sha256(octets: &[u8]) -> String {
    let folder = crate::harness::Folder::new();
    let file = folder.path().join("octets");
    std::fs::write(&file, octets).expect("the folder is ours");
    let digest = openssl(&["dgst", "-sha256", "-r", "octets"], folder.path());
    digest.split(' ').next().expect("a digest and a name").to_owned()
}

/// Asks an application, in an httpd that serves TLS, to search its own memory for the server's key.
fn search(mode: Mode) -> String {
    let key = Key::make();
    let builder = Httpd::new(mode);
    let port = builder.another_port();
    let httpd = builder
        .module("ssl")
        .module("socache_shmcb")
        .app("memory_search.wsgi")
        .file("tls/key.pem", &key.pem)
        .file("tls/cert.pem", &key.certificate)
        .config(&format!(
            "Listen 127.0.0.1:{port}\n<VirtualHost *:{port}>\nServerName localhost\nSSLEngine on\nSSLCertificateFile ${{ROOT}}/tls/cert.pem\n\
             SSLCertificateKeyFile ${{ROOT}}/tls/key.pem\nWSGIScriptAlias / ${{APPS}}/memory_search.wsgi\n</VirtualHost>"
        ))
        .start();
    // The key is really in use.
    let hello = Command::new("sh")
        .args([
            "-c",
            &format!("printf 'GET /hello HTTP/1.0\\r\\n\\r\\n' | timeout 10 openssl s_client -quiet -connect 127.0.0.1:{port} 2>&1"),
        ])
        .output()
        .expect("a shell");
    assert!(String::from_utf8_lossy(&hello.stdout).contains("https"), "{}", String::from_utf8_lossy(&hello.stdout));
    let answer = httpd.ask(&Request::get(&format!("/search?{}", key.question())));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

#[test]
fn the_servers_key_is_not_in_the_memory_of_a_daemon() {
    // The same search finds it where the application shares httpd's process, so it can fail.
    let found = search(Mode::Embedded);
    assert!(found.starts_with("found"), "{found}");
    if !differs!("an application in daemon mode finds the server's TLS key in its memory") {
        let found = search(Mode::Daemon);
        assert!(found.starts_with("nothing in "), "{found}");
    }
}

#[test]
fn the_module_links_no_python() {
    only_ours!("the module links libpython");
    let output = Command::new("ldd").arg(wsgi_module()).output().expect("ldd is on every Linux");
    let libraries = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && libraries.contains("libc.so"), "{libraries}");
    assert!(!libraries.contains("python"), "{libraries}");
}

#[test]
fn python_is_where_it_is_needed_only() {
    only_ours!("libpython is in the httpd parent, and in children that run no embedded application");
    if !is_root() {
        return crate::harness::not_on_this_machine("only root can look into a worker: it is closed to its own user");
    }
    let has_python = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default().contains("python");
    let httpd = Httpd::new(Mode::Daemon).app("whoami.wsgi").config("WSGIRestrictEmbedded On").start();
    let worker = httpd.get("/").facts().number("pid");
    let parent = httpd.parent().pid;
    assert!(!has_python(parent), "the parent has Python");
    assert!(has_python(worker));
    for child in httpd.processes().into_iter().filter(|process| process.parent == parent && process.command.contains("httpd.conf")) {
        assert!(!has_python(child.pid), "an httpd child has Python");
    }
    let maps = std::fs::read_to_string(format!("/proc/{worker}/maps")).expect("the worker runs");
    for library in ["/libapr", "/mod_"] {
        let is_foreign = |line: &&str| line.contains(library) && line.contains(".so") && !line.contains("/mod_wsgi_python");
        let foreign: Vec<&str> = maps.lines().filter(is_foreign).collect();
        assert!(foreign.is_empty(), "the worker has something of httpd's: {foreign:?}");
    }
}

#[test]
fn a_worker_has_no_descriptor_of_httpds() {
    only_ours!("daemon processes inherit descriptors of httpd's");
    if !is_root() {
        return crate::harness::not_on_this_machine("only root can look into a worker: it is closed to its own user");
    }
    let httpd = Httpd::new(Mode::Daemon).app("whoami.wsgi").start();
    let worker = httpd.get("/").facts().number("pid");
    let entries = std::fs::read_dir(format!("/proc/{worker}/fd")).expect("the worker runs");
    let open: Vec<String> =
        entries.flatten().filter_map(|entry| Some(std::fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned())).collect();
    for forbidden in ["access.log", "key.pem", "httpd.conf", "httpd.pid"] {
        assert!(!open.iter().any(|name| name.contains(forbidden)), "{open:?}");
    }
    let listening = std::fs::read_to_string("/proc/net/tcp").expect("/proc is mounted");
    let port = format!(":{:04X} 00000000:0000 0A", httpd.port());
    let inode = listening.lines().find(|line| line.contains(&port)).and_then(|line| line.split_whitespace().nth(9)).expect("httpd listens");
    assert!(!open.contains(&format!("socket:[{inode}]")), "the worker holds httpd's listening socket");
}

/// Says something to a Unix socket, and what became of it.
const STRANGER: &str = "\
import os, socket, sys
client = socket.socket(socket.AF_UNIX)
client.settimeout(10)
try:
    client.connect(sys.argv[1].replace('@', '\\0', 1) if sys.argv[1].startswith('@') else sys.argv[1])
    client.sendall(bytes(64))
    print('heard', client.recv(100))
except OSError as error:
    print(type(error).__name__)
";

#[test]
fn another_user_of_the_machine_cannot_talk_to_a_worker() {
    only_ours!("daemon processes rely on the socket's mode and a secret");
    if !is_root() {
        return crate::harness::not_on_this_machine("only root can become another user");
    }
    let httpd = Httpd::new(Mode::Daemon).app("whoami.wsgi").expect_log("WSGI0034").start();
    let worker = httpd.get("/").facts().number("pid");
    let says = |address: &str| {
        let output = Command::new(python::usual()).args(["-c", STRANGER, address]).current_dir("/").uid(65_534).output();
        String::from_utf8(output.expect("Python is there").stdout).expect("text")
    };
    let addresses = std::fs::read_to_string("/proc/net/unix").expect("/proc is mounted");
    let own = addresses.split_whitespace().find(|word| word.starts_with("@mod_wsgi.") && word.ends_with(&format!(".{worker}")));
    // Whoever likes may connect to an address that is no file.
    let answer = says(own.expect("the worker listens"));
    assert!(answer.starts_with("heard b''") || answer.starts_with("ConnectionReset") || answer.starts_with("BrokenPipe"), "{answer}");
    let line = httpd.log().wait_for("WSGI0034");
    assert!(line.contains("65534"), "{line}");
    let sockets = std::fs::read_dir(httpd.root().join("run")).expect("it is there").flatten();
    let socket = sockets.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|extension| extension == "sock"));
    assert_eq!(says(&socket.expect("the group has one").display().to_string()), "PermissionError\n");
    assert_eq!(httpd.get("/").status, 200);
}
