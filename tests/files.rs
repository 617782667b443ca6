//! `wsgi.file_wrapper`: regular files by their descriptor, everything else by reading.

use std::time::Duration;

use crate::harness::{Httpd, Mode, Request, wait_until};

/// Content in which every place is told from every other.
fn content(length: u32) -> String {
    (0..length / 10).map(|number| format!("{number:09}\n")).collect()
}

#[test]
fn files_arrive_whole_and_are_closed() {
    // Below and above the size from which a descriptor travels instead of the content.
    for length in [5_000, 60_000, 70_000, 3_000_000] {
        let data = content(length);
        for mode in Mode::ALL {
            let httpd = Httpd::new(mode).app("file.wsgi").file("apps/data.bin", &data).start();
            let whole = httpd.get("/whole");
            assert_eq!(whole.header("Content-Length"), Some(length.to_string().as_str()), "{mode:?} {length}");
            assert!(whole.complete && whole.text() == data, "{mode:?} {length}");
            assert!(httpd.get("/offset").text() == data[1000..]);
            assert_eq!(httpd.get("/part").text(), data[1000..1050]);
            assert!(httpd.get("/after-write").text() == format!("head {data}"));
            assert!(httpd.get("/iterated").text() == data);
            let head = httpd.connect().ask(&Request::new("HEAD", "/whole"));
            assert_eq!((head.status, head.header("Content-Length")), (200, Some(length.to_string().as_str())));
            let closed = || (httpd.get("/closed").text() == "6").then_some(());
            if wait_until(Duration::from_secs(5), closed).is_none() {
                // The generator around a wrapper has no close() that would reach the file.
                assert_eq!(httpd.get("/closed").text(), "5", "{mode:?} {length}");
            }
        }
    }
}

#[test]
fn what_is_no_file_is_read() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("file.wsgi").start();
        assert_eq!(httpd.get("/memory").text(), "from memory");
        assert_eq!(httpd.get("/pipe").text(), "from a pipe");
    }
}

#[test]
fn the_connection_stays_in_step_behind_a_file() {
    let data = content(200_000);
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("file.wsgi").file("apps/data.bin", &data).start();
        let mut client = httpd.connect();
        for _ in 0..3 {
            assert!(client.ask(&Request::get("/whole")).text() == data);
            assert_eq!(client.ask(&Request::get("/memory")).text(), "from memory");
        }
    }
}
