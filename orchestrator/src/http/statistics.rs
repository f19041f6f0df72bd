//! Tells what attempts and runs took, by definition.

use axum::Json as JsonBody;
use axum::extract;
use axum::extract::rejection::QueryRejection;
use serde::Deserialize;

use super::State;
use super::error::Failure;
use super::principal::Principal;
use crate::node::{Asked, MOST_HOURS};
use crate::statistics::summary::{Tasks, Workflows};

/// So many hours are told where nobody says how many.
const HOURS: u32 = 24;

/// The query of `GET /v1/statistics/tasks`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TasksQuery {
    #[serde(default)]
    task: Option<String>,
    #[serde(default)]
    hours: Option<u32>,
}

/// The query of `GET /v1/statistics/workflows`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WorkflowsQuery {
    #[serde(default)]
    workflow: Option<String>,
    #[serde(default)]
    hours: Option<u32>,
}

/// `GET /v1/statistics/tasks`.
pub(super) async fn tasks(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    query: Result<extract::Query<TasksQuery>, QueryRejection>,
) -> Result<JsonBody<Tasks>, Failure> {
    let extract::Query(TasksQuery { task, hours }) = query?;
    let asked = Asked { tenant: principal.tenant_id, id: task, hours: checked(hours)? };
    Ok(JsonBody(state.node.task_statistics(&asked).await?))
}

/// `GET /v1/statistics/workflows`.
pub(super) async fn workflows(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    query: Result<extract::Query<WorkflowsQuery>, QueryRejection>,
) -> Result<JsonBody<Workflows>, Failure> {
    let extract::Query(WorkflowsQuery { workflow, hours }) = query?;
    let asked = Asked { tenant: principal.tenant_id, id: workflow, hours: checked(hours)? };
    Ok(JsonBody(state.node.workflow_statistics(&asked).await?))
}

fn checked(hours: Option<u32>) -> Result<u32, Failure> {
    match hours.unwrap_or(HOURS) {
        hours @ 1..=MOST_HOURS => Ok(hours),
        hours => Err(Failure::Invalid(format!("`hours` is {hours}; write a number from 1 to {MOST_HOURS}"))),
    }
}
