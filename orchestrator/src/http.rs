//! The HTTP interface: a thin layer that reads requests, asks the [`Node`], and writes answers.
//!
//! Until there is authentication the principal comes from the headers `oarlock-user`, `oarlock-tenant`,
//! `oarlock-roles` and `oarlock-permissions` or from configuration, so the listener belongs on the loopback address.

use std::sync::Arc;

pub use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use oarlock_protocol::security::SecurityContext;
use tokio::net::TcpListener;

use crate::Node;

mod definitions;
mod error;
mod health;
mod large;
mod metrics;
mod operations;
mod parked;
mod pauses;
mod principal;
mod queues;
mod runs;
mod schedules;
mod statistics;
mod waiting;
mod workers;

pub use error::ErrorBody;
use large::Large;
pub use oarlock_metrics::Scrape;
pub use waiting::{Problems, health_and_metrics, waiting};

/// How much larger than the largest payload a request may be: names, keys and JSON around it.
const AROUND_PAYLOAD: usize = 64 * 1024;

#[derive(Clone)]
struct State {
    node: Arc<Node>,
    principal: Arc<SecurityContext>,
    warnings: Problems,
    large: Large,
}

/// The routes over a node; requests without principal headers act as `principal`.
pub fn router(node: Arc<Node>, principal: SecurityContext) -> Router {
    router_with_warnings(node, principal, Arc::new(Vec::new))
}

/// As [`router`]; `/readyz` tells these warnings too, which are not in the way of being ready.
pub fn router_with_warnings(node: Arc<Node>, principal: SecurityContext, warnings: Problems) -> Router {
    let limit = node.settings().engine.payload_bytes.saturating_add(AROUND_PAYLOAD);
    let largest =
        node.payloads().map(|payloads| payloads.limits().largest_bytes.saturating_add(AROUND_PAYLOAD));
    let start_limit = largest.map_or(limit, |largest| largest.max(limit));
    let large = Large::above(largest.map_or(usize::MAX, |_| limit));
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::scrape))
        .route("/v1/definitions", post(definitions::register))
        .route("/v1/runs", post(runs::start).layer(DefaultBodyLimit::max(start_limit)).get(runs::list))
        .route("/v1/runs/{id}", get(runs::get))
        .route("/v1/runs/{id}/cancel", post(runs::cancel))
        .route("/v1/runs/{id}/history", get(runs::history))
        .route("/v1/runs/{id}/explain", get(runs::explain))
        .route("/v1/runs/{id}/signals", post(operations::signal))
        .route("/v1/runs/{id}/complete", post(operations::complete))
        .route("/v1/runs/{id}/fail", post(operations::fail))
        .route("/v1/runs/{id}/pause", post(operations::pause))
        .route("/v1/runs/{id}/resume", post(operations::resume))
        .route("/v1/runs/{id}/retry", post(operations::retry))
        .route("/v1/queues", get(queues::list))
        .route("/v1/scaling/{queue}", get(queues::scaling))
        .route("/v1/anomalies", get(queues::anomalies))
        .route("/v1/statistics/tasks", get(statistics::tasks))
        .route("/v1/statistics/workflows", get(statistics::workflows))
        .route("/v1/workers", get(workers::list))
        .route("/v1/schedules", get(schedules::list))
        .route("/v1/schedules/{id}", get(schedules::get).put(schedules::put).delete(schedules::delete))
        .route("/v1/schedules/{id}/pause", post(schedules::pause))
        .route("/v1/schedules/{id}/resume", post(schedules::resume))
        .route("/v1/schedules/{id}/trigger", post(schedules::trigger))
        .route("/v1/parked", get(parked::list))
        .route("/v1/parked/{id}", get(parked::get).delete(parked::drop))
        .route("/v1/parked/{id}/requeue", post(parked::requeue))
        .route("/v1/pauses", post(pauses::begin).get(pauses::list))
        .route("/v1/pauses/{kind}/{name}", delete(pauses::end))
        .fallback(error::no_route)
        .method_not_allowed_fallback(error::no_method)
        .layer(DefaultBodyLimit::max(limit))
        .with_state(State { node, principal: Arc::new(principal), warnings, large })
}

/// Serves the routes until `stop` ends, then finishes the requests that are under way.
///
/// # Errors
/// The listener failed.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}
