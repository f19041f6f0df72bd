//! What operators do with a run: let it pause, go on, or have its failed steps done again.

use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::{ErrorDetails, Json};

use super::Decider;
use crate::effect::Effect;
use crate::plan::Step;
use crate::run::{Row, Stage};

impl Decider<'_> {
    /// An operator lets the run pause: nothing more is dispatched.
    pub(super) fn on_pause(&mut self) {
        match self.run.head.status {
            WorkflowStatus::Paused if self.run.head.held_back => {
                self.stale("pause of a run that is paused");
            }
            status if status.is_terminal() => {
                self.reject(
                    "CONFLICT",
                    &format!("the run has ended {}; only one under way can be paused", status.as_str()),
                );
            }
            _ => {
                self.run.head.held_back = true;
                self.touch();
                self.pause();
            }
        }
    }

    pub(super) fn pause(&mut self) {
        self.set_run_status(WorkflowStatus::Paused);
        for step in self.tasks_at(|stage| matches!(stage, Stage::Ready { .. })) {
            self.withdraw(&step);
            self.arm(&step);
        }
    }

    /// The tasks whose next move comes from there, in an order that is the same each time.
    fn tasks_at(&self, there: fn(&Stage) -> bool) -> Vec<Step> {
        let holds = |row: &Row| row.work().is_some_and(|work| there(&work.stage));
        let rows = self.run.rows.iter().filter(|(_, row)| holds(row));
        let mut steps: Vec<Step> =
            rows.map(|(path, row)| Step { node: row.node, path: path.clone() }).collect();
        steps.sort_unstable();
        steps
    }

    /// An operator lets a PAUSED run go on: what was held begins its retries anew, and what was ready waits for
    /// admission from now on.
    pub(super) fn on_resume(&mut self) {
        match self.run.head.status {
            WorkflowStatus::Paused => {}
            status if status.is_terminal() => {
                return self.reject(
                    "CONFLICT",
                    &format!("the run has ended {}; only a PAUSED one goes on", status.as_str()),
                );
            }
            _ => return self.stale("resume of a run that is not paused"),
        }
        self.run.head.held_back = false;
        let undoes = self.run.head.compensating && !self.run.head.handling;
        self.set_run_status(if undoes { WorkflowStatus::Compensating } else { WorkflowStatus::Running });
        let now = self.now;
        for step in self.tasks_at(|stage| matches!(stage, Stage::Ready { .. } | Stage::Held)) {
            let undoes = self.undoes(&step);
            if let Some(work) = self.row_mut(&step).and_then(Row::work_mut)
                && work.stage == Stage::Held
            {
                (work.retry_count, work.first_dispatch) = (0, None);
                if undoes {
                    // No time ended it, so its time counts anew.
                    work.first_ready = now;
                }
            }
            if self.row(&step).is_some_and(|row| row.input.is_none()) {
                // Its input could not be made: perhaps it can now.
                self.evaluate_again(&step);
            } else {
                self.make_ready(&step);
            }
        }
    }

    /// An operator has what did not complete in an ended run done again.
    pub(super) fn on_retry(&mut self) {
        let head = &self.run.head;
        match head.status {
            WorkflowStatus::Failed | WorkflowStatus::Cancelled | WorkflowStatus::TimedOut => {}
            WorkflowStatus::Completed => {
                return self.reject("CONFLICT", "the run has COMPLETED: nothing is left to do again");
            }
            _ => return self.stale("retry of a run that is under way"),
        }
        if head.compensating {
            let reason = "the run has undone what it did; start it anew instead";
            return self.reject("CONFLICT", reason);
        }
        if head.parent.as_ref().is_some_and(|parent| parent.wait) {
            let reason = "the run was started by another, which knows its end; retry that one instead";
            return self.reject("CONFLICT", reason);
        }
        self.open_again();
    }

    pub(super) fn reject(&mut self, code: &str, message: &str) {
        let error = ErrorDetails {
            code: code.to_owned(),
            message: message.to_owned(),
            details: Json::Null,
            retryable: false,
        };
        self.effects.push(Effect::Rejected { error: error.bounded() });
    }
}
