//! Tells the fleet that this worker lives, and what it has done. It is only told: a broker that is away costs the worker nothing.
//!
//! Counting an attempt costs an atomic number each; everything else is done once a beat.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use oarlock_broker::{Announcement, Error, Health, Message, topology};
use oarlock_protocol::message::{BeatMessage, Kind, Outcome};
use oarlock_protocol::{FORMAT, Timestamp};
use tokio::time::{sleep, timeout};

use super::Shared;

/// The most names of queues, and of tasks, that a beat tells: with the longest names it still fits into an announcement.
const MOST_NAMES: usize = 100;
/// How long the last beat may take: what nobody hears must hold no process.
const LAST_BEAT: Duration = Duration::from_secs(1);
/// Stands for a worker that has never done anything.
const NEVER: i64 = i64::MIN;

/// What a worker has done since it was started.
pub(super) struct Deeds {
    /// When it last began or ended an attempt, in milliseconds since the epoch.
    last_active: AtomicI64,
    completed: AtomicU64,
    failed: AtomicU64,
}

impl Deeds {
    /// None yet.
    pub(super) fn new() -> Self {
        let (completed, failed) = Default::default();
        Self { last_active: AtomicI64::new(NEVER), completed, failed }
    }

    /// An attempt is begun.
    pub(super) fn began(&self, now: Timestamp) {
        self.last_active.store(now.as_millis(), Ordering::Relaxed);
    }

    /// An attempt has ended so.
    pub(super) fn ended(&self, outcome: &Outcome, now: Timestamp) {
        self.last_active.store(now.as_millis(), Ordering::Relaxed);
        match outcome {
            Outcome::Completed { .. } => _ = self.completed.fetch_add(1, Ordering::Relaxed),
            Outcome::Failed { .. } => _ = self.failed.fetch_add(1, Ordering::Relaxed),
            Outcome::Deferred { .. } | Outcome::Accepted | Outcome::Refused => {}
        }
    }

    fn last_active(&self) -> Option<Timestamp> {
        let at = self.last_active.load(Ordering::Relaxed);
        (at != NEVER).then(|| Timestamp::from_millis(at))
    }
}

/// What every beat of a worker tells alike.
pub(super) struct Told {
    host: String,
    version: String,
    started_at: Timestamp,
    every: Duration,
    queues: Vec<String>,
    tasks: Vec<String>,
}

impl Told {
    pub(super) fn new(
        version: String,
        started_at: Timestamp,
        every: Duration,
        queues: &BTreeSet<String>,
        tasks: impl Iterator<Item = String>,
    ) -> Self {
        let queues = queues.iter().take(MOST_NAMES).cloned().collect();
        let tasks = tasks.take(MOST_NAMES).collect();
        Self { host: crate::host_name(), version, started_at, every, queues, tasks }
    }
}

/// Beats until it is aborted.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut refused = false;
    let mut health = shared.broker.health();
    loop {
        let told = tell(&shared, false).await;
        if let (false, Err(error @ Error::Refused(_))) = (refused, &told) {
            refused = true;
            tracing::warn!(%error, "this worker is not seen in the fleet; it works as before");
        }
        // The first beat should not wait for the second because the connection was not made yet.
        let back = async {
            match told {
                Err(Error::Unavailable(_)) if *health.borrow() != Health::Ready => {
                    health.wait_for(|health| *health == Health::Ready).await.is_ok()
                }
                Ok(()) | Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = back => {}
            () = sleep(shared.told.every) => {}
        }
    }
}

/// The last beat.
pub(super) async fn leave(shared: &Shared) {
    let left = timeout(LAST_BEAT, tell(shared, true)).await;
    if !matches!(left, Ok(Ok(()))) {
        tracing::debug!("the fleet is not told that this worker leaves; it notices when the beats stay away");
    }
}

async fn tell(shared: &Shared, leaving: bool) -> Result<(), Error> {
    let beat = beat(shared, leaving);
    let message = Message {
        body: serde_json::to_vec(&beat).unwrap_or_default().into(),
        message_id: format!("{}-beat-{}", beat.worker_id, beat.sent_at.as_millis()),
        kind: Kind::Beat.as_str().to_owned(),
        ..Message::default()
    };
    let (exchange, topic) = (topology::FLEET.to_owned(), topology::worker_topic(beat.worker_id.as_str()));
    shared.broker.announce(vec![Announcement { exchange, topic, message }]).await
}

fn beat(shared: &Shared, leaving: bool) -> BeatMessage {
    let Shared { told, deeds, .. } = shared;
    BeatMessage {
        format: FORMAT,
        worker_id: shared.worker_id.clone(),
        host: told.host.clone(),
        version: told.version.clone(),
        sent_at: shared.clock.now(),
        started_at: told.started_at,
        beat_ms: u64::try_from(told.every.as_millis()).unwrap_or(u64::MAX),
        queues: told.queues.clone(),
        tasks: told.tasks.clone(),
        slots: u32::from(shared.prefetch),
        open: u32::try_from(shared.executions.len()).unwrap_or(u32::MAX),
        last_active: deeds.last_active(),
        completed: deeds.completed.load(Ordering::Relaxed),
        failed: deeds.failed.load(Ordering::Relaxed),
        leaving,
    }
}
