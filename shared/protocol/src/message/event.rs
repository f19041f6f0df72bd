//! What is announced on the topic exchange `oarlock.events` when the status of a run or of a task has changed.
//!
//! It is told at most once, after the commit; whoever has to know asks for the run. It carries no input and no output.

use serde::{Deserialize, Serialize};

use crate::instance::{TaskStatus, WorkflowStatus};
use crate::{ExecutionId, RunKey, TaskPath, Timestamp};

/// The status of a run has changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RunEvent {
    /// Version of this form.
    pub format: u32,
    /// Which run.
    #[serde(flatten)]
    pub run: RunKey,
    /// The id of its definition.
    pub workflow: String,
    /// The version of that.
    pub version: u32,
    /// Its status now.
    pub status: WorkflowStatus,
    /// When that was decided, by the clock of the orchestrator.
    pub time: Timestamp,
    /// The producer's own mark of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
}

/// The status of a task has changed, or of a step that starts a run. Other steps are not announced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TaskEvent {
    /// Version of this form.
    pub format: u32,
    /// Which run.
    #[serde(flatten)]
    pub run: RunKey,
    /// The id of its definition.
    pub workflow: String,
    /// The version of that.
    pub version: u32,
    /// Where the task stands in the run.
    pub task_path: TaskPath,
    /// The id of the task definition; of a step that starts a run, of the workflow it starts.
    pub task: String,
    /// Its status now.
    pub status: TaskStatus,
    /// When that was decided, by the clock of the orchestrator.
    pub time: Timestamp,
    /// The number of its attempts so far.
    pub attempt: u32,
    /// The attempt of that number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_id: Option<ExecutionId>,
    /// The code of its error, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// The producer's own mark of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
}
