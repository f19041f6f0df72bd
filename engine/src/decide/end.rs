//! The end of a block that had to end early, and the end of the run.

use oarlock_expression::Limits;
use oarlock_protocol::code::Code;
use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};
use oarlock_protocol::{ErrorDetails, Json, TaskPath};

use super::Decider;
use crate::effect::Effect;
use crate::mapping;
use crate::plan::{NodeId, Plan};
use crate::run::{Ending, Row};

impl Decider<'_> {
    /// All that was open in an ending block has closed: the block ends as it had to.
    pub(super) fn conclude(&mut self, node: NodeId) {
        let Some(block) = self.row(node).and_then(Row::block) else { return };
        let Some(ending) = block.ending.clone() else { return };
        if node == Plan::ROOT {
            return self.end_run(Some(ending));
        }
        match ending {
            Ending::Failed { error, failed_at } => {
                self.fail(node, TaskStatus::Failed, error, Some(failed_at))
            }
            Ending::Cancelled { .. } | Ending::TimedOut { .. } | Ending::Completed { .. } => {
                self.set_status(node, TaskStatus::Cancelled);
                self.settle(node);
            }
        }
    }

    /// Every step is settled, or all that was open has closed: the run ends, after its error handlers where it failed.
    pub(super) fn end_run(&mut self, ending: Option<Ending>) {
        if self.run.head.status.is_terminal() || self.run.head.handling {
            return;
        }
        let ended = match ending {
            None | Some(Ending::Completed { with_output: false }) => self.workflow_output(),
            Some(Ending::Completed { with_output: true }) => return self.close_run(),
            Some(Ending::Failed { error, failed_at }) => {
                self.run.head.failed_at = Some(failed_at);
                Err(error)
            }
            Some(Ending::TimedOut { error }) => Err(error),
            Some(Ending::Cancelled { reason }) => {
                self.run.head.error = Some(ErrorDetails::system(Code::Cancelled, reason));
                return self.close_run();
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
                self.handle_failure();
            }
        }
    }

    fn workflow_output(&self) -> Result<Json, ErrorDetails> {
        let Some(template) = &self.plan.output else { return Ok(Json::Null) };
        let output = template
            .evaluate(&self.scope(Plan::ROOT), &Limits::default())
            .map_err(|e| mapping::failed(&format!("output{}: {}", e.pointer, e.error.message)))?;
        mapping::check(&output, "the workflow's output", self.settings.payload_bytes)?;
        Ok(output)
    }

    fn handle_failure(&mut self) {
        let Some(handlers) = self.plan.node(Plan::ROOT).on_error else { return self.close_run() };
        self.run.head.handling = true;
        self.set_run_status(WorkflowStatus::Running);
        self.touch();
        // A run that ended because a decision stored too much still has its handlers run.
        self.stored_bytes = 0;
        // The handlers have time limits of their own; the run's is over or no longer matters.
        self.effects.push(Effect::ClearTimer { path: TaskPath::root() });
        self.begin_block(handlers, None);
        self.tell_status(handlers);
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
            Some(Ending::Completed { .. }) | None if head.error.is_some() => WorkflowStatus::Failed,
            Some(Ending::Completed { .. }) | None => WorkflowStatus::Completed,
        };
        self.set_run_status(status);
        let kept = self.plan.definition.retention.unwrap_or(self.settings.retention);
        self.effects.push(Effect::SetTimer { path: TaskPath::root(), at: self.now.after(kept) });
    }
}
