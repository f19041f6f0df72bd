//! A partition: one task that owns a slice of all runs and is alone in changing them.
//!
//! [`crate::node`] tells it by a `Wish` whether to own the partition; the lease in the store tells whether it does. It gathers what has arrived (results, progress, starts, timers, commands), lets the engine decide each, commits all
//! in one batch, and only then acknowledges, answers and publishes. Losing the partition drops everything in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use oarlock_broker::{Broker, Health, Subscription, topology};
use oarlock_protocol::definition::WorkflowDefinition;
use oarlock_protocol::message::{
    Answer, CompleteMessage, OperationMessage, Parent, PauseMessage, PayloadReference, ScheduleMessage,
    SignalMessage, StartMessage,
};
use oarlock_protocol::{Clock, RunKey};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tracing::Instrument;

use crate::admission::Admissions;
use crate::anomalies::handling::Begun;
use crate::books::Ledger;
use crate::definitions::Definitions;
use crate::events::Events;
use crate::metrics::Tallies;
use crate::pauses::Pauses;
use crate::payloads::{Read, Reader};
use crate::settings::Settings;
use crate::store::{self, Store};
use crate::watch::Watch;
use crate::watchdog::Pulse;

pub(crate) mod answer;
mod asides;
mod batch;
mod children;
mod commit;
mod due;
mod effects;
mod hearing;
mod held;
pub(crate) mod inbox;
mod lease;
pub(crate) mod limits;
pub(crate) mod observe;
mod outbox;
mod owner;
mod permits;
mod publisher;
mod removal;
mod requests;
mod runs;
mod schedule_requests;
mod schedules;
mod statistics;
mod takeover;
mod tell;
mod timers;
mod times;
mod traces;

pub(crate) use answer::Return;
use hearing::Hearing;
use lease::Lease;
use observe::Observer;
use owner::Owner;

/// What every partition of a node works with.
pub(crate) struct Shared {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) definitions: Definitions,
    pub(crate) settings: Settings,
    /// Reads what decisions look into, where there is a payload store.
    pub(crate) payloads: Option<Arc<Reader>>,
    pub(crate) clock: Clock,
    pub(crate) watch: Watch,
    pub(crate) counters: Counters,
    /// Who of all partitions owned here goes next.
    pub(crate) admissions: Arc<Admissions>,
    /// What is held back in the whole fleet.
    pub(crate) pauses: Arc<Pauses>,
    /// The books of the partitions owned here.
    pub(crate) ledger: Ledger,
    /// How often something unusual was found.
    pub(crate) begun: Arc<Begun>,
    /// Announces changes of status.
    pub(crate) events: Events,
    /// What `/metrics` tells of what has happened.
    pub(crate) tallies: Arc<Tallies>,
    /// Those who look on at what is committed.
    pub(crate) observers: Vec<Arc<dyn Observer>>,
    /// Bounds those of other nodes that wait for the end of a run owned here.
    pub(crate) watchers: Arc<Semaphore>,
    /// How many partitions this node owns.
    pub(crate) owned: AtomicUsize,
}

impl Shared {
    /// How many runs each partition of this node may keep in memory.
    fn cached_runs(&self) -> usize {
        self.settings.cached_runs / self.owned.load(Ordering::Relaxed).max(1)
    }

    /// A payload of a run that was read lately.
    fn kept_payload(&self, run: &RunKey, reference: &PayloadReference) -> Option<Read> {
        self.payloads.as_ref()?.kept(&run.tenant, reference).map(Ok)
    }
}

/// What operators should see growing, since this process began.
#[derive(Debug, Default)]
pub struct Counters {
    /// Events that changed nothing: late, doubled, forged.
    pub stale_events: AtomicU64,
    /// Messages that could not be understood.
    pub parked_messages: AtomicU64,
    /// Partitions taken.
    pub takeovers: AtomicU64,
    /// Partitions lost: to another owner, or because store or broker failed.
    pub lost_partitions: AtomicU64,
    /// Times the store was found to have lost commits.
    pub rollbacks: AtomicU64,
    /// Times the payloads of a forgotten run could not be removed; each is tried again.
    pub failed_removals: AtomicU64,
    /// What the fleet told and could not be understood, or had no room.
    pub unheard: AtomicU64,
    /// Due times of schedules that were too long ago when somebody could start them again.
    pub missed_due_times: AtomicU64,
}

/// What a partition is asked: by this node, or by a message of its inbox.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// Start a run: ACCEPTED.
    Start(Box<StartMessage>),
    /// End a run: CANCELLING.
    /// Where the step that started it asks, that is answered instead.
    Cancel { run: RunKey, reason: String, parent: Option<Parent> },
    /// Register a definition: REGISTERED.
    Register { tenant: String, definition: Box<WorkflowDefinition> },
    /// Tell when a run has ended: ENDED.
    Watch(RunKey),
    /// Tell a run something: RECORDED.
    Signal(Box<SignalMessage>),
    /// End a task from outside: RECORDED.
    Complete(Box<CompleteMessage>),
    /// Do with a run what an operator asks: RECORDED.
    Operation(OperationMessage),
    /// Do something with a schedule: RECORDED.
    Schedule(Box<ScheduleMessage>),
    /// Hold a queue or definition back, or let it go on: RECORDED.
    Pause(PauseMessage),
}

impl Request {
    /// The run it is about; none where it is about a definition or a schedule.
    fn run(&self) -> Option<RunKey> {
        Some(match self {
            Self::Start(start) => {
                RunKey::new(start.security_context.tenant_id.as_str(), start.workflow_instance_id)
            }
            Self::Cancel { run, .. } | Self::Watch(run) => run.clone(),
            Self::Signal(signal) => signal.run.clone(),
            Self::Complete(complete) => complete.run.clone(),
            Self::Operation(operation) => operation.run.clone(),
            Self::Register { .. } | Self::Schedule(_) | Self::Pause(_) => return None,
        })
    }
}

/// What this node asks of a partition it owns. Whatever cannot be done is answered REFUSED; no answer comes where the
/// partition was lost meanwhile: whether it was done is unknown then.
pub(crate) struct Command {
    pub(crate) request: Request,
    pub(crate) reply: oneshot::Sender<Answer>,
}

/// Whether a node is to own a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Take it, and keep it.
    Own,
    /// Give it up, after a last commit.
    Leave,
    /// Give it up, and end.
    End,
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
/// The pause before a partition that was lost is claimed again.
const CLAIM_AGAIN: Duration = Duration::from_millis(500);
/// The pause before a partition that another node holds is claimed again: short, because that node is giving it up or dead.
const HELD_AGAIN: Duration = Duration::from_millis(100);

/// Starts the task of a partition. It follows the wish until that is [`Wish::End`].
pub(crate) fn spawn(
    shared: Arc<Shared>,
    partition: u32,
    wish: watch::Receiver<Wish>,
    owned: watch::Sender<bool>,
    pulse: Arc<Pulse>,
) -> (mpsc::Sender<Command>, tokio::task::JoinHandle<()>) {
    let (sender, commands) = mpsc::channel(COMMANDS);
    let span = tracing::info_span!("partition", partition);
    let claimant = Claimant {
        shared,
        partition,
        commands,
        wish,
        owned,
        pulse,
        rolled_back: false,
        deaf: false,
        complained: false,
    };
    let task = tokio::spawn(claimant.own_forever().instrument(span));
    (sender, task)
}

/// Takes a partition whenever it is wished, and loses it again.
struct Claimant {
    shared: Arc<Shared>,
    partition: u32,
    commands: mpsc::Receiver<Command>,
    wish: watch::Receiver<Wish>,
    owned: watch::Sender<bool>,
    pulse: Arc<Pulse>,
    /// Whether the store was seen to have lost commits of this partition.
    rolled_back: bool,
    /// Whether the inbox ended: workers may not have been able to answer since.
    deaf: bool,
    /// Whether it was said that the partition cannot be had: once is enough.
    complained: bool,
}

impl Claimant {
    async fn own_forever(mut self) {
        loop {
            let wish = *self.wish.borrow_and_update();
            let pause = match wish {
                Wish::End => return,
                Wish::Leave => Duration::MAX,
                Wish::Own if !self.broker_is_there().await => continue,
                Wish::Own => match self.own_once().await {
                    Ok(true) => CLAIM_AGAIN,
                    Ok(false) => HELD_AGAIN,
                    Err(lost) => {
                        self.lose(&lost);
                        CLAIM_AGAIN
                    }
                },
            };
            self.pulse.rest();
            self.owned.send_replace(false);
            // Who asked is told that it is unknown: the next owner may be another node.
            while self.commands.try_recv().is_ok() {}
            if *self.wish.borrow() == wish {
                tokio::time::timeout(pause, self.wish.changed()).await.ok();
            }
        }
    }

    /// Waits for the broker; false where the wish changed first.
    async fn broker_is_there(&mut self) -> bool {
        let mut health = self.shared.broker.health();
        tokio::select! {
            biased;
            there = health.wait_for(|health| !matches!(health, Health::Down(_))) => there.is_ok(),
            _ = self.wish.changed() => false,
        }
    }

    fn lose(&mut self, lost: &Lost) {
        let counters = &self.shared.counters;
        if *self.owned.borrow() {
            counters.lost_partitions.fetch_add(1, Ordering::Relaxed);
        }
        match lost {
            Lost::Store(store::Error::RolledBack { .. }) => {
                self.rolled_back = true;
                counters.rollbacks.fetch_add(1, Ordering::Relaxed);
                tracing::error!(error = %lost, "the store lost commits; open attempts will be published again");
            }
            Lost::Store(store::Error::Fenced(_)) => {
                tracing::warn!(error = %lost, "fenced: everything this node held of it is dropped");
            }
            Lost::Store(_) | Lost::Inbox(_) => {
                self.deaf |= matches!(lost, Lost::Inbox(_));
                if !std::mem::replace(&mut self.complained, true) {
                    tracing::warn!(error = %lost, "the partition is not owned; it is claimed until it can be had");
                }
            }
        }
    }

    /// Owns the partition until it is lost or no longer wished; false where another node holds it.
    async fn own_once(&mut self) -> Result<bool, Lost> {
        let Some(mut lease) = Lease::take(&self.shared, self.partition).await? else { return Ok(false) };
        // Known until a take-over is through: one that breaks off leaves the rest to the next.
        self.rolled_back |= lease.restarted;
        lease.restarted = self.rolled_back;
        if *self.wish.borrow() != Wish::Own {
            // The store took its time to answer. Whoever is to own it now need not wait until this node has taken up its work.
            self.shared.store.release(self.partition, &lease.token).await?;
            return Ok(true);
        }
        if lease.restarted {
            // One of them may have been registered by a commit that is lost.
            self.shared.definitions.forget();
        }
        self.shared.counters.takeovers.fetch_add(1, Ordering::Relaxed);
        self.complained = false;
        let token = lease.token.clone();
        self.shared.owned.fetch_add(1, Ordering::Relaxed);
        let mut served = self.serve(lease).await;
        self.shared.owned.fetch_sub(1, Ordering::Relaxed);
        self.pulse.rest();
        // Continued after a long stop, it may find its connections gone before the store has told it of its lease.
        if matches!(served, Err(Lost::Inbox(_) | Lost::Store(store::Error::Unavailable(_))))
            && lease::is_fenced(&self.shared, self.partition, &token).await
        {
            self.deaf |= matches!(served, Err(Lost::Inbox(_)));
            served = Err(store::Error::Fenced(self.partition).into());
        }
        // Whatever ended it: nobody has to wait for the lease to run out. A token that is no longer valid does nothing.
        let released = self.shared.store.release(self.partition, &token).await;
        // What ended it comes first: of a rollback the next take has to know.
        served?;
        released?;
        tracing::info!("partition handed over");
        Ok(true)
    }

    async fn serve(&mut self, lease: Lease) -> Result<(), Lost> {
        let (shared, partition) = (&self.shared, self.partition);
        shared.broker.declare(&topology::inbox_declaration(partition)).await.map_err(Lost::Inbox)?;
        let priority = i32::try_from(lease.token.epoch).unwrap_or(i32::MAX);
        let subscription = Subscription { queue: topology::inbox(partition), prefetch: PREFETCH, priority };
        let waiting = shared.broker.depth(&subscription.queue).await.map_err(Lost::Inbox)?;
        let inbox = shared.broker.consume(subscription).await.map_err(Lost::Inbox)?;
        let hearing = Hearing::new(waiting, std::mem::take(&mut self.deaf));
        let mut owner = Owner::new(shared.clone(), partition, lease, hearing, self.pulse.clone());
        owner.take_over().await?;
        self.rolled_back = false;
        self.owned.send_replace(true);
        owner.serve(inbox, &mut self.commands, &mut self.wish).await
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
