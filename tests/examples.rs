//! The configurations under `conf-examples`: each is loaded into a real httpd, with the folders that it names, and asked.

use std::collections::BTreeSet;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::harness::python::{self, venv};
use crate::harness::{Builder, Client, Httpd, Request, Response, is_root, server_ids, wait_until};

/// The folder of an example as it would be laid out under `/srv`.
fn site(builder: Builder) -> Builder {
    builder
        .file("site/htdocs/index.html", "static index\n")
        .file("site/htdocs/robots.txt", "User-agent: *\n")
        .file("site/htdocs/favicon.ico", "an icon\n")
        .file("site/htdocs/media/logo.svg", "<svg/>\n")
        .example_script("myapp.wsgi", "site/wsgi")
        .example_script("which_mode.wsgi", "site/wsgi")
        .example_script("counter.wsgi", "site/wsgi")
}

fn to(host: &str, target: &str) -> Request {
    Request::get(target).header("Host", host)
}

#[test]
fn every_example_is_tested() {
    let here = include_str!("examples.rs");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf-examples");
    for entry in std::fs::read_dir(folder).expect("conf-examples is there").flatten() {
        let name = entry.file_name().into_string().expect("a name of text");
        if name.ends_with(".conf") {
            assert!(here.contains(&format!("\"{name}\"")), "no test loads {name}");
        }
    }
}

#[test]
fn a_virtual_host_with_static_files_and_an_application() {
    let httpd = site(Httpd::bare()).example("1-virtual-host.conf", &[("SITE", "site")]).start();
    assert_eq!(httpd.ask(&to("example.com", "/myapp")).text(), "Hello World!\n");
    assert_eq!(httpd.ask(&to("example.com", "/myapp/below")).text(), "Hello World!\n");
    assert_eq!(httpd.ask(&to("example.com", "/robots.txt")).text(), "User-agent: *\n");
    assert_eq!(httpd.ask(&to("example.com", "/index.html")).text(), "static index\n");
    assert_eq!(httpd.ask(&to("example.com", "/none")).status, 404);
}

#[test]
fn without_the_grant_the_answer_is_403() {
    let httpd = site(Httpd::bare())
        .example_without("1-virtual-host.conf", &[("SITE", "site")], "Require all granted")
        .expect_log("AH01630: client denied by server configuration")
        .start();
    assert_eq!(httpd.ask(&to("example.com", "/myapp")).status, 403);
}

#[test]
fn an_application_at_the_root_beside_static_files() {
    for example in ["2-application-at-the-root.conf", "3-daemon-mode.conf"] {
        let httpd = site(Httpd::bare()).example(example, &[("SITE", "site")]).start();
        assert_eq!(httpd.ask(&to("example.com", "/")).text(), "Hello World!\n", "{example}");
        assert_eq!(httpd.ask(&to("example.com", "/any/thing")).text(), "Hello World!\n");
        assert_eq!(httpd.ask(&to("example.com", "/robots.txt")).text(), "User-agent: *\n");
        assert_eq!(httpd.ask(&to("example.com", "/favicon.ico")).text(), "an icon\n");
        assert_eq!(httpd.ask(&to("example.com", "/media/logo.svg")).text(), "<svg/>\n");
        if example.starts_with('3') {
            let two = wait_until(Duration::from_secs(5), || (httpd.workers("example.com").len() == 2).then_some(()));
            assert!(two.is_some(), "{:#?}", httpd.processes());
        }
    }
}

#[test]
fn a_script_tells_its_mode() {
    let httpd = site(Httpd::bare()).example("4-which-mode.conf", &[("SITE", "site")]).start();
    assert_eq!(httpd.ask(&to("example.com", "/embedded")).text(), "EMBEDDED MODE\n");
    assert_eq!(httpd.ask(&to("example.com", "/daemon")).text(), "DAEMON MODE\n");
}

#[test]
fn a_touched_script_serves_new_code() {
    let httpd = site(Httpd::bare()).example("5-reload.conf", &[("SITE", "site")]).start();
    for target in ["/", "/embedded"] {
        assert_eq!(httpd.ask(&to("example.com", target)).text(), "Hello World!\n");
    }
    let script = std::fs::read_to_string(httpd.root().join("site/wsgi/myapp.wsgi")).expect("it has been copied there");
    httpd.folder().replace("site/wsgi/myapp.wsgi", &script.replace("Hello World", "Hello again"));
    for target in ["/", "/embedded"] {
        let new = || (httpd.ask(&to("example.com", target)).text() == "Hello again!\n").then_some(());
        assert!(wait_until(Duration::from_secs(10), new).is_some(), "{target} is still the old code");
    }
}

#[test]
fn two_groups_have_two_virtual_environments() {
    let builder = Httpd::bare()
        .example_script("packages.wsgi", "one/wsgi")
        .example_script("packages.wsgi", "two/wsgi")
        .example("6-two-virtual-environments.conf", &[("ONE", "one"), ("TWO", "two")]);
    symlink(venv("six-1.16", &["six==1.16.0"]), builder.root().join("one/venv")).expect("the folder is ours");
    symlink(venv("six-1.17", &["six==1.17.0"]), builder.root().join("two/venv")).expect("the folder is ours");
    let httpd = builder.start();
    let packages = |host: &str| httpd.ask(&to(host, "/")).text();
    let (one, two) = (packages("one.example.com"), packages("two.example.com"));
    assert!(one.contains("/one/venv\n") && one.contains("six 1.16.0\n") && !one.contains("six 1.17.0"), "{one}");
    assert!(two.contains("/two/venv\n") && two.contains("six 1.17.0\n") && !two.contains("six 1.16.0"), "{two}");
}

#[test]
fn a_group_may_run_on_another_version_of_python() {
    only_ours!("all daemon groups run on the Python that the module was built for");
    let Some((prefix, version)) = python::another() else {
        return crate::harness::not_on_this_machine("there is no second Python of version 3.10 or later");
    };
    let prefix = prefix.to_string_lossy().into_owned();
    let builder = Httpd::bare()
        .example_script("packages.wsgi", "one/wsgi")
        .example_script("packages.wsgi", "three/wsgi")
        .example("6b-another-python.conf", &[("ONE", "one"), ("THREE", "three"), ("ANOTHER_PYTHON", &prefix)]);
    symlink(venv("six-1.16", &["six==1.16.0"]), builder.root().join("one/venv")).expect("the folder is ours");
    let httpd = builder.start();
    let third = httpd.ask(&to("example.com", "/three")).text();
    assert!(third.starts_with(&format!("Python {version} in ")), "{third}");
    assert!(!httpd.ask(&to("example.com", "/one")).text().starts_with(&format!("Python {version} ")));
}

#[test]
fn two_virtual_hosts_count_apart() {
    let httpd = site(Httpd::bare()).example("7-two-virtual-hosts.conf", &[("SITE", "site")]).start();
    let ask = |host: &str| httpd.ask(&to(host, "/")).text();
    assert_eq!(ask("one.example.com"), "one.example.com: request 1\n");
    assert_eq!(ask("one.example.com"), "one.example.com: request 2\n");
    assert_eq!(ask("two.example.com"), "two.example.com: request 1\n");
}

#[test]
fn flask() {
    let builder = Httpd::bare()
        .example_script("hello.py", "flask/app")
        .example_script("hello.wsgi", "flask/app")
        .expect_traceback("RuntimeError: a fault in the application")
        .allow_log("ERROR in app")
        .example("8-flask.conf", &[("SITE", "flask")]);
    symlink(venv("flask", &["flask==3.1.*"]), builder.root().join("flask/venv")).expect("the folder is ours");
    crate::frameworks::ask_flask(&builder.start(), "flask.example.com");
}

/// `name=value` of a cookie that an answer sets.
pub(crate) fn cookie(answer: &Response, name: &str) -> String {
    let start = format!("{name}=");
    let set = answer.all("Set-Cookie").into_iter().find(|value| value.starts_with(&start));
    set.and_then(|value| value.split(';').next()).unwrap_or_else(|| panic!("no cookie {name}: {answer:?}")).to_owned()
}

/// The value of a hidden field in a form.
fn hidden(answer: &Response, name: &str) -> String {
    let text = answer.text();
    let behind = text.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap_or_else(|| panic!("no field {name}: {text}"));
    behind.split('"').next().expect("split gives at least one").to_owned()
}

/// Makes a Django project as a person would, by the steps in the example's comment.
fn make_django_project(site: &Path) {
    let bin = site.join("venv/bin");
    let project = site.join("project");
    std::fs::create_dir_all(&project).expect("the folder is ours");
    python::run(Command::new(bin.join("django-admin")).args(["startproject", "mysite"]).arg(&project));
    let settings = project.join("mysite/settings.py");
    let text = std::fs::read_to_string(&settings).expect("startproject has written it");
    let text = text.replace("ALLOWED_HOSTS = []", "ALLOWED_HOSTS = ['django.example.com']");
    std::fs::write(&settings, format!("{text}\nSTATIC_ROOT = BASE_DIR / 'static'\n")).expect("the file is ours");
    for arguments in [&["migrate"][..], &["createsuperuser", "--noinput"], &["collectstatic", "--noinput"]] {
        python::run(
            Command::new(bin.join("python"))
                .arg(project.join("manage.py"))
                .args(arguments)
                .env("DJANGO_SUPERUSER_USERNAME", "ada")
                .env("DJANGO_SUPERUSER_PASSWORD", "engine-1843")
                .env("DJANGO_SUPERUSER_EMAIL", "ada@example.com"),
        );
    }
    if is_root() {
        let (uid, gid) = server_ids();
        for path in [project.clone(), project.join("db.sqlite3")] {
            chown(path, Some(uid), Some(gid)).expect("root may do that");
        }
    }
}

#[test]
fn django() {
    let builder = Httpd::bare().file("django/empty", "").example("9-django.conf", &[("SITE", "django")]);
    symlink(venv("django", &["django==5.2.*"]), builder.root().join("django/venv")).expect("the folder is ours");
    make_django_project(&builder.root().join("django"));
    let httpd = builder.start();
    let host = "django.example.com";
    let css = httpd.ask(&to(host, "/static/admin/css/base.css"));
    assert_eq!(css.status, 200);
    assert!(css.text().contains("DJANGO Admin styles"));

    // Log in.
    let mut client: Client = httpd.connect();
    let page = client.ask(&to(host, "/admin/login/?next=/admin/"));
    assert_eq!(page.status, 200, "{}", page.text());
    let csrf = cookie(&page, "csrftoken");
    let body = format!("csrfmiddlewaretoken={}&username=ada&password=engine-1843&next=/admin/", hidden(&page, "csrfmiddlewaretoken"));
    let form = |target: &str, body: &str, cookies: &str| {
        Request::post(target, body.as_bytes())
            .header("Host", host)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("Cookie", cookies)
    };
    let answer = client.ask(&form("/admin/login/?next=/admin/", &body, &csrf));
    assert_eq!((answer.status, answer.header("Location")), (302, Some("/admin/")), "{}", answer.text());
    let cookies = format!("{}; {}", cookie(&answer, "csrftoken"), cookie(&answer, "sessionid"));

    // Add an object, and find it in the list.
    let page = client.ask(&to(host, "/admin/").header("Cookie", &cookies));
    assert!(page.text().contains("Site administration"), "{}", page.text());
    let page = client.ask(&to(host, "/admin/auth/group/add/").header("Cookie", &cookies));
    let body = format!("csrfmiddlewaretoken={}&name=Analysts&_save=Save", hidden(&page, "csrfmiddlewaretoken"));
    let answer = client.ask(&form("/admin/auth/group/add/", &body, &cookies));
    assert_eq!((answer.status, answer.header("Location")), (302, Some("/admin/auth/group/")), "{}", answer.text());
    let page = client.ask(&to(host, "/admin/auth/group/").header("Cookie", &cookies));
    assert!(page.text().contains("Analysts"));
    let pages: BTreeSet<u16> = (0..20).map(|_| httpd.ask(&to(host, "/admin/").header("Cookie", &cookies)).status).collect();
    assert_eq!(pages, BTreeSet::from([200]), "both processes know the session");
}

#[test]
fn access_by_a_script() {
    let builder = ["authn_core", "auth_basic", "authz_user"].into_iter().fold(Httpd::bare(), Builder::module);
    let httpd = builder
        .example_script("myapp.wsgi", "site/wsgi")
        .example_script("access.py", "site/wsgi")
        .file("site/htdocs/index.html", "welcome\n")
        .file("site/htdocs/staff/index.html", "staff only\n")
        .example("10-access-control.conf", &[("SITE", "site")])
        .expect_log("WSGI0057")
        .expect_log("WSGI0060")
        .allow_log("AH01617")
        .allow_log("AH01618")
        .allow_log("AH01631")
        .start();
    assert_eq!(httpd.get("/").text(), "welcome\n");
    assert_eq!(httpd.ask(&Request::get("/").header("User-Agent", "BadBot")).status, 403);
    let ask = |path: &str, user: &str, password: &str| {
        httpd
            .ask(&Request::get(path).header("Authorization", &format!("Basic {}", crate::access::base64(&format!("{user}:{password}")))))
            .status
    };
    assert_eq!([ask("/app", "ada", "lovelace"), ask("/app", "ada", "wrong"), ask("/app", "bob", "x")], [200, 401, 401]);
    assert_eq!([ask("/staff/", "ada", "lovelace"), ask("/staff/", "charles", "babbage")], [200, 401]);
}
