//! Who workers are. Only root can become somebody else, so for anybody else there is nothing to see here.

use crate::site::Site;
use std::os::unix::fs::PermissionsExt;
use sys::nix::unistd::{User, geteuid};
use wire::counters::GroupState;
use wire::settings::Identity;

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
