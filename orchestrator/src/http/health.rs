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

/// `GET /readyz`: the broker takes messages, the store answers, and every partition that this node should own is owned;
/// else 503 with what is in the way.
pub(super) async fn ready(extract::State(state): extract::State<State>) -> Response {
    let readiness = state.node.readiness();
    let broker = match &*state.node.broker().health().borrow() {
        Health::Ready => "READY".to_owned(),
        Health::Blocked(reason) => format!("BLOCKED: {reason}"),
        Health::Down(reason) => format!("DOWN: {reason}"),
    };
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let counters = state.node.counters();
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let body = json!({
        "status": if readiness.ready { "READY" } else { "NOT_READY" },
        "problems": readiness.problems,
        "warnings": (state.warnings)(),
        "broker": broker,
        "node": state.node.member().name,
        "members": readiness.members,
        "partitions": readiness.partitions,
        "partitionsOwned": readiness.partitions_owned,
        "partitionsWanted": readiness.partitions_wanted,
        "staleEvents": count(&counters.stale_events),
        "parkedMessages": count(&counters.parked_messages),
        "takeovers": count(&counters.takeovers),
        "lostPartitions": count(&counters.lost_partitions),
        "rollbacks": count(&counters.rollbacks),
        "missedDueTimes": count(&counters.missed_due_times),
        "failedPayloadRemovals": count(&counters.failed_removals),
        "unheardAnnouncements": count(&counters.unheard),
        "droppedSpans": state.node.settings().telemetry.dropped(),
    });
    (status, JsonBody(body)).into_response()
}
