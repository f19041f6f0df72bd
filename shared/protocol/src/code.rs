//! The error codes the system itself gives: one table, from which docs/error-handling.md is made.

/// A code that Oarlock itself gives to an error. Tasks may give any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant is told in `meaning`")]
pub enum Code {
    TimeoutQueue,
    TimeoutExecution,
    TimeoutHeartbeat,
    TimeoutTotal,
    WorkerLost,
    Crashed,
    Panic,
    Exit(i32),
    ExpressionFailed,
    SchemaViolation,
    PermissionDenied,
    PayloadTooLarge,
    UnknownTask,
    InvalidInput,
    InvalidOutput,
    ChildFailed,
    ChildLost,
    DeliveryLimit,
    Cancelled,
    Terminated,
    TimeoutWait,
    IterationLimit,
    JoinNotMet,
    DepthLimit,
    SecretMissing,
    PayloadUnavailable,
}

impl Code {
    /// Every code, `EXIT_<n>` with the sample value 1; the order of the documented table.
    pub const ALL: [Code; 26] = [
        Code::TimeoutQueue,
        Code::TimeoutExecution,
        Code::TimeoutHeartbeat,
        Code::TimeoutTotal,
        Code::WorkerLost,
        Code::Crashed,
        Code::Panic,
        Code::Exit(1),
        Code::ExpressionFailed,
        Code::SchemaViolation,
        Code::PermissionDenied,
        Code::PayloadTooLarge,
        Code::UnknownTask,
        Code::InvalidInput,
        Code::InvalidOutput,
        Code::ChildFailed,
        Code::ChildLost,
        Code::DeliveryLimit,
        Code::Cancelled,
        Code::Terminated,
        Code::TimeoutWait,
        Code::IterationLimit,
        Code::JoinNotMet,
        Code::DepthLimit,
        Code::SecretMissing,
        Code::PayloadUnavailable,
    ];

    /// The text of the code as errors carry it.
    pub fn as_str(self) -> std::borrow::Cow<'static, str> {
        match self {
            Code::TimeoutQueue => "TIMEOUT_QUEUE".into(),
            Code::TimeoutExecution => "TIMEOUT_EXECUTION".into(),
            Code::TimeoutHeartbeat => "TIMEOUT_HEARTBEAT".into(),
            Code::TimeoutTotal => "TIMEOUT_TOTAL".into(),
            Code::WorkerLost => "WORKER_LOST".into(),
            Code::Crashed => "CRASHED".into(),
            Code::Panic => "PANIC".into(),
            Code::Exit(status) => format!("EXIT_{status}").into(),
            Code::ExpressionFailed => "EXPRESSION_FAILED".into(),
            Code::SchemaViolation => "SCHEMA_VIOLATION".into(),
            Code::PermissionDenied => "PERMISSION_DENIED".into(),
            Code::PayloadTooLarge => "PAYLOAD_TOO_LARGE".into(),
            Code::UnknownTask => "UNKNOWN_TASK".into(),
            Code::InvalidInput => "INVALID_INPUT".into(),
            Code::InvalidOutput => "INVALID_OUTPUT".into(),
            Code::ChildFailed => "CHILD_FAILED".into(),
            Code::ChildLost => "CHILD_LOST".into(),
            Code::DeliveryLimit => "DELIVERY_LIMIT".into(),
            Code::Cancelled => "CANCELLED".into(),
            Code::Terminated => "TERMINATED".into(),
            Code::TimeoutWait => "TIMEOUT_WAIT".into(),
            Code::IterationLimit => "ITERATION_LIMIT".into(),
            Code::JoinNotMet => "JOIN_NOT_MET".into(),
            Code::DepthLimit => "DEPTH_LIMIT".into(),
            Code::SecretMissing => "SECRET_MISSING".into(),
            Code::PayloadUnavailable => "PAYLOAD_UNAVAILABLE".into(),
        }
    }

    /// Whether a retry policy that names no codes tries again after this one.
    pub fn retryable(self) -> bool {
        match self {
            Code::TimeoutQueue
            | Code::TimeoutExecution
            | Code::TimeoutHeartbeat
            | Code::WorkerLost
            | Code::Crashed
            | Code::Panic
            | Code::Exit(_)
            | Code::InvalidOutput
            | Code::DeliveryLimit
            | Code::ChildFailed
            | Code::ChildLost
            | Code::SecretMissing
            | Code::PayloadUnavailable => true,
            Code::TimeoutTotal
            | Code::ExpressionFailed
            | Code::SchemaViolation
            | Code::PermissionDenied
            | Code::PayloadTooLarge
            | Code::UnknownTask
            | Code::InvalidInput
            | Code::Cancelled
            | Code::Terminated
            | Code::TimeoutWait
            | Code::IterationLimit
            | Code::JoinNotMet
            | Code::DepthLimit => false,
        }
    }

    /// What happened, and what to do about it: one row of the documented table.
    pub fn meaning(self) -> &'static str {
        match self {
            Code::TimeoutQueue => {
                "No worker took the task within `timeouts.queue`. Start workers for its queue, or give it longer."
            }
            Code::TimeoutExecution => {
                "The attempt ran longer than `timeouts.execution`; its process group was ended."
            }
            Code::TimeoutHeartbeat => {
                "The worker was silent longer than `timeouts.heartbeat`: it died, or it is cut off."
            }
            Code::TimeoutTotal => {
                "All attempts together took longer than `timeouts.total`, or the run longer than its own."
            }
            Code::WorkerLost => "The worker ended while it held the attempt.",
            Code::Crashed => {
                "Several workers in a row ended while they held this attempt: the task may be what kills them."
            }
            Code::Panic => "The task's code panicked; the message is the panic's.",
            Code::Exit(_) => {
                "The command ended with exit status <n> (128 + the signal's number where a signal ended it); the details hold the tail of stderr."
            }
            Code::ExpressionFailed => {
                "An expression, mapping or condition could not be evaluated; the message names it and the reason."
            }
            Code::SchemaViolation => "A value does not fit its schema; the message names the place.",
            Code::PermissionDenied => {
                "The run's security context lacks a permission that the task or workflow requires. It was not dispatched."
            }
            Code::PayloadTooLarge => {
                "An input, output or variable is larger than `limits.payload_bytes`. Keep large data elsewhere and pass its address, or set up a payload store."
            }
            Code::UnknownTask => {
                "A worker took the task from a queue but has no handler of that name. Deploy one, or correct the name or queue."
            }
            Code::InvalidInput => "The task's handler could not read its input; the message names the field.",
            Code::InvalidOutput => {
                "The command's standard output is no JSON, the handler's output cannot be written as JSON, or an answer DEFERRED or ACCEPTED has a wrong form."
            }
            Code::ChildFailed => "A child workflow failed; the details hold its error.",
            Code::ChildLost => "A child workflow can no longer be found.",
            Code::DeliveryLimit => "The broker gave the task up after too many deliveries.",
            Code::Cancelled => "The task or run was cancelled.",
            Code::Terminated => "A `terminate` task ended the run as FAILED.",
            Code::TimeoutWait => "Nothing that a `wait` waits for came within its `timeout`.",
            Code::IterationLimit => {
                "A `loop` reached its `max` without being done, or a `forEach` has more items than `limits.iterations`."
            }
            Code::JoinNotMet => {
                "A `join` cannot get the number of completed steps it needs; the details hold the last failure."
            }
            Code::DepthLimit => "Workflows start workflows deeper than `limits.depth`.",
            Code::SecretMissing => {
                "The worker has no secret of that name. Give it the file or environment variable, or correct the name."
            }
            Code::PayloadUnavailable => {
                "A payload kept elsewhere could not be read, or is not what was written. Check the payload store."
            }
        }
    }
}
