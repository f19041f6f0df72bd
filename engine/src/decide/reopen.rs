//! Opens a run that had ended: what did not complete is done again, in a new generation.

use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};

use super::{Decider, Next};
use crate::effect::Effect;
use crate::plan::{NodeKind, Plan, Step, Wait};
use crate::run::{Body, Row};

impl Decider<'_> {
    /// Takes back that the run has ended, and whatever in it did not complete, and lets it go on from there.
    pub(super) fn open_again(&mut self) {
        let root = self.plan.root();
        let head = &mut self.run.head;
        head.generation += 1;
        (head.end_time, head.error, head.failed_at, head.ending, head.handling) =
            (None, None, None, None, false);
        self.run.changes.output |= self.run.output.take().is_some();
        self.set_run_status(WorkflowStatus::Running);
        self.touch();
        self.effects.push(match self.plan.definition.timeouts.total {
            // Its time counts anew.
            Some(total) => Effect::SetTimer { path: root.path.clone(), at: self.now.after(total) },
            None => Effect::ClearTimer { path: root.path.clone() },
        });
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
        ready.iter().for_each(|step| self.make_ready(step));
        blocks.iter().for_each(|block| self.go_on_again(block));
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

    /// Whether nothing is left to do for a step, or it was let pass.
    fn is_done(&self, step: &Step, row: &Row) -> bool {
        let node = self.plan.node(step);
        let handlers = node.on_error.or(node.on_timeout).map(|handlers| self.plan.child(step, handlers));
        let handled = handlers.and_then(|handlers| self.row(&handlers)).map(|handlers| handlers.status);
        match row.status {
            TaskStatus::Completed | TaskStatus::Skipped => true,
            TaskStatus::Failed | TaskStatus::TimedOut => {
                node.continue_on_failure || handled == Some(TaskStatus::Completed)
            }
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
                (block.ending, block.pause) = (None, None);
            }
        }
        self.set_status(step, TaskStatus::Running);
        if let Err(error) = self.begin_variables(step) {
            self.fail(step, TaskStatus::Failed, error, None);
        }
    }

    /// Considers whatever in an opened block waits for nothing more.
    fn go_on_again(&mut self, step: &Step) {
        let plan = self.plan;
        match plan.node(step).kind {
            NodeKind::ForEach(_) => return self.agenda.push_back(Next::Activate(step.clone())),
            NodeKind::Loop(_) => return self.agenda.push_back(Next::Round(step.clone())),
            _ => {}
        }
        let Some(block) = self.row(step).and_then(Row::block) else { return };
        let (case, frontier, settled) = (block.case, block.frontier, block.settled);
        let children = plan.children(step, case);
        if settled == children.ids.len() {
            // All of it was done: what had ended it was its own output, or a `join`.
            return self.agenda.push_back(Next::Empty(step.clone()));
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
