//! Holds queues and definitions back, and lets them go on.
//!
//! A definition is one of the caller's tenant; a queue is that of all tenants.

use axum::Json as JsonBody;
use axum::extract;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use oarlock_protocol::message::PauseSubject;
use serde::Deserialize;
use serde_json::json;

use super::State;
use super::error::Failure;
use super::principal::Principal;
use super::runs::REPLAYED;

/// The body of `POST /v1/pauses`: one of the three names.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PauseBody {
    #[serde(default)]
    queue: Option<String>,
    #[serde(default)]
    task: Option<String>,
    #[serde(default)]
    workflow: Option<String>,
    #[serde(default)]
    reason: String,
}

/// `POST /v1/pauses`: nothing more of it is let out.
pub(super) async fn begin(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    body: Result<JsonBody<PauseBody>, JsonRejection>,
) -> Result<Response, Failure> {
    let JsonBody(PauseBody { queue, task, workflow, reason }) = body?;
    let tenant_id = principal.tenant_id;
    let subject = match (queue, task, workflow) {
        (Some(queue), None, None) => PauseSubject::Queue { queue },
        (None, Some(task), None) => PauseSubject::Task { tenant_id, task },
        (None, None, Some(workflow)) => PauseSubject::Workflow { tenant_id, workflow },
        _ => {
            let told = "name one thing to pause: `queue`, `task` or `workflow`; a run is paused by POST /v1/runs/{id}/pause";
            return Err(Failure::Invalid(told.to_owned()));
        }
    };
    let existing = state.node.pause(subject.clone(), &reason, &principal.user_id).await?;
    Ok(told(&subject, existing))
}

/// `DELETE /v1/pauses/{kind}/{name}`: it goes on. The kind is `queue`, `task` or `workflow`.
pub(super) async fn end(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    path: Result<extract::Path<(String, String)>, PathRejection>,
) -> Result<Response, Failure> {
    let extract::Path((kind, name)) = path?;
    let tenant_id = principal.tenant_id;
    let subject = match kind.as_str() {
        "queue" => PauseSubject::Queue { queue: name },
        "task" => PauseSubject::Task { tenant_id, task: name },
        "workflow" => PauseSubject::Workflow { tenant_id, workflow: name },
        other => {
            return Err(Failure::NotFound(format!(
                "'{other}' cannot be paused; queue, task and workflow can"
            )));
        }
    };
    let existing = state.node.resume(subject.clone(), &principal.user_id).await?;
    Ok(told(&subject, existing))
}

/// `GET /v1/pauses`: what is held back, of all queues and of the tenant's definitions.
pub(super) async fn list(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
) -> Result<Response, Failure> {
    let mut pauses = state.node.pauses().await?;
    pauses.retain(|pause| match &pause.subject {
        PauseSubject::Queue { .. } => true,
        PauseSubject::Task { tenant_id, .. } | PauseSubject::Workflow { tenant_id, .. } => {
            *tenant_id == principal.tenant_id
        }
    });
    Ok(JsonBody(json!({"pauses": pauses})).into_response())
}

fn told(subject: &PauseSubject, existing: bool) -> Response {
    let mut answer = JsonBody(json!({"subject": subject})).into_response();
    if existing {
        answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    answer
}
