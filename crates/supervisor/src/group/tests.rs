//! A group played through without processes: the test is the kernel, the clock and the workers.

mod copies;
mod scripts;

use super::*;
use crate::lifecycle::Timeouts;
use wire::settings::Limits;

const PATH: &[u8] = b"/srv/app.wsgi";

struct Play {
    group: Group,
    now: Instant,
    /// Everything that was to be done and was not looked at yet.
    actions: Vec<Action>,
    edition: u64,
}

fn rules(processes: usize) -> Rules {
    let second = Duration::from_secs(1);
    let timeouts = Timeouts { startup: Some(60 * second), graceful: Some(15 * second), eviction: None, shutdown: Some(5 * second) };
    let (fewest, most) = (processes, processes);
    let (service, strict, limits) = (false, false, Limits::default());
    let (preload, renews) = (false, false);
    Rules { processes, fewest, most, threads: 5, capacity: processes * 3 + 4, timeouts, service, strict, limits, preload, renews }
}

fn import() -> Import {
    Import { script: Octets::from(PATH.to_vec()), application_group: Octets::new() }
}

fn version(modified: i64) -> Version {
    Version { script: import().script, modified }
}

impl Play {
    fn new(processes: usize) -> Self {
        let mut play = Self { group: Group::new("site".to_owned()), now: Instant::now(), actions: Vec::new(), edition: 0 };
        play.configure(processes);
        play
    }

    /// A group that serves.
    fn serving(processes: usize) -> Self {
        let mut play = Self::new(processes);
        for worker in play.started() {
            play.ready(worker);
        }
        play.actions.clear();
        play
    }

    fn configure(&mut self, processes: usize) {
        self.edition += 1;
        self.on(Event::Configured { edition: self.edition, rules: rules(processes) });
    }

    fn on(&mut self, event: Event) {
        self.actions.extend(self.group.on(event, self.now));
    }

    fn say(&mut self, worker: WorkerId, message: FromWorker) {
        self.on(Event::Message(worker, message));
    }

    fn ready(&mut self, worker: WorkerId) {
        self.say(worker, FromWorker::Ready);
    }

    fn load(&mut self, worker: WorkerId, modified: i64) {
        self.say(worker, FromWorker::Loaded { import: import(), modified, reloads: true });
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.on(Event::Tick);
    }

    /// Takes what matches from the actions.
    fn take<T>(&mut self, matches: impl Fn(&Action) -> Option<T>) -> Vec<T> {
        let found = self.actions.iter().filter_map(&matches).collect();
        self.actions.retain(|action| matches(action).is_none());
        found
    }

    /// The workers to start, which then are started.
    fn started(&mut self) -> Vec<WorkerId> {
        self.starts().into_iter().map(|(worker, _)| worker).collect()
    }

    /// The same, and whether what each loads must succeed. Who is to leave a template behind does so at once.
    fn starts(&mut self) -> Vec<(WorkerId, bool)> {
        let mut all = Vec::new();
        loop {
            let starts = self.undivided();
            if starts.is_empty() {
                return all;
            }
            for (worker, must_succeed, leaves_template) in starts {
                if leaves_template {
                    self.on(Event::Divided(worker));
                }
                all.push((worker, must_succeed));
            }
        }
    }

    /// The workers to start, which then are started, whether what each loads must succeed, and whether it is to leave a template behind.
    fn undivided(&mut self) -> Vec<(WorkerId, bool, bool)> {
        let starts = self.take(|action| match action {
            Action::Start(start) => Some((start.worker, start.preload_must_succeed, start.leaves_template)),
            _ => None,
        });
        for (worker, ..) in &starts {
            self.on(Event::Started(*worker, u32::try_from(worker.0).expect("small") + 1_000));
        }
        starts
    }

    fn orders(&mut self) -> Vec<(WorkerId, Order)> {
        self.take(|action| match action {
            Action::Order(worker, order) => Some((*worker, *order)),
            _ => None,
        })
    }

    fn codes(&mut self) -> Vec<String> {
        self.take(|action| match action {
            Action::Log(level, text) if *level <= Level::Warn => Some(text[..8].to_owned()),
            _ => None,
        })
    }

    fn deaths(&mut self) -> Vec<(u32, Cause)> {
        self.take(|action| match action {
            Action::RecordDeath(pid, cause) => Some((*pid, *cause)),
            _ => None,
        })
    }

    fn exits(&mut self, worker: WorkerId, cause: Cause) {
        self.on(Event::Exited(worker, cause));
    }
}

#[test]
fn in_the_first_generation_each_worker_accepts_as_soon_as_it_can() {
    let mut play = Play::new(2);
    let workers = play.started();
    assert_eq!((workers.len(), play.group.state()), (2, GroupState::Starting));
    play.ready(workers[1]);
    assert_eq!(play.orders(), [(workers[1], Order::Accept)]);
    assert_eq!(play.group.state(), GroupState::Serving);
}

#[test]
fn a_worker_that_dies_is_recorded_and_replaced_at_once() {
    let mut play = Play::serving(1);
    play.exits(WorkerId(1), Cause::Signal(9));
    assert_eq!(play.deaths(), [(1_001, Cause::Signal(9))]);
    assert_eq!(play.codes(), ["WSGI0302"]);
    assert_eq!(play.started(), [WorkerId(2)]);
    assert_eq!(play.group.state(), GroupState::Starting);
    play.ready(WorkerId(2));
    assert_eq!(play.group.state(), GroupState::Serving);
}

#[test]
fn even_an_exit_with_status_zero_is_a_death_if_nobody_asked_for_it() {
    let mut play = Play::serving(1);
    play.exits(WorkerId(1), Cause::Exit(0));
    assert_eq!((play.deaths().len(), play.codes()), (1, vec!["WSGI0302".to_owned()]));
}

#[test]
fn starts_that_fail_are_repeated_ever_more_slowly_and_said_once() {
    let mut play = Play::new(2);
    let workers = play.started();
    for worker in workers {
        play.exits(worker, Cause::Exit(70));
    }
    assert_eq!(play.codes(), ["WSGI0303"]);
    assert_eq!(play.started(), [], "not before 200 ms");
    play.pass(Duration::from_millis(200));
    let again = play.started();
    assert_eq!(again.len(), 1, "one is enough to find out");
    assert_eq!(play.group.state(), GroupState::Starting);
    play.exits(again[0], Cause::Exit(70));
    assert_eq!(play.group.state(), GroupState::Failed);
    assert_eq!(play.codes(), ["WSGI0304"]);
    assert_eq!(play.group.deadline(), Some(play.now + Duration::from_millis(400)));
    play.pass(Duration::from_millis(400));
    let last = play.started();
    play.ready(last[0]);
    assert_eq!(play.group.state(), GroupState::Serving);
    assert_eq!(play.started().len(), 1, "and now the others");
}

#[test]
fn what_cannot_be_executed_fails_the_group_at_once() {
    let mut play = Play::new(1);
    let worker = play.started()[0];
    play.on(Event::CannotStart(worker, Obstacle { code: codes::INTERPRETER, what: "no such file".to_owned() }));
    assert_eq!(play.group.state(), GroupState::Failed);
    assert_eq!(play.codes(), ["WSGI0300", "WSGI0304"]);
}

#[test]
fn a_changed_script_switches_when_everybody_is_ready_and_not_before() {
    let mut play = Play::serving(2);
    play.load(WorkerId(1), 1);
    assert_eq!(play.take(|action| matches!(action, Action::Watch(_)).then_some(())).len(), 1);
    play.on(Event::Seen(version(1)));
    assert_eq!(play.started(), []);
    play.on(Event::Seen(version(2)));
    assert_eq!(play.starts(), [(WorkerId(3), true), (WorkerId(4), true)], "all at once");
    play.on(Event::Seen(version(2)));
    assert_eq!(play.started(), [], "one switch at a time");
    play.load(WorkerId(3), 2);
    play.ready(WorkerId(3));
    assert_eq!((play.started(), play.orders()), (vec![], vec![]));
    play.load(WorkerId(4), 2);
    play.ready(WorkerId(4));
    let drain = |worker| (WorkerId(worker), Order::Drain(StopReason::ScriptReload));
    assert_eq!(play.orders(), [(WorkerId(3), Order::Accept), (WorkerId(4), Order::Accept), drain(1), drain(2)]);
    assert!(play.actions.contains(&Action::CheckScripts));
    play.say(WorkerId(1), FromWorker::Drained);
    play.exits(WorkerId(1), Cause::Exit(0));
    assert_eq!((play.deaths(), play.started(), play.codes()), (vec![], vec![], vec![]));
}

#[test]
fn a_member_of_the_next_generation_that_dies_while_ready_ends_the_switch() {
    let mut play = Play::serving(2);
    play.load(WorkerId(1), 1);
    play.on(Event::Seen(version(2)));
    let next = play.started();
    play.load(next[0], 2);
    play.ready(next[0]);
    play.exits(next[0], Cause::Signal(9));
    assert_eq!(play.codes(), ["WSGI0305"]);
    assert_eq!(play.orders(), [(next[1], Order::Terminate)]);
}

/// A group of two whose next generation is starting.
fn switching() -> (Play, WorkerId, WorkerId) {
    let mut play = Play::serving(2);
    play.load(WorkerId(1), 1);
    play.on(Event::Seen(version(2)));
    let follow = |action: &Action| match action {
        Action::Start(start) => Some((start.worker, start.follows)),
        _ => None,
    };
    assert_eq!(play.take(follow), [(WorkerId(3), false)]);
    play.on(Event::Divided(WorkerId(3)));
    assert_eq!(play.take(follow), [(WorkerId(4), true)], "the first one tells what fails");
    (play, WorkerId(3), WorkerId(4))
}

#[test]
fn what_all_of_the_next_generation_fail_at_is_said_once_whoever_is_faster() {
    for first_is_faster in [true, false] {
        let (mut play, first, second) = switching();
        let order = if first_is_faster { [first, second] } else { [second, first] };
        for worker in order {
            play.say(worker, FromWorker::Failed("SyntaxError".to_owned()));
        }
        for worker in order {
            play.exits(worker, Cause::Exit(1));
        }
        assert_eq!((play.codes(), play.started()), (vec!["WSGI0305".to_owned()], vec![]));
        assert_eq!(play.group.state(), GroupState::ReloadFailed);
    }
}

#[test]
fn what_only_one_of_them_fails_at_is_tried_once_more_and_then_said() {
    let (mut play, first, second) = switching();
    play.exits(second, Cause::Signal(9));
    assert_eq!((play.codes(), play.started()), (vec![], vec![]), "the first one is still at it");
    play.load(first, 2);
    play.ready(first);
    let again = play.take(|action| match action {
        Action::Start(start) => Some((start.worker, start.follows)),
        _ => None,
    });
    assert_eq!(again, [(WorkerId(5), false)]);
    play.exits(WorkerId(5), Cause::Signal(9));
    assert_eq!((play.codes(), play.orders()), (vec!["WSGI0305".to_owned()], vec![(first, Order::Drain(StopReason::ScriptReload))]));
}

#[test]
fn if_the_old_workers_die_during_a_switch_the_next_ones_do_not_wait_for_each_other() {
    let mut play = Play::serving(2);
    play.load(WorkerId(1), 1);
    play.on(Event::Seen(version(2)));
    let next = play.started()[0];
    play.load(next, 2);
    play.ready(next);
    play.exits(WorkerId(1), Cause::Signal(9));
    assert_eq!(play.orders(), []);
    play.exits(WorkerId(2), Cause::Signal(9));
    assert_eq!(play.orders(), [(next, Order::Accept)]);
    assert_eq!(play.started(), [], "two of them are there already");
}

#[test]
fn who_asks_for_a_successor_serves_until_it_is_there() {
    let mut play = Play::serving(2);
    play.say(WorkerId(1), FromWorker::ReplaceMe(StopReason::MaximumRequests));
    assert_eq!(play.started(), [WorkerId(3)]);
    assert_eq!(play.orders(), []);
    play.ready(WorkerId(3));
    assert_eq!(play.orders(), [(WorkerId(3), Order::Accept), (WorkerId(1), Order::Drain(StopReason::MaximumRequests))]);
    play.say(WorkerId(1), FromWorker::Drained);
    play.exits(WorkerId(1), Cause::Exit(0));
    assert_eq!((play.started(), play.codes()), (vec![], vec![]));
}

#[test]
fn new_settings_switch_and_a_failure_is_tried_again() {
    let mut play = Play::serving(1);
    play.configure(1);
    let next = play.started()[0];
    play.exits(next, Cause::Exit(1));
    assert_eq!((play.codes(), play.group.state()), (vec!["WSGI0306".to_owned()], GroupState::ReloadFailed));
    play.pass(Duration::from_millis(100));
    let next = play.started()[0];
    play.ready(next);
    assert_eq!(play.orders(), [(next, Order::Accept), (WorkerId(1), Order::Drain(StopReason::ShutdownSignal))]);
    assert_eq!(play.group.state(), GroupState::Serving);
}

#[test]
fn new_settings_overtake_a_switch_under_way() {
    let mut play = Play::serving(1);
    play.configure(1);
    let overtaken = play.started()[0];
    play.configure(2);
    assert_eq!(play.orders(), [(overtaken, Order::Terminate)]);
    let next = play.started();
    assert_eq!(next.len(), 2, "two by the newer settings");
    play.ready(next[0]);
    play.exits(overtaken, Cause::Signal(15));
    assert_eq!(play.codes(), Vec::<String>::new());
}

#[test]
fn workers_that_never_finish_cannot_fill_the_group() {
    let mut play = Play::serving(1);
    let mut serving = WorkerId(1);
    for modified in 1..40 {
        play.load(serving, modified);
        play.on(Event::Seen(version(modified + 1)));
        let started = play.started();
        match started.first() {
            Some(next) => {
                play.ready(*next);
                serving = *next;
            }
            None => break,
        }
    }
    assert_eq!(play.group.members.len(), 7, "processes * 3 + 4");
    let stopped: Vec<WorkerId> =
        play.orders().into_iter().filter(|(_, order)| matches!(order, Order::Stop(_))).map(|(worker, _)| worker).collect();
    assert_eq!(stopped, [WorkerId(1)], "the oldest is hurried");
    play.exits(WorkerId(1), Cause::Exit(0));
    assert_eq!(play.started().len(), 1, "and then the switch goes on");
}

#[test]
fn a_stop_lets_everybody_finish_and_ends_when_all_have() {
    let mut play = Play::serving(2);
    play.on(Event::Stop);
    let stop = Order::Stop(StopReason::ShutdownSignal);
    assert_eq!(play.orders(), [(WorkerId(1), stop), (WorkerId(2), stop)]);
    play.exits(WorkerId(1), Cause::Exit(0));
    assert!(!play.actions.contains(&Action::Exit));
    play.pass(Duration::from_secs(6));
    assert_eq!(play.orders(), [(WorkerId(2), Order::Kill)]);
    play.exits(WorkerId(2), Cause::Signal(9));
    assert_eq!(play.deaths(), [(1_002, Cause::Signal(9))], "requests it was executing are told why");
    assert!(play.actions.contains(&Action::Exit));
    assert_eq!(play.started(), []);
}

#[test]
fn when_httpd_is_gone_everybody_is_ended_within_a_second() {
    let mut play = Play::serving(1);
    play.on(Event::ParentGone);
    assert_eq!(play.orders(), [(WorkerId(1), Order::Terminate)]);
    assert_eq!(play.group.deadline(), Some(play.now + lifecycle::TERMINATION));
    play.pass(lifecycle::TERMINATION);
    assert_eq!(play.orders(), [(WorkerId(1), Order::Kill)]);
}

#[test]
fn a_start_over_its_time_is_a_failed_start() {
    let mut play = Play::new(1);
    let worker = play.started()[0];
    play.pass(Duration::from_secs(60));
    assert_eq!((play.orders(), play.codes()), (vec![(worker, Order::Terminate)], vec!["WSGI0307".to_owned()]));
    play.exits(worker, Cause::Signal(15));
    assert_eq!(play.codes(), Vec::<String>::new());
}

#[test]
fn who_does_not_speak_any_more_is_replaced_and_killed() {
    let mut play = Play::serving(1);
    play.on(Event::Lost(WorkerId(1)));
    assert_eq!(play.started().len(), 1);
    play.pass(lifecycle::TERMINATION);
    assert_eq!(play.orders(), [(WorkerId(1), Order::Kill)]);
    play.exits(WorkerId(1), Cause::Signal(9));
    assert_eq!(play.codes(), ["WSGI0302"]);
}

#[test]
fn who_had_nothing_to_do_is_followed_by_one_that_has_loaded_nothing() {
    let mut play = Play::serving(1);
    play.load(WorkerId(1), 1);
    play.say(WorkerId(1), FromWorker::ReplaceMe(StopReason::InactivityTimeout));
    let preloads = |play: &mut Play| {
        play.take(|action| match action {
            Action::Start(start) => Some(start.preload.len()),
            _ => None,
        })
    };
    assert_eq!(preloads(&mut play), [0]);
    play.on(Event::Started(WorkerId(2), 1_002));
    play.ready(WorkerId(2));
    let loads = play.take(|action| if matches!(action, Action::Load { .. }) { Some(()) } else { None });
    assert_eq!((loads.len(), play.orders().len()), (0, 2));
    play.exits(WorkerId(2), Cause::Signal(9));
    assert_eq!(preloads(&mut play), [1], "all others are warm");
}

#[test]
fn a_strict_group_serves_a_broken_script_rather_than_the_old_one() {
    let mut play = Play::serving(1);
    let strict = Rules { strict: true, ..rules(1) };
    play.on(Event::Configured { edition: 2, rules: strict });
    let next = play.started()[0];
    play.ready(next);
    play.load(next, 1);
    play.on(Event::Seen(version(2)));
    assert_eq!(play.starts(), [(WorkerId(3), false)]);
}

/// A group that runs a service script.
fn service() -> Play {
    let mut play = Play { group: Group::new("service".to_owned()), now: Instant::now(), actions: Vec::new(), edition: 1 };
    play.on(Event::Configured { edition: 1, rules: Rules { service: true, capacity: 1, ..rules(1) } });
    let worker = play.started()[0];
    play.ready(worker);
    play.actions.clear();
    play
}

#[test]
fn a_service_script_that_ends_at_once_is_started_after_pauses_that_grow() {
    let mut play = service();
    let mut worker = WorkerId(1);
    for pause in [100, 200, 400, 800] {
        play.exits(worker, Cause::Exit(0));
        assert_eq!(play.started(), []);
        play.pass(Duration::from_millis(pause - 1));
        assert_eq!(play.started(), [], "before {pause} ms");
        play.pass(Duration::from_millis(1));
        worker = play.started()[0];
        play.ready(worker);
    }
    play.pass(STEADY);
    play.exits(worker, Cause::Exit(0));
    play.pass(Duration::from_millis(100));
    assert_eq!(play.started().len(), 1, "after a long run the pause is short again");
    assert_eq!((play.codes(), play.group.state()), (vec![], GroupState::Starting));
}

#[test]
fn a_service_script_never_runs_twice_at_a_time() {
    let mut play = service();
    play.on(Event::Renew);
    assert_eq!((play.started(), play.orders()), (vec![], vec![(WorkerId(1), Order::Drain(StopReason::GracefulSignal))]));
    play.say(WorkerId(1), FromWorker::Drained);
    play.exits(WorkerId(1), Cause::Exit(0));
    assert_eq!(play.started(), [WorkerId(2)]);
}

fn sight(worker: u64, memory: u64, busy: usize) -> Sight {
    Sight { worker: WorkerId(worker), memory: Memory { data: memory, space: memory, weight: 0 }, busy, served: 0 }
}

#[test]
fn who_comes_near_its_memory_limit_gets_a_successor_first() {
    let mut play = Play::serving(1);
    play.edition += 1;
    let limits = Limits { memory: 800 << 20, ..Limits::default() };
    play.on(Event::Configured { edition: play.edition, rules: Rules { limits, ..rules(1) } });
    let worker = play.started()[0];
    play.ready(worker);
    play.exits(WorkerId(1), Cause::Exit(0));
    play.actions.clear();
    assert!(play.group.looks().is_some());
    play.on(Event::Look(false, vec![sight(2, 100 << 20, 0)]));
    assert_eq!(play.actions, []);
    play.on(Event::Look(false, vec![sight(2, 750 << 20, 0)]));
    assert_eq!((play.codes(), play.started(), play.orders()), (vec!["WSGI0312".to_owned()], vec![WorkerId(3)], vec![]));
    play.on(Event::Look(false, vec![sight(2, 760 << 20, 0)]));
    play.ready(WorkerId(3));
    assert_eq!(play.orders(), [(WorkerId(3), Order::Accept), (WorkerId(2), Order::Drain(StopReason::MemoryLimit))]);
}

#[test]
fn a_retired_group_serves_its_queue_and_then_drains() {
    let mut play = Play::serving(1);
    assert_eq!(play.group.looks(), None);
    play.on(Event::Retire);
    play.on(Event::Look(false, vec![]));
    play.now += Duration::from_secs(2);
    play.on(Event::Look(true, vec![]));
    assert_eq!(play.orders(), [], "somebody waits");
    play.on(Event::Look(false, vec![]));
    assert_eq!(play.orders(), [(WorkerId(1), Order::Drain(StopReason::GracefulSignal))]);
    play.exits(WorkerId(1), Cause::Exit(0));
    assert!(play.actions.contains(&Action::Exit));
}

#[test]
fn a_retired_group_with_a_queue_that_does_not_end_drains_after_graceful_timeout() {
    let mut play = Play::serving(1);
    play.on(Event::Retire);
    play.now += Duration::from_secs(15);
    play.on(Event::Look(true, vec![]));
    assert_eq!(play.orders(), [(WorkerId(1), Order::Drain(StopReason::GracefulSignal))]);
}

#[test]
fn a_group_sleeps_and_wakes_and_grows() {
    let mut play = Play::serving(1);
    play.edition += 1;
    play.on(Event::Configured { edition: play.edition, rules: Rules { fewest: 0, most: 2, ..rules(1) } });
    let worker = play.started()[0];
    play.ready(worker);
    play.exits(WorkerId(1), Cause::Exit(0));
    play.actions.clear();
    for _ in 0..400 {
        play.now += Duration::from_millis(100);
        play.on(Event::Look(false, vec![sight(2, 0, 0)]));
    }
    assert_eq!(play.orders(), [(WorkerId(2), Order::Drain(StopReason::InactivityTimeout))]);
    play.exits(WorkerId(2), Cause::Exit(0));
    assert!(play.group.is_asleep());
    assert_eq!((play.started(), play.group.state()), (vec![], GroupState::Starting));
    play.on(Event::Asked);
    assert_eq!(play.started(), [WorkerId(3)]);
    play.ready(WorkerId(3));
    assert!(!play.group.is_asleep());
    for _ in 0..8 {
        play.now += Duration::from_millis(100);
        play.on(Event::Look(true, vec![sight(3, 0, 5)]));
    }
    assert_eq!(play.started(), [WorkerId(4)], "two are the most");
}
