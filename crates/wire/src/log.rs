//! Levels and the line format of httpd's error log, for processes that write to it without httpd.

use std::fmt::Write as _;

/// httpd's levels (`APLOG_*`, `http_log.h`), with the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
pub enum Level {
    /// Immediate action is needed.
    Alert = 1,
    /// A part of the server does not work.
    Crit = 2,
    /// A request or an action failed.
    Error = 3,
    /// Something is not as it should be.
    Warn = 4,
    /// Normal but significant.
    Notice = 5,
    /// Informational.
    Info = 6,
    /// For who looks for a fault.
    Debug = 7,
    /// For who looks for a fault in us.
    Trace1 = 8,
}

impl Level {
    /// The level of an octet; what is out of range becomes the nearest one.
    #[must_use]
    pub fn from_octet(octet: u8) -> Self {
        match octet {
            0 | 1 => Self::Alert,
            2 => Self::Crit,
            3 => Self::Error,
            4 => Self::Warn,
            5 => Self::Notice,
            6 => Self::Info,
            7 => Self::Debug,
            _ => Self::Trace1,
        }
    }

    /// httpd's name of it, as in `LogLevel`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Crit => "crit",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace1 => "trace1",
        }
    }
}

/// A local time, as `localtime_r` gives it.
#[derive(Clone, Copy, Debug)]
pub struct LocalTime {
    /// Days since Sunday, 0 to 6.
    pub weekday: u8,
    /// Months since January, 0 to 11.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
    /// 0 to 999,999.
    pub microsecond: u32,
    /// Such as 2026.
    pub year: i32,
}

/// One line in httpd's default `ErrorLogFormat`, with its newline. Control characters in `text` are escaped as httpd does.
#[must_use]
pub fn line(time: LocalTime, level: Level, pid: u32, tid: u64, text: &str) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut line = String::with_capacity(text.len() + 96);
    let _infallible = write!(
        line,
        "[{} {} {:02} {:02}:{:02}:{:02}.{:06} {}] [wsgi:{}] [pid {pid}:tid {tid}] ",
        DAYS[usize::from(time.weekday % 7)],
        MONTHS[usize::from(time.month % 12)],
        time.day,
        time.hour,
        time.minute,
        time.second,
        time.microsecond,
        time.year,
        level.name(),
    );
    for character in text.trim_end_matches('\n').chars() {
        match character {
            '\t' => line.push(character),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            control if control.is_ascii_control() => {
                let _infallible = write!(line, "\\x{:02x}", u32::from(control));
            }
            other => line.push(other),
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cannot_be_forged_by_its_text() {
        let time = LocalTime { weekday: 0, month: 10, day: 2, hour: 8, minute: 3, second: 4, microsecond: 56, year: 2026 };
        assert_eq!(
            line(time, Level::Error, 7, 8, "a\nb\x1b\n"),
            "[Sun Nov 02 08:03:04.000056 2026] [wsgi:error] [pid 7:tid 8] a\\nb\\x1b\n"
        );
    }
}
