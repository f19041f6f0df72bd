//! A task is ended from outside: its worker has handed it on, or an operator decides.

use oarlock_protocol::depth::{DEEPEST, nests_within};
use oarlock_protocol::instance::TaskStatus;
use oarlock_protocol::message::{Completion, ControlMessage, Order};
use oarlock_protocol::{ExecutionId, FORMAT, TaskPath};

use super::Decider;
use super::attempt::{Close, bytes};
use crate::effect::Effect;
use crate::mapping;
use crate::plan::Step;
use crate::run::{Row, Stage};

impl Decider<'_> {
    pub(super) fn on_complete(
        &mut self,
        path: &TaskPath,
        execution_id: Option<ExecutionId>,
        mut completion: Completion,
    ) {
        let step = self.plan.locate(path).filter(|step| self.row(step).is_some());
        let Some(step) = step else {
            return self.reject("NOT_FOUND", &format!("the run has reached no step at {path}"));
        };
        let Some(work) = self.row(&step).and_then(Row::work) else {
            let message = format!("{path} is no task; a `wait` ends by a signal");
            return self.reject("CONFLICT", &message);
        };
        let last = work.latest();
        if execution_id.is_some() && execution_id != last {
            let message = format!("the latest attempt of {path} is another: the one named was closed before");
            return self.reject("CONFLICT", &message);
        }
        let stage = work.stage.clone();
        if stage == Stage::Closed {
            return self.closed_before(&step, execution_id.is_some());
        }
        if let Completion::Failed { error } = &completion
            && matches!(stage, Stage::Waiting { .. } | Stage::Held)
            && self.row(&step).and_then(|row| row.error.as_ref()) == Some(&error.clone().bounded())
        {
            return self.stale("failure of an attempt that failed so before");
        }
        if let Completion::Completed { output } = &completion
            && (!nests_within(output, DEEPEST) || mapping::size(output) > self.settings.payload_bytes)
        {
            let message = "the output is larger than limits.payload_bytes, or nests too deeply";
            return self.reject("PAYLOAD_TOO_LARGE", message);
        }
        if let Completion::Completed { output } = &mut completion
            && let Err(error) = self.admit_output(&step, output)
        {
            return self.reject(&error.code, &error.message);
        }
        self.take_over(&step, &stage, &completion);
        match completion {
            Completion::Completed { output } => self.completed(&step, output),
            // An operator has decided already.
            Completion::Failed { error } if stage == Stage::Held => {
                self.fail(&step, TaskStatus::Failed, error.bounded(), None);
            }
            Completion::Failed { error } => self.attempt_failed(&step, error.bounded()),
        }
    }

    /// The same request may come twice; another one comes too late.
    fn closed_before(&mut self, step: &Step, names_attempt: bool) {
        if names_attempt {
            return self.stale("completion of an attempt that is closed");
        }
        let status = self.row(step).map_or("", |row| row.status.as_str());
        self.reject("CONFLICT", &format!("{} is {status} already", step.path));
    }

    /// Takes the task from whoever has it.
    fn take_over(&mut self, step: &Step, stage: &Stage, completion: &Completion) {
        match stage {
            Stage::Open(open) => {
                let (error, output_bytes) = match completion {
                    Completion::Completed { output } => (None, bytes(output)),
                    Completion::Failed { error } => (Some(error), 0),
                };
                self.close_attempt(step, Close { error, output_bytes, ..Close::default() });
                if let Some(control_queue) = open.control_queue.clone() {
                    let message = ControlMessage {
                        format: FORMAT,
                        execution_id: open.execution_id,
                        order: Order::Closed,
                    };
                    self.effects.push(Effect::Tell { control_queue, message });
                }
                self.cancel_child(step, open.execution_id);
            }
            Stage::Ready { .. } => {
                self.withdraw(step);
                self.effects.push(Effect::ClearTimer { path: step.path.clone() });
            }
            Stage::Waiting { .. } | Stage::Held => {
                self.effects.push(Effect::ClearTimer { path: step.path.clone() });
            }
            Stage::Closed => {}
        }
        if let Some(work) = self.row_mut(step).and_then(Row::work_mut) {
            work.stage = Stage::Closed;
        }
    }
}
