//! A worker at work: takes tasks from their queues, runs their handlers, answers on the partitions' inboxes.
//!
//! ```text
//! consume ──▶ execute ──▶ (handler) ──▶ outbox ──▶ reply_to
//!    │            │                        │ confirmed
//!    └─ channel ◀─┼────── acknowledge ◀────┘
//!                 ▼
//!            executions ◀── watch (limits, signs of life)   ◀── control (cancels, answers)
//! ```
//!
//! A delivery is acknowledged only after its result is confirmed, so that a task outlives its worker. Nothing here decides
//! about retries: that is the engine's.

mod answer;
mod backoff;
mod beat;
mod channel;
mod consume;
mod control;
mod execute;
mod executions;
mod outbox;
mod payloads;
mod recent;
mod signs;
mod verdict;
mod watch;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use oarlock_broker::{Broker, topology};
use oarlock_payloads::Payloads;
use oarlock_protocol::{Clock, WorkerId};
use oarlock_telemetry::Telemetry;
use tokio::sync::{Semaphore, mpsc, watch as switch};
use tokio::task::JoinSet;

use crate::builder::Limits;
use crate::handler::Handler;
use crate::metrics::Tallies;
use crate::{Secrets, Worker};
use beat::{Deeds, Told};
use executions::Executions;
use outbox::Outgoing;

/// Answers on their way at once. The prefetch bounds them already; this bounds what a slow broker holds in one place.
const OUTBOX_CAPACITY: usize = 1024;
/// How long the last answers may take to be confirmed when a worker stops: a broker that is gone must not hold it.
const FLUSH: Duration = Duration::from_secs(5);

/// How long the broker may take to hear of the last acknowledgements. One that is gone hands out again what it missed.
const LAST_WORD: Duration = Duration::from_secs(1);

/// How far a worker has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It takes tasks.
    Taking,
    /// It takes no more, and what runs may end.
    Draining,
    /// Nothing runs any more.
    Drained,
}

impl Phase {
    fn takes_no_more(&self) -> bool {
        *self != Self::Taking
    }
}

/// What the parts of a running worker share.
struct Shared {
    broker: Arc<dyn Broker>,
    worker_id: WorkerId,
    control_queue: String,
    handlers: HashMap<String, Arc<dyn Handler>>,
    secrets: Arc<Secrets>,
    prefetch: u16,
    slots: Arc<Semaphore>,
    limits: Limits,
    payloads: Option<Payloads>,
    clock: Clock,
    telemetry: Telemetry,
    executions: Executions,
    deeds: Deeds,
    told: Told,
    outbox: mpsc::Sender<Outgoing>,
    tallies: Arc<Tallies>,
}

/// A worker at work. Dropping it ends it at once: what it holds goes back to the queues.
pub struct Running {
    shared: Arc<Shared>,
    phase: switch::Sender<Phase>,
    consumers: JoinSet<()>,
    tasks: JoinSet<()>,
}

/// How a worker came to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Attempts that did not end in time: other workers get them, or this one after a restart.
    pub given_back: usize,
}

impl Worker {
    /// Starts to take tasks. Queues and a broker that are not there yet are waited for.
    ///
    /// # Errors
    /// [`oarlock_broker::Error::Refused`], where the broker does not let this worker have its control queue.
    pub async fn start(self) -> Result<Running, oarlock_broker::Error> {
        let queues: BTreeSet<String> = self.tasks.values().map(|binding| binding.queue.clone()).collect();
        let (outbox, outgoing) = mpsc::channel(OUTBOX_CAPACITY);
        let shared = Arc::new(Shared::new(self, &queues, outbox));
        let held = Arc::downgrade(&shared);
        let open = move || held.upgrade().map_or(0, |shared| shared.executions.len());
        shared.tallies.begin(Box::new(open));
        let control = match control::open(&shared).await {
            Err(refused @ oarlock_broker::Error::Refused(_)) => return Err(refused),
            opened => opened.ok(),
        };
        let (phase, phases) = switch::channel(Phase::Taking);
        let (mut consumers, mut tasks) = (JoinSet::new(), JoinSet::new());
        tasks.spawn(outbox::run(Arc::clone(&shared), outgoing));
        tasks.spawn(watch::run(Arc::clone(&shared)));
        tasks.spawn(control::run(Arc::clone(&shared), control));
        tasks.spawn(beat::run(Arc::clone(&shared)));
        for queue in queues {
            consumers.spawn(consume::run(Arc::clone(&shared), topology::tasks(&queue), phases.clone()));
        }
        Ok(Running { shared, phase, consumers, tasks })
    }
}

impl Shared {
    fn new(worker: Worker, queues: &BTreeSet<String>, outbox: mpsc::Sender<Outgoing>) -> Self {
        let worker_id = WorkerId::fresh(&worker.name);
        let (now, tasks) = (worker.clock.now(), worker.tasks.keys().cloned());
        let told = Told::new(worker.version, now, worker.beat, queues, tasks);
        Self {
            broker: worker.broker,
            control_queue: topology::control(worker_id.as_str()),
            worker_id,
            handlers: worker.tasks.into_iter().map(|(name, binding)| (name, binding.handler)).collect(),
            secrets: Arc::new(worker.secrets),
            prefetch: worker.slots,
            slots: Arc::new(Semaphore::new(usize::from(worker.slots))),
            limits: worker.limits,
            payloads: worker.payloads,
            clock: worker.clock,
            telemetry: worker.telemetry,
            executions: Executions::new(worker.limits.early_ack),
            deeds: Deeds::new(),
            told,
            outbox,
            tallies: worker.tallies,
        }
    }

    /// The largest output a handler may give, in bytes.
    fn largest_output(&self) -> usize {
        self.payloads
            .as_ref()
            .map_or(self.limits.max_payload_bytes, |payloads| payloads.limits().largest_bytes)
    }
}

impl Running {
    /// Names this start of the worker.
    pub fn worker_id(&self) -> &WorkerId {
        &self.shared.worker_id
    }

    /// How many attempts it holds: running, or ended and not yet confirmed.
    pub fn open(&self) -> usize {
        self.shared.executions.len()
    }

    /// Takes nothing new, lets what runs end within `grace`, cancels the rest, and gives back what did not end. When it
    /// returns, nothing is held any more.
    pub async fn drain(self, grace: Duration) -> Drained {
        self.drain_until(tokio::time::sleep(grace)).await
    }

    /// As [`Running::drain`], where what runs may end until `over` is ready: a grace that may still change.
    pub async fn drain_until(mut self, over: impl Future<Output = ()>) -> Drained {
        let executions = &self.shared.executions;
        self.phase.send_replace(Phase::Draining);
        let in_time = tokio::select! {
            biased;
            () = executions.empty() => true,
            () = over => false,
        };
        if !in_time {
            let longest = executions.end_all(self.shared.limits.cancel_grace);
            // Handlers that overstay are dropped by `watch`; this only waits for it and for the last answers.
            let _ = tokio::time::timeout(longest + FLUSH, executions.empty()).await;
        }
        let given_back = executions.given_back() + executions.len();
        self.phase.send_replace(Phase::Drained);
        let last_words = async { while self.consumers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_WORD, last_words).await;
        self.consumers.shutdown().await;
        self.tasks.shutdown().await;
        beat::leave(&self.shared).await;
        Drained { given_back }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.consumers.abort_all();
        self.tasks.abort_all();
        self.shared.executions.abort_all();
    }
}
