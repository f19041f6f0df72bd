//! The rows of a run: one for each step that was reached, and what it holds by its kind.

use oarlock_protocol::instance::{Attempt, TaskStatus};
use oarlock_protocol::{ErrorDetails, ExecutionId, Json, TaskInstanceId, TaskPath, Timestamp};

use super::Ending;
use crate::plan::NodeId;

/// One step of the run.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "fields of TaskInstance, told in docs/data-model.md")]
pub struct Row {
    /// Its step in the plan: derived from its place.
    pub node: NodeId,
    pub status: TaskStatus,
    /// Whether what waits for it may go on: ended, and no error handler of it is at work.
    pub settled: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub start_time: Option<Timestamp>,
    pub end_time: Option<Timestamp>,
    pub input: Option<Json>,
    pub output: Option<Json>,
    pub error: Option<ErrorDetails>,
    /// Where the error arose, for a block that failed by a child.
    pub failed_at: Option<TaskPath>,
    pub body: Body,
    /// Whether memory has forgotten its data and attempts: it is done, and never changed or written again.
    pub is_partial: bool,
}

/// What a row holds beside, by the kind of its step.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Nothing: `set`, `terminate`, and whatever was skipped or failed before it began.
    Plain,
    /// A task for workers.
    Work(Box<Work>),
    /// A step with children.
    Block(Block),
    /// A step that waits for a time or a signal.
    Await(Awaiting),
}

/// A task for workers: its attempts.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// Names it over all attempts.
    pub id: TaskInstanceId,
    /// In which generation of the run it was made: one that was made anew counts its attempts anew.
    pub generation: u64,
    /// Its task queue, as routed.
    pub queue: String,
    /// Greater is sooner.
    pub priority: u8,
    /// Where its next move comes from.
    pub stage: Stage,
    /// How many retries were spent.
    pub retry_count: u32,
    /// How many attempts there were: names the next one.
    pub attempt_count: u32,
    /// How often workers refused it in a row.
    pub refusals: u32,
    /// When it was first ready: its total timeout counts from here.
    pub first_ready: Timestamp,
    /// When its first attempt was dispatched.
    pub first_dispatch: Option<Timestamp>,
    /// What its last look left behind, where it was DEFERRED.
    pub state: Option<Json>,
    /// What the limits of its definition count it for.
    pub limit_keys: Option<Box<LimitKeys>>,
    /// Whether an attempt ended without saying what it had done: a timeout, a worker that was lost.
    pub uncertain: bool,
    /// Of a task that can be undone: as which of these it closed, from 1.
    pub closed_as: Option<u64>,
    /// Its latest attempts, the oldest first; the open one, where there is one, is the last.
    pub attempts: Vec<Attempt>,
}

/// What the limits of a task that have a key count it for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitKeys {
    /// Its `concurrencyLimit`.
    pub concurrency: Option<String>,
    /// Its `rateLimit`.
    pub rate: Option<String>,
}

/// A task keeps its latest attempts only, so that its row stays small however often it is retried.
pub const KEPT_ATTEMPTS: usize = 50;

/// Where the next move of an unfinished task comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// From admission.
    Ready {
        /// Since when.
        since: Timestamp,
    },
    /// From a worker, or from its silence.
    Open(Open),
    /// From a timer.
    Waiting {
        /// When.
        until: Timestamp,
        /// Since when.
        since: Timestamp,
    },
    /// From an operator: the retries are exhausted.
    Held,
    /// From nobody.
    Closed,
}

/// The open attempt of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    /// Names it.
    pub execution_id: ExecutionId,
    /// A worker that has not begun by then does not begin.
    pub start_before: Option<Timestamp>,
    /// All attempts end by then.
    pub deadline: Option<Timestamp>,
    /// When a worker was first known to have begun.
    pub started: Option<Timestamp>,
    /// The greatest progress seen.
    pub progress: Option<u64>,
    /// The last sign of life; in memory it is newer than stored.
    pub seen: Option<Timestamp>,
    /// Where its worker hears.
    pub control_queue: Option<String>,
    /// Whether its worker has handed it on: someone else completes it, and only the total time limits it.
    pub accepted: bool,
    /// Of a child run: when it is asked next whether it lives.
    pub ask_at: Option<Timestamp>,
    /// Where it was told to end: until when an answer is waited for.
    pub cancelled_until: Option<Timestamp>,
}

/// A step with children, and its progress.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// The case a `switch` took.
    pub case: Option<usize>,
    /// Set when it is to end early: nothing more is begun in it.
    pub ending: Option<Ending>,
    /// How many items a `forEach` has, where they are kept elsewhere.
    pub items: Option<usize>,
    /// Whether enough of it was done before all of it: its other children go on, and it is finished when they are.
    pub rest: bool,
    /// Until when a `loop` pauses before its next iteration.
    pub pause: Option<Timestamp>,
    /// Iterations that were begun. Derived.
    pub begun: usize,
    /// Iterations of an opened run that are to be done again and have not begun, the next last: they are PENDING.
    /// Derived.
    pub again: Vec<usize>,
    /// Children that are settled. Derived.
    pub settled: usize,
    /// Children that were begun and have not finished: not settled, or something is still open in them. Derived.
    pub active: usize,
    /// Children that ended COMPLETED. Derived.
    pub completed: usize,
    /// Children that ended FAILED or TIMED_OUT, whatever recovered them. Derived.
    pub failed: usize,
    /// How many children, counted from the first, are all settled; kept where one of them waits for all before it.
    /// Derived.
    pub frontier: usize,
}

/// A step that waits for a time or a signal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Awaiting {
    /// The time it waits for, where it waits for one, and as which of the things it waits for.
    pub until: Option<(Timestamp, usize)>,
    /// When it has waited too long.
    pub timeout: Option<Timestamp>,
    /// The names of the signals it waits for, each with its number among the things it waits for.
    pub signals: Vec<(String, usize)>,
}

impl Work {
    /// The name of its latest attempt, where there was one.
    pub fn latest(&self) -> Option<ExecutionId> {
        (self.attempt_count > 0).then(|| self.attempt_named(self.attempt_count))
    }

    /// The name of an attempt, counted from 1: no other attempt of any generation has it.
    pub fn attempt_named(&self, attempt: u32) -> ExecutionId {
        let made = match self.generation {
            0 => self.id,
            generation => self.id.made_again(generation),
        };
        ExecutionId::of(made, attempt)
    }

    /// Whether its latest attempt ended without saying how: it was put off.
    pub fn was_put_off(&self) -> bool {
        self.attempts.last().is_some_and(|attempt| attempt.end_time.is_some() && attempt.error.is_none())
    }
}

impl Row {
    /// Whether it is settled and nothing is open in it any more.
    pub fn finished(&self) -> bool {
        self.settled && self.block().is_none_or(|block| block.active == 0 && !block.rest)
    }

    /// How many items a `forEach` that was begun goes over.
    pub(crate) fn items(&self) -> usize {
        match (self.block().and_then(|block| block.items), &self.input) {
            (Some(count), _) => count,
            (None, Some(Json::Array(list))) => list.len(),
            (None, Some(Json::Object(map))) => map.len(),
            (None, Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_)) | None) => 0,
        }
    }

    /// The task for workers, where it is one.
    pub fn work(&self) -> Option<&Work> {
        match &self.body {
            Body::Work(work) => Some(work),
            Body::Plain | Body::Block(_) | Body::Await(_) => None,
        }
    }

    /// The task for workers, for a change.
    pub fn work_mut(&mut self) -> Option<&mut Work> {
        match &mut self.body {
            Body::Work(work) => Some(work),
            Body::Plain | Body::Block(_) | Body::Await(_) => None,
        }
    }

    /// The block, where it is one.
    pub fn block(&self) -> Option<&Block> {
        match &self.body {
            Body::Block(block) => Some(block),
            Body::Plain | Body::Work(_) | Body::Await(_) => None,
        }
    }

    /// The block, for a change.
    pub fn block_mut(&mut self) -> Option<&mut Block> {
        match &mut self.body {
            Body::Block(block) => Some(block),
            Body::Plain | Body::Work(_) | Body::Await(_) => None,
        }
    }
}
