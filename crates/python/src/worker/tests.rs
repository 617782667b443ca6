//! Requests through a worker's threads without Python: the other end plays httpd, a closure plays the host.

#[path = "../../tests/worker/httpd.rs"]
#[expect(dead_code, reason = "the tests with a real Python need more of it")]
mod httpd;

use super::offer::Offer;
use super::pool::Pool;
use super::request::{Leaving, Origin, Serve, Service, Turn};
use crate::wsgi::exchange::{Exchange, Outcome, Push};
use httpd::{Httpd, SECRET, head, request};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use sys::forks::Private;
use sys::memory::SharedWords;
use sys::nix::errno::Errno;
use sys::nix::sys::eventfd::{EfdFlags, EventFd};
use sys::socket;
use wire::control::StopReason;
use wire::counters::{Counters, Shape};
use wire::frame::{Aborted, FileRange, HEADER, Kind, push};
use wire::head::{Body, RequestHead, ResponseHead};
use wire::log::Level;

fn service(serve: Box<Serve>) -> Service {
    Service {
        serve,
        leave: || {},
        secret: SECRET,
        peers: vec![sys::nix::unistd::getuid().as_raw()],
        timeout: Duration::from_secs(5),
        counters: None,
        offer: Offer::new(2),
        outdated: None,
        leaving: Leaving::default(),
        maximum_requests: 0,
        request_timeout: None,
        signs: Arc::default(),
        finished: AtomicU64::new(0),
        overdrawn: AtomicBool::new(false),
        limit: OnceLock::new(),
        news: EventFd::from_flags(EfdFlags::EFD_NONBLOCK).expect("an eventfd"),
    }
}

/// Serves one connection while `httpd` is the other end.
fn one<R>(serve: Box<Serve>, httpd: impl FnOnce(Httpd) -> R + Send) -> R
where
    R: Send,
{
    use sys::nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, flags).expect("a pair");
    std::thread::scope(|scope| {
        let other = scope.spawn(|| httpd(Httpd::new(theirs)));
        service(serve).handle(&mut Turn::new(0), Private::new(ours), Origin::Queue, &|| false);
        other.join().expect("httpd's end")
    })
}

fn hello(exchange: &mut dyn Exchange) -> Outcome {
    exchange.send_head(&ResponseHead { status: 200, line: b"200 OK", headers: Vec::new() }).expect("a head");
    assert!(exchange.try_send(b"hello", Push::Later).expect("open"));
    Outcome::Done
}

#[test]
fn a_small_answer_is_one_send() {
    one(Box::new(|_, _, exchange| hello(exchange)), |mut httpd| {
        httpd.send(&request(&head(), &[]), &[]);
        assert!(httpd.receive());
        assert!(matches!(httpd.frame_at_hand(), Some((Kind::ResponseHead, _))));
        assert_eq!(httpd.frame_at_hand(), Some((Kind::ResponseBody, b"hello".to_vec())));
        assert_eq!(httpd.frame_at_hand(), Some((Kind::End, vec![0])));
        assert_eq!(httpd.rest(), []);
    });
}

#[test]
fn a_body_is_read_as_it_comes_and_what_is_pushed_is_there_at_once() {
    let echo: Box<Serve> = Box::new(|_, _, exchange| {
        hello(exchange);
        let mut buffer = [0; 5];
        loop {
            match exchange.read(&mut buffer).expect("a body") {
                0 => return Outcome::Done,
                length => exchange.send(&buffer[..length], Push::Now).expect("open"),
            }
        }
    });
    one(echo, |mut httpd| {
        let octets = request(&head(), &[]);
        httpd.send(&octets[..octets.len() - HEADER], &[]);
        assert!(matches!(httpd.frame(), Some((Kind::ResponseHead, _))));
        assert_eq!(httpd.frame(), Some((Kind::ResponseBody, b"hello".to_vec())));
        let mut body = Vec::new();
        push(&mut body, Kind::RequestBody, 77, b"one block");
        httpd.send(&body, &[]);
        for part in [&b"one b"[..], b"lock"] {
            assert_eq!(httpd.frame(), Some((Kind::ResponseBody, part.to_vec())));
            assert_eq!(httpd.frame(), Some((Kind::Flush, Vec::new())));
        }
        httpd.send(&octets[octets.len() - HEADER..], &[]);
        assert_eq!(httpd.rest(), [(Kind::End, vec![0])]);
    });
}

#[test]
fn a_body_is_asked_for_when_it_is_read_and_may_be_a_file() {
    let mut file = tempfile();
    file.write_all(b"0123456789").expect("written");
    let echo: Box<Serve> = Box::new(|_, _, exchange| {
        let (mut body, mut buffer) = (Vec::new(), [0; 4]);
        assert!(!exchange.read_is_ready());
        while let Ok(length @ 1..) = exchange.read(&mut buffer) {
            body.extend_from_slice(&buffer[..length]);
        }
        assert_eq!(body, b"3456789!");
        assert_eq!((exchange.read(&mut buffer).expect("the end"), exchange.read_is_ready()), (0, true));
        hello(exchange)
    });
    one(echo, |mut httpd| {
        let octets = request(&RequestHead { body: Body::OnDemand, ..head() }, &[]);
        httpd.send(&octets[..octets.len() - HEADER], &[]);
        assert_eq!(httpd.frame(), Some((Kind::ReadBody, Vec::new())));
        let mut body = Vec::new();
        push(&mut body, Kind::RequestFile, 77, &FileRange { offset: 3, length: 7 }.encode());
        httpd.send(&body, &[file.as_fd()]);
        body.clear();
        push(&mut body, Kind::RequestBody, 77, b"!");
        push(&mut body, Kind::RequestEnd, 77, b"");
        httpd.send(&body, &[]);
        assert!(matches!(httpd.rest().last(), Some((Kind::End, _))));
    });
}

#[test]
fn a_body_that_breaks_off_is_an_error_with_httpds_words() {
    let reader: Box<Serve> = Box::new(|_, _, exchange| {
        assert_eq!(exchange.read(&mut [0; 9]).expect("the beginning"), 3);
        assert_eq!(exchange.read(&mut [0; 9]).expect_err("broken").to_string(), "the client has gone");
        assert_eq!(exchange.read(&mut [0; 9]).expect_err("still").to_string(), "the client has gone");
        Outcome::Failed
    });
    one(reader, |mut httpd| {
        let octets = request(&head(), &[b"abc"]);
        httpd.send(&octets[..octets.len() - HEADER], &[]);
        let mut end = Vec::new();
        push(&mut end, Kind::RequestFailed, 77, b"the client has gone");
        httpd.send(&end, &[]);
        assert_eq!(httpd.aborted(), Aborted::Failed);
    });
}

#[test]
fn a_file_travels_as_a_descriptor() {
    let sender: Box<Serve> = Box::new(|_, _, exchange| {
        let mut file = tempfile();
        file.write_all(b"0123456789").expect("written");
        exchange.send_head(&ResponseHead { status: 200, line: b"200 OK", headers: Vec::new() }).expect("a head");
        exchange.send_file(file.as_fd(), 2, 8).expect("open");
        Outcome::Done
    });
    one(sender, |mut httpd| {
        httpd.send(&request(&head(), &[]), &[]);
        let frames = httpd.rest();
        assert_eq!(frames[1], (Kind::ResponseFile, FileRange { offset: 2, length: 8 }.encode().to_vec()));
        assert_eq!((frames[2].0, httpd.descriptors.len()), (Kind::End, 1));
    });
}

#[test]
fn a_log_line_is_there_while_the_request_goes_on() {
    let (told, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let logger: Box<Serve> = Box::new(move |_, _, exchange| {
        exchange.log(Level::Warn, "first");
        wait.lock().expect("ours").recv().expect("told");
        exchange.log(Level::Error, "second");
        Outcome::Failed
    });
    one(logger, |mut httpd| {
        httpd.send(&request(&head(), &[]), &[]);
        assert_eq!(httpd.frame(), Some((Kind::Log, b"\x04first".to_vec())));
        told.send(()).expect("waits");
        assert_eq!(httpd.frame(), Some((Kind::Log, b"\x03second".to_vec())));
        assert_eq!(httpd.aborted(), Aborted::Failed);
    });
}

#[test]
fn what_may_not_be_executed_is_not() {
    let never = || -> Box<Serve> { Box::new(|_, _, _| panic!("executed")) };
    let late = RequestHead { deadline: Some(1), ..head() };
    one(never(), |mut httpd| {
        httpd.send(&request(&late, &[]), &[]);
        assert_eq!(httpd.aborted(), Aborted::QueueTimeout);
    });
    let strange = RequestHead { secret: [0; 16], ..head() };
    one(never(), |mut httpd| {
        httpd.send(&request(&strange, &[]), &[]);
        assert_eq!(httpd.aborted(), Aborted::Refused);
    });
    let abandoned = RequestHead { queue_start: 1, ..head() };
    one(never(), |httpd| httpd.send(&request(&abandoned, &[]), &[]));
    one(never(), |mut httpd| {
        httpd.send(&[0xff; 40], &[]);
        assert_eq!(httpd.rest(), []);
    });
}

#[test]
fn a_request_with_a_deadline_is_told_that_it_has_begun() {
    let (told, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let waiter: Box<Serve> = Box::new(move |_, _, exchange| {
        wait.lock().expect("ours").recv().expect("told");
        hello(exchange)
    });
    let head = RequestHead { deadline: Some(u64::MAX), ..head() };
    one(waiter, |mut httpd| {
        httpd.send(&request(&head, &[]), &[]);
        assert_eq!(httpd.frame(), Some((Kind::Began, std::process::id().to_le_bytes().to_vec())));
        told.send(()).expect("waits");
        assert_eq!(httpd.rest().len(), 3);
    });
}

#[test]
fn threads_survive_panics_and_end_when_they_are_told() {
    let path = address("listener");
    let listener = socket::listener(&path, 64).expect("a listener");
    let pool = Pool::new(listener, None).expect("a pool");
    let mut service = service(Box::new(|thread, head, exchange| {
        assert!((1..=2).contains(&thread));
        match head.callable {
            b"panic" => panic!("on purpose"),
            b"slow" => std::thread::sleep(Duration::from_millis(100)),
            _ => {}
        }
        hello(exchange)
    }));
    service.maximum_requests = 3;
    let service = service;
    let ask = |callable: &'static [u8]| {
        let httpd = Httpd::new(socket::connected(&path).expect("connected"));
        httpd.send(&request(&RequestHead { callable, ..head() }, &[]), &[]);
        httpd
    };
    std::thread::scope(|scope| {
        pool.start(scope, &service, 2, 256 * 1024).expect("started");
        let mut early = ask(b"");
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(service.finished.load(Ordering::Relaxed), 0, "nobody has said that it may accept");
        pool.accept(&service).expect("accepts");
        assert!(matches!(early.rest().last(), Some((Kind::End, _))));
        for _ in 0..2 {
            assert_eq!(ask(b"panic").aborted(), Aborted::Failed);
        }
        let start = Instant::now();
        while service.limit.get().is_none() && start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!((service.limit.get(), service.news.read().is_ok()), (Some(&StopReason::MaximumRequests), true));
        let mut slow = ask(b"slow");
        std::thread::sleep(Duration::from_millis(30));
        assert!(!pool.has_ended());
        let mut queued = ask(b"");
        pool.end(&service);
        assert!(matches!(queued.rest().last(), Some((Kind::End, _))), "what one of ours was woken for is served");
        assert!(matches!(slow.rest().last(), Some((Kind::End, _))), "what has begun is finished");
    });
    assert!(pool.has_ended());
    assert!(service.news.read().is_ok(), "the control loop is woken");
    std::fs::remove_file(path).expect("ours");
}

/// A worker with one thread, a listener of its own and counters.
struct Alone {
    pool: Pool,
    service: Service,
    own: Vec<u8>,
    queue: PathBuf,
    words: SharedWords,
}

impl Alone {
    fn new(name: &str) -> Self {
        let (own, queue) = (format!("worker-test-{}-{name}", std::process::id()).into_bytes(), address(name));
        let listener = socket::listener(&queue, 8).expect("a listener");
        let pool = Pool::new(listener, Some(socket::abstract_listener(&own, 8).expect("a listener"))).expect("a pool");
        let shape = Shape::new(1, 1);
        let (memory, words) = SharedWords::create(c"test", shape.words()).expect("memory");
        Counters::format(&words, shape).expect("large enough");
        let mut service = service(Box::new(|_, head, exchange| {
            if head.callable == b"slow" {
                std::thread::sleep(Duration::from_millis(100));
            }
            hello(exchange)
        }));
        service.offer = Offer::new(1);
        service.counters = Some((SharedWords::map(&memory).expect("mapped"), 0));
        Self { pool, service, own, queue, words }
    }

    fn serves(&self, test: impl FnOnce()) {
        std::thread::scope(|scope| {
            self.pool.start(scope, &self.service, 1, 256 * 1024).expect("started");
            self.pool.accept(&self.service).expect("accepts");
            test();
            self.pool.end(&self.service);
        });
        std::fs::remove_file(&self.queue).expect("ours");
    }

    fn reserve(&self) -> bool {
        Counters::view(&self.words).and_then(|counters| counters.worker(0)).expect("a slot").reserve().is_some()
    }

    fn release(&self) {
        self.service.with_slot(|slot| slot.release(std::process::id(), 1));
    }
}

fn send(httpd: &Httpd, callable: &'static [u8]) {
    httpd.send(&request(&RequestHead { callable, ..head() }, &[]), &[]);
}

/// The payload of the `End` frame.
fn end_of(httpd: &mut Httpd) -> Vec<u8> {
    std::iter::from_fn(|| httpd.frame()).find(|(kind, _)| *kind == Kind::End).expect("an end").1
}

#[test]
fn a_direct_connection_is_kept_and_its_thread_is_free_when_the_answer_is_there() {
    let alone = Alone::new("kept");
    alone.serves(|| {
        let mut httpd = Httpd::new(socket::connected_abstract(&alone.own).expect("connected"));
        for _ in 0..20 {
            assert!(alone.reserve() && !alone.reserve());
            send(&httpd, b"");
            assert_eq!(end_of(&mut httpd), [1]);
        }
        alone.pool.end(&alone.service);
        assert_eq!(httpd.rest(), [(Kind::Closing, Vec::new())]);
        assert!(!alone.reserve());
        assert_eq!(socket::connected_abstract(&alone.own).map(drop), Err(Errno::ECONNREFUSED));
    });
}

#[test]
fn who_comes_directly_to_a_worker_that_drains_is_sent_away_at_once() {
    let alone = Alone::new("drains");
    alone.serves(|| {
        let mut busy = Httpd::new(socket::connected_abstract(&alone.own).expect("connected"));
        assert!(alone.reserve());
        send(&busy, b"slow");
        std::thread::sleep(Duration::from_millis(30));
        let mut late = Httpd::new(socket::connected_abstract(&alone.own).expect("connected"));
        send(&late, b"");
        alone.pool.end(&alone.service);
        assert!(matches!(late.frame(), Some((Kind::Closing, _))));
        assert_eq!(busy.frame_at_hand(), None, "the other request still runs");
        assert_eq!(end_of(&mut busy), [0]);
    });
}

#[test]
fn who_waits_in_the_queue_is_not_overtaken() {
    let alone = Alone::new("queue");
    alone.serves(|| {
        let mut first = Httpd::new(socket::connected_abstract(&alone.own).expect("connected"));
        assert!(alone.reserve());
        send(&first, b"slow");
        std::thread::sleep(Duration::from_millis(30));
        let mut queued = Httpd::new(socket::connected(&alone.queue).expect("connected"));
        send(&queued, b"slow");
        assert_eq!(end_of(&mut first), [1]);
        assert!(!alone.reserve(), "the thread is for the one in the queue");
        assert_eq!(end_of(&mut queued), [0]);
        assert!(alone.reserve());
        alone.release();
    });
}

#[test]
fn who_was_overtaken_is_sent_to_the_queue() {
    let alone = Alone::new("overtaken");
    alone.serves(|| {
        let mut overtaken = Httpd::new(socket::connected_abstract(&alone.own).expect("connected"));
        assert!(alone.reserve());
        let mut quicker = Httpd::new(socket::connected(&alone.queue).expect("connected"));
        send(&quicker, b"slow");
        std::thread::sleep(Duration::from_millis(30));
        assert!(alone.service.news.read().is_ok(), "the control loop is woken");
        assert!(alone.pool.send_on(&alone.service), "and looks again");
        send(&overtaken, b"");
        assert!(!alone.pool.send_on(&alone.service), "until it was there");
        assert!(matches!(overtaken.frame(), Some((Kind::Closing, _))));
        assert_eq!(end_of(&mut quicker), [0]);
        assert!(alone.reserve() && !alone.reserve(), "the books are right");
        alone.release();
    });
}

#[test]
fn a_reservation_that_nobody_uses_does_not_keep_the_queue_waiting() {
    let alone = Alone::new("lost");
    alone.serves(|| {
        assert!(alone.reserve(), "by a child that dies");
        for _ in 0..3 {
            let mut queued = Httpd::new(socket::connected(&alone.queue).expect("connected"));
            send(&queued, b"");
            assert_eq!(end_of(&mut queued), [0]);
        }
    });
}

/// A path for a listener of this process.
fn address(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("worker-{}-{name}", std::process::id()))
}

fn tempfile() -> std::fs::File {
    let memory = sys::nix::sys::memfd::memfd_create(c"test", sys::nix::sys::memfd::MFdFlags::MFD_CLOEXEC).expect("a memfd");
    memory.into()
}

#[test]
fn a_connection_is_not_left_behind_by_a_worker_that_ends() {
    let path = address("two-workers");
    let listener = socket::listener(&path, 64).expect("a listener");
    let service = service(Box::new(|_, _, exchange| hello(exchange)));
    for _ in 0..60 {
        let [first, second] = [(); 2].map(|()| Pool::new(listener.try_clone().expect("a descriptor"), None).expect("a pool"));
        std::thread::scope(|scope| {
            for pool in [&first, &second] {
                pool.start(scope, &service, 3, 256 * 1024).expect("started");
                pool.accept(&service).expect("accepts");
            }
            let clients: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        for _ in 0..60 {
                            let mut httpd = Httpd::new(socket::connected(&path).expect("connected"));
                            httpd.send(&request(&head(), &[]), &[]);
                            assert!(matches!(httpd.rest().last(), Some((Kind::End, _))));
                        }
                    })
                })
                .collect();
            std::thread::sleep(Duration::from_millis(2));
            first.end(&service);
            for client in clients {
                client.join().expect("each request was answered");
            }
            second.end(&service);
        });
    }
    std::fs::remove_file(path).expect("ours");
}
