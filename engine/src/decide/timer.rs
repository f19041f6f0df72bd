//! The time came for something that waits. What is due follows from the state, so a timer that fires early or twice is harmless.

use oarlock_protocol::code::Code;
use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};
use oarlock_protocol::message::{ControlMessage, Order};
use oarlock_protocol::{ErrorDetails, FORMAT, TaskPath, Timestamp};

use super::Decider;
use super::attempt::Close;
use crate::effect::Effect;
use crate::plan::{NodeKind, Step};
use crate::run::{Ending, Open, Row, Stage};

impl Decider<'_> {
    /// Looks at what waits at a place.
    pub(super) fn on_timer(&mut self, path: &TaskPath) {
        if path.is_root() {
            return self.run_timer();
        }
        let Some(step) = self.plan.locate(path) else { return self.stale("timer of an unknown task") };
        let step = &step;
        match self.plan.node(step).kind {
            NodeKind::ForEach(_) => return self.each_timer(step),
            NodeKind::Loop(_) => return self.loop_timer(step),
            NodeKind::Await(_) => return self.wait_timer(step),
            _ => {}
        }
        match self.stage(step).cloned() {
            Some(Stage::Waiting { .. }) if self.deadline(step).is_some_and(|end| self.now >= end) => {
                self.timed_out(step);
            }
            Some(Stage::Waiting { until, .. }) if self.now < until => self.arm(step),
            Some(Stage::Waiting { since, .. }) => self.waited(step, since),
            Some(Stage::Ready { since }) => self.ready_timer(step, since),
            Some(Stage::Open(open)) => self.open_timer(step, &open),
            Some(Stage::Held) => self.held_timer(step),
            Some(Stage::Closed) | None => self.stale("timer of a closed task"),
        }
    }

    /// The run's own timer: its total time is over, or its retention.
    fn run_timer(&mut self) {
        let root = self.plan.root();
        match self.timers().at(&root.path) {
            None => return self.stale("timer of a run without a time limit"),
            Some(until) if self.now < until => return self.arm(&root),
            Some(_) => {}
        }
        if self.run.head.status.is_terminal() {
            return self.effects.push(Effect::Forget);
        }
        let total = self.plan.definition.timeouts.total.unwrap_or_default();
        let error = ErrorDetails::system(Code::TimeoutTotal, format!("the run took longer than {total}"));
        self.end_block(&root, Ending::TimedOut { error });
    }

    /// The delay of a retry is over.
    fn waited(&mut self, step: &Step, since: Timestamp) {
        self.run.head.metrics.total_retry_wait_ms += self.now.since(since).as_millis();
        self.touch();
        self.make_ready(step);
    }

    /// A ready task has waited long. The time of a pause is no time in a queue: a resume counts it anew.
    fn ready_timer(&mut self, step: &Step, since: Timestamp) {
        let paused = self.run.head.status == WorkflowStatus::Paused;
        let queue_time = self.timeouts(step).queue.filter(|_| !paused);
        let deadline = self.deadline(step);
        if deadline.is_some_and(|deadline| self.now >= deadline) {
            self.withdraw(step);
            return self.timed_out(step);
        }
        match queue_time {
            Some(span) if self.now >= since.after(span) => {
                self.withdraw(step);
                let message = format!("no worker was free for it within {span}");
                self.attempt_failed(step, ErrorDetails::system(Code::TimeoutQueue, message));
            }
            _ => self.arm(step),
        }
    }

    /// A ready task was held back by a pause until then. It is no time in a queue either.
    pub(super) fn on_held_back(&mut self, path: &TaskPath, until: Timestamp) {
        let Some(step) = self.plan.locate(path) else { return self.stale("pause of an unknown task") };
        let until = until.min(self.now);
        match self.stage(&step) {
            Some(Stage::Ready { since }) if *since < until => {}
            _ => return self.stale("pause of a task that does not wait for its turn"),
        }
        if let Some(work) = self.row_mut(&step).and_then(Row::work_mut) {
            work.stage = Stage::Ready { since: until };
        }
        self.touch();
        self.arm(&step);
    }

    pub(super) fn withdraw(&mut self, step: &Step) {
        let Some(work) = self.row(step).and_then(Row::work) else { return };
        let queue = work.queue.clone();
        self.effects.push(Effect::Withdraw { path: step.path.clone(), queue });
    }

    fn held_timer(&mut self, step: &Step) {
        match self.deadline(step) {
            Some(_) if self.undoes(step) => self.stale("timer of a held compensation"),
            Some(deadline) if self.now >= deadline => self.timed_out(step),
            Some(_) => self.arm(step),
            None => self.stale("timer of a held task"),
        }
    }

    fn open_timer(&mut self, step: &Step, open: &Open) {
        match self.overdue(step, open) {
            Some(Overdue::Cancelled) if self.child(step).is_some_and(|child| child.wait) => {
                self.cancel_child_again(step, open);
            }
            Some(Overdue::Cancelled) => {
                let error =
                    ErrorDetails::system(Code::Cancelled, "cancelled; its worker did not answer in time");
                self.close_overdue(step, open, &error);
                self.cancelled(step, Some(error));
            }
            Some(Overdue::Deadline) => {
                let error = ErrorDetails::system(Code::TimeoutTotal, "its total time is over");
                self.close_overdue(step, open, &error);
                self.timed_out(step);
            }
            Some(Overdue::Attempt(error)) => {
                self.close_overdue(step, open, &error);
                self.attempt_failed(step, error);
            }
            None if open.cancelled_until.is_none() && open.ask_at.is_some_and(|at| self.now >= at) => {
                self.ask_child(step, open);
            }
            None => self.arm(step),
        }
    }

    /// Which limit of an open attempt has passed; the one that ends most comes first.
    fn overdue(&self, step: &Step, open: &Open) -> Option<Overdue> {
        let now = self.now;
        let slack = self.settings.slack;
        let timeouts = self.timeouts(step);
        if open.cancelled_until.is_some_and(|until| now >= until) {
            return Some(Overdue::Cancelled);
        }
        if open.deadline.is_some_and(|deadline| now >= deadline.after(slack)) {
            return Some(Overdue::Deadline);
        }
        if open.accepted {
            return None;
        }
        let attempt = |code, message: String| Some(Overdue::Attempt(ErrorDetails::system(code, message)));
        let Some(started) = open.started else {
            let late = open.start_before.is_some_and(|before| now >= before.after(slack));
            let span = timeouts.queue.unwrap_or_default();
            let message = || format!("no worker took it within {span}");
            return if late { attempt(Code::TimeoutQueue, message()) } else { None };
        };
        if let Some(span) = timeouts.execution.filter(|&span| now >= started.after(span).after(slack)) {
            return attempt(Code::TimeoutExecution, format!("it ran longer than {span}"));
        }
        let silent = timeouts.heartbeat.filter(|&span| open.seen.is_some_and(|seen| now >= seen.after(span)));
        silent.and_then(|span| attempt(Code::TimeoutHeartbeat, format!("its worker was silent for {span}")))
    }

    fn close_overdue(&mut self, step: &Step, open: &Open, error: &ErrorDetails) {
        self.close_attempt(step, Close { error: Some(error), ..Close::default() });
        self.cancel_child(step, open.execution_id);
        if let Some(control_queue) = open.control_queue.clone() {
            let message =
                ControlMessage { format: FORMAT, execution_id: open.execution_id, order: Order::Closed };
            self.effects.push(Effect::Tell { control_queue, message });
        }
    }

    fn timed_out(&mut self, step: &Step) {
        let total = self.timeouts(step).total.unwrap_or_default();
        let message = format!("all attempts together took longer than {total}");
        let error = ErrorDetails::system(Code::TimeoutTotal, message);
        self.note_unknown_outcome(step);
        if self.undoes(step) {
            return self.hold(step, error);
        }
        self.fail(step, TaskStatus::TimedOut, error, None);
    }
}

enum Overdue {
    Cancelled,
    Deadline,
    Attempt(ErrorDetails),
}
