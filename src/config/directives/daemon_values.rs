//! The rules for the values of `WSGIDaemonProcess`' options. Each keeps the value in its slot, or says what would be right.

use super::{DirectiveError, Site};
use crate::config::group::Id;
use crate::config::value::{self, text};
use std::ops::RangeInclusive;
use std::time::Duration;
use wire::settings::Reload;

/// A value as written, and what must be known to judge it.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) site: &'a Site<'a>,
    pub(super) name: &'a str,
    pub(super) value: &'a [u8],
}

type Done = Result<(), DirectiveError>;

/// The most seconds: what fits the 32-bit clocks of the system's interfaces.
const MOST_SECONDS: i64 = i32::MAX as i64;

/// The most supplementary groups of a process (`NGROUPS_MAX`).
const MOST_GROUPS: usize = 65536;

impl Value<'_> {
    /// The error that begins with `problem`; `right` completes "'name=value' …".
    fn wrong(&self, problem: String, right: impl std::fmt::Display) -> DirectiveError {
        self.site.error(problem, format_args!("'{}={}' {right}", self.name, text(self.value)))
    }

    fn invalid(&self, what: &str, right: impl std::fmt::Display) -> DirectiveError {
        self.wrong(format!("Invalid {what} for WSGI daemon process."), right)
    }

    fn integer(&self, what: &str, range: RangeInclusive<i64>) -> Result<i64, DirectiveError> {
        value::integer(self.value, range).map_err(|not_a| self.invalid(what, not_a))
    }

    /// A number of things.
    pub(super) fn count(self, slot: &mut Option<u32>, what: &str, range: RangeInclusive<u32>) -> Done {
        let number = self.integer(what, (*range.start()).into()..=(*range.end()).into())?;
        *slot = u32::try_from(number).ok();
        Ok(())
    }

    /// An amount without an upper bound.
    pub(super) fn amount(self, slot: &mut Option<u64>, what: &str, least: u32) -> Done {
        *slot = u64::try_from(self.integer(what, least.into()..=i64::MAX)?).ok();
        Ok(())
    }

    /// A time in whole seconds.
    pub(super) fn seconds(self, slot: &mut Option<Duration>, what: &str) -> Done {
        *slot = u64::try_from(self.integer(what, 0..=MOST_SECONDS)?).ok().map(Duration::from_secs);
        Ok(())
    }

    /// A time in whole milliseconds.
    pub(super) fn milliseconds(self, slot: &mut Option<Duration>, what: &str) -> Done {
        *slot = u64::try_from(self.integer(what, 0..=MOST_SECONDS)?).ok().map(Duration::from_millis);
        Ok(())
    }

    /// A time in seconds that may have a fraction.
    pub(super) fn interval(self, slot: &mut Option<f64>, what: &str) -> Done {
        let seconds = value::number(self.value, |seconds| seconds > 0.0, "a number of seconds above 0, such as 0.005");
        *slot = Some(seconds.map_err(|not_a| self.invalid(what, not_a))?);
        Ok(())
    }

    /// The size of a buffer: 0, or `least` and more.
    pub(super) fn buffer(self, slot: &mut Option<u32>, which: &str, least: u32, default: &str) -> Done {
        let size = value::integer(self.value, 0..=i32::MAX.into()).ok().and_then(|size| u32::try_from(size).ok());
        *slot = size.filter(|size| *size == 0 || *size >= least);
        slot.map(|_| ()).ok_or_else(|| {
            let problem = format!("{which} buffer size must be >= {least} bytes, or 0 for {default}.");
            self.wrong(problem, format_args!("is neither 0 nor a whole number from {least} to {}", i32::MAX))
        })
    }

    /// A nice value; out of -20 to 19 the kernel takes the nearest one.
    pub(super) fn priority(self, slot: &mut Option<i32>) -> Done {
        *slot = i32::try_from(self.integer("CPU priority", -20..=20)?).ok();
        Ok(())
    }

    /// `On` or `Off`.
    pub(super) fn flag(self, slot: &mut Option<bool>, what: &str) -> Done {
        *slot = Some(value::flag(self.value).ok_or_else(|| self.invalid(what, "is neither On nor Off"))?);
        Ok(())
    }

    /// Permission bits in octal.
    pub(super) fn umask(self, slot: &mut Option<u32>) -> Done {
        let octal = std::str::from_utf8(self.value).ok().filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
        let mask = octal.and_then(|digits| u32::from_str_radix(digits, 8).ok()).filter(|mask| *mask <= 0o777);
        *slot = Some(mask.ok_or_else(|| self.invalid("umask", "is not an octal number from 0 to 0777, such as 0027"))?);
        Ok(())
    }

    /// Anything.
    pub(super) fn octets(self, slot: &mut Option<Vec<u8>>) -> Done {
        *slot = Some(self.value.to_vec());
        Ok(())
    }

    /// Directories with colons between them.
    pub(super) fn path_list(self, slot: &mut Option<Vec<Vec<u8>>>) -> Done {
        *slot = Some(value::path_list(self.value));
        Ok(())
    }

    /// An absolute path.
    pub(super) fn absolute(self, slot: &mut Option<Vec<u8>>, what: &str) -> Done {
        if !self.value.starts_with(b"/") {
            return Err(self.invalid(what, "is not an absolute path: it must begin with /"));
        }
        self.octets(slot)
    }

    /// A directory that becomes the root, which needs root's rights.
    pub(super) fn chroot(self, slot: &mut Option<Vec<u8>>) -> Done {
        if !self.site.system.is_root() {
            let problem = "Cannot chroot WSGI daemon process when not root.".to_owned();
            return Err(self.wrong(problem, "needs httpd to be started by root"));
        }
        self.absolute(slot, "chroot directory")
    }

    /// How a changed script is met.
    pub(super) fn reload(self, slot: &mut Option<Reload>) -> Done {
        *slot = Some(match self.value {
            b"switch" => Reload::Switch,
            b"strict" => Reload::Strict,
            _ => return Err(self.invalid("reload rule", "is neither switch nor strict")),
        });
        Ok(())
    }

    /// The user of the processes, who may not be root.
    pub(super) fn user(self, slot: &mut Option<Id>) -> Done {
        let user = self.user_id("user", "Couldn't determine user name from uid.", None)?;
        if user.number == 0 {
            let problem = "WSGI process blocked from running as root.".to_owned();
            return Err(self.wrong(problem, "is root: name a user without privileges"));
        }
        *slot = Some(user);
        Ok(())
    }

    /// The group of the processes.
    pub(super) fn group(self, slot: &mut Option<Id>) -> Done {
        *slot = Some(self.group_id("group", None)?);
        Ok(())
    }

    /// The owner of the group's socket.
    pub(super) fn socket_user(self, slot: &mut Option<Id>) -> Done {
        *slot = Some(self.user_id("socket user", "Couldn't determine user name from socket user.", None)?);
        Ok(())
    }

    /// The owner that scripts must have.
    pub(super) fn script_user(self, slot: &mut Option<Id>) -> Done {
        let problem = "Couldn't determine uid from script user.";
        *slot = Some(self.user_id("script user", problem, Some(problem))?);
        Ok(())
    }

    /// The group that scripts must have.
    pub(super) fn script_group(self, slot: &mut Option<Id>) -> Done {
        *slot = Some(self.group_id("script group", Some("Couldn't determine gid from script group."))?);
        Ok(())
    }

    /// Groups with commas between them.
    pub(super) fn group_list(self, slot: &mut Option<Vec<u32>>) -> Done {
        let entries = || self.value.split(|octet| *octet == b',').map(<[u8]>::trim_ascii);
        if entries().count() > MOST_GROUPS {
            let problem = "Too many supplementary groups WSGI daemon process".to_owned();
            return Err(self.wrong(problem, format_args!("names more than {MOST_GROUPS} groups")));
        }
        let groups = entries().map(|entry| self.gid(entry));
        let right = "is not a list of groups of this system or #gid, with commas between them";
        *slot = Some(groups.collect::<Option<_>>().ok_or_else(|| self.invalid("supplementary groups", right))?);
        Ok(())
    }

    /// A user by name or `#uid`, of whom the system must know the name. The problems are those of a uid and of a name it does not know.
    fn user_id(&self, what: &str, no_uid: &'static str, no_name: Option<&'static str>) -> Result<Id, DirectiveError> {
        let system = self.site.system;
        if let Some(digits) = self.value.strip_prefix(b"#") {
            let number = number(digits).ok_or_else(|| self.invalid(what, "has no number after the #"))?;
            let name = system.user_name(number).ok_or_else(|| self.wrong(no_uid.to_owned(), "is no user of this system"))?;
            return Ok(Id { number, name });
        }
        let name = std::str::from_utf8(self.value).ok().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| self.invalid(what, "names nobody: write a user's name or #uid"))?;
        match (system.uid(name), no_name) {
            (Some(number), _) => Ok(Id { number, name: name.to_owned() }),
            (None, Some(problem)) => Err(self.wrong(problem.to_owned(), "is no user of this system")),
            (None, None) => Err(self.invalid(what, "is no user of this system")),
        }
    }

    fn group_id(&self, what: &str, no_name: Option<&'static str>) -> Result<Id, DirectiveError> {
        if self.value.is_empty() {
            return Err(self.invalid(what, "names no group: write its name or #gid"));
        }
        match (self.gid(self.value), no_name) {
            (Some(number), _) => Ok(Id { number, name: text(self.value).into_owned() }),
            (None, Some(problem)) => Err(self.wrong(problem.to_owned(), "is no group of this system")),
            (None, None) => Err(self.invalid(what, "is no group of this system, and no #gid")),
        }
    }

    /// The gid of a name or `#gid`.
    fn gid(&self, entry: &[u8]) -> Option<u32> {
        match entry.strip_prefix(b"#") {
            Some(digits) => number(digits),
            None => self.site.system.gid(std::str::from_utf8(entry).ok().filter(|name| !name.is_empty())?),
        }
    }
}

/// The number of an id; the highest one means "none" to the kernel.
fn number(digits: &[u8]) -> Option<u32> {
    value::integer(digits, 0..=i64::from(u32::MAX) - 1).ok().and_then(|number| u32::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Reader;
    use super::*;
    use crate::config::group::GroupOptions;

    fn options(options: &str) -> GroupOptions {
        let mut reader = Reader::new();
        reader.read(&format!("WSGIDaemonProcess app {options}"));
        reader.global.groups.remove(0).options
    }

    fn error(options: &str) -> String {
        Reader::new().error(&format!("WSGIDaemonProcess app {options}"))
    }

    #[test]
    fn identities_are_names_or_numbers() {
        let www_data = || Some(Id { number: 33, name: "www-data".to_owned() });
        assert_eq!(options("user=www-data").user, www_data());
        assert_eq!(options("user=#33").user, www_data());
        assert_eq!(options("group=#77").group, Some(Id { number: 77, name: "#77".to_owned() }));
        assert_eq!(options("supplementary-groups=staff,#7,www-data").supplementary_groups, Some(vec![50, 7, 33]));
        assert_eq!(options("script-group=staff").script_group.map(|id| id.number), Some(50));
        assert_eq!(options("socket-user=root").socket_user.map(|id| id.number), Some(0));
    }

    #[test]
    fn wrong_identities_are_refused() {
        let refused = [
            ("user=", "Invalid user for WSGI daemon process. WSGIDaemonProcess: 'user=' names nobody: write a user's name or #uid"),
            ("user=nobody-here", "Invalid user for WSGI daemon process. WSGIDaemonProcess: 'user=nobody-here' is no user of this system"),
            ("user=root", "WSGI process blocked from running as root. WSGIDaemonProcess: 'user=root' is root"),
            ("user=#0", "WSGI process blocked from running as root."),
            ("user=#4711", "Couldn't determine user name from uid. WSGIDaemonProcess: 'user=#4711' is no user of this system"),
            ("user=#x", "Invalid user for WSGI daemon process."),
            ("group=", "Invalid group for WSGI daemon process."),
            ("group=none-such", "Invalid group for WSGI daemon process."),
            ("supplementary-groups=staff,none", "Invalid supplementary groups for WSGI daemon process."),
            ("supplementary-groups=", "Invalid supplementary groups for WSGI daemon process."),
            ("socket-user=", "Invalid socket user for WSGI daemon process."),
            ("socket-user=#4711", "Couldn't determine user name from socket user."),
            ("script-user=", "Invalid script user for WSGI daemon process."),
            ("script-user=none-such", "Couldn't determine uid from script user."),
            ("script-group=", "Invalid script group for WSGI daemon process."),
            ("script-group=none-such", "Couldn't determine gid from script group."),
        ];
        for (option, text) in refused {
            assert!(error(option).starts_with(text), "{option}: {}", error(option));
        }
    }

    #[test]
    fn counts_have_a_range() {
        assert_eq!(options("threads=0").threads, Some(0));
        assert_eq!(options("listen-backlog=511").listen_backlog, Some(511));
        assert_eq!(options("cpu-priority=-5").cpu_priority, Some(-5));
        assert_eq!(
            error("threads=abc"),
            "Invalid thread count for WSGI daemon process. WSGIDaemonProcess: 'threads=abc' is not a whole number from 0 to 65533"
        );
        let refused = [
            ("processes=0", "Invalid process count for WSGI daemon process."),
            ("processes=1.5", "Invalid process count for WSGI daemon process."),
            ("threads=65534", "Invalid thread count for WSGI daemon process."),
            ("threads=-1", "Invalid thread count for WSGI daemon process."),
            ("listen-backlog=-1", "Invalid listen backlog for WSGI daemon process."),
            ("cpu-priority=high", "Invalid CPU priority for WSGI daemon process."),
            ("queue-limit=0", "Invalid queue limit for WSGI daemon process."),
            ("min-processes=-1", "Invalid process count for WSGI daemon process."),
            ("max-processes=0", "Invalid process count for WSGI daemon process."),
        ];
        for (option, text) in refused {
            assert!(error(option).starts_with(text), "{option}: {}", error(option));
        }
    }

    #[test]
    fn amounts_have_a_least_value() {
        assert_eq!(options("memory-limit=4294967296").memory_limit, Some(1 << 32));
        assert_eq!(options("stack-size=524288").stack_size, Some(524_288));
        let refused = [
            ("stack-size=0", "Invalid stack size for WSGI daemon process."),
            ("maximum-requests=-1", "Invalid request count for WSGI daemon process."),
            ("cpu-time-limit=5s", "Invalid CPU time limit for WSGI daemon process."),
            ("memory-limit=10M", "Invalid memory limit for WSGI daemon process."),
            ("virtual-memory-limit=", "Invalid virtual memory limit for WSGI daemon process."),
            ("body-spool-limit=-1", "Invalid body spool limit for WSGI daemon process."),
            ("response-spool-limit=x", "Invalid response spool limit for WSGI daemon process."),
        ];
        for (option, text) in refused {
            assert!(error(option).starts_with(text), "{option}: {}", error(option));
        }
        assert!(error("memory-limit=10M").ends_with("'memory-limit=10M' is not a whole number from 0 on"));
    }

    #[test]
    fn times_are_whole_seconds() {
        assert_eq!(options("request-timeout=60").request_timeout, Some(Duration::from_secs(60)));
        assert_eq!(options("response-flush-delay=5").response_flush_delay, Some(Duration::from_millis(5)));
        assert_eq!(options("switch-interval=0.005").switch_interval, Some(0.005));
        let named = [
            ("startup-timeout", "startup timeout"),
            ("shutdown-timeout", "shutdown timeout"),
            ("deadlock-timeout", "deadlock timeout"),
            ("inactivity-timeout", "inactivity timeout"),
            ("request-timeout", "request timeout"),
            ("interrupt-timeout", "interrupt timeout"),
            ("graceful-timeout", "graceful timeout"),
            ("eviction-timeout", "eviction timeout"),
            ("restart-interval", "restart interval"),
            ("connect-timeout", "connect timeout"),
            ("socket-timeout", "socket timeout"),
            ("queue-timeout", "queue timeout"),
            ("response-socket-timeout", "response socket timeout"),
            ("response-flush-delay", "response flush delay"),
            ("slow-request", "slow request time"),
        ];
        for (option, what) in named {
            for wrong in ["-1", "abc", "1.5", "5s", ""] {
                let text = format!("Invalid {what} for WSGI daemon process. WSGIDaemonProcess: '{option}={wrong}' is not a whole number");
                assert!(error(&format!("{option}={wrong}")).starts_with(&text), "{option}");
            }
        }
        assert!(error("switch-interval=0").starts_with("Invalid switch interval for WSGI daemon process."));
    }

    #[test]
    fn buffers_are_large_enough_or_left_to_the_system() {
        assert_eq!(options("send-buffer-size=0").send_buffer_size, Some(0));
        assert_eq!(options("header-buffer-size=8192").header_buffer_size, Some(8192));
        let refused = [
            ("send-buffer-size=511", "Send buffer size must be >= 512 bytes, or 0 for system default."),
            ("receive-buffer-size=abc", "Receive buffer size must be >= 512 bytes, or 0 for system default."),
            ("header-buffer-size=-1", "Header buffer size must be >= 8192 bytes, or 0 for default."),
            ("response-buffer-size=65535", "Response buffer size must be >= 65536 bytes, or 0 for default."),
        ];
        for (option, text) in refused {
            assert!(error(option).starts_with(text), "{option}: {}", error(option));
        }
    }

    #[test]
    fn paths_are_absolute() {
        assert_eq!(options("home=/srv python-home=/venv").python_home.as_deref(), Some(b"/venv".as_slice()));
        assert_eq!(options("python-path=/a::lib").python_path, Some(vec![b"/a".to_vec(), b"lib".to_vec()]));
        let refused = [
            ("home=srv", "Invalid home directory for WSGI daemon process. WSGIDaemonProcess: 'home=srv' is not an absolute path"),
            ("home=", "Invalid home directory for WSGI daemon process."),
            ("chroot=jail", "Invalid chroot directory for WSGI daemon process."),
            ("python-home=venv", "Invalid Python home for WSGI daemon process."),
            ("preload=app.wsgi", "Invalid preload script for WSGI daemon process."),
        ];
        for (option, text) in refused {
            assert!(error(option).starts_with(text), "{option}: {}", error(option));
        }
    }

    #[test]
    fn only_root_changes_the_root() {
        let mut reader = Reader::new();
        reader.system.is_root = false;
        let error = reader.error("WSGIDaemonProcess app chroot=/jail");
        assert!(error.starts_with("Cannot chroot WSGI daemon process when not root."), "{error}");
        assert_eq!(options("chroot=/jail").chroot.as_deref(), Some(b"/jail".as_slice()));
    }

    #[test]
    fn words_and_bits() {
        assert_eq!(options("umask=0027").umask, Some(0o27));
        assert_eq!(options("reload=strict").reload, Some(Reload::Strict));
        assert_eq!(options("server-metrics=on").server_metrics, Some(true));
        assert_eq!(options("lang=en_GB.UTF-8 locale='C'").locale.as_deref(), Some(b"C".as_slice()));
        let refused = [
            ("umask=8", "Invalid umask for WSGI daemon process."),
            ("umask=", "Invalid umask for WSGI daemon process."),
            ("umask=01000", "Invalid umask for WSGI daemon process."),
            ("umask=+7", "Invalid umask for WSGI daemon process."),
            ("reload=lazy", "Invalid reload rule for WSGI daemon process."),
            ("server-metrics=1", "Invalid server metrics flag for WSGI daemon process."),
        ];
        for (option, text) in refused {
            assert!(error(option).starts_with(text), "{option}: {}", error(option));
        }
    }
}
