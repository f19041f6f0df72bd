//! A node: owns partitions, takes requests, and reads runs for whoever asks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use oarlock_broker::{Broker, topology};
use oarlock_engine::view;
use oarlock_metrics::Registry;
use oarlock_protocol::definition::WorkflowDefinition;
use oarlock_protocol::instance::{HistoryEntry, WorkflowInstance};
use oarlock_protocol::message::{Answer, StartMessage};
use oarlock_protocol::{Clock, RunKey, Timestamp, chance};
use tokio::sync::watch;

use crate::anomalies::Anomalies;
use crate::events;
use crate::fleet::{Fleet, Workers};
use crate::lookout::Lookout;
use crate::members::{Member, Members};
use crate::partition::{self, Counters, Request, Shared, Wish, answer};
use crate::settings::Settings;
use crate::store::Store;
use crate::watch::Watch;
use crate::watchdog::{self, Pulse};
use crate::{dead, starts};

mod admission;
mod asks;
mod beginning;
mod error;
mod explain;
mod fleet;
mod gate;
mod list;
mod membership;
mod metrics;
mod owners;
mod parked;
mod pauses;
mod payloads;
mod ready;
mod schedules;
mod statistics;
mod stopping;
mod tell;
mod wait;
mod workers;

use asks::Asks;
pub use error::Error;
use error::unexpected;
pub use list::{Filter, Page};
pub use membership::Membership;
use owners::{Owners, Slot};
pub use parked::ParkedError;
pub use ready::Readiness;
pub use statistics::Asked;
pub(crate) use statistics::MOST_HOURS;
use stopping::Tasks;

/// A node at work. Dropping it ends its partitions at once, as a crash would; [`Node::stop`] ends them in order.
pub struct Node {
    shared: Arc<Shared>,
    me: Member,
    members: Arc<dyn Members>,
    membership: watch::Receiver<Membership>,
    slots: Arc<Vec<Slot>>,
    owners: Arc<Owners>,
    lookout: Arc<Lookout>,
    workers: Arc<Workers>,
    _fleet: Fleet,
    registry: Registry,
    /// Who looks at parked messages.
    looking: tokio::sync::Mutex<()>,
    /// The partitions.
    tasks: Mutex<Tasks>,
    /// What else runs: beats, starts of producers, dead letters.
    services: Tasks,
    /// Who announces: until the partitions have ended.
    _announcer: Tasks,
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
        let (anomalies, found) = Anomalies::new(settings.anomalies.clone(), clock.clone());
        let (shared, announced) = beginning::share(broker, store, settings, clock, partitions, &anomalies);
        // Before anything is owned: what is paused stays so.
        shared.pauses.read().await?;
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
        let workers = Arc::new(Workers::new(&shared.settings, shared.clock.clone()));
        let lookout = Lookout::new(shared.clone(), me.clone(), workers.clone(), anomalies);
        let asks = Asks::start(shared.broker.clone(), &me.id);
        let owners = Arc::new(Owners::new(slots.clone(), asks, shared.pauses.clone()));
        let mut services = services(&shared, beats, &me.name);
        services.0.extend(fleet::watch(&lookout, &slots, found, owners.clone()));
        let registry = metrics::registry(&shared, &slots, &membership, &lookout);
        let _announcer = Tasks(vec![tokio::spawn(events::announce_for_ever(shared.clone(), announced))]);
        Ok(Node {
            _fleet: Fleet::start(&shared, &me.id, workers.clone(), lookout.clone()),
            workers,
            shared,
            me,
            members,
            membership,
            slots,
            owners,
            lookout,
            registry,
            looking: tokio::sync::Mutex::default(),
            tasks: Mutex::new(tasks),
            services,
            _announcer,
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

    /// The time, as this node has it.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
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
        self.owners.request(partition, request).await
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
