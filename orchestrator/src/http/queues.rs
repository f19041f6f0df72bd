//! Shows the queues of the fleet, how many workers they want, and what is unusual.

use axum::Json as JsonBody;
use axum::extract;
use axum::extract::rejection::{PathRejection, QueryRejection};
use oarlock_protocol::name;
use serde::Deserialize;

use super::State;
use super::error::Failure;
use super::principal::Principal;
use crate::anomalies::AnomaliesView;
use crate::lookout::Scaling;
use crate::queues::QueuesView;

/// The query of `GET /v1/queues`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct QueuesQuery {
    #[serde(default)]
    queue: Option<String>,
    #[serde(default)]
    tenant: Option<String>,
}

/// `GET /v1/queues`: what stands where in every queue, those with the most work that waits first.
pub(super) async fn list(
    extract::State(state): extract::State<State>,
    query: Result<extract::Query<QueuesQuery>, QueryRejection>,
) -> Result<JsonBody<QueuesView>, Failure> {
    let extract::Query(query) = query?;
    let mut view = state.node.queues(query.tenant.as_deref()).await;
    if let Some(queue) = query.queue {
        view.queues.retain(|of| of.queue == queue);
    }
    Ok(JsonBody(view))
}

/// `GET /v1/scaling/{queue}`: how many workers it wants. `wanted` is what KEDA's metrics-api scaler reads.
pub(super) async fn scaling(
    extract::State(state): extract::State<State>,
    queue: Result<extract::Path<String>, PathRejection>,
) -> Result<JsonBody<Scaling>, Failure> {
    let extract::Path(queue) = queue?;
    name::check_task_name(&queue).map_err(|error| Failure::Invalid(format!("the queue: {error}")))?;
    Ok(JsonBody(state.node.scaling(&queue)))
}

/// `GET /v1/anomalies`: what is unusual now, the worst first: of the tenant, and what concerns no tenant.
pub(super) async fn anomalies(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
) -> JsonBody<AnomaliesView> {
    JsonBody(state.node.anomalies(&principal.tenant_id))
}
