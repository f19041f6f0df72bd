//! What one round of decisions is to write and to do: collected first, written in one commit, done after it.

use oarlock_broker::Publication;
use oarlock_engine::map::Map;
use oarlock_protocol::{ExecutionId, RunKey, Timestamp};
use oarlock_telemetry::Span;
use uuid::Uuid;

use super::answer::{Reply, Return};
use super::observe::{ClosedAttempt, EndedRun};
use crate::events::Event;
use crate::layout::{Place, Timed};
use crate::store::Write;
use crate::watch::Change;

/// What one round of decisions is to write and to do.
#[derive(Default)]
pub(super) struct Batch {
    /// Writes beside those of runs and timers.
    pub(super) writes: Vec<Write>,
    /// The runs that changed.
    pub(super) runs: Vec<RunKey>,
    /// The last word on each timer that is written: a time, or none.
    pub(super) timers: Map<Timed, Option<Timestamp>>,
    /// Messages that have to arrive.
    pub(super) dispatches: Vec<Dispatch>,
    /// Those of them that the commit puts into the outbox.
    pub(super) outbox: Vec<(Entry, Place)>,
    /// Messages that may be lost: what they tell is told again, or is of no use later.
    pub(super) tell: Vec<Publication>,
    /// Changes to tell those who watch.
    pub(super) changes: Vec<Change>,
    /// Changes of status to announce, where they are announced.
    pub(super) events: Vec<Event>,
    /// Attempts that have closed.
    pub(super) closed: Vec<ClosedAttempt>,
    /// Runs that have ended.
    pub(super) ended: Vec<EndedRun>,
    /// Spans of what ended.
    pub(super) spans: Vec<Span>,
    /// Runs whose time in the store is over.
    pub(super) forgotten: Vec<RunKey>,
    /// Whether an answer rests on what was committed before: it is given only where the store still holds that.
    pub(super) confirms: bool,
    /// Answers to those who asked.
    pub(super) replies: Vec<Reply>,
    /// Those elsewhere who wait for the end of a run.
    pub(super) watchers: Vec<(RunKey, Return)>,
}

/// A message that has to arrive: published until the broker confirms it. It is built from the run at that place.
#[derive(Clone, Debug)]
pub(super) struct Dispatch {
    pub(super) place: Place,
    pub(super) what: What,
}

/// What is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// An attempt, for its task queue.
    Task { attempt: ExecutionId, queue: String },
    /// The start of the run that an attempt is.
    Child { attempt: ExecutionId },
    /// What the step that started this run waits to hear of it.
    End,
    /// The same, where the broker takes no message that tells all of it.
    EndInBrief { reason: String },
}

/// Names what is in the outbox: the attempt, or the run where it is the end of that. Ids of both are never the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Entry(pub(super) Uuid);

impl Dispatch {
    pub(super) fn entry(&self) -> Entry {
        match &self.what {
            What::Task { attempt, .. } | What::Child { attempt } => Entry::from(*attempt),
            What::End | What::EndInBrief { .. } => Entry::of_end(&self.place.run),
        }
    }
}

impl Entry {
    /// The entry of what the step that started `run` waits to hear.
    pub(super) fn of_end(run: &RunKey) -> Self {
        Self(run.run.as_uuid())
    }
}

impl From<ExecutionId> for Entry {
    fn from(attempt: ExecutionId) -> Self {
        Self(attempt.as_uuid())
    }
}
