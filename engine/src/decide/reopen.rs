//! Opens a run that had ended: what did not complete is done again, in a new generation.

use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};

use super::{Decider, Next};
use crate::plan::{NodeKind, Plan, Step, Wait};
use crate::run::{Body, Row};

impl Decider<'_> {
    /// Takes back that the run has ended, and whatever in it did not complete, and lets it go on from there.
    pub(super) fn open_again(&mut self) {
        let root = self.plan.root();
        let head = &mut self.run.head;
        head.generation += 1;
        (head.opened_at, head.held_back) = (Some(self.now), false);
        (head.end_time, head.error, head.failed_at, head.ending, head.handling) =
            (None, None, None, None, false);
        self.run.changes.output |= self.run.output.take().is_some();
        self.set_run_status(WorkflowStatus::Running);
        self.touch();
        // Its time counts anew.
        self.arm(&root);
        if let Some(handlers) = self.plan.node(Plan::ROOT).on_error {
            self.remove_all(&self.plan.child(&root, handlers));
        }
        let mut blocks = vec![root];
        let mut ready = Vec::new();
        let mut next = 0;
        while let Some(block) = blocks.get(next).cloned() {
            next += 1;
            self.open_block(&block);
            for child in self.children_of(&block) {
                self.take_back(&child, &mut blocks, &mut ready);
            }
        }
        self.run.derive(self.plan);
        for step in
            ready.iter().filter(|step| !self.timers().waits_for_its_turn(step)).cloned().collect::<Vec<_>>()
        {
            self.make_ready(&step);
        }
        blocks.retain(|block| !self.timers().waits_for_its_turn(block));
        blocks.iter().for_each(|block| self.go_on_again(block));
    }

    /// The turn of an iteration that is done again.
    pub(super) fn begin_iteration_again(&mut self, step: &Step, iteration: &Step) {
        self.begun_iterations += 1;
        if let Some(block) = self.block_mut(step) {
            block.active += 1;
        }
        self.set_status(iteration, TaskStatus::Running);
        for step in self.reached_in(iteration) {
            let Some(row) = self.row(&step).filter(|row| !row.settled) else { continue };
            let is_ready = row.work().is_some() && is_pending(row);
            let is_block = row.block().is_some();
            if self.timers().waits_for_its_turn(&step) {
                continue;
            }
            if is_ready {
                self.make_ready(&step);
            } else if is_block && self.begin_variables(&step) {
                self.go_on_again(&step);
            }
        }
    }

    /// Takes back how a step ended, unless it is done.
    fn take_back(&mut self, step: &Step, blocks: &mut Vec<Step>, ready: &mut Vec<Step>) {
        let Some(row) = self.row(step) else { return };
        if self.is_done(step, row) {
            return;
        }
        let status = row.status;
        let node = self.plan.node(step);
        for attached in [node.on_error, node.on_timeout].into_iter().flatten() {
            self.remove_all(&self.plan.child(step, attached));
        }
        let Some(row) = self.row(step) else { return };
        match &row.body {
            Body::Block(_) if self.begins_anew(step) => self.remove_all(step),
            Body::Block(_) => return blocks.push(step.clone()),
            Body::Work(_) if row.input.is_some() => self.open_work(step, ready),
            Body::Work(_) | Body::Plain | Body::Await(_) => self.run.remove_row(&step.path),
        }
        let begins_anew = self.row(step).is_none();
        if self.plan.work(step).is_some() {
            let metrics = &mut self.run.head.metrics;
            metrics.task_count -= u64::from(begins_anew);
            if matches!(status, TaskStatus::Failed | TaskStatus::TimedOut) {
                metrics.failed_tasks = metrics.failed_tasks.saturating_sub(1);
            }
        }
    }

    /// Whether a block that failed has nothing in it to be done again: a `forEach` without items, a `loop` at its limit.
    fn begins_anew(&self, step: &Step) -> bool {
        match self.plan.node(step).kind {
            NodeKind::ForEach(_) => self.row(step).is_none_or(|row| row.input.is_none()),
            NodeKind::Loop(_) => self.row(&self.last_round(step)).is_none_or(|last| {
                last.status == TaskStatus::Completed
                    && self.row(step).is_some_and(|row| row.status == TaskStatus::Failed)
            }),
            _ => false,
        }
    }

    /// Whether nothing is left to do for a step, or it was let pass.
    pub(super) fn is_done(&self, step: &Step, row: &Row) -> bool {
        let node = self.plan.node(step);
        let attached = [node.on_error, node.on_timeout].into_iter().flatten();
        let handled = attached
            .map(|attached| self.plan.child(step, attached))
            .any(|attached| self.row(&attached).is_some_and(|row| row.status == TaskStatus::Completed));
        match row.status {
            // What ended the run ends it again, where it still holds.
            TaskStatus::Completed if matches!(node.kind, NodeKind::Terminate(_)) => false,
            TaskStatus::Completed | TaskStatus::Skipped => true,
            TaskStatus::Failed | TaskStatus::TimedOut => node.continue_on_failure || handled,
            TaskStatus::Cancelled
            | TaskStatus::Pending
            | TaskStatus::Ready
            | TaskStatus::Scheduled
            | TaskStatus::Running
            | TaskStatus::RetryPending => false,
        }
    }

    /// A task begins its retries anew; its attempts are counted on, so that none has the name of an old one.
    fn open_work(&mut self, step: &Step, ready: &mut Vec<Step>) {
        let now = self.now;
        let Some(row) = self.row_mut(step) else { return };
        (row.settled, row.end_time, row.error, row.failed_at) = (false, None, None, None);
        row.status = TaskStatus::Pending;
        if let Some(work) = row.work_mut() {
            (work.retry_count, work.refusals, work.first_ready, work.first_dispatch) = (0, 0, now, None);
            work.closed_as = None;
        }
        ready.push(step.clone());
    }

    fn open_block(&mut self, step: &Step) {
        if let Some(row) = self.row_mut(step) {
            (row.settled, row.end_time, row.error, row.failed_at) = (false, None, None, None);
            if let Some(block) = row.block_mut() {
                (block.ending, block.pause, block.rest) = (None, None, false);
            }
        }
        if step.node == Plan::ROOT {
            return;
        }
        if self.plan.is_of_for_each(step) {
            // At most `concurrency` of them at once.
            return self.set_status(step, TaskStatus::Pending);
        }
        self.set_status(step, TaskStatus::Running);
        if !self.timers().waits_for_its_turn(step) {
            self.begin_variables(step);
        }
    }

    /// Considers whatever in an opened block waits for nothing more.
    fn go_on_again(&mut self, step: &Step) {
        let plan = self.plan;
        let Some(row) = self.row(step).filter(|row| !row.status.is_terminal()) else { return };
        let Some(block) = row.block() else { return };
        let (case, frontier) = (block.case, block.frontier);
        let children = plan.children(step, case);
        let total = match &plan.node(step).kind {
            NodeKind::ForEach(each) => self.iterations(step, each),
            NodeKind::Loop(_) => return self.agenda.push_back(Next::Round(step.clone())),
            _ => children.ids.len(),
        };
        // All of it may have been done: what had ended it was what it gives, or a `join`.
        if self.is_joined(step, total) {
            return;
        }
        if let NodeKind::ForEach(_) = plan.node(step).kind {
            return self.agenda.push_back(Next::Activate(step.clone()));
        }
        for (position, &child) in children.ids.iter().enumerate() {
            let free = match &plan.node(child).wait {
                Wait::EarlierSiblings => position == frontier,
                Wait::These(siblings) => siblings
                    .iter()
                    .all(|&sibling| self.row(&plan.child(step, sibling)).is_some_and(|row| row.settled)),
            };
            let child = plan.child(step, child);
            if free && self.row(&child).is_none() {
                self.agenda.push_back(Next::Consider(child));
            }
        }
    }
}

fn is_pending(row: &Row) -> bool {
    row.status == TaskStatus::Pending
}
