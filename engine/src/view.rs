//! A run as people see it: the words of `oarlock_protocol::instance`, made from its parts.

use oarlock_protocol::instance::{
    HistoryEntry, ParentStep, TaskExecutionContext, TaskInstance, WorkflowInstance, WorkflowSummary,
};
use oarlock_protocol::message::Parent;
use oarlock_protocol::{JsonMap, RunId, RunKey, TaskInstanceId, TaskPath, Timestamp};

use crate::plan::{NodeKind, Plan, Step};
use crate::run::{Head, Row, Run, Stage};
use crate::security;

mod critical_path;

/// The whole run.
pub fn instance(plan: &Plan, run: &Run) -> WorkflowInstance {
    let head = &run.head;
    WorkflowInstance {
        format: head.format,
        id: run.key.run,
        workflow_definition_id: head.workflow_definition_id.clone(),
        workflow_definition_version: head.workflow_definition_version,
        status: head.status,
        start_time: head.start_time,
        end_time: head.end_time,
        input: run.input.clone(),
        // A run that `terminate` ends has its output before all that was open has closed.
        output: run.output.clone().filter(|_| head.status.is_terminal()),
        task_instances: steps(plan, run).into_iter().map(|(path, row)| task(plan, run, path, row)).collect(),
        variables: run.variables.clone(),
        error: head.error.clone(),
        correlation_id: head.correlation_id.clone(),
        priority: head.priority,
        parent: parent(head),
        traceparent: head.traceparent,
        tenant_id: run.key.tenant.to_string(),
        created_by: head.created_by.clone(),
        security_context: head.security_context.clone(),
        metrics: head.metrics,
        critical_path: critical_path::of(run),
        created_at: head.created_at,
        updated_at: head.updated_at,
    }
}

/// The row of a run in a list.
pub fn summary(run: RunId, head: &Head) -> WorkflowSummary {
    WorkflowSummary {
        id: run,
        workflow_definition_id: head.workflow_definition_id.clone(),
        workflow_definition_version: head.workflow_definition_version,
        status: head.status,
        start_time: head.start_time,
        end_time: head.end_time,
        error: head.error.clone(),
        parent: parent(head),
        created_by: head.created_by.clone(),
        created_at: head.created_at,
    }
}

fn parent(head: &Head) -> Option<ParentStep> {
    let Parent { address, .. } = head.parent.as_ref()?;
    Some(ParentStep { workflow_instance_id: address.run.run, task_path: address.task_path.clone() })
}

/// What happened in a run, in the order of time: derived from its rows and their attempts.
pub fn history(plan: &Plan, run: &Run) -> Vec<HistoryEntry> {
    let mut entries = vec![entry(run.head.created_at, TaskPath::root(), "RUNNING")];
    // Much happens in one millisecond: there a block ends after what is inside it, and the next begins after that.
    let mut around: Vec<HistoryEntry> = Vec::new();
    for (path, row) in steps(plan, run) {
        while let Some(ended) = around.pop_if(|block| !is_inside(path, &block.task_path)) {
            entries.push(ended);
        }
        task_history(path, row, &mut entries);
        let is_ended_block = row.block().is_some() && row.status.is_terminal();
        around.extend(entries.pop_if(|_| is_ended_block));
    }
    entries.extend(around.into_iter().rev());
    entries.sort_by_key(|entry| entry.time);
    if let Some(end) = run.head.end_time {
        let mut last = entry(end, TaskPath::root(), run.head.status.as_str());
        last.error.clone_from(&run.head.error);
        last.lasted = Some(end.since(run.head.created_at));
        entries.push(last);
    }
    entries
}

fn is_inside(path: &TaskPath, block: &TaskPath) -> bool {
    path.as_str().strip_prefix(block.as_str()).is_some_and(|rest| rest.starts_with(['/', '[', ':']))
}

fn task_history(path: &TaskPath, row: &Row, entries: &mut Vec<HistoryEntry>) {
    let work = row.work();
    let dropped = work.map_or(0, |work| work.attempt_count - u32::try_from(work.attempts.len()).unwrap_or(0));
    for (index, attempt) in work.map(|work| work.attempts.as_slice()).unwrap_or_default().iter().enumerate() {
        let number = Some(dropped + u32::try_from(index).unwrap_or(0) + 1);
        let with = |time, status, error, lasted| HistoryEntry {
            attempt: number,
            worker_id: attempt.worker_id.clone(),
            error,
            lasted,
            ..entry(time, path.clone(), status)
        };
        entries.push(HistoryEntry { worker_id: None, ..with(attempt.scheduled_at, "SCHEDULED", None, None) });
        if let Some(start) = attempt.start_time {
            entries.push(with(start, "RUNNING", None, Some(start.since(attempt.ready_at))));
        }
        if let (Some(end), Some(error)) = (attempt.end_time, &attempt.error) {
            let lasted = attempt.start_time.map(|start| end.since(start));
            entries.push(with(end, "ATTEMPT_FAILED", Some(error.clone()), lasted));
        }
    }
    if work.is_none() && row.start_time.is_some() && row.status.as_str() != "RUNNING" {
        entries.push(entry(row.created_at, path.clone(), "RUNNING"));
    }
    let is_told = work.is_some_and(|work| matches!(work.stage, Stage::Open(_)));
    if is_told {
        return;
    }
    let begun = row.start_time.unwrap_or(row.created_at);
    entries.push(HistoryEntry {
        error: if row.status.is_terminal() { row.error.clone() } else { None },
        lasted: row.end_time.map(|end| end.since(begun)),
        ..entry(row.end_time.unwrap_or(row.updated_at), path.clone(), row.status.as_str())
    });
}

fn entry(time: Timestamp, task_path: TaskPath, status: &str) -> HistoryEntry {
    HistoryEntry {
        time,
        task_path,
        status: status.to_owned(),
        attempt: None,
        worker_id: None,
        error: None,
        lasted: None,
    }
}

/// The steps that were reached, in the order of the definition, each iteration after the one before.
fn steps<'a>(plan: &'a Plan, run: &'a Run) -> Vec<(&'a TaskPath, &'a Row)> {
    let mut steps = Vec::with_capacity(run.rows.len());
    let mut waiting = vec![plan.root()];
    while let Some(step) = waiting.pop() {
        let found = run.rows.get_key_value(&step.path);
        steps.extend(found.filter(|_| !step.path.is_root()));
        let begun = found.and_then(|(_, row)| row.block()).map_or(0, |block| block.begun);
        let inside = plan.inside(&step).into_iter().flat_map(|node| match plan.node(node).kind {
            NodeKind::Iteration(_) => plan.kept(&step, begun),
            _ => vec![plan.child(&step, node)],
        });
        // What was not reached has nothing inside that was.
        let inside: Vec<Step> = inside.filter(|step| run.rows.contains_key(&step.path)).collect();
        waiting.extend(inside.into_iter().rev());
    }
    steps
}

fn task(plan: &Plan, run: &Run, path: &TaskPath, row: &Row) -> TaskInstance {
    let work = row.work();
    let definition = plan.work(row.node).map(|node| &node.definition);
    let next = work.and_then(|work| match work.stage {
        Stage::Waiting { until, .. } => Some(until),
        Stage::Ready { .. } | Stage::Open(_) | Stage::Held | Stage::Closed => None,
    });
    let latest = work.and_then(|work| work.attempts.last()).map(|attempt| attempt.execution_id);
    let is_child = plan.work(row.node).is_some_and(|work| work.child.is_some());
    let requirements = definition.and_then(|definition| definition.security_requirements.as_ref());
    TaskInstance {
        id: task_id(&run.key, path),
        kind: plan.kind(row.node),
        task_definition_id: definition.map(|definition| definition.id.clone()),
        workflow_instance_id: run.key.run,
        status: row.status,
        start_time: row.start_time,
        end_time: row.end_time,
        input: row.input.clone(),
        output: row.output.clone(),
        error: row.error.clone(),
        retry_count: work.map_or(0, |work| work.retry_count),
        attempts: work.map(|work| work.attempts.clone()).unwrap_or_default(),
        child_id: latest.filter(|_| is_child).map(RunId::child_of),
        next_attempt_at: next,
        execution_context: TaskExecutionContext {
            workflow_instance_id: run.key.run,
            workflow_variables: JsonMap::new(),
            task_path: path.clone(),
            execution_id: latest,
            security_context: security::narrow(&run.head.security_context, requirements).into_owned(),
            correlation_id: run.head.correlation_id.clone(),
        },
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

fn task_id(run: &RunKey, path: &TaskPath) -> TaskInstanceId {
    TaskInstanceId::of(run.run, path.as_str())
}
