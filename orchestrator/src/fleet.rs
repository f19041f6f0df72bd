//! What the fleet tells: every node hears all of it, on a queue of its own, and keeps in memory who lives.
//!
//! [`crate::Node`] starts it and asks it. Nothing of a run rests on what is heard here: it may be lost, and is gone with the node.
//! What cannot be understood is counted and dropped; parked it would come again with every beat.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oarlock_broker::{Consumer, Error, Message, Subscription, topology};
use oarlock_protocol::message::{BeatMessage, Kind};
use oarlock_protocol::{Span, Timestamp};
use tokio::task::JoinHandle;

use crate::partition::{Shared, inbox};
use depths::Depths;
use registry::Registry;
pub use registry::{WorkerEntry, WorkerState};

mod depths;
mod registry;

/// What is told and not yet heard. It is small, and taken in at once.
const PREFETCH: u16 = 1_000;
/// The pause before a broker that failed is tried again.
const LISTEN_AGAIN: Duration = Duration::from_millis(500);

/// How workers are looked after.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a worker that beats no more is shown as silent before it is forgotten.
    pub kept: Span,
    /// How often the queues of workers are looked at.
    pub look: Span,
    /// When a worker is silent, or idle where it should not be.
    pub rules: oarlock_monitor::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            kept: Span::from_secs(2 * 60),
            look: Span::from_secs(5),
            rules: oarlock_monitor::Settings::default(),
        }
    }
}

/// What a node knows of the fleet. Dropping it ends the listening.
pub(crate) struct Fleet {
    heard: Arc<Heard>,
    services: [JoinHandle<()>; 2],
}

/// What was heard.
struct Heard {
    shared: Arc<Shared>,
    registry: Mutex<Registry>,
    depths: Mutex<Depths>,
}

impl Fleet {
    /// Begins to listen on the queue of the node of that id.
    pub(crate) fn start(shared: &Arc<Shared>, node: &str) -> Self {
        let (shared, registry, depths) = (Arc::clone(shared), Mutex::default(), Mutex::default());
        let heard = Arc::new(Heard { shared, registry, depths });
        let services = [
            tokio::spawn(listen_for_ever(Arc::clone(&heard), node.to_owned())),
            tokio::spawn(look_for_ever(Arc::clone(&heard))),
        ];
        Self { heard, services }
    }

    /// The workers that live, and those that were silent too lately to be forgotten; by their ids.
    pub(crate) fn workers(&self) -> Vec<WorkerEntry> {
        let Heard { shared, registry, depths } = &*self.heard;
        let depths = lock(depths).clone();
        let ready_of = |queue: &str| depths.ready_of(queue);
        lock(registry).entries(&shared.settings.fleet, shared.clock.now(), ready_of)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.services.iter().for_each(JoinHandle::abort);
    }
}

async fn listen_for_ever(heard: Arc<Heard>, node: String) {
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
                lock(&self.registry).hear(beat, &self.shared.settings.fleet, now)
            }
            Some(_) | None => Err(format!("the fleet does not tell messages of type '{}'", message.kind)),
        }
    }
}

/// Looks at the queues of those who live, again and again, and forgets who does not.
async fn look_for_ever(heard: Arc<Heard>) {
    let Heard { shared, registry, depths } = &*heard;
    loop {
        tokio::time::sleep(shared.settings.fleet.look.into()).await;
        let queues = {
            let mut registry = lock(registry);
            registry.forget(&shared.settings.fleet, shared.clock.now());
            registry.queues()
        };
        let found = depths::look(&*shared.broker, queues).await;
        lock(depths).take_in(found, shared.clock.now());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves what is inside whole: each change of it is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
