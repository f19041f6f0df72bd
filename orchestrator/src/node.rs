//! A node: owns partitions, takes requests, and reads runs for whoever asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oarlock_broker::{Broker, topology};
use oarlock_engine::view;
use oarlock_protocol::RunKey;
use oarlock_protocol::definition::WorkflowDefinition;
use oarlock_protocol::instance::{HistoryEntry, WorkflowInstance, WorkflowStatus};
use oarlock_protocol::message::StartMessage;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::dead;
use crate::definitions::{self, Definitions};
use crate::partition::{self, Command, Counters, Shared, StartError, Started};
use crate::settings::Settings;
use crate::store::{self, Store};
use crate::watch::Watch;

mod list;

pub use list::{Filter, Page};

/// A node at work. Dropping it ends its partitions at once, as a crash would; [`Node::stop`] ends them in order.
pub struct Node {
    shared: Arc<Shared>,
    commands: Vec<mpsc::Sender<Command>>,
    owned: Vec<watch::Receiver<bool>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    dead: Option<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

/// Why a node cannot start or answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The broker failed.
    #[error(transparent)]
    Broker(#[from] oarlock_broker::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// What is stored cannot be read by this release.
    #[error("{0}")]
    Unreadable(String),
    /// The node is stopping.
    #[error("the orchestrator is stopping")]
    Stopping,
}

impl Node {
    /// Starts a node that owns every partition of the store.
    ///
    /// # Errors
    /// The store or the broker cannot be used.
    pub async fn start(
        broker: Arc<dyn Broker>,
        store: Arc<dyn Store>,
        settings: Settings,
        clock: Clock,
    ) -> Result<Node, Error> {
        let partitions = store.partitions(settings.partitions).await?;
        for declaration in topology::shared_declarations() {
            broker.declare(&declaration).await?;
        }
        let definitions = Definitions::new(store.clone(), partitions);
        let shared = Arc::new(Shared {
            broker,
            store,
            definitions,
            settings,
            clock,
            watch: Watch::default(),
            counters: Counters::default(),
        });
        let stop = watch::Sender::new(false);
        let mut node = Node {
            shared,
            commands: Vec::new(),
            owned: Vec::new(),
            tasks: Mutex::default(),
            dead: None,
            stop,
        };
        for partition in 0..partitions {
            let owned = watch::Sender::new(false);
            node.owned.push(owned.subscribe());
            let (commands, task) =
                partition::spawn(node.shared.clone(), partition, node.stop.subscribe(), owned);
            node.commands.push(commands);
            node.tasks().push(task);
        }
        node.dead = Some(tokio::spawn(dead::answer_for_ever(
            node.shared.broker.clone(),
            node.shared.settings.node.clone(),
        )));
        Ok(node)
    }

    /// Waits until every partition is owned; whether it is, within this time.
    pub async fn ready_within(&self, time: Duration) -> bool {
        let all = async {
            for owned in &self.owned {
                let mut owned = owned.clone();
                if owned.wait_for(|owned| *owned).await.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(time, all).await.unwrap_or(false)
    }

    /// Whether every partition is owned now.
    pub fn is_ready(&self) -> bool {
        self.owned.iter().all(|owned| *owned.borrow()) && self.tasks().iter().all(|task| !task.is_finished())
    }

    /// What operators should see growing, since this node began.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Ends the partitions after a last commit, and gives them up.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks());
        for task in tasks {
            task.await.ok();
        }
    }

    fn tasks(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
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
    pub async fn register(
        &self,
        tenant: &str,
        definition: WorkflowDefinition,
    ) -> Result<bool, definitions::Error> {
        let home = self.shared.definitions.home(tenant, &definition.id);
        let (reply, answer) = oneshot::channel();
        let command =
            Command::Register { tenant: tenant.to_owned(), definition: Box::new(definition), reply };
        let stopping = || {
            definitions::Error::Store(store::Error::Unavailable("the orchestrator is stopping".to_owned()))
        };
        self.send(home, command).await.map_err(|()| stopping())?;
        answer.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Starts a run. The answer comes when it is committed.
    ///
    /// # Errors
    /// The request is refused, in conflict, or names no definition.
    pub async fn start_run(&self, request: StartMessage) -> Result<Started, StartError> {
        let partition = request.workflow_instance_id.partition(self.partitions());
        let (reply, answer) = oneshot::channel();
        let command = Command::Start { request: Box::new(request), reply };
        self.send(partition, command).await.map_err(|()| StartError::Stopping)?;
        answer.await.unwrap_or(Err(StartError::Stopping))
    }

    /// Asks a run to end; whether it was still under way, none where there is no such run.
    ///
    /// # Errors
    /// The node is stopping.
    pub async fn cancel(&self, run: RunKey, reason: String) -> Result<Option<bool>, Error> {
        let partition = run.run.partition(self.partitions());
        let (reply, answer) = oneshot::channel();
        self.send(partition, Command::Cancel { run, reason, reply }).await.map_err(|()| Error::Stopping)?;
        answer.await.map_err(|_| Error::Stopping)
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

    /// Waits until the run has ended, at most this time, and returns it as it is then; none where there is no such run.
    ///
    /// # Errors
    /// As [`Node::get`].
    pub async fn wait(&self, key: &RunKey, time: Duration) -> Result<Option<WorkflowInstance>, Error> {
        let mut end = self.shared.watch.end_of(key);
        let run = self.get(key).await?;
        if run.as_ref().is_none_or(|run| run.status.is_terminal()) {
            return Ok(run);
        }
        tokio::time::timeout(time, end.status()).await.ok();
        self.get(key).await
    }

    /// Lets those who wait for the end of a run have it as it is now: they must not hold up a process that ends.
    pub fn end_waits(&self) {
        self.shared.watch.end_waits();
    }

    /// Waits until the run has ended, and returns how; at once where it had. None where there is no such run.
    ///
    /// # Errors
    /// As [`Node::get`].
    pub async fn ended(&self, key: &RunKey) -> Result<Option<WorkflowStatus>, Error> {
        let mut end = self.shared.watch.end_of(key);
        match self.status(key).await? {
            Some(status) if !status.is_terminal() => Ok(end.status().await),
            status => Ok(status),
        }
    }

    async fn load(
        &self,
        key: &RunKey,
    ) -> Result<Option<(oarlock_engine::Run, Arc<oarlock_engine::Plan>)>, Error> {
        let partition = key.run.partition(self.partitions());
        partition::load(&self.shared, partition, key).await
    }

    fn partitions(&self) -> u32 {
        u32::try_from(self.commands.len()).unwrap_or(u32::MAX)
    }

    async fn send(&self, partition: u32, command: Command) -> Result<(), ()> {
        let Some(commands) = self.commands.get(partition as usize) else { return Err(()) };
        commands.send(command).await.map_err(|_| ())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for task in self.tasks().iter().chain(&self.dead) {
            task.abort();
        }
    }
}
