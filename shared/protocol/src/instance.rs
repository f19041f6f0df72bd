//! Runs and their tasks as people and programs see them: what `GET /v1/runs/{id}` answers.

use serde::{Deserialize, Serialize};

use crate::security::SecurityContext;
use crate::{
    ErrorDetails, ExecutionId, Json, JsonMap, RunId, Span, TaskInstanceId, TaskPath, Timestamp, TraceParent,
    WorkerId,
};

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WorkflowStatus {
    /// Accepted, nothing decided yet.
    Pending,
    /// Under way; with `error` set, its error handlers are at work.
    Running,
    /// Waits for an operator; nothing is dispatched.
    Paused,
    /// Undoes what was done.
    Compensating,
    /// Ended well.
    Completed,
    /// Ended by an error.
    Failed,
    /// Ended by a request.
    Cancelled,
    /// Ended by its total timeout.
    TimedOut,
}

impl WorkflowStatus {
    /// Every status.
    pub const ALL: [WorkflowStatus; 8] = [
        Self::Pending,
        Self::Running,
        Self::Paused,
        Self::Compensating,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::TimedOut,
    ];

    /// Whether the run has ended.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled | Self::TimedOut)
    }

    /// The text of the status, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Compensating => "COMPENSATING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::TimedOut => "TIMED_OUT",
        }
    }
}

/// Where a task of a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskStatus {
    /// Known, and waiting for others.
    Pending,
    /// Decided, not yet published.
    Ready,
    /// Published to its queue.
    Scheduled,
    /// A worker holds it (or, for a group, its children are under way).
    Running,
    /// Ended well.
    Completed,
    /// Ended by an error, no retry left.
    Failed,
    /// Waits for its next attempt.
    RetryPending,
    /// Its condition was false.
    Skipped,
    /// Ended because something around it ended.
    Cancelled,
    /// Ended by its total timeout.
    TimedOut,
}

impl TaskStatus {
    /// Whether the task has ended.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Skipped | Self::Cancelled | Self::TimedOut)
    }

    /// The text of the status, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Ready => "READY",
            Self::Scheduled => "SCHEDULED",
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::RetryPending => "RETRY_PENDING",
            Self::Skipped => "SKIPPED",
            Self::Cancelled => "CANCELLED",
            Self::TimedOut => "TIMED_OUT",
        }
    }
}

/// What kind of step a task instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names are those of the definition language")]
pub enum InstanceKind {
    Task,
    Group,
    Parallel,
    Switch,
    Set,
    Terminate,
    /// The error handlers of a task, group or workflow.
    OnError,
    ForEach,
    Loop,
    /// One round of a `forEach` or `loop`.
    Iteration,
    Workflow,
    Wait,
    /// What is done when a `wait` has timed out.
    OnTimeout,
    /// The task that undoes another.
    Compensation,
}

/// A run: one execution of a workflow definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "each field is told in docs/data-model.md")]
pub struct WorkflowInstance {
    pub format: u32,
    pub id: RunId,
    pub workflow_definition_id: String,
    pub workflow_definition_version: u32,
    pub status: WorkflowStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    pub input: Json,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Json>,
    pub task_instances: Vec<TaskInstance>,
    pub variables: JsonMap,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorDetails>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// How urgent it is, where who started it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(max = 9)))]
    pub priority: Option<u8>,
    /// The step that started it, where a run did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ParentStep>,
    /// The span of a trace that it belongs to, where who started it gave one; else its trace has its own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceParent>,
    pub tenant_id: String,
    pub created_by: String,
    pub security_context: SecurityContext,
    pub metrics: WorkflowMetrics,
    /// The steps that made the run last as long as it did, the first first: shortening any other would not have shortened it. Of
    /// more than a thousand the longest are told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub critical_path: Vec<CriticalStep>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A step of the critical path of a run: the next one could not begin before it had ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CriticalStep {
    /// The step.
    pub task_path: TaskPath,
    /// Its time from when it could begin to its end, or to now.
    pub lasted_ms: u64,
    /// How much of it its attempts waited for a worker.
    pub queue_time_ms: u64,
    /// How much of it they were executed.
    pub execution_time_ms: u64,
}

/// The step of another run that started a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ParentStep {
    /// The other run.
    pub workflow_instance_id: RunId,
    /// The step in it.
    pub task_path: TaskPath,
}

/// What a run has cost so far: sums over its closed attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "each field is told in docs/data-model.md")]
pub struct WorkflowMetrics {
    pub task_count: u64,
    pub completed_tasks: u64,
    pub failed_tasks: u64,
    pub skipped_tasks: u64,
    pub attempts: u64,
    pub retries: u64,
    pub total_queue_time_ms: u64,
    pub total_execution_time_ms: u64,
    pub total_retry_wait_ms: u64,
    pub total_cpu_time_ms: u64,
    pub total_memory_bytes: u64,
    pub total_input_bytes: u64,
    pub total_output_bytes: u64,
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "each field is told in docs/data-model.md")]
pub struct TaskInstance {
    pub id: TaskInstanceId,
    pub kind: InstanceKind,
    /// The task definition it dispatches; absent for steps that no worker executes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_definition_id: Option<String>,
    pub workflow_instance_id: RunId,
    pub status: TaskStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorDetails>,
    pub retry_count: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// The run that its latest attempt is, where it starts a run of another workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child_id: Option<RunId>,
    /// When the next attempt begins, while RETRY_PENDING.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    pub execution_context: TaskExecutionContext,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// One dispatch of a task instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "each field is told in docs/data-model.md")]
pub struct Attempt {
    pub execution_id: ExecutionId,
    pub queue: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<WorkerId>,
    /// Who held it before and was lost: the latest few, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_workers: Vec<WorkerId>,
    /// How often a worker was handed it: more than one after a worker was lost.
    pub deliveries: u32,
    /// When the task was ready for it: its queue time counts from here.
    pub ready_at: Timestamp,
    pub scheduled_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorDetails>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<TaskMetrics>,
    /// The bytes of JSON that its worker was given as input.
    #[serde(default)]
    pub input_bytes: u64,
    /// The bytes of JSON that its worker gave back: an output, or what it left for a later look.
    #[serde(default)]
    pub output_bytes: u64,
}

/// What one execution cost, as the worker measured it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct TaskMetrics {
    /// From the handler's begin to its end.
    pub execution_time_ms: u64,
    /// Processor time, user and system; 0 where the worker cannot tell.
    pub cpu_time_ms: u64,
    /// The greatest resident memory; 0 where the worker cannot tell.
    pub memory_bytes: u64,
}

/// What a task is told of the run around it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TaskExecutionContext {
    /// The run.
    pub workflow_instance_id: RunId,
    /// The variables as they were at the dispatch; it travels and is never stored.
    #[serde(default, skip_serializing_if = "JsonMap::is_empty")]
    pub workflow_variables: JsonMap,
    /// Where the task stands in the run.
    pub task_path: TaskPath,
    /// The attempt; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_id: Option<ExecutionId>,
    /// On whose behalf, and what the task demands.
    pub security_context: SecurityContext,
    /// The producer's own mark of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
}

/// One line of a run's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// When it happened.
    pub time: Timestamp,
    /// Where: `/` is the run itself.
    pub task_path: TaskPath,
    /// The status that began then.
    pub status: String,
    /// The number of the attempt, from 1, where it concerns one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Which worker, where one did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<WorkerId>,
    /// The error, where it ended by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorDetails>,
    /// How long what ended here had lasted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasted: Option<Span>,
}

/// One row of a list of runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "fields of WorkflowInstance")]
pub struct WorkflowSummary {
    pub id: RunId,
    pub workflow_definition_id: String,
    pub workflow_definition_version: u32,
    pub status: WorkflowStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorDetails>,
    /// The step that started it, where a run did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ParentStep>,
    pub created_by: String,
    pub created_at: Timestamp,
}
