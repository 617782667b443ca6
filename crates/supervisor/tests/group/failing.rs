//! Workers that cannot start.

use crate::site::Site;
use wire::counters::GroupState;

#[test]
fn a_group_that_cannot_start_fails_and_recovers() {
    let site = Site::new();
    site.write("host", "exit 3");
    site.configure();
    site.wait_for_state(GroupState::Failed);
    site.wait_for_log("could not start: exited with status 3");
    site.wait_for_log("WSGI0304");
    assert_eq!(site.log().matches("WSGI0303").count(), 1, "said once:\n{}", site.log());
    site.write("host", "ok");
    site.wait_for_state(GroupState::Serving);
    assert!(site.request("where").is_some());
}

#[test]
fn the_reason_is_the_workers_own_word() {
    let site = Site::new();
    site.write("host", "fail no module named site");
    site.configure();
    site.wait_for_log("could not start: no module named site");
}

#[test]
fn a_missing_interpreter_is_named_at_once() {
    let mut site = Site::new();
    site.settings.interpreter = b"/no/such/python3".to_vec().into();
    site.configure();
    site.wait_for_state(GroupState::Failed);
    site.wait_for_log("'/no/such/python3': No such file or directory; check 'python-home='");
}

#[test]
fn a_missing_home_is_named_and_heals() {
    let mut site = Site::new();
    let home = site.path("home");
    site.settings.home = Some(home.clone().into_os_string().into_encoded_bytes().into());
    site.configure();
    site.wait_for_state(GroupState::Failed);
    site.wait_for_log("WSGI0009");
    std::fs::create_dir(&home).expect("created");
    site.wait_for_state(GroupState::Serving);
    let answer = site.request("where").expect("an answer").text;
    assert!(answer.ends_with(&format!(" {}", home.display())), "{answer}");
}

#[test]
fn a_start_is_bounded_by_startup_timeout() {
    let mut site = Site::new();
    site.settings.timeouts.startup = std::time::Duration::from_millis(200);
    site.write("host", "hang");
    site.configure();
    site.wait_for_log("WSGI0307");
    site.write("host", "ok");
    site.wait_for_state(GroupState::Serving);
}

#[test]
fn a_python_that_cannot_load_the_host_says_why_in_one_line() {
    let mut site = Site::new();
    site.settings.interpreter = b"/usr/bin/python3".to_vec().into();
    site.write("host", "this is no shared library\n");
    site.configure();
    site.wait_for_state(GroupState::Failed);
    let log = site.log();
    let line = log.lines().find(|line| line.contains("WSGI0028")).unwrap_or_else(|| panic!("no line:\n{log}"));
    assert!(line.contains("/usr/bin/python3 cannot load the host") && line.contains("ImportError"), "{line}");
}
