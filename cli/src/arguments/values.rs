//! Reads the values of arguments; what is none is told with its form.

use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::{ExecutionId, RunId, TaskPath, priority};

pub(super) fn task_path(text: &str) -> Result<TaskPath, String> {
    if text.len() > 1 && text.starts_with('/') {
        return Ok(text.into());
    }
    Err("a task's path begins with /, such as /charge, as `get` and `explain` print it".to_owned())
}

pub(super) fn execution_id(text: &str) -> Result<ExecutionId, String> {
    text.parse()
        .map_err(|_| "an attempt's id is a UUID, the `executionId` that `get --json` prints".to_owned())
}

pub(super) fn run_id(text: &str) -> Result<RunId, String> {
    text.parse().map_err(|_| "a run's id is a UUID, as `start` and `list` print it".to_owned())
}

pub(super) fn priority(text: &str) -> Result<u8, String> {
    text.parse().ok().filter(|number| *number <= priority::HIGHEST).ok_or_else(|| priority::WANTED.to_owned())
}

pub(super) fn status(text: &str) -> Result<WorkflowStatus, String> {
    let named = WorkflowStatus::ALL.iter().find(|status| status.as_str().eq_ignore_ascii_case(text));
    named.copied().ok_or_else(|| {
        let all: Vec<_> = WorkflowStatus::ALL.iter().map(|status| status.as_str()).collect();
        format!("a status is one of {}", all.join(", "))
    })
}
