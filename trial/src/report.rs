//! What came of the cases.

use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};
use oarlock_protocol::{ErrorDetails, Json, JsonMap, Span, TaskPath};
use serde::Serialize;

use crate::coverage::Coverage;

/// What came of all cases.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Each case, in the order of the file.
    pub cases: Vec<CaseReport>,
    /// What of the definition they reached together.
    pub coverage: Coverage,
}

impl Report {
    /// Whether every case came out as expected.
    pub fn passed(&self) -> bool {
        self.cases.iter().all(|case| case.failures.is_empty())
    }
}

/// What came of one case.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaseReport {
    /// Its sentence.
    pub name: String,
    /// What is otherwise than expected; empty where it passed.
    pub failures: Vec<String>,
    /// How the run ended, or where it stands when nothing moves it any more.
    pub status: WorkflowStatus,
    /// Its output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Json>,
    /// Its error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorDetails>,
    /// Its variables at the end.
    pub variables: JsonMap,
    /// How long it took, in the time of the run.
    pub took: Span,
    /// The path taken: every change of a step, in order.
    pub path: Vec<Reached>,
}

/// A change of a step.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reached {
    /// How long after the start.
    pub after: Span,
    /// Which step.
    pub task_path: TaskPath,
    /// Its status from then on.
    pub status: TaskStatus,
    /// The number of its attempts; 0 for steps without.
    pub attempt: u32,
    /// The code of its error, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
