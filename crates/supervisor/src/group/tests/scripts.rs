//! What becomes of scripts: loaded by one and then by all, changed, broken, put back.

use super::*;

#[test]
fn what_one_worker_loads_all_of_them_load_once() {
    let mut play = Play::serving(2);
    let loads = |play: &mut Play| {
        play.take(|action| match action {
            Action::Load { worker, import, must_succeed } => Some((*worker, import.clone(), *must_succeed)),
            _ => None,
        })
    };
    play.load(WorkerId(1), 1);
    assert_eq!(loads(&mut play), [(WorkerId(2), import(), false)]);
    play.load(WorkerId(2), 1);
    assert_eq!(loads(&mut play), []);
    play.exits(WorkerId(2), Cause::Signal(9));
    play.started();
    play.load(WorkerId(3), 1);
    play.ready(WorkerId(3));
    assert_eq!(loads(&mut play), [], "it was given the script at its start");
}

/// A group of two of which one serves and has loaded the script, and the other says just now that it is ready.
fn one_comes_later() -> Play {
    let mut play = Play::new(2);
    let workers = play.started();
    play.ready(workers[0]);
    play.load(workers[0], 1);
    play.actions.clear();
    play.ready(workers[1]);
    let loads = play.take(|action| matches!(action, Action::Load { worker: WorkerId(2), must_succeed: true, .. }).then_some(()));
    assert_eq!((loads.len(), play.orders()), (1, vec![]), "first it loads what the other one has loaded");
    play
}

#[test]
fn who_is_ready_later_accepts_when_it_has_loaded_what_others_have() {
    let mut play = one_comes_later();
    play.load(WorkerId(2), 1);
    assert_eq!(play.orders(), [(WorkerId(2), Order::Accept)]);
    let mut play = one_comes_later();
    play.on(Event::Gone(WorkerId(2), import()));
    assert_eq!(play.orders(), [(WorkerId(2), Order::Accept)], "it cannot be held against it that the script is gone");
}

#[test]
fn who_cannot_load_what_others_have_does_not_serve_and_is_tried_again_seldom() {
    let mut play = one_comes_later();
    play.say(WorkerId(2), FromWorker::LoadFailed { script: import().script, modified: Some(2) });
    play.say(WorkerId(2), FromWorker::Failed("SyntaxError".to_owned()));
    play.exits(WorkerId(2), Cause::Exit(1));
    assert_eq!((play.codes(), play.orders(), play.group.state()), (vec!["WSGI0303".to_owned()], vec![], GroupState::ReloadFailed));
    play.on(Event::Seen(version(2)));
    play.pass(Duration::from_secs(29));
    assert_eq!(play.started(), [], "the version is known to be broken");
    play.pass(Duration::from_secs(1));
    assert_eq!(play.started(), [WorkerId(3)], "but what it needs may be there again");
    play.exits(WorkerId(3), Cause::Exit(1));
    play.on(Event::Seen(version(1)));
    assert_eq!(play.started(), [WorkerId(4)], "the script was put back");
}

#[test]
fn who_waits_to_load_accepts_at_once_when_nobody_else_serves() {
    let mut play = one_comes_later();
    play.exits(WorkerId(1), Cause::Signal(9));
    assert_eq!(play.orders(), [(WorkerId(2), Order::Accept)]);
    let mut play = one_comes_later();
    play.say(WorkerId(2), FromWorker::LoadFailed { script: import().script, modified: Some(2) });
    play.exits(WorkerId(2), Cause::Exit(1));
    play.exits(WorkerId(1), Cause::Signal(9));
    assert_eq!(play.starts(), [(WorkerId(3), false), (WorkerId(4), false)], "and nobody waits for a script to be repaired");
}

#[test]
fn a_change_is_not_tried_by_two_at_a_time() {
    let mut play = one_comes_later();
    play.on(Event::Seen(version(2)));
    assert_eq!(play.started(), [], "whoever loads it now may find it broken");
    play.load(WorkerId(2), 1);
    assert!(play.actions.contains(&Action::CheckScripts), "it was the old one");
    play.on(Event::Seen(version(2)));
    assert_eq!(play.started().len(), 2);
}

#[test]
fn who_is_ready_while_a_change_is_tried_waits_for_the_outcome() {
    let coming_later = || {
        let mut play = Play::new(2);
        let workers = play.started();
        play.ready(workers[0]);
        play.load(workers[0], 1);
        play.on(Event::Seen(version(2)));
        let next = play.started()[0];
        play.actions.clear();
        play.ready(workers[1]);
        let loads = play.take(|action| matches!(action, Action::Load { .. }).then_some(()));
        assert_eq!((loads.len(), play.orders()), (0, vec![]));
        (play, next)
    };
    let (mut play, next) = coming_later();
    play.exits(next, Cause::Exit(1));
    assert_eq!((play.orders(), play.started()), (vec![(WorkerId(4), Order::Terminate)], vec![]), "the script is broken");
    play.on(Event::Seen(version(1)));
    play.load(WorkerId(2), 1);
    assert_eq!(play.orders(), [(WorkerId(2), Order::Accept)], "it was put back");
    let (mut play, next) = coming_later();
    play.exits(next, Cause::Exit(1));
    play.exits(WorkerId(1), Cause::Signal(9));
    assert_eq!(play.orders(), [(WorkerId(4), Order::Terminate), (WorkerId(2), Order::Accept)], "better than nobody");
}

#[test]
fn a_load_that_does_not_end_is_a_start_over_its_time() {
    let mut play = one_comes_later();
    play.pass(Duration::from_secs(60));
    assert_eq!((play.orders(), play.codes()), (vec![(WorkerId(2), Order::Terminate)], vec!["WSGI0307".to_owned()]));
}

#[test]
fn the_next_generation_loads_what_is_new_meanwhile_before_it_takes_over() {
    let mut play = Play::serving(1);
    play.load(WorkerId(1), 1);
    play.on(Event::Renew);
    let next = play.started()[0];
    let second = Import { script: Octets::from(b"/srv/second.wsgi".to_vec()), application_group: Octets::new() };
    play.say(WorkerId(1), FromWorker::Loaded { import: second.clone(), modified: 1, reloads: true });
    play.load(next, 1);
    play.ready(next);
    assert_eq!(play.orders(), [], "the old one goes on");
    play.say(next, FromWorker::Loaded { import: second, modified: 1, reloads: false });
    assert_eq!(play.orders(), [(next, Order::Accept), (WorkerId(1), Order::Drain(StopReason::GracefulSignal))]);
}

#[test]
fn a_script_that_is_not_to_be_reloaded_is_left_alone_until_a_request_wants_it() {
    let mut play = Play::serving(1);
    play.say(WorkerId(1), FromWorker::Loaded { import: import(), modified: 1, reloads: false });
    assert_eq!(play.take(|action| matches!(action, Action::Watch(_)).then_some(())).len(), 0);
    play.on(Event::Seen(version(2)));
    assert_eq!(play.started(), []);
    play.say(WorkerId(1), FromWorker::Changed { script: import().script, modified: 2 });
    assert_eq!(play.take(|action| matches!(action, Action::Watch(_)).then_some(())).len(), 1);
    assert_eq!(play.started().len(), 1);
}

#[test]
fn a_change_during_a_switch_is_seen_when_it_ends() {
    let mut play = Play::serving(1);
    play.load(WorkerId(1), 1);
    play.on(Event::Seen(version(2)));
    let next = play.started()[0];
    play.load(next, 2);
    play.on(Event::Seen(version(3)));
    play.ready(next);
    assert!(play.actions.contains(&Action::CheckScripts));
    play.on(Event::Seen(version(3)));
    assert_eq!(play.started().len(), 1);
}

#[test]
fn a_broken_script_leaves_the_old_code_serving_and_is_tried_once() {
    let mut play = Play::serving(1);
    play.load(WorkerId(1), 1);
    play.on(Event::Seen(version(2)));
    let next = play.started()[0];
    play.say(next, FromWorker::Failed("SyntaxError".to_owned()));
    play.exits(next, Cause::Exit(1));
    assert_eq!((play.codes(), play.group.state()), (vec!["WSGI0305".to_owned()], GroupState::ReloadFailed));
    assert_eq!(play.orders(), []);
    play.on(Event::Seen(version(2)));
    assert_eq!(play.started(), [], "the same version is not tried again");
    play.on(Event::Seen(version(3)));
    let next = play.started()[0];
    play.load(next, 3);
    play.ready(next);
    assert_eq!(play.group.state(), GroupState::Serving);
}

#[test]
fn a_script_that_is_put_back_ends_the_failure() {
    let mut play = Play::serving(1);
    play.load(WorkerId(1), 1);
    play.on(Event::Seen(version(2)));
    let next = play.started()[0];
    play.exits(next, Cause::Signal(11));
    assert_eq!(play.group.state(), GroupState::ReloadFailed);
    play.on(Event::Seen(version(1)));
    assert_eq!(play.group.state(), GroupState::Serving);
}

#[test]
fn if_the_last_old_worker_dies_a_broken_script_may_answer_for_itself() {
    let mut play = Play::serving(1);
    play.load(WorkerId(1), 1);
    play.on(Event::Seen(version(2)));
    let next = play.started()[0];
    play.exits(next, Cause::Exit(1));
    play.exits(WorkerId(1), Cause::Signal(9));
    assert_eq!(play.starts(), [(WorkerId(3), false)]);
}

#[test]
fn late_word_of_what_former_settings_led_to_is_not_heard() {
    let mut play = Play::serving(1);
    play.on(Event::Unreached(vec![import().script]));
    play.configure(1);
    let next = play.started();
    // Sent before the worker could know of the new settings.
    play.load(WorkerId(1), 1);
    play.ready(next[0]);
    let loads = play.take(|action| matches!(action, Action::Load { .. }).then_some(()));
    assert_eq!(loads.len(), 0);
    // Who has the new settings is believed: something leads there that the settings do not name.
    play.load(next[0], 1);
    play.exits(next[0], Cause::Signal(9));
    let preloads = play.take(|action| if let Action::Start(start) = action { Some(start.preload.clone()) } else { None });
    assert_eq!(preloads, [vec![import()]]);
}
