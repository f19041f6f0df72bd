//! A sign of life of an attempt that lasts.

use oarlock_protocol::instance::TaskStatus;
use oarlock_protocol::message::{ControlMessage, Order, ProgressMessage};
use oarlock_protocol::{ExecutionId, FORMAT, TaskInstanceId};

use super::Decider;
use super::attempt::{before, hand_to};
use crate::effect::Effect;
use crate::plan::Step;
use crate::run::{Row, Stage};

/// So many attempts of one task may have been opened by the commits that a store lost: these are of seconds.
const AHEAD: u32 = 16;

impl Decider<'_> {
    /// Takes a sign of life: the first says RUNNING and where, the others move the timer.
    pub(super) fn on_progress(&mut self, progress: &ProgressMessage) {
        let path = &progress.address.task_path;
        let step = self.plan.locate(path);
        let (Some(step), Some((work, open))) = (step, self.run.open(path)) else {
            return self.closed(progress);
        };
        if open.execution_id != progress.address.execution_id {
            return self.closed(progress);
        }
        let attempt = work.attempts.last();
        let same_worker =
            attempt.is_some_and(|attempt| attempt.worker_id.as_ref() == Some(&progress.worker_id));
        let told_to_end = open.cancelled_until.is_some();
        // Published anew after messages were lost, it has not begun although the same worker may hold it still.
        let begun = open.started.is_some();
        if attempt.is_some_and(|attempt| progress.deliveries < attempt.deliveries) {
            return self.stale("progress of a worker that lost the attempt to another");
        }
        if same_worker && open.progress.is_some_and(|seen| seen >= progress.n) {
            return self.stale("progress that was seen before");
        }
        if same_worker && begun {
            self.beat(&step, progress.n);
        } else {
            self.begun(&step, progress);
        }
        let order = if told_to_end {
            Order::Cancel { reason: "the task was cancelled".to_owned() }
        } else {
            Order::Continue { n: progress.n }
        };
        self.answer(progress, order);
    }

    /// A worker holds the attempt: stored.
    fn begun(&mut self, step: &Step, progress: &ProgressMessage) {
        let now = self.now;
        let Some(row) = self.row_mut(step) else { return };
        let Some(work) = row.work_mut() else { return };
        let Some(attempt) = work.attempts.last_mut() else { return };
        let started = before(now, progress.running_ms).max(attempt.scheduled_at);
        hand_to(attempt, &progress.worker_id);
        attempt.start_time = Some(started);
        attempt.deliveries = attempt.deliveries.max(progress.deliveries);
        if let Stage::Open(open) = &mut work.stage {
            open.started = Some(started);
            open.seen = Some(now);
            open.progress = Some(progress.n);
            open.control_queue.clone_from(&progress.control_queue);
        }
        row.start_time.get_or_insert(started);
        self.set_status(step, TaskStatus::Running);
        self.touch();
        self.arm(step);
    }

    /// The worker still lives: known in memory only, since a take-over gives every heartbeat its full time again.
    fn beat(&mut self, step: &Step, n: u64) {
        let now = self.now;
        let row = self.run.rows.get_mut(&step.path);
        if let Some(Stage::Open(open)) = row.and_then(Row::work_mut).map(|work| &mut work.stage) {
            open.seen = Some(now);
            open.progress = Some(n);
        }
        self.arm(step);
    }

    /// The attempt is closed or unknown: its worker is told to end it, unless it may be opened yet.
    fn closed(&mut self, progress: &ProgressMessage) {
        self.stale("progress of an attempt that is not open");
        if !self.may_be_opened(progress) {
            self.answer(progress, Order::Closed);
        }
    }

    /// Whether it is one of the next attempts of its task. Then a store has lost the commit that had opened it, and it is
    /// opened again under the same name: a worker that was told to end it would take the new message for a copy.
    fn may_be_opened(&self, progress: &ProgressMessage) -> bool {
        let (path, id) = (&progress.address.task_path, progress.address.execution_id);
        let Some(row) = self.run.rows.get(path) else {
            let task = TaskInstanceId::of(self.run.key.run, path.as_str());
            return self.plan.locate(path).is_some()
                && (1..=AHEAD).any(|attempt| ExecutionId::of(task, attempt) == id);
        };
        let work = row.work().filter(|work| work.stage != Stage::Closed);
        work.is_some_and(|work| (1..=AHEAD).any(|ahead| work.attempt_named(work.attempt_count + ahead) == id))
    }

    fn answer(&mut self, progress: &ProgressMessage, order: Order) {
        let Some(control_queue) = progress.control_queue.clone() else { return };
        let message = ControlMessage { format: FORMAT, execution_id: progress.address.execution_id, order };
        self.effects.push(Effect::Tell { control_queue, message });
    }
}
