//! Starts runs at a node, so many at a time, and sees each to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use oarlock_orchestrator::Node;
use oarlock_protocol::instance::{WorkflowInstance, WorkflowStatus};
use oarlock_protocol::message::StartMessage;
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::{FORMAT, Json, RunId, RunKey};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::latency::{Latencies, Recorder};
use crate::plan::{Plan, Shape};
use crate::{Error, shape};

/// The tenant of every run.
pub const TENANT: &str = "bench";
/// One run in so many is read after its end, to learn how long its tasks waited for a worker.
const READ_EVERY: usize = 50;
/// The most tasks that are looked at in a run that is read.
const MOST_READ: usize = 100;

/// What came of a round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Driven {
    /// How many runs ended, or wait.
    pub runs: usize,
    /// How long all took.
    pub seconds: f64,
    /// From the start of a run to its end.
    pub run: Latencies,
    /// From a task's being ready to its worker's begin.
    pub queue: Latencies,
}

/// Starts runs at one node.
pub struct Driver {
    node: Arc<Node>,
    plan: Plan,
    input: Json,
    done: Arc<AtomicUsize>,
}

impl Driver {
    /// Registers the definition.
    ///
    /// # Errors
    /// The definition is refused, or the store failed.
    pub async fn new(node: Arc<Node>, plan: Plan, done: Arc<AtomicUsize>) -> Result<Arc<Self>, Error> {
        let definition = serde_json::from_value(shape::definition(&plan))
            .map_err(|error| Error::Plan(format!("the definition cannot be read: {error}")))?;
        node.register(TENANT, definition).await?;
        Ok(Arc::new(Self { node, input: shape::input(&plan), plan, done }))
    }

    /// Lets `runs` runs come to their end (or, of those that wait, begin), `in_flight` at a time.
    ///
    /// # Errors
    /// A run is refused, or ends otherwise than COMPLETED.
    pub async fn drive(self: &Arc<Self>, runs: usize, in_flight: usize) -> Result<Driven, Error> {
        let lanes = in_flight.clamp(1, runs.max(1));
        let began = Instant::now();
        let mut working = JoinSet::new();
        for lane in 0..lanes {
            let share = runs / lanes + usize::from(lane < runs % lanes);
            working.spawn(Arc::clone(self).lane(lane, share));
        }
        let (mut run, mut queue) = (Recorder::default(), Recorder::default());
        while let Some(lane) = working.join_next().await {
            let lane = lane.map_err(|error| Error::Plan(format!("a lane of runs died: {error}")))??;
            lane.0.into_iter().for_each(|time| run.add(time));
            lane.1.into_iter().for_each(|time| queue.add(time));
        }
        let seconds = began.elapsed().as_secs_f64();
        Ok(Driven { runs, seconds, run: run.latencies(), queue: queue.latencies() })
    }

    /// One run after the other; how long each took, and how long some tasks waited for a worker.
    async fn lane(
        self: Arc<Self>,
        lane: usize,
        runs: usize,
    ) -> Result<(Vec<Duration>, Vec<Duration>), Error> {
        let (mut run, mut queue) = (Vec::with_capacity(runs), Vec::new());
        for n in 0..runs {
            let began = Instant::now();
            let key = self.once().await?;
            run.push(began.elapsed());
            self.done.fetch_add(1, Ordering::Relaxed);
            if (lane + n).is_multiple_of(READ_EVERY)
                && let Some(instance) = self.node.get(&key).await?
            {
                queue.extend(waits(&instance));
            }
        }
        Ok((run, queue))
    }

    async fn once(&self) -> Result<RunKey, Error> {
        let request = request(self.input.clone());
        let key = RunKey::new(TENANT, request.workflow_instance_id);
        // Heard before it is asked for: the end of a run of another node is asked for below.
        let mut end = self.node.watch().end_of(&key);
        self.node.start_run(request).await?;
        if self.plan.shape == Shape::Wait {
            return Ok(key);
        }
        let status =
            if self.node.owns_run(&key) { end.status().await } else { self.node.ended(&key).await? };
        match status {
            Some(WorkflowStatus::Completed) => Ok(key),
            other => Err(Error::Ended(other.map_or("nowhere", WorkflowStatus::as_str).to_owned())),
        }
    }
}

/// How long the tasks of a run were ready before a worker began them.
fn waits(instance: &WorkflowInstance) -> impl Iterator<Item = Duration> {
    let attempts = instance.task_instances.iter().flat_map(|task| &task.attempts);
    let waits = attempts.filter_map(|attempt| Some(attempt.start_time?.since(attempt.ready_at).into()));
    waits.take(MOST_READ)
}

fn request(input: Json) -> StartMessage {
    StartMessage {
        parent: None,
        traceparent: None,
        format: FORMAT,
        workflow_instance_id: RunId::random(),
        workflow_definition_id: shape::WORKFLOW.to_owned(),
        workflow_definition_version: Some(1),
        input,
        idempotency_key: None,
        correlation_id: None,
        priority: None,
        security_context: SecurityContext {
            user_id: "bench".to_owned(),
            tenant_id: TENANT.to_owned(),
            ..SecurityContext::default()
        },
    }
}
