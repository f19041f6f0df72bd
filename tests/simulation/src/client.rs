//! Producers and operators: they start runs, signal, cancel, pause and resume them, and ask again until they are answered.
//!
//! What a store has lost is asked for once more, as a producer does that keeps its orders until they are done.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use oarlock_broker::{Broker, Message, Publication, topology};
use oarlock_orchestrator::Node;
use oarlock_orchestrator::node::Error;
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::message::{
    CompleteMessage, Completion, Kind, Operation, OperationMessage, SignalMessage, StartMessage, StartRequest,
};
use oarlock_protocol::{FORMAT, Json, RunId, RunKey};
use serde_json::json;
use tokio::time::sleep;

use crate::fleet::{Fleet, TENANT, principal};
use crate::flow::{Flow, Step};
use crate::hands::Hands;
use crate::random::Random;

/// What is wanted of one run, each with its time in milliseconds since the world began.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) workflow: String,
    pub(crate) run: RunKey,
    pub(crate) key: String,
    pub(crate) start_at: u64,
    /// Whether the start is asked for over the broker.
    pub(crate) by_broker: bool,
    pub(crate) signals: Vec<(u64, String)>,
    pub(crate) pause_at: Option<u64>,
    pub(crate) resume_at: u64,
    pub(crate) cancel_at: Option<u64>,
    /// When a run that has failed is opened again.
    pub(crate) retry_at: Option<u64>,
}

impl Order {
    pub(crate) fn draw(random: &mut Random, number: usize, flow: &Flow) -> Self {
        let start_at = random.between(100, 12_000);
        let key = format!("order{number}");
        let mut soon = |most| start_at + random.below(most);
        let names = flow.steps.iter().flat_map(Step::signals);
        let signals = names.map(|name| (soon(12_000), name)).collect();
        let (pause_at, cancel_at, retry_at) = (soon(8_000), soon(15_000), soon(20_000));
        let resume_at = pause_at + soon(6_000) - start_at;
        Self {
            workflow: flow.id.clone(),
            run: RunKey::new(TENANT, RunId::keyed(TENANT, &flow.id, &key)),
            key,
            start_at,
            by_broker: random.percent(25),
            signals,
            pause_at: random.percent(15).then_some(pause_at),
            resume_at,
            cancel_at: random.percent(12).then_some(cancel_at),
            retry_at: random.percent(12).then_some(retry_at),
        }
    }
}

/// What became of something that was asked for.
enum Asked {
    Done,
    /// It cannot be done any more.
    TooLate,
    /// To be asked again.
    Unknown,
}

/// Sees one order through.
pub(crate) struct Client {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) order: Order,
}

impl Client {
    /// Asks for what is due until it is aborted.
    pub(crate) async fn see_through(self) {
        let (mut done, mut known_rollbacks) = (BTreeSet::new(), 0);
        loop {
            let (rollbacks, cuts) = (&self.fleet.world.rollbacks, &self.fleet.world.power_cuts);
            let rollbacks = rollbacks.load(Ordering::Relaxed) + cuts.load(Ordering::Relaxed);
            if std::mem::replace(&mut known_rollbacks, rollbacks) != rollbacks {
                // Whatever was recorded may be lost.
                done.clear();
            }
            for (name, due) in self.due() {
                if due && !done.contains(&name) && self.ask(&name).await {
                    done.insert(name);
                }
            }
            sleep(Duration::from_millis(400)).await;
        }
    }

    /// What there is to ask for, and whether its time has come.
    fn due(&self) -> Vec<(String, bool)> {
        let (order, now) = (&self.order, self.fleet.world.age_ms());
        let status = self.fleet.database.look(|mirror| mirror.find(&order.run).map(|view| view.run_status()));
        let under_way = status.flatten().is_some_and(|status| !status.is_terminal());
        let mut all = vec![("start".to_owned(), status.is_none() && now >= order.start_at)];
        for (at, name) in &order.signals {
            all.push((format!("signal {name}"), under_way && now >= *at));
        }
        all.push(("cancel".to_owned(), under_way && order.cancel_at.is_some_and(|at| now >= at)));
        let pauses = order.pause_at.is_some_and(|at| now >= at && now < order.resume_at);
        let failed = status.flatten() == Some(WorkflowStatus::Failed);
        all.push(("retry".to_owned(), failed && order.retry_at.is_some_and(|at| now >= at)));
        all.push(("pause".to_owned(), under_way && pauses));
        all
    }

    async fn ask(&self, name: &str) -> bool {
        let order = &self.order;
        let asked = match name.split_once(' ') {
            None if name == "start" && order.by_broker => self.start_by_broker().await,
            None if name == "start" => self.start().await,
            None if name == "cancel" => {
                let call = |node: Arc<Node>, run: RunKey| async move {
                    node.cancel(run, "nobody wants it".to_owned()).await.map(drop)
                };
                told(self.fleet.call(|node| call(node, order.run.clone())).await)
            }
            None if name == "retry" => self.fleet.operate(&order.run, Operation::Retry).await,
            None => self.fleet.operate(&order.run, Operation::Pause).await,
            Some((_, signal)) => self.signal(signal).await,
        };
        self.fleet.world.note(&format!(
            "client: {name} of {}: {}",
            order.workflow,
            match asked {
                Asked::Done => "done",
                Asked::TooLate => "too late",
                Asked::Unknown => "unknown",
            }
        ));
        match asked {
            Asked::Done => true,
            // A run that had failed may be opened again, and wait for its signal then.
            Asked::TooLate => !name.starts_with("signal "),
            Asked::Unknown => false,
        }
    }

    async fn start(&self) -> Asked {
        let order = &self.order;
        let request = StartMessage {
            parent: None,
            traceparent: None,
            format: FORMAT,
            workflow_instance_id: order.run.run,
            workflow_definition_id: order.workflow.clone(),
            workflow_definition_version: None,
            input: Json::Null,
            idempotency_key: Some(order.key.clone()),
            correlation_id: None,
            priority: None,
            security_context: principal(),
        };
        let call = |node: Arc<Node>| {
            let request = request.clone();
            async move { node.start_run(request).await }
        };
        match self.fleet.call(call).await {
            Some(Ok(_)) => {
                let known = self.fleet.database.look(|mirror| mirror.find(&order.run).is_some());
                // Of what a store has lost since nobody could know.
                let lost = self.fleet.world.rollbacks.load(Ordering::Relaxed) > 0;
                if !known && !lost {
                    self.fleet.world.is_wrong(format!(
                        "the start of run {} is answered, and the store has no such run",
                        order.run
                    ));
                }
                Asked::Done
            }
            Some(Err(Error::Refused(error))) => {
                self.fleet.world.is_wrong(format!("the start of {} is refused: {error:?}", order.workflow));
                Asked::Done
            }
            Some(Err(_)) | None => Asked::Unknown,
        }
    }

    async fn start_by_broker(&self) -> Asked {
        let order = &self.order;
        let request = StartRequest {
            format: FORMAT,
            workflow: order.workflow.clone(),
            version: None,
            input: Json::Null,
            key: Some(order.key.clone()),
            correlation_id: None,
            priority: None,
        };
        let message = Message {
            body: serde_json::to_vec(&request).unwrap_or_default().into(),
            message_id: format!("start-{}", order.key),
            kind: Kind::Start.as_str().to_owned(),
            ..Message::default()
        };
        let publication = Publication { queue: topology::START.to_owned(), message };
        match self.fleet.broker().publish(vec![publication]).await.pop() {
            Some(Ok(())) => Asked::Done,
            _ => Asked::Unknown,
        }
    }

    async fn signal(&self, name: &str) -> Asked {
        let signal = SignalMessage {
            format: FORMAT,
            run: self.order.run.clone(),
            signal_id: format!("{}-{name}", self.order.key),
            name: name.to_owned(),
            payload: json!({"from": "client"}),
        };
        let call = |node: Arc<Node>| {
            let signal = signal.clone();
            async move { node.signal(signal).await.map(drop) }
        };
        told(self.fleet.call(call).await)
    }
}

fn told(answer: Option<Result<(), Error>>) -> Asked {
    match answer {
        Some(Ok(())) => Asked::Done,
        Some(Err(Error::Refused(error))) if error.code == "CONFLICT" => Asked::TooLate,
        Some(Err(_)) | None => Asked::Unknown,
    }
}

impl Fleet {
    /// Asks some node; none where there is none, or where it dies meanwhile.
    pub(crate) async fn call<T, F>(&self, ask: impl Fn(Arc<Node>) -> F) -> Option<T>
    where
        F: Future<Output = T>,
    {
        let living = self.any_node()?;
        tokio::select! {
            biased;
            () = living.process.dead() => None,
            answer = ask(living.node.clone()) => Some(answer),
        }
    }

    /// Runs that others started wait for signals, too, and nobody has ordered them.
    async fn signal_runs_of_runs(&self, orders: &[Order]) {
        let waits = self.database.look(|mirror| {
            let others = mirror.runs.iter().filter(|(run, _)| orders.iter().all(|order| order.run != **run));
            let waits =
                others.flat_map(|(run, view)| view.awaited().into_iter().map(|wait| (run.clone(), wait)));
            waits.filter(|(_, (_, name))| name.starts_with("go_")).collect::<Vec<_>>()
        });
        for (run, (path, name)) in waits {
            let signal = SignalMessage {
                format: FORMAT,
                run,
                signal_id: format!("for {path}"),
                name,
                payload: json!({}),
            };
            let call = |node: Arc<Node>| {
                let signal = signal.clone();
                async move { node.signal(signal).await.map(drop) }
            };
            self.call(call).await;
        }
    }

    async fn operate(&self, run: &RunKey, operation: Operation) -> Asked {
        let message =
            OperationMessage { format: FORMAT, run: run.clone(), operation, requested_by: "op".to_owned() };
        let call = |node: Arc<Node>| {
            let message = message.clone();
            async move { node.operate(message).await.map(drop) }
        };
        told(self.call(call).await)
    }

    /// An operator's round: what stands still goes on, and what was handed on is completed.
    pub(crate) async fn tend(self: Arc<Self>, hands: Arc<Hands>, orders: Vec<Order>) {
        loop {
            sleep(Duration::from_millis(900)).await;
            let now = self.world.age_ms();
            self.signal_runs_of_runs(&orders).await;
            let held = |run: &RunKey| {
                orders
                    .iter()
                    .any(|order| order.run == *run && order.pause_at.is_some() && now < order.resume_at)
            };
            let paused: Vec<RunKey> = self.database.look(|mirror| {
                let paused =
                    mirror.runs.iter().filter(|(_, view)| view.run_status() == Some(WorkflowStatus::Paused));
                paused.map(|(run, _)| run.clone()).filter(|run| !held(run)).collect()
            });
            for run in paused {
                self.operate(&run, Operation::Resume).await;
            }
            let open: Vec<_> = self.database.look(|mirror| {
                let accepted = |view: &crate::mirror::RunView| -> Vec<_> {
                    view.open().filter(|(.., accepted)| *accepted).map(|(_, attempt, _)| attempt).collect()
                };
                mirror
                    .runs
                    .iter()
                    .flat_map(|(run, view)| {
                        accepted(view).into_iter().map(|attempt| (run.clone(), attempt)).collect::<Vec<_>>()
                    })
                    .collect()
            });
            for (run, attempt) in open {
                let handed = hands.look(|ledger| ledger.handed_on.get(&attempt).cloned());
                let Some(handed) = handed.filter(|handed| handed.since_ms + 1_500 < now) else { continue };
                let message = CompleteMessage {
                    format: FORMAT,
                    run,
                    task_path: handed.path.as_str().into(),
                    execution_id: Some(attempt),
                    completion: Completion::Completed { output: json!({"n": handed.n}) },
                    requested_by: "op".to_owned(),
                };
                let call = |node: Arc<Node>| {
                    let message = message.clone();
                    async move { node.complete(message).await.map(drop) }
                };
                self.call(call).await;
            }
        }
    }
}
