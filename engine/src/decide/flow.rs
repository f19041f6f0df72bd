//! The order of steps: which step a settled one sets free, and how a block completes.

use oarlock_protocol::instance::{InstanceKind, TaskStatus};
use oarlock_protocol::{ErrorDetails, TaskPath};

use super::{Decider, Step};
use crate::plan::{NodeId, NodeKind, Plan, Wait};
use crate::run::{Block, Body, Ending};

impl Decider<'_> {
    /// Begins a block: every child that waits for nothing is considered.
    pub(super) fn begin_block(&mut self, node: NodeId, case: Option<usize>) {
        self.put_row(node, TaskStatus::Running, Body::Block(Block { case, ..Block::default() }));
        let plan = self.plan;
        for (position, &child) in plan.children(node, case).ids.iter().enumerate() {
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
            // Counted once, when the first of them settles (or after a reload); then only counted down.
            let left = match self.run.remaining.get(path) {
                Some(left) => left.saturating_sub(1),
                None => siblings
                    .iter()
                    .filter(|&&sibling| !self.row(sibling).is_some_and(|row| row.settled))
                    .count(),
            };
            self.run.remaining.insert(path.clone(), left);
            if left == 0 && self.row(dependent).is_none() {
                self.agenda.push_back(Step::Consider(dependent));
            }
        }
    }

    /// Moves the border behind which all children are settled, and considers the child at it.
    fn advance_frontier(&mut self, parent: NodeId, case: Option<usize>) {
        let plan = self.plan;
        let children = plan.children(parent, case);
        if !children.ordered {
            return;
        }
        let Some(mut frontier) = self.block_mut(parent).map(|block| block.frontier) else { return };
        while children.ids.get(frontier).is_some_and(|&child| self.row(child).is_some_and(|row| row.settled))
        {
            frontier += 1;
        }
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
        self.fail_upward(node, node);
    }

    /// Lets the block around `node` fail with the error of `source`: the step itself, or a handler of it.
    fn fail_upward(&mut self, node: NodeId, source: NodeId) {
        let Some(parent) = self.plan.node(node).parent else { return };
        let source_path = self.path(source);
        let Some(row) = self.row(source) else { return };
        let Some(error) = row.error.clone() else { return };
        let failed_at = row.failed_at.clone().unwrap_or(source_path);
        if matches!(&self.plan.node(node).kind, NodeKind::Block(block) if block.kind == InstanceKind::OnError)
        {
            return self.handlers_failed(parent, node, error, failed_at);
        }
        self.settle(node);
        self.end_block(parent, Ending::Failed { error, failed_at });
    }

    /// The handlers of `owner` failed themselves: so does the owner, with their error.
    fn handlers_failed(&mut self, owner: NodeId, handlers: NodeId, error: ErrorDetails, failed_at: TaskPath) {
        if let Some(row) = self.row_mut(handlers) {
            row.settled = true;
        }
        if owner == Plan::ROOT {
            // The run keeps the error that called the handlers.
            return self.close_run();
        }
        let Some(parent) = self.plan.node(owner).parent else { return };
        self.settle(owner);
        self.end_block(parent, Ending::Failed { error, failed_at });
    }

    /// Whether the block that holds this step is ending, so that nothing more is begun for it.
    /// Error handlers stand beside the step they belong to: the block around that step counts.
    pub(super) fn is_ending_around(&self, node: NodeId) -> bool {
        let plan = self.plan;
        let mut around = plan.node(node).parent;
        if let Some(owner) = around.filter(|&owner| plan.node(owner).on_error == Some(node)) {
            around = plan.node(owner).parent;
        }
        around.and_then(|parent| self.row(parent)?.block()).is_some_and(|block| block.ending.is_some())
    }
}
