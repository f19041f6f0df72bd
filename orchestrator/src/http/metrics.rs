//! Serves `/metrics`: of an orchestrator, and of whoever gives it something to tell.
//!
//! It asks no server and needs no principal: what it tells names no run and no tenant.

use axum::extract;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use oarlock_metrics::Format;

use super::State;

/// `GET /metrics`: the figures of this orchestrator, in the text form of Prometheus or as OpenMetrics.
pub(super) async fn scrape(extract::State(state): extract::State<State>, headers: HeaderMap) -> Response {
    answer(&headers, &|format| state.node.metrics(format))
}

/// Answers in the form that the request accepts.
pub(super) fn answer(headers: &HeaderMap, tell: &dyn Fn(Format) -> String) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = Format::accepted(accept.unwrap_or_default());
    ([(header::CONTENT_TYPE, format.content_type())], tell(format)).into_response()
}
