//! Builds what runs tell each other: a run starts another one and may cancel it, and hears how that one ended.

use oarlock_protocol::code::Code;
use oarlock_protocol::instance::{TaskMetrics, WorkflowStatus};
use oarlock_protocol::message::{
    AttemptAddress, CancelMessage, Outcome, Parent, ProgressMessage, ResultMessage, StartMessage,
};
use oarlock_protocol::{
    ErrorDetails, ExecutionId, FORMAT, Json, RunId, RunKey, TaskPath, Timestamp, WorkerId,
};
use serde_json::json;

use crate::plan::Plan;
use crate::run::{Ending, Run};

/// Who had a run cancelled, in the details of the error that tells of it.
const REQUESTED_BY: &str = "requestedBy";

/// The start of the run that the open attempt at `path` is; none where no such attempt is open there.
pub fn start(plan: &Plan, run: &Run, path: &TaskPath) -> Option<StartMessage> {
    let row = run.rows.get(path)?;
    let (_, open) = run.open(path)?;
    let child = plan.work(row.node)?.child.as_ref()?;
    let address =
        AttemptAddress { run: run.key.clone(), task_path: path.clone(), execution_id: open.execution_id };
    Some(StartMessage {
        format: FORMAT,
        workflow_instance_id: RunId::child_of(open.execution_id),
        workflow_definition_id: child.id.clone(),
        workflow_definition_version: child.version,
        input: row.input.clone().unwrap_or_default(),
        idempotency_key: None,
        correlation_id: run.head.correlation_id.clone(),
        priority: run.head.priority,
        security_context: run.head.security_context.clone(),
        parent: Some(Parent { address, depth: run.depth() + 1, wait: child.wait }),
        // Whether and how its trace is recorded is no decision: the owner fills it in.
        traceparent: None,
    })
}

/// Asks the run that an attempt of a step is to end, because nothing waits for it any more.
pub fn cancel(run: &Run, path: &TaskPath, execution_id: ExecutionId) -> CancelMessage {
    let address = AttemptAddress { run: run.key.clone(), task_path: path.clone(), execution_id };
    CancelMessage {
        format: FORMAT,
        run: RunKey::new(run.key.tenant.clone(), RunId::child_of(execution_id)),
        reason: reason(&address),
        requested_by: name(run.key.run),
        parent: Some(Parent { address, depth: run.depth() + 1, wait: true }),
    }
}

/// What the step that started a run hears of it: how it ended or, where the step does not wait, that it was accepted.
/// None while there is nothing to tell, and of a run that no other started.
pub fn result(run: &Run) -> Option<ResultMessage> {
    let parent = run.head.parent.as_ref()?;
    let child = run.key.run;
    let outcome = match run.head.status {
        _ if !parent.wait => Outcome::Completed { output: json!({"workflowInstanceId": child}) },
        WorkflowStatus::Completed => Outcome::Completed { output: run.output.clone().unwrap_or_default() },
        WorkflowStatus::Cancelled => {
            let error = ended(run, Code::Cancelled, "was cancelled");
            let why = ErrorDetails::system(Code::Cancelled, reason(&parent.address)).message;
            let by_parent = matches!(&run.head.ending, Some(Ending::Cancelled { reason }) if *reason == why);
            Outcome::Failed { error: if by_parent { asked(error, parent.address.run.run) } else { error } }
        }
        WorkflowStatus::Failed => Outcome::Failed { error: ended(run, Code::ChildFailed, "failed") },
        WorkflowStatus::TimedOut => Outcome::Failed { error: ended(run, Code::ChildFailed, "timed out") },
        WorkflowStatus::Pending
        | WorkflowStatus::Running
        | WorkflowStatus::Paused
        | WorkflowStatus::Compensating => return None,
    };
    Some(answer(parent.address.clone(), child, outcome))
}

/// Tells the step that started a run that it lives.
pub fn alive(parent: AttemptAddress, run: &Run, now: Timestamp) -> ProgressMessage {
    ProgressMessage {
        format: FORMAT,
        worker_id: WorkerId::from(name(run.key.run)),
        address: parent,
        // Nobody waits for its heartbeats: the first says all there is to say.
        n: 0,
        running_ms: now.since(run.head.created_at).as_millis(),
        deliveries: 1,
        control_queue: None,
        details: Json::Null,
    }
}

/// Tells the step that its run was not started, and why.
pub fn refused(parent: AttemptAddress, refusal: &ErrorDetails) -> ResultMessage {
    let child = RunId::child_of(parent.execution_id);
    let told = format!("the run was not started: {}: {}", refusal.code, refusal.message);
    let details = json!({"workflowInstanceId": child, "error": refusal});
    let error =
        ErrorDetails { details, retryable: false, ..ErrorDetails::system(Code::ChildFailed, told) }.bounded();
    answer(parent, child, Outcome::Failed { error })
}

/// Tells the step that its run had ended, and that nobody remembers how.
pub fn lost(parent: AttemptAddress) -> ResultMessage {
    let child = RunId::child_of(parent.execution_id);
    let told = format!("run {child} has ended, and its retention is over: how it ended is not known");
    fail(parent, child, Code::ChildLost, &told)
}

/// Tells the step that its run was cancelled before it had begun.
pub fn never_began(parent: AttemptAddress) -> ResultMessage {
    let (child, above) = (RunId::child_of(parent.execution_id), parent.run.run);
    let told = ErrorDetails {
        details: json!({"workflowInstanceId": child}),
        ..ErrorDetails::system(Code::Cancelled, "the run was cancelled before it had begun")
    };
    answer(parent, child, Outcome::Failed { error: asked(told, above) })
}

/// Whether a run tells that it ended because the run above it had asked for that.
pub(crate) fn says_it_was_asked(error: &ErrorDetails, above: RunId) -> bool {
    error.details[REQUESTED_BY] == name(above)
}

fn asked(mut error: ErrorDetails, above: RunId) -> ErrorDetails {
    error.details[REQUESTED_BY] = name(above).into();
    error
}

/// Tells the step how its run ended, where the broker takes no message that tells all of it.
pub fn in_brief(full: ResultMessage, reason: &str) -> ResultMessage {
    let told = format!("how the run ended cannot be told: {reason}");
    let error = ErrorDetails::system(Code::PayloadTooLarge, told);
    ResultMessage { outcome: Outcome::Failed { error }, ..full }
}

fn fail(parent: AttemptAddress, child: RunId, code: Code, told: &str) -> ResultMessage {
    let details = json!({"workflowInstanceId": child});
    let error = ErrorDetails { details, ..ErrorDetails::system(code, told) };
    answer(parent, child, Outcome::Failed { error })
}

fn ended(run: &Run, code: Code, how: &str) -> ErrorDetails {
    let head = &run.head;
    let (child, workflow) = (run.key.run, &head.workflow_definition_id);
    let told = match &head.error {
        Some(error) => format!("run {child} of '{workflow}' {how}: {}: {}", error.code, error.message),
        None => format!("run {child} of '{workflow}' {how}"),
    };
    let details = |error| json!({"workflowInstanceId": child, "status": head.status, "error": error});
    let whole =
        ErrorDetails { details: details(head.error.clone()), ..ErrorDetails::system(code, told.as_str()) }
            .bounded();
    if whole.details.is_object() {
        return whole;
    }
    // The details of its error are too much, as of one that lies many runs deep: the rest of it is told.
    let error = head.error.clone().map(|error| ErrorDetails { details: Json::Null, ..error });
    ErrorDetails { details: details(error), ..whole }
}

fn answer(parent: AttemptAddress, child: RunId, outcome: Outcome) -> ResultMessage {
    ResultMessage {
        format: FORMAT,
        address: parent,
        worker_id: WorkerId::from(name(child)),
        outcome,
        metrics: TaskMetrics::default(),
        deliveries: 1,
    }
}

/// Why a run ends with the step that started it. By these words it knows at its end who had asked for that.
fn reason(parent: &AttemptAddress) -> String {
    format!("{} of run {}, which had started it, ended", parent.task_path, parent.run.run)
}

/// What a run calls itself where others give the name of a worker or a user.
fn name(run: RunId) -> String {
    format!("run-{run}")
}
