//! A worker's answer to an attempt.

use oarlock_expression::Limits;
use oarlock_protocol::code::Code;
use oarlock_protocol::depth::{DEEPEST, nests_within};
use oarlock_protocol::duration::LONGEST;
use oarlock_protocol::instance::TaskStatus;
use oarlock_protocol::message::{Outcome, ResultMessage};
use oarlock_protocol::{ErrorDetails, Json, JsonMap, Span, WorkerId};

use super::Decider;
use super::attempt::{Close, bytes, hand_to};
use crate::effect::Effect;
use crate::plan::{Step, WorkNode};
use crate::run::{Ending, Row, Stage};
use crate::scope::TaskData;
use crate::{child_message, mapping, schema};

/// The largest `state` of a DEFERRED answer, in bytes of JSON: it lies in the task's row, which is written often.
const LARGEST_STATE: usize = 16 * 1024;

impl Decider<'_> {
    /// Takes a result. One for an attempt that is not open changes nothing.
    pub(super) fn on_result(&mut self, result: ResultMessage) {
        let Some(step) = self.plan.locate(&result.address.task_path) else {
            return self.stale("result of an unknown task");
        };
        let step = &step;
        match self.run.open(&result.address.task_path) {
            Some((_, open)) if open.execution_id == result.address.execution_id => {}
            Some(_) | None => return self.stale("result of an attempt that is not open"),
        }
        let close = Close {
            error: None,
            metrics: Some(result.metrics),
            worker: Some(&result.worker_id),
            deliveries: result.deliveries,
            output_bytes: given_back(&result.outcome),
        };
        match result.outcome {
            Outcome::Completed { output } if !nests_within(&output, DEEPEST) => {
                let error = invalid_output(&mapping::too_deep("the output"));
                self.close_attempt(step, Close { error: Some(&error), ..close });
                self.attempt_failed(step, error);
            }
            Outcome::Completed { .. } if close.output_bytes > self.settings.payload_bytes as u64 => {
                let error = mapping::too_large("the output", self.settings.payload_bytes);
                self.close_attempt(step, Close { error: Some(&error), ..close });
                self.attempt_failed(step, error);
            }
            Outcome::Completed { mut output } => match self.admit_output(step, &mut output) {
                Ok(()) => {
                    self.close_attempt(step, close);
                    self.completed(step, output);
                }
                Err(error) => {
                    self.close_attempt(step, Close { error: Some(&error), ..close });
                    self.attempt_failed(step, error);
                }
            },
            Outcome::Failed { error } if self.was_told_to_end_by_nobody(step, &error) => {
                let error = error.bounded();
                self.close_attempt(step, Close { error: Some(&error), ..close });
                self.offer_again(step, error);
            }
            Outcome::Failed { error } => {
                let error = error.bounded();
                self.close_attempt(step, Close { error: Some(&error), ..close });
                if let Some(work) = self.row_mut(step).and_then(Row::work_mut) {
                    work.refusals = 0;
                }
                self.attempt_failed(step, error);
            }
            Outcome::Refused => {
                let error = unknown_task(self.plan.work(step), &result.worker_id);
                self.close_attempt(step, Close { error: Some(&error), ..close });
                self.offer_again(step, error);
            }
            Outcome::Deferred { after_ms, state } => {
                self.close_attempt(step, close);
                self.deferred(step, after_ms, state);
            }
            Outcome::Accepted => self.accepted(step, &result.worker_id, result.deliveries),
        }
    }

    /// Fills the defaults of a task's output schema into `output`, and checks it.
    ///
    /// # Errors
    /// SCHEMA_VIOLATION; PAYLOAD_TOO_LARGE where the defaults bring it above its limit.
    pub(super) fn admit_output(&self, step: &Step, output: &mut Json) -> Result<(), ErrorDetails> {
        let Some(work) = self.plan.work(step) else { return Ok(()) };
        let what = format!("the output of task '{}'", work.definition.id);
        schema::admit(work.output_schema.as_deref(), output, &what, self.settings.payload_bytes)
    }

    /// The worker wants to look again later: no retry is spent.
    fn deferred(&mut self, step: &Step, after_ms: u64, state: Json) {
        if self.is_ending_around(step) {
            return self.cancelled(step, None);
        }
        if mapping::size(&state) > LARGEST_STATE || !nests_within(&state, DEEPEST) {
            let message = format!("the `state` of a DEFERRED answer may have {LARGEST_STATE} bytes of JSON");
            return self.attempt_failed(step, invalid_output(&message));
        }
        let at = self.now.after(Span::from_millis(after_ms.min(LONGEST.as_millis())));
        let since = self.now;
        if let Some(work) = self.row_mut(step).and_then(Row::work_mut) {
            work.refusals = 0;
            work.state = Some(state).filter(|state| !state.is_null());
            work.stage = Stage::Waiting { until: at, since };
        }
        self.set_status(step, TaskStatus::RetryPending);
        self.arm(step);
    }

    /// The worker has handed the task on: someone else completes it.
    fn accepted(&mut self, step: &Step, worker: &WorkerId, deliveries: u32) {
        let now = self.now;
        if self.run.open(&step.path).is_some_and(|(_, open)| open.accepted) {
            return self.stale("ACCEPTED of an attempt that was handed on before");
        }
        let Some(row) = self.row_mut(step) else { return };
        row.start_time.get_or_insert(now);
        let Some(work) = row.work_mut() else { return };
        if let Some(attempt) = work.attempts.last_mut() {
            hand_to(attempt, worker);
            attempt.start_time.get_or_insert(now);
            attempt.deliveries = attempt.deliveries.max(deliveries);
        }
        let queue = work.queue.clone();
        let Stage::Open(open) = &mut work.stage else { return };
        let execution_id = open.execution_id;
        (open.accepted, open.control_queue) = (true, None);
        open.started.get_or_insert(now);
        self.set_status(step, TaskStatus::Running);
        self.touch();
        self.effects.push(Effect::HandedOn { execution_id, queue });
        self.arm(step);
    }

    pub(super) fn completed(&mut self, step: &Step, output: Json) {
        if self.is_ending_around(step) {
            self.keep_output(step, output);
            self.set_status(step, TaskStatus::Completed);
            return self.settle(step);
        }
        let plan = self.plan;
        let Some(work) = plan.work(step) else { return };
        let written = self.map_output(step, work, &output);
        let sizes = written.iter().flatten().map(|(_, value)| mapping::size(value));
        if let Err(error) = self.count_stored(sizes.sum::<usize>() + mapping::size(&output)) {
            return self.overrun(step, error);
        }
        let after = written.and_then(|written| Ok((self.ends_run(step, work, &output, &written)?, written)));
        self.keep_output(step, output);
        match after {
            Ok((ends_run, written)) => {
                self.write_variables(step, written);
                self.set_status(step, TaskStatus::Completed);
                self.settle(step);
                if ends_run {
                    self.end_run_early(Ending::Completed { with_output: false });
                }
            }
            Err(error) => self.fail(step, TaskStatus::Failed, error, None),
        }
    }

    fn map_output(&self, step: &Step, work: &WorkNode, output: &Json) -> Result<JsonMap, ErrorDetails> {
        if work.mappings.is_empty() {
            return Ok(JsonMap::new());
        }
        let input = self.row(step).and_then(|row| row.input.as_ref()).unwrap_or(&Json::Null);
        let task = TaskData { input, output };
        mapping::map_output(&work.mappings, self.scope(step), task, self.settings.payload_bytes)
    }

    fn ends_run(
        &self,
        step: &Step,
        work: &WorkNode,
        output: &Json,
        written: &JsonMap,
    ) -> Result<bool, ErrorDetails> {
        let Some(condition) = &work.terminate_when else { return Ok(false) };
        let input = self.row(step).and_then(|row| row.input.as_ref()).unwrap_or(&Json::Null);
        let scope = self.scope(step).with_task(TaskData { input, output }).with_written(written);
        condition.evaluate_bool(&scope, &Limits::default()).map_err(|e| {
            mapping::unevaluated(e.cause, &format!("terminateWhen `{}`: {}", condition.source(), e.message))
        })
    }

    fn keep_output(&mut self, step: &Step, output: Json) {
        self.run.set_output(&step.path, output);
        if let Some(row) = self.row_mut(step) {
            row.error = None;
        }
    }

    /// Whether an attempt ended because it was told to, by an orchestrator whose commits the store has lost since. As the run
    /// stands nothing ended the task, so this is no failure of it. The worker may repeat the answer to the same attempt as often
    /// as it is asked: only another one is executed. A run that a step started may have been cancelled by itself: then it does not
    /// say that this run had asked for it.
    fn was_told_to_end_by_nobody(&self, step: &Step, error: &ErrorDetails) -> bool {
        let told = self.run.open(&step.path).is_some_and(|(_, open)| open.cancelled_until.is_some());
        let is_cancelled = error.code == Code::Cancelled.as_str();
        let by_this_run = || child_message::says_it_was_asked(error, self.run.key.run);
        is_cancelled && !told && (self.child(step).is_none() || by_this_run())
    }

    /// The attempt came to nothing, and not by the task's fault: it is offered again a little later, and no retry is spent. To a
    /// worker that was deployed meanwhile, where this one does not know it. Bounded: a task may give any code itself, again and again.
    fn offer_again(&mut self, step: &Step, error: ErrorDetails) {
        let Some(work) = self.row_mut(step).and_then(Row::work_mut) else { return };
        work.refusals += 1;
        let refusals = work.refusals;
        if refusals > self.settings.refusals || self.is_ending_around(step) {
            return self.attempt_failed(step, error);
        }
        let at = self.now.after(self.settings.refusal_delay);
        self.wait(step, at, error);
    }
}

/// An answer that another attempt would give again.
/// The bytes of JSON that a worker gave back.
fn given_back(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Completed { output } => bytes(output),
        Outcome::Deferred { state, .. } if !state.is_null() => bytes(state),
        _ => 0,
    }
}

fn invalid_output(message: &str) -> ErrorDetails {
    ErrorDetails { retryable: false, ..ErrorDetails::system(Code::InvalidOutput, message) }
}

fn unknown_task(work: Option<&WorkNode>, worker: &oarlock_protocol::WorkerId) -> ErrorDetails {
    let name = work.map_or("", |work| &work.definition.id);
    ErrorDetails::system(Code::UnknownTask, format!("worker {worker} has no handler for the task '{name}'"))
}
