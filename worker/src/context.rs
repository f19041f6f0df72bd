//! What a task's code is told of its attempt, and how it answers while it runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use oarlock_protocol::instance::TaskExecutionContext;
use oarlock_protocol::message::{AttemptAddress, TaskMessage};
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::{
    ExecutionId, Json, JsonMap, RunId, RunKey, TaskInstanceId, TaskPath, Timestamp, TraceParent,
};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::flag::Flag;
use crate::secrets::Mask;
use crate::trace::Trace;

/// One attempt, as its handler sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TaskContext(Arc<Attempt>);

/// What the runtime and the handler share about one attempt.
#[derive(Debug)]
struct Attempt {
    execution_id: ExecutionId,
    task: String,
    number: u32,
    idempotency_key: TaskInstanceId,
    context: TaskExecutionContext,
    deadline: Option<Timestamp>,
    heartbeat_ms: u64,
    deliveries: u32,
    reply_to: String,
    max_payload_bytes: usize,
    trace: Option<Trace>,
    began: Timestamp,
    started: Instant,
    ends: Limit,
    cancelled: Flag,
    /// Raised when the orchestrator has answered a sign of life.
    known: Flag,
    asks_first: bool,
    state: Option<Json>,
    /// Hides the secrets of the input; set before the handler runs.
    mask: OnceLock<Arc<Mask>>,
    details: Mutex<Option<Json>>,
    abort: OnceLock<AbortHandle>,
    aborted: AtomicBool,
}

/// When an attempt must end, and which of its limits says so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) at: Instant,
    /// Whether it is the deadline of all attempts together rather than this one's own time.
    pub(crate) total: bool,
}

/// What a delivery tells beside its message.
pub(crate) struct Envelope {
    pub(crate) execution_id: ExecutionId,
    pub(crate) reply_to: String,
    pub(crate) deliveries: u32,
    pub(crate) max_payload_bytes: usize,
    pub(crate) trace: Option<Trace>,
}

impl TaskContext {
    /// The run.
    pub fn workflow_instance_id(&self) -> RunId {
        self.0.context.workflow_instance_id
    }

    /// Where the task stands in the run.
    pub fn task_path(&self) -> &TaskPath {
        &self.0.context.task_path
    }

    /// The name of the task.
    pub fn task(&self) -> &str {
        &self.0.task
    }

    /// The attempt: another at every retry, the same when the broker hands it out again.
    pub fn execution_id(&self) -> ExecutionId {
        self.0.execution_id
    }

    /// The number of the attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.0.number
    }

    /// The same over all attempts: what a payment service or a database should be given to do a thing once.
    pub fn idempotency_key(&self) -> TaskInstanceId {
        self.0.idempotency_key
    }

    /// When all attempts together must be done, where the task has a total time.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.0.deadline
    }

    /// How long this attempt may still run; zero once its time is over.
    pub fn remaining(&self) -> Duration {
        self.0.ends.at.saturating_duration_since(Instant::now())
    }

    /// Whether the attempt is to end.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.is_raised()
    }

    /// Returns once the attempt is to end: it was cancelled, its time is over, or the worker stops.
    pub async fn cancelled(&self) {
        self.0.cancelled.wait().await;
    }

    /// What the last look left behind, where it was [`Answer::Deferred`](crate::Answer::Deferred); nothing at the first look.
    pub fn state(&self) -> Option<&Json> {
        self.0.state.as_ref()
    }

    /// Tells how far the task is. Signs are sent at most once a second, with the newest details.
    pub fn heartbeat(&self, details: Json) {
        let details = match self.mask() {
            Some(mask) => mask.json(details),
            None => details,
        };
        *self.0.details.lock().unwrap_or_else(PoisonError::into_inner) = Some(details);
    }

    /// On whose behalf the task runs, and what it demands.
    pub fn security_context(&self) -> &SecurityContext {
        &self.0.context.security_context
    }

    /// The workflow's variables as they were when the task was sent.
    pub fn variables(&self) -> &JsonMap {
        &self.0.context.workflow_variables
    }

    /// The producer's own mark of the run.
    pub fn correlation_id(&self) -> Option<&str> {
        self.0.context.correlation_id.as_deref()
    }

    /// The span that whatever the task calls belongs to, as the header `traceparent` of W3C Trace Context tells it in text;
    /// none where the run is not traced.
    pub fn traceparent(&self) -> Option<TraceParent> {
        self.0.trace.map(Trace::handed_on)
    }

    /// The context of the attempt that `message` hands over, begun at `started`, and the input for its handler.
    pub(crate) fn begin(
        message: TaskMessage,
        envelope: Envelope,
        now: Timestamp,
        started: Instant,
    ) -> (Self, Json) {
        let ends = Limit::of(&message, now, started);
        let attempt = Attempt {
            execution_id: envelope.execution_id,
            task: message.task,
            number: message.attempt,
            idempotency_key: message.idempotency_key,
            context: message.execution_context,
            deadline: message.deadline,
            heartbeat_ms: message.heartbeat_ms,
            deliveries: envelope.deliveries,
            reply_to: envelope.reply_to,
            max_payload_bytes: envelope.max_payload_bytes,
            trace: envelope.trace,
            began: now,
            started,
            ends,
            cancelled: Flag::default(),
            known: Flag::default(),
            asks_first: message.ask_after.is_some_and(|after| after < now),
            state: message.state,
            mask: OnceLock::new(),
            details: Mutex::new(None),
            abort: OnceLock::new(),
            aborted: AtomicBool::new(false),
        };
        (Self(Arc::new(attempt)), message.input)
    }

    pub(crate) fn limit(&self) -> Limit {
        self.0.ends
    }

    pub(crate) fn started(&self) -> Instant {
        self.0.started
    }

    /// When the worker had taken it, by the clock.
    pub(crate) fn began(&self) -> Timestamp {
        self.0.began
    }

    pub(crate) fn trace(&self) -> Option<Trace> {
        self.0.trace
    }

    pub(crate) fn heartbeat_ms(&self) -> u64 {
        self.0.heartbeat_ms
    }

    pub(crate) fn deliveries(&self) -> u32 {
        self.0.deliveries
    }

    pub(crate) fn reply_to(&self) -> &str {
        &self.0.reply_to
    }

    pub(crate) fn max_payload_bytes(&self) -> usize {
        self.0.max_payload_bytes
    }

    /// Where the worker's answers about this attempt belong.
    pub(crate) fn address(&self) -> AttemptAddress {
        AttemptAddress {
            run: RunKey::new(self.security_context().tenant_id.as_str(), self.workflow_instance_id()),
            task_path: self.task_path().clone(),
            execution_id: self.0.execution_id,
        }
    }

    /// Hides these secrets from now on.
    pub(crate) fn set_mask(&self, mask: Arc<Mask>) {
        // Set once, before the handler runs; a second call cannot be.
        let _ = self.0.mask.set(mask);
    }

    /// What hides the secrets of the input; none where it has none.
    pub(crate) fn mask(&self) -> Option<&Arc<Mask>> {
        self.0.mask.get()
    }

    /// Tells the handler to end.
    pub(crate) fn cancel(&self) {
        self.0.cancelled.raise();
    }

    /// Whether the attempt was on its way for so long that it may be closed by now: it begins only when that was asked.
    pub(crate) fn asks_first(&self) -> bool {
        self.0.asks_first
    }

    /// Notes that the orchestrator knows of the attempt, and that it may go on.
    pub(crate) fn confirm(&self) {
        self.0.known.raise();
    }

    /// Returns once the orchestrator has said that the attempt may go on.
    pub(crate) async fn confirmed(&self) {
        self.0.known.wait().await;
    }

    /// Whether the handler has told something that is not yet sent.
    pub(crate) fn has_details(&self) -> bool {
        self.0.details.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Takes what the handler has told last.
    pub(crate) fn take_details(&self) -> Option<Json> {
        self.0.details.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Remembers how the handler's task is ended by force.
    pub(crate) fn set_abort(&self, handle: AbortHandle) {
        // Set once, right after the spawn; a second call cannot be.
        let _ = self.0.abort.set(handle);
        if self.0.aborted.load(Ordering::SeqCst) {
            self.abort();
        }
    }

    /// Ends the handler's task by force: its future is dropped.
    pub(crate) fn abort(&self) {
        // The order matters: an end that comes before the handle is known is made up for when it is.
        self.0.aborted.store(true, Ordering::SeqCst);
        if let Some(handle) = self.0.abort.get() {
            handle.abort();
        }
    }
}

impl Limit {
    /// The sooner of the attempt's own time and the deadline.
    fn of(message: &TaskMessage, now: Timestamp, started: Instant) -> Self {
        // A year is as good as no limit, and keeps the sum in range on every platform.
        const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
        let own = Duration::from_millis(message.timeout_ms);
        let total = message.deadline.map(|deadline| Duration::from(deadline.since(now)));
        let limit = total.map_or(own, |total| own.min(total)).min(LONGEST);
        Self { at: started + limit, total: total.is_some_and(|total| total <= own) }
    }
}
