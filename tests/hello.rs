//! The smallest thing that can work: an application answers, whatever the mode and the MPM.

use crate::harness::{Httpd, Mode, Mpm};

#[test]
fn hello_in_both_modes() {
    for mode in Mode::ALL {
        let httpd = Httpd::new(mode).app("hello.wsgi").start();
        let answer = httpd.get("/");
        assert_eq!((answer.status, answer.text().as_str()), (200, "Hello World!\n"), "{mode:?}");
        assert_eq!(answer.header("Content-Type"), Some("text/plain"));
        assert_eq!(answer.header("Content-Length"), Some("13"));
    }
}

#[test]
fn hello_on_every_mpm() {
    for mpm in Mpm::ALL {
        for mode in Mode::ALL {
            let httpd = Httpd::new(mode).mpm(mpm).app("hello.wsgi").start();
            for _ in 0..5 {
                assert_eq!(httpd.get("/").text(), "Hello World!\n", "{mpm:?} {mode:?}");
            }
        }
    }
}
