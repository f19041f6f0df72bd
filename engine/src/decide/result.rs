//! A worker's answer to an attempt.

use oarlock_expression::Limits;
use oarlock_protocol::code::Code;
use oarlock_protocol::depth::{DEEPEST, nests_within};
use oarlock_protocol::instance::TaskStatus;
use oarlock_protocol::message::{Outcome, ResultMessage};
use oarlock_protocol::{ErrorDetails, Json};

use super::Decider;
use super::attempt::Close;
use crate::mapping;
use crate::plan::{NodeId, WorkNode};
use crate::run::{Ending, Row};
use crate::scope::TaskData;

impl Decider<'_> {
    /// Takes a result. One for an attempt that is not open changes nothing.
    pub(super) fn on_result(&mut self, result: ResultMessage) {
        let Some(node) = self.plan.locate(&result.address.task_path) else {
            return self.stale("result of an unknown task");
        };
        match self.run.open(&result.address.task_path) {
            Some((_, open)) if open.execution_id == result.address.execution_id => {}
            Some(_) | None => return self.stale("result of an attempt that is not open"),
        }
        let close = Close {
            error: None,
            metrics: Some(result.metrics),
            worker: Some(&result.worker_id),
            deliveries: result.deliveries,
        };
        match result.outcome {
            Outcome::Completed { output } if !nests_within(&output, DEEPEST) => {
                let error = invalid_output(&mapping::too_deep("the output"));
                self.close_attempt(node, Close { error: Some(&error), ..close });
                self.attempt_failed(node, error);
            }
            Outcome::Completed { output } if mapping::size(&output) > self.settings.payload_bytes => {
                let error = mapping::too_large("the output", self.settings.payload_bytes);
                self.close_attempt(node, Close { error: Some(&error), ..close });
                self.attempt_failed(node, error);
            }
            Outcome::Completed { output } => {
                self.close_attempt(node, close);
                self.completed(node, output);
            }
            Outcome::Failed { error } => {
                let error = error.bounded();
                self.close_attempt(node, Close { error: Some(&error), ..close });
                if let Some(work) = self.row_mut(node).and_then(Row::work_mut) {
                    work.refusals = 0;
                }
                self.attempt_failed(node, error);
            }
            Outcome::Refused => {
                let error = unknown_task(self.plan.work(node), &result.worker_id);
                self.close_attempt(node, Close { error: Some(&error), ..close });
                self.refused(node, error);
            }
            Outcome::Deferred { .. } | Outcome::Accepted => {
                let message =
                    "the worker answered DEFERRED or ACCEPTED, which this release does not take yet";
                let error = invalid_output(message);
                self.close_attempt(node, Close { error: Some(&error), ..close });
                self.attempt_failed(node, error);
            }
        }
    }

    fn completed(&mut self, node: NodeId, output: Json) {
        if self.is_ending_around(node) {
            self.keep_output(node, output);
            self.set_status(node, TaskStatus::Completed);
            return self.settle(node);
        }
        let plan = self.plan;
        let Some(work) = plan.work(node) else { return };
        let written = self.map_output(node, work, &output);
        let sizes = written.iter().flatten().map(|(_, value)| mapping::size(value));
        if let Err(error) = self.count_stored(sizes.sum::<usize>() + mapping::size(&output)) {
            return self.overrun(node, error);
        }
        let after = written.and_then(|written| Ok((self.ends_run(node, work, &output, &written)?, written)));
        self.keep_output(node, output);
        match after {
            Ok((ends_run, written)) => {
                self.write_variables(written);
                self.set_status(node, TaskStatus::Completed);
                self.settle(node);
                if ends_run {
                    self.end_run_early(Ending::Completed { with_output: false });
                }
            }
            Err(error) => self.fail(node, TaskStatus::Failed, error, None),
        }
    }

    fn map_output(
        &self,
        node: NodeId,
        work: &WorkNode,
        output: &Json,
    ) -> Result<Vec<(String, Json)>, ErrorDetails> {
        if work.mappings.is_empty() {
            return Ok(Vec::new());
        }
        let input = self.row(node).and_then(|row| row.input.as_ref()).unwrap_or(&Json::Null);
        let task = TaskData { input, output };
        mapping::map_output(
            &work.mappings,
            self.scope(node),
            task,
            &self.run.variables,
            self.settings.payload_bytes,
        )
    }

    fn ends_run(
        &self,
        node: NodeId,
        work: &WorkNode,
        output: &Json,
        written: &[(String, Json)],
    ) -> Result<bool, ErrorDetails> {
        let Some(condition) = &work.terminate_when else { return Ok(false) };
        let mut variables = self.run.variables.clone();
        variables.extend(written.iter().cloned());
        let input = self.row(node).and_then(|row| row.input.as_ref()).unwrap_or(&Json::Null);
        let scope = self.scope(node).with_task(TaskData { input, output }, &variables);
        condition
            .evaluate_bool(&scope, &Limits::default())
            .map_err(|e| mapping::failed(&format!("terminateWhen `{}`: {}", condition.source(), e.message)))
    }

    fn keep_output(&mut self, node: NodeId, output: Json) {
        self.run.set_output(&self.plan.node(node).path, output);
        if let Some(row) = self.row_mut(node) {
            row.error = None;
        }
    }

    /// The worker does not know the task: it is offered again a little later, to one that was deployed meanwhile.
    fn refused(&mut self, node: NodeId, error: ErrorDetails) {
        let Some(work) = self.row_mut(node).and_then(Row::work_mut) else { return };
        work.refusals += 1;
        let refusals = work.refusals;
        if refusals > self.settings.refusals || self.is_ending_around(node) {
            return self.attempt_failed(node, error);
        }
        let at = self.now.after(self.settings.refusal_delay);
        self.wait(node, at, error);
    }
}

/// An answer that another attempt would give again.
fn invalid_output(message: &str) -> ErrorDetails {
    ErrorDetails { retryable: false, ..ErrorDetails::system(Code::InvalidOutput, message) }
}

fn unknown_task(work: Option<&WorkNode>, worker: &oarlock_protocol::WorkerId) -> ErrorDetails {
    let name = work.map_or("", |work| &work.definition.id);
    ErrorDetails::system(Code::UnknownTask, format!("worker {worker} has no handler for the task '{name}'"))
}
