//! `forEach`: an iteration for each item, begun in bounded numbers, joined in one step.

use oarlock_expression::{Limits, Template};
use oarlock_protocol::code::Code;
use oarlock_protocol::instance::TaskStatus;
use oarlock_protocol::message::PayloadReference;
use oarlock_protocol::{ErrorDetails, Json, JsonMap};
use serde_json::json;

use super::{Decider, Next};
use crate::mapping;
use crate::plan::{ForEachNode, NodeKind, Step};
use crate::run::{Block, Body, Ending, Row};

/// So many iterations are begun in one decision; a timer at once goes on. Ten thousand in one would hold up every
/// other run of the partition.
pub(super) const CHUNK: usize = 256;

impl Decider<'_> {
    /// Evaluates the items, and begins the first iterations.
    pub(super) fn begin_for_each(&mut self, step: &Step, each: &ForEachNode) {
        let items = self.items(step, each);
        let elsewhere = items.as_ref().ok().filter(|(items, _)| PayloadReference::of(items).is_some());
        let block = Block { items: elsewhere.map(|(_, count)| *count), ..Block::default() };
        self.put_row(step, TaskStatus::Running, Body::Block(block));
        let items = match items {
            Ok((items, _)) => items,
            Err(error) => return self.fail(step, TaskStatus::Failed, error, None),
        };
        if let Err(error) = self.count_stored(mapping::size(&items)) {
            return self.overrun(step, error);
        }
        self.run.set_input(&step.path, items);
        self.tell_status(step);
        if self.iterations(step, each) == 0 {
            self.agenda.push_back(Next::Empty(step.clone()));
        } else if !self.is_joined(step, self.iterations(step, each)) {
            self.agenda.push_back(Next::Activate(step.clone()));
        }
    }

    /// What it goes over, and how many that are. Items that are kept elsewhere stay there.
    fn items(&self, step: &Step, each: &ForEachNode) -> Result<(Json, usize), ErrorDetails> {
        let items = each.items.evaluate(&self.scope(step), &Limits::default()).map_err(|e| {
            mapping::unevaluated(e.error.cause, &format!("forEach.items{}: {}", e.pointer, e.error.message))
        })?;
        let limit = self.settings.iterations;
        let count = match self.run.payloads.look_into(&items, "forEach.items")? {
            Json::Array(list) => list.len(),
            Json::Object(map) => map.len(),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
                return Err(mapping::failed("forEach.items: it gave neither a list nor a map"));
            }
        };
        if each.iterations(count) > limit {
            let message = format!(
                "forEach has {count} items, and at most {limit} iterations are allowed (limits.iterations); hand out several at once with `batch`"
            );
            return Err(ErrorDetails::system(Code::IterationLimit, message));
        }
        mapping::check(&items, "forEach.items", self.settings.payload_bytes)?;
        Ok((items, count))
    }

    /// How many iterations a `forEach` that was begun has in all.
    pub(super) fn iterations(&self, step: &Step, each: &ForEachNode) -> usize {
        each.iterations(self.row(step).map_or(0, Row::items))
    }

    /// Begins as many iterations as may be at work, and in one decision; a timer goes on with what is left.
    pub(super) fn activate(&mut self, step: &Step) {
        let NodeKind::ForEach(each) = &self.plan.node(step).kind else { return };
        self.begin_iterations(step, each);
        self.arm(step);
    }

    fn begin_iterations(&mut self, step: &Step, each: &ForEachNode) {
        let total = self.iterations(step, each);
        let at_once = each.concurrency.unwrap_or(total);
        loop {
            let Some(row) = self.row(step).filter(|row| !row.finished()) else { return };
            let Some(block) = row.block() else { return };
            let is_left = block.begun < total || !block.again.is_empty();
            if block.ending.is_some() || !is_left || block.active >= at_once {
                return;
            }
            if self.begun_iterations >= CHUNK {
                return;
            }
            let again = self.block_mut(step).and_then(|block| block.again.pop());
            let number = again.or_else(|| Some(self.row(step)?.block()?.begun));
            let Some(iteration) = number.and_then(|number| self.plan.iteration(step, number)) else { return };
            match again {
                Some(_) => self.begin_iteration_again(step, &iteration),
                None => self.begin_iteration(step, &iteration),
            }
        }
    }

    /// The timer of a `forEach`: what one decision could not begin is begun now.
    pub(super) fn each_timer(&mut self, step: &Step) {
        match self.row(step) {
            Some(row) if !row.finished() => self.agenda.push_back(Next::Activate(step.clone())),
            Some(_) | None => self.stale("timer of a forEach that is done"),
        }
    }

    /// Begins the next iteration of a `forEach` or `loop`.
    pub(super) fn begin_iteration(&mut self, step: &Step, iteration: &Step) {
        self.begun_iterations += 1;
        // Those of the iteration before, in a loop.
        let before = self.last_round(step);
        if matches!(self.plan.node(step).kind, NodeKind::Loop(_)) {
            self.run.drop_scoped(&before.path);
        }
        if let Some(block) = self.block_mut(step) {
            block.begun += 1;
            block.active += 1;
        }
        self.begin_block(iteration, None);
    }

    /// An iteration has ended: the rest goes on, or is no longer wanted.
    pub(super) fn iteration_ended(&mut self, step: &Step, each: &ForEachNode) {
        let total = self.iterations(step, each);
        let Some(block) = self.row(step).and_then(Row::block) else { return };
        let (failed, completed) = (block.failed, block.completed);
        if self.row(step).is_some_and(|row| row.settled) {
            // Enough was done before: neither failures nor `until` matter any more.
            if !self.is_joined(step, total) {
                self.agenda.push_back(Next::Activate(step.clone()));
            }
            return;
        }
        let joins = self.plan.node(step).join.is_some();
        if !joins && !each.tolerate.bears(failed, total) {
            return self.too_many_failed(step, failed, total);
        }
        if let Some(until) = &each.until {
            let counts = json!({"total": total, "completed": completed, "failed": failed});
            let held = until.evaluate_bool(&self.scope(step).with_counts(&counts), &Limits::default());
            match held {
                Ok(true) => return self.end_block(step, Ending::Enough),
                Ok(false) => {}
                Err(e) => {
                    let error = mapping::unevaluated(
                        e.cause,
                        &format!("forEach, until `{}`: {}", until.source(), e.message),
                    );
                    return self.end_block(step, Ending::Failed { error, failed_at: step.path.clone() });
                }
            }
        }
        if !self.is_joined(step, total) {
            self.agenda.push_back(Next::Activate(step.clone()));
        }
    }

    /// Ends a `forEach` with the error of the iteration that failed last.
    fn too_many_failed(&mut self, step: &Step, failed: usize, total: usize) {
        let begun = self.row(step).and_then(Row::block).map_or(0, |block| block.begun);
        let iterations = (0..begun).filter_map(|number| self.plan.iteration(step, number));
        let errors = iterations.filter_map(|iteration| {
            let row = self.row(&iteration).filter(|row| row.settled)?;
            Some((row.end_time, row.error.clone()?, row.failed_at.clone().unwrap_or(iteration.path)))
        });
        let Some((_, mut error, failed_at)) = errors.max_by_key(|(end, ..)| *end) else { return };
        if failed > 1 {
            error.message = format!("{failed} of {total} iterations failed; the last: {}", error.message);
            error = error.bounded();
        }
        self.end_block(step, Ending::Failed { error, failed_at });
    }

    /// What a block gives when it is done: an iteration what is collected, a `forEach` all of that, a `loop` its output.
    pub(super) fn block_output(&mut self, step: &Step) -> Result<Option<Json>, ErrorDetails> {
        let plan = self.plan;
        let output = match &plan.node(step).kind {
            NodeKind::Iteration(_) => match plan.parent(step).map(|parent| &plan.node(&parent).kind) {
                Some(NodeKind::ForEach(each)) => {
                    let collect = each.collect.as_ref();
                    collect.map(|collect| self.give(step, collect, "forEach.collect")).transpose()?
                }
                _ => None,
            },
            NodeKind::ForEach(each) if each.collect.is_some() => Some(self.collected(step, each)?),
            NodeKind::Loop(repeat) => match &repeat.output {
                Some(output) => Some(self.give(&self.last_round(step), output, "loop.output")?),
                None => None,
            },
            _ => None,
        };
        if let Some(output) = &output {
            mapping::check(output, "what the step gives", self.settings.payload_bytes)?;
            self.count_stored(mapping::size(output))?;
        }
        Ok(output)
    }

    fn give(&self, step: &Step, template: &Template, what: &str) -> Result<Json, ErrorDetails> {
        let value = template.evaluate(&self.scope(step), &Limits::default()).map_err(|e| {
            mapping::unevaluated(e.error.cause, &format!("{what}{}: {}", e.pointer, e.error.message))
        })?;
        Ok(value)
    }

    /// What the iterations gave, in the order of the items; null for one that did not complete.
    fn collected(&self, step: &Step, each: &ForEachNode) -> Result<Json, ErrorDetails> {
        let given = (0..self.iterations(step, each)).map(|number| {
            let iteration = self.plan.iteration(step, number);
            let row = iteration.and_then(|iteration| self.row(&iteration));
            row.and_then(|row| row.output.clone()).unwrap_or(Json::Null)
        });
        let items = self.row(step).and_then(|row| row.input.as_ref());
        let items = items.map(|items| self.run.payloads.look_into(items, "forEach.items")).transpose()?;
        Ok(match items {
            Some(Json::Object(map)) if each.batch.is_none() => {
                Json::Object(map.keys().cloned().zip(given).collect::<JsonMap>())
            }
            _ => Json::Array(given.collect()),
        })
    }
}
