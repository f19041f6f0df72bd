//! Builds the message of an open attempt from the run: at its dispatch, and again whenever it is published again.

use std::borrow::Cow;

use oarlock_protocol::duration::LONGEST;
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::{
    ErrorDetails, ExecutionId, FORMAT, Json, JsonMap, RunId, TaskInstanceId, TaskPath, Timestamp,
};
use serde::Serialize;

use crate::plan::{Attachment, NodeId, Plan, Step, WorkNode};
use crate::run::{Run, Work};
use crate::scope::variables_around;
use crate::settings::Settings;
use crate::{mapping, security};

/// A [`TaskMessage`](oarlock_protocol::message::TaskMessage) to be written, borrowed from the run: field by field the same.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutgoingTask<'a> {
    format: u32,
    task: &'a str,
    execution_context: OutgoingContext<'a>,
    input: &'a Json,
    attempt: u32,
    idempotency_key: TaskInstanceId,
    timeout_ms: u64,
    heartbeat_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_before: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ask_after: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a Json>,
}

/// A `TaskExecutionContext` to be written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OutgoingContext<'a> {
    workflow_instance_id: RunId,
    #[serde(skip_serializing_if = "JsonMap::is_empty")]
    workflow_variables: Cow<'a, JsonMap>,
    task_path: &'a TaskPath,
    execution_id: ExecutionId,
    security_context: Cow<'a, SecurityContext>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
}

/// The message of the open attempt at `path`; none where no attempt is open there.
pub fn build<'a>(
    plan: &'a Plan,
    run: &'a Run,
    path: &'a TaskPath,
    settings: &Settings,
) -> Option<OutgoingTask<'a>> {
    let row = run.rows.get(path)?;
    let (work, open) = run.open(path)?;
    let node = plan.work(row.node)?;
    let timeouts = node.definition.timeouts.or(settings.timeouts);
    let requirements = node.definition.security_requirements.as_ref();
    let step = Step { node: row.node, path: path.clone() };
    let seen = seen_variables(plan, run, &step);
    let variables = match seen {
        Cow::Borrowed(seen) => snapshot(seen, node.context_variables.as_deref(), settings.snapshot_bytes),
        Cow::Owned(seen) => Cow::Owned(
            snapshot(&seen, node.context_variables.as_deref(), settings.snapshot_bytes).into_owned(),
        ),
    };
    Some(OutgoingTask {
        format: FORMAT,
        task: &node.definition.id,
        execution_context: OutgoingContext {
            workflow_instance_id: run.key.run,
            workflow_variables: variables,
            task_path: path,
            execution_id: open.execution_id,
            security_context: security::narrow(&run.head.security_context, requirements),
            correlation_id: run.head.correlation_id.as_deref(),
        },
        input: row.input.as_ref().unwrap_or(&Json::Null),
        attempt: work.attempt_count,
        idempotency_key: idempotency_key(plan, run, row.node, path, work),
        timeout_ms: timeouts.execution.unwrap_or(LONGEST).as_millis(),
        heartbeat_ms: timeouts.heartbeat.unwrap_or(LONGEST).as_millis(),
        start_before: open.start_before,
        // Sooner than that nothing closes an attempt that no worker has.
        ask_after: work.attempts.last().map(|attempt| attempt.scheduled_at.after(settings.cancel_grace)),
        deadline: open.deadline,
        state: work.state.as_ref(),
    })
}

/// The variables of the run, and over them those of the steps around `step`.
fn seen_variables<'a>(plan: &Plan, run: &'a Run, step: &Step) -> Cow<'a, JsonMap> {
    let around = variables_around(plan, run, step);
    if around.is_empty() {
        return Cow::Borrowed(&run.variables);
    }
    let mut seen = run.variables.clone();
    seen.extend(around);
    Cow::Owned(seen)
}

/// The task's own, the same over all attempts; of a compensation that of the task it undoes.
fn idempotency_key(plan: &Plan, run: &Run, node: NodeId, path: &TaskPath, work: &Work) -> TaskInstanceId {
    let step = Step { node, path: path.clone() };
    match plan.attachment(&step) {
        Some(Attachment::Compensation) => {
            plan.parent(&step).map_or(work.id, |undone| TaskInstanceId::of(run.key.run, undone.path.as_str()))
        }
        Some(Attachment::OnError | Attachment::OnTimeout) | None => work.id,
    }
}

/// Checks that the variables a task asks for by name fit into its message: the broker refuses a message that is too
/// large, again and again.
///
/// # Errors
/// PAYLOAD_TOO_LARGE where together they are above `limit` bytes.
pub fn check_variables(
    plan: &Plan,
    run: &Run,
    step: &Step,
    work: &WorkNode,
    limit: usize,
) -> Result<(), ErrorDetails> {
    let names = work.context_variables.as_deref().unwrap_or_default();
    if names.is_empty() {
        return Ok(());
    }
    let variables = seen_variables(plan, run, step);
    let named = names.iter().filter_map(|name| Some((name, variables.get(name)?)));
    let size: usize = named.map(|(name, value)| name.len() + 4 + mapping::size(value)).sum();
    if size > limit { Err(mapping::too_large("contextVariables", limit)) } else { Ok(()) }
}

/// The variables a task is shown: those it names; without names all of them, or none where they are larger than `limit`.
fn snapshot<'a>(variables: &'a JsonMap, names: Option<&[String]>, limit: usize) -> Cow<'a, JsonMap> {
    let Some(names) = names else {
        let small = variables.iter().try_fold(limit, |left, (name, value)| {
            left.checked_sub(name.len() + 4)?.checked_sub(mapping::size(value))
        });
        return if small.is_some() { Cow::Borrowed(variables) } else { Cow::Owned(JsonMap::new()) };
    };
    let named = names.iter().filter_map(|name| Some((name.clone(), variables.get(name)?.clone())));
    Cow::Owned(named.collect())
}
