//! The order of steps: which step a settled one sets free, and how a block completes.

use oarlock_protocol::instance::TaskStatus;
use oarlock_protocol::{ErrorDetails, TaskPath};

use super::{Decider, Finished, Next};
use crate::plan::{Attachment, NodeKind, Plan, Step, Wait};
use crate::run::{Block, Body, Ending, Row};

impl Decider<'_> {
    /// Begins a block: every child that waits for nothing is considered.
    pub(super) fn begin_block(&mut self, step: &Step, case: Option<usize>) {
        self.put_row(step, TaskStatus::Running, Body::Block(Block { case, ..Block::default() }));
        if step.node != Plan::ROOT {
            self.tell_status(step);
        }
        if self.begin_variables(step) {
            self.begin_children(step, case);
        }
    }

    /// Considers every child of a block that waits for nothing and was not reached.
    pub(super) fn begin_children(&mut self, step: &Step, case: Option<usize>) {
        let plan = self.plan;
        let children = &plan.children(step, case).ids;
        if children.is_empty() {
            self.agenda.push_back(Next::Empty(step.clone()));
        }
        for (position, &child) in children.iter().enumerate() {
            let free = match &plan.node(child).wait {
                Wait::EarlierSiblings => position == 0,
                Wait::These(siblings) => siblings.is_empty(),
            };
            if free {
                self.agenda.push_back(Next::Consider(plan.child(step, child)));
            }
        }
    }

    /// A step is settled: the block around it counts it, and goes on, completes or ends.
    pub(super) fn settled(&mut self, step: &Step, finished: Finished) {
        let plan = self.plan;
        let Some(parent) = plan.parent(step) else { return };
        match plan.attachment(step) {
            Some(Attachment::OnError) => return self.recovered(&parent),
            Some(Attachment::OnTimeout) => return self.settle(&parent),
            Some(Attachment::Compensation) => return self.undo_next(),
            None => {}
        }
        let status = self.row(step).map_or(TaskStatus::Skipped, |row| row.status);
        let Some(block) = self.block_mut(&parent) else { return };
        block.settled += 1;
        match status {
            TaskStatus::Completed => block.completed += 1,
            TaskStatus::Failed | TaskStatus::TimedOut => block.failed += 1,
            _ => {}
        }
        if finished == Finished::Yes {
            block.active = block.active.saturating_sub(1);
        }
        self.go_on(&parent, step);
    }

    /// A child of a block is settled, or nothing is open in it any more: the block goes on, completes or ends.
    fn go_on(&mut self, parent: &Step, step: &Step) {
        let plan = self.plan;
        let Some(block) = self.row(parent).and_then(Row::block) else { return };
        let (case, active, ending) = (block.case, block.active, block.ending.is_some());
        if ending {
            if active == 0 {
                self.conclude(parent);
            }
            return;
        }
        match &plan.node(parent).kind {
            NodeKind::ForEach(each) => self.iteration_ended(parent, each),
            NodeKind::Loop(repeat) => self.round_ended(parent, repeat, step),
            _ => {
                if !self.is_joined(parent, plan.children(parent, case).ids.len()) {
                    self.free_dependents(parent, step);
                    self.advance_frontier(parent, case);
                }
            }
        }
    }

    /// A step that was settled before has nothing open in it any more.
    pub(super) fn finished(&mut self, step: &Step) {
        self.drop_variables(step);
        let Some(parent) = self.plan.parent(step) else { return };
        let Some(block) = self.block_mut(&parent) else { return };
        block.active = block.active.saturating_sub(1);
        self.go_on(&parent, step);
    }

    /// The children of a block that may have been reached.
    pub(super) fn children_of(&self, step: &Step) -> Vec<Step> {
        let plan = self.plan;
        let Some(block) = self.row(step).and_then(Row::block) else { return Vec::new() };
        match plan.node(step).kind {
            NodeKind::ForEach(_) | NodeKind::Loop(_) => plan.kept(step, block.begun),
            _ => plan.children(step, block.case).ids.iter().map(|&child| plan.child(step, child)).collect(),
        }
    }

    /// Considers the siblings that name this step in `dependsOn` and wait for nothing else.
    fn free_dependents(&mut self, parent: &Step, step: &Step) {
        let plan = self.plan;
        for &dependent in &plan.node(step).dependents {
            let Wait::These(siblings) = &plan.node(dependent).wait else { continue };
            let dependent = plan.child(parent, dependent);
            let known = self.run.met.get(&dependent.path).copied().unwrap_or(0);
            let met = self.settled_from(parent, siblings, known);
            self.run.met.insert(dependent.path.clone(), met);
            if met == siblings.len() && self.row(&dependent).is_none() {
                self.agenda.push_back(Next::Consider(dependent));
            }
        }
    }

    /// How many of these steps, counted from the first, are all settled; `known` of them are.
    /// Counting on from there looks at each step once over the whole run.
    fn settled_from(&self, parent: &Step, steps: &[crate::NodeId], known: usize) -> usize {
        let settled =
            |id: &&crate::NodeId| self.row(&self.plan.child(parent, **id)).is_some_and(|row| row.settled);
        known + steps.iter().skip(known).take_while(settled).count()
    }

    /// Moves the border behind which all children are settled, and considers the child at it.
    fn advance_frontier(&mut self, parent: &Step, case: Option<usize>) {
        let plan = self.plan;
        let children = plan.children(parent, case);
        if !children.ordered {
            return;
        }
        let known = self.row(parent).and_then(Row::block).map_or(0, |block| block.frontier);
        let frontier = self.settled_from(parent, &children.ids, known);
        if let Some(block) = self.block_mut(parent) {
            block.frontier = frontier;
        }
        if let Some(&next) = children.ids.get(frontier)
            && plan.node(next).wait == Wait::EarlierSiblings
        {
            let next = plan.child(parent, next);
            if self.row(&next).is_none() {
                self.agenda.push_back(Next::Consider(next));
            }
        }
    }

    /// A block without children was begun: it is complete, unless it was ended meanwhile.
    pub(super) fn empty(&mut self, step: &Step) {
        if !self.is_ending(step) {
            self.complete(step);
        }
    }

    /// All children of a block are settled, or enough of them: it is done, with what it gives.
    pub(super) fn complete(&mut self, step: &Step) {
        if step.node == Plan::ROOT {
            return self.end_run(None);
        }
        match self.block_output(step) {
            Ok(output) => {
                if let Some(output) = output {
                    self.run.set_output(&step.path, output);
                }
                self.set_status(step, TaskStatus::Completed);
                self.settle(step);
            }
            Err(error) => self.gives_nothing(step, error),
        }
    }

    /// What a block gives could not be made: it fails, when all in it has closed.
    fn gives_nothing(&mut self, step: &Step, error: ErrorDetails) {
        if let Some(block) = self.row_mut(step).and_then(Row::block_mut) {
            block.rest = false;
        }
        if self.is_ending(step) {
            return self.fail(step, TaskStatus::Failed, error, None);
        }
        let failed_at = step.path.clone();
        self.end_block(step, Ending::Failed { error, failed_at });
    }

    /// The error handlers of a step are done: the step counts as done, the run ends as it had to.
    fn recovered(&mut self, owner: &Step) {
        if owner.node == Plan::ROOT {
            return self.close_run();
        }
        self.settle(owner);
    }

    /// A step failed for good. Its handlers take it, or `continueOnFailure`, or the block around it fails.
    pub(super) fn failed(&mut self, step: &Step) {
        let plan = self.plan;
        let node = plan.node(step);
        if self.is_ending_around(step) {
            return self.settle(step);
        }
        if let Some(handlers) = node.on_error {
            let handlers = plan.child(step, handlers);
            return self.begin_block(&handlers, None);
        }
        if node.continue_on_failure {
            return self.settle(step);
        }
        self.fail_upward(step);
    }

    /// Lets the block around a step fail with the step's error, unless that block bears it.
    fn fail_upward(&mut self, step: &Step) {
        let plan = self.plan;
        let Some(parent) = plan.parent(step) else { return };
        let Some(row) = self.row(step) else { return };
        let Some(error) = row.error.clone() else { return };
        let failed_at = row.failed_at.clone().unwrap_or_else(|| step.path.clone());
        match plan.attachment(step) {
            Some(Attachment::OnError) => return self.handlers_failed(&parent, step, error, failed_at),
            Some(Attachment::OnTimeout) => return self.late_steps_failed(&parent, step, error, failed_at),
            Some(Attachment::Compensation) | None => {}
        }
        self.settle(step);
        if !self.bears_failures(&parent) {
            self.end_block(&parent, Ending::Failed { error, failed_at });
        }
    }

    /// The handlers of `owner` failed themselves: the block around it fails with their error.
    fn handlers_failed(&mut self, owner: &Step, handlers: &Step, error: ErrorDetails, failed_at: TaskPath) {
        if let Some(row) = self.row_mut(handlers) {
            row.settled = true;
        }
        if owner.node == Plan::ROOT {
            // The run keeps the error that called the handlers.
            return self.close_run();
        }
        self.settle(owner);
        if let Some(parent) = self.plan.parent(owner)
            && !self.plan.node(owner).continue_on_failure
            && !self.bears_failures(&parent)
        {
            self.end_block(&parent, Ending::Failed { error, failed_at });
        }
    }

    /// The `onTimeout` steps of `owner` failed: it fails with their error, as if it had itself.
    fn late_steps_failed(&mut self, owner: &Step, late: &Step, error: ErrorDetails, failed_at: TaskPath) {
        if let Some(row) = self.row_mut(late) {
            row.settled = true;
        }
        if let Some(row) = self.row_mut(owner) {
            (row.error, row.failed_at) = (Some(error), Some(failed_at));
        }
        self.agenda.push_back(Next::Failed(owner.clone()));
    }

    /// Whether the block that holds this step is ending, so that nothing more is begun for it.
    /// What is attached to a step stands beside it: the block around that step counts.
    pub(super) fn is_ending_around(&self, step: &Step) -> bool {
        let plan = self.plan;
        match plan.attachment(step) {
            // The run has ended already, but for these.
            Some(Attachment::Compensation) => false,
            Some(Attachment::OnError | Attachment::OnTimeout) => {
                plan.parent(step).and_then(|owner| plan.parent(&owner)).is_some_and(|a| self.is_ending(&a))
            }
            None => plan.parent(step).is_some_and(|around| self.is_ending(&around)),
        }
    }

    /// Whether a block is to end early, so that nothing more is begun in it.
    pub(super) fn is_ending(&self, step: &Step) -> bool {
        self.row(step).and_then(Row::block).is_some_and(|block| block.ending.is_some())
    }
}
