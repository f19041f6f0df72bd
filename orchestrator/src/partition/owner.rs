//! The owner of a partition at work: gather, decide, commit, then acknowledge, answer and publish.

use std::sync::Arc;
use std::time::Duration;

use oarlock_broker::{Consumer, Delivery, Message};
use oarlock_engine::admission::Admission;
use oarlock_engine::{Decider, Event, Plan, decide, router};
use oarlock_protocol::RunKey;
use oarlock_protocol::definition::WorkflowDefinition;
use oarlock_protocol::message::StartMessage;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::batch::{Batch, Reply};
use super::inbox::{self, Incoming};
use super::publisher::Publisher;
use super::runs::{self, Runs};
use super::timers::Timers;
use super::{Command, Lease, Lost, Shared, StartError, Started};

/// The most messages, commands or timers of one round: bounds the size of a commit.
pub(super) const ROUND: usize = 256;
/// The pause before a store that does not answer is asked again.
pub(super) const STORE_AGAIN: Duration = Duration::from_millis(200);

/// The owner of a partition.
pub(super) struct Owner {
    pub(super) shared: Arc<Shared>,
    pub(super) partition: u32,
    pub(super) lease: Lease,
    pub(super) runs: Runs,
    pub(super) timers: Timers,
    pub(super) admission: Admission,
    pub(super) publisher: Publisher,
    pub(super) batch: Batch,
    pub(super) load_timers_at: Instant,
    pub(super) flush_at: Option<Instant>,
}

impl Owner {
    pub(super) fn new(shared: Arc<Shared>, partition: u32, lease: Lease) -> Self {
        let settings = &shared.settings;
        Self {
            admission: Admission::new(settings.window, settings.tenant_weights.clone()),
            publisher: Publisher::new(shared.broker.clone(), settings.delivery_limit),
            shared,
            partition,
            lease,
            runs: Runs::default(),
            timers: Timers::default(),
            batch: Batch::default(),
            load_timers_at: Instant::now(),
            flush_at: None,
        }
    }

    /// Works until `stop` becomes true or the partition is lost.
    pub(super) async fn serve(
        &mut self,
        mut inbox: Box<dyn Consumer>,
        commands: &mut mpsc::Receiver<Command>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), Lost> {
        let acknowledger = inbox.acknowledger();
        while !*stop.borrow() {
            let wake = self.next_wake();
            let mut last_tag = None;
            tokio::select! {
                received = inbox.receive(ROUND) => {
                    let deliveries = received.map_err(Lost::Inbox)?;
                    last_tag = deliveries.last().map(|delivery| delivery.tag);
                    self.take_deliveries(deliveries).await?;
                }
                Some(command) = commands.recv() => self.take_command(command).await?,
                results = self.publisher.done() => self.publisher.settle(results),
                () = tokio::time::sleep_until(wake) => {}
                _ = stop.changed() => {}
            }
            self.take_waiting_commands(commands).await?;
            self.load_timers().await?;
            self.fire_timers().await?;
            self.finish_round().await?;
            if let Some(tag) = last_tag {
                // Unacknowledged messages come again and change nothing then.
                acknowledger.ack_through(tag).await.ok();
            }
            if Instant::now() >= self.lease.renew_at() {
                self.lease.renew(&self.shared, self.partition).await?;
            }
        }
        Ok(())
    }

    fn next_wake(&self) -> Instant {
        let now = self.shared.clock.now();
        let timer = self.timers.next().map(|at| Instant::now() + Duration::from(at.since(now)));
        let others = [timer, self.flush_at, self.publisher.again_at()];
        let fixed = self.lease.renew_at().min(self.load_timers_at);
        others.into_iter().flatten().min().map_or(fixed, |at| at.min(fixed))
    }

    async fn take_deliveries(&mut self, deliveries: Vec<Delivery>) -> Result<(), Lost> {
        for delivery in deliveries {
            match inbox::read(&delivery.message) {
                Ok(Incoming::Event(run, event)) => {
                    if let Err(reason) = self.decide(&run, event).await? {
                        self.park(&delivery.message, &reason).await;
                    }
                }
                Ok(Incoming::Start(request)) => match self.start(*request).await? {
                    Ok(_) => {}
                    Err(error) => self.park(&delivery.message, &error.to_string()).await,
                },
                Err(reason) => self.park(&delivery.message, &reason).await,
            }
        }
        Ok(())
    }

    /// Puts a message where operators find it. Until the broker has it there, the partition waits: it is never dropped.
    async fn park(&mut self, message: &Message, reason: &str) {
        tracing::warn!(kind = message.kind, id = message.message_id, reason, "a message is parked");
        loop {
            let parked = self.shared.broker.publish(vec![inbox::park(message, reason)]).await;
            match parked.into_iter().next() {
                Some(Err(error)) => tracing::warn!(%error, "a message cannot be parked; trying again"),
                Some(Ok(())) | None => return,
            }
            tokio::time::sleep(STORE_AGAIN).await;
        }
    }

    async fn take_waiting_commands(&mut self, commands: &mut mpsc::Receiver<Command>) -> Result<(), Lost> {
        for _ in 0..ROUND {
            let Ok(command) = commands.try_recv() else { break };
            self.take_command(command).await?;
        }
        Ok(())
    }

    async fn take_command(&mut self, command: Command) -> Result<(), Lost> {
        match command {
            Command::Start { request, reply } => {
                let answer = self.start(*request).await?;
                self.batch.replies.push(Reply::Started(reply, answer));
            }
            Command::Cancel { run, reason, reply } => {
                let under_way = match self.run_status(&run).await? {
                    Some(under_way) => {
                        self.decide(&run, Event::Cancel { reason }).await?.ok();
                        Some(under_way)
                    }
                    None => None,
                };
                self.batch.replies.push(Reply::Cancelled(reply, under_way));
            }
            Command::Register { tenant, definition, reply } => {
                let answer = self.shared.definitions.register(&tenant, &definition).await.map(|writes| {
                    let new = !writes.is_empty();
                    self.batch.writes.extend(writes);
                    new
                });
                if answer.is_ok() {
                    self.declare_queues(&tenant, &definition).await;
                }
                self.batch.replies.push(Reply::Registered(reply, answer));
                // At once: the next registration reads what this one wrote.
                self.finish_round().await?;
            }
        }
        Ok(())
    }

    /// Declares the queues of a definition's tasks, so that workers find them before the first run.
    async fn declare_queues(&mut self, tenant: &str, definition: &WorkflowDefinition) {
        let Ok(plan) = Plan::compile(Arc::new(definition.clone())) else { return };
        let routes = &self.shared.settings.engine.routes;
        for work in plan.nodes().filter_map(|node| node.work()) {
            self.publisher.declare(&router::route(routes, &work.definition, tenant, work.priority)).await;
        }
    }

    async fn run_status(&mut self, key: &RunKey) -> Result<Option<bool>, Lost> {
        match self.runs.get(&self.shared, self.partition, key).await {
            Ok(cached) => Ok(cached.map(|cached| !cached.run.head.status.is_terminal())),
            Err(runs::Error::Store(error)) => Err(error.into()),
            Err(error) => {
                tracing::error!(run = %key, %error, "a run cannot be loaded");
                Ok(None)
            }
        }
    }

    async fn start(&mut self, request: StartMessage) -> Result<Result<Started, StartError>, Lost> {
        let key = RunKey::new(request.security_context.tenant_id.as_str(), request.workflow_instance_id);
        match self.runs.get(&self.shared, self.partition, &key).await {
            Ok(Some(cached)) => {
                let head = &cached.run.head;
                let same = head.request_digest == decide::digest(&request);
                let version = head.workflow_definition_version;
                return Ok(if same {
                    Ok(Started { run: key, version, existing: true })
                } else {
                    Err(StartError::Conflict(key))
                });
            }
            Ok(None) => {}
            Err(runs::Error::Store(error)) => return Err(error.into()),
            Err(_) => return Ok(Err(StartError::Conflict(key))),
        }
        let (id, version) = (&request.workflow_definition_id, request.workflow_definition_version);
        let plan = match self.shared.definitions.plan(&key.tenant, id, version).await {
            Ok(plan) => plan,
            Err(error) => return Ok(Err(error.into())),
        };
        match decide::start(&plan, request, &self.shared.settings.engine, self.shared.clock.now()) {
            Ok((run, effects)) => {
                let version = plan.definition.version;
                self.runs.put(run, plan);
                self.take_effects(&key, effects);
                Ok(Ok(Started { run: key, version, existing: false }))
            }
            Err(refusal) => Ok(Err(StartError::Refused(refusal.0))),
        }
    }

    /// Lets the engine decide about one event. The inner error is the reason why the event cannot be understood.
    pub(super) async fn decide(&mut self, key: &RunKey, event: Event) -> Result<Result<(), String>, Lost> {
        let cached = match self.runs.get(&self.shared, self.partition, key).await {
            Ok(Some(cached)) => cached,
            Ok(None) => {
                tracing::debug!(run = %key, "an event of an unknown run is ignored");
                return Ok(Ok(()));
            }
            Err(runs::Error::Store(error)) => return Err(error.into()),
            Err(error) => return Ok(Err(error.to_string())),
        };
        let now = self.shared.clock.now();
        let mut decider = Decider::new(&cached.plan, &mut cached.run, &self.shared.settings.engine, now);
        decider.handle(event);
        let effects = decider.finish();
        self.take_effects(key, effects);
        Ok(Ok(()))
    }
}
