//! `script-user=` and `script-group=`: whom the files of a daemon group may belong to.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::harness::{Builder, Httpd, Mode, is_root, not_on_this_machine, server_ids};

fn set(path: &Path, owner: (u32, u32), mode: u32) {
    std::os::unix::fs::chown(path, Some(owner.0), Some(owner.1)).expect("we are root");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("we are root");
}

fn server(options: &str) -> Builder {
    Httpd::new(Mode::Daemon)
        .daemon_options(options)
        .with_app("hello.wsgi")
        .config("WSGIScriptAlias / ${ROOT}/owned/hello.wsgi")
        .config("<Directory ${ROOT}/owned>\nRequire all granted\n</Directory>")
        .file("owned/hello.wsgi", include_str!("apps/hello.wsgi"))
}

#[test]
fn a_script_has_to_belong_to_the_user() {
    if !is_root() {
        return not_on_this_machine("files of other users");
    }
    let httpd = ["WSGI0164", "WSGI0166", "WSGI0168", "WSGI0171", "WSGI0172", "WSGI0173"]
        .into_iter()
        .fold(server("threads=2 script-user=www-data"), Builder::expect_log)
        .start();
    let (folder, file) = (httpd.root().join("owned"), httpd.root().join("owned/hello.wsgi"));
    let (ours, root) = (server_ids(), (0, 0));
    let ask = |folder_owner, folder_mode, file_owner, file_mode| {
        set(&folder, folder_owner, folder_mode);
        set(&file, file_owner, file_mode);
        httpd.get("/").status
    };
    assert_eq!(ask(ours, 0o755, ours, 0o644), 200);
    assert_eq!(ask(ours, 0o755, root, 0o644), 403);
    assert_eq!(ask(ours, 0o755, ours, 0o664), 403);
    assert_eq!(ask(ours, 0o755, ours, 0o646), 403);
    assert_eq!(ask(root, 0o755, ours, 0o644), 403);
    assert_eq!(ask(ours, 0o757, ours, 0o644), 403);
    assert_eq!(ask(ours, 0o775, ours, 0o644), 403);
}

#[test]
fn a_script_has_to_belong_to_the_group() {
    if !is_root() {
        return not_on_this_machine("files of other groups");
    }
    let httpd = ["WSGI0155", "WSGI0157", "WSGI0160", "WSGI0161"]
        .into_iter()
        .fold(server("threads=2 script-group=www-data"), Builder::expect_log)
        .start();
    let (folder, file) = (httpd.root().join("owned"), httpd.root().join("owned/hello.wsgi"));
    let (ours, root) = ((0, server_ids().1), (0, 0));
    let ask = |folder_owner, folder_mode, file_owner, file_mode| {
        set(&folder, folder_owner, folder_mode);
        set(&file, file_owner, file_mode);
        httpd.get("/").status
    };
    assert_eq!(ask(ours, 0o775, ours, 0o664), 200);
    assert_eq!(ask(ours, 0o755, root, 0o644), 403);
    assert_eq!(ask(ours, 0o755, ours, 0o646), 403);
    assert_eq!(ask(root, 0o755, ours, 0o644), 403);
    assert_eq!(ask(ours, 0o757, ours, 0o644), 403);
}

#[test]
fn a_script_outside_of_the_root_directory_is_not_served() {
    if !is_root() {
        return not_on_this_machine("changing the root directory");
    }
    only_ours!("a group in a root directory that has no Python cannot even say so");
    let httpd = Httpd::new(Mode::Daemon)
        .app("hello.wsgi")
        .daemon_options("threads=1 chroot=${ROOT}/htdocs")
        .expect_log("WSGI0081")
        .allow_log("'test'")
        .allow_log("group test")
        .start();
    assert_eq!(httpd.get("/").status, 502);
}

#[test]
fn who_cannot_become_what_the_group_is_to_be_says_at_which_step() {
    if !is_root() {
        return not_on_this_machine("only root can change the root directory");
    }
    only_ours!("a group that cannot be started lets requests wait until socket-timeout");
    let httpd = Httpd::new(Mode::Daemon)
        .daemon_options("threads=1 chroot=${ROOT}/nowhere")
        .app("hello.wsgi")
        .expect_log("WSGI0003")
        .allow_log("WSGI0081")
        .allow_log("WSGI0343")
        .start();
    let line = httpd.log().wait_for("WSGI0003");
    assert!(line.contains("/nowhere'") && line.contains("; check 'chroot='"), "{line}");
    assert!(httpd.get("/").status >= 500);
}
