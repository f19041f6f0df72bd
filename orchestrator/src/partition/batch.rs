//! What one round of decisions is to write and to do: collected first, written in one commit, done after it.

use oarlock_broker::Publication;
use oarlock_engine::map::Map;
use oarlock_protocol::{ExecutionId, RunKey, Timestamp};

use super::answer::{Reply, Return};
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
    /// Whether an answer rests on what was committed before: it is given only where the store still holds that.
    pub(super) confirms: bool,
    /// Answers to those who asked.
    pub(super) replies: Vec<Reply>,
    /// Those elsewhere who wait for the end of a run.
    pub(super) watchers: Vec<(RunKey, Return)>,
}

/// An attempt to publish.
#[derive(Clone, Debug)]
pub(super) struct Dispatch {
    pub(super) place: Place,
    pub(super) execution_id: ExecutionId,
    pub(super) queue: String,
}
