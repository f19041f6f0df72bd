//! Everything a worker publishes, in batches: results, signs of life, parked messages.
//!
//! One loop publishes it all, a few batches at a time. A batch with a sign is confirmed before the next one goes, so that a sign
//! never follows the result of its attempt. What cannot be published is tried again with growing delay for as long as the process
//! lives; its delivery stays unacknowledged meanwhile.

use std::sync::Arc;

use bytes::Bytes;
use oarlock_broker::{Error, Message, Publication, topology};
use oarlock_protocol::ExecutionId;
use oarlock_protocol::message::Kind;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::channel::Receipt;
use super::{Shared, backoff};

/// Publications confirmed together: large enough that a batch's cost is the messages', small enough for its latency.
const BATCH: usize = 256;
/// Batches on their way at once: while the broker writes one to its disk, it can read the next.
const MOST_IN_FLIGHT: usize = 4;

/// Something to publish.
pub(super) enum Outgoing {
    /// An attempt's result, for its inbox.
    Result { to: String, execution: ExecutionId, body: Bytes },
    /// A sign of life. It is not tried again: the next one comes.
    Progress { to: String, execution: ExecutionId, message_id: String, body: Bytes },
    /// A message that could not be understood, its reason in its headers. Apart, since it is rare and large.
    Parked(Box<Parked>),
}

/// A message for the operators, and the delivery it came by.
pub(super) struct Parked {
    pub(super) publication: Publication,
    pub(super) receipt: Receipt,
}

/// Something that could not be published, and when it is tried again.
struct Waiting {
    outgoing: Outgoing,
    failures: u32,
    due: Instant,
}

/// Batches on their way; each comes back with what is to be tried again.
#[derive(Default)]
struct InFlight {
    batches: JoinSet<Vec<Waiting>>,
    /// Whether a sign is among them: nothing may overtake it.
    holds_sign: bool,
}

/// Publishes what comes, until the worker ends it.
pub(super) async fn run(shared: Arc<Shared>, mut outgoing: mpsc::Receiver<Outgoing>) {
    let mut waiting: Vec<Waiting> = Vec::new();
    let mut fresh = Vec::with_capacity(BATCH);
    let mut in_flight = InFlight::default();
    loop {
        let due = waiting.iter().map(|waiting| waiting.due).min();
        let free = in_flight.has_room();
        tokio::select! {
            biased;
            again = in_flight.next() => {
                waiting.extend(again);
                continue;
            }
            // Before the fresh ones, which may never end.
            () = sleep_until(due.unwrap_or_else(Instant::now)), if free && due.is_some() => {}
            received = outgoing.recv_many(&mut fresh, BATCH), if free => if received == 0 { return },
        }
        let mut batch: Vec<(Outgoing, u32)> = fresh.drain(..).map(|outgoing| (outgoing, 0)).collect();
        take_due(&mut waiting, &mut batch);
        in_flight.publish(&shared, batch);
    }
}

impl InFlight {
    fn has_room(&self) -> bool {
        self.batches.len() < MOST_IN_FLIGHT && !self.holds_sign
    }

    fn publish(&mut self, shared: &Arc<Shared>, batch: Vec<(Outgoing, u32)>) {
        self.holds_sign = batch.iter().any(|(outgoing, _)| matches!(outgoing, Outgoing::Progress { .. }));
        let shared = Arc::clone(shared);
        self.batches.spawn(async move { publish(&shared, batch).await });
    }

    /// Waits for a batch, and returns what of it is to be tried again; for ever while none is on its way.
    async fn next(&mut self) -> Vec<Waiting> {
        let Some(done) = self.batches.join_next().await else { return std::future::pending().await };
        // The batch with the sign is the last: nothing follows it until all are done.
        self.holds_sign = self.holds_sign && !self.batches.is_empty();
        done.unwrap_or_else(|error| {
            tracing::error!(%error, "a publication ended early; the broker hands out again what it held");
            Vec::new()
        })
    }
}

fn take_due(waiting: &mut Vec<Waiting>, batch: &mut Vec<(Outgoing, u32)>) {
    let now = Instant::now();
    let due = waiting.extract_if(.., |waiting| waiting.due <= now);
    batch.extend(due.take(BATCH).map(|waiting| (waiting.outgoing, waiting.failures)));
}

/// Publishes a batch, acknowledges what it answers, and returns what is to be tried again.
async fn publish(shared: &Shared, batch: Vec<(Outgoing, u32)>) -> Vec<Waiting> {
    let publications = batch.iter().map(|(outgoing, _)| outgoing.publication()).collect();
    let outcomes = shared.broker.publish(publications).await;
    let mut answers = Vec::with_capacity(batch.len());
    let mut receipts = Vec::new();
    let mut again = Vec::new();
    for ((outgoing, failures), outcome) in batch.into_iter().zip(outcomes) {
        match (outgoing, outcome) {
            (Outgoing::Progress { execution, .. }, Err(error)) => {
                tracing::debug!(execution = %execution, %error, "a sign of life could not be published");
            }
            (outgoing, Err(error)) => again.push(Waiting::after(outgoing, failures + 1, &error)),
            (Outgoing::Result { execution, body, .. }, Ok(())) => answers.push((execution, body)),
            (Outgoing::Parked(parked), Ok(())) => receipts.push(parked.receipt),
            (Outgoing::Progress { .. }, Ok(())) => {}
        }
    }
    let confirmed = shared.executions.confirmed(answers);
    receipts.extend(confirmed.receipts);
    shared.executions.acknowledge(receipts).await;
    again.extend(confirmed.again.into_iter().map(|(to, execution, body)| Waiting {
        outgoing: Outgoing::Result { to, execution, body },
        failures: 0,
        due: Instant::now(),
    }));
    again
}

impl Waiting {
    fn after(outgoing: Outgoing, failures: u32, error: &Error) -> Self {
        let delay = backoff::delay(failures);
        if failures == 1 {
            tracing::warn!(to = outgoing.queue(), %error, "could not publish; trying again until it is confirmed");
        }
        Self { outgoing, failures, due: Instant::now() + delay }
    }
}

impl Outgoing {
    fn queue(&self) -> &str {
        match self {
            Self::Result { to, .. } | Self::Progress { to, .. } => to,
            Self::Parked(_) => topology::PARKED,
        }
    }

    fn publication(&self) -> Publication {
        let message = match self {
            Self::Result { execution, body, .. } => {
                let id = execution.to_string();
                answer(Kind::Result, format!("{id}-result"), id, body)
            }
            Self::Progress { execution, message_id, body, .. } => {
                answer(Kind::Progress, message_id.clone(), execution.to_string(), body)
            }
            Self::Parked(parked) => return parked.publication.clone(),
        };
        Publication { queue: self.queue().to_owned(), message }
    }
}

fn answer(kind: Kind, message_id: String, correlation_id: String, body: &Bytes) -> Message {
    Message {
        body: body.clone(),
        message_id,
        correlation_id: Some(correlation_id),
        kind: kind.as_str().to_owned(),
        ..Message::default()
    }
}
