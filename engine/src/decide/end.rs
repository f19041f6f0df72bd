//! The end of a block that had to end early, and the end of the run.

use oarlock_expression::Limits;
use oarlock_protocol::code::Code;
use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};
use oarlock_protocol::{ErrorDetails, Json};

use super::Decider;
use crate::mapping;
use crate::plan::{Plan, Step};
use crate::run::{Ending, Row};

impl Decider<'_> {
    /// All that was open in an ending block has closed: the block ends as it had to.
    pub(super) fn conclude(&mut self, step: &Step) {
        let Some(block) = self.row(step).and_then(Row::block) else { return };
        let Some(ending) = block.ending.clone() else { return };
        if self.row(step).is_some_and(|row| row.settled) {
            // Enough of it was done before.
            return self.rest_ended(step);
        }
        if step.node == Plan::ROOT {
            return self.end_run(Some(ending));
        }
        match ending {
            Ending::Failed { error, failed_at } => {
                self.fail(step, TaskStatus::Failed, error, Some(failed_at))
            }
            Ending::Enough => self.complete(step),
            Ending::Cancelled { .. } | Ending::TimedOut { .. } | Ending::Completed { .. } => {
                self.set_status(step, TaskStatus::Cancelled);
                self.settle(step);
            }
        }
    }

    /// Every step is settled, or all that was open has closed: the run ends, after its error handlers where it failed.
    pub(super) fn end_run(&mut self, ending: Option<Ending>) {
        let head = &self.run.head;
        if head.status.is_terminal() || head.handling || head.compensating {
            return;
        }
        let ended = match ending {
            None | Some(Ending::Enough | Ending::Completed { with_output: false }) => self.workflow_output(),
            Some(Ending::Completed { with_output: true }) => return self.close_run(),
            Some(Ending::Failed { error, failed_at }) => {
                self.run.head.failed_at = Some(failed_at);
                Err(error)
            }
            Some(Ending::TimedOut { error }) => Err(error),
            Some(Ending::Cancelled { reason }) => {
                self.run.head.error = Some(ErrorDetails::system(Code::Cancelled, reason));
                return self.undo();
            }
        };
        match ended {
            Ok(output) => {
                self.run.output = Some(output);
                self.run.changes.output = true;
                self.close_run();
            }
            Err(error) => {
                self.run.head.error = Some(error);
                self.undo();
            }
        }
    }

    fn workflow_output(&self) -> Result<Json, ErrorDetails> {
        let Some(template) = &self.plan.output else { return Ok(Json::Null) };
        let output = template.evaluate(&self.scope(&self.plan.root()), &Limits::default()).map_err(|e| {
            mapping::unevaluated(e.error.cause, &format!("output{}: {}", e.pointer, e.error.message))
        })?;
        mapping::check(&output, "the workflow's output", self.settings.payload_bytes)?;
        Ok(output)
    }

    /// What was done is undone, where it had to be: the run's error handlers work, unless it was cancelled.
    pub(super) fn handle_failure(&mut self) {
        let cancelled = matches!(self.run.head.ending, Some(Ending::Cancelled { .. }));
        let handlers = self.plan.node(Plan::ROOT).on_error.filter(|_| !cancelled);
        let Some(handlers) = handlers else { return self.close_run() };
        let handlers = self.plan.child(&self.plan.root(), handlers);
        self.run.head.handling = true;
        self.go_on_as(WorkflowStatus::Running);
        self.touch();
        // A run that ended because a decision stored too much still has its handlers run.
        self.stored_bytes = 0;
        // The handlers have time limits of their own; the run's is over or no longer matters.
        self.arm(&self.plan.root());
        self.begin_block(&handlers, None);
    }

    /// Gives the run its terminal status, once.
    pub(super) fn close_run(&mut self) {
        if self.run.head.status.is_terminal() {
            return;
        }
        let head = &mut self.run.head;
        head.end_time = Some(self.now);
        let status = match &head.ending {
            Some(Ending::Cancelled { .. }) => WorkflowStatus::Cancelled,
            Some(Ending::TimedOut { .. }) => WorkflowStatus::TimedOut,
            Some(Ending::Failed { .. }) => WorkflowStatus::Failed,
            Some(Ending::Completed { .. } | Ending::Enough) | None if head.error.is_some() => {
                WorkflowStatus::Failed
            }
            Some(Ending::Completed { .. } | Ending::Enough) | None => WorkflowStatus::Completed,
        };
        self.set_run_status(status);
        if status == WorkflowStatus::Completed {
            self.drop_all_variables();
        }
        self.arm(&self.plan.root());
        self.tell_parent();
    }
}
