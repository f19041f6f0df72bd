//! The time came for something that waits. What is due follows from the state, so a timer that fires early or twice is harmless.

use oarlock_protocol::code::Code;
use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};
use oarlock_protocol::message::{ControlMessage, Order};
use oarlock_protocol::{ErrorDetails, FORMAT, TaskPath, Timestamp};

use super::Decider;
use super::attempt::Close;
use crate::effect::Effect;
use crate::plan::{NodeId, Plan};
use crate::run::{Ending, Open, Row, Stage};

impl Decider<'_> {
    /// Looks at what waits at a place.
    pub(super) fn on_timer(&mut self, path: &TaskPath) {
        if path.is_root() {
            return self.run_timer();
        }
        let Some(node) = self.plan.locate(path) else { return self.stale("timer of an unknown task") };
        match self.stage(node).cloned() {
            Some(Stage::Waiting { until, .. }) if self.now < until => self.rearm(node, until),
            Some(Stage::Waiting { since, .. }) => self.waited(node, since),
            Some(Stage::Ready { since }) => self.ready_timer(node, since),
            Some(Stage::Open(open)) => self.open_timer(node, &open),
            Some(Stage::Held) => self.held_timer(node),
            Some(Stage::Closed) | None => self.stale("timer of a closed task"),
        }
    }

    /// The run's own timer: its total time is over, or its retention.
    fn run_timer(&mut self) {
        let head = &self.run.head;
        if head.status.is_terminal() {
            let kept = self.plan.definition.retention.unwrap_or(self.settings.retention);
            let until = head.end_time.unwrap_or(head.updated_at).after(kept);
            if self.now >= until {
                self.effects.push(Effect::Forget);
            } else {
                self.effects.push(Effect::SetTimer { path: TaskPath::root(), at: until });
            }
            return;
        }
        let Some(total) = self.plan.definition.timeouts.total.filter(|_| !head.handling) else {
            return self.stale("timer of a run without a time limit");
        };
        let until = head.created_at.after(total);
        if self.now < until {
            self.effects.push(Effect::SetTimer { path: TaskPath::root(), at: until });
        } else if head.ending.is_none() {
            let error = ErrorDetails::system(Code::TimeoutTotal, format!("the run took longer than {total}"));
            self.end_block(Plan::ROOT, Ending::TimedOut { error });
        }
    }

    /// The delay of a retry is over.
    fn waited(&mut self, node: NodeId, since: Timestamp) {
        self.run.head.metrics.total_retry_wait_ms += self.now.since(since).as_millis();
        self.touch();
        self.make_ready(node);
    }

    /// A ready task has waited long. The time of a pause is no time in a queue: a resume counts it anew.
    fn ready_timer(&mut self, node: NodeId, since: Timestamp) {
        let paused = self.run.head.status == WorkflowStatus::Paused;
        let queue_time = self.timeouts(node).queue.filter(|_| !paused);
        let deadline = self.deadline(node);
        if deadline.is_some_and(|deadline| self.now >= deadline) {
            self.withdraw(node);
            return self.timed_out(node);
        }
        match queue_time {
            Some(span) if self.now >= since.after(span) => {
                self.withdraw(node);
                let message = format!("no worker was free for it within {span}");
                self.attempt_failed(node, ErrorDetails::system(Code::TimeoutQueue, message));
            }
            _ => {
                let at = [deadline, queue_time.map(|span| since.after(span))].into_iter().flatten().min();
                at.into_iter().for_each(|at| self.rearm(node, at));
            }
        }
    }

    pub(super) fn withdraw(&mut self, node: NodeId) {
        let Some(work) = self.row(node).and_then(Row::work) else { return };
        let queue = work.queue.clone();
        self.effects.push(Effect::Withdraw { path: self.path(node), queue });
    }

    fn held_timer(&mut self, node: NodeId) {
        match self.deadline(node) {
            Some(deadline) if self.now >= deadline => self.timed_out(node),
            Some(deadline) => self.rearm(node, deadline),
            None => self.stale("timer of a held task"),
        }
    }

    fn open_timer(&mut self, node: NodeId, open: &Open) {
        match self.overdue(node, open) {
            Some(Overdue::Cancelled) => {
                let error =
                    ErrorDetails::system(Code::Cancelled, "cancelled; its worker did not answer in time");
                self.close_overdue(node, open, &error);
                self.cancelled(node, Some(error));
            }
            Some(Overdue::Deadline) => {
                let error = ErrorDetails::system(Code::TimeoutTotal, "its total time is over");
                self.close_overdue(node, open, &error);
                self.timed_out(node);
            }
            Some(Overdue::Attempt(error)) => {
                self.close_overdue(node, open, &error);
                self.attempt_failed(node, error);
            }
            None => {
                if let Some(at) = self.due(node) {
                    self.rearm(node, at);
                }
            }
        }
    }

    /// Which limit of an open attempt has passed; the one that ends most comes first.
    fn overdue(&self, node: NodeId, open: &Open) -> Option<Overdue> {
        let now = self.now;
        let slack = self.settings.slack;
        let timeouts = self.timeouts(node);
        if open.cancelled_until.is_some_and(|until| now >= until) {
            return Some(Overdue::Cancelled);
        }
        if open.deadline.is_some_and(|deadline| now >= deadline.after(slack)) {
            return Some(Overdue::Deadline);
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

    fn close_overdue(&mut self, node: NodeId, open: &Open, error: &ErrorDetails) {
        self.close_attempt(node, Close { error: Some(error), ..Close::default() });
        if let Some(control_queue) = open.control_queue.clone() {
            let message =
                ControlMessage { format: FORMAT, execution_id: open.execution_id, order: Order::Closed };
            self.effects.push(Effect::Tell { control_queue, message });
        }
    }

    fn timed_out(&mut self, node: NodeId) {
        let total = self.timeouts(node).total.unwrap_or_default();
        let message = format!("all attempts together took longer than {total}");
        self.fail(node, TaskStatus::TimedOut, ErrorDetails::system(Code::TimeoutTotal, message), None);
    }

    fn rearm(&mut self, node: NodeId, at: Timestamp) {
        self.effects.push(Effect::SetTimer { path: self.path(node), at });
    }
}

enum Overdue {
    Cancelled,
    Deadline,
    Attempt(ErrorDetails),
}
