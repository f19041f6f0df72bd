//! The begin of a step: its condition, then what its kind does first.

use oarlock_expression::{Limits, Template};
use oarlock_protocol::code::Code;
use oarlock_protocol::definition::TerminateStatus;
use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};
use oarlock_protocol::{ErrorDetails, Json, TaskInstanceId};

use super::Decider;
use crate::effect::Effect;
use crate::plan::{CaseNode, NodeId, NodeKind, TerminateNode, WorkNode};
use crate::run::{Body, Ending, Row, Stage, Work};
use crate::{mapping, router, security};

impl Decider<'_> {
    /// All that this step waits for is settled: it is skipped or begun.
    pub(super) fn consider(&mut self, node: NodeId) {
        if self.row(node).is_some() || self.is_ending_around(node) {
            return;
        }
        let plan = self.plan;
        if let Some(parent) = plan.node(node).parent
            && let Some(block) = self.block_mut(parent)
        {
            block.active += 1;
        }
        if plan.work(node).is_some() {
            self.run.head.metrics.task_count += 1;
            self.touch();
        }
        let holds = match &plan.node(node).condition {
            None => Ok(true),
            Some(condition) => condition
                .evaluate_bool(&self.scope(node), &Limits::default())
                .map_err(|e| mapping::failed(&format!("condition `{}`: {}", condition.source(), e.message))),
        };
        match holds {
            Ok(true) => self.begin(node),
            Ok(false) => {
                self.put_row(node, TaskStatus::Skipped, Body::Plain);
                self.set_status(node, TaskStatus::Skipped);
                self.settle(node);
            }
            Err(error) => {
                self.put_row(node, TaskStatus::Pending, Body::Plain);
                self.fail(node, TaskStatus::Failed, error, None);
            }
        }
    }

    fn begin(&mut self, node: NodeId) {
        let plan = self.plan;
        match &plan.node(node).kind {
            NodeKind::Work(work) => self.begin_work(node, work),
            NodeKind::Block(_) => {
                self.begin_block(node, None);
                self.tell_status(node);
            }
            NodeKind::Switch(cases) => self.begin_switch(node, cases),
            NodeKind::Set(values) => self.begin_set(node, values),
            NodeKind::Terminate(terminate) => self.begin_terminate(node, terminate),
        }
    }

    /// Gives a step its row.
    pub(super) fn put_row(&mut self, node: NodeId, status: TaskStatus, body: Body) {
        let now = self.now;
        let row = Row {
            node,
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
        };
        let path = self.path(node);
        self.run.changes.rows.insert(path.clone());
        self.run.rows.insert(path, row);
    }

    fn begin_work(&mut self, node: NodeId, work: &WorkNode) {
        let requirements = work.definition.security_requirements.as_ref();
        let what = format!("task '{}'", work.definition.id);
        let input = security::authorize(&self.run.head.security_context, requirements, &what)
            .and_then(|()| mapping::task_input(&work.input, &self.scope(node), self.settings.payload_bytes));
        let tenant = &self.run.key.tenant;
        let queue = router::route(&self.settings.routes, &work.definition, tenant, work.priority);
        let body = Work {
            id: TaskInstanceId::of(self.run.key.run, self.plan.node(node).path.as_str()),
            queue,
            priority: work.priority,
            stage: Stage::Closed,
            retry_count: 0,
            attempt_count: 0,
            refusals: 0,
            first_ready: self.now,
            first_dispatch: None,
            attempts: Vec::new(),
        };
        self.put_row(node, TaskStatus::Pending, Body::Work(Box::new(body)));
        match input {
            Ok(input) => {
                let input = Json::Object(input);
                if let Err(error) = self.count_stored(mapping::size(&input)) {
                    return self.overrun(node, error);
                }
                self.run.set_input(&self.plan.node(node).path, input);
                self.make_ready(node);
            }
            Err(error) => self.fail(node, TaskStatus::Failed, error, None),
        }
    }

    fn begin_switch(&mut self, node: NodeId, cases: &[CaseNode]) {
        match self.choose(node, cases) {
            Ok(Some(case)) => {
                self.begin_block(node, Some(case));
                self.tell_status(node);
            }
            Ok(None) => {
                self.put_row(node, TaskStatus::Running, Body::Plain);
                self.set_status(node, TaskStatus::Completed);
                self.settle(node);
            }
            Err(error) => {
                self.put_row(node, TaskStatus::Pending, Body::Plain);
                self.fail(node, TaskStatus::Failed, error, None);
            }
        }
    }

    fn choose(&self, node: NodeId, cases: &[CaseNode]) -> Result<Option<usize>, ErrorDetails> {
        for (index, case) in cases.iter().enumerate() {
            let Some(when) = &case.when else { return Ok(Some(index)) };
            let holds = when
                .evaluate_bool(&self.scope(node), &Limits::default())
                .map_err(|e| mapping::failed(&format!("switch, when `{}`: {}", when.source(), e.message)))?;
            if holds {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    fn begin_set(&mut self, node: NodeId, values: &[(String, Template)]) {
        let set = mapping::evaluate(values, &self.scope(node), "set", self.settings.payload_bytes);
        self.put_row(node, TaskStatus::Running, Body::Plain);
        match set {
            Ok(values) => {
                if let Err(error) = self.count_stored(values.values().map(mapping::size).sum()) {
                    return self.overrun(node, error);
                }
                self.write_variables(values);
                self.set_status(node, TaskStatus::Completed);
                self.settle(node);
            }
            Err(error) => self.fail(node, TaskStatus::Failed, error, None),
        }
    }

    pub(super) fn write_variables(&mut self, values: impl IntoIterator<Item = (String, Json)>) {
        for (name, value) in values {
            self.run.changes.variables.insert(name.clone());
            self.run.variables.insert(name, value);
        }
    }

    fn begin_terminate(&mut self, node: NodeId, terminate: &TerminateNode) {
        let ending = self.ending_of(node, terminate);
        self.put_row(node, TaskStatus::Running, Body::Plain);
        match ending {
            Ok((ending, output)) => {
                self.set_status(node, TaskStatus::Completed);
                self.settle(node);
                self.end_run_with(ending, output);
            }
            Err(error) => self.fail(node, TaskStatus::Failed, error, None),
        }
    }

    /// How the run is to end, and the output it is given.
    fn ending_of(
        &self,
        node: NodeId,
        terminate: &TerminateNode,
    ) -> Result<(Ending, Option<Json>), ErrorDetails> {
        let limit = self.settings.payload_bytes;
        let evaluate = |template: &Template, what: &str| {
            let value = template.evaluate(&self.scope(node), &Limits::default()).map_err(|e| {
                mapping::failed(&format!("terminate.{what}{}: {}", e.pointer, e.error.message))
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
                    None => format!("'{}' ended the run", self.plan.node(node).id),
                };
                let mut error = ErrorDetails::system(Code::Terminated, text);
                if let Some(output) = &terminate.output {
                    error.details = evaluate(output, "output")?;
                }
                Ok((Ending::Failed { error: error.bounded(), failed_at: self.path(node) }, None))
            }
        }
    }

    /// Makes a task ready: it waits for admission from now on, unless the run is paused.
    pub(super) fn make_ready(&mut self, node: NodeId) {
        let now = self.now;
        let queue_time = self.timeouts(node).queue;
        let deadline = self.deadline(node);
        let Some(work) = self.row_mut(node).and_then(Row::work_mut) else { return };
        work.stage = Stage::Ready { since: now };
        let (queue, priority) = (work.queue.clone(), work.priority);
        self.set_status(node, TaskStatus::Ready);
        let path = self.path(node);
        let due = [queue_time.map(|span| now.after(span)), deadline].into_iter().flatten().min();
        if let Some(at) = due {
            self.effects.push(Effect::SetTimer { path: path.clone(), at });
        }
        if self.run.head.status != WorkflowStatus::Paused {
            self.effects.push(Effect::Offer { path, queue, priority });
        }
    }
}
