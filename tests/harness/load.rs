//! Steady load from many connections, and the account of what became of each request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::client::{Client, Request, Response};

/// Clients that ask for one URL over and over, each time on a new connection, so that every failure is the server's.
#[derive(Debug)]
pub(crate) struct Load {
    is_over: Arc<AtomicBool>,
    account: Arc<Mutex<Account>>,
    clients: Vec<JoinHandle<()>>,
}

/// What became of the requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    /// Those answered with 200, in full, and as the test wanted.
    pub(crate) good: usize,
    /// What the others got: the status, or the error.
    pub(crate) failures: Vec<String>,
    /// The longest that a good one took.
    pub(crate) slowest: Duration,
}

impl Load {
    /// Starts `connections` clients; `is_right` judges the body of an answer with status 200.
    pub(crate) fn start(port: u16, connections: usize, target: &str, is_right: fn(&Response) -> bool) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let account = Arc::new(Mutex::new(Account::default()));
        let clients = (0..connections)
            .map(|_| {
                let (is_over, account, request) = (is_over.clone(), account.clone(), Request::get(target).header("Connection", "close"));
                std::thread::spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        let began = Instant::now();
                        let answer = Client::try_connect(port).and_then(|mut client| client.try_ask(&request));
                        account.lock().expect("no client panics").enter(answer, is_right, began.elapsed());
                        // Leaves the machine's processors something for the server and for other tests.
                        std::thread::sleep(Duration::from_millis(5));
                    }
                })
            })
            .collect();
        Self { is_over, account, clients }
    }

    /// Waits until so many more requests have been answered well.
    pub(crate) fn wait_for(&self, more: usize) {
        let now = || self.account.lock().expect("no client panics").good;
        let before = now();
        let reached = super::wait_until(Duration::from_secs(30), || (now() >= before + more).then_some(()));
        assert!(reached.is_some(), "{more} more requests are not answered within 30 s: {:?}", self.account.lock());
    }

    /// Ends the load and gives the account.
    pub(crate) fn stop(self) -> Account {
        self.is_over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("no client panics");
        }
        std::mem::take(&mut self.account.lock().expect("no client panics"))
    }
}

impl Account {
    fn enter(&mut self, answer: std::io::Result<Response>, is_right: fn(&Response) -> bool, took: Duration) {
        match answer {
            Ok(answer) if answer.status == 200 && answer.complete && is_right(&answer) => {
                self.good += 1;
                self.slowest = self.slowest.max(took);
            }
            Ok(answer) => self.failures.push(format!("{} complete={} {:.80}", answer.status, answer.complete, answer.text())),
            Err(error) => self.failures.push(error.to_string()),
        }
    }
}
