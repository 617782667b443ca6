//! Every order in which httpd children and workers may take their steps, tried one by one.
//!
//! A state is what a small group looks like between two steps: the words in which its workers offer their threads, which are changed by
//! the real functions, and beside them the group's queue, what the kernel knows of who waits for it, and how far each child and each
//! thread has come. From the first state all others are found that any order of steps leads to, and what must hold is asked of each.
//! The steps of a thread are those of the worker's `pool` and `request`, those of a child are those of the module's `connections`.
//!
//! loom, which does this for threads of one program, can neither kill one of them at any place nor express whom the kernel wakes. As the
//! words are changed by sequentially consistent atomic steps alone, there is no other order to be tried than that of the steps.

use super::{OFFER, WORKER_WORDS, WorkerSlot};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// Which request; each child has one.
type Request = usize;

/// How far a thread of a worker has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    /// Looks whether it has to look at the queue.
    Top,
    /// Is about to be idle.
    Idle,
    /// Looks once more before it waits.
    Check,
    /// Asks for an event.
    Poll,
    /// Waits for one.
    Waiting,
    /// Has an event; a request that has come directly, or that something may be in the queue.
    Woken(Option<Request>),
    /// Takes what is next in the queue.
    Accept,
    /// Sees to it that somebody looks for more, in four steps.
    More(u8, Request),
    /// Takes a thread for the request.
    Take(Request),
    /// Executes it: this may take long.
    Run(Request, Origin),
    /// Looks whether a thread is free.
    Done(Request, Origin),
    /// Looks whether a request is in the queue.
    Queued(Request, Origin),
    /// Gives the thread back.
    Release(Request, Origin),
    /// Answers.
    Answer(Request, Origin),
    /// Has found the queue empty, and gives back what it has kept for it.
    Empty,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Origin {
    Queue,
    Direct,
}

/// How far a child has come with its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Child {
    /// Reads the offer of this worker; the best so far.
    Look(usize, Option<usize>),
    Reserve(usize),
    /// Sends its request to the worker whose thread it has reserved.
    Send(usize),
    /// Puts it into the queue.
    Enqueue,
    Waits,
    Answered,
    Dead,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Thread {
    worker: usize,
    step: Step,
    /// Keeps a thread for what is in the queue.
    reserved: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Worker {
    offer: u64,
    idle: u32,
    /// Somebody has to look at the queue before waiting.
    look: bool,
    /// What the next who asks for an event gets: of the queue or of `more`, and requests that have come directly.
    edge: bool,
    ready: Vec<Request>,
    killed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Group {
    workers: Vec<Worker>,
    threads: Vec<Thread>,
    children: Vec<Child>,
    queue: Vec<Request>,
    /// How many children, and workers, may still be killed.
    child_deaths: u32,
    worker_deaths: u32,
}

/// Threads of each worker.
#[derive(Clone, Copy)]
struct Size {
    workers: usize,
    threads: usize,
    requests: usize,
}

fn pid(worker: usize) -> u32 {
    4711 + u32::try_from(worker).expect("small")
}

impl Group {
    fn new(size: Size) -> Self {
        let mut group = Self {
            workers: vec![Worker::default(); size.workers],
            threads: (0..size.workers * size.threads)
                .map(|thread| Thread { worker: thread / size.threads, step: Step::Waiting, reserved: false })
                .collect(),
            children: vec![Child::Look(0, None); size.requests],
            queue: Vec::new(),
            child_deaths: 0,
            worker_deaths: 0,
        };
        for worker in 0..size.workers {
            group.workers[worker].idle = group.count(worker);
            let threads = group.count(worker);
            group.with_slot(worker, |slot| slot.offer(pid(worker), threads));
        }
        group
    }

    /// How many threads a worker has.
    fn count(&self, worker: usize) -> u32 {
        u32::try_from(self.threads.iter().filter(|thread| thread.worker == worker).count()).expect("small")
    }

    /// Does something with the word of a worker.
    fn with_slot<T>(&mut self, worker: usize, work: impl FnOnce(WorkerSlot<'_>) -> T) -> T {
        let words: [AtomicU64; WORKER_WORDS] = std::array::from_fn(|_| AtomicU64::new(0));
        words[OFFER].store(self.workers[worker].offer, SeqCst);
        let done = work(WorkerSlot { words: &words });
        self.workers[worker].offer = words[OFFER].load(SeqCst);
        done
    }

    fn balance(&self, worker: usize) -> i32 {
        self.clone().with_slot(worker, |slot| slot.balance())
    }

    fn release(&mut self, worker: usize) {
        let threads = self.count(worker);
        self.with_slot(worker, |slot| slot.release(pid(worker), threads));
    }

    /// The kernel wakes a thread that waits, each possible one in a state of its own; `None` if nobody waits.
    fn wake(&self, worker: usize) -> Option<Vec<Self>> {
        let waiting = |(_, thread): &(usize, &Thread)| thread.worker == worker && thread.step == Step::Waiting;
        let woken = self.threads.iter().enumerate().filter(waiting).map(|(index, _)| {
            let mut next = self.clone();
            next.threads[index].step = Step::Poll;
            next
        });
        let woken: Vec<Self> = woken.collect();
        (!woken.is_empty()).then_some(woken)
    }

    /// A connection comes into the queue: the kernel tells one worker after the other, in some order, until one has somebody who waits
    /// (`EPOLLEXCLUSIVE`). The others keep what they were told for whoever asks next.
    fn announce(&self, mut untold: Vec<usize>) -> Vec<Self> {
        if untold.is_empty() {
            return vec![self.clone()];
        }
        let mut nexts = Vec::new();
        for at in 0..untold.len() {
            let worker = untold.remove(at);
            let mut next = self.clone();
            next.workers[worker].edge = true;
            match next.wake(worker) {
                Some(woken) => nexts.extend(woken),
                None => nexts.extend(next.announce(untold.clone())),
            }
            untold.insert(at, worker);
        }
        nexts
    }

    fn alive(&self) -> Vec<usize> {
        (0..self.workers.len()).filter(|worker| !self.workers[*worker].killed).collect()
    }

    /// What a child may do next.
    fn child(&self, child: Request) -> Vec<Self> {
        let mut next = self.clone();
        match self.children[child] {
            Child::Look(worker, best) if worker < self.workers.len() => {
                let free = next.with_slot(worker, |slot| slot.free());
                let better = free > 0 && best.is_none_or(|best| i64::from(free) > i64::from(next.balance(best)));
                next.children[child] = Child::Look(worker + 1, if better { Some(worker) } else { best });
                // Of two that are alike, the one that was used last is taken: either.
                let tie = free > 0 && best.is_some_and(|best| i64::from(free) == i64::from(next.balance(best)));
                let mut other = next.clone();
                other.children[child] = Child::Look(worker + 1, Some(worker));
                return if tie { vec![next, other] } else { vec![next] };
            }
            Child::Look(_, best) => next.children[child] = best.map_or(Child::Enqueue, Child::Reserve),
            Child::Reserve(worker) => {
                let reserved = next.with_slot(worker, |slot| slot.reserve());
                next.children[child] = reserved.map_or(Child::Look(0, None), |_| Child::Send(worker));
            }
            Child::Send(worker) if self.workers[worker].killed => {
                next.with_slot(worker, |slot| slot.withdraw(pid(worker)));
                next.children[child] = Child::Enqueue;
            }
            Child::Send(worker) => {
                next.children[child] = Child::Waits;
                next.workers[worker].ready.push(child);
                return next.wake(worker).unwrap_or_else(|| vec![next]);
            }
            Child::Enqueue => {
                next.children[child] = Child::Waits;
                next.queue.push(child);
                return next.announce(next.alive());
            }
            Child::Waits | Child::Answered | Child::Dead => return Vec::new(),
        }
        vec![next]
    }

    /// What a thread may do next, other than to end what it executes.
    fn thread(&self, index: usize) -> Vec<Self> {
        let mut next = self.clone();
        let Thread { worker, step, reserved } = self.threads[index];
        let of = worker;
        let step = match step {
            Step::Waiting | Step::Run(..) => return Vec::new(),
            _ if self.workers[of].killed => return Vec::new(),
            Step::Top if reserved => Step::Accept,
            Step::Top if std::mem::take(&mut next.workers[of].look) => Step::Accept,
            Step::Top => Step::Idle,
            Step::Idle => {
                next.workers[of].idle += 1;
                Step::Check
            }
            Step::Check if self.workers[of].look => {
                next.workers[of].idle -= 1;
                Step::Top
            }
            Step::Check => Step::Poll,
            Step::Poll => return self.events(index),
            Step::Woken(event) => {
                next.workers[of].idle -= 1;
                event.map_or(Step::Accept, |request| Step::Run(request, Origin::Direct))
            }
            Step::Accept if self.queue.is_empty() && reserved => Step::Empty,
            Step::Accept if self.queue.is_empty() => Step::Top,
            Step::Accept => Step::More(0, next.queue.remove(0)),
            Step::More(0, request) => {
                next.workers[of].look = true;
                Step::More(1, request)
            }
            Step::More(1, request) if self.workers[of].idle > 0 => Step::More(2, request),
            Step::More(1, request) => Step::Take(request),
            Step::More(2, request) => {
                next.workers[of].look = false;
                Step::More(3, request)
            }
            Step::More(_, request) if self.queue.is_empty() => Step::Take(request),
            Step::More(_, request) => {
                next.workers[of].edge = true;
                next.threads[index].step = Step::Take(request);
                return next.wake(of).unwrap_or_else(|| vec![next]);
            }
            Step::Take(request) => {
                if !std::mem::take(&mut next.threads[index].reserved) {
                    next.with_slot(of, |slot| slot.take(pid(of)));
                }
                Step::Run(request, Origin::Queue)
            }
            Step::Done(request, origin) if self.balance(of) > 0 => Step::Release(request, origin),
            Step::Done(request, origin) => Step::Queued(request, origin),
            Step::Queued(request, origin) if self.queue.is_empty() => Step::Release(request, origin),
            Step::Queued(request, origin) => {
                next.threads[index].reserved = true;
                Step::Answer(request, origin)
            }
            Step::Release(request, origin) => {
                next.release(of);
                Step::Answer(request, origin)
            }
            Step::Answer(request, origin) => {
                if next.children[request] == Child::Waits {
                    next.children[request] = Child::Answered;
                }
                if origin == Origin::Queue { Step::Accept } else { Step::Top }
            }
            Step::Empty => {
                next.threads[index].reserved = false;
                next.release(of);
                Step::Top
            }
        };
        next.threads[index].step = step;
        vec![next]
    }

    /// A thread asks for an event: it gets any of those that there are.
    fn events(&self, index: usize) -> Vec<Self> {
        let of = self.threads[index].worker;
        let mut nexts = Vec::new();
        if self.workers[of].edge {
            let mut next = self.clone();
            next.workers[of].edge = false;
            next.threads[index].step = Step::Woken(None);
            nexts.push(next);
        }
        for at in 0..self.workers[of].ready.len() {
            let mut next = self.clone();
            let request = next.workers[of].ready.remove(at);
            next.threads[index].step = Step::Woken(Some(request));
            nexts.push(next);
        }
        if nexts.is_empty() {
            let mut next = self.clone();
            next.threads[index].step = Step::Waiting;
            nexts.push(next);
        }
        nexts
    }

    /// Where more requests are promised to a worker than it has threads, it sends one that has come directly to the queue.
    fn send_away(&self, worker: usize) -> Vec<Self> {
        if self.balance(worker) >= 0 || self.workers[worker].killed {
            return Vec::new();
        }
        let sent_away = |at| {
            let mut next = self.clone();
            let request = next.workers[worker].ready.remove(at);
            next.release(worker);
            if next.children[request] == Child::Waits {
                next.children[request] = Child::Enqueue;
            }
            next
        };
        (0..self.workers[worker].ready.len()).map(sent_away).collect()
    }

    /// All that may happen next, but for the end of what is being executed.
    fn short_steps(&self) -> Vec<Self> {
        let children = (0..self.children.len()).flat_map(|child| self.child(child));
        let threads = (0..self.threads.len()).flat_map(|thread| self.thread(thread));
        let workers = (0..self.workers.len()).flat_map(|worker| self.send_away(worker));
        children.chain(threads).chain(workers).collect()
    }

    /// The end of what is being executed.
    fn long_steps(&self) -> Vec<Self> {
        let ended = |(index, thread): (usize, &Thread)| {
            let Step::Run(request, origin) = thread.step else { return None };
            let mut next = self.clone();
            next.threads[index].step = Step::Done(request, origin);
            (!self.workers[thread.worker].killed).then_some(next)
        };
        self.threads.iter().enumerate().filter_map(ended).collect()
    }

    /// A child or a worker is killed, as long as there are some to be.
    fn deaths(&self) -> Vec<Self> {
        let children = (0..self.children.len()).filter(|child| self.child_deaths > 0 && self.children[*child] != Child::Answered);
        let children = children.filter(|child| self.children[*child] != Child::Dead).map(|child| {
            let mut next = self.clone();
            next.child_deaths -= 1;
            next.children[child] = Child::Dead;
            // Its connections are closed: who would have read them finds nothing.
            next.workers.iter_mut().for_each(|worker| worker.ready.retain(|request| *request != child));
            next
        });
        let workers = self.alive().into_iter().filter(|_| self.worker_deaths > 0 && self.alive().len() > 1).map(|worker| {
            let mut next = self.clone();
            next.worker_deaths -= 1;
            next.workers[worker].killed = true;
            // What it executed is answered by a 502; what it had not read is sent once more.
            for request in std::mem::take(&mut next.workers[worker].ready) {
                next.children[request] = Child::Enqueue;
            }
            for thread in next.threads.iter_mut().filter(|thread| thread.worker == worker) {
                let lost = match thread.step {
                    Step::More(_, request) | Step::Take(request) | Step::Woken(Some(request)) => Some(request),
                    Step::Run(request, _) | Step::Done(request, _) | Step::Queued(request, _) => Some(request),
                    Step::Release(request, _) | Step::Answer(request, _) => Some(request),
                    _ => None,
                };
                thread.step = Step::Waiting;
                if let Some(request) = lost {
                    next.children[request] = Child::Answered;
                }
            }
            next.with_slot(worker, |slot| slot.withdraw(pid(worker)));
            next
        });
        children.chain(workers).collect()
    }

    /// What a worker does now and then: wakes somebody for what is in the queue, and looks at its books.
    fn look_around(&self) -> Vec<Self> {
        let mut next = self.clone();
        for worker in self.alive() {
            if next.workers[worker].idle > 0 && !next.queue.is_empty() {
                next.workers[worker].edge = true;
                next = next.wake(worker).map_or(next, |mut woken| woken.remove(0));
            }
            let (threads, busy) = (next.count(worker), next.count(worker) - next.workers[worker].idle);
            let mut audit = super::Audit::default();
            (0..3).for_each(|_| next.with_slot(worker, |slot| audit.look(slot, pid(worker), threads, busy)));
        }
        if next == *self { Vec::new() } else { vec![next] }
    }

    fn waiting(&self) -> bool {
        !self.queue.iter().all(|request| self.children[*request] == Child::Dead)
            || self.workers.iter().any(|worker| !worker.ready.is_empty())
    }

    /// What must hold when nothing more happens until a request ends.
    fn check_at_rest(&self) {
        for worker in self.alive() {
            let threads = || self.threads.iter().filter(|thread| thread.worker == worker);
            let is_idle = threads().any(|thread| thread.step == Step::Waiting);
            assert!(!(is_idle && self.waiting()), "a request waits while a thread is free: {self:#?}");
            let busy = threads().filter(|thread| matches!(thread.step, Step::Run(..))).count();
            let free = i32::try_from(threads().count() - busy).expect("small");
            assert_eq!(self.balance(worker), free, "the books of worker {worker} are wrong: {self:#?}");
        }
    }

    /// What must hold in the end.
    fn check_at_the_end(&self) {
        let over = |child: &Child| matches!(child, Child::Answered | Child::Dead);
        assert!(self.children.iter().all(over), "a request waits for ever: {self:#?}");
    }
}

/// Tries every order of steps; returns how many states there are.
fn explore(first: Group) -> usize {
    let mut known = HashSet::from([first.clone()]);
    let mut open = vec![first];
    while let Some(group) = open.pop() {
        let mut nexts = group.short_steps();
        if nexts.is_empty() {
            // With the dead, what went with them is noticed by and by.
            nexts = group.look_around();
            if nexts.is_empty() {
                group.check_at_rest();
            }
        }
        nexts.extend(group.long_steps());
        if nexts.is_empty() {
            group.check_at_the_end();
        }
        nexts.extend(group.deaths());
        for next in nexts {
            if known.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    known.len()
}

#[test]
fn no_request_waits_while_a_thread_is_free() {
    for (workers, threads, requests) in [(1, 1, 3), (1, 2, 3), (2, 1, 3)] {
        let states = explore(Group::new(Size { workers, threads, requests }));
        eprintln!("{workers} workers with {threads} threads, {requests} requests: {states} states");
    }
}

#[test]
fn whoever_is_killed_takes_nothing_along() {
    for (child_deaths, worker_deaths) in [(1, 0), (0, 1)] {
        for (workers, threads, requests) in [(1, 2, 3), (2, 1, 3)] {
            let states = explore(Group { child_deaths, worker_deaths, ..Group::new(Size { workers, threads, requests }) });
            eprintln!(
                "{workers} workers with {threads} threads, {requests} requests, {child_deaths} and {worker_deaths} deaths: {states} states"
            );
        }
    }
}
