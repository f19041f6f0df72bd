//! The trace of a run, and the spans in it: made from the run when something in it has ended. Pure.
//!
//! Which trace a run is in, and the names of its spans, follow from what is stored, so nothing is kept in memory between the
//! begin and the end of a span, and whoever takes a partition over goes on with the same trace.

use oarlock_engine::{Plan, Run};
use oarlock_protocol::{ExecutionId, SpanId, TaskPath, TraceId, TraceParent};
use oarlock_telemetry::{Kind, Span, Telemetry, nanoseconds};

/// Who makes these spans.
const SCOPE: &str = "oarlock.orchestrator";

/// The trace that a run is in.
pub(crate) fn trace_of(run: &Run) -> TraceId {
    run.head.traceparent.map_or_else(|| TraceId::of_run(run.key.run), |given| given.trace)
}

/// What an attempt's message carries, for the worker or the run that it starts.
///
/// A node that exports nothing has no spans to belong to: it hands on what the run was given, as it is.
pub(crate) fn handed_on(run: &Run, attempt: ExecutionId, telemetry: &Telemetry) -> Option<TraceParent> {
    if !telemetry.is_on() {
        return run.head.traceparent;
    }
    let span = SpanId::of_attempt(attempt);
    Some(TraceParent { trace: trace_of(run), span, sampled: is_sampled(run, telemetry) })
}

/// The span of an attempt that has closed; none where it is not recorded.
pub(crate) fn attempt(
    plan: &Plan,
    run: &Run,
    path: &TaskPath,
    execution_id: ExecutionId,
    telemetry: &Telemetry,
) -> Option<Span> {
    if !is_sampled(run, telemetry) {
        return None;
    }
    let row = run.rows.get(path)?;
    let (work, node) = (row.work()?, plan.work(row.node)?);
    let closed = work.attempts.iter().rev().find(|attempt| attempt.execution_id == execution_id)?;
    let task = &node.definition.id;
    // A run is started by its step, a task is handed to a queue.
    let kind = if node.child.is_some() { Kind::Internal } else { Kind::Producer };
    let mut span = Span {
        trace: trace_of(run),
        id: SpanId::of_attempt(execution_id),
        parent: Some(SpanId::of_run(run.key.run, run.head.generation)),
        scope: SCOPE,
        name: format!("attempt {task}"),
        kind,
        start_ns: nanoseconds(closed.ready_at),
        end_ns: nanoseconds(closed.end_time.unwrap_or(run.head.updated_at)),
        attributes: Vec::new(),
        events: Vec::new(),
        failure: None,
    };
    describe(&mut span, run);
    span.set("oarlock.task", task.as_str());
    span.set("oarlock.task.path", path.as_str());
    span.set("oarlock.attempt", work.attempt_count);
    span.set("oarlock.execution.id", execution_id.to_string());
    if node.child.is_none() {
        span.set("oarlock.queue", closed.queue.as_str());
    }
    if let Some(worker) = &closed.worker_id {
        span.set("oarlock.worker.id", worker.as_str());
        span.set("oarlock.deliveries", closed.deliveries);
    }
    span.note("scheduled", closed.scheduled_at);
    if let Some(started) = closed.start_time {
        span.note("started", started);
    }
    if let Some(error) = &closed.error {
        span.fail(&error.code, &error.message);
    }
    Some(span)
}

/// The span of a run that has ended; none where it is not recorded. A run that was opened again has another span for what came
/// of that: below the first, which is the root of its trace.
pub(crate) fn run(run: &Run, telemetry: &Telemetry) -> Option<Span> {
    if !is_sampled(run, telemetry) {
        return None;
    }
    let (head, id) = (&run.head, run.key.run);
    let first = SpanId::of_run(id, 0);
    let mut span = Span {
        trace: trace_of(run),
        id: SpanId::of_run(id, head.generation),
        parent: if head.generation > 0 { Some(first) } else { head.traceparent.map(|given| given.span) },
        scope: SCOPE,
        name: format!("run {}", head.workflow_definition_id),
        kind: Kind::Internal,
        start_ns: nanoseconds(head.opened_at.or(head.start_time).unwrap_or(head.created_at)),
        end_ns: nanoseconds(head.end_time.unwrap_or(head.updated_at)),
        attributes: Vec::new(),
        events: Vec::new(),
        failure: None,
    };
    describe(&mut span, run);
    span.set("oarlock.workflow.version", head.workflow_definition_version);
    span.set("oarlock.status", head.status.as_str());
    span.set("oarlock.attempts", head.metrics.attempts);
    if let Some(correlation) = &head.correlation_id {
        span.set("oarlock.correlation.id", correlation.as_str());
    }
    if let Some(error) = &head.error {
        span.fail(&error.code, &error.message);
    }
    Some(span)
}

/// Whether the trace of a run is recorded: whoever gave it the trace has decided that, else the settings do.
fn is_sampled(run: &Run, telemetry: &Telemetry) -> bool {
    let given = run.head.traceparent.map(|given| given.sampled);
    telemetry.is_on() && given.unwrap_or_else(|| telemetry.samples(trace_of(run)))
}

fn describe(span: &mut Span, run: &Run) {
    span.set("oarlock.run.id", run.key.run.to_string());
    span.set("oarlock.tenant.id", &*run.key.tenant);
    span.set("oarlock.workflow", run.head.workflow_definition_id.as_str());
}
