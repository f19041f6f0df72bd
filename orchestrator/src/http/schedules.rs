//! Registers, shows, changes and removes schedules.

use axum::Json as JsonBody;
use axum::body::Bytes;
use axum::extract;
use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection};
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use oarlock_protocol::message::ScheduleAction;
use oarlock_protocol::schedule::ScheduleView;
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::{Json, ScheduleKey, chance};
use serde::Deserialize;
use serde_json::json;

use super::State;
use super::error::Failure;
use super::principal::Principal;
use super::runs::REPLAYED;
use crate::schedules;

type Id = Result<extract::Path<String>, PathRejection>;
/// A body that may be absent.
type Body<T> = Result<Option<JsonBody<T>>, JsonRejection>;

/// The longest key of a trigger, in bytes: as that of a start.
const LONGEST_KEY: usize = 512;

/// `PUT /v1/schedules/{id}`: the body is the schedule as YAML or JSON text. Answers it with its next due times.
pub(super) async fn put(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    id: Id,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let (id, body) = (id?.0, body?);
    let text = std::str::from_utf8(&body)
        .map_err(|e| Failure::Invalid(format!("the schedule is no UTF-8 text: {e}")))?;
    let definition =
        schedules::read("schedule", text, Some(&id), state.node.now()).map_err(|error| match error {
            schedules::Error::Text(diagnostics) => Failure::Definition(diagnostics),
            schedules::Error::Field(told) => Failure::Invalid(told),
        })?;
    if definition.id != id {
        return Err(Failure::Invalid(format!(
            "`id`: it is '{}', and the address names '{id}'",
            definition.id
        )));
    }
    let key = key(&principal, &id);
    let existing = state.node.put_schedule(definition, principal).await?;
    let view = state.node.schedule(&key).await?;
    Ok(told(json!(view), existing))
}

/// `GET /v1/schedules`: those of the tenant, by their ids.
pub(super) async fn list(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
) -> Result<Response, Failure> {
    let schedules = state.node.schedules(&principal.tenant_id).await?;
    Ok(JsonBody(json!({"schedules": schedules})).into_response())
}

/// `GET /v1/schedules/{id}`: the schedule, how far it is, and its next due times.
pub(super) async fn get(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    id: Id,
) -> Result<JsonBody<ScheduleView>, Failure> {
    Ok(JsonBody(state.node.schedule(&key(&principal, &id?.0)).await?))
}

/// `DELETE /v1/schedules/{id}`: nothing becomes due any more; runs that it has started go on.
pub(super) async fn delete(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    id: Id,
) -> Result<Response, Failure> {
    change(&state, principal, id?.0, ScheduleAction::Delete).await
}

/// The body of `POST /v1/schedules/{id}/pause`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PauseBody {
    #[serde(default)]
    reason: Option<String>,
}

/// `POST /v1/schedules/{id}/pause`: nothing becomes due until it is resumed.
pub(super) async fn pause(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    id: Id,
    body: Body<PauseBody>,
) -> Result<Response, Failure> {
    let JsonBody(PauseBody { reason }) = body?.unwrap_or_default();
    if reason.as_ref().is_some_and(|reason| reason.len() > LONGEST_KEY) {
        return Err(Failure::Invalid(format!("`reason` has at most {LONGEST_KEY} bytes")));
    }
    change(&state, principal, id?.0, ScheduleAction::Pause { reason }).await
}

/// `POST /v1/schedules/{id}/resume`: runs become due again, from now on.
pub(super) async fn resume(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    id: Id,
) -> Result<Response, Failure> {
    change(&state, principal, id?.0, ScheduleAction::Resume).await
}

/// The body of `POST /v1/schedules/{id}/trigger`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TriggerBody {
    #[serde(default)]
    key: Option<String>,
}

/// `POST /v1/schedules/{id}/trigger`: a run is due now, whatever the expression says.
pub(super) async fn trigger(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    id: Id,
    body: Body<TriggerBody>,
) -> Result<Response, Failure> {
    let id = id?.0;
    let JsonBody(TriggerBody { key: given }) = body?.unwrap_or_default();
    let given = given.unwrap_or_else(|| chance::fresh().to_string());
    if given.is_empty() || given.len() > LONGEST_KEY {
        return Err(Failure::Invalid(format!("`key` has 1 to {LONGEST_KEY} bytes")));
    }
    let key = key(&principal, &id);
    let (run, existing) = state.node.trigger_schedule(&key, given, principal.user_id).await?;
    Ok(told(json!({"id": id, "runId": run}), existing))
}

async fn change(
    state: &State,
    principal: SecurityContext,
    id: String,
    action: ScheduleAction,
) -> Result<Response, Failure> {
    let key = key(&principal, &id);
    let existing = state.node.change_schedule(&key, action, principal.user_id).await?;
    Ok(told(json!({"id": id}), existing))
}

fn key(principal: &SecurityContext, id: &str) -> ScheduleKey {
    ScheduleKey::new(principal.tenant_id.as_str(), id)
}

fn told(answer: Json, existing: bool) -> Response {
    let mut answer = JsonBody(answer).into_response();
    if existing {
        answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    answer
}
