//! The life of an attempt: its dispatch, its time limits, its close, and what follows a failed one.

use oarlock_protocol::code::Code;
use oarlock_protocol::definition::{OnExhausted, TaskTimeouts};
use oarlock_protocol::instance::{Attempt, TaskMetrics, TaskStatus, WorkflowStatus};
use oarlock_protocol::{ErrorDetails, ExecutionId, Json, RunId, Span, TaskPath, Timestamp, WorkerId};

use super::Decider;
use crate::effect::Effect;
use crate::mapping;
use crate::plan::Step;
use crate::retry::{self, Decision, History};
use crate::run::{KEPT_ATTEMPTS, Open, Row, Stage};
use crate::task_message;
use crate::timers::Timers;

impl Decider<'_> {
    /// Admission let a ready task out: a new attempt is opened and published.
    pub(super) fn on_admitted(&mut self, path: &TaskPath) {
        let Some(step) = self.plan.locate(path) else { return self.stale("admission of an unknown task") };
        let step = &step;
        let Some(&Stage::Ready { since }) = self.stage(step) else {
            return self.stale("admission of a task that is not ready");
        };
        if self.run.head.status == WorkflowStatus::Paused {
            return self.stale("admission while the run is paused");
        }
        if let Some(work) = self.plan.work(step)
            && let Err(error) =
                task_message::check_variables(self.plan, self.run, step, work, self.settings.payload_bytes)
        {
            self.effects.push(Effect::ClearTimer { path: path.clone() });
            return self.fail(step, TaskStatus::Failed, error, None);
        }
        self.open_attempt(step, since);
    }

    /// Opens a new attempt and publishes it; `since` when it was ready.
    pub(super) fn open_attempt(&mut self, step: &Step, since: Timestamp) {
        let now = self.now;
        let queue_time = self.timeouts(step).queue;
        let deadline = self.deadline(step);
        let is_child = self.child(step).is_some();
        let input_bytes = self.row(step).and_then(|row| row.input.as_ref()).map_or(0, bytes);
        let Some(work) = self.row_mut(step).and_then(Row::work_mut) else { return };
        work.attempt_count += 1;
        let execution_id = work.attempt_named(work.attempt_count);
        let queue = work.queue.clone();
        work.first_dispatch.get_or_insert(now);
        if work.attempts.len() >= KEPT_ATTEMPTS {
            work.attempts.remove(0);
        }
        work.attempts.push(Attempt { input_bytes, ..opened(execution_id, &queue, since, now) });
        let open = Open {
            execution_id,
            start_before: queue_time.map(|span| since.after(span)),
            deadline,
            started: None,
            progress: None,
            seen: None,
            control_queue: None,
            accepted: false,
            ask_at: is_child.then(|| next_question(now, now)),
            cancelled_until: None,
        };
        work.stage = Stage::Open(open);
        self.run.head.metrics.attempts += 1;
        self.run.head.metrics.total_input_bytes += input_bytes;
        self.touch();
        self.set_status(step, TaskStatus::Scheduled);
        self.arm(step);
        let path = step.path.clone();
        self.effects.push(if is_child {
            Effect::StartChild { path, execution_id, child: RunId::child_of(execution_id), again: false }
        } else {
            Effect::Publish { path, execution_id, queue }
        });
    }

    /// Where the next move of a task comes from.
    pub(super) fn stage(&self, step: &Step) -> Option<&Stage> {
        Some(&self.row(step)?.work()?.stage)
    }

    /// The limits in time of a task.
    pub(super) fn timeouts(&self, step: &Step) -> TaskTimeouts {
        self.timers().timeouts(step.node)
    }

    /// When all attempts of a task must have ended.
    pub(super) fn deadline(&self, step: &Step) -> Option<Timestamp> {
        self.timers().deadline(step)
    }

    pub(super) fn timers(&self) -> Timers<'_> {
        Timers::new(self.plan, self.run, self.settings)
    }

    /// Sets the timer of a step as it stands by now, or clears it.
    pub(super) fn arm(&mut self, step: &Step) {
        let path = step.path.clone();
        self.effects.push(match self.timers().at(&path) {
            Some(at) => Effect::SetTimer { path, at },
            None => Effect::ClearTimer { path },
        });
    }

    /// Nobody works on the open attempt any more: its time limits begin anew, as for one that was just published.
    pub(super) fn on_messages_lost(&mut self, path: &TaskPath) {
        let Some(step) = self.plan.locate(path) else { return self.stale("loss of an unknown task") };
        let step = &step;
        if self.run.open(path).is_none_or(|(_, open)| open.started.is_none() || open.accepted) {
            return self.stale("loss of an attempt that nobody had begun");
        }
        let start_before = self.timeouts(step).queue.map(|span| self.now.after(span));
        let Some(work) = self.row_mut(step).and_then(Row::work_mut) else { return };
        if let Stage::Open(open) = &mut work.stage {
            (open.started, open.progress, open.seen, open.control_queue) = (None, None, None, None);
            open.start_before = start_before;
        }
        self.set_status(step, TaskStatus::Scheduled);
        self.arm(step);
    }

    /// Closes the open attempt: it can no longer change anything.
    pub(super) fn close_attempt(&mut self, step: &Step, close: Close<'_>) {
        let now = self.now;
        let Some(work) = self.row_mut(step).and_then(Row::work_mut) else { return };
        let Stage::Open(open) = std::mem::replace(&mut work.stage, Stage::Closed) else { return };
        let queue = work.queue.clone();
        work.uncertain |= close.error.is_some_and(leaves_open_what_was_done);
        let mut costs = (0, 0);
        if let Some(attempt) = work.attempts.last_mut() {
            let ran = close.metrics.map(|metrics| metrics.execution_time_ms);
            let begun = open.started.or(ran.map(|ms| before(now, ms)));
            attempt.start_time = begun.map(|begun| begun.max(attempt.scheduled_at));
            attempt.end_time = Some(now);
            attempt.error = close.error.cloned();
            attempt.metrics = close.metrics;
            attempt.output_bytes = close.output_bytes;
            attempt.deliveries = attempt.deliveries.max(close.deliveries);
            if let Some(worker) = close.worker {
                hand_to(attempt, worker);
            }
            let begun = attempt.start_time.unwrap_or(now);
            costs = (begun.since(attempt.ready_at).as_millis(), now.since(begun).as_millis());
        }
        let first_start = work.attempts.first().and_then(|attempt| attempt.start_time);
        let metrics = &mut self.run.head.metrics;
        metrics.total_queue_time_ms += costs.0;
        metrics.total_execution_time_ms += costs.1;
        metrics.total_output_bytes += close.output_bytes;
        if let Some(measured) = close.metrics {
            // A worker may claim anything.
            metrics.total_cpu_time_ms = metrics.total_cpu_time_ms.saturating_add(measured.cpu_time_ms);
            metrics.total_memory_bytes = metrics.total_memory_bytes.saturating_add(measured.memory_bytes);
        }
        if let Some(row) = self.row_mut(step) {
            row.start_time = row.start_time.or(first_start);
        }
        self.touch();
        let path = step.path.clone();
        self.effects.push(Effect::ClearTimer { path: path.clone() });
        self.effects.push(Effect::Closed { path, execution_id: open.execution_id, queue });
    }

    /// An attempt ended with an error and is closed: another follows, or an operator is asked, or the task fails.
    pub(super) fn attempt_failed(&mut self, step: &Step, error: ErrorDetails) {
        if self.is_ending_around(step) {
            return self.cancelled(step, Some(error));
        }
        let now = self.now;
        let deadline = self.deadline(step);
        if deadline.is_some() && error.code == Code::TimeoutTotal.as_str() {
            // The worker judged before this side did.
            if self.undoes(step) {
                return self.hold(step, error);
            }
            return self.fail(step, TaskStatus::TimedOut, error, None);
        }
        let policy = self.plan.work(step).and_then(|work| work.definition.retry_policy.as_ref());
        let Some(work) = self.row(step).and_then(Row::work) else { return };
        let history = History {
            task: work.id,
            retry_count: work.retry_count,
            first_dispatch: work.first_dispatch.unwrap_or(work.first_ready),
        };
        let undoes = self.undoes(step);
        let pauses = undoes || policy.is_some_and(|policy| policy.on_exhausted == OnExhausted::Pause);
        match retry::decide(policy, &error, history, now) {
            Decision::Retry { at } if deadline.is_none_or(|deadline| at <= deadline) => {
                if let Some(work) = self.row_mut(step).and_then(Row::work_mut) {
                    work.retry_count += 1;
                }
                self.run.head.metrics.retries += 1;
                self.touch();
                self.wait(step, at, error);
            }
            Decision::Retry { .. } | Decision::Exhausted if pauses => self.hold(step, error),
            // What cannot be undone is an operator's to decide.
            Decision::NotRetryable if undoes => self.hold(step, error),
            Decision::Retry { .. } | Decision::Exhausted | Decision::NotRetryable => {
                self.fail(step, TaskStatus::Failed, error, None);
            }
        }
    }

    /// Lets the task wait for its next attempt.
    pub(super) fn wait(&mut self, step: &Step, until: Timestamp, error: ErrorDetails) {
        let since = self.now;
        let Some(row) = self.row_mut(step) else { return };
        row.error = Some(error);
        if let Some(work) = row.work_mut() {
            work.stage = Stage::Waiting { until, since };
        }
        self.set_status(step, TaskStatus::RetryPending);
        self.arm(step);
    }

    /// Lets the task and the run wait for an operator.
    pub(super) fn hold(&mut self, step: &Step, error: ErrorDetails) {
        let Some(row) = self.row_mut(step) else { return };
        row.error = Some(error);
        if let Some(work) = row.work_mut() {
            work.stage = Stage::Held;
        }
        self.set_status(step, TaskStatus::RetryPending);
        self.arm(step);
        self.pause();
    }

    /// Whether a task undoes another.
    pub(super) fn undoes(&self, step: &Step) -> bool {
        self.plan.work(step).is_some_and(|work| work.undoes.is_some())
    }

    /// A task ends while it was put off: what it has done by then nobody knows.
    pub(super) fn note_unknown_outcome(&mut self, step: &Step) {
        if let Some(work) = self.row_mut(step).and_then(Row::work_mut)
            && work.was_put_off()
        {
            work.uncertain = true;
        }
    }

    /// Ends a task because something around it ends.
    pub(super) fn cancelled(&mut self, step: &Step, error: Option<ErrorDetails>) {
        self.note_unknown_outcome(step);
        let error =
            error.unwrap_or_else(|| ErrorDetails::system(Code::Cancelled, "cancelled before it had begun"));
        if let Some(row) = self.row_mut(step) {
            row.error = Some(error);
            if let Some(work) = row.work_mut() {
                work.stage = Stage::Closed;
            }
        }
        self.set_status(step, TaskStatus::Cancelled);
        self.settle(step);
    }

    pub(super) fn stale(&mut self, what: &'static str) {
        self.effects.push(Effect::Stale { what });
    }
}

/// When a child run is asked next whether it lives: after a minute, then after as long as it has lived, then hourly.
pub(super) fn next_question(begun: Timestamp, now: Timestamp) -> Timestamp {
    let lived = now.since(begun).as_millis();
    now.after(Span::from_millis(lived.clamp(60_000, 3_600_000)))
}

/// Whether an attempt that ended so may have done its work, or a part of it.
fn leaves_open_what_was_done(error: &ErrorDetails) -> bool {
    let open = [
        Code::TimeoutExecution,
        Code::TimeoutHeartbeat,
        Code::TimeoutTotal,
        Code::WorkerLost,
        Code::Crashed,
        Code::DeliveryLimit,
        Code::Cancelled,
        Code::ChildLost,
    ];
    open.iter().any(|code| code.as_str() == error.code)
}

/// How an attempt closed.
#[derive(Clone, Copy, Default)]
pub(super) struct Close<'a> {
    pub(super) error: Option<&'a ErrorDetails>,
    pub(super) metrics: Option<TaskMetrics>,
    pub(super) worker: Option<&'a WorkerId>,
    pub(super) deliveries: u32,
    /// The bytes of what the worker gave back.
    pub(super) output_bytes: u64,
}

/// How many lost workers an attempt names: as many as the default delivery limit lets it lose.
const EARLIER_WORKERS: usize = 20;

/// Notes who holds the attempt now. Who held it before stays named: a worker that dies leaves no other trace.
pub(super) fn hand_to(attempt: &mut Attempt, worker: &WorkerId) {
    attempt.earlier_workers.retain(|earlier| earlier != worker);
    let before = attempt.worker_id.replace(worker.clone());
    attempt.earlier_workers.extend(before.filter(|before| before != worker));
    let surplus = attempt.earlier_workers.len().saturating_sub(EARLIER_WORKERS);
    attempt.earlier_workers.drain(..surplus);
}

/// The point `milliseconds` before `now`, as far as there is one.
pub(super) fn before(now: Timestamp, milliseconds: u64) -> Timestamp {
    Timestamp::from_millis(now.as_millis().saturating_sub(i64::try_from(milliseconds).unwrap_or(i64::MAX)))
}

fn opened(execution_id: ExecutionId, queue: &str, ready_at: Timestamp, now: Timestamp) -> Attempt {
    Attempt {
        execution_id,
        queue: queue.to_owned(),
        worker_id: None,
        earlier_workers: Vec::new(),
        deliveries: 0,
        ready_at,
        scheduled_at: now,
        start_time: None,
        end_time: None,
        error: None,
        metrics: None,
        input_bytes: 0,
        output_bytes: 0,
    }
}

/// The bytes of a value as JSON.
pub(super) fn bytes(value: &Json) -> u64 {
    mapping::size(value) as u64
}
