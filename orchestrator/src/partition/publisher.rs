//! Publishes what has to arrive after its commit, and remembers what is confirmed. The outbox in the store names the rest.

use std::sync::Arc;
use std::time::Duration;

use oarlock_broker::{Broker, Error, Publication, topology};
use oarlock_engine::map::{Map, Set};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::batch::{Dispatch, Entry, What};
use super::outbox::Outbox;

/// The pause before publications that failed are tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// The most batches of publications on their way at once.
const MOST_IN_FLIGHT: usize = 64;

/// The most publications that failed and are built anew at once: each holds a message in memory.
const MOST_AGAIN: usize = 256;

/// A message, ready to be published.
pub(super) struct Outgoing {
    pub(super) dispatch: Dispatch,
    pub(super) publication: Publication,
}

/// Publishes, and collects confirmations.
pub(super) struct Publisher {
    broker: Arc<dyn Broker>,
    delivery_limit: u32,
    declared: Set<String>,
    /// What is not confirmed, and which field of the store's outbox names it, once one does.
    unconfirmed: Map<Entry, (Dispatch, Option<u64>)>,
    outbox: Outbox,
    /// What could not be published, and when it is tried again.
    failed: Vec<Dispatch>,
    again_at: Option<Instant>,
    in_flight: JoinSet<Vec<(Dispatch, Result<(), Error>)>>,
}

impl Publisher {
    pub(super) fn new(broker: Arc<dyn Broker>, delivery_limit: u32) -> Self {
        Self {
            broker,
            delivery_limit,
            declared: Set::default(),
            unconfirmed: Map::default(),
            outbox: Outbox::default(),
            failed: Vec::new(),
            again_at: None,
            in_flight: JoinSet::new(),
        }
    }

    /// Whether the store's outbox has to name it. Where messages do not outlive this process a take-over
    /// publishes every open attempt again, and an outbox would tell it nothing. The end of a run is no open attempt.
    pub(super) fn needs_outbox(&self, what: &What) -> bool {
        match what {
            What::Task { .. } | What::Child { .. } => self.broker.keeps_messages(),
            What::End | What::EndInBrief { .. } => true,
        }
    }

    /// Counts it as not yet confirmed.
    pub(super) fn add(&mut self, dispatch: &Dispatch) {
        let unconfirmed = self.unconfirmed.entry(dispatch.entry());
        let (known, _) = unconfirmed.or_insert_with(|| (dispatch.clone(), None));
        if known.what != dispatch.what {
            *known = dispatch.clone();
        }
    }

    /// A field of the outbox names it, from the commit at hand on or since one before.
    pub(super) fn file(&mut self, entry: Entry, field: u64) {
        if let Some((_, filed @ None)) = self.unconfirmed.get_mut(&entry) {
            *filed = Some(field);
            self.outbox.enter(field, 1);
        }
    }

    /// It need not be published any more.
    pub(super) fn close(&mut self, entry: Entry) {
        if let Some((_, Some(field))) = self.unconfirmed.remove(&entry) {
            self.outbox.leave(field);
        }
    }

    /// Which fields of the outbox name something that is not confirmed.
    pub(super) fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Whether it is still to be confirmed.
    pub(super) fn awaits(&self, entry: Entry) -> bool {
        self.unconfirmed.contains_key(&entry)
    }

    /// Puts off what the broker would not take now.
    pub(super) fn put_off(&mut self, dispatch: Dispatch) {
        self.failed.push(dispatch);
        self.again_at.get_or_insert_with(|| Instant::now() + AGAIN);
    }

    /// Makes sure that a task queue exists.
    pub(super) async fn declare(&mut self, queue: &String) {
        let missing = self.missing(std::iter::once(queue));
        if !declare_all(&*self.broker, self.delivery_limit, missing).await {
            self.declared.remove(queue);
        }
    }

    /// Those that were not declared yet; they count as declared from now on, until a publication finds no queue.
    fn missing<'a>(&mut self, queues: impl Iterator<Item = &'a String>) -> Vec<String> {
        let mut missing = Vec::new();
        for queue in queues {
            if !self.declared.contains(queue) {
                self.declared.insert(queue.clone());
                missing.push(queue.clone());
            }
        }
        missing
    }

    /// Publishes messages, in the background.
    pub(super) fn publish(&mut self, outgoing: Vec<Outgoing>) {
        let queues = outgoing.iter().filter_map(|outgoing| match &outgoing.dispatch.what {
            What::Task { queue, .. } => Some(queue),
            // Inboxes are declared by their owners.
            What::Child { .. } | What::End | What::EndInBrief { .. } => None,
        });
        let missing = self.missing(queues);
        let (broker, limit) = (self.broker.clone(), self.delivery_limit);
        self.in_flight.spawn(async move {
            declare_all(&*broker, limit, missing).await;
            let (dispatches, publications): (Vec<_>, Vec<_>) =
                outgoing.into_iter().map(|outgoing| (outgoing.dispatch, outgoing.publication)).unzip();
            let results = broker.publish(publications).await;
            dispatches.into_iter().zip(results).collect()
        });
    }

    /// Takes in what is done. What the broker refuses for good comes back.
    pub(super) fn catch_up(&mut self) -> Vec<(Dispatch, Error)> {
        let mut refused = Vec::new();
        while let Some(done) = self.in_flight.try_join_next() {
            refused.extend(self.settle(done.unwrap_or_default()));
        }
        refused
    }

    /// Whether as much is on its way as may be: what is ready waits then.
    pub(super) fn is_full(&self) -> bool {
        self.in_flight.len() >= MOST_IN_FLIGHT
    }

    /// Waits until a batch of publications is done; for ever while none is in flight.
    pub(super) async fn done(&mut self) -> Vec<(Dispatch, Result<(), Error>)> {
        match self.in_flight.join_next().await {
            Some(Ok(results)) => results,
            Some(Err(error)) => {
                tracing::error!(%error, "a publication ended early; what it held is published again after a restart");
                Vec::new()
            }
            None => std::future::pending().await,
        }
    }

    /// Waits until nothing is on its way, at most this long.
    pub(super) async fn wait_for_all(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while !self.in_flight.is_empty() {
            let Ok(results) = tokio::time::timeout_at(until, self.done()).await else { return };
            self.settle(results);
        }
    }

    /// Takes the outcome of a batch of publications in. Returns what the broker refuses for good.
    pub(super) fn settle(&mut self, results: Vec<(Dispatch, Result<(), Error>)>) -> Vec<(Dispatch, Error)> {
        let mut refused = Vec::new();
        let mut failures = 0;
        let mut last = None;
        for (dispatch, result) in results {
            let open = self.awaits(dispatch.entry());
            match result {
                Ok(()) if open => self.close(dispatch.entry()),
                Err(error @ Error::Refused(_)) if open => refused.push((dispatch, error)),
                Err(error) if open => {
                    if let (Error::NoQueue(_), What::Task { queue, .. }) = (&error, &dispatch.what) {
                        self.declared.remove(queue);
                    }
                    self.failed.push(dispatch);
                    failures += 1;
                    last = Some(error);
                }
                Ok(()) | Err(_) => {}
            }
        }
        if let Some(error) = last {
            tracing::warn!(failures, %error, "messages could not be published; they are tried again");
            self.again_at = Some(Instant::now() + AGAIN);
        }
        refused
    }

    /// When failed publications are tried again.
    pub(super) fn again_at(&self) -> Option<Instant> {
        self.again_at
    }

    /// What failed and whose time has come to be tried again, as much as may be at once.
    pub(super) fn take_failed(&mut self) -> Vec<Dispatch> {
        if self.again_at.is_none_or(|at| at > Instant::now()) {
            return Vec::new();
        }
        // An attempt that closed meanwhile is not published: its place may hold another one by now.
        let mut failed = std::mem::take(&mut self.failed);
        failed.retain(|dispatch| self.awaits(dispatch.entry()));
        self.failed = failed.split_off(failed.len().min(MOST_AGAIN));
        self.again_at = (!self.failed.is_empty()).then(Instant::now);
        failed
    }
}

/// Declares task queues. Whether all are there; where one is not, publishing to it tells.
async fn declare_all(broker: &dyn Broker, delivery_limit: u32, queues: Vec<String>) -> bool {
    let mut all = true;
    for queue in queues {
        if let Err(error) = broker.declare(&topology::tasks_declaration(&queue, delivery_limit)).await {
            tracing::warn!(queue, %error, "the task queue cannot be declared");
            all = false;
        }
    }
    all
}
