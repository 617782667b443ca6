//! A worker without Python, for the tests: it stands where the interpreter would, speaks with the supervisor as the host does, and serves
//! "requests" of one line from the group's listener.
//!
//! The file that is given as the host says how it starts: `ok`, `exit N`, `fail TEXT`, `hang` or `stubborn` (which ignores SIGTERM).

#![expect(unsafe_code, reason = "descriptors that were inherited become values that own them")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::process::{ExitCode, abort, exit};
use std::time::Duration;
use sys::control::{Channel, ChannelError};
use sys::nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sys::nix::sys::signal::Signal;
use sys::signals::{Signals, watch};
use sys::socket::{Readiness, accepted, receive, send, wait};
use wire::control::{CONTROL_FD, FromWorker, LISTENER_FD, StopReason, ToWorker, WorkerSettings};
use wire::settings::{Import, Octets};

struct Fake {
    channel: Channel,
    listener: OwnedFd,
    settings: WorkerSettings,
    accepts: bool,
    /// What was loaded, and what it answers.
    loaded: BTreeMap<Octets, (i64, String)>,
}

fn main() -> ExitCode {
    // SAFETY: this is the first thing that main does, and nothing else has opened these descriptors.
    let (control, listener) = unsafe { (sys::process::inherited(CONTROL_FD), sys::process::inherited(LISTENER_FD)) };
    let channel = Channel::new(control.expect("started by a supervisor"));
    let Ok(Some((ToWorker::Configure(settings), _))) = channel.wait(None) else { return ExitCode::FAILURE };
    let host = std::fs::read_to_string(OsStr::from_bytes(&settings.group.host)).expect("the test's file");
    let mut watched = vec![Signal::SIGUSR1];
    match host.trim().split_once(' ').unwrap_or((host.trim(), "")) {
        ("exit", status) => exit(status.parse().expect("a number")),
        ("fail", text) => {
            channel.send(&FromWorker::Failed(text.to_owned()), &[]).expect("heard");
            return ExitCode::FAILURE;
        }
        ("hang", _) => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        ("stubborn", _) => watched.push(Signal::SIGTERM),
        _ => {}
    }
    let signals = watch(&watched).expect("signals");
    let listener = listener.expect("started by a supervisor");
    let mut fake = Fake { channel, listener, settings: *settings, accepts: false, loaded: BTreeMap::new() };
    fake.start();
    fake.serve(&signals)
}

impl Fake {
    fn start(&mut self) {
        for import in self.settings.preload.clone() {
            if self.load(&import.script, false).is_none() && self.settings.preload_must_succeed {
                let text = format!("script '{}' is broken", String::from_utf8_lossy(&import.script));
                self.say(&FromWorker::Failed(text));
                exit(1);
            }
        }
        self.say(&FromWorker::Ready);
    }

    fn say(&self, message: &FromWorker) {
        match self.channel.send(message, &[]) {
            Ok(()) | Err(ChannelError::Gone) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn serve(&mut self, signals: &Signals) -> ExitCode {
        loop {
            let on = |descriptor| PollFd::new(descriptor, PollFlags::POLLIN);
            let mut polled = vec![on(self.channel.as_fd()), on(signals.as_fd())];
            if self.accepts {
                polled.push(on(self.listener.as_fd()));
            }
            let _interrupted_or_ready = poll(&mut polled, PollTimeout::NONE);
            while let Some(signal) = signals.next() {
                if signal == Signal::SIGUSR1 {
                    self.say(&FromWorker::ReplaceMe(StopReason::GracefulSignal));
                }
            }
            match self.channel.receive() {
                Ok(Some((ToWorker::Accept, _))) => self.accepts = true,
                Ok(Some((ToWorker::Configure(_), _))) => panic!("configured twice"),
                Ok(Some((ToWorker::Drain(_) | ToWorker::Stop(_), _))) | Err(ChannelError::Gone) => {
                    self.say(&FromWorker::Drained);
                    return ExitCode::SUCCESS;
                }
                Ok(Some((ToWorker::Load { import, .. }, _))) => {
                    self.load(&import.script, false);
                }
                Ok(None) => {}
                Err(error) => panic!("{error}"),
            }
            if self.accepts
                && let Ok(Some(connection)) = accepted(&self.listener)
            {
                self.answer(&connection);
            }
        }
    }

    fn answer(&mut self, connection: &OwnedFd) {
        let mut buffer = [0; 4096];
        let mut none = Vec::new();
        if wait(connection, Readiness::Read, Some(Duration::from_secs(5))) != Ok(true) {
            return;
        }
        let length = receive(connection, &mut buffer, &mut none).unwrap_or(0);
        let request = String::from_utf8_lossy(&buffer[..length]).trim().to_owned();
        let (word, rest) = request.split_once(' ').unwrap_or((&request, ""));
        let body = match word {
            "get" => self.get(rest, true),
            "get-as-loaded" => self.get(rest, false),
            "sleep" => {
                std::thread::sleep(Duration::from_millis(rest.parse().expect("milliseconds")));
                "slept".to_owned()
            }
            "replace" => {
                self.say(&FromWorker::ReplaceMe(StopReason::MaximumRequests));
                "asked".to_owned()
            }
            "variable" => std::env::var(rest).unwrap_or_default(),
            "where" => {
                let directory = std::env::current_dir().expect("a directory");
                format!("{} {}", sys::nix::unistd::getuid(), directory.display())
            }
            "die" => abort(),
            other => panic!("unknown request '{other}'"),
        };
        let answer = format!("{} {} {body}\n", std::process::id(), self.settings.generation);
        let _client_may_have_gone = send(connection, &[std::io::IoSlice::new(answer.as_bytes())], &[]);
    }

    /// What the script says; an old version goes on, and the change is reported.
    fn get(&mut self, script: &str, reloads: bool) -> String {
        let script = Octets::from(script.as_bytes().to_vec());
        match self.loaded.get(&script) {
            Some((modified, content)) => {
                if let Some(now) = modification(&script).filter(|now| reloads && now != modified) {
                    self.say(&FromWorker::Changed { script: script.clone(), modified: now });
                }
                content.clone()
            }
            None => self.load(&script, reloads).unwrap_or_else(|| "error".to_owned()),
        }
    }

    fn load(&mut self, script: &Octets, reloads: bool) -> Option<String> {
        let modified = modification(script)?;
        let content = std::fs::read_to_string(OsStr::from_bytes(script)).ok()?;
        if content.contains("broken") {
            return None;
        }
        self.loaded.insert(script.clone(), (modified, content.clone()));
        let import = Import { script: script.clone(), application_group: Octets::new() };
        self.say(&FromWorker::Loaded { import, modified, reloads });
        Some(content)
    }
}

fn modification(script: &Octets) -> Option<i64> {
    let metadata = std::fs::metadata(OsStr::from_bytes(script)).ok()?;
    Some(metadata.mtime() * 1_000_000 + metadata.mtime_nsec() / 1_000)
}
