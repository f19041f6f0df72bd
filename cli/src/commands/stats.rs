//! `oarlock stats`: shows what attempts and runs took, by task definition or workflow.

use std::process::ExitCode;

use oarlock_orchestrator::statistics::summary::{Summary, Task, Tasks, Workflow, Workflows};

use super::{say, say_json};
use crate::arguments::{Of, Stats};
use crate::client::Client;
use crate::exit::Failure;
use crate::show::table;

pub(super) async fn stats(client: &Client, arguments: Stats, json: bool) -> Result<ExitCode, Failure> {
    let Stats { of, only, hours } = arguments;
    let mut query = vec![("hours", hours.to_string())];
    match of {
        Of::Tasks => {
            query.extend(only.map(|task| ("task", task)));
            let told: Tasks = client.get("/v1/statistics/tasks", &query).await?;
            if json {
                say_json(&told);
            } else {
                let rows = told.tasks.iter().map(task_row);
                say(&table::text(&[headed(TASKS)].into_iter().chain(rows).collect::<Vec<_>>()));
            }
        }
        Of::Workflows => {
            query.extend(only.map(|workflow| ("workflow", workflow)));
            let told: Workflows = client.get("/v1/statistics/workflows", &query).await?;
            if json {
                say_json(&told);
            } else {
                let rows = told.workflows.iter().map(workflow_row);
                say(&table::text(&[headed(WORKFLOWS)].into_iter().chain(rows).collect::<Vec<_>>()));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

const TASKS: [&str; 8] = [
    "TASK",
    "ATTEMPTS",
    "FAILED",
    "RETRIES",
    "QUEUED p50/p90/p99",
    "EXECUTED p50/p90/p99",
    "LONGEST",
    "MEMORY p90",
];
const WORKFLOWS: [&str; 8] =
    ["WORKFLOW", "RUNS", "COMPLETED", "FAILED", "CANCELLED", "TIMED OUT", "LASTED p50/p90/p99", "LONGEST"];

fn headed<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}

fn task_row(task: &Task) -> Vec<String> {
    vec![
        task.task.clone(),
        task.attempts.to_string(),
        task.failed.to_string(),
        task.retries.to_string(),
        times(&task.queue_time_ms),
        times(&task.execution_time_ms),
        longest(&task.execution_time_ms),
        memory(&task.memory_bytes),
    ]
}

fn workflow_row(workflow: &Workflow) -> Vec<String> {
    let counts = [workflow.runs, workflow.completed, workflow.failed, workflow.cancelled, workflow.timed_out];
    let mut row = vec![workflow.workflow.clone()];
    row.extend(counts.map(|count| count.to_string()));
    row.extend([times(&workflow.duration_ms), longest(&workflow.duration_ms)]);
    row
}

fn times(summary: &Summary) -> String {
    if summary.count == 0 {
        return "-".to_owned();
    }
    let time = |ms: f64| table::milliseconds(ms.round() as u64);
    format!("{} / {} / {}", time(summary.p50), time(summary.p90), time(summary.p99))
}

fn longest(summary: &Summary) -> String {
    if summary.count == 0 { "-".to_owned() } else { table::milliseconds(summary.max) }
}

fn memory(summary: &Summary) -> String {
    if summary.count == 0 {
        return "-".to_owned();
    }
    format!("{:.1} MiB", summary.p90 / f64::from(1 << 20))
}
