//! The messages on the wire. A message's `type` property is its [`Kind`]; its body is the JSON of the type of that name.
//!
//! Results and progress name the run and the path beside the attempt: a partition finds the run by its id, so nothing has
//! to be written down per attempt only to find it again.

mod beat;
mod event;
mod permits;
mod request;

use serde::{Deserialize, Serialize};

pub use self::beat::BeatMessage;
pub use self::event::{RunEvent, TaskEvent};
pub use self::permits::{LimitKind, LimitName, Permits, PermitsMessage};
pub use self::request::{
    Answer, AnswerMessage, CompleteMessage, Completion, Operation, OperationMessage, PauseMessage,
    PauseSubject, RegisterMessage, ScheduleAction, ScheduleMessage, StartRequest, WatchMessage,
};
use crate::instance::{TaskExecutionContext, TaskMetrics};
use crate::security::SecurityContext;
use crate::trace::{self, TraceParent};
use crate::{ErrorDetails, ExecutionId, Json, RunId, RunKey, TaskInstanceId, TaskPath, Timestamp, WorkerId};

/// What a message is: the `type` property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the type of that name")]
pub enum Kind {
    /// A [`StartRequest`] where producers ask, a [`StartMessage`] in an inbox.
    Start,
    Task,
    Result,
    Progress,
    Control,
    Cancel,
    Signal,
    Answer,
    Register,
    Watch,
    Complete,
    Operation,
    Beat,
    Schedule,
    Pause,
    Permits,
    RunEvent,
    TaskEvent,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 18] = [
        Kind::Start,
        Kind::Task,
        Kind::Result,
        Kind::Progress,
        Kind::Control,
        Kind::Cancel,
        Kind::Signal,
        Kind::Answer,
        Kind::Register,
        Kind::Watch,
        Kind::Complete,
        Kind::Operation,
        Kind::Beat,
        Kind::Schedule,
        Kind::Pause,
        Kind::Permits,
        Kind::RunEvent,
        Kind::TaskEvent,
    ];

    /// The text of the `type` property.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Start => "oarlock.start",
            Kind::Task => "oarlock.task",
            Kind::Result => "oarlock.result",
            Kind::Progress => "oarlock.progress",
            Kind::Control => "oarlock.control",
            Kind::Cancel => "oarlock.cancel",
            Kind::Signal => "oarlock.signal",
            Kind::Answer => "oarlock.answer",
            Kind::Register => "oarlock.register",
            Kind::Watch => "oarlock.watch",
            Kind::Complete => "oarlock.complete",
            Kind::Operation => "oarlock.operation",
            Kind::Beat => "oarlock.beat",
            Kind::Schedule => "oarlock.schedule",
            Kind::Pause => "oarlock.pause",
            Kind::Permits => "oarlock.permits",
            Kind::RunEvent => "oarlock.run_event",
            Kind::TaskEvent => "oarlock.task_event",
        }
    }

    /// The kind of that text.
    pub fn parse(text: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Asks a partition for a run: what became of a [`StartRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StartMessage {
    /// Version of this form.
    pub format: u32,
    /// Which run it is to be; where a key is given, made from it.
    pub workflow_instance_id: RunId,
    /// Which workflow.
    pub workflow_definition_id: String,
    /// Which version of it; the newest where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_definition_version: Option<u32>,
    /// The run's input.
    #[serde(default)]
    pub input: Json,
    /// The producer's key: the same key starts one run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The producer's own mark of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// How urgent the run is, 0 to 9, greater is sooner: the priority of its tasks whose steps name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(max = 9)))]
    pub priority: Option<u8>,
    /// On whose behalf.
    pub security_context: SecurityContext,
    /// The step that started it, where a run did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// The span of a trace that the run belongs to, where who asks for it has one; one that is invalid is none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "trace::if_valid")]
    pub traceparent: Option<TraceParent>,
}

/// The step of another run that started this one, and hears how it ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Parent {
    /// The attempt that this run is: its result is how this run ends.
    #[serde(flatten)]
    pub address: AttemptAddress,
    /// How many runs are above this one, from 1.
    pub depth: u32,
    /// Whether the step waits for the end; else it is answered when this run is accepted.
    pub wait: bool,
}

/// Hands a worker one attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TaskMessage {
    /// Version of this form.
    pub format: u32,
    /// Which task.
    pub task: String,
    /// The run around it.
    pub execution_context: TaskExecutionContext,
    /// What the task is given.
    pub input: Json,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The same over all attempts.
    pub idempotency_key: TaskInstanceId,
    /// How long the handler may run.
    pub timeout_ms: u64,
    /// The longest silence: a worker beats at a third of it.
    pub heartbeat_ms: u64,
    /// No worker begins later than this: TIMEOUT_QUEUE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_before: Option<Timestamp>,
    /// Who begins later asks before, by its first sign of life: the attempt may be closed by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask_after: Option<Timestamp>,
    /// No worker goes on after this: TIMEOUT_TOTAL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// What the last look left behind, where it was DEFERRED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Json>,
}

/// How an attempt ended, or why it goes on without this worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "status", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum Outcome {
    /// The handler returned this.
    Completed {
        /// What it returned.
        #[serde(default)]
        output: Json,
    },
    /// The handler failed; with code CANCELLED, because it was told to end.
    Failed {
        /// Why.
        error: ErrorDetails,
    },
    /// To be looked at again later; no retry is spent.
    Deferred {
        /// How much later, in milliseconds.
        after_ms: u64,
        /// Handed to the next look as `state`, at most 16 KiB.
        #[serde(default)]
        state: Json,
    },
    /// Someone else will complete it.
    Accepted,
    /// This worker does not know the task: a rolling deploy.
    Refused,
}

/// Where a message of a worker belongs: what its task message told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AttemptAddress {
    /// The run and its tenant.
    #[serde(flatten)]
    pub run: RunKey,
    /// The task in it.
    pub task_path: TaskPath,
    /// The attempt.
    pub execution_id: ExecutionId,
}

/// A worker's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ResultMessage {
    /// Version of this form.
    pub format: u32,
    /// What it answers.
    #[serde(flatten)]
    pub address: AttemptAddress,
    /// Who answers: fresh at every process start.
    pub worker_id: WorkerId,
    /// How the attempt ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What it cost.
    #[serde(default)]
    pub metrics: TaskMetrics,
    /// How often the broker had handed this attempt to workers, from 1.
    #[serde(default = "one")]
    pub deliveries: u32,
}

/// A sign of life of an attempt that lasts: 0 says that it runs and where, greater ones are heartbeats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ProgressMessage {
    /// Version of this form.
    pub format: u32,
    /// Of which attempt.
    #[serde(flatten)]
    pub address: AttemptAddress,
    /// Who holds it.
    pub worker_id: WorkerId,
    /// The number of the sign: the greatest counts.
    pub n: u64,
    /// How long the handler has run.
    pub running_ms: u64,
    /// How often the broker had handed this attempt to workers, from 1.
    #[serde(default = "one")]
    pub deliveries: u32,
    /// Where the worker hears answers and cancels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_queue: Option<String>,
    /// What the handler tells of how far it is.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub details: Json,
}

/// What the orchestrator tells a worker on its control queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ControlMessage {
    /// Version of this form.
    pub format: u32,
    /// About which attempt.
    pub execution_id: ExecutionId,
    /// What to do.
    #[serde(flatten)]
    pub order: Order,
}

/// What a worker is told to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "order", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum Order {
    /// Progress `n` is recorded: go on.
    Continue {
        /// The progress that is answered.
        n: u64,
    },
    /// End the attempt and answer FAILED with code CANCELLED.
    Cancel {
        /// Why, for people.
        reason: String,
    },
    /// The attempt is closed: end it and answer as to a cancel. That counts only where a store has lost what had closed it.
    Closed,
}

/// Asks that a run end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CancelMessage {
    /// Version of this form.
    pub format: u32,
    /// Which run.
    #[serde(flatten)]
    pub run: RunKey,
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
    /// Who asks.
    pub requested_by: String,
    /// The step that started the run, where that asks: it is answered in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
}

/// Tells a run something from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SignalMessage {
    /// Version of this form.
    pub format: u32,
    /// Which run.
    #[serde(flatten)]
    pub run: RunKey,
    /// The sender's id of this signal: the same id counts once.
    pub signal_id: String,
    /// The name a `wait` listens for.
    pub name: String,
    /// What is told.
    #[serde(default)]
    pub payload: Json,
}

/// A payload kept elsewhere: the reserved value `{"$payload": {…}}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PayloadReference {
    /// Where it is.
    pub uri: String,
    /// How many bytes it has.
    pub size: u64,
    /// Their SHA-256, in hex.
    pub sha256: String,
}

fn one() -> u32 {
    1
}
