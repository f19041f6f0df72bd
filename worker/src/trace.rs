//! The trace that an attempt works in, and the span of its execution.
//!
//! The task message names the span of the attempt, which the orchestrator tells. The worker's own span lies below it, under a
//! fresh name: an attempt that is delivered twice is executed twice.

use oarlock_protocol::message::Outcome;
use oarlock_protocol::trace::{TRACEPARENT, TraceParent};
use oarlock_protocol::{SpanId, WorkerId};
use oarlock_telemetry::{Kind, Span, nanoseconds};

use crate::TaskContext;

/// Who makes these spans.
const SCOPE: &str = "oarlock.worker";

/// Where an execution stands in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    /// The span of the attempt.
    pub(crate) attempt: TraceParent,
    /// That of the execution, where it is told; where it is not, nothing may belong to it.
    own: Option<SpanId>,
}

impl Trace {
    /// What the headers of a task message say; none where they name no span, or one that is none.
    pub(crate) fn of(headers: &[(String, String)], tells: bool) -> Option<Self> {
        let (_, text) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(TRACEPARENT))?;
        let attempt: TraceParent = text.parse().ok()?;
        Some(Self { attempt, own: (tells && attempt.sampled).then(SpanId::fresh) })
    }

    /// What is handed on to whatever the task calls.
    pub(crate) fn handed_on(self) -> TraceParent {
        TraceParent { span: self.own.unwrap_or(self.attempt.span), ..self.attempt }
    }
}

/// The span of an execution that has ended now; none where it is not told. Without an outcome it was given back to its queue.
pub(crate) fn span(context: &TaskContext, worker: &WorkerId, outcome: Option<&Outcome>) -> Option<Span> {
    let trace = context.trace()?;
    let start_ns = nanoseconds(context.began());
    let lasted = u64::try_from(context.started().elapsed().as_nanos()).unwrap_or(u64::MAX);
    let mut span = Span {
        trace: trace.attempt.trace,
        id: trace.own?,
        parent: Some(trace.attempt.span),
        scope: SCOPE,
        name: format!("execute {}", context.task()),
        kind: Kind::Consumer,
        start_ns,
        end_ns: start_ns.saturating_add(lasted),
        attributes: Vec::new(),
        events: Vec::new(),
        failure: None,
    };
    span.set("oarlock.run.id", context.workflow_instance_id().to_string());
    span.set("oarlock.tenant.id", context.security_context().tenant_id.as_str());
    span.set("oarlock.task", context.task());
    span.set("oarlock.task.path", context.task_path().as_str());
    span.set("oarlock.attempt", context.attempt());
    span.set("oarlock.execution.id", context.execution_id().to_string());
    span.set("oarlock.worker.id", worker.as_str());
    span.set("oarlock.deliveries", context.deliveries());
    span.set("oarlock.outcome", name_of(outcome));
    if let Some(Outcome::Failed { error }) = outcome {
        span.fail(&error.code, &error.message);
    }
    Some(span)
}

fn name_of(outcome: Option<&Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Completed { .. }) => "COMPLETED",
        Some(Outcome::Failed { .. }) => "FAILED",
        Some(Outcome::Deferred { .. }) => "DEFERRED",
        Some(Outcome::Accepted) => "ACCEPTED",
        Some(Outcome::Refused) => "REFUSED",
        None => "GIVEN_BACK",
    }
}
