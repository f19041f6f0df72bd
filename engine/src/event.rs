//! What can happen to a run. One kind of event, one handler in `decide/`.

use oarlock_protocol::TaskPath;
use oarlock_protocol::message::{ProgressMessage, ResultMessage};

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
    /// The broker's messages are gone, and the worker with them: an open attempt is published as if nobody had begun it.
    MessagesLost {
        /// The place.
        path: TaskPath,
    },
    /// An operator lets a PAUSED run go on.
    Resume,
}
