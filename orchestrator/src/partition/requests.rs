//! What a partition is asked: starts, cancels, registrations, watches, and (in `tell`) what a run is told. Each is
//! answered after the commit that holds it.

use std::sync::Arc;
use std::time::Duration;

use oarlock_engine::{Event, Plan, decide, router};
use oarlock_protocol::RunKey;
use oarlock_protocol::definition::WorkflowDefinition;
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::message::{Answer, StartMessage};
use tokio::sync::mpsc;

use super::answer::{self, Asker, Reply, Return};
use super::asides::{self, What};
use super::owner::{Owner, ROUND};
use super::runs::{self, Found};
use super::{Command, Lost, Request, Shared};
use crate::definitions;

/// How long the end of a run is waited for on behalf of another node: it asks again before.
pub(crate) const WATCH: Duration = Duration::from_secs(60);

impl Owner {
    /// Takes the commands that wait, behind the one that was taken out already.
    pub(super) async fn take_commands(
        &mut self,
        first: Option<Command>,
        commands: &mut mpsc::Receiver<Command>,
    ) -> Result<(), Lost> {
        let waiting = std::iter::from_fn(|| commands.try_recv().ok()).take(ROUND);
        let commands: Vec<Command> = first.into_iter().chain(waiting).collect();
        let runs = commands.iter().filter_map(|command| command.request.run());
        self.runs.read_ahead(&self.shared, self.partition, runs).await;
        for command in commands {
            self.take_command(command).await?;
        }
        Ok(())
    }

    async fn take_command(&mut self, command: Command) -> Result<(), Lost> {
        self.take_request(command.request, Asker::Here(command.reply)).await.map(drop)
    }

    /// Does what is asked. Where it is refused the reason comes back, beside the answer.
    pub(super) async fn take_request(
        &mut self,
        request: Request,
        asker: Asker,
    ) -> Result<Option<String>, Lost> {
        let waits = self.shared.payloads.is_some() && asides::may_wait(&request);
        let again = waits.then(|| Box::new(request.clone()));
        self.asides.begin();
        let answer = match request {
            // A run that starts another asks again.
            Request::Start(start) if waits && self.asides.is_full() && start.parent.is_some() => {
                return Ok(None);
            }
            Request::Start(_) if waits && self.asides.is_full() => {
                answer::refused(answer::UNAVAILABLE, "too many starts wait for payloads; send it again later")
            }
            Request::Start(request) => match request.parent.clone() {
                None => self.start(*request).await?,
                Some(parent) => {
                    let refused = self.start_child(*request, parent).await?;
                    if let Some(again) = again.filter(|_| self.asides.was_put()) {
                        self.asides.replace(|| What::Request(again, asker));
                    }
                    return Ok(refused);
                }
            },
            Request::Cancel { run, reason, parent: None } => self.cancel(&run, reason).await?,
            Request::Cancel { run, reason, parent: Some(parent) } => {
                return self.cancel_child(&run, reason, parent.address).await;
            }
            Request::Register { tenant, definition } => {
                let answer = self.register(&tenant, &definition).await?;
                return self.answer_at_once(asker, answer).await;
            }
            Request::Pause(pause) => {
                let answer = self.pause(pause).await?;
                return self.answer_at_once(asker, answer).await;
            }
            Request::Watch(run) => match self.run_status(&run).await? {
                None => answer::no_run(&run),
                Some(status) if status.is_terminal() => Answer::Ended { run_status: status },
                Some(_) => {
                    if let Asker::Elsewhere(to) = asker {
                        self.batch.watchers.push((run, to));
                    }
                    return Ok(None);
                }
            },
            Request::Signal(signal) => self.signal(*signal).await?,
            Request::Complete(complete) => self.complete(*complete).await?,
            Request::Operation(operation) => self.operate(operation).await?,
            Request::Schedule(message) => self.take_schedule_request(*message).await?,
        };
        // What waits for a payload is asked again when that is there, and answered then.
        match again {
            Some(again) if self.asides.was_put() => {
                self.asides.replace(|| What::Request(again, asker));
                Ok(None)
            }
            _ => {
                let refused = reason(&answer);
                self.batch.replies.push(Reply { to: asker, answer });
                Ok(refused)
            }
        }
    }

    /// Commits before anything else is asked: the next request reads what this one wrote.
    async fn answer_at_once(&mut self, asker: Asker, answer: Answer) -> Result<Option<String>, Lost> {
        let refused = reason(&answer);
        self.batch.replies.push(Reply { to: asker, answer });
        self.finish_round().await?;
        Ok(refused)
    }

    async fn start(&mut self, request: StartMessage) -> Result<Answer, Lost> {
        let key = RunKey::new(request.security_context.tenant_id.as_str(), request.workflow_instance_id);
        let existing = match self.runs.find(&self.shared, self.partition, &key).await {
            Ok(Found::Run(cached)) => {
                let head = &cached.run.head;
                Some((head.request_digest.clone(), head.workflow_definition_version))
            }
            Ok(Found::Tombstone(tombstone)) => {
                Some((tombstone.request_digest, tombstone.workflow_definition_version))
            }
            Ok(Found::Nothing) => None,
            Err(runs::Error::Store(error)) => return Err(error.into()),
            Err(error) => return Ok(answer::refused(answer::UNUSABLE, error.to_string())),
        };
        if let Some((request_digest, version)) = existing {
            // Memory may know what the store has lost.
            self.batch.confirms = true;
            let same = request_digest == decide::digest(&request);
            return Ok(if same { accepted(&key, version, true) } else { answer::other_request(&key) });
        }
        self.begin_run(request, &key).await
    }

    /// Begins a run that is not known.
    pub(super) async fn begin_run(&mut self, request: StartMessage, key: &RunKey) -> Result<Answer, Lost> {
        let (id, version) = (&request.workflow_definition_id, request.workflow_definition_version);
        let plan = match self.shared.definitions.plan(&key.tenant, id, version).await {
            Ok(plan) => plan,
            Err(definitions::Error::Store(error)) => return Err(error.into()),
            Err(error) => return Ok(answer::no_definition(&error)),
        };
        let Some(started) = self.start_looking_into(key, &plan, request) else {
            return Ok(accepted(key, plan.definition.version, false));
        };
        match started {
            Ok((run, effects)) => {
                let version = plan.definition.version;
                self.runs.put(run, plan);
                self.take_effects(key, effects);
                Ok(accepted(key, version, false))
            }
            Err(refusal) => Ok(Answer::Refused { error: refusal.0 }),
        }
    }

    async fn cancel(&mut self, run: &RunKey, reason: String) -> Result<Answer, Lost> {
        let Some(status) = self.run_status(run).await? else {
            return Ok(Answer::Cancelling { under_way: None });
        };
        self.decide(run, Event::Cancel { reason }).await?.ok();
        Ok(Answer::Cancelling { under_way: Some(!status.is_terminal()) })
    }

    async fn register(&mut self, tenant: &str, definition: &WorkflowDefinition) -> Result<Answer, Lost> {
        Ok(match self.shared.definitions.register(tenant, definition).await {
            Ok(writes) => {
                let new = !writes.is_empty();
                self.batch.writes.extend(writes);
                self.declare_queues(tenant, definition).await?;
                Answer::Registered { new }
            }
            Err(error) => answer::no_definition(&error),
        })
    }

    /// Declares the queues of a definition's tasks, so that workers find them before the first run.
    async fn declare_queues(&mut self, tenant: &str, definition: &WorkflowDefinition) -> Result<(), Lost> {
        let Ok(plan) = Plan::compile(Arc::new(definition.clone())) else { return Ok(()) };
        let shared = self.shared.clone();
        let routes = &shared.settings.engine.routes;
        // A run of another workflow lies in no queue.
        let tasks = plan.nodes().filter_map(|node| node.work()).filter(|work| work.child.is_none());
        for work in tasks {
            // Where a run's priority sends them elsewhere, that queue is declared with the first.
            let priority = router::priority(work.priority, None);
            self.publisher.declare(&router::route(routes, &work.definition, tenant, priority)).await;
            self.stay_alive().await?;
        }
        Ok(())
    }

    async fn run_status(&mut self, key: &RunKey) -> Result<Option<WorkflowStatus>, Lost> {
        match self.runs.get(&self.shared, self.partition, key).await {
            Ok(cached) => Ok(cached.map(|cached| cached.run.head.status)),
            Err(runs::Error::Store(error)) => Err(error.into()),
            Err(error) => {
                tracing::error!(run = %key, %error, "a run cannot be loaded");
                Ok(None)
            }
        }
    }
}

fn accepted(key: &RunKey, version: u32, existing: bool) -> Answer {
    Answer::Accepted { workflow_instance_id: key.run, workflow_definition_version: version, existing }
}

fn reason(answer: &Answer) -> Option<String> {
    match answer {
        Answer::Refused { error } => Some(format!("{}: {}", error.code, error.message)),
        Answer::Accepted { .. }
        | Answer::Cancelling { .. }
        | Answer::Registered { .. }
        | Answer::Recorded { .. }
        | Answer::Ended { .. } => None,
    }
}

/// Tells the end of a run to who waits for it elsewhere. Where too many wait, they have to look themselves, as they do anyway.
pub(super) fn watch_for(shared: &Arc<Shared>, run: &RunKey, to: Return) {
    let Ok(permit) = shared.watchers.clone().try_acquire_owned() else { return };
    let mut end = shared.watch.end_of(run);
    let broker = shared.broker.clone();
    tokio::spawn(async move {
        if let Ok(Some(status)) = tokio::time::timeout(WATCH, end.status()).await {
            broker.publish(vec![to.publication(Answer::Ended { run_status: status })]).await;
        }
        drop(permit);
    });
}
