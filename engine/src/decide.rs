//! One event, one decision: changes the run and lists the effects. Dispatch is here; each handler has its own file.

use std::collections::VecDeque;

use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};
use oarlock_protocol::message::Operation;
use oarlock_protocol::{ErrorDetails, TaskPath, Timestamp};

use crate::effect::Effect;
use crate::event::Event;
use crate::mapping;
use crate::plan::{Plan, Step};
use crate::run::{Block, Ending, Row, Run, Stage};
use crate::scope::RunScope;
use crate::settings::Settings;

mod attempt;
mod begin;
mod cancel;
mod child;
mod compensate;
mod complete;
mod each;
mod end;
mod flow;
mod join;
mod operate;
mod progress;
mod reopen;
mod repeat;
mod restore;
mod result;
mod signal;
mod start;
#[cfg(test)]
mod tests;
mod timer;
mod variables;
mod wait;

pub use start::{Refusal, digest, start, start_with};

/// Decides about one run at one time. The effects are collected until [`Decider::finish`].
pub struct Decider<'a> {
    plan: &'a Plan,
    run: &'a mut Run,
    settings: &'a Settings,
    now: Timestamp,
    agenda: VecDeque<Next>,
    effects: Vec<Effect>,
    /// How much this decision stores anew, in bytes of JSON.
    stored_bytes: usize,
    /// How many iterations this decision has begun.
    begun_iterations: usize,
}

/// What is still to be looked at within this decision. A list instead of calls: ten thousand steps in a row need no stack.
#[derive(Debug)]
enum Next {
    /// All that this step waits for is settled: skip or begin it.
    Consider(Step),
    /// This block was begun and has no children: it is complete.
    Empty(Step),
    /// This `forEach` may begin more iterations.
    Activate(Step),
    /// This `loop` may begin its next iteration.
    Round(Step),
    /// This step is settled: its block may go on. Whether it has finished too: else `Finished` follows.
    Settled(Step, Finished),
    /// This step was settled before, and nothing is open in it any more.
    Finished(Step),
    /// This step failed for good: its handlers, `continueOnFailure` or the block around it take it.
    Failed(Step),
}

/// Whether nothing is open any more in a step that is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finished {
    Yes,
    No,
}

impl<'a> Decider<'a> {
    /// A decider about `run`, whose definition is `plan`, at the time `now`.
    pub fn new(plan: &'a Plan, run: &'a mut Run, settings: &'a Settings, now: Timestamp) -> Self {
        // Time never runs backwards within a run, whatever the clocks of its owners say.
        let now = now.max(run.head.updated_at);
        Self {
            plan,
            run,
            settings,
            now,
            agenda: VecDeque::new(),
            effects: Vec::new(),
            stored_bytes: 0,
            begun_iterations: 0,
        }
    }

    /// Decides about one event; whatever follows from it is settled when this returns.
    pub fn handle(&mut self, event: Event) {
        match event {
            Event::Result(result) => self.on_result(*result),
            Event::Progress(progress) => self.on_progress(&progress),
            Event::Cancel { reason } => self.on_cancel(&reason),
            Event::Timer { path } => self.on_timer(&path),
            Event::Admitted { path } => self.on_admitted(&path),
            Event::HeldBack { path, until } => self.on_held_back(&path, until),
            Event::MessagesLost { path } => self.on_messages_lost(&path),
            Event::Signal { id, name, payload } => self.on_signal(id, name, payload),
            Event::Complete { path, execution_id, completion } => {
                self.on_complete(&path, execution_id, completion)
            }
            Event::Operation(Operation::Pause) => self.on_pause(),
            Event::Operation(Operation::Resume) => self.on_resume(),
            Event::Operation(Operation::Retry) => self.on_retry(),
        }
        self.settle_agenda();
    }

    /// The effects, in the order they were decided.
    pub fn finish(self) -> Vec<Effect> {
        self.effects
    }

    fn settle_agenda(&mut self) {
        // A decision that needs a payload is made again, when that is at hand: the rest of this one is of no use.
        while !self.run.payloads.is_needed()
            && let Some(step) = self.agenda.pop_front()
        {
            match step {
                Next::Consider(step) => self.consider(&step),
                Next::Empty(step) => self.empty(&step),
                Next::Activate(step) => self.activate(&step),
                Next::Round(step) => self.round(&step),
                Next::Settled(step, finished) => self.settled(&step, finished),
                Next::Finished(step) => self.finished(&step),
                Next::Failed(step) => self.failed(&step),
            }
        }
    }

    fn row(&self, step: &Step) -> Option<&Row> {
        self.run.rows.get(&step.path)
    }

    /// The row of a step, for a change that is stored.
    fn row_mut(&mut self, step: &Step) -> Option<&mut Row> {
        let now = self.now;
        let row = self.run.row_mut(&step.path)?;
        row.updated_at = now;
        Some(row)
    }

    /// The progress of a block, for a change that is derived and not stored.
    fn block_mut(&mut self, step: &Step) -> Option<&mut Block> {
        self.run.rows.get_mut(&step.path)?.block_mut()
    }

    fn scope(&self, step: &Step) -> RunScope<'_> {
        RunScope::new(self.plan, self.run, step, self.now)
    }

    fn touch(&mut self) {
        self.run.head.updated_at = self.now;
        self.run.changes.head = true;
    }

    /// Gives a step's row a status and tells those who watch.
    fn set_status(&mut self, step: &Step, status: TaskStatus) {
        let now = self.now;
        let Some(row) = self.row_mut(step) else { return };
        row.status = status;
        if status == TaskStatus::Running && row.start_time.is_none() {
            row.start_time = Some(now);
        }
        if status.is_terminal() {
            row.end_time = Some(now);
        }
        self.tell_status(step);
    }

    fn tell_status(&mut self, step: &Step) {
        let Some(row) = self.row(step) else { return };
        let attempt = row.work().map_or(0, |work| work.attempt_count);
        // While an attempt is under way the error is that of the attempt before it.
        let tells_error = row.status.is_terminal() || row.status == TaskStatus::RetryPending;
        let (status, error) = (row.status, row.error.clone().filter(|_| tells_error));
        self.effects.push(Effect::TaskChanged { path: step.path.clone(), status, attempt, error });
    }

    /// Marks a step's row as settled with its last status, and lets its block go on.
    fn settle(&mut self, step: &Step) {
        let mut finished = Finished::Yes;
        if let Some(row) = self.row_mut(step) {
            row.settled = true;
            let status = row.status;
            if !row.finished() {
                finished = Finished::No;
            }
            self.count_settled(step, status);
            self.note_closing(step);
            if finished == Finished::Yes {
                self.drop_variables(step);
            }
        }
        self.agenda.push_back(Next::Settled(step.clone(), finished));
    }

    fn count_settled(&mut self, step: &Step, status: TaskStatus) {
        if self.plan.work(step).is_none() {
            return;
        }
        let metrics = &mut self.run.head.metrics;
        match status {
            TaskStatus::Completed => metrics.completed_tasks += 1,
            TaskStatus::Failed | TaskStatus::TimedOut => metrics.failed_tasks += 1,
            TaskStatus::Skipped => metrics.skipped_tasks += 1,
            TaskStatus::Pending
            | TaskStatus::Ready
            | TaskStatus::Scheduled
            | TaskStatus::Running
            | TaskStatus::RetryPending
            | TaskStatus::Cancelled => {}
        }
        self.touch();
    }

    /// Ends a step with an error; what follows is decided by the agenda.
    fn fail(&mut self, step: &Step, status: TaskStatus, error: ErrorDetails, failed_at: Option<TaskPath>) {
        if let Some(row) = self.row_mut(step) {
            row.error = Some(error);
            row.failed_at = failed_at;
            if let Some(work) = row.work_mut() {
                work.stage = Stage::Closed;
            }
        }
        self.set_status(step, status);
        self.agenda.push_back(Next::Failed(step.clone()));
    }

    /// Counts what is to be stored anew.
    ///
    /// # Errors
    /// PAYLOAD_TOO_LARGE where this decision would store more than it may: the caller keeps none of it, and calls
    /// [`Decider::overrun`].
    fn count_stored(&mut self, bytes: usize) -> Result<(), ErrorDetails> {
        let (sum, limit) = (self.stored_bytes.saturating_add(bytes), self.settings.decision_bytes);
        if sum > limit {
            return Err(mapping::too_large("what one step sets free", limit));
        }
        self.stored_bytes = sum;
        Ok(())
    }

    /// Ends the run with the step that went over what one decision may store. Whatever else the decision set free
    /// would go over as well, so neither the step's handlers nor `continueOnFailure` take it.
    fn overrun(&mut self, step: &Step, error: ErrorDetails) {
        let failed_at = step.path.clone();
        self.fail(step, TaskStatus::Failed, error.clone(), None);
        self.end_run_early(Ending::Failed { error, failed_at });
    }

    /// Gives the run this status, unless an operator lets it pause.
    fn go_on_as(&mut self, status: WorkflowStatus) {
        if !self.run.head.held_back {
            self.set_run_status(status);
        }
    }

    fn set_run_status(&mut self, status: WorkflowStatus) {
        let from = self.run.head.status;
        if from == status {
            return;
        }
        self.run.head.status = status;
        self.effects.push(Effect::RunChanged { from: Some(from), to: status });
        self.touch();
    }
}
