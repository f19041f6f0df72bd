//! The stored form of a task for workers and its attempts.

use std::borrow::Cow;

use oarlock_engine::run::{LimitKeys, Open, Stage, Work};
use oarlock_protocol::instance::{Attempt, TaskMetrics};
use oarlock_protocol::{
    ErrorDetails, ExecutionId, Json, RunId, TaskInstanceId, TaskPath, Timestamp, WorkerId,
};
use serde::de::Error;
use serde::{Deserialize, Serialize};

use crate::layout::form::{after, is_usual, present, since, unless};

/// The priority that is left out. It is a part of the stored form, whatever definitions take for usual.
const USUAL_PRIORITY: u8 = 4;

#[derive(PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Task<'a> {
    queue: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "is_usual")]
    priority: Option<u8>,
    /// That of its place in the run.
    #[serde(default, skip_serializing_if = "is_usual")]
    id: Option<TaskInstanceId>,
    #[serde(default, skip_serializing_if = "is_usual")]
    generation: u64,
    /// At most one of these four says where its next move comes from; without one it is closed.
    #[serde(default, skip_serializing_if = "is_usual")]
    ready: Option<i64>,
    #[serde(default, skip_serializing_if = "is_usual")]
    open: Option<StoredOpen<'a>>,
    #[serde(default, skip_serializing_if = "is_usual")]
    waiting: Option<Pause>,
    #[serde(default, skip_serializing_if = "is_usual")]
    held: bool,
    #[serde(default, skip_serializing_if = "is_usual")]
    retries: u32,
    /// How many attempts there were, where it does not keep all of them.
    #[serde(default, skip_serializing_if = "is_usual")]
    count: Option<u32>,
    #[serde(default, skip_serializing_if = "is_usual")]
    refusals: u32,
    #[serde(default, skip_serializing_if = "is_usual")]
    first_ready: i64,
    /// When the first attempt was sent that it keeps.
    #[serde(default, skip_serializing_if = "is_usual", deserialize_with = "present")]
    first_sent: Option<Option<i64>>,
    #[serde(default, skip_serializing_if = "is_usual", deserialize_with = "present")]
    state: Option<Cow<'a, Json>>,
    /// What the limit of concurrency counts it for, and the rate limit.
    #[serde(default, skip_serializing_if = "is_usual")]
    counts_for: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "is_usual")]
    rate_for: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "is_usual")]
    uncertain: bool,
    #[serde(default, skip_serializing_if = "is_usual")]
    closed_as: Option<u64>,
    #[serde(default, skip_serializing_if = "is_usual")]
    attempts: Vec<StoredAttempt<'a>>,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct Pause {
    until: i64,
    #[serde(default, skip_serializing_if = "is_usual")]
    since: i64,
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct StoredOpen<'a> {
    /// That of the attempt's number.
    #[serde(skip_serializing_if = "is_usual")]
    id: Option<ExecutionId>,
    #[serde(skip_serializing_if = "is_usual")]
    start_before: Option<i64>,
    #[serde(skip_serializing_if = "is_usual")]
    deadline: Option<i64>,
    #[serde(skip_serializing_if = "is_usual")]
    started: Option<i64>,
    #[serde(skip_serializing_if = "is_usual")]
    progress: Option<u64>,
    #[serde(skip_serializing_if = "is_usual")]
    seen: Option<i64>,
    #[serde(skip_serializing_if = "is_usual")]
    control: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "is_usual")]
    accepted: bool,
    #[serde(skip_serializing_if = "is_usual")]
    ask_at: Option<i64>,
    #[serde(skip_serializing_if = "is_usual")]
    cancelled_until: Option<i64>,
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct StoredAttempt<'a> {
    /// That of the attempt's number.
    #[serde(skip_serializing_if = "is_usual")]
    id: Option<ExecutionId>,
    /// The task's.
    #[serde(skip_serializing_if = "is_usual")]
    queue: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "is_usual")]
    worker: Option<Cow<'a, WorkerId>>,
    #[serde(skip_serializing_if = "is_usual")]
    earlier: Cow<'a, [WorkerId]>,
    /// One, where a worker is named.
    #[serde(skip_serializing_if = "is_usual")]
    deliveries: Option<u32>,
    #[serde(skip_serializing_if = "is_usual")]
    ready: i64,
    /// When it was ready.
    #[serde(skip_serializing_if = "is_usual")]
    sent: Option<i64>,
    #[serde(skip_serializing_if = "is_usual")]
    start: Option<i64>,
    #[serde(skip_serializing_if = "is_usual")]
    end: Option<i64>,
    #[serde(skip_serializing_if = "is_usual")]
    error: Option<Cow<'a, ErrorDetails>>,
    /// See [`usual_cost`].
    #[serde(skip_serializing_if = "is_usual", deserialize_with = "present")]
    cost: Option<Option<Cost>>,
    /// The bytes that its worker was given, and gave back.
    #[serde(rename = "in", skip_serializing_if = "is_usual")]
    taken: u64,
    #[serde(rename = "out", skip_serializing_if = "is_usual")]
    given: u64,
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Cost {
    /// From its start to its end.
    #[serde(skip_serializing_if = "is_usual")]
    ms: Option<u64>,
    #[serde(skip_serializing_if = "is_usual")]
    cpu_ms: u64,
    #[serde(skip_serializing_if = "is_usual")]
    memory: u64,
}

impl<'a> Task<'a> {
    pub(super) fn of(work: &'a Work, run: RunId, path: &TaskPath, base: Timestamp) -> Self {
        let from = |time| since(base, time);
        let (mut ready, mut open, mut waiting) = (None, None, None);
        match &work.stage {
            Stage::Ready { since } => ready = Some(from(*since)),
            Stage::Open(attempt) => open = Some(StoredOpen::of(attempt, work, base)),
            Stage::Waiting { until, since } => {
                waiting = Some(Pause { until: from(*until), since: from(*since) });
            }
            Stage::Held | Stage::Closed => {}
        }
        let attempts = work.attempts.iter().enumerate();
        let first_sent = unless(work.first_dispatch, &usual_first(&work.attempts));
        Self {
            queue: Cow::Borrowed(&work.queue),
            priority: unless(work.priority, &USUAL_PRIORITY),
            id: unless(work.id, &TaskInstanceId::of(run, path.as_str())),
            generation: work.generation,
            ready,
            open,
            waiting,
            held: work.stage == Stage::Held,
            retries: work.retry_count,
            count: unless(work.attempt_count, &length(work.attempts.len())),
            refusals: work.refusals,
            first_ready: from(work.first_ready),
            first_sent: first_sent.map(|time| time.map(from)),
            state: work.state.as_ref().map(Cow::Borrowed),
            counts_for: work
                .limit_keys
                .as_ref()
                .and_then(|keys| keys.concurrency.as_deref())
                .map(Cow::Borrowed),
            rate_for: work.limit_keys.as_ref().and_then(|keys| keys.rate.as_deref()).map(Cow::Borrowed),
            uncertain: work.uncertain,
            closed_as: work.closed_as,
            attempts: attempts.map(|(at, attempt)| StoredAttempt::of(attempt, at, work, base)).collect(),
        }
    }

    /// Refuses what keeps more attempts than there were.
    pub(super) fn into_work(
        self,
        run: RunId,
        path: &TaskPath,
        base: Timestamp,
    ) -> Result<Work, serde_json::Error> {
        let from = |time| after(base, time);
        let kept = length(self.attempts.len());
        let attempt_count = self.count.unwrap_or(kept);
        if attempt_count < kept {
            return Err(Error::custom(format!("{kept} attempts of {attempt_count}")));
        }
        let mut work = Work {
            id: self.id.unwrap_or_else(|| TaskInstanceId::of(run, path.as_str())),
            generation: self.generation,
            queue: self.queue.into_owned(),
            priority: self.priority.unwrap_or(USUAL_PRIORITY),
            stage: Stage::Closed,
            retry_count: self.retries,
            attempt_count,
            refusals: self.refusals,
            first_ready: from(self.first_ready),
            first_dispatch: None,
            state: self.state.map(Cow::into_owned),
            limit_keys: limit_keys(self.counts_for, self.rate_for),
            uncertain: self.uncertain,
            closed_as: self.closed_as,
            attempts: Vec::new(),
        };
        work.stage = match (self.ready, self.open, self.waiting) {
            (Some(since), ..) => Stage::Ready { since: from(since) },
            (None, Some(open), _) => Stage::Open(open.into_open(&work, base)),
            (None, None, Some(pause)) => {
                Stage::Waiting { until: from(pause.until), since: from(pause.since) }
            }
            (None, None, None) if self.held => Stage::Held,
            (None, None, None) => Stage::Closed,
        };
        let before = attempt_count - kept;
        let numbered = (before..).zip(self.attempts);
        work.attempts = numbered
            .map(|(before, stored)| stored.into_attempt(before.wrapping_add(1), &work, base))
            .collect();
        let first_sent = self.first_sent.map(|time| time.map(from));
        work.first_dispatch = first_sent.unwrap_or_else(|| usual_first(&work.attempts));
        Ok(work)
    }
}

fn limit_keys(concurrency: Option<Cow<'_, str>>, rate: Option<Cow<'_, str>>) -> Option<Box<LimitKeys>> {
    let has_keys = concurrency.is_some() || rate.is_some();
    let owned = |key: Option<Cow<'_, str>>| key.map(Cow::into_owned);
    has_keys.then(|| Box::new(LimitKeys { concurrency: owned(concurrency), rate: owned(rate) }))
}

fn length(attempts: usize) -> u32 {
    u32::try_from(attempts).unwrap_or(u32::MAX)
}

fn usual_first(attempts: &[Attempt]) -> Option<Timestamp> {
    attempts.first().map(|attempt| attempt.scheduled_at)
}

impl<'a> StoredOpen<'a> {
    fn of(open: &'a Open, work: &Work, base: Timestamp) -> Self {
        let time = |time: Option<Timestamp>| time.map(|time| since(base, time));
        Self {
            id: unless(open.execution_id, &work.attempt_named(work.attempt_count)),
            start_before: time(open.start_before),
            deadline: time(open.deadline),
            started: time(open.started),
            progress: open.progress,
            seen: time(open.seen),
            control: open.control_queue.as_deref().map(Cow::Borrowed),
            accepted: open.accepted,
            ask_at: time(open.ask_at),
            cancelled_until: time(open.cancelled_until),
        }
    }

    fn into_open(self, work: &Work, base: Timestamp) -> Open {
        let time = |time: Option<i64>| time.map(|time| after(base, time));
        Open {
            execution_id: self.id.unwrap_or_else(|| work.attempt_named(work.attempt_count)),
            start_before: time(self.start_before),
            deadline: time(self.deadline),
            started: time(self.started),
            progress: self.progress,
            seen: time(self.seen),
            control_queue: self.control.map(Cow::into_owned),
            accepted: self.accepted,
            ask_at: time(self.ask_at),
            cancelled_until: time(self.cancelled_until),
        }
    }
}

impl<'a> StoredAttempt<'a> {
    /// Of the attempt at `at` among those that are kept.
    fn of(attempt: &'a Attempt, at: usize, work: &'a Work, base: Timestamp) -> Self {
        let from = |time| since(base, time);
        let number = work.attempt_count.wrapping_sub(length(work.attempts.len() - at)).wrapping_add(1);
        let usual = usual_cost(attempt);
        Self {
            id: unless(attempt.execution_id, &work.attempt_named(number)),
            queue: unless(attempt.queue.as_str(), &work.queue.as_str()).map(Cow::Borrowed),
            worker: attempt.worker_id.as_ref().map(Cow::Borrowed),
            earlier: Cow::Borrowed(&attempt.earlier_workers),
            deliveries: unless(attempt.deliveries, &u32::from(attempt.worker_id.is_some())),
            ready: from(attempt.ready_at),
            sent: unless(attempt.scheduled_at, &attempt.ready_at).map(from),
            start: attempt.start_time.map(from),
            end: attempt.end_time.map(from),
            error: attempt.error.as_ref().map(Cow::Borrowed),
            taken: attempt.input_bytes,
            given: attempt.output_bytes,
            cost: unless(attempt.metrics, &usual)
                .map(|metrics| metrics.map(|metrics| Cost::of(&metrics, attempt))),
        }
    }

    fn into_attempt(self, number: u32, work: &Work, base: Timestamp) -> Attempt {
        let from = |time| after(base, time);
        let ready_at = from(self.ready);
        let mut attempt = Attempt {
            execution_id: self.id.unwrap_or_else(|| work.attempt_named(number)),
            queue: self.queue.map_or_else(|| work.queue.clone(), Cow::into_owned),
            deliveries: self.deliveries.unwrap_or_else(|| u32::from(self.worker.is_some())),
            worker_id: self.worker.map(Cow::into_owned),
            earlier_workers: self.earlier.into_owned(),
            ready_at,
            scheduled_at: self.sent.map_or(ready_at, from),
            start_time: self.start.map(from),
            end_time: self.end.map(from),
            error: self.error.map(Cow::into_owned),
            metrics: None,
            input_bytes: self.taken,
            output_bytes: self.given,
        };
        attempt.metrics = match self.cost {
            Some(cost) => cost.map(|cost| cost.into_metrics(&attempt)),
            None => usual_cost(&attempt),
        };
        attempt
    }
}

/// A worker that has ended measured the time from start to end, and nothing else.
fn usual_cost(attempt: &Attempt) -> Option<TaskMetrics> {
    let has_ended = attempt.worker_id.is_some() && attempt.end_time.is_some();
    has_ended.then(|| TaskMetrics { execution_time_ms: usual_ms(attempt), ..TaskMetrics::default() })
}

fn usual_ms(attempt: &Attempt) -> u64 {
    let (start, end) = (attempt.start_time, attempt.end_time);
    end.zip(start).map_or(0, |(end, start)| end.since(start).as_millis())
}

impl Cost {
    fn of(metrics: &TaskMetrics, attempt: &Attempt) -> Self {
        let ms = unless(metrics.execution_time_ms, &usual_ms(attempt));
        Self { ms, cpu_ms: metrics.cpu_time_ms, memory: metrics.memory_bytes }
    }

    fn into_metrics(self, attempt: &Attempt) -> TaskMetrics {
        TaskMetrics {
            execution_time_ms: self.ms.unwrap_or_else(|| usual_ms(attempt)),
            cpu_time_ms: self.cpu_ms,
            memory_bytes: self.memory,
        }
    }
}
