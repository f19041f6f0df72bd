//! A steady load: clients that start runs one after the other, at whichever orchestrator answers.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::super::client::Client;
use super::super::harness::start_at_any;
use super::workflows::{WORKFLOWS, Workflow};

/// So many clients start runs.
pub(super) const CLIENTS: usize = 8;
/// The pause of a client between two starts: four runs a second together.
const PACE: Duration = Duration::from_secs(2);
/// What a client waits for an answer before it asks another node: a stopped one gives none.
const PATIENCE: Duration = Duration::from_secs(2);
/// Every so many-th start is sent again after it was accepted.
const ASKED_TWICE: usize = 5;

/// What the clients and the chaos share.
pub(super) struct Load {
    clients: Mutex<Vec<Client>>,
    next: AtomicUsize,
    /// Starts that were asked for again because no answer came, or that the node cannot now.
    pub(super) retries: AtomicUsize,
    accepted: Mutex<Vec<Accepted>>,
}

/// A run that was accepted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepted {
    pub(super) n: usize,
    pub(super) at: Instant,
    /// How long its client asked for it.
    pub(super) asked: Duration,
}

/// The workflow that is started with this number.
pub(super) fn workflow(n: usize) -> &'static Workflow {
    &WORKFLOWS[n % WORKFLOWS.len()]
}

impl Load {
    pub(super) fn new(clients: Vec<Client>) -> Self {
        let clients = clients.into_iter().map(|client| client.patience(PATIENCE)).collect();
        Self {
            clients: Mutex::new(clients),
            next: AtomicUsize::new(0),
            retries: AtomicUsize::new(0),
            accepted: Mutex::default(),
        }
    }

    /// A client of one of the orchestrators, another with every turn.
    pub(super) fn client(&self, turn: usize) -> Client {
        let clients = self.clients.lock().unwrap();
        clients[turn % clients.len()].clone()
    }

    pub(super) fn replace_client(&self, index: usize, client: Client) {
        self.clients.lock().unwrap()[index] = client.patience(PATIENCE);
    }

    /// What was accepted since the last call.
    pub(super) fn take_accepted(&self) -> Vec<Accepted> {
        std::mem::take(&mut self.accepted.lock().unwrap())
    }

    /// Starts runs until the time is over.
    pub(super) fn start_runs(&self, index: usize, until: Instant) {
        // Not all in the same moment.
        std::thread::sleep(PACE * u32::try_from(index).unwrap() / u32::try_from(CLIENTS).unwrap());
        while Instant::now() < until {
            let begun = Instant::now();
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            let first = self.start(n);
            let asked = begun.elapsed();
            self.accepted.lock().unwrap().push(Accepted { n, at: Instant::now(), asked });
            if n.is_multiple_of(ASKED_TWICE) {
                let again = self.start(n);
                assert!(again.replayed && again.body == first.body, "{first:?}, then {again:?}");
            }
            std::thread::sleep(PACE.saturating_sub(begun.elapsed()));
        }
    }

    fn start(&self, n: usize) -> super::super::client::Answer {
        let id = workflow(n).id;
        let (retries, answer) = start_at_any(|turn| self.client(n + turn), id, &n.to_string(), n);
        self.retries.fetch_add(retries, Ordering::Relaxed);
        answer
    }
}
