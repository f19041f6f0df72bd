//! The order of steps: which step a settled one sets free, and how a block completes.

use oarlock_protocol::instance::TaskStatus;
use oarlock_protocol::{ErrorDetails, TaskPath};

use super::{Decider, Step};
use crate::plan::{NodeId, Plan, Wait};
use crate::run::{Block, Body, Ending, Row};

impl Decider<'_> {
    /// Begins a block: every child that waits for nothing is considered.
    pub(super) fn begin_block(&mut self, node: NodeId, case: Option<usize>) {
        self.put_row(node, TaskStatus::Running, Body::Block(Block { case, ..Block::default() }));
        let plan = self.plan;
        let children = &plan.children(node, case).ids;
        if children.is_empty() {
            self.agenda.push_back(Step::Empty(node));
        }
        for (position, &child) in children.iter().enumerate() {
            let free = match &plan.node(child).wait {
                Wait::EarlierSiblings => position == 0,
                Wait::These(siblings) => siblings.is_empty(),
            };
            if free {
                self.agenda.push_back(Step::Consider(child));
            }
        }
    }

    /// A step is settled: the block around it counts it, and goes on, completes or ends.
    pub(super) fn settled(&mut self, node: NodeId) {
        let plan = self.plan;
        let Some(parent) = plan.node(node).parent else { return };
        if plan.node(parent).on_error == Some(node) {
            return self.recovered(parent);
        }
        let Some(block) = self.block_mut(parent) else { return };
        block.settled += 1;
        block.active = block.active.saturating_sub(1);
        let (case, settled, active, ending) =
            (block.case, block.settled, block.active, block.ending.is_some());
        if ending {
            if active == 0 {
                self.conclude(parent);
            }
        } else if settled == plan.children(parent, case).ids.len() {
            self.complete(parent);
        } else {
            self.free_dependents(node);
            self.advance_frontier(parent, case);
        }
    }

    /// Considers the siblings that name this step in `dependsOn` and wait for nothing else.
    fn free_dependents(&mut self, node: NodeId) {
        let plan = self.plan;
        for &dependent in &plan.node(node).dependents {
            let Wait::These(siblings) = &plan.node(dependent).wait else { continue };
            let path = &plan.node(dependent).path;
            let met = self.settled_from(siblings, self.run.met.get(path).copied().unwrap_or(0));
            self.run.met.insert(path.clone(), met);
            if met == siblings.len() && self.row(dependent).is_none() {
                self.agenda.push_back(Step::Consider(dependent));
            }
        }
    }

    /// How many of these steps, counted from the first, are all settled; `known` of them are.
    /// Counting on from there looks at each step once over the whole run.
    fn settled_from(&self, steps: &[NodeId], known: usize) -> usize {
        let settled = |step: &&NodeId| self.row(**step).is_some_and(|row| row.settled);
        known + steps.iter().skip(known).take_while(settled).count()
    }

    /// Moves the border behind which all children are settled, and considers the child at it.
    fn advance_frontier(&mut self, parent: NodeId, case: Option<usize>) {
        let plan = self.plan;
        let children = plan.children(parent, case);
        if !children.ordered {
            return;
        }
        let known = self.row(parent).and_then(Row::block).map_or(0, |block| block.frontier);
        let frontier = self.settled_from(&children.ids, known);
        if let Some(block) = self.block_mut(parent) {
            block.frontier = frontier;
        }
        if let Some(&next) = children.ids.get(frontier)
            && plan.node(next).wait == Wait::EarlierSiblings
            && self.row(next).is_none()
        {
            self.agenda.push_back(Step::Consider(next));
        }
    }

    /// A block without children was begun: it is complete, unless it was ended meanwhile.
    pub(super) fn empty(&mut self, node: NodeId) {
        if !self.is_ending(node) {
            self.complete(node);
        }
    }

    /// All children of a block are settled.
    fn complete(&mut self, node: NodeId) {
        if node == Plan::ROOT {
            return self.end_run(None);
        }
        self.set_status(node, TaskStatus::Completed);
        self.settle(node);
    }

    /// The error handlers of a step are done: the step counts as done, the run ends as it had to.
    fn recovered(&mut self, owner: NodeId) {
        if owner == Plan::ROOT {
            return self.close_run();
        }
        self.settle(owner);
    }

    /// A step failed for good. Its handlers take it, or `continueOnFailure`, or the block around it fails.
    pub(super) fn failed(&mut self, node: NodeId) {
        let plan = self.plan;
        let step = plan.node(node);
        if self.is_ending_around(node) {
            return self.settle(node);
        }
        if let Some(handlers) = step.on_error {
            self.begin_block(handlers, None);
            return self.tell_status(handlers);
        }
        if step.continue_on_failure {
            return self.settle(node);
        }
        self.fail_upward(node);
    }

    /// Lets the block around a step fail with the step's error.
    fn fail_upward(&mut self, node: NodeId) {
        let plan = self.plan;
        let Some(parent) = plan.node(node).parent else { return };
        let Some(row) = self.row(node) else { return };
        let Some(error) = row.error.clone() else { return };
        let failed_at = row.failed_at.clone().unwrap_or_else(|| self.path(node));
        if plan.node(parent).on_error == Some(node) {
            return self.handlers_failed(parent, node, error, failed_at);
        }
        self.settle(node);
        self.end_block(parent, Ending::Failed { error, failed_at });
    }

    /// The handlers of `owner` failed themselves: the block around it fails with their error.
    fn handlers_failed(&mut self, owner: NodeId, handlers: NodeId, error: ErrorDetails, failed_at: TaskPath) {
        if let Some(row) = self.row_mut(handlers) {
            row.settled = true;
        }
        if owner == Plan::ROOT {
            // The run keeps the error that called the handlers.
            return self.close_run();
        }
        self.settle(owner);
        if let Some(parent) = self.plan.node(owner).parent
            && !self.plan.node(owner).continue_on_failure
        {
            self.end_block(parent, Ending::Failed { error, failed_at });
        }
    }

    /// Whether the block that holds this step is ending, so that nothing more is begun for it.
    /// Error handlers stand beside the step they belong to: the block around that step counts.
    pub(super) fn is_ending_around(&self, node: NodeId) -> bool {
        let plan = self.plan;
        let mut around = plan.node(node).parent;
        if let Some(owner) = around.filter(|&owner| plan.node(owner).on_error == Some(node)) {
            around = plan.node(owner).parent;
        }
        around.is_some_and(|around| self.is_ending(around))
    }

    /// Whether a block is to end early, so that nothing more is begun in it.
    pub(super) fn is_ending(&self, node: NodeId) -> bool {
        self.row(node).and_then(Row::block).is_some_and(|block| block.ending.is_some())
    }
}
