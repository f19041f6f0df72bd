//! What is known of one task definition or workflow in one hour, and the form in which it is stored.
//!
//! Pure. JSON, for people with a command line; what is nothing is left out, an unknown field is ignored:
//!
//! ```text
//! {"completed":12,"failed":{"CARD_DECLINED":1},"retries":1,"queue":[0,39,3,3,6,13],"execution":[…],"input":[…],"output":[…]}
//! {"completed":3,"timedOut":1,"duration":[…],"tasks":[…],"attempts":[…],"retries":[…],"execution":[…],"input":[…],"output":[…]}
//! ```

use std::collections::BTreeMap;

use oarlock_protocol::Span;
use oarlock_protocol::code::Code;
use oarlock_protocol::error::cut;
use oarlock_protocol::instance::{Attempt, WorkflowMetrics, WorkflowStatus};
use serde::{Deserialize, Serialize};

use super::distribution::Distribution;

/// Errors of so many codes are counted by code, others as [`OTHER`]: a task may give any.
pub const MOST_CODES: usize = 8;
/// Stands for the codes beyond those.
pub const OTHER: &str = "OTHER";
/// The most bytes of a code: what tells codes apart comes first, and the series is written often.
const LONGEST_CODE: usize = 40;

/// What the attempts of a task definition took that closed in one hour. Sizes in bytes, times in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskSeries {
    /// Attempts that completed.
    #[serde(skip_serializing_if = "is_none")]
    pub completed: u64,
    /// Attempts that failed, by code.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<String, u64>,
    /// Attempts that were ended because something around them ended.
    #[serde(skip_serializing_if = "is_none")]
    pub cancelled: u64,
    /// Attempts whose worker wants to look again later.
    #[serde(skip_serializing_if = "is_none")]
    pub put_off: u64,
    /// How many of all were not the first of their task.
    #[serde(skip_serializing_if = "is_none")]
    pub retries: u64,
    /// From ready to begun, or to the end where none had begun.
    #[serde(skip_serializing_if = "Distribution::is_empty")]
    pub queue: Distribution,
    /// As the worker measured it, else from begin to end.
    #[serde(skip_serializing_if = "Distribution::is_empty")]
    pub execution: Distribution,
    /// Processor time, of workers that can tell.
    #[serde(skip_serializing_if = "Distribution::is_empty")]
    pub cpu: Distribution,
    /// The greatest resident memory, of workers that can tell.
    #[serde(skip_serializing_if = "Distribution::is_empty")]
    pub memory: Distribution,
    /// What the worker was given.
    #[serde(skip_serializing_if = "Distribution::is_empty")]
    pub input: Distribution,
    /// What it gave back.
    #[serde(skip_serializing_if = "Distribution::is_empty")]
    pub output: Distribution,
}

/// What the runs of a workflow took that ended in one hour. Sizes in bytes, times in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkflowSeries {
    /// Runs that ended well.
    #[serde(skip_serializing_if = "is_none")]
    pub completed: u64,
    /// Runs that ended by an error.
    #[serde(skip_serializing_if = "is_none")]
    pub failed: u64,
    /// Runs that ended by a request.
    #[serde(skip_serializing_if = "is_none")]
    pub cancelled: u64,
    /// Runs that ended by their total timeout.
    #[serde(skip_serializing_if = "is_none")]
    pub timed_out: u64,
    /// From begin to end.
    #[serde(skip_serializing_if = "Distribution::is_empty")]
    pub duration: Distribution,
    /// Tasks of a run.
    #[serde(skip_serializing_if = "Distribution::is_empty")]
    pub tasks: Distribution,
    /// Attempts of a run.
    #[serde(skip_serializing_if = "Distribution::is_empty")]
    pub attempts: Distribution,
    /// Retries of a run.
    #[serde(skip_serializing_if = "Distribution::is_empty")]
    pub retries: Distribution,
    /// The execution times of a run's attempts together.
    #[serde(skip_serializing_if = "Distribution::is_empty")]
    pub execution: Distribution,
    /// The processor times of a run's attempts together, of workers that can tell.
    #[serde(skip_serializing_if = "Distribution::is_empty")]
    pub cpu: Distribution,
    /// The greatest memories of a run's attempts together, of workers that can tell.
    #[serde(skip_serializing_if = "Distribution::is_empty")]
    pub memory: Distribution,
    /// What a run's workers were given together.
    #[serde(skip_serializing_if = "Distribution::is_empty")]
    pub input: Distribution,
    /// What they gave back together.
    #[serde(skip_serializing_if = "Distribution::is_empty")]
    pub output: Distribution,
}

impl TaskSeries {
    /// Counts an attempt that has closed: the number of it, from 1, and whether its worker wants to look again later.
    pub fn record(&mut self, attempt: &Attempt, number: u32, put_off: bool) {
        match &attempt.error {
            None if put_off => self.put_off += 1,
            None => self.completed += 1,
            Some(error) if error.code == Code::Cancelled.as_str() => self.cancelled += 1,
            Some(error) => self.count_failure(&error.code),
        }
        self.retries += u64::from(number > 1);
        let end = attempt.end_time.unwrap_or(attempt.scheduled_at);
        let begun = attempt.start_time.unwrap_or(end);
        self.queue.record(begun.since(attempt.ready_at).as_millis());
        let measured = attempt.metrics.unwrap_or_default();
        if let Some(begun) = attempt.start_time {
            let lasted = end.since(begun).as_millis();
            self.execution.record(attempt.metrics.map_or(lasted, |measured| measured.execution_time_ms));
        }
        record_costs(&mut self.cpu, &mut self.memory, measured.cpu_time_ms, measured.memory_bytes);
        self.input.record(attempt.input_bytes);
        self.output.record(attempt.output_bytes);
    }

    fn count_failure(&mut self, code: &str) {
        let mut code = code.to_owned();
        cut(&mut code, LONGEST_CODE);
        let own = self.failed.keys().filter(|code| *code != OTHER).count();
        if !self.failed.contains_key(&code) && own >= MOST_CODES {
            OTHER.clone_into(&mut code);
        }
        *self.failed.entry(code).or_default() += 1;
    }

    /// Takes in another one.
    pub fn merge(&mut self, other: &Self) {
        self.completed = self.completed.saturating_add(other.completed);
        for (code, count) in &other.failed {
            let standing = self.failed.entry(code.clone()).or_default();
            *standing = standing.saturating_add(*count);
        }
        self.cancelled = self.cancelled.saturating_add(other.cancelled);
        self.put_off = self.put_off.saturating_add(other.put_off);
        self.retries = self.retries.saturating_add(other.retries);
        self.queue.merge(&other.queue);
        self.execution.merge(&other.execution);
        self.cpu.merge(&other.cpu);
        self.memory.merge(&other.memory);
        self.input.merge(&other.input);
        self.output.merge(&other.output);
    }

    /// All attempts that failed.
    pub fn failures(&self) -> u64 {
        self.failed.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// All attempts.
    pub fn attempts(&self) -> u64 {
        let others = self.completed.saturating_add(self.cancelled).saturating_add(self.put_off);
        others.saturating_add(self.failures())
    }
}

impl WorkflowSeries {
    /// Counts a run that has ended: how, how long it lasted, and what it cost.
    pub fn record(&mut self, status: WorkflowStatus, lasted: Span, metrics: &WorkflowMetrics) {
        match status {
            WorkflowStatus::Completed => self.completed += 1,
            WorkflowStatus::Failed => self.failed += 1,
            WorkflowStatus::Cancelled => self.cancelled += 1,
            WorkflowStatus::TimedOut => self.timed_out += 1,
            WorkflowStatus::Pending
            | WorkflowStatus::Running
            | WorkflowStatus::Paused
            | WorkflowStatus::Compensating => return,
        }
        self.duration.record(lasted.as_millis());
        self.tasks.record(metrics.task_count);
        self.attempts.record(metrics.attempts);
        self.retries.record(metrics.retries);
        self.execution.record(metrics.total_execution_time_ms);
        record_costs(&mut self.cpu, &mut self.memory, metrics.total_cpu_time_ms, metrics.total_memory_bytes);
        self.input.record(metrics.total_input_bytes);
        self.output.record(metrics.total_output_bytes);
    }

    /// Takes in another one.
    pub fn merge(&mut self, other: &Self) {
        self.completed = self.completed.saturating_add(other.completed);
        self.failed = self.failed.saturating_add(other.failed);
        self.cancelled = self.cancelled.saturating_add(other.cancelled);
        self.timed_out = self.timed_out.saturating_add(other.timed_out);
        self.duration.merge(&other.duration);
        self.tasks.merge(&other.tasks);
        self.attempts.merge(&other.attempts);
        self.retries.merge(&other.retries);
        self.execution.merge(&other.execution);
        self.cpu.merge(&other.cpu);
        self.memory.merge(&other.memory);
        self.input.merge(&other.input);
        self.output.merge(&other.output);
    }

    /// All runs.
    pub fn runs(&self) -> u64 {
        let others = self.completed.saturating_add(self.failed);
        others.saturating_add(self.cancelled).saturating_add(self.timed_out)
    }
}

/// A worker that can tell neither says 0 for both.
fn record_costs(cpu: &mut Distribution, memory: &mut Distribution, cpu_ms: u64, memory_bytes: u64) {
    if cpu_ms > 0 || memory_bytes > 0 {
        cpu.record(cpu_ms);
    }
    if memory_bytes > 0 {
        memory.record(memory_bytes);
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests;
