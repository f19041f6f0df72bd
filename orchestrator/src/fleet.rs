//! What the fleet tells: every node hears all of it, on a queue of its own, and keeps in memory who lives.
//!
//! [`crate::Node`] starts it and asks it. Nothing of a run rests on what is heard here: it may be lost, and is gone with the node.
//! What cannot be understood is counted and dropped; parked it would come again with every beat.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oarlock_broker::{Consumer, Error, Message, Subscription, topology};
use oarlock_monitor::rules::WorkerSnapshot;
use oarlock_protocol::message::{BeatMessage, Kind};
use oarlock_protocol::{Clock, Span, Timestamp};
use tokio::task::JoinHandle;

use crate::lookout::{self, Crew, Lookout};
use crate::partition::{Shared, inbox};
use crate::queues::WorkersOf;
use registry::Registry;
pub use registry::{WorkerEntry, WorkerState};

mod registry;

/// What is told and not yet heard. It is small, and taken in at once.
const PREFETCH: u16 = 1_000;
/// The pause before a broker that failed is tried again.
const LISTEN_AGAIN: Duration = Duration::from_millis(500);

/// How workers are judged.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How long a worker that beats no more is shown as silent before it is forgotten.
    pub(crate) kept: Span,
    /// When a worker is silent, or idle where it should not be.
    pub(crate) rules: oarlock_monitor::Settings,
}

/// What a node hears of the fleet. Dropping it ends the listening.
pub(crate) struct Fleet(JoinHandle<()>);

/// The workers that are heard.
pub(crate) struct Workers {
    settings: Settings,
    clock: Clock,
    registry: Mutex<Registry>,
}

/// What listens.
struct Heard {
    shared: Arc<Shared>,
    workers: Arc<Workers>,
    lookout: Arc<Lookout>,
}

impl Fleet {
    /// Begins to listen on the queue of the node of that id.
    pub(crate) fn start(
        shared: &Arc<Shared>,
        node: &str,
        workers: Arc<Workers>,
        lookout: Arc<Lookout>,
    ) -> Self {
        let heard = Heard { shared: Arc::clone(shared), workers, lookout };
        Self(tokio::spawn(listen_for_ever(heard, node.to_owned())))
    }
}

impl Workers {
    /// None yet, judged by these settings of a node.
    pub(crate) fn new(settings: &crate::Settings, clock: Clock) -> Self {
        let settings = Settings { kept: settings.workers_kept, rules: settings.anomalies.rules.clone() };
        Self { settings, clock, registry: Mutex::default() }
    }

    /// The workers that live, and those that were silent too lately to be forgotten; by their ids. `ready_of` tells how many tasks
    /// wait in a queue, and since when.
    pub(crate) fn entries(&self, ready_of: impl Fn(&str) -> Option<(u64, Timestamp)>) -> Vec<WorkerEntry> {
        lock(&self.registry).entries(&self.settings, self.clock.now(), ready_of)
    }
}

impl Crew for Workers {
    fn by_queue(&self) -> BTreeMap<String, WorkersOf> {
        let now = self.clock.now();
        let mut registry = lock(&self.registry);
        registry.forget(&self.settings, now);
        registry.by_queue(&self.settings, now)
    }

    fn snapshots(&self, ready: &dyn Fn(&str) -> Option<(u64, Timestamp)>) -> Vec<WorkerSnapshot> {
        lock(&self.registry).snapshots(ready)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn listen_for_ever(heard: Heard, node: String) {
    loop {
        match listen(&heard, &node).await {
            Ok(()) => {}
            // Whoever keeps the connection tells that it is lost.
            Err(error @ (Error::Unavailable(_) | Error::Ended)) => {
                tracing::debug!(%error, "the fleet is not heard now; trying again");
            }
            Err(error) => tracing::warn!(%error, "the fleet is not heard now; trying again"),
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

async fn listen(heard: &Heard, node: &str) -> Result<(), Error> {
    let broker = &heard.shared.broker;
    broker.declare(&topology::fleet_declaration(node)).await?;
    let subscription = Subscription { queue: topology::fleet(node), prefetch: PREFETCH, priority: 0 };
    let mut consumer: Box<dyn Consumer> = broker.consume(subscription).await?;
    let acknowledger = consumer.acknowledger();
    loop {
        let deliveries = consumer.receive(usize::from(PREFETCH)).await?;
        let now = heard.shared.clock.now();
        for delivery in &deliveries {
            if let Err(reason) = heard.hear(&delivery.message, now) {
                heard.shared.counters.unheard.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                tracing::debug!(
                    message.id = delivery.message.message_id,
                    reason,
                    "dropped what the fleet told"
                );
            }
        }
        if let Some(last) = deliveries.last() {
            acknowledger.ack_through(last.tag).await?;
        }
    }
}

impl Heard {
    /// Takes in what was told; else the reason why not.
    fn hear(&self, message: &Message, now: Timestamp) -> Result<(), String> {
        match Kind::parse(&message.kind) {
            Some(Kind::Beat) => {
                let beat: BeatMessage = inbox::body(message)?;
                inbox::check(beat.format)?;
                lock(&self.workers.registry).hear(beat, &self.workers.settings, now)
            }
            None if message.kind == lookout::REPORT => self.lookout.hear(&message.body),
            Some(_) | None => Err(format!("the fleet does not tell messages of type '{}'", message.kind)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves what is inside whole: each change of it is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
