//! What a decision asks of the world: performed after the commit that holds it, each safe to perform twice.

use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};
use oarlock_protocol::message::ControlMessage;
use oarlock_protocol::{ErrorDetails, ExecutionId, RunId, TaskPath, Timestamp};

/// Something to do, or to tell, because of a decision.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A task waits for admission. Twice: it is offered once.
    Offer {
        /// The task.
        path: TaskPath,
        /// Its task queue.
        queue: String,
        /// Greater is sooner.
        priority: u8,
    },
    /// A task that waited for admission waits no more. Twice: nothing is left to withdraw.
    Withdraw {
        /// The task.
        path: TaskPath,
        /// The queue it was offered for.
        queue: String,
    },
    /// Publish the attempt. Twice: the same message id; a second result changes nothing.
    Publish {
        /// The task.
        path: TaskPath,
        /// The attempt.
        execution_id: ExecutionId,
        /// Its task queue.
        queue: String,
    },
    /// The attempt closed: its place in the queue's window is free, its outbox entry goes. Twice: it is already gone.
    Closed {
        /// The task.
        path: TaskPath,
        /// The attempt.
        execution_id: ExecutionId,
        /// Its task queue.
        queue: String,
    },
    /// The worker has handed the attempt on, and no queue holds it any more: its place in the queue's window is free, its
    /// outbox entry goes. It is still open. Twice: it is already gone.
    HandedOn {
        /// The attempt.
        execution_id: ExecutionId,
        /// Its task queue.
        queue: String,
    },
    /// Wake the run at this place then, instead of any time set before; a time that has passed means at once. It is told and
    /// not stored: [`crate::Timers`] derives the same from the run. Twice: the same time.
    SetTimer {
        /// The place; `/` is the run itself.
        path: TaskPath,
        /// When.
        at: Timestamp,
    },
    /// Wake the run at this place no more. Twice: it is already gone.
    ClearTimer {
        /// The place.
        path: TaskPath,
    },
    /// Start the run that an attempt is, or ask for it again: the run names itself by the attempt. Twice: the same run.
    StartChild {
        /// The step.
        path: TaskPath,
        /// The attempt.
        execution_id: ExecutionId,
        /// The run it is.
        child: RunId,
        /// Whether it may have been started before, and is only asked whether it lives.
        again: bool,
    },
    /// Cancel the run that an attempt is. Twice: it is ending already.
    CancelChild {
        /// The step.
        path: TaskPath,
        /// The attempt.
        execution_id: ExecutionId,
    },
    /// Tell the step that started this run how it ended, or that it was accepted. Twice: the attempt is closed then.
    TellParent,
    /// Tell a worker something. Twice: the second is ignored.
    Tell {
        /// The worker's control queue.
        control_queue: String,
        /// What.
        message: ControlMessage,
    },
    /// A task's status changed: for those who watch. Twice: they see it twice.
    TaskChanged {
        /// The task.
        path: TaskPath,
        /// Its new status.
        status: TaskStatus,
        /// The number of its attempts.
        attempt: u32,
        /// Its error, where it has one.
        error: Option<ErrorDetails>,
    },
    /// The run's status changed: its index entry moves. Twice: the same entry.
    RunChanged {
        /// The status before; absent for a new run.
        from: Option<WorkflowStatus>,
        /// The status now.
        to: WorkflowStatus,
    },
    /// The event concerned something closed or unknown and changed nothing. Twice: it is counted twice.
    Stale {
        /// What arrived, for people.
        what: &'static str,
    },
    /// What someone asked for cannot be done, and changed nothing: who asked is told. Twice: they are told twice.
    Rejected {
        /// Why.
        error: ErrorDetails,
    },
    /// The run's retention is over: every key of it goes. Twice: nothing is left.
    Forget,
}
