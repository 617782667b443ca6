//! One generation follows another, and no request is lost.

use crate::site::{Answer, Site, is_gone, request_at, until};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use wire::counters::GroupState;

/// Asks for the script without pause while `change` runs, and returns every answer.
fn under_load(site: &Site, change: impl FnOnce()) -> Vec<Answer> {
    let (socket, line) = (site.path("sock"), format!("get {}", site.path("app").display()));
    let done = AtomicBool::new(false);
    // However the change ends, the clients do as well.
    struct SetOnDrop<'d>(&'d AtomicBool);
    impl Drop for SetOnDrop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
        }
    }
    std::thread::scope(|scope| {
        let end = SetOnDrop(&done);
        let clients: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut answers = Vec::new();
                    // A change may be over before this thread runs.
                    while answers.is_empty() || !done.load(Relaxed) {
                        answers.push(request_at(&socket, &line).expect("no request is lost"));
                    }
                    answers
                })
            })
            .collect();
        change();
        drop(end);
        clients.into_iter().flat_map(|client| client.join().expect("every request was answered")).collect()
    })
}

#[test]
fn an_edit_is_served_before_anybody_asks_and_loses_nothing() {
    let mut site = Site::new();
    site.settings.processes = 2;
    site.renew_counters();
    site.write("app", "one");
    site.configure();
    assert_eq!(site.get("app").text, "one");
    let answers = under_load(&site, || {
        site.write("app", "two");
        site.wait_for_log("is served by generation 2");
        until("the new code", || site.get("app").text == "two", || site.log());
    });
    assert!(answers.iter().all(|answer| (answer.generation, answer.text.as_str()) == (1, "one") || answer.text == "two"));
    assert!(!site.log().contains("WSGI"), "{}", site.log());
}

#[test]
fn a_touch_without_requests_is_enough() {
    let site = Site::new();
    site.write("app", "one");
    site.configure();
    let first = site.get("app");
    site.write("app", "two");
    site.wait_for_log("is served by generation 2");
    until("the end of the old worker", || is_gone(first.pid), || site.log());
    let second = site.get("app");
    assert_eq!((second.generation, second.text.as_str()), (2, "two"));
}

#[test]
fn a_script_that_is_not_to_be_reloaded_stays_as_it_is() {
    let site = Site::new();
    site.write("app", "one");
    site.configure();
    let request = format!("get-as-loaded {}", site.path("app").display());
    site.request(&request);
    site.write("app", "two");
    std::thread::sleep(std::time::Duration::from_millis(300));
    let answer = site.request(&request).expect("an answer");
    assert_eq!((answer.generation, answer.text.as_str()), (1, "one"));
}

#[test]
fn a_broken_edit_leaves_the_old_code_serving_until_it_is_corrected() {
    let site = Site::new();
    site.write("app", "one");
    site.configure();
    site.get("app");
    let answers = under_load(&site, || {
        site.write("app", "broken");
        site.wait_for_state(GroupState::ReloadFailed);
    });
    assert!(answers.iter().all(|answer| answer.text == "one"));
    assert_eq!(site.log().matches("WSGI0305").count(), 1, "{}", site.log());
    site.write("app", "three");
    site.wait_for_state(GroupState::Serving);
    assert_eq!(site.get("app").text, "three");
}

#[test]
fn a_worker_that_was_never_asked_for_the_script_runs_the_old_code_too() {
    let mut site = Site::new();
    site.settings.processes = 2;
    site.renew_counters();
    site.write("app", "one");
    site.configure();
    let first = site.get("app").pid;
    site.write("app", "broken");
    site.wait_for_state(GroupState::ReloadFailed);
    // While one of them is busy the other must answer, until that is the one which was never asked.
    for _ in 0..50 {
        let answer = std::thread::scope(|scope| {
            let busy = scope.spawn(|| site.request("sleep 50"));
            std::thread::sleep(std::time::Duration::from_millis(10));
            let answer = site.get("app");
            busy.join().expect("answered");
            answer
        });
        assert_eq!(answer.text, "one");
        if answer.pid != first {
            return;
        }
    }
    panic!("only one of two workers has answered");
}

#[test]
fn if_no_old_worker_is_left_a_broken_script_answers_for_itself() {
    let site = Site::new();
    site.write("app", "one");
    site.configure();
    site.get("app");
    site.write("app", "broken");
    site.wait_for_state(GroupState::ReloadFailed);
    assert_eq!(site.request("die"), None);
    assert_eq!(site.get("app").text, "error");
    site.write("app", "four");
    assert_eq!(site.get("app").text, "four");
    site.wait_for_state(GroupState::Serving);
}

#[test]
fn many_edits_one_after_another_end_with_the_last() {
    let site = Site::new();
    site.write("app", "0");
    site.configure();
    site.get("app");
    let answers = under_load(&site, || {
        for edit in 1..=20 {
            site.write("app", &edit.to_string());
            std::thread::sleep(std::time::Duration::from_millis(edit * 7));
        }
        until("the last edit", || site.get("app").text == "20", || site.log());
    });
    assert!(!answers.is_empty());
    assert!(!site.log().contains("WSGI"), "{}", site.log());
}

#[test]
fn new_settings_lose_nothing() {
    let mut site = Site::new();
    site.write("app", "one");
    site.configure();
    let old = site.get("app").pid;
    site.settings.processes = 2;
    site.settings.lang = Some(b"en_GB.UTF-8".to_vec().into());
    for restart in 2..=6_u64 {
        site.renew_counters();
        assert_eq!(site.counters().state(), GroupState::Starting);
        let answers = under_load(&site, || {
            site.configure();
            site.wait_for_log(&format!("is served by generation {restart}"));
        });
        assert!(!answers.is_empty());
        assert_eq!(site.counters().state(), GroupState::Serving);
    }
    until("the end of the first worker", || is_gone(old), || site.log());
    assert_eq!(site.request("variable LANG").expect("an answer").text, "en_GB.UTF-8");
    assert!(!site.log().contains("WSGI"), "{}", site.log());
}

#[test]
fn new_settings_that_do_not_work_leave_the_old_ones_in_place() {
    let mut site = Site::new();
    site.write("app", "one");
    site.configure();
    site.get("app");
    let interpreter = std::mem::replace(&mut site.settings.interpreter, b"/no/such/python3".to_vec().into());
    site.configure();
    site.wait_for_log("WSGI0306");
    assert_eq!(site.counters().state(), GroupState::ReloadFailed);
    assert_eq!(site.get("app").generation, 1);
    site.settings.interpreter = interpreter;
    site.configure();
    site.wait_for_state(GroupState::Serving);
}
