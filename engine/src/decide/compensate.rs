//! Undoes what a run did before it ends FAILED, CANCELLED or TIMED_OUT: one step after the other, the last one first.

use oarlock_protocol::definition::CompensationWhen;
use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};
use oarlock_protocol::{ErrorDetails, Json};

use super::Decider;
use crate::plan::Step;
use crate::run::{Row, Stage};
use crate::scope::TaskData;

impl Decider<'_> {
    /// A task that can be undone has closed: its turn when the run is undone.
    pub(super) fn note_closing(&mut self, step: &Step) {
        if self.plan.node(step).compensation.is_none() {
            return;
        }
        let next = self.run.head.closings + 1;
        let Some(row) = self.row(step) else { return };
        let Some(work) = row.work() else { return };
        // What an operator completed was done by someone.
        let dispatched = work.attempt_count > 0 || row.status == TaskStatus::Completed;
        if !dispatched || work.closed_as.is_some() {
            return;
        }
        let Some(work) = self.row_mut(step).and_then(Row::work_mut) else { return };
        work.closed_as = Some(next);
        self.run.head.closings = next;
        self.touch();
    }

    /// The run is to end otherwise than COMPLETED: what it did is undone first.
    pub(super) fn undo(&mut self) {
        if self.run.head.compensating || !self.fill_to_undo() {
            return self.handle_failure();
        }
        self.run.head.compensating = true;
        self.arm(&self.plan.root());
        self.go_on_as(WorkflowStatus::Compensating);
        self.touch();
        // What undoes is small; the decision that ended the run may have stored all it may.
        self.stored_bytes = 0;
        self.undo_next();
    }

    /// Finds what is to be undone; whether there is anything.
    fn fill_to_undo(&mut self) -> bool {
        if self.run.to_undo.is_none() {
            let mut found: Vec<_> = self
                .run
                .rows
                .iter()
                .filter_map(|(path, row)| {
                    let step = Step { node: row.node, path: path.clone() };
                    Some((self.is_to_be_undone(&step, row)?, step.path))
                })
                .collect();
            found.sort_unstable();
            self.run.to_undo = Some(found.into_iter().map(|(_, path)| path).collect());
        }
        self.run.to_undo.as_ref().is_some_and(|steps| !steps.is_empty())
    }

    /// The turn of a step in the order of closing, where it is to be undone and was not.
    fn is_to_be_undone(&self, step: &Step, row: &Row) -> Option<u64> {
        let node = self.plan.node(step).compensation?;
        if self.row(&self.plan.child(step, node)).is_some() {
            return None;
        }
        let work = row.work()?;
        let attempted = self.plan.work(node)?.undoes == Some(CompensationWhen::Attempted);
        let undone = row.status == TaskStatus::Completed || work.uncertain || attempted;
        work.closed_as.filter(|_| undone)
    }

    /// Undoes the next step; after the last the run's error handlers work.
    pub(super) fn undo_next(&mut self) {
        self.fill_to_undo();
        let Some(path) = self.run.to_undo.as_mut().and_then(Vec::pop) else { return self.handle_failure() };
        let plan = self.plan;
        let Some(step) = plan.locate(&path) else { return self.undo_next() };
        let Some(node) = plan.node(&step).compensation else { return self.undo_next() };
        let compensation = plan.child(&step, node);
        if let Some(work) = plan.work(node) {
            self.run.head.metrics.task_count += 1;
            self.put_work(&compensation, work);
            self.evaluate_again(&compensation);
        }
    }

    /// Evaluates what a compensation is given, over the input and output of the step it undoes. Where that fails an
    /// operator is waited for: nothing else can undo the step.
    pub(super) fn evaluate_again(&mut self, compensation: &Step) {
        let plan = self.plan;
        let (Some(step), Some(work)) = (plan.parent(compensation), plan.work(compensation)) else { return };
        let row = self.row(&step);
        let data = |data: Option<&Json>| data.cloned().unwrap_or(Json::Null);
        let (input, output) =
            (data(row.and_then(|row| row.input.as_ref())), data(row.and_then(|row| row.output.as_ref())));
        let task = TaskData { input: &input, output: &output };
        let scope = self.scope(compensation).with_task(task);
        match self.input_of(work, &scope) {
            Ok(input) => self.give_input(compensation, input),
            Err(error) => self.hold_before_input(compensation, error),
        }
    }

    /// Lets a compensation that cannot be given its input wait for an operator, who has it evaluated again.
    pub(super) fn hold_before_input(&mut self, compensation: &Step, error: ErrorDetails) {
        if let Some(work) = self.row_mut(compensation).and_then(Row::work_mut) {
            work.stage = Stage::Held;
        }
        self.hold(compensation, error);
    }
}
