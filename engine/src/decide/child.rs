//! Runs that start runs: the step is an attempt like any other, and how the child ends is its result.

use oarlock_protocol::{ExecutionId, RunId};

use super::Decider;
use super::attempt::next_question;
use crate::effect::Effect;
use crate::plan::{ChildNode, Step};
use crate::run::{Open, Row, Stage};

impl Decider<'_> {
    /// The workflow a step starts a run of, where it does.
    pub(super) fn child(&self, step: &Step) -> Option<&ChildNode> {
        self.plan.work(step).and_then(|work| work.child.as_ref())
    }

    /// The time came to ask a child run whether it lives: its start is sent again, and answered if it is known.
    pub(super) fn ask_child(&mut self, step: &Step, open: &Open) {
        let now = self.now;
        let begun =
            self.row(step).and_then(Row::work).and_then(|work| Some(work.attempts.last()?.scheduled_at));
        let work = self.row_mut(step).and_then(Row::work_mut);
        if let Some(Stage::Open(open)) = work.map(|work| &mut work.stage) {
            open.ask_at = Some(next_question(begun.unwrap_or(now), now));
        }
        let (path, execution_id) = (step.path.clone(), open.execution_id);
        let child = RunId::child_of(execution_id);
        self.effects.push(Effect::StartChild { path, execution_id, child, again: true });
        self.arm(step);
    }

    /// A child run that was told to end has not answered yet: it is told again.
    pub(super) fn cancel_child_again(&mut self, step: &Step, open: &Open) {
        let until = self.now.after(self.settings.cancel_grace);
        let work = self.row_mut(step).and_then(Row::work_mut);
        if let Some(Stage::Open(open)) = work.map(|work| &mut work.stage) {
            open.cancelled_until = Some(until);
        }
        self.cancel_child(step, open.execution_id);
        self.arm(step);
    }

    /// The step no longer waits for the run that its attempt is: that run is told to end.
    pub(super) fn cancel_child(&mut self, step: &Step, execution_id: ExecutionId) {
        if self.child(step).is_some_and(|child| child.wait) {
            self.effects.push(Effect::CancelChild { path: step.path.clone(), execution_id });
        }
    }

    /// The run has ended: the step that started it hears how, where it waits.
    pub(super) fn tell_parent(&mut self) {
        if self.run.head.parent.as_ref().is_some_and(|parent| parent.wait) {
            self.effects.push(Effect::TellParent);
        }
    }

    /// The run was accepted: a step that does not wait for its end is done.
    pub(super) fn tell_parent_of_start(&mut self) {
        if self.run.head.parent.as_ref().is_some_and(|parent| !parent.wait) {
            self.effects.push(Effect::TellParent);
        }
    }
}
