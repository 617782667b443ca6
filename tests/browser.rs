//! Django's own admin in a real browser: Chromium without a screen, driven by Selenium.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::python::{self, venv};
use crate::harness::{Builder, Folder, Httpd, Mode, is_root, not_on_this_machine, server_ids};

/// The virtual environment of the project.
fn home() -> PathBuf {
    venv("django", &["django==5.2.*"])
}

/// Copies the project, and makes its database and static files.
fn with_project(mut builder: Builder) -> Builder {
    for (name, text) in [
        ("prepare.py", include_str!("browser/project/prepare.py")),
        ("gallery/__init__.py", include_str!("browser/project/gallery/__init__.py")),
        ("gallery/admin.py", include_str!("browser/project/gallery/admin.py")),
        ("gallery/models.py", include_str!("browser/project/gallery/models.py")),
        ("gallery/settings.py", include_str!("browser/project/gallery/settings.py")),
        ("gallery/urls.py", include_str!("browser/project/gallery/urls.py")),
        ("gallery/wsgi.py", include_str!("browser/project/gallery/wsgi.py")),
    ] {
        builder = builder.file(&format!("project/{name}"), text);
    }
    let project = builder.root().join("project");
    std::fs::create_dir_all(project.join("data/media")).expect("the folder is ours");
    python::run(Command::new(home().join("bin/python")).arg("prepare.py").current_dir(&project));
    give_to_server(&project);
    builder
}

/// sqlite writes beside its file, and uploads go into a folder: the server's user needs both.
fn give_to_server(project: &Path) {
    if is_root() {
        let (uid, gid) = server_ids();
        for name in ["data", "data/media", "data/db.sqlite3"] {
            chown(project.join(name), Some(uid), Some(gid)).expect("root may do that");
        }
    }
}

#[test]
fn the_admin_works_in_a_browser() {
    if Command::new("chromedriver").arg("--version").output().is_err() {
        return not_on_this_machine("there is no chromedriver: 'make' installs it where it runs the suite");
    }
    let selenium = venv("selenium", &["selenium==4.44.0"]);
    for mode in Mode::ALL {
        let builder = with_project(Httpd::new(mode));
        let home = home();
        let builder = match mode {
            Mode::Daemon => {
                builder.daemon_options(&format!("processes=2 threads=5 python-home={} python-path=${{ROOT}}/project", home.display()))
            }
            Mode::Embedded => builder.config(&format!("WSGIPythonHome {}\nWSGIPythonPath ${{ROOT}}/project", home.display())),
        };
        let httpd = builder
            .config(
                "AddType text/css .css\nAddType text/javascript .js\nAddType image/svg+xml .svg\n\
                 WSGIScriptAlias / ${ROOT}/project/gallery/wsgi.py\nAlias /static/ ${ROOT}/project/static/\n\
                 Alias /favicon.ico ${ROOT}/project/static/admin/img/icon-yes.svg\n\
                 <Directory ${ROOT}/project>\nRequire all granted\n</Directory>",
            )
            .start();
        let folder = Folder::new();
        let url = format!("http://localhost:{}", httpd.port());
        // What a browser and its driver keep for a user belongs into the folder as well.
        let mut visit = Command::new(selenium.join("bin/python"));
        visit.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/admin.py")).arg(&url).arg(folder.path());
        python::run(visit.env("HOME", folder.path()).env("TMPDIR", folder.path()).env("NO_PROXY", "localhost,127.0.0.1"));
    }
}
