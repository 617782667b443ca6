//! The first worker of a generation leaves a template behind, from which the others are forked.

use super::*;

#[test]
fn the_others_are_started_when_the_first_one_can_be_copied() {
    let mut play = Play::new(3);
    assert_eq!(play.undivided(), [(WorkerId(1), false, true)]);
    assert_eq!(play.group.forked_generations().collect::<Vec<_>>(), [1]);
    play.on(Event::Divided(WorkerId(1)));
    assert_eq!(play.undivided(), [(WorkerId(2), false, false), (WorkerId(3), false, false)]);
    assert_eq!(play.group.forked_generations().count(), 0, "all that there are to be are there");
    play.ready(WorkerId(1));
    play.exits(WorkerId(1), Cause::Signal(9));
    assert_eq!(play.undivided(), [(WorkerId(4), false, false)], "later nobody is waited for");
}

#[test]
fn a_first_one_that_is_ready_without_having_been_copied_is_waited_for_no_longer() {
    let mut play = Play::new(2);
    assert_eq!(play.undivided(), [(WorkerId(1), false, true)]);
    play.ready(WorkerId(1));
    assert_eq!(play.undivided(), [(WorkerId(2), true, false)]);
}

#[test]
fn after_a_first_one_that_has_died_another_one_is_the_first() {
    let mut play = Play::new(2);
    assert_eq!(play.undivided(), [(WorkerId(1), false, true)]);
    play.exits(WorkerId(1), Cause::Signal(9));
    assert_eq!(play.undivided(), []);
    play.pass(Duration::from_millis(100));
    assert_eq!(play.undivided(), [(WorkerId(2), false, true)]);
    play.on(Event::Divided(WorkerId(2)));
    assert_eq!(play.undivided(), [], "as long as starts fail, one at a time");
    play.ready(WorkerId(2));
    assert_eq!(play.undivided(), [(WorkerId(3), true, false)]);
}

#[test]
fn who_does_not_endure_being_a_copy_is_started_by_itself() {
    let templates = |play: &Play| play.group.forked_generations().collect::<Vec<_>>();
    let mut play = Play::new(2);
    play.undivided();
    play.on(Event::Divided(WorkerId(1)));
    play.undivided();
    play.ready(WorkerId(1));
    play.exits(WorkerId(2), Cause::Signal(11));
    assert_eq!(templates(&play), []);
    play.pass(Duration::from_millis(200));
    assert_eq!(play.undivided(), [(WorkerId(3), true, false)]);
    play.ready(WorkerId(3));

    play.load(WorkerId(1), 1);
    play.load(WorkerId(3), 1);
    play.on(Event::Seen(version(2)));
    assert_eq!(play.undivided(), [(WorkerId(4), true, true)]);
    play.on(Event::Divided(WorkerId(4)));
    assert_eq!((templates(&play), play.undivided()), (vec![2], vec![(WorkerId(5), true, false)]));
    play.exits(WorkerId(5), Cause::Signal(11));
    assert_eq!((templates(&play), play.undivided()), (vec![], vec![]));
    play.load(WorkerId(4), 2);
    play.ready(WorkerId(4));
    assert_eq!(play.undivided(), [(WorkerId(6), true, false)], "once the first one has shown that it is not the script's fault");
}

#[test]
fn one_alone_is_not_copied() {
    let mut play = Play::new(1);
    assert_eq!(play.undivided(), [(WorkerId(1), false, false)]);
}

/// A group with `preload=` and so many workers, all of which are ready.
fn preloaded(rules: Rules) -> Play {
    let mut play = Play { group: Group::new("site".to_owned()), now: Instant::now(), actions: Vec::new(), edition: 1 };
    let others = rules.processes - 1;
    play.on(Event::Configured { edition: 1, rules: Rules { preload: true, ..rules } });
    assert_eq!(play.undivided(), [(WorkerId(1), false, true)]);
    assert_eq!(play.group.forked_generations().collect::<Vec<_>>(), [1]);
    play.on(Event::Divided(WorkerId(1)));
    assert_eq!(play.undivided().len(), others);
    (1..=rules.processes as u64).for_each(|worker| play.ready(WorkerId(worker)));
    play
}

#[test]
fn with_preload_a_template_stays_where_workers_are_bound_to_be_replaced_and_where_there_is_one() {
    for rules in [Rules { renews: true, ..rules(3) }, rules(1)] {
        let mut play = preloaded(rules);
        assert_eq!(play.group.forked_generations().collect::<Vec<_>>(), [1]);
        play.exits(WorkerId(1), Cause::Signal(9));
        assert_eq!(play.undivided(), [(WorkerId(rules.processes as u64 + 1), rules.processes > 1, false)]);
    }
}

#[test]
fn with_preload_a_template_that_was_given_up_is_made_anew_by_the_first_successor() {
    let mut play = preloaded(rules(3));
    assert_eq!(play.group.forked_generations().count(), 0);
    play.exits(WorkerId(1), Cause::Signal(9));
    play.exits(WorkerId(2), Cause::Signal(9));
    assert_eq!(play.undivided(), [(WorkerId(4), true, true)], "the other one waits for that");
    play.on(Event::Divided(WorkerId(4)));
    assert_eq!(play.undivided(), [(WorkerId(5), true, false)]);
    (4..=5).for_each(|worker| play.ready(WorkerId(worker)));
    assert_eq!(play.group.forked_generations().collect::<Vec<_>>(), [1], "and stays");
    play.exits(WorkerId(4), Cause::Signal(9));
    assert_eq!(play.undivided(), [(WorkerId(6), true, false)]);
}

#[test]
fn a_next_generation_whose_first_one_fails_before_it_is_copied_has_no_others() {
    let mut play = Play::serving(2);
    play.load(WorkerId(1), 1);
    play.on(Event::Seen(version(2)));
    assert_eq!(play.undivided(), [(WorkerId(3), true, true)]);
    play.say(WorkerId(3), FromWorker::Failed("no such module".to_owned()));
    assert_eq!(play.undivided(), []);
    play.exits(WorkerId(3), Cause::Exit(1));
    assert_eq!((play.codes(), play.undivided()), (vec!["WSGI0305".to_owned()], vec![]));
}
