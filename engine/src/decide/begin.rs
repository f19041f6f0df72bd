//! The begin of a step: its condition, then what its kind does first.

use oarlock_expression::{Limits, Template};
use oarlock_protocol::code::Code;
use oarlock_protocol::definition::TerminateStatus;
use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};
use oarlock_protocol::{ErrorDetails, Json, TaskInstanceId};

use super::Decider;
use crate::effect::Effect;
use crate::plan::{CaseNode, LimitKeyNodes, NodeKind, Step, TerminateNode, WorkNode};
use crate::run::{Body, Ending, LimitKeys, Row, Stage, Work};
use crate::scope::{RunScope, TaskData};
use crate::{mapping, router, schema, security};

impl Decider<'_> {
    /// All that this step waits for is settled: it is skipped or begun.
    pub(super) fn consider(&mut self, step: &Step) {
        if self.row(step).is_some() || self.is_ending_around(step) {
            return;
        }
        let plan = self.plan;
        if let Some(parent) = plan.parent(step)
            && let Some(block) = self.block_mut(&parent)
        {
            block.active += 1;
        }
        if plan.work(step).is_some() {
            self.run.head.metrics.task_count += 1;
            self.touch();
        }
        let holds = match &plan.node(step).condition {
            None => Ok(true),
            Some(condition) => condition.evaluate_bool(&self.scope(step), &Limits::default()).map_err(|e| {
                mapping::unevaluated(e.cause, &format!("condition `{}`: {}", condition.source(), e.message))
            }),
        };
        match holds {
            Ok(true) => self.begin(step),
            Ok(false) => {
                self.put_row(step, TaskStatus::Skipped, Body::Plain);
                self.set_status(step, TaskStatus::Skipped);
                self.settle(step);
            }
            Err(error) => {
                self.put_row(step, TaskStatus::Pending, Body::Plain);
                self.fail(step, TaskStatus::Failed, error, None);
            }
        }
    }

    fn begin(&mut self, step: &Step) {
        let plan = self.plan;
        match &plan.node(step).kind {
            NodeKind::Work(work) => self.begin_work(step, work),
            NodeKind::Block(_) | NodeKind::Iteration(_) => self.begin_block(step, None),
            NodeKind::Switch(cases) => self.begin_switch(step, cases),
            NodeKind::Set(values) => self.begin_set(step, values),
            NodeKind::Terminate(terminate) => self.begin_terminate(step, terminate),
            NodeKind::ForEach(each) => self.begin_for_each(step, each),
            NodeKind::Loop(_) => self.begin_loop(step),
            NodeKind::Await(wait) => self.begin_wait(step, wait),
        }
    }

    /// Gives a step its row.
    pub(super) fn put_row(&mut self, step: &Step, status: TaskStatus, body: Body) {
        let now = self.now;
        let row = Row {
            node: step.node,
            status,
            settled: false,
            created_at: now,
            updated_at: now,
            start_time: (status == TaskStatus::Running).then_some(now),
            end_time: None,
            input: None,
            output: None,
            error: None,
            failed_at: None,
            body,
            is_partial: false,
        };
        let path = step.path.clone();
        self.run.changes.rows.insert(path.clone());
        self.run.rows.insert(path, row);
    }

    fn begin_work(&mut self, step: &Step, work: &WorkNode) {
        let input = self.input_of(work, &self.scope(step));
        self.put_work(step, work);
        match input {
            Ok(input) => self.give_input(step, input),
            Err(error) => self.fail(step, TaskStatus::Failed, error, None),
        }
    }

    /// What a task is given, where the run may have it done.
    pub(super) fn input_of(&self, work: &WorkNode, scope: &RunScope<'_>) -> Result<Json, ErrorDetails> {
        let requirements = work.definition.security_requirements.as_ref();
        let what = format!("task '{}'", work.definition.id);
        security::authorize(&self.run.head.security_context, requirements, &what)?;
        if work.child.is_some() && self.run.depth() >= self.settings.depth {
            let message = format!(
                "'{}' would be {} runs below the first, deeper than limits.depth",
                work.definition.id,
                self.run.depth() + 1
            );
            return Err(ErrorDetails::system(Code::DepthLimit, message));
        }
        let limit = self.settings.payload_bytes;
        let input = match &work.child {
            // A run knows no secrets: it would store them.
            Some(_) => mapping::evaluate(&work.input, scope, "inputMappings", limit),
            None => mapping::task_input(&work.input, scope, limit),
        };
        let mut input = Json::Object(input?);
        schema::admit(work.input_schema.as_deref(), &mut input, &format!("the input of {what}"), limit)?;
        Ok(input)
    }

    /// Gives a task for workers its row.
    pub(super) fn put_work(&mut self, step: &Step, work: &WorkNode) {
        let tenant = &self.run.key.tenant;
        let priority = router::priority(work.priority, self.run.head.priority);
        let queue = match &work.child {
            Some(child) => format!("workflow:{}", child.id),
            None => router::route(&self.settings.routes, &work.definition, tenant, priority),
        };
        let body = Work {
            id: TaskInstanceId::of(self.run.key.run, step.path.as_str()),
            generation: self.run.head.generation,
            queue,
            priority,
            stage: Stage::Closed,
            retry_count: 0,
            attempt_count: 0,
            refusals: 0,
            state: None,
            limit_keys: None,
            uncertain: false,
            closed_as: None,
            first_ready: self.now,
            first_dispatch: None,
            attempts: Vec::new(),
        };
        self.put_row(step, TaskStatus::Pending, Body::Work(Box::new(body)));
    }

    /// Stores what a task is given, and what its limits count it for; then it is ready.
    pub(super) fn give_input(&mut self, step: &Step, input: Json) {
        match self.limit_keys(step, &input) {
            Ok(None) => {}
            Ok(keys) => {
                if let Some(work) = self.row_mut(step).and_then(Row::work_mut) {
                    work.limit_keys = keys;
                }
            }
            // Nothing else can undo the step: an operator is waited for.
            Err(error) if self.undoes(step) => return self.hold_before_input(step, error),
            Err(error) => return self.fail(step, TaskStatus::Failed, error, None),
        }
        if let Err(error) = self.count_stored(mapping::size(&input)) {
            return self.overrun(step, error);
        }
        self.run.set_input(&step.path, input);
        self.make_ready(step);
    }

    /// What the limits of a task with this input count it for; none where none of them has a key.
    fn limit_keys(&self, step: &Step, input: &Json) -> Result<Option<Box<LimitKeys>>, ErrorDetails> {
        let Some(work) = self.plan.work(step) else { return Ok(None) };
        let LimitKeyNodes { concurrency, rate } = &work.limit_keys;
        if concurrency.is_none() && rate.is_none() {
            return Ok(None);
        }
        let scope = self.scope(step).with_task(TaskData { input, output: &Json::Null });
        let key = |key: &Option<Template>, field: &str| {
            let what = format!("the key of the {field} of '{}'", work.definition.id);
            key.as_ref().map(|key| mapping::limit_key(key, &scope, &what)).transpose()
        };
        let concurrency = key(concurrency, "concurrencyLimit")?;
        Ok(Some(Box::new(LimitKeys { concurrency, rate: key(rate, "rateLimit")? })))
    }

    fn begin_switch(&mut self, step: &Step, cases: &[CaseNode]) {
        match self.choose(step, cases) {
            Ok(Some(case)) => self.begin_block(step, Some(case)),
            Ok(None) => {
                self.put_row(step, TaskStatus::Running, Body::Plain);
                self.set_status(step, TaskStatus::Completed);
                self.settle(step);
            }
            Err(error) => {
                self.put_row(step, TaskStatus::Pending, Body::Plain);
                self.fail(step, TaskStatus::Failed, error, None);
            }
        }
    }

    fn choose(&self, step: &Step, cases: &[CaseNode]) -> Result<Option<usize>, ErrorDetails> {
        for (index, case) in cases.iter().enumerate() {
            let Some(when) = &case.when else { return Ok(Some(index)) };
            let holds = when.evaluate_bool(&self.scope(step), &Limits::default()).map_err(|e| {
                mapping::unevaluated(e.cause, &format!("switch, when `{}`: {}", when.source(), e.message))
            })?;
            if holds {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    fn begin_set(&mut self, step: &Step, values: &[(String, Template)]) {
        let set = mapping::evaluate(values, &self.scope(step), "set", self.settings.payload_bytes);
        self.put_row(step, TaskStatus::Running, Body::Plain);
        match set {
            Ok(values) => {
                if let Err(error) = self.count_stored(values.values().map(mapping::size).sum()) {
                    return self.overrun(step, error);
                }
                self.write_variables(step, values);
                self.set_status(step, TaskStatus::Completed);
                self.settle(step);
            }
            Err(error) => self.fail(step, TaskStatus::Failed, error, None),
        }
    }

    fn begin_terminate(&mut self, step: &Step, terminate: &TerminateNode) {
        let ending = self.ending_of(step, terminate);
        self.put_row(step, TaskStatus::Running, Body::Plain);
        match ending {
            Ok((ending, output)) => {
                self.set_status(step, TaskStatus::Completed);
                self.settle(step);
                self.end_run_with(ending, output);
            }
            Err(error) => self.fail(step, TaskStatus::Failed, error, None),
        }
    }

    /// How the run is to end, and the output it is given.
    fn ending_of(
        &self,
        step: &Step,
        terminate: &TerminateNode,
    ) -> Result<(Ending, Option<Json>), ErrorDetails> {
        let limit = self.settings.payload_bytes;
        let evaluate = |template: &Template, what: &str| {
            let value = template.evaluate(&self.scope(step), &Limits::default()).map_err(|e| {
                mapping::unevaluated(
                    e.error.cause,
                    &format!("terminate.{what}{}: {}", e.pointer, e.error.message),
                )
            })?;
            mapping::check(&value, &format!("terminate.{what}"), limit)?;
            Ok(value)
        };
        match terminate.status {
            TerminateStatus::Completed => {
                let output =
                    terminate.output.as_ref().map(|output| evaluate(output, "output")).transpose()?;
                Ok((Ending::Completed { with_output: output.is_some() }, output))
            }
            TerminateStatus::Failed => {
                let message =
                    terminate.message.as_ref().map(|message| evaluate(message, "message")).transpose()?;
                let text = match message {
                    Some(Json::String(text)) => text,
                    Some(other) => other.to_string(),
                    None => format!("'{}' ended the run", self.plan.node(step).id),
                };
                let mut error = ErrorDetails::system(Code::Terminated, text);
                if let Some(output) = &terminate.output {
                    error.details = evaluate(output, "output")?;
                }
                Ok((Ending::Failed { error: error.bounded(), failed_at: step.path.clone() }, None))
            }
        }
    }

    /// Makes a task ready: it waits for admission from now on, unless the run is paused. A child run needs none.
    pub(super) fn make_ready(&mut self, step: &Step) {
        let now = self.now;
        let is_child = self.child(step).is_some();
        let Some(work) = self.row_mut(step).and_then(Row::work_mut) else { return };
        work.stage = Stage::Ready { since: now };
        let (queue, priority) = (work.queue.clone(), work.priority);
        self.set_status(step, TaskStatus::Ready);
        let path = step.path.clone();
        self.arm(step);
        if self.run.head.status == WorkflowStatus::Paused {
            return;
        }
        if is_child {
            self.open_attempt(step, now);
        } else {
            self.effects.push(Effect::Offer { path, queue, priority });
        }
    }
}
