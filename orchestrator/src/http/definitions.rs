//! Registers definitions.

use axum::Json as JsonBody;
use axum::body::Bytes;
use axum::extract;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use oarlock_definition::Severity;
use serde_json::json;

use super::State;
use super::error::Failure;
use super::principal::Principal;

/// `POST /v1/definitions`: the body is the definition as YAML or JSON text. 201 where it is new, 200 where it stood.
pub(super) async fn register(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let body = body?;
    let text = std::str::from_utf8(&body)
        .map_err(|e| Failure::Invalid(format!("the definition is no UTF-8 text: {e}")))?;
    let report = oarlock_definition::read("definition", text);
    let Some(definition) = report.definition else { return Err(Failure::Definition(report.diagnostics)) };
    let (id, version) = (definition.id.clone(), definition.version);
    let new = state.node.register(&principal.tenant_id, definition).await?;
    let warnings: Vec<_> =
        report.diagnostics.into_iter().filter(|d| d.severity == Severity::Warning).collect();
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, JsonBody(json!({"id": id, "version": version, "new": new, "warnings": warnings})))
        .into_response())
}
