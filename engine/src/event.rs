//! What can happen to a run. One kind of event, one handler in `decide/`.

use oarlock_protocol::message::{Completion, Operation, Outcome, ProgressMessage, ResultMessage};
use oarlock_protocol::{ExecutionId, Json, TaskPath, Timestamp};

/// Something that happened to a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A worker answered an attempt.
    Result(Box<ResultMessage>),
    /// A worker gave a sign of life.
    Progress(Box<ProgressMessage>),
    /// Someone asks that the run end.
    Cancel {
        /// Why, for people.
        reason: String,
    },
    /// The time came for which something at this place was waiting; `/` is the run itself.
    Timer {
        /// The place.
        path: TaskPath,
    },
    /// Admission let a ready task out: an attempt is to be dispatched.
    Admitted {
        /// The place.
        path: TaskPath,
    },
    /// A ready task was held back by a pause until then: its time in the queue counts from there.
    HeldBack {
        /// The place.
        path: TaskPath,
        /// Until when.
        until: Timestamp,
    },
    /// The broker's messages are gone, and the worker with them: an open attempt is published as if nobody had begun it.
    MessagesLost {
        /// The place.
        path: TaskPath,
    },
    /// Someone tells the run something.
    Signal {
        /// The sender's id of it: the same id counts once.
        id: String,
        /// The name a `wait` listens for.
        name: String,
        /// What is told.
        payload: Json,
    },
    /// A task is ended from outside.
    Complete {
        /// The place.
        path: TaskPath,
        /// Which attempt of it; the open one where absent.
        execution_id: Option<ExecutionId>,
        /// How it ends.
        completion: Completion,
    },
    /// An operator asks for something.
    Operation(Operation),
}

impl Event {
    /// The data it brings into the run.
    pub fn data(&self) -> Option<&Json> {
        match self {
            Event::Result(result) => match &result.outcome {
                Outcome::Completed { output } => Some(output),
                Outcome::Failed { .. } | Outcome::Deferred { .. } | Outcome::Accepted | Outcome::Refused => {
                    None
                }
            },
            Event::Signal { payload, .. } => Some(payload),
            Event::Complete { completion: Completion::Completed { output }, .. } => Some(output),
            Event::Complete { completion: Completion::Failed { .. }, .. }
            | Event::Progress(_)
            | Event::Cancel { .. }
            | Event::Timer { .. }
            | Event::Admitted { .. }
            | Event::HeldBack { .. }
            | Event::MessagesLost { .. }
            | Event::Operation(_) => None,
        }
    }
}
