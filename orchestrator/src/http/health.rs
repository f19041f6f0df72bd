//! Whether this node lives, and whether it can work.

use std::sync::atomic::Ordering;

use axum::Json as JsonBody;
use axum::extract;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use oarlock_broker::Health;
use serde_json::json;

use super::State;

/// `GET /healthz`: the process answers.
pub(super) async fn alive() -> Response {
    JsonBody(json!({"status": "UP"})).into_response()
}

/// `GET /readyz`: every partition is owned and the broker takes messages; else 503 with what is not.
pub(super) async fn ready(extract::State(state): extract::State<State>) -> Response {
    let broker = match &*state.node.broker().health().borrow() {
        Health::Ready => "READY".to_owned(),
        Health::Blocked(reason) => format!("BLOCKED: {reason}"),
        Health::Down(reason) => format!("DOWN: {reason}"),
    };
    let owned = state.node.is_ready();
    let ready = owned && broker == "READY";
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let counters = state.node.counters();
    let body = json!({
        "status": if ready { "READY" } else { "NOT_READY" },
        "broker": broker,
        "partitionsOwned": owned,
        "staleEvents": counters.stale_events.load(Ordering::Relaxed),
        "parkedMessages": counters.parked_messages.load(Ordering::Relaxed),
    });
    (status, JsonBody(body)).into_response()
}
