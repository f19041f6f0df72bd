//! Parked messages, for operators.

use axum::Json as JsonBody;
use axum::extract;
use axum::extract::rejection::PathRejection;
use axum::response::{IntoResponse, Response};
use oarlock_broker::parking::Parked;
use oarlock_protocol::Json;
use serde_json::json;

use super::State;
use super::error::Failure;

/// As much of a body as a list shows, in bytes.
const EXCERPT: usize = 200;

/// `GET /v1/parked`: the oldest parked messages, each with the beginning of its body.
pub(super) async fn list(extract::State(state): extract::State<State>) -> Result<Response, Failure> {
    let parked = state.node.parked().await?;
    let shown: Vec<_> = parked.iter().map(|parked| show(parked, EXCERPT)).collect();
    Ok(JsonBody(json!({"parked": shown})).into_response())
}

/// `GET /v1/parked/{id}`: one of them, whole.
pub(super) async fn get(
    extract::State(state): extract::State<State>,
    id: Result<extract::Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let extract::Path(id) = id?;
    let parked = state.node.parked().await?;
    let found = parked.iter().find(|parked| parked.id == id);
    let found = found.ok_or_else(|| Failure::NotFound(format!("there is no parked message {id}")))?;
    Ok(JsonBody(show(found, usize::MAX)).into_response())
}

/// `POST /v1/parked/{id}/requeue`: it goes back where it came from.
pub(super) async fn requeue(
    extract::State(state): extract::State<State>,
    id: Result<extract::Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let parked = state.node.requeue_parked(&id?.0).await?;
    Ok(JsonBody(show(&parked, EXCERPT)).into_response())
}

/// `DELETE /v1/parked/{id}`: it is dropped for good.
pub(super) async fn drop(
    extract::State(state): extract::State<State>,
    id: Result<extract::Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let parked = state.node.drop_parked(&id?.0).await?;
    Ok(JsonBody(show(&parked, EXCERPT)).into_response())
}

fn show(parked: &Parked, most: usize) -> Json {
    let message = &parked.message;
    let body = &message.body[..message.body.len().min(most)];
    json!({
        "id": parked.id,
        "at": parked.at,
        "from": parked.from,
        "reason": parked.reason,
        "type": message.kind,
        "messageId": message.message_id,
        "correlationId": message.correlation_id,
        "replyTo": message.reply_to,
        "userId": parked.user_id,
        "size": message.body.len(),
        "body": String::from_utf8_lossy(body),
    })
}
