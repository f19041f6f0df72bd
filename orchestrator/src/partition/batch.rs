//! What one round of decisions is to write and to do: collected first, written in one commit, done after it.

use oarlock_broker::Publication;
use oarlock_engine::map::Map;
use oarlock_protocol::{ExecutionId, RunKey, Timestamp};
use tokio::sync::oneshot;

use super::{StartError, Started};
use crate::definitions;
use crate::layout::Place;
use crate::store::Write;
use crate::watch::Change;

/// What one round of decisions is to write and to do.
#[derive(Default)]
pub(super) struct Batch {
    /// Writes beside those of runs and timers.
    pub(super) writes: Vec<Write>,
    /// The runs that changed.
    pub(super) runs: Vec<RunKey>,
    /// The last word on each timer: a time, or none.
    pub(super) timers: Map<Place, Option<Timestamp>>,
    /// Attempts to publish.
    pub(super) dispatches: Vec<Dispatch>,
    /// Messages to workers.
    pub(super) tell: Vec<Publication>,
    /// Changes to tell those who watch.
    pub(super) changes: Vec<Change>,
    /// Runs whose time in the store is over.
    pub(super) forgotten: Vec<RunKey>,
    /// Answers to those who asked.
    pub(super) replies: Vec<Reply>,
}

/// An attempt to publish.
#[derive(Clone, Debug)]
pub(super) struct Dispatch {
    pub(super) place: Place,
    pub(super) execution_id: ExecutionId,
    pub(super) queue: String,
}

/// An answer, given after the commit. Who no longer waits for it does not mind.
pub(super) enum Reply {
    Started(oneshot::Sender<Result<Started, StartError>>, Result<Started, StartError>),
    Cancelled(oneshot::Sender<Option<bool>>, Option<bool>),
    Registered(oneshot::Sender<Result<bool, definitions::Error>>, Result<bool, definitions::Error>),
}

impl Reply {
    pub(super) fn send(self) {
        match self {
            Reply::Started(to, answer) => drop(to.send(answer)),
            Reply::Cancelled(to, answer) => drop(to.send(answer)),
            Reply::Registered(to, answer) => drop(to.send(answer)),
        }
    }
}
