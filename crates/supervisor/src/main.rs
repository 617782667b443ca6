//! `mod_wsgi_supervisor`: starts, watches, replaces and stops the workers of one daemon process group.
//!
//! httpd's parent starts one for each group, as itself; it becomes the group's user before it does anything else. It knows processes,
//! and neither httpd nor Python: what it is to do comes over the control socket (`wire::control`).

mod command;
#[expect(unsafe_code, reason = "descriptors that were inherited become values that own them")]
mod descriptors;
mod edition;
mod group;
mod lifecycle;
mod observe;
mod place;
mod supervisor;
mod template;
#[cfg(test)]
#[path = "../tests/group/settings.rs"]
mod test_settings;
mod watch;

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(given) = descriptors::take() else {
        eprintln!("mod_wsgi_supervisor is started by mod_wsgi.so, not by hand: see WSGIDaemonProcess");
        return ExitCode::FAILURE;
    };
    supervisor::run(given)
}
