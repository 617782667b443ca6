//! Folders, ports and waiting: what keeps parallel tests out of each other's way.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// The folder of this repository.
pub(crate) fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder for what lives longer than a test and that the server's user can reach: `.build`, unless a folder above it is closed to others.
pub(crate) fn shared() -> &'static Path {
    static SHARED: OnceLock<PathBuf> = OnceLock::new();
    SHARED.get_or_init(|| {
        let folder = if !super::is_root() || is_open_to_all(checkout()) {
            checkout().join(".build/shared")
        } else {
            let name = checkout().to_string_lossy().replace('/', "-");
            Path::new("/var/tmp").join(format!("mod_wsgi-build{name}"))
        };
        std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
        open_to_all(&folder);
        folder
    })
}

/// Whether everybody can enter `folder` and all those above it.
pub(crate) fn is_open_to_all(folder: &Path) -> bool {
    folder.ancestors().all(|folder| folder.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0))
}

/// Lets everybody read and enter `folder`, whatever the umask was.
pub(crate) fn open_to_all(folder: &Path) {
    std::fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("the folder is ours");
}

/// A folder of one test, gone with it. Its path is short because names of Unix sockets are.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A new, empty folder under the system's temporary one.
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("wsgi-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display()));
        open_to_all(&path);
        Self { path }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces a file in one step, as good editors do: nobody sees half of it.
    pub(crate) fn replace(&self, name: &str, content: &str) {
        let fresh = self.write(&format!("{name}.new"), content);
        std::fs::rename(fresh, self.path.join(name)).expect("a rename within a folder");
    }

    /// Gives a file the present time.
    pub(crate) fn touch(&self, name: &str) {
        let file = std::fs::File::options().append(true).open(self.path.join(name)).expect("the file is there and ours");
        file.set_modified(std::time::SystemTime::now()).expect("the file is ours");
    }

    /// Writes a file, and the folders on its way.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path.join(name);
        let parent = path.parent().expect("a file in this folder has a parent");
        std::fs::create_dir_all(parent).expect("the folder is ours");
        let mut folder = parent;
        while folder != self.path {
            open_to_all(folder);
            folder = folder.parent().expect("below our own folder");
        }
        std::fs::write(&path, content).expect("the folder is ours");
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("the file is ours");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::env::var_os("WSGI_KEEP").is_none() {
            // What could not be removed lies in the temporary folder, which the system clears.
            drop(std::fs::remove_dir_all(&self.path));
        }
    }
}

/// A port on the loopback that nobody else uses, nor another suite on this machine. Below the range from which the kernel takes the
/// clients' own ports.
pub(crate) fn free_port() -> u16 {
    /// What was given, by a name that the kernel lets one process have at a time.
    static GIVEN: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    let claim = |port: u16| UnixListener::bind_addr(&SocketAddr::from_abstract_name(format!("mod_wsgi-suite-port-{port}")).ok()?).ok();
    let start = u16::try_from(std::process::id() % 10_000).expect("less than 10,000") + 20_000;
    let free = |port: u16| Some((port, claim(port)?)).filter(|_| TcpListener::bind(("127.0.0.1", port)).is_ok());
    let (port, claimed) = (start..32_000).chain(20_000..start).find_map(free).expect("some of twelve thousand ports is free");
    GIVEN.lock().expect("no test panics while it looks for a port").push(claimed);
    port
}

/// Asks again and again until `condition` gives something; `None` when `limit` has passed.
pub(crate) fn wait_until<T>(limit: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = condition() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
