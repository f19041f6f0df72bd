//! What is asked and answered: a producer's request for a run, requests between orchestrators, and the answer to each.
//!
//! A request names in `reply_to` where its answer goes and in `correlation_id` what the answer repeats; without
//! `reply_to` nothing is answered. Never a change of a run: that is an event of its inbox.

use serde::{Deserialize, Serialize};

use crate::definition::WorkflowDefinition;
use crate::instance::WorkflowStatus;
use crate::schedule::ScheduleDefinition;
use crate::security::SecurityContext;
use crate::{ErrorDetails, ExecutionId, Json, RunId, RunKey, TaskPath, Timestamp, priority};

/// What a producer puts on the queue `oarlock.start`: the words of `POST /v1/runs`. On whose behalf it asks is not
/// said here: the broker tells which user published it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StartRequest {
    /// Version of this form.
    pub format: u32,
    /// Which workflow: the id of its definition.
    pub workflow: String,
    /// Which version of it; the newest where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The run's input: an object, or absent.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub input: Json,
    /// The producer's key, 1 to 512 bytes: the same key starts one run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The producer's own mark of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// How urgent the run is, 0 to 9, greater is sooner: the priority of its tasks whose steps name none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "priority::given")]
    #[cfg_attr(feature = "schema", schemars(range(max = 9)))]
    pub priority: Option<u8>,
}

/// Asks an orchestrator for a definition that it may not know yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RegisterMessage {
    /// Version of this form.
    pub format: u32,
    /// Whose definition it is.
    pub tenant_id: String,
    /// The definition, checked by who sends it.
    pub definition: WorkflowDefinition,
}

/// Asks the owner of a run to tell when it has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct WatchMessage {
    /// Version of this form.
    pub format: u32,
    /// Which run.
    #[serde(flatten)]
    pub run: RunKey,
}

/// Ends a task from outside: one whose worker answered ACCEPTED, or one that waits for an operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CompleteMessage {
    /// Version of this form.
    pub format: u32,
    /// Which run.
    #[serde(flatten)]
    pub run: RunKey,
    /// Which task of it.
    pub task_path: TaskPath,
    /// Which attempt of it; the open one where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_id: Option<ExecutionId>,
    /// How the task ends.
    #[serde(flatten)]
    pub completion: Completion,
    /// Who asks.
    pub requested_by: String,
}

/// How a task is ended from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "status", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum Completion {
    /// It is done, with this output.
    Completed {
        /// As if its worker had returned it.
        #[serde(default)]
        output: Json,
    },
    /// It failed: its retry policy decides what follows.
    Failed {
        /// Why.
        error: ErrorDetails,
    },
}

/// Asks that nothing more of a queue or a definition be let out, or that it go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PauseMessage {
    /// Version of this form.
    pub format: u32,
    /// What is held back.
    pub subject: PauseSubject,
    /// PAUSE or RESUME.
    pub operation: Operation,
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
    /// Who asks.
    pub requested_by: String,
}

/// What can be held back beside a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum PauseSubject {
    /// A task queue, for all tenants.
    Queue {
        /// Its name, without `oarlock.tasks.`.
        queue: String,
    },
    /// A task definition of a tenant, in whatever workflow.
    Task {
        /// Whose.
        tenant_id: String,
        /// The id of the task definition.
        task: String,
    },
    /// A workflow definition of a tenant, in all versions.
    Workflow {
        /// Whose.
        tenant_id: String,
        /// The id of the workflow definition.
        workflow: String,
    },
}

/// Asks for something an operator does with a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OperationMessage {
    /// Version of this form.
    pub format: u32,
    /// Which run.
    #[serde(flatten)]
    pub run: RunKey,
    /// What to do.
    pub operation: Operation,
    /// Who asks.
    pub requested_by: String,
}

/// What an operator does with a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Operation {
    /// Nothing more is dispatched: PAUSED.
    Pause,
    /// A PAUSED run goes on; what had used up its retries begins them anew.
    Resume,
    /// A run that ended FAILED, CANCELLED or TIMED_OUT opens a new generation: what did not complete is done again.
    Retry,
}

/// Asks for something that is done with a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ScheduleMessage {
    /// Version of this form.
    pub format: u32,
    /// Whose schedule.
    pub tenant_id: String,
    /// Which one.
    pub schedule_id: String,
    /// What to do.
    #[serde(flatten)]
    pub action: ScheduleAction,
    /// Who asks.
    pub requested_by: String,
}

/// What is done with a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "action", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum ScheduleAction {
    /// It is registered, or replaced: whether it is paused and how far it is stay.
    Put {
        /// The schedule, checked by who sends it.
        definition: Box<ScheduleDefinition>,
        /// On whose behalf its runs act.
        security_context: Box<SecurityContext>,
    },
    /// It is removed; runs that it has started go on.
    Delete,
    /// Nothing becomes due until it is resumed.
    Pause {
        /// Why, for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Runs become due again, from now on.
    Resume,
    /// A run is due now, paused or not.
    Trigger {
        /// The asker's key: the same key starts one run.
        key: String,
        /// When it was asked for.
        due: Timestamp,
    },
}

/// The answer to a request, on its `reply_to` and with its `correlation_id`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AnswerMessage {
    /// Version of this form.
    pub format: u32,
    /// What became of the request.
    #[serde(flatten)]
    pub answer: Answer,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "status", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum Answer {
    /// The run is committed.
    Accepted {
        /// Which run.
        workflow_instance_id: RunId,
        /// Which version of its definition it runs.
        workflow_definition_version: u32,
        /// Whether the same request had started it before.
        existing: bool,
    },
    /// Nothing was done.
    Refused {
        /// Why; with `retryable`, the same request may succeed later.
        error: ErrorDetails,
    },
    /// The cancel of a run is recorded.
    Cancelling {
        /// Whether the run was under way; absent where there is no such run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        under_way: Option<bool>,
    },
    /// The request is recorded: a signal, a completion, an operation, what is done with a schedule.
    Recorded {
        /// Whether it had been recorded before, and changed nothing now.
        existing: bool,
    },
    /// The definition is known.
    Registered {
        /// Whether it was not known before.
        new: bool,
    },
    /// The run has ended.
    Ended {
        /// How.
        run_status: WorkflowStatus,
    },
}
