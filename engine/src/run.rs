//! A run in memory: its head, variables and rows, and which of them a decision changed.
//!
//! The rows are what is stored; the progress of a block (how many children are settled) is derived from them and never
//! written, so a closing task writes its own row and nothing around it.

use std::collections::BTreeSet;

use oarlock_protocol::instance::{WorkflowMetrics, WorkflowStatus};
use oarlock_protocol::message::Parent;
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::{ErrorDetails, Json, JsonMap, RunKey, TaskPath, Timestamp, TraceParent};
use serde::{Deserialize, Serialize};

mod mailbox;
mod row;

pub use mailbox::{Mailbox, Signal};
pub use row::{Awaiting, Block, Body, KEPT_ATTEMPTS, LimitKeys, Open, Row, Stage, Work};

use crate::map::{Map, Set};
use crate::payloads::AtHand;

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
    /// The variables of steps that have their own, by their places.
    pub scoped: Map<TaskPath, JsonMap>,
    /// Signals that nobody waited for yet.
    pub mailbox: Mailbox,
    /// What was changed and is not yet written.
    pub changes: Changes,
    /// What of its payloads kept elsewhere a decision may look into.
    pub payloads: AtHand,
    /// Steps that wait for a signal. Derived.
    pub(crate) waits: BTreeSet<TaskPath>,
    /// While it is compensating: what is still to be undone, the next last. Derived, filled when first needed.
    pub(crate) to_undo: Option<Vec<TaskPath>>,
    /// Of steps with `dependsOn`: how many they name, counted from the first, are all settled. Derived, filled when
    /// first needed.
    pub(crate) met: Map<TaskPath, usize>,
}

/// The part of a run that is small and of bounded size: what its start fixed, and what changes with every event.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "fields of WorkflowInstance, told in docs/data-model.md")]
pub struct Head {
    pub format: u32,
    pub workflow_definition_id: String,
    pub workflow_definition_version: u32,
    pub status: WorkflowStatus,
    pub start_time: Option<Timestamp>,
    pub end_time: Option<Timestamp>,
    pub error: Option<ErrorDetails>,
    /// Where the error arose.
    pub failed_at: Option<TaskPath>,
    /// How the run is to end, once all that is open has closed.
    pub ending: Option<Ending>,
    /// Whether the workflow's own error handlers have been started.
    pub handling: bool,
    /// Whether an operator let it pause: only an operator lets it go on.
    pub held_back: bool,
    /// When an operator opened it again the last time: its total time counts from then.
    pub opened_at: Option<Timestamp>,
    pub correlation_id: Option<String>,
    /// How urgent it is, where who started it said so.
    pub priority: Option<u8>,
    /// The step that started it, where a run did.
    pub parent: Option<Parent>,
    /// The span of a trace that it belongs to, where who started it gave one.
    pub traceparent: Option<TraceParent>,
    /// How often an operator has opened it again.
    pub generation: u64,
    /// Whether what was done is being undone, or has been.
    pub compensating: bool,
    /// How many tasks that can be undone have closed: gives the order in which they are undone.
    pub closings: u64,
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
    /// Enough of its children are done: a `join`, or the `until` of a `forEach`.
    Enough,
    /// A `terminate` or `terminateWhen` ended the run well.
    Completed {
        /// Whether `terminate` gave an output in place of the workflow's: it is the run's already.
        with_output: bool,
    },
}

/// Which parts of a run a decision changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Of the head, what changes after the start.
    pub head: bool,
    /// What the start fixes, the input among it: only by the start.
    pub origin: bool,
    /// The output: only by what ends the run.
    pub output: bool,
    /// Variables, by name.
    pub variables: BTreeSet<String>,
    /// Rows, by place.
    pub rows: Set<TaskPath>,
    /// Inputs of rows, by place.
    pub inputs: Set<TaskPath>,
    /// Outputs of rows, by place.
    pub outputs: Set<TaskPath>,
    /// Variables of steps that have their own, by place; none are left where the step is done.
    pub scoped: Set<TaskPath>,
    /// Rows that are no longer kept, with their inputs and outputs; where another was made since, the one before it.
    pub removed: Set<TaskPath>,
    /// The mailbox.
    pub mailbox: bool,
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
            scoped: Map::default(),
            mailbox: Mailbox::default(),
            changes: Changes::default(),
            payloads: AtHand::default(),
            waits: BTreeSet::new(),
            to_undo: None,
            met: Map::default(),
        }
    }

    /// How many runs are above this one.
    pub fn depth(&self) -> u32 {
        self.head.parent.as_ref().map_or(0, |parent| parent.depth)
    }

    /// Removes the row at `path` and all that lies beside it.
    pub(crate) fn remove_row(&mut self, path: &TaskPath) {
        if self.rows.remove(path).is_some() {
            self.changes.rows.remove(path);
            self.changes.inputs.remove(path);
            self.changes.outputs.remove(path);
            self.changes.removed.insert(path.clone());
            self.met.remove(path);
        }
        self.drop_scoped(path);
    }

    /// Forgets the variables of the step at `path`.
    pub(crate) fn drop_scoped(&mut self, path: &TaskPath) {
        if self.scoped.remove(path).is_some() {
            self.changes.scoped.insert(path.clone());
        }
    }

    /// The row at `path`, for a change. None also where memory holds only a part of it: a row is written as a whole,
    /// and what is forgotten would be lost.
    pub fn row_mut(&mut self, path: &TaskPath) -> Option<&mut Row> {
        let row = self.rows.get_mut(path).filter(|row| !row.is_partial)?;
        if !self.changes.rows.contains(path) {
            self.changes.rows.insert(path.clone());
        }
        Some(row)
    }

    /// Gives the row at `path` its input.
    pub fn set_input(&mut self, path: &TaskPath, input: Json) {
        if let Some(row) = self.rows.get_mut(path).filter(|row| !row.is_partial) {
            row.input = Some(input);
            self.changes.inputs.insert(path.clone());
        }
    }

    /// Gives the row at `path` its output.
    pub fn set_output(&mut self, path: &TaskPath, output: Json) {
        if let Some(row) = self.rows.get_mut(path).filter(|row| !row.is_partial) {
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
