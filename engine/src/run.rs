//! A run in memory: its head, variables and rows, and which of them a decision changed.
//!
//! The rows are what is stored; the progress of a block (how many children are settled) is derived from them and never
//! written, so a closing task writes its own row and nothing around it.

use std::collections::BTreeSet;

use oarlock_protocol::instance::{Attempt, TaskStatus, WorkflowMetrics, WorkflowStatus};
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::{
    ErrorDetails, ExecutionId, Json, JsonMap, RunKey, TaskInstanceId, TaskPath, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::map::{Map, Set};
use crate::plan::NodeId;

/// A run as its owner holds it.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its address.
    pub key: RunKey,
    /// What is small and changes often.
    pub head: Head,
    /// What it was started with.
    pub input: Json,
    /// What it ended with.
    pub output: Option<Json>,
    /// The workflow variables.
    pub variables: JsonMap,
    /// The steps that were reached, by their places; the run itself is `/`.
    pub rows: Map<TaskPath, Row>,
    /// What was changed and is not yet written.
    pub changes: Changes,
    /// Of steps with `dependsOn`: how many they name, counted from the first, are all settled. Derived, filled when
    /// first needed.
    pub(crate) met: Map<TaskPath, usize>,
}

/// The part of a run that is small, of bounded size, and changes with every event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "fields of WorkflowInstance, told in docs/data-model.md")]
pub struct Head {
    pub format: u32,
    pub workflow_definition_id: String,
    pub workflow_definition_version: u32,
    pub status: WorkflowStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorDetails>,
    /// Where the error arose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<TaskPath>,
    /// How the run is to end, once all that is open has closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// Whether the workflow's own error handlers have been started.
    pub handling: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    pub created_by: String,
    pub security_context: SecurityContext,
    pub metrics: WorkflowMetrics,
    /// Tells the same start request from another one under the same id.
    pub request_digest: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// How a block, or the run, is to end before all its children were done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ending", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum Ending {
    /// A child failed and nothing recovered it.
    Failed {
        /// Its error.
        error: ErrorDetails,
        /// Where it arose.
        failed_at: TaskPath,
    },
    /// Something around it ended, or someone asked.
    Cancelled {
        /// Why, for people.
        reason: String,
    },
    /// The run's total time is over.
    TimedOut {
        /// TIMEOUT_TOTAL.
        error: ErrorDetails,
    },
    /// A `terminate` or `terminateWhen` ended the run well.
    Completed {
        /// Whether `terminate` gave an output in place of the workflow's: it is the run's already.
        with_output: bool,
    },
}

/// One step of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "fields of TaskInstance, told in docs/data-model.md")]
pub struct Row {
    /// Its step in the plan: derived from its place.
    #[serde(skip)]
    pub node: NodeId,
    pub status: TaskStatus,
    /// Whether what waits for it may go on: ended, and no error handler of it is at work.
    pub settled: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    /// Stored apart, as the output is: a row is written whenever it changes, and they are large and do not.
    #[serde(skip)]
    pub input: Option<Json>,
    #[serde(skip)]
    pub output: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorDetails>,
    /// Where the error arose, for a block that failed by a child.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<TaskPath>,
    pub body: Body,
}

/// What a row holds beside, by the kind of its step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "body", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Body {
    /// Nothing: `set`, `terminate`, and whatever was skipped or failed before it began.
    Plain,
    /// A task for workers.
    Work(Box<Work>),
    /// A step with children.
    Block(Block),
}

/// A task for workers: its attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Work {
    /// Names it over all attempts.
    pub id: TaskInstanceId,
    /// Its task queue, as routed.
    pub queue: String,
    /// Greater is sooner.
    pub priority: u8,
    /// Where its next move comes from.
    pub stage: Stage,
    /// How many retries were spent.
    pub retry_count: u32,
    /// How many attempts there were: names the next one.
    pub attempt_count: u32,
    /// How often workers refused it in a row.
    #[serde(default)]
    pub refusals: u32,
    /// When it was first ready: its total timeout counts from here.
    pub first_ready: Timestamp,
    /// When its first attempt was dispatched.
    pub first_dispatch: Option<Timestamp>,
    /// Its latest attempts, the oldest first; the open one, where there is one, is the last.
    pub attempts: Vec<Attempt>,
}

/// A task keeps its latest attempts only, so that its row stays small however often it is retried.
pub const KEPT_ATTEMPTS: usize = 50;

/// Where the next move of an unfinished task comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum Stage {
    /// From admission.
    Ready {
        /// Since when.
        since: Timestamp,
    },
    /// From a worker, or from its silence.
    Open(Open),
    /// From a timer.
    Waiting {
        /// When.
        until: Timestamp,
        /// Since when.
        since: Timestamp,
    },
    /// From an operator: the retries are exhausted.
    Held,
    /// From nobody.
    Closed,
}

/// The open attempt of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Open {
    /// Names it.
    pub execution_id: ExecutionId,
    /// A worker that has not begun by then does not begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_before: Option<Timestamp>,
    /// All attempts end by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// When a worker was first known to have begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// The greatest progress seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<u64>,
    /// The last sign of life; in memory it is newer than stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Timestamp>,
    /// Where its worker hears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_queue: Option<String>,
    /// Where it was told to end: until when an answer is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_until: Option<Timestamp>,
}

/// A step with children, and its progress.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Block {
    /// The case a `switch` took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<usize>,
    /// Set when it is to end early: nothing more is begun in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// Children that are settled. Derived.
    #[serde(skip)]
    pub settled: usize,
    /// Children that were begun and are not settled. Derived.
    #[serde(skip)]
    pub active: usize,
    /// How many children, counted from the first, are all settled; kept where one of them waits for all before it.
    /// Derived.
    #[serde(skip)]
    pub frontier: usize,
}

/// Which parts of a run a decision changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// The head.
    pub head: bool,
    /// The input: only by the start.
    pub input: bool,
    /// The output: only by what ends the run.
    pub output: bool,
    /// Variables, by name.
    pub variables: BTreeSet<String>,
    /// Rows without input and output, by place.
    pub rows: Set<TaskPath>,
    /// Inputs of rows, by place.
    pub inputs: Set<TaskPath>,
    /// Outputs of rows, by place.
    pub outputs: Set<TaskPath>,
}

impl Changes {
    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Run {
    /// A run of these parts, with nothing to write.
    pub fn new(key: RunKey, head: Head, input: Json) -> Self {
        Self {
            key,
            head,
            input,
            output: None,
            variables: JsonMap::new(),
            rows: Map::default(),
            changes: Changes::default(),
            met: Map::default(),
        }
    }

    /// The row at `path`, for a change.
    pub fn row_mut(&mut self, path: &TaskPath) -> Option<&mut Row> {
        if !self.changes.rows.contains(path) {
            self.changes.rows.insert(path.clone());
        }
        self.rows.get_mut(path)
    }

    /// Gives the row at `path` its input.
    pub fn set_input(&mut self, path: &TaskPath, input: Json) {
        if let Some(row) = self.rows.get_mut(path) {
            row.input = Some(input);
            self.changes.inputs.insert(path.clone());
        }
    }

    /// Gives the row at `path` its output.
    pub fn set_output(&mut self, path: &TaskPath, output: Json) {
        if let Some(row) = self.rows.get_mut(path) {
            row.output = Some(output);
            self.changes.outputs.insert(path.clone());
        }
    }

    /// The open attempt at `path`, where there is one.
    pub fn open(&self, path: &TaskPath) -> Option<(&Work, &Open)> {
        let work = self.rows.get(path)?.work()?;
        match &work.stage {
            Stage::Open(open) => Some((work, open)),
            Stage::Ready { .. } | Stage::Waiting { .. } | Stage::Held | Stage::Closed => None,
        }
    }
}

impl Row {
    /// The task for workers, where it is one.
    pub fn work(&self) -> Option<&Work> {
        match &self.body {
            Body::Work(work) => Some(work),
            Body::Plain | Body::Block(_) => None,
        }
    }

    /// The task for workers, for a change.
    pub fn work_mut(&mut self) -> Option<&mut Work> {
        match &mut self.body {
            Body::Work(work) => Some(work),
            Body::Plain | Body::Block(_) => None,
        }
    }

    /// The block, where it is one.
    pub fn block(&self) -> Option<&Block> {
        match &self.body {
            Body::Block(block) => Some(block),
            Body::Plain | Body::Work(_) => None,
        }
    }

    /// The block, for a change.
    pub fn block_mut(&mut self) -> Option<&mut Block> {
        match &mut self.body {
            Body::Block(block) => Some(block),
            Body::Plain | Body::Work(_) => None,
        }
    }
}
