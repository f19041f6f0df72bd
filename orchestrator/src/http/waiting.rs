//! Health without a node: of an orchestrator that waits for its store, and of a worker. The binary gives it what is in the way.

use std::sync::Arc;

use axum::Json as JsonBody;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use oarlock_metrics::Scrape;
use serde_json::json;

use super::error::{self, Failure};
use super::{health, metrics};

/// What is in the way: a sentence each; none where nothing is.
pub type Problems = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// `/healthz`, `/readyz` and `/metrics`, and nothing else.
pub fn health_and_metrics(problems: Problems, scrape: Scrape) -> Router {
    let metrics = get(async move |headers: HeaderMap| metrics::answer(&headers, &*scrape));
    healths(problems).route("/metrics", metrics).fallback(error::no_route)
}

/// `/healthz` and `/readyz`; everything else is answered 503 until there is a node.
pub fn waiting(problems: Problems) -> Router {
    let told = Arc::clone(&problems);
    healths(problems).fallback(async move || {
        let problems = told().join("; ");
        Failure::Unavailable(format!("this orchestrator has not begun yet: {problems}")).into_response()
    })
}

fn healths(problems: Problems) -> Router {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(async move || ready(&problems())))
}

fn ready(problems: &[String]) -> Response {
    let (code, status) = match problems {
        [] => (StatusCode::OK, "READY"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "NOT_READY"),
    };
    (code, JsonBody(json!({"status": status, "problems": problems}))).into_response()
}
