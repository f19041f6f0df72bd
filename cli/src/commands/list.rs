//! `oarlock list`: lists runs, the newest first.

use std::process::ExitCode;

use oarlock_protocol::instance::WorkflowSummary;
use serde::{Deserialize, Serialize};

use super::{note, say, say_json};
use crate::arguments::List;
use crate::client::Client;
use crate::exit::Failure;
use crate::show::table;

#[derive(Serialize, Deserialize)]
struct Page {
    runs: Vec<WorkflowSummary>,
    next: Option<String>,
}

pub(super) async fn list(client: &Client, arguments: List, json: bool) -> Result<ExitCode, Failure> {
    let mut query = vec![("limit", arguments.limit.to_string())];
    query.extend(arguments.status.map(|status| ("status", status.as_str().to_owned())));
    query.extend(arguments.workflow.map(|workflow| ("workflow", workflow)));
    query.extend(arguments.after.map(|after| ("after", after)));
    let page: Page = client.get("/v1/runs", &query).await?;
    if json {
        say_json(&page);
        return Ok(ExitCode::SUCCESS);
    }
    // Most runs are started by no other.
    let children = page.runs.iter().any(|run| run.parent.is_some());
    let mut header = ["RUN", "WORKFLOW", "STATUS", "STARTED", "ERROR"].map(str::to_owned).to_vec();
    if children {
        header.insert(4, "STARTED BY".to_owned());
    }
    let mut rows = vec![header];
    for run in page.runs {
        let error = run.error.map(|error| format!("{}: {}", error.code, table::shorten(&error.message, 60)));
        let mut row = vec![
            run.id.to_string(),
            format!("{}@{}", run.workflow_definition_id, run.workflow_definition_version),
            run.status.as_str().to_owned(),
            run.created_at.to_string(),
            error.unwrap_or_default(),
        ];
        if children {
            let parent = run.parent.map(|step| format!("{}{}", step.workflow_instance_id, step.task_path));
            row.insert(4, parent.unwrap_or_default());
        }
        rows.push(row);
    }
    say(&table::text(&rows));
    if let Some(next) = page.next {
        note(&format!("more: --after {next}"));
    }
    Ok(ExitCode::SUCCESS)
}
