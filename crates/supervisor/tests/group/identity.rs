//! Who workers are. Only root can become somebody else, so for anybody else there is nothing to see here.

use crate::site::Site;
use std::os::unix::fs::PermissionsExt;
use sys::nix::unistd::{User, geteuid};
use wire::counters::GroupState;
use wire::settings::{Identity, Limits};

fn as_nobody() -> Option<(Site, u32)> {
    let user = User::from_name("nobody").ok().flatten().filter(|_| geteuid().is_root())?;
    let mut site = Site::new();
    let identity = Identity { uid: Some(user.uid.as_raw()), gid: Some(user.gid.as_raw()), groups: None, chroot: None, cpu_priority: 5 };
    site.settings.identity = identity;
    // What is built may lie where only root may go.
    let fake = site.path("python3");
    let built = std::path::PathBuf::from(std::ffi::OsString::from(String::from_utf8_lossy(&site.settings.interpreter).into_owned()));
    std::fs::copy(built, &fake).expect("copied");
    site.settings.interpreter = fake.into_os_string().into_encoded_bytes().into();
    Some((site, user.uid.as_raw()))
}

#[test]
fn a_user_without_home_directory_serves_from_the_root_directory() {
    let Some((site, uid)) = as_nobody() else { return };
    site.configure();
    assert_eq!(site.request("where").expect("an answer").text, format!("{uid} /"));
    let home = User::from_name("nobody").ok().flatten().expect("there").dir;
    assert_eq!(site.log().contains("WSGI0010"), !home.is_dir(), "{}", site.log());
    assert_eq!(site.request("variable HOME").expect("an answer").text, home.display().to_string());
    assert_eq!(site.request("variable USER").expect("an answer").text, "nobody");
}

#[test]
fn an_interpreter_out_of_the_users_reach_is_named_with_what_is_in_the_way() {
    let Some((mut site, _)) = as_nobody() else { return };
    let private = site.path("private");
    std::fs::create_dir(&private).expect("created");
    std::fs::set_permissions(&private, PermissionsExt::from_mode(0o700)).expect("changed");
    let python = private.join("python3");
    std::fs::copy("/bin/true", &python).expect("copied");
    site.settings.interpreter = python.into_os_string().into_encoded_bytes().into();
    site.configure();
    site.wait_for_state(GroupState::Failed);
    site.wait_for_log(&format!("it may not enter the directory '{}'", private.display()));
}

#[test]
fn another_user_is_another_supervisors_work() {
    let Some((mut site, _)) = as_nobody() else { return };
    site.configure();
    site.request("where").expect("an answer");
    site.settings.identity.uid = Some(1);
    site.configure();
    site.wait_for_end();
    site.wait_for_log("has another user now");
}

/// The fields of `/proc/PID/status` that say who a process is and what it may.
fn credentials(pid: u32) -> Vec<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let wanted = ["Uid:", "Gid:", "Groups:", "NoNewPrivs:", "CapEff:"];
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    status.lines().filter(|line| wanted.iter().any(|name| line.starts_with(name))).map(words).collect()
}

#[test]
fn a_worker_is_nobody_else_and_may_nothing_else() {
    let Some((mut site, uid)) = as_nobody() else { return };
    site.settings.identity.gid = Some(12);
    site.settings.identity.groups = Some(vec![7, 8]);
    site.settings.umask = Some(0o027);
    site.settings.limits = Limits { cpu_time: 100, memory: 1 << 30, virtual_memory: 8 << 30 };
    site.configure();
    let pid = site.request("where").expect("an answer").pid;
    let ids = |id: u32| format!("{id} {id} {id} {id}");
    let expected = [
        format!("Uid: {}", ids(uid)),
        format!("Gid: {}", ids(12)),
        "Groups: 7 8 12".into(),
        "CapEff: 0000000000000000".into(),
        "NoNewPrivs: 1".into(),
    ];
    assert_eq!(credentials(pid), expected);
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("it lives");
    // A hard limit on processor time is behind the soft one, so that there is time for an end in order.
    for (name, values) in
        [("Max cpu time", "100 103 seconds"), ("Max data size", "1073741824 1073741824"), ("Max address space", "8589934592 8589934592")]
    {
        let line = limits.lines().find(|line| line.starts_with(name)).expect("proc(5)");
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(line.starts_with(&format!("{name} {values}")), "{line}");
    }
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    assert!(status.lines().any(|line| line.split_whitespace().eq(["Umask:", "0027"])), "{status}");
}

#[test]
fn a_worker_under_another_root_directory_sees_nothing_else() {
    let Some((mut site, uid)) = as_nobody() else { return };
    let root = site.path("jail");
    let fake = site.path("python3");
    std::fs::create_dir(&root).expect("created");
    let needed = std::process::Command::new("ldd").arg(&fake).output().expect("ldd is there wherever cc is").stdout;
    let libraries = String::from_utf8_lossy(&needed).into_owned();
    for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        let copy = root.join(&library[1..]);
        std::fs::create_dir_all(copy.parent().expect("below the root")).expect("created");
        std::fs::copy(library, copy).expect("copied");
    }
    std::fs::copy(&fake, root.join("python3")).expect("copied");
    std::fs::write(root.join("host"), "ok").expect("written");
    site.settings.identity.chroot = Some(root.clone().into_os_string().into_encoded_bytes().into());
    site.settings.interpreter = b"/python3".to_vec().into();
    site.settings.host = b"/host".to_vec().into();
    site.configure();
    let answer = site.request("where").expect("an answer");
    assert_eq!(answer.text, format!("{uid} /"));
    let seen = std::fs::read_link(format!("/proc/{}/root", answer.pid)).expect("root may look");
    assert_eq!(seen, root.canonicalize().expect("there"));
}
