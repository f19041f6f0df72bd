//! Ends what is under way: a run at someone's request, or a block because a child failed or the run ends.

use oarlock_protocol::code::Code;
use oarlock_protocol::instance::TaskStatus;
use oarlock_protocol::message::{ControlMessage, Order};
use oarlock_protocol::{ErrorDetails, FORMAT, Json};

use super::Decider;
use crate::effect::Effect;
use crate::plan::{NodeKind, Plan, Step};
use crate::run::{Body, Ending, Row, Stage};

impl Decider<'_> {
    /// Someone asks that the run end.
    pub(super) fn on_cancel(&mut self, reason: &str) {
        if self.run.head.status.is_terminal() {
            return self.stale("cancel of a run that has ended");
        }
        if self.is_ending(&self.outermost()) || (self.run.head.compensating && !self.run.head.handling) {
            return self.stale("cancel of a run that is ending");
        }
        // The reason may be of any length; an error's message is not.
        let reason = ErrorDetails::system(Code::Cancelled, reason).message;
        self.end_run_early(Ending::Cancelled { reason });
    }

    /// Lets the run end early. Where its end is decided and only its handlers are still at work, these end.
    pub(super) fn end_run_early(&mut self, ending: Ending) {
        self.end_block(&self.outermost(), ending);
    }

    /// The same, with the output that the run is given. It is stored now and not kept in the ending: that lies in the
    /// head, which every event writes.
    pub(super) fn end_run_with(&mut self, ending: Ending, output: Option<Json>) {
        let outermost = self.outermost();
        if output.is_some() && outermost.node == Plan::ROOT && !self.is_ending(&outermost) {
            self.run.output = output;
            self.run.changes.output = true;
        }
        self.end_block(&outermost, ending);
    }

    /// The block that is at work with no other around it.
    fn outermost(&self) -> Step {
        let root = self.plan.root();
        let handlers = self.plan.node(Plan::ROOT).on_error.filter(|_| self.run.head.handling);
        handlers.map_or(root.clone(), |handlers| self.plan.child(&root, handlers))
    }

    /// Lets a block end early: nothing more is begun in it, and what is open in it is told to end.
    /// The first reason counts.
    pub(super) fn end_block(&mut self, step: &Step, ending: Ending) {
        let Some(block) = self.row(step).and_then(Row::block) else { return };
        if block.ending.is_some() {
            return;
        }
        if step.node == Plan::ROOT {
            self.run.head.ending = Some(ending.clone());
            self.touch();
        }
        if let Some(block) = self.row_mut(step).and_then(Row::block_mut) {
            block.ending = Some(ending);
            // Those whose turn to be done again has not come end like all others.
            block.active += std::mem::take(&mut block.again).len();
        }
        if step.node == Plan::ROOT
            || matches!(self.plan.node(step).kind, NodeKind::ForEach(_) | NodeKind::Loop(_))
        {
            self.arm(step);
        }
        for child in self.children_of(step) {
            if self.row(&child).is_some_and(|row| !row.finished()) {
                self.cancel_step(&child);
            }
        }
        // A child that settled earlier in this decision is still to be counted: then its `Settled` concludes.
        if self.row(step).and_then(Row::block).is_some_and(|block| block.active == 0) {
            self.conclude(step);
        }
    }

    /// Ends a step that is under way. What a worker holds stays open until it answers, for a bounded time.
    fn cancel_step(&mut self, step: &Step) {
        let plan = self.plan;
        let attached = [plan.node(step).on_error, plan.node(step).on_timeout];
        for attached in attached.into_iter().flatten().map(|node| plan.child(step, node)) {
            if self.row(&attached).is_some_and(|row| !row.settled) {
                return self.end_block(&attached, around());
            }
        }
        let Some(row) = self.row(step) else { return };
        match &row.body {
            Body::Block(_) if !row.status.is_terminal() || row.settled => self.end_block(step, around()),
            Body::Await(_) if !row.status.is_terminal() => self.stop_waiting(step),
            Body::Work(work) => match work.stage.clone() {
                Stage::Ready { .. } => {
                    self.withdraw(step);
                    self.effects.push(Effect::ClearTimer { path: step.path.clone() });
                    self.cancelled(step, None);
                }
                Stage::Waiting { .. } | Stage::Held => {
                    self.effects.push(Effect::ClearTimer { path: step.path.clone() });
                    let last = self.row(step).and_then(|row| row.error.clone());
                    self.cancelled(step, last);
                }
                Stage::Open(_) => self.tell_to_end(step),
                // Its turn to be done again has not come.
                Stage::Closed if row.status == TaskStatus::Pending => self.cancelled(step, None),
                // It has failed in this very decision: its `Failed` settles it.
                Stage::Closed => {}
            },
            Body::Block(_) | Body::Await(_) | Body::Plain => {}
        }
    }

    fn tell_to_end(&mut self, step: &Step) {
        let until = self.now.after(self.settings.cancel_grace);
        let work = self.row_mut(step).and_then(Row::work_mut);
        let Some(Stage::Open(open)) = work.map(|work| &mut work.stage) else { return };
        open.cancelled_until = Some(until);
        let (control_queue, execution_id) = (open.control_queue.clone(), open.execution_id);
        self.cancel_child(step, execution_id);
        if let Some(control_queue) = control_queue {
            let order = Order::Cancel { reason: "the task was cancelled".to_owned() };
            let message = ControlMessage { format: FORMAT, execution_id, order };
            self.effects.push(Effect::Tell { control_queue, message });
        }
        self.arm(step);
    }
}

fn around() -> Ending {
    Ending::Cancelled { reason: "what is around it ended".to_owned() }
}
