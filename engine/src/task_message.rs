//! Builds the message of an open attempt from the run: at its dispatch, and again whenever it is published again.

use oarlock_protocol::instance::TaskExecutionContext;
use oarlock_protocol::message::TaskMessage;
use oarlock_protocol::{FORMAT, Json, JsonMap, TaskPath};

use crate::plan::Plan;
use crate::run::Run;
use crate::settings::Settings;
use crate::{mapping, security};

/// The message of the open attempt at `path`; none where no attempt is open there.
pub fn build(plan: &Plan, run: &Run, path: &TaskPath, settings: &Settings) -> Option<TaskMessage> {
    let row = run.rows.get(path)?;
    let (work, open) = run.open(path)?;
    let node = plan.work(row.node)?;
    let timeouts = node.definition.timeouts.or(settings.timeouts);
    let requirements = node.definition.security_requirements.as_ref();
    Some(TaskMessage {
        format: FORMAT,
        task: node.definition.id.clone(),
        execution_context: TaskExecutionContext {
            workflow_instance_id: run.key.run,
            workflow_variables: snapshot(
                &run.variables,
                node.context_variables.as_deref(),
                settings.snapshot_bytes,
            ),
            task_path: path.clone(),
            execution_id: Some(open.execution_id),
            security_context: security::narrow(&run.head.security_context, requirements),
            correlation_id: run.head.correlation_id.clone(),
        },
        input: row.input.clone().unwrap_or(Json::Null),
        attempt: work.attempt_count,
        idempotency_key: work.id,
        timeout_ms: timeouts.execution.unwrap_or(oarlock_protocol::duration::LONGEST).as_millis(),
        heartbeat_ms: timeouts.heartbeat.unwrap_or(oarlock_protocol::duration::LONGEST).as_millis(),
        start_before: open.start_before,
        deadline: open.deadline,
    })
}

/// The variables a task is shown: those it names; without names all of them, or none where they are larger than `limit`.
fn snapshot(variables: &JsonMap, names: Option<&[String]>, limit: usize) -> JsonMap {
    let Some(names) = names else {
        let small = variables.iter().try_fold(limit, |left, (name, value)| {
            left.checked_sub(name.len() + 4)?.checked_sub(mapping::size(value))
        });
        return if small.is_some() { variables.clone() } else { JsonMap::new() };
    };
    let named = names.iter().filter_map(|name| Some((name.clone(), variables.get(name)?.clone())));
    named.collect()
}
