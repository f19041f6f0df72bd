//! Starts, shows, explains, lists and cancels runs.

use std::time::Duration;

use axum::Json as JsonBody;
use axum::extract;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::message::StartRequest;
use oarlock_protocol::trace::{TRACEPARENT, TraceParent};
use oarlock_protocol::{FORMAT, Json, RunId, RunKey, priority};
use serde::Deserialize;
use serde_json::json;

use super::State;
use super::error::Failure;
use super::principal::Principal;
use crate::explain::Explanation;
use crate::node::Filter;
use crate::starts;

/// The longest time a request waits for a run to end; who wants longer asks again.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The longest page of a list.
const LONGEST_PAGE: usize = 1_000;

/// The body of `POST /v1/runs`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StartBody {
    workflow: String,
    #[serde(default)]
    version: Option<u32>,
    #[serde(default)]
    input: Json,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    correlation_id: Option<String>,
    #[serde(default, deserialize_with = "priority::given")]
    priority: Option<u8>,
}

/// The header that tells that the same request had been recorded before. The rest of the answer is the same.
pub(super) const REPLAYED: &str = "oarlock-replayed";

/// `POST /v1/runs`: 201 with the run, also where the same request had started it before.
pub(super) async fn start(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    request: extract::Request,
) -> Result<Response, Failure> {
    let traceparent = traceparent(request.headers());
    let (body, _turn): (StartBody, _) = state.large.read(request).await?;
    let request = StartRequest {
        format: FORMAT,
        workflow: body.workflow,
        version: body.version,
        input: body.input,
        key: body.key,
        correlation_id: body.correlation_id,
        priority: body.priority,
    };
    let mut message = starts::resolve(request, "", principal).map_err(Failure::Invalid)?;
    message.traceparent = traceparent;
    let started = state.node.start_run(message).await?;
    let mut answer =
        (StatusCode::CREATED, JsonBody(json!({"id": started.run.run, "version": started.version})))
            .into_response();
    if started.existing {
        answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(answer)
}

/// The span that a request belongs to; none where it names none, or several, or one that is no span.
fn traceparent(headers: &HeaderMap) -> Option<TraceParent> {
    let mut given = headers.get_all(TRACEPARENT).iter();
    let only = given.next().filter(|_| given.next().is_none())?;
    only.to_str().ok()?.trim().parse().ok()
}

/// The query of `GET /v1/runs/{id}`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct GetQuery {
    #[serde(default)]
    wait_ms: Option<u64>,
    #[serde(default)]
    payloads: Option<Shown>,
}

/// How payloads kept elsewhere are shown.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Shown {
    /// In their places.
    Inline,
}

/// `GET /v1/runs/{id}`: the whole run; with `waitMs` once it has ended, or that much later as it is then. With
/// `payloads=inline` every reference is read.
pub(super) async fn get(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    id: Result<extract::Path<String>, PathRejection>,
    query: Result<extract::Query<GetQuery>, QueryRejection>,
) -> Result<Response, Failure> {
    let key = run_key(&principal.tenant_id, &id?.0)?;
    let extract::Query(query) = query?;
    let run = match query.wait_ms {
        Some(wait_ms) => state.node.wait(&key, Duration::from_millis(wait_ms).min(LONGEST_WAIT)).await?,
        None => state.node.get(&key).await?,
    };
    let run = run.ok_or_else(|| no_run(&key))?;
    match query.payloads {
        None => Ok(JsonBody(run).into_response()),
        Some(Shown::Inline) => {
            let _turn = state.large.turn().await?;
            Ok(JsonBody(state.node.with_payloads(&run).await?).into_response())
        }
    }
}

/// The query of `GET /v1/runs`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListQuery {
    #[serde(default)]
    status: Option<WorkflowStatus>,
    #[serde(default)]
    workflow: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    after: Option<String>,
}

/// `GET /v1/runs`: the newest first; `next` of a page is `after` of the following one.
pub(super) async fn list(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    query: Result<extract::Query<ListQuery>, QueryRejection>,
) -> Result<Response, Failure> {
    let extract::Query(query) = query?;
    let after = query.after.as_deref().map(read_cursor).transpose()?;
    let limit = query.limit.unwrap_or(50).clamp(1, LONGEST_PAGE);
    let filter = Filter {
        tenant: principal.tenant_id,
        status: query.status,
        definition: query.workflow,
        limit,
        after,
    };
    let page = state.node.list(&filter).await?;
    let next = page.next.map(|(created, run)| format!("{created}-{run}"));
    Ok(JsonBody(json!({"runs": page.runs, "next": next})).into_response())
}

fn read_cursor(text: &str) -> Result<(i64, RunId), Failure> {
    let cursor =
        text.split_once('-').and_then(|(created, run)| Some((created.parse().ok()?, run.parse().ok()?)));
    cursor.ok_or_else(|| Failure::Invalid("`after` is the `next` of an earlier page".to_owned()))
}

/// The body of `POST /v1/runs/{id}/cancel`, which may be absent.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CancelRequest {
    #[serde(default)]
    reason: Option<String>,
}

/// `POST /v1/runs/{id}/cancel`: the cancel is recorded; the run ends when what is open has closed.
pub(super) async fn cancel(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    id: Result<extract::Path<String>, PathRejection>,
    body: Result<Option<JsonBody<CancelRequest>>, JsonRejection>,
) -> Result<Response, Failure> {
    let key = run_key(&principal.tenant_id, &id?.0)?;
    let JsonBody(request) = body?.unwrap_or_default();
    let reason = request.reason.unwrap_or_else(|| format!("cancelled by {}", principal.user_id));
    match state.node.cancel(key.clone(), reason).await? {
        Some(under_way) => Ok(JsonBody(json!({"id": key.run, "underWay": under_way})).into_response()),
        None => Err(no_run(&key)),
    }
}

/// `GET /v1/runs/{id}/history`: what happened, in the order of time.
pub(super) async fn history(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    id: Result<extract::Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let key = run_key(&principal.tenant_id, &id?.0)?;
    let history = state.node.history(&key).await?.ok_or_else(|| no_run(&key))?;
    Ok(JsonBody(json!({"id": key.run, "history": history})).into_response())
}

/// `GET /v1/runs/{id}/explain`: what the run waits for, and who can move it.
pub(super) async fn explain(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    id: Result<extract::Path<String>, PathRejection>,
) -> Result<JsonBody<Explanation>, Failure> {
    let key = run_key(&principal.tenant_id, &id?.0)?;
    state.node.explain(&key).await?.map(JsonBody).ok_or_else(|| no_run(&key))
}

pub(super) fn run_key(tenant: &str, id: &str) -> Result<RunKey, Failure> {
    let run = id.parse().map_err(|_| Failure::Invalid(format!("'{id}' is no run id: it is a UUID")))?;
    Ok(RunKey::new(tenant, run))
}

pub(super) fn no_run(key: &RunKey) -> Failure {
    Failure::NotFound(format!("tenant '{}' has no run {}", key.tenant, key.run))
}
