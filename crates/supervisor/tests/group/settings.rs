//! Settings for tests.

use std::time::Duration;
use wire::VERSION;
use wire::control::decode;
use wire::settings::GroupSettings;

/// A group named `site` with one process, where everything that can be off is off.
pub(crate) fn settings() -> GroupSettings {
    // Zero octets are every number 0, every list empty, every option absent: what is added to the settings later is off as well.
    let mut octets = vec![0; 1024];
    octets[0] = VERSION;
    let mut settings: GroupSettings = decode(&octets).expect("zeros decode");
    settings.name = "site".to_owned();
    settings.processes = 1;
    settings.threads = 1;
    settings.timeouts.shutdown = Duration::from_secs(2);
    settings.timeouts.graceful = Duration::from_secs(5);
    settings.log_level = 6;
    settings
}
