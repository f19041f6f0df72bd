//! Workflow definitions as data: what was registered, after it was read and checked.
//!
//! Text becomes these types in `oarlock-definition`, which reports every problem with its place. The serde form here
//! is the canonical JSON that is stored; it refuses unknown fields.

use serde::{Deserialize, Serialize};

mod limit;
mod step;

pub use self::limit::{ConcurrencyLimit, RateLimit};
pub use self::step::{
    Awaited, ChildWorkflow, Compensation, CompensationWhen, ForEach, Join, Loop, Tolerance, Wait,
};
pub use crate::mapping::{Transformation, VariableMapping};
use crate::security::SecurityRequirements;
use crate::{Json, JsonMap, Span};

/// A workflow as registered; (`id`, `version`) never changes its meaning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkflowDefinition {
    /// Its name: an identifier.
    pub id: String,
    /// Which edition of it: counted from 1.
    pub version: u32,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Json>,
    /// The variables and the values they begin with.
    #[serde(default, skip_serializing_if = "JsonMap::is_empty")]
    pub variables: JsonMap,
    /// Policies of the tasks it uses; a task that is not listed has the defaults.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub task_definitions: Vec<TaskDefinition>,
    /// What is done, in order.
    pub tasks: Vec<Task>,
    /// The run's output: a value with `${ }` in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Json>,
    /// What is done when the run has failed, before it ends FAILED.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_error: Vec<Task>,
    /// Limits in time of a whole run.
    #[serde(default, skip_serializing_if = "WorkflowTimeouts::is_empty")]
    pub timeouts: WorkflowTimeouts,
    /// What every run demands of who starts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_requirements: Option<SecurityRequirements>,
    /// How long a finished run is kept; the configured default where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Span>,
}

/// Limits in time of a whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkflowTimeouts {
    /// From start to end; then the run ends TIMED_OUT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Span>,
}

impl WorkflowTimeouts {
    fn is_empty(&self) -> bool {
        self.total.is_none()
    }
}

/// The policies of one kind of task, wherever a workflow uses it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaskDefinition {
    /// The name under which workers offer it, such as `payment.charge`.
    pub id: String,
    /// Which edition of it: counted from 1.
    #[serde(default = "first")]
    pub version: u32,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its task queue; its id where absent. Routing rules may choose another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// JSON Schema of its input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Json>,
    /// JSON Schema of its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Json>,
    /// Whether and when a failed attempt is followed by another; never where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    /// Whether the run goes on when the task has failed for good.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continue_on_failure: bool,
    /// Limits in time.
    #[serde(default, skip_serializing_if = "TaskTimeouts::is_empty")]
    pub timeouts: TaskTimeouts,
    /// What it demands of the security context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_requirements: Option<SecurityRequirements>,
    /// At most so many dispatches in a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// At most so many open attempts at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_limit: Option<ConcurrencyLimit>,
}

/// Limits in time of one task; the configured defaults where absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaskTimeouts {
    /// From ready to started, of one attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Span>,
    /// From started to answered, of one attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<Span>,
    /// The longest silence of a worker that holds the attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Span>,
    /// All attempts and the waits between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Span>,
}

impl TaskTimeouts {
    /// Whether no limit is named.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These limits, and those of `defaults` where one is absent here.
    #[must_use]
    pub fn or(self, defaults: TaskTimeouts) -> Self {
        Self {
            queue: self.queue.or(defaults.queue),
            execution: self.execution.or(defaults.execution),
            heartbeat: self.heartbeat.or(defaults.heartbeat),
            total: self.total.or(defaults.total),
        }
    }
}

/// How the delay grows from one retry to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RetryStrategy {
    /// Always the initial delay.
    Fixed,
    /// The initial delay times the number of the retry.
    Linear,
    /// The initial delay times `backoffCoefficient` to the power of the retries made.
    #[default]
    Exponential,
}

/// What happens when no retry is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OnExhausted {
    /// The task fails.
    #[default]
    Fail,
    /// The run is PAUSED until an operator decides.
    Pause,
}

/// Whether and when a failed attempt is followed by another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryPolicy {
    /// How many further attempts there may be.
    pub max_retries: u32,
    /// How the delay grows.
    #[serde(default)]
    pub strategy: RetryStrategy,
    /// The delay before the first retry.
    #[serde(default = "one_second")]
    pub initial_delay: Span,
    /// The factor of EXPONENTIAL.
    #[serde(default = "two")]
    pub backoff_coefficient: f64,
    /// No delay is longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_delay: Option<Span>,
    /// Each delay differs by up to this share of itself, both ways: 0 to 1.
    #[serde(default)]
    pub jitter: f64,
    /// No retry begins later than this after the first dispatch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_time: Option<Span>,
    /// Codes worth a retry, `*` standing for any text; all retryable errors where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retryable_errors: Vec<String>,
    /// Codes never worth one, `*` standing for any text; they win over `retryableErrors`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub non_retryable_errors: Vec<String>,
    /// What happens when no retry is left.
    #[serde(default)]
    pub on_exhausted: OnExhausted,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 0,
            strategy: RetryStrategy::Exponential,
            initial_delay: one_second(),
            backoff_coefficient: two(),
            max_delay: None,
            jitter: 0.0,
            total_time: None,
            retryable_errors: Vec::new(),
            non_retryable_errors: Vec::new(),
            on_exhausted: OnExhausted::Fail,
        }
    }
}

/// One step of a workflow. Absent lists mean nothing; `dependsOn` alone tells an absent from an empty one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Task {
    /// Its name, unique in the whole workflow.
    pub id: String,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// An expression; where it is false the task is SKIPPED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The siblings it waits for; all earlier ones where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<Vec<String>>,
    /// What it is given: names and values with `${ }` in them.
    #[serde(default, skip_serializing_if = "JsonMap::is_empty")]
    pub input_mappings: JsonMap,
    /// What of its output goes into which variable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variable_mappings: Vec<VariableMapping>,
    /// The variables its snapshot holds; all where absent (none above 16 KiB).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_variables: Option<Vec<String>>,
    /// Greater is sooner, among the ready tasks of one tenant and queue: 0 to 9; that of the run where absent, and 4 where that has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// Instead of the task definition's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    /// Instead of the task definition's, each where present.
    #[serde(default, skip_serializing_if = "TaskTimeouts::is_empty")]
    pub timeouts: TaskTimeouts,
    /// Instead of the task definition's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continue_on_failure: Option<bool>,
    /// What is done when it has failed; then it counts as done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_error: Vec<Task>,
    /// Of a step with steps inside: the variables of its own, and the values they begin with.
    #[serde(default, skip_serializing_if = "JsonMap::is_empty")]
    pub variables: JsonMap,
    /// Of a step with steps inside: how many of them are enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<Join>,
    /// What undoes it when the run fails later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensate_with: Option<Box<Compensation>>,
    /// Of a `wait`: what is done when its timeout is over; then it counts as done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_timeout: Vec<Task>,
    /// An expression over its output; where it is true the run ends COMPLETED right after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminate_when: Option<String>,
    /// What it does.
    #[serde(flatten)]
    pub kind: TaskKind,
}

/// What a step does: in text the one key that names it; `forEach` and `loop` have `tasks` beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "step::Kind", into = "step::Kind")]
pub enum TaskKind {
    /// Dispatches the named task to a worker.
    Task(String),
    /// A group: its children in order.
    Tasks(Vec<Task>),
    /// A group whose children all start at once.
    Parallel(Vec<Task>),
    /// The first case that holds, and no other.
    Switch(Vec<SwitchCase>),
    /// Gives variables values, with `${ }` in them.
    Set(JsonMap),
    /// Ends the run.
    Terminate(Terminate),
    /// Its children once for each item.
    ForEach(ForEach, Vec<Task>),
    /// Its children again and again.
    Loop(Loop, Vec<Task>),
    /// Starts a run of another workflow.
    Workflow(ChildWorkflow),
    /// Waits for a time or a signal.
    Wait(Wait),
}

/// One case of a `switch`: `when` an expression, or `otherwise: true` on the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SwitchCase {
    /// An expression; the first case where it is true is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Taken when no other case is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub otherwise: bool,
    /// What the case does, in order.
    pub tasks: Vec<Task>,
}

/// How a `terminate` task ends the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Terminate {
    /// COMPLETED or FAILED.
    pub status: TerminateStatus,
    /// The run's output, instead of the workflow's `output`: a value with `${ }` in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Json>,
    /// With FAILED, the message of the run's error: a text with `${ }` in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How a `terminate` task can end a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names say it")]
pub enum TerminateStatus {
    Completed,
    Failed,
}

fn first() -> u32 {
    1
}

fn one_second() -> Span {
    Span::from_secs(1)
}

fn two() -> f64 {
    2.0
}
