//! What is told of a series: what `GET /v1/statistics/tasks` and `/workflows` answer, and `oarlock stats` prints.
//!
//! Pure. Made by a node of the series of all partitions and hours together.

use std::collections::BTreeMap;

use oarlock_protocol::Timestamp;
use serde::{Deserialize, Serialize};

use super::distribution::Distribution;
use super::series::{TaskSeries, WorkflowSeries};

/// Statistics of a tenant's task definitions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tasks {
    /// The begin of the first hour that counts.
    pub from: Timestamp,
    /// When it was asked.
    pub to: Timestamp,
    /// By id.
    pub tasks: Vec<Task>,
}

/// Statistics of a tenant's workflows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Workflows {
    /// The begin of the first hour that counts.
    pub from: Timestamp,
    /// When it was asked.
    pub to: Timestamp,
    /// By id.
    pub workflows: Vec<Workflow>,
}

/// The attempts of a task definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "each field is told in docs/http.md")]
pub struct Task {
    pub task: String,
    pub attempts: u64,
    pub completed: u64,
    pub failed: u64,
    pub failures: BTreeMap<String, u64>,
    pub cancelled: u64,
    pub put_off: u64,
    pub retries: u64,
    pub queue_time_ms: Summary,
    pub execution_time_ms: Summary,
    pub cpu_time_ms: Summary,
    pub memory_bytes: Summary,
    pub input_bytes: Summary,
    pub output_bytes: Summary,
}

/// The runs of a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "each field is told in docs/http.md")]
pub struct Workflow {
    pub workflow: String,
    pub runs: u64,
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub timed_out: u64,
    pub duration_ms: Summary,
    pub task_count: Summary,
    pub attempts: Summary,
    pub retries: Summary,
    pub execution_time_ms: Summary,
    pub cpu_time_ms: Summary,
    pub memory_bytes: Summary,
    pub input_bytes: Summary,
    pub output_bytes: Summary,
}

/// A distribution in a few numbers; all are 0 where nothing was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// How many values there are.
    pub count: u64,
    /// The mean, exact.
    pub mean: f64,
    /// The least, exact.
    pub min: u64,
    /// The median.
    pub p50: f64,
    /// Nine of ten values are not above it.
    pub p90: f64,
    /// 99 of a hundred values are not above it.
    pub p99: f64,
    /// The greatest, exact.
    pub max: u64,
    /// How far from the exact ones `p50`, `p90` and `p99` may be, as a part of them.
    pub relative_error: f64,
}

impl Summary {
    /// The numbers of a distribution.
    pub fn of(distribution: &Distribution) -> Self {
        if distribution.is_empty() {
            return Self::default();
        }
        let quantile = |share| rounded(distribution.quantile(share), 10.0);
        Self {
            count: distribution.count(),
            mean: rounded(distribution.mean(), 10.0),
            min: distribution.least(),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            max: distribution.greatest(),
            relative_error: rounded(distribution.relative_error(), 1_000.0),
        }
    }
}

/// To so many parts of one: what comes behind says nothing.
fn rounded(number: f64, parts: f64) -> f64 {
    (number * parts).round() / parts
}

impl Task {
    /// What is told of a series.
    pub fn of(task: String, series: TaskSeries) -> Self {
        Self {
            task,
            attempts: series.attempts(),
            completed: series.completed,
            failed: series.failures(),
            cancelled: series.cancelled,
            put_off: series.put_off,
            retries: series.retries,
            queue_time_ms: Summary::of(&series.queue),
            execution_time_ms: Summary::of(&series.execution),
            cpu_time_ms: Summary::of(&series.cpu),
            memory_bytes: Summary::of(&series.memory),
            input_bytes: Summary::of(&series.input),
            output_bytes: Summary::of(&series.output),
            failures: series.failed,
        }
    }
}

impl Workflow {
    /// What is told of a series.
    pub fn of(workflow: String, series: &WorkflowSeries) -> Self {
        Self {
            workflow,
            runs: series.runs(),
            completed: series.completed,
            failed: series.failed,
            cancelled: series.cancelled,
            timed_out: series.timed_out,
            duration_ms: Summary::of(&series.duration),
            task_count: Summary::of(&series.tasks),
            attempts: Summary::of(&series.attempts),
            retries: Summary::of(&series.retries),
            execution_time_ms: Summary::of(&series.execution),
            cpu_time_ms: Summary::of(&series.cpu),
            memory_bytes: Summary::of(&series.memory),
            input_bytes: Summary::of(&series.input),
            output_bytes: Summary::of(&series.output),
        }
    }
}
