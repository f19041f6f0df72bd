//! A node: owns partitions, takes requests, and reads runs for whoever asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oarlock_broker::{Broker, topology};
use oarlock_engine::view;
use oarlock_protocol::definition::WorkflowDefinition;
use oarlock_protocol::instance::{HistoryEntry, WorkflowInstance};
use oarlock_protocol::message::{Answer, StartMessage};
use oarlock_protocol::{Clock, RunKey, chance};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::admission::Admissions;
use crate::books::Ledger;
use crate::definitions::Definitions;
use crate::members::{Member, Members};
use crate::partition::{self, Command, Counters, Request, Shared, Wish, answer};
use crate::pauses::Pauses;
use crate::payloads::Reader;
use crate::settings::Settings;
use crate::store::Store;
use crate::watch::Watch;
use crate::watchdog::{self, Pulse};
use crate::{dead, starts};

mod admission;
mod asks;
mod error;
mod explain;
mod gate;
mod list;
mod membership;
mod parked;
mod pauses;
mod payloads;
mod ready;
mod tell;
mod wait;

use asks::Asks;
pub use error::Error;
use error::unexpected;
pub use list::{Filter, Page};
pub use membership::Membership;
pub use parked::ParkedError;
pub use ready::Readiness;

/// How many of other nodes may wait for ends of runs here: each is a small task.
const MOST_WATCHERS: usize = 10_000;

/// A node at work. Dropping it ends its partitions at once, as a crash would; [`Node::stop`] ends them in order.
pub struct Node {
    shared: Arc<Shared>,
    me: Member,
    members: Arc<dyn Members>,
    membership: watch::Receiver<Membership>,
    slots: Arc<Vec<Slot>>,
    asks: Asks,
    /// Who looks at parked messages.
    looking: tokio::sync::Mutex<()>,
    /// The partitions.
    tasks: Mutex<Tasks>,
    /// What else runs: beats, starts of producers, dead letters.
    services: Tasks,
}

/// Tasks that end with whoever holds them. Who stops may be stopped in turn: a partition left alone would hold its messages, and
/// while this process lives nobody else would get them.
#[derive(Default)]
struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// A partition, as its node sees it.
struct Slot {
    wish: watch::Sender<Wish>,
    owned: watch::Receiver<bool>,
    commands: mpsc::Sender<Command>,
}

impl Slot {
    /// Asks the partition; none where it is lost meanwhile.
    async fn ask(&self, request: Request) -> Option<Answer> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command { request, reply }).await.ok()?;
        answer.await.ok()
    }
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

/// What a node does beside its partitions.
fn services(shared: &Arc<Shared>, beats: impl Future<Output = ()> + Send + 'static, name: &str) -> Tasks {
    Tasks(vec![
        tokio::spawn(beats),
        tokio::spawn(starts::route_for_ever(shared.clone())),
        tokio::spawn(shared.pauses.clone().follow_for_ever()),
        tokio::spawn(shared.admissions.clone().tend_for_ever(shared.broker.clone())),
        tokio::spawn(dead::answer_for_ever(shared.broker.clone(), name.to_owned())),
    ])
}

impl Node {
    /// Starts a node: it owns its share of the partitions of the store, among the members that live.
    ///
    /// # Errors
    /// The store cannot be used, or the broker refuses the queues. A broker that is away is waited for.
    pub async fn start(
        broker: Arc<dyn Broker>,
        store: Arc<dyn Store>,
        members: Arc<dyn Members>,
        settings: Settings,
        clock: Clock,
    ) -> Result<Node, Error> {
        let partitions = store.partitions(settings.partitions).await?;
        match topology::declare_shared(&*broker).await {
            Ok(()) | Err(oarlock_broker::Error::Unavailable(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let definitions = Definitions::new(store.clone(), partitions);
        let payloads = settings.payloads.clone().map(|payloads| Arc::new(Reader::new(payloads)));
        let admissions = Arc::new(Admissions::new(partitions, &settings));
        let pauses = Arc::new(Pauses::new(store.clone(), partitions, admissions.clone()));
        // Before anything is owned: what is paused stays so.
        pauses.read().await?;
        let shared = Arc::new(Shared {
            payloads,
            admissions,
            pauses,
            broker,
            store,
            definitions,
            settings,
            clock,
            watch: Watch::default(),
            counters: Counters::default(),
            ledger: Ledger::default(),
            observers: Vec::new(),
            watchers: Arc::new(Semaphore::new(MOST_WATCHERS)),
            owned: Default::default(),
        });
        let name = shared.settings.node.clone();
        let me = Member { id: format!("{name}-{}", chance::fresh().simple()), name };
        let (mut slots, mut tasks) = (Vec::new(), Tasks::default());
        let pulses: Vec<Arc<Pulse>> = (0..partitions).map(|_| Arc::default()).collect();
        for (partition, pulse) in (0..partitions).zip(&pulses) {
            let (wish, wished) = watch::channel(Wish::Leave);
            let (tell, owned) = watch::channel(false);
            let (commands, task) = partition::spawn(shared.clone(), partition, wished, tell, pulse.clone());
            slots.push(Slot { wish, owned, commands });
            tasks.0.push(task);
        }
        if shared.settings.watchdog {
            watchdog::watch(pulses, shared.settings.lease, watchdog::end_stalled);
        }
        let slots = Arc::new(slots);
        let (tell, membership) = watch::channel(Membership::default());
        let lease = shared.settings.lease;
        let beats = membership::beat_for_ever(members.clone(), me.clone(), lease, slots.clone(), tell);
        let services = services(&shared, beats, &me.name);
        let asks = Asks::start(shared.broker.clone(), &me.id);
        Ok(Node {
            shared,
            me,
            members,
            membership,
            slots,
            asks,
            looking: tokio::sync::Mutex::default(),
            tasks: Mutex::new(tasks),
            services,
        })
    }

    /// Waits until every partition that this node should own is owned; whether it is, within this time.
    pub async fn ready_within(&self, time: Duration) -> bool {
        let mut membership = self.membership.clone();
        let all = async {
            if membership.wait_for(|known| !known.members.is_empty()).await.is_err() {
                return false;
            }
            for slot in self.slots.iter() {
                let (mut owned, mut wish) = (slot.owned.clone(), slot.wish.subscribe());
                let settled = async {
                    tokio::select! {
                        biased;
                        owned = owned.wait_for(|owned| *owned) => owned.is_ok(),
                        left = wish.wait_for(|wish| *wish == Wish::Leave) => left.is_ok(),
                    }
                };
                if !settled.await {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(time, all).await.unwrap_or(false)
    }

    /// Whether this node can work now.
    pub fn is_ready(&self) -> bool {
        self.readiness().ready
    }

    /// Which start of an orchestrator this is.
    pub fn member(&self) -> &Member {
        &self.me
    }

    /// What operators should see growing, since this node began.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Hands the partitions over: tells the others first, then gives each up after a last commit. Who stops waiting for it ends
    /// what is left of them at once.
    pub async fn stop(&self) {
        self.services.0.iter().for_each(JoinHandle::abort);
        if let Err(error) = self.members.leave(&self.me.id).await {
            tracing::warn!(%error, "the others are not told that this node leaves; they notice when its lease is over");
        }
        for slot in self.slots.iter() {
            slot.wish.send_replace(Wish::End);
        }
        let mut tasks = std::mem::take(&mut *self.tasks());
        for task in &mut tasks.0 {
            task.await.ok();
        }
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        // A panic elsewhere leaves the list whole.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens here, as it is committed.
    pub fn watch(&self) -> &Watch {
        &self.shared.watch
    }

    /// The broker of this node.
    pub fn broker(&self) -> &Arc<dyn Broker> {
        &self.shared.broker
    }

    /// The settings of this node.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Registers a definition; whether it was new.
    ///
    /// # Errors
    /// The version is registered with another content, or the store failed.
    pub async fn register(&self, tenant: &str, definition: WorkflowDefinition) -> Result<bool, Error> {
        let home = self.shared.definitions.home(tenant, &definition.id);
        let request = Request::Register { tenant: tenant.to_owned(), definition: Box::new(definition) };
        match self.request(home, request).await? {
            Answer::Registered { new } => Ok(new),
            other => Err(unexpected(home, other)),
        }
    }

    /// Starts a run. The answer comes when it is committed.
    ///
    /// # Errors
    /// The request is refused, in conflict, or names no definition.
    pub async fn start_run(&self, request: StartMessage) -> Result<Started, Error> {
        let (request, kept) = self.keep_input(request).await?;
        let started = self.ask_to_start(request).await;
        if let (Err(Error::Refused(_)), Some(run)) = (&started, kept) {
            self.leave_nothing(run);
        }
        started
    }

    async fn ask_to_start(&self, request: StartMessage) -> Result<Started, Error> {
        let tenant = request.security_context.tenant_id.clone();
        let partition = request.workflow_instance_id.partition(self.partitions());
        if request.parent.is_some() {
            let told = "only a step `workflow` of a run starts a run with a `parent`; leave it out";
            return Err(unexpected(partition, answer::refused(answer::INVALID_REQUEST, told)));
        }
        match self.request(partition, Request::Start(Box::new(request))).await? {
            Answer::Accepted { workflow_instance_id, workflow_definition_version, existing } => {
                let run = RunKey::new(tenant.as_str(), workflow_instance_id);
                Ok(Started { run, version: workflow_definition_version, existing })
            }
            other => Err(unexpected(partition, other)),
        }
    }

    /// Asks a run to end; whether it was still under way, none where there is no such run.
    ///
    /// # Errors
    /// The store or the owner of the run does not answer.
    pub async fn cancel(&self, run: RunKey, reason: String) -> Result<Option<bool>, Error> {
        let partition = run.run.partition(self.partitions());
        match self.request(partition, Request::Cancel { run, reason, parent: None }).await? {
            Answer::Cancelling { under_way } => Ok(under_way),
            other => Err(unexpected(partition, other)),
        }
    }

    /// Asks the owner of a partition: here where that is this node, else through its inbox.
    async fn request(&self, partition: u32, request: Request) -> Result<Answer, Error> {
        let until = Instant::now() + asks::PATIENCE;
        if self.owns(partition)
            && let Some(slot) = self.slots.get(partition as usize)
        {
            match tokio::time::timeout_at(until, slot.ask(request.clone())).await {
                Ok(Some(answer)) => return Ok(answer),
                // Lost meanwhile; whoever owns it now may be asked the same again.
                Ok(None) => {}
                Err(_) => {
                    let problem = "this node owns it and waits for the store or the broker".to_owned();
                    return Err(Error::NoAnswer { partition, problem });
                }
            }
        }
        self.asks.ask(partition, &request, until).await
    }

    fn owns(&self, partition: u32) -> bool {
        self.slots.get(partition as usize).is_some_and(|slot| *slot.owned.borrow())
    }

    /// Returns when the partition is not owned here.
    async fn loses(&self, partition: u32) {
        if let Some(slot) = self.slots.get(partition as usize) {
            slot.owned.clone().wait_for(|owned| !owned).await.ok();
        }
    }

    /// The whole run; none where there is no such run.
    ///
    /// # Errors
    /// The store failed, or holds what this release cannot read.
    pub async fn get(&self, key: &RunKey) -> Result<Option<WorkflowInstance>, Error> {
        let run = self.load(key).await?;
        Ok(run.map(|(run, plan)| view::instance(&plan, &run)))
    }

    /// What happened in a run; none where there is no such run.
    ///
    /// # Errors
    /// As [`Node::get`].
    pub async fn history(&self, key: &RunKey) -> Result<Option<Vec<HistoryEntry>>, Error> {
        let run = self.load(key).await?;
        Ok(run.map(|(run, plan)| view::history(&plan, &run)))
    }

    async fn load(
        &self,
        key: &RunKey,
    ) -> Result<Option<(oarlock_engine::Run, Arc<oarlock_engine::Plan>)>, Error> {
        let partition = key.run.partition(self.partitions());
        partition::load(&self.shared, partition, key).await
    }

    fn partitions(&self) -> u32 {
        self.shared.definitions.partitions()
    }
}
