//! The stored form of a row. Its times are milliseconds after `at`, and whatever follows from the rest is left out: the
//! begin and end of a task are those of its attempts, ids are made of run, place and number. [`row/task.rs`](task) has
//! the form of a task for workers.
//!
//! ```text
//! {"status":"COMPLETED","at":1795740482464,"task":{"queue":"q","attempts":[{"worker":"w-1","sent":1,"start":3,"end":9}]},
//!  "input":{"n":1},"output":{"n":2}}
//! {"status":"RUNNING","at":1795740482464,"block":{}}
//! ```

use std::borrow::Cow;

use bytes::Bytes;
use oarlock_engine::NodeId;
use oarlock_engine::run::{Awaiting, Block, Body, Ending, Row, Work};
use oarlock_protocol::instance::TaskStatus;
use oarlock_protocol::{ErrorDetails, Json, RunId, TaskPath, Timestamp};
use serde::{Deserialize, Serialize};

use self::task::Task;
use super::form::{Object, after, is_usual, present, since, unless};

mod task;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored<'a> {
    status: TaskStatus,
    /// When it was made, in milliseconds since the epoch: the other times of a row count from here.
    at: i64,
    /// Whether the status is one that ends.
    #[serde(default, skip_serializing_if = "is_usual")]
    settled: Option<bool>,
    /// See [`usual_start`].
    #[serde(default, skip_serializing_if = "is_usual", deserialize_with = "present")]
    start: Option<Option<i64>>,
    /// See [`usual_end`].
    #[serde(default, skip_serializing_if = "is_usual", deserialize_with = "present")]
    end: Option<Option<i64>>,
    /// See [`usual_update`].
    #[serde(default, skip_serializing_if = "is_usual")]
    updated: Option<i64>,
    /// See [`usual_error`].
    #[serde(default, skip_serializing_if = "is_usual", deserialize_with = "present")]
    error: Option<Option<Cow<'a, ErrorDetails>>>,
    #[serde(default, skip_serializing_if = "is_usual")]
    failed_at: Option<Cow<'a, TaskPath>>,
    /// At most one of these three says what the step is.
    #[serde(default, skip_serializing_if = "is_usual")]
    task: Option<Task<'a>>,
    #[serde(default, skip_serializing_if = "is_usual")]
    block: Option<StoredBlock<'a>>,
    #[serde(default, skip_serializing_if = "is_usual")]
    wait: Option<StoredWait<'a>>,
    /// Small data of the step.
    #[serde(default, skip_serializing, deserialize_with = "present")]
    input: Option<Json>,
    #[serde(default, skip_serializing, deserialize_with = "present")]
    output: Option<Json>,
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct StoredBlock<'a> {
    #[serde(skip_serializing_if = "is_usual")]
    case: Option<usize>,
    #[serde(skip_serializing_if = "is_usual")]
    ending: Option<Cow<'a, Ending>>,
    #[serde(skip_serializing_if = "is_usual")]
    items: Option<usize>,
    #[serde(skip_serializing_if = "is_usual")]
    rest: bool,
    #[serde(skip_serializing_if = "is_usual")]
    pause: Option<i64>,
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct StoredWait<'a> {
    #[serde(skip_serializing_if = "is_usual")]
    until: Option<(i64, usize)>,
    #[serde(skip_serializing_if = "is_usual")]
    timeout: Option<i64>,
    #[serde(skip_serializing_if = "is_usual")]
    signals: Cow<'a, [(String, usize)]>,
}

/// A row in its stored form, and which of its data lies inside.
pub(super) struct Encoded {
    pub(super) row: Bytes,
    pub(super) has_input: bool,
    pub(super) has_output: bool,
}

/// The stored form of the row at `path` of `run`.
pub(super) fn encode(run: RunId, path: &TaskPath, row: &Row) -> Encoded {
    let base = row.created_at;
    let time = |time: Option<Timestamp>| time.map(|time| since(base, time));
    let (task, block, wait) = match &row.body {
        Body::Plain => (None, None, None),
        Body::Work(work) => (Some(Task::of(work, run, path, base)), None, None),
        Body::Block(block) => (None, Some(StoredBlock::of(block, base)), None),
        Body::Await(wait) => (None, None, Some(StoredWait::of(wait, base))),
    };
    let usual_update = usual_update(base, row.end_time, &row.body);
    let error = unless(row.error.as_ref(), &usual_error(row.status, &row.body));
    let mut stored = Object::of(&Stored {
        status: row.status,
        at: base.as_millis(),
        settled: unless(row.settled, &row.status.is_terminal()),
        start: unless(row.start_time, &usual_start(base, &row.body)).map(time),
        end: unless(row.end_time, &usual_end(base, row.status, &row.body)).map(time),
        updated: unless(row.updated_at, &usual_update).map(|time| since(base, time)),
        error: error.map(|error| error.map(Cow::Borrowed)),
        failed_at: row.failed_at.as_ref().map(Cow::Borrowed),
        task,
        block,
        wait,
        input: None,
        output: None,
    });
    let mut holds = |name, data: Option<&Json>| data.is_some_and(|data| stored.holds(name, data));
    let (has_input, has_output) = (holds("input", row.input.as_ref()), holds("output", row.output.as_ref()));
    Encoded { row: stored.into_bytes(), has_input, has_output }
}

/// The row at `path` of `run`, of its stored form. Its node and progress are still to be derived.
pub(super) fn decode(run: RunId, path: &TaskPath, row: &[u8]) -> Result<Row, serde_json::Error> {
    let stored: Stored<'static> = serde_json::from_slice(row)?;
    let base = Timestamp::from_millis(stored.at);
    let time = |time: Option<i64>| time.map(|time| after(base, time));
    let body = match (stored.task, stored.block, stored.wait) {
        (Some(task), ..) => Body::Work(Box::new(task.into_work(run, path, base)?)),
        (None, Some(block), _) => Body::Block(block.into_block(base)),
        (None, None, Some(wait)) => Body::Await(wait.into_awaiting(base)),
        (None, None, None) => Body::Plain,
    };
    let end_time = stored.end.map_or_else(|| usual_end(base, stored.status, &body), time);
    let error = match stored.error {
        Some(error) => error.map(Cow::into_owned),
        None => usual_error(stored.status, &body).cloned(),
    };
    Ok(Row {
        node: NodeId::default(),
        status: stored.status,
        settled: stored.settled.unwrap_or_else(|| stored.status.is_terminal()),
        created_at: base,
        updated_at: time(stored.updated).unwrap_or_else(|| usual_update(base, end_time, &body)),
        start_time: stored.start.map_or_else(|| usual_start(base, &body), time),
        end_time,
        input: stored.input,
        output: stored.output,
        error,
        failed_at: stored.failed_at.map(Cow::into_owned),
        body,
        is_partial: false,
    })
}

fn work(body: &Body) -> Option<&Work> {
    match body {
        Body::Work(work) => Some(work),
        Body::Plain | Body::Block(_) | Body::Await(_) => None,
    }
}

/// A task starts with the first attempt it keeps; any other step at once.
fn usual_start(base: Timestamp, body: &Body) -> Option<Timestamp> {
    work(body).map_or(Some(base), |work| work.attempts.first()?.start_time)
}

/// What has ended did so with its latest attempt; where there is none, at once.
fn usual_end(base: Timestamp, status: TaskStatus, body: &Body) -> Option<Timestamp> {
    let latest = work(body).and_then(|work| work.attempts.last()?.end_time);
    status.is_terminal().then(|| latest.unwrap_or(base))
}

/// The last that happened to a step is its end, else what is known of its latest attempt.
fn usual_update(base: Timestamp, end: Option<Timestamp>, body: &Body) -> Timestamp {
    let latest = work(body).and_then(|work| work.attempts.last());
    end.or(latest.map(|latest| latest.start_time.unwrap_or(latest.scheduled_at))).unwrap_or(base)
}

/// A task that has not COMPLETED has the error of the latest attempt that failed.
fn usual_error(status: TaskStatus, body: &Body) -> Option<&ErrorDetails> {
    let work = work(body).filter(|_| status != TaskStatus::Completed)?;
    work.attempts.iter().rev().find_map(|attempt| attempt.error.as_ref())
}

impl<'a> StoredBlock<'a> {
    fn of(block: &'a Block, base: Timestamp) -> Self {
        Self {
            case: block.case,
            ending: block.ending.as_ref().map(Cow::Borrowed),
            items: block.items,
            rest: block.rest,
            pause: block.pause.map(|time| since(base, time)),
        }
    }

    fn into_block(self, base: Timestamp) -> Block {
        Block {
            case: self.case,
            ending: self.ending.map(Cow::into_owned),
            items: self.items,
            rest: self.rest,
            pause: self.pause.map(|time| after(base, time)),
            ..Block::default()
        }
    }
}

impl<'a> StoredWait<'a> {
    fn of(wait: &'a Awaiting, base: Timestamp) -> Self {
        Self {
            until: wait.until.map(|(time, index)| (since(base, time), index)),
            timeout: wait.timeout.map(|time| since(base, time)),
            signals: Cow::Borrowed(&wait.signals),
        }
    }

    fn into_awaiting(self, base: Timestamp) -> Awaiting {
        Awaiting {
            until: self.until.map(|(time, index)| (after(base, time), index)),
            timeout: self.timeout.map(|time| after(base, time)),
            signals: self.signals.into_owned(),
        }
    }
}
