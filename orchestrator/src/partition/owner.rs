//! The owner of a partition at work: gather, decide, commit, then acknowledge, answer and publish.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use oarlock_broker::{Consumer, Delivery, Message, Publication, topology};
use oarlock_engine::admission::{Admission, Ticket};
use oarlock_engine::{Decider, Effect, Event, decide, task_message};
use oarlock_protocol::message::{Kind, StartMessage};
use oarlock_protocol::{RunKey, Timestamp};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::batch::{Batch, Dispatch, Reply};
use super::inbox::{self, Incoming};
use super::publisher::{Outgoing, Publisher};
use super::runs::{self, Runs};
use super::timers::{HORIZON, Timers};
use super::{Command, Lease, Lost, Shared, StartError, Started};
use crate::layout::{self, Place, ReadyTask};
use crate::store::{self, Key, Range, Write};
use crate::watch::{Change, Changed};

/// The most messages, commands or timers of one round: bounds the size of a commit.
const ROUND: usize = 256;
/// Confirmed publications leave the outbox within this time even when nothing else is committed.
const FLUSH: Duration = Duration::from_millis(200);
/// The pause before a store that does not answer is asked again.
const STORE_AGAIN: Duration = Duration::from_millis(200);

/// The owner of a partition.
pub(super) struct Owner {
    pub(super) shared: Arc<Shared>,
    pub(super) partition: u32,
    pub(super) lease: Lease,
    pub(super) runs: Runs,
    pub(super) timers: Timers,
    pub(super) admission: Admission,
    pub(super) publisher: Publisher,
    /// Ready tasks that have an entry in the store.
    pub(super) stored_ready: HashSet<Place>,
    pub(super) batch: Batch,
    load_timers_at: Instant,
    flush_at: Option<Instant>,
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
            stored_ready: HashSet::new(),
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
                self.batch.replies.push(Reply::Registered(reply, answer));
                // At once: the next registration reads what this one wrote.
                self.finish_round().await?;
            }
        }
        Ok(())
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

    fn take_effects(&mut self, key: &RunKey, effects: Vec<Effect>) {
        if self.batch.runs.get(key).is_none() {
            self.batch.runs.insert(key.clone());
        }
        let now = self.shared.clock.now();
        for effect in effects {
            self.take_effect(key, effect, now);
        }
    }

    fn take_effect(&mut self, key: &RunKey, effect: Effect, now: Timestamp) {
        let place = |path| Place { run: key.clone(), path };
        match effect {
            Effect::Offer { path, queue, priority } => {
                self.admission.offer(&queue, priority, Ticket { run: key.clone(), path: path.clone() });
                self.batch.offered.insert(place(path), ReadyTask { queue, priority });
            }
            Effect::Withdraw { path, queue } => {
                self.admission.withdraw(&queue, &Ticket { run: key.clone(), path: path.clone() });
                self.no_longer_ready(&place(path));
            }
            Effect::Publish { path, execution_id, queue } => {
                let place = place(path);
                self.no_longer_ready(&place);
                self.admission.opened(&queue, execution_id);
                let dispatch = Dispatch { place, execution_id, queue };
                self.publisher.add(&dispatch);
                let (field, value) = (execution_id.to_string(), dispatch.place.to_string().into());
                self.batch.writes.push(Write::HashSet { key: Key::Outbox, field, value });
                self.batch.dispatches.push(dispatch);
            }
            Effect::Closed { execution_id, queue, .. } => {
                self.admission.closed(&queue, execution_id);
                if self.publisher.close(execution_id) {
                    let field = execution_id.to_string();
                    self.batch.writes.push(Write::HashDelete { key: Key::Outbox, field });
                }
            }
            Effect::SetTimer { path, at } => drop(self.batch.timers.insert(place(path), Some(at))),
            Effect::ClearTimer { path } => drop(self.batch.timers.insert(place(path), None)),
            Effect::Postpone { path, at } => self.timers.set(&place(path), at, now),
            Effect::Tell { control_queue, message } => self.tell(control_queue, &message),
            Effect::TaskChanged { path, status, attempt, error } => {
                let what = Changed::Task { path, status, attempt, error };
                self.note(Change { run: key.clone(), at: now, what });
            }
            Effect::RunChanged { from, to } => {
                if let Some(cached) = self.runs.cached(key) {
                    layout::move_index(&cached.run, from, to, &mut self.batch.writes);
                }
                self.note(Change { run: key.clone(), at: now, what: Changed::Run { status: to } });
            }
            Effect::Stale { what } => tracing::debug!(run = %key, what, "an event changed nothing"),
            Effect::Forget => self.batch.forgotten.push(key.clone()),
        }
    }

    fn note(&mut self, change: Change) {
        if self.shared.watch.is_watched() {
            self.batch.changes.push(change);
        }
    }

    fn no_longer_ready(&mut self, place: &Place) {
        self.batch.offered.remove(place);
        if self.stored_ready.remove(place) {
            let field = place.to_string();
            self.batch.writes.push(Write::HashDelete { key: Key::Ready, field });
        }
    }

    fn tell(&mut self, queue: String, message: &oarlock_protocol::message::ControlMessage) {
        let body = serde_json::to_vec(message).unwrap_or_default().into();
        let message = Message {
            body,
            message_id: format!("{}-control", message.execution_id),
            correlation_id: Some(message.execution_id.to_string()),
            kind: Kind::Control.as_str().to_owned(),
            ..Message::default()
        };
        self.batch.tell.push(Publication { queue, message });
    }

    /// Loads the timers that will be due before the next load.
    pub(super) async fn load_timers(&mut self) -> Result<(), Lost> {
        if Instant::now() < self.load_timers_at {
            return Ok(());
        }
        let to = self.shared.clock.now().after(HORIZON).as_millis();
        let mut after = None;
        loop {
            let range = Range { from: i64::MIN, to, after: after.take(), limit: 1_000, descending: false };
            let page = self.shared.store.read_sorted(self.partition, &Key::Timers, &range).await?;
            let full = page.len() == range.limit;
            for (member, at) in &page {
                match Place::parse(member) {
                    Ok(place) => self.timers.load(place, Timestamp::from_millis(*at)),
                    Err(error) => tracing::error!(member, %error, "a timer is ignored"),
                }
            }
            after = page.into_iter().last().map(|(member, at)| (at, member));
            if !full {
                break;
            }
        }
        self.load_timers_at = Instant::now() + Duration::from(HORIZON) / 2;
        Ok(())
    }

    async fn fire_timers(&mut self) -> Result<(), Lost> {
        let now = self.shared.clock.now();
        for _ in 0..ROUND {
            let Some(place) = self.timers.take_due(now) else { break };
            // Whatever the engine sets anew replaces this; a timer of something closed goes.
            self.batch.timers.insert(place.clone(), None);
            let event = Event::Timer { path: place.path.clone() };
            if let Err(reason) = self.decide(&place.run, event).await? {
                tracing::error!(run = %place.run, reason, "a timer's run cannot be loaded");
                self.batch.timers.remove(&place);
            }
        }
        Ok(())
    }

    /// Lets ready tasks out, commits what was decided, and performs it.
    pub(super) async fn finish_round(&mut self) -> Result<(), Lost> {
        while let Some(ticket) = self.admission.next() {
            let place = Place { run: ticket.run.clone(), path: ticket.path.clone() };
            self.no_longer_ready(&place);
            if let Err(reason) = self.decide(&ticket.run, Event::Admitted { path: ticket.path }).await? {
                tracing::error!(run = %ticket.run, reason, "a ready task's run cannot be loaded");
            }
        }
        self.republish_failed();
        self.commit().await?;
        self.perform().await;
        Ok(())
    }

    fn republish_failed(&mut self) {
        let failed = self.publisher.take_failed();
        self.batch.dispatches.extend(failed);
    }

    async fn commit(&mut self) -> Result<(), Lost> {
        let flush = self.flush_at.is_some_and(|at| at <= Instant::now());
        let changed = self
            .batch
            .runs
            .iter()
            .any(|key| self.runs.cached(key).is_some_and(|c| !c.run.changes.is_empty()));
        let others =
            !self.batch.writes.is_empty() || !self.batch.timers.is_empty() || !self.batch.offered.is_empty();
        if !(changed || others || flush) {
            if self.publisher.has_confirmed() && self.flush_at.is_none() {
                self.flush_at = Some(Instant::now() + FLUSH);
            }
            return Ok(());
        }
        let mut writes = std::mem::take(&mut self.batch.writes);
        let written = self.write_runs(&mut writes);
        self.write_waiting(&mut writes);
        for attempt in self.publisher.take_confirmed() {
            writes.push(Write::HashDelete { key: Key::Outbox, field: attempt.to_string() });
        }
        self.flush_at = None;
        self.commit_until_answered(&writes).await?;
        for (key, paths) in written {
            if let Some(cached) = self.runs.cached(&key) {
                cached.run.compact(&cached.plan, &paths);
            }
        }
        Ok(())
    }

    fn write_runs(&mut self, writes: &mut Vec<Write>) -> Vec<(RunKey, Vec<oarlock_protocol::TaskPath>)> {
        let mut written = Vec::with_capacity(self.batch.runs.len());
        for key in &self.batch.runs {
            if let Some(cached) = self.runs.cached(key) {
                written.push((key.clone(), layout::write_changes(&mut cached.run, writes)));
            }
        }
        for key in &self.batch.forgotten {
            if let Some(cached) = self.runs.cached(key) {
                layout::forget(&cached.run, writes);
            }
        }
        written
    }

    /// Writes timers and the ready tasks that were not let out.
    fn write_waiting(&mut self, writes: &mut Vec<Write>) {
        let now = self.shared.clock.now();
        for (place, at) in std::mem::take(&mut self.batch.timers) {
            let member = place.to_string();
            match at {
                Some(at) => {
                    self.timers.set(&place, at, now);
                    writes.push(Write::SortedSet { key: Key::Timers, member, score: at.as_millis() });
                }
                None => {
                    self.timers.clear(&place);
                    writes.push(Write::SortedRemove { key: Key::Timers, member });
                }
            }
        }
        for (place, task) in std::mem::take(&mut self.batch.offered) {
            writes.push(layout::write_ready(&place, &task));
            self.stored_ready.insert(place);
        }
    }

    /// Sends the same batch until the store has answered: a commit may have happened although its answer was lost.
    async fn commit_until_answered(&mut self, writes: &[Write]) -> Result<(), Lost> {
        let seq = self.lease.seq + 1;
        loop {
            match self.shared.store.commit(self.partition, &self.lease.token, seq, writes).await {
                Ok(()) => break,
                Err(store::Error::Unavailable(reason)) => {
                    tracing::warn!(reason, "the store does not answer; the same commit is sent again");
                    tokio::time::sleep(STORE_AGAIN).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.lease.seq = seq;
        Ok(())
    }

    /// Does what was decided, now that it is committed.
    async fn perform(&mut self) {
        let mut outgoing = Vec::with_capacity(self.batch.dispatches.len());
        for dispatch in std::mem::take(&mut self.batch.dispatches) {
            if let Some(publication) = self.task_publication(&dispatch) {
                outgoing.push(Outgoing { dispatch, publication });
            }
        }
        if !outgoing.is_empty() {
            self.publisher.publish(outgoing).await;
        }
        let tell = std::mem::take(&mut self.batch.tell);
        if !tell.is_empty() {
            // A worker that is gone has no control queue any more; it needs no answer either.
            let broker = self.shared.broker.clone();
            tokio::spawn(async move { broker.publish(tell).await });
        }
        for reply in std::mem::take(&mut self.batch.replies) {
            reply.send();
        }
        for change in std::mem::take(&mut self.batch.changes) {
            self.shared.watch.tell(change);
        }
        for key in std::mem::take(&mut self.batch.runs) {
            if self.runs.cached(&key).is_some_and(|cached| cached.run.head.status.is_terminal()) {
                self.runs.drop(&key);
            }
        }
        self.batch.forgotten.clear();
        self.runs.shrink(self.shared.settings.cached_runs);
    }

    fn task_publication(&mut self, dispatch: &Dispatch) -> Option<Publication> {
        let settings = &self.shared.settings.engine;
        let cached = self.runs.cached(&dispatch.place.run)?;
        let message = task_message::build(&cached.plan, &cached.run, &dispatch.place.path, settings)?;
        let message = Message {
            body: serde_json::to_vec(&message).ok()?.into(),
            message_id: dispatch.execution_id.to_string(),
            correlation_id: Some(dispatch.execution_id.to_string()),
            reply_to: Some(topology::inbox(self.partition)),
            kind: Kind::Task.as_str().to_owned(),
            headers: Vec::new(),
        };
        Some(Publication { queue: topology::tasks(&dispatch.queue), message })
    }
}
