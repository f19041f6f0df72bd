//! What a run is told from outside: signals, completions of tasks, operations.
//!
//! Each answers 200 once it is recorded. The same asked again is answered the same; a header tells that it was recorded before.

use axum::Json as JsonBody;
use axum::extract;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use oarlock_protocol::message::{CompleteMessage, Completion, Operation, OperationMessage, SignalMessage};
use oarlock_protocol::{ErrorDetails, ExecutionId, FORMAT, Json, RunKey, TaskPath, chance};
use serde::Deserialize;
use serde_json::json;

use super::State;
use super::error::Failure;
use super::principal::Principal;
use super::runs::{REPLAYED, run_key};

type Id = Result<extract::Path<String>, PathRejection>;
type Body<T> = Result<JsonBody<T>, JsonRejection>;

/// The body of `POST /v1/runs/{id}/signals`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SignalBody {
    name: String,
    #[serde(default)]
    payload: Json,
    #[serde(default)]
    id: Option<String>,
}

/// `POST /v1/runs/{id}/signals`: the signal is kept until a step waits for it.
pub(super) async fn signal(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    id: Id,
    body: Body<SignalBody>,
) -> Result<Response, Failure> {
    let run = run_key(&principal.tenant_id, &id?.0)?;
    let JsonBody(SignalBody { name, payload, id }) = body?;
    let signal_id = id.unwrap_or_else(|| chance::fresh().to_string());
    let answer = json!({"id": run.run, "signalId": signal_id});
    let message = SignalMessage { format: FORMAT, run, signal_id, name, payload };
    Ok(recorded(answer, state.node.signal(message).await?))
}

/// The body of `POST /v1/runs/{id}/complete`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CompleteBody {
    task_path: TaskPath,
    #[serde(default)]
    output: Json,
    #[serde(default)]
    execution_id: Option<ExecutionId>,
}

/// `POST /v1/runs/{id}/complete`: the task is done, as if its worker had answered so.
pub(super) async fn complete(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    id: Id,
    body: Body<CompleteBody>,
) -> Result<Response, Failure> {
    let run = run_key(&principal.tenant_id, &id?.0)?;
    let JsonBody(CompleteBody { task_path, output, execution_id }) = body?;
    let completion = Completion::Completed { output };
    let requested_by = principal.user_id;
    end_task(
        &state,
        CompleteMessage { format: FORMAT, run, task_path, execution_id, completion, requested_by },
    )
    .await
}

/// The body of `POST /v1/runs/{id}/fail`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FailBody {
    task_path: TaskPath,
    error: ErrorBody,
    #[serde(default)]
    execution_id: Option<ExecutionId>,
}

/// An error as a worker would answer it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ErrorBody {
    code: String,
    message: String,
    #[serde(default)]
    details: Json,
    /// As everywhere: where nobody says no, trying again may help.
    #[serde(default = "yes")]
    retryable: bool,
}

fn yes() -> bool {
    true
}

/// `POST /v1/runs/{id}/fail`: the task failed, as if its worker had answered so; its retry policy decides what follows.
pub(super) async fn fail(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    id: Id,
    body: Body<FailBody>,
) -> Result<Response, Failure> {
    let run = run_key(&principal.tenant_id, &id?.0)?;
    let JsonBody(FailBody { task_path, error, execution_id }) = body?;
    let ErrorBody { code, message, details, retryable } = error;
    let completion = Completion::Failed { error: ErrorDetails { code, message, details, retryable } };
    let requested_by = principal.user_id;
    end_task(
        &state,
        CompleteMessage { format: FORMAT, run, task_path, execution_id, completion, requested_by },
    )
    .await
}

async fn end_task(state: &State, message: CompleteMessage) -> Result<Response, Failure> {
    let answer = json!({"id": message.run.run, "taskPath": message.task_path});
    Ok(recorded(answer, state.node.complete(message).await?))
}

/// `POST /v1/runs/{id}/pause`: nothing more is dispatched.
pub(super) async fn pause(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    id: Id,
) -> Result<Response, Failure> {
    let run = run_key(&principal.tenant_id, &id?.0)?;
    operate(&state, run, Operation::Pause, principal.user_id).await
}

/// `POST /v1/runs/{id}/resume`: a PAUSED run goes on.
pub(super) async fn resume(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    id: Id,
) -> Result<Response, Failure> {
    let run = run_key(&principal.tenant_id, &id?.0)?;
    operate(&state, run, Operation::Resume, principal.user_id).await
}

/// `POST /v1/runs/{id}/retry`: what did not complete in a run that ended is done again.
pub(super) async fn retry(
    extract::State(state): extract::State<State>,
    Principal(principal): Principal,
    id: Id,
) -> Result<Response, Failure> {
    let run = run_key(&principal.tenant_id, &id?.0)?;
    operate(&state, run, Operation::Retry, principal.user_id).await
}

async fn operate(
    state: &State,
    run: RunKey,
    operation: Operation,
    requested_by: String,
) -> Result<Response, Failure> {
    let answer = json!({"id": run.run});
    let message = OperationMessage { format: FORMAT, run, operation, requested_by };
    Ok(recorded(answer, state.node.operate(message).await?))
}

fn recorded(answer: Json, existing: bool) -> Response {
    let mut answer = JsonBody(answer).into_response();
    if existing {
        answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    answer
}
