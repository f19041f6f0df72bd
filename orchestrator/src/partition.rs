//! A partition: one task that owns a slice of all runs and is alone in changing them.
//!
//! It gathers what has arrived (results, progress, starts, timers, commands), lets the engine decide each, commits all
//! in one batch, and only then acknowledges, answers and publishes. Losing the partition drops everything in memory.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use oarlock_broker::{Broker, Subscription, topology};
use oarlock_protocol::definition::WorkflowDefinition;
use oarlock_protocol::message::StartMessage;
use oarlock_protocol::{ErrorDetails, RunKey};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::Instrument;

use crate::clock::Clock;
use crate::definitions::{self, Definitions};
use crate::settings::Settings;
use crate::store::{self, Claim, Ownership, Store, Token};
use crate::watch::Watch;

mod batch;
mod commit;
mod due;
mod effects;
mod inbox;
mod owner;
mod publisher;
mod runs;
mod takeover;
mod timers;

use owner::Owner;

/// What every partition of a node works with.
pub(crate) struct Shared {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) definitions: Definitions,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) watch: Watch,
    pub(crate) counters: Counters,
}

/// What operators should see growing, since this process began.
#[derive(Debug, Default)]
pub struct Counters {
    /// Events that changed nothing: late, doubled, forged.
    pub stale_events: AtomicU64,
    /// Messages that could not be understood.
    pub parked_messages: AtomicU64,
}

/// What a node asks of a partition it owns.
pub(crate) enum Command {
    /// Start a run.
    Start { request: Box<StartMessage>, reply: oneshot::Sender<Result<Started, StartError>> },
    /// End a run. Answers whether it was still under way; none where there is no such run.
    Cancel { run: RunKey, reason: String, reply: oneshot::Sender<Option<bool>> },
    /// Register a definition.
    Register {
        tenant: String,
        definition: Box<WorkflowDefinition>,
        reply: oneshot::Sender<Result<bool, definitions::Error>>,
    },
}

/// A start that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The run.
    pub run: RunKey,
    /// The version of its definition.
    pub version: u32,
    /// Whether the same request had started it before.
    pub existing: bool,
}

/// A start that was not accepted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StartError {
    /// There is no such definition, or the store failed.
    #[error(transparent)]
    Definition(#[from] definitions::Error),
    /// The request is refused for good.
    #[error("{}: {}", .0.code, .0.message)]
    Refused(ErrorDetails),
    /// The id or key names a run that was started by another request.
    #[error("run {0} was started by a different request under the same key; use a new key")]
    Conflict(RunKey),
    /// The partition is not owned here now; whether the start was committed is unknown.
    #[error("the orchestrator cannot answer now; send the same request again, with a key it starts one run")]
    Stopping,
}

/// Why a partition is no longer owned. Whoever takes it next goes on from the last commit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("its inbox ended: {0}")]
    Inbox(oarlock_broker::Error),
}

/// How many commands wait at a partition before callers wait themselves.
const COMMANDS: usize = 1_024;
/// How many unacknowledged messages a partition holds: several batches, so that the next is there when one is committed.
const PREFETCH: u16 = 2_000;
/// The pause before a partition that cannot be had, or was lost, is claimed again.
const CLAIM_AGAIN: Duration = Duration::from_millis(500);

/// Starts the task of a partition. It ends when `stop` becomes true, after a last commit.
pub(crate) fn spawn(
    shared: Arc<Shared>,
    partition: u32,
    stop: watch::Receiver<bool>,
    owned: watch::Sender<bool>,
) -> (mpsc::Sender<Command>, tokio::task::JoinHandle<()>) {
    let (sender, commands) = mpsc::channel(COMMANDS);
    let span = tracing::info_span!("partition", partition);
    let task = tokio::spawn(own_forever(shared, partition, commands, stop, owned).instrument(span));
    (sender, task)
}

async fn own_forever(
    shared: Arc<Shared>,
    partition: u32,
    mut commands: mpsc::Receiver<Command>,
    mut stop: watch::Receiver<bool>,
    owned: watch::Sender<bool>,
) {
    while !*stop.borrow() {
        match own_once(&shared, partition, &mut commands, &mut stop, &owned).await {
            Ok(()) => {}
            Err(lost) => {
                tracing::warn!(error = %lost, "the partition is not owned; it will be claimed again")
            }
        }
        owned.send_replace(false);
        tokio::select! {
            () = tokio::time::sleep(CLAIM_AGAIN) => {}
            // Not `changed`: a partition that was given up because of it has seen the change already.
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}

async fn own_once(
    shared: &Arc<Shared>,
    partition: u32,
    commands: &mut mpsc::Receiver<Command>,
    stop: &mut watch::Receiver<bool>,
    owned: &watch::Sender<bool>,
) -> Result<(), Lost> {
    let Some(lease) = Lease::take(shared, partition).await? else { return Ok(()) };
    let token = lease.token.clone();
    let served = serve(shared, partition, lease, commands, stop, owned).await;
    // Whatever ended it: nobody has to wait for the lease to run out. A token that is no longer valid does nothing.
    shared.store.release(partition, &token).await?;
    served
}

async fn serve(
    shared: &Arc<Shared>,
    partition: u32,
    lease: Lease,
    commands: &mut mpsc::Receiver<Command>,
    stop: &mut watch::Receiver<bool>,
    owned: &watch::Sender<bool>,
) -> Result<(), Lost> {
    shared.broker.declare(&topology::inbox_declaration(partition)).await.map_err(Lost::Inbox)?;
    let priority = i32::try_from(lease.token.epoch).unwrap_or(i32::MAX);
    let subscription = Subscription { queue: topology::inbox(partition), prefetch: PREFETCH, priority };
    let waiting = shared.broker.depth(&subscription.queue).await.map_err(Lost::Inbox)?;
    let inbox = shared.broker.consume(subscription).await.map_err(Lost::Inbox)?;
    let mut owner = Owner::new(shared.clone(), partition, lease, waiting);
    owner.take_over().await?;
    owned.send_replace(true);
    owner.serve(inbox, commands, stop).await
}

/// The right to commit, as far as this process knows it.
pub(crate) struct Lease {
    pub(crate) token: Token,
    pub(crate) seq: u64,
    span: Duration,
    until: Instant,
}

impl Lease {
    async fn take(shared: &Shared, partition: u32) -> Result<Option<Lease>, Lost> {
        let asked = Instant::now();
        let claim = Claim { holder: shared.settings.node.clone(), lease: shared.settings.lease, token: None };
        match shared.store.own(partition, &claim).await? {
            Ownership::Owned { token, seq, .. } => {
                let span = Duration::from(shared.settings.lease);
                tracing::debug!(epoch = token.epoch, seq, "partition taken");
                Ok(Some(Lease { token, seq, span, until: asked + span }))
            }
            Ownership::HeldBy { holder, expires_in } => {
                tracing::debug!(holder, %expires_in, "the partition is held by another node");
                Ok(None)
            }
        }
    }

    /// When it is to be renewed: well before it ends, so that a slow store is survived.
    pub(crate) fn renew_at(&self) -> Instant {
        self.until - self.span * 2 / 3
    }

    pub(crate) async fn renew(&mut self, shared: &Shared, partition: u32) -> Result<(), Lost> {
        let asked = Instant::now();
        let token = Some(self.token.clone());
        let claim = Claim { holder: shared.settings.node.clone(), lease: shared.settings.lease, token };
        match shared.store.own(partition, &claim).await {
            Ok(Ownership::Owned { .. }) => {
                self.until = asked + self.span;
                Ok(())
            }
            Ok(Ownership::HeldBy { .. }) => Err(store::Error::Fenced(partition).into()),
            Err(store::Error::Unavailable(reason)) if Instant::now() < self.until => {
                tracing::warn!(reason, "the lease could not be renewed; it still runs");
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Reads a run from the store, whoever owns it.
pub(crate) async fn load(
    shared: &Shared,
    partition: u32,
    key: &RunKey,
) -> Result<Option<(oarlock_engine::Run, Arc<oarlock_engine::Plan>)>, crate::node::Error> {
    runs::load(shared, partition, key).await.map_err(|error| match error {
        runs::Error::Store(error) => error.into(),
        runs::Error::Unreadable(_) | runs::Error::Definition(_) => {
            crate::node::Error::Unreadable(error.to_string())
        }
    })
}
