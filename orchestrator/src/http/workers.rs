//! The workers of the fleet, for operators. They are of no tenant.

use axum::Json as JsonBody;
use axum::extract;
use axum::extract::rejection::QueryRejection;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::State;
use super::error::Failure;

/// The query of `GET /v1/workers`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListQuery {
    #[serde(default)]
    queue: Option<String>,
}

/// `GET /v1/workers`: who beats, or takes tasks from that queue; with the time by which their times are to be read.
pub(super) async fn list(
    extract::State(state): extract::State<State>,
    query: Result<extract::Query<ListQuery>, QueryRejection>,
) -> Result<Response, Failure> {
    let extract::Query(ListQuery { queue }) = query?;
    let mut workers = state.node.workers();
    if let Some(queue) = queue {
        workers.retain(|worker| worker.queues.contains(&queue));
    }
    Ok(JsonBody(json!({"at": state.node.now(), "workers": workers})).into_response())
}
