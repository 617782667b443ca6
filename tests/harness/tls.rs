//! A key and its certificate, for servers that speak TLS.

use std::process::Command;
use std::sync::OnceLock;

use super::config::Builder;
use super::place::Folder;
use super::python;

/// The key and the certificate, the same for all servers of a run: an environ shows what stands in it.
fn credentials() -> &'static (String, String) {
    static MADE: OnceLock<(String, String)> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = Folder::new();
        python::run(
            Command::new("openssl")
                .args("req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost/O=Test -days 2 -keyout key.pem -out cert.pem".split(' '))
                .current_dir(folder.path()),
        );
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("openssl has written it");
        (read("key.pem"), read("cert.pem"))
    })
}

impl Builder {
    /// Loads mod_ssl, and writes a key and a certificate for [`Builder::TLS`].
    #[must_use]
    pub(crate) fn with_credentials(self) -> Self {
        let (key, certificate) = credentials();
        self.module("ssl").module("socache_shmcb").file("tls/key.pem", key).file("tls/cert.pem", certificate)
    }

    /// What a virtual host needs that speaks TLS.
    pub(crate) const TLS: &'static str =
        "SSLEngine on\nSSLCertificateFile ${ROOT}/tls/cert.pem\nSSLCertificateKeyFile ${ROOT}/tls/key.pem\n";
}
