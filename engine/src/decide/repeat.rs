//! `loop`: one iteration after the other, with a pause between them, the latest few kept.

use oarlock_expression::{Expression, Limits};
use oarlock_protocol::code::Code;
use oarlock_protocol::instance::TaskStatus;
use oarlock_protocol::{ErrorDetails, Span};

use super::each::CHUNK;
use super::{Decider, Next};
use crate::mapping;
use crate::plan::{LoopNode, NodeKind, Step};
use crate::run::{Block, Body, Ending, Row};

impl Decider<'_> {
    pub(super) fn begin_loop(&mut self, step: &Step) {
        self.put_row(step, TaskStatus::Running, Body::Block(Block::default()));
        self.tell_status(step);
        self.agenda.push_back(Next::Round(step.clone()));
    }

    /// Asks `while`, and begins the next iteration.
    pub(super) fn round(&mut self, step: &Step) {
        let plan = self.plan;
        let NodeKind::Loop(repeat) = &plan.node(step).kind else { return };
        let Some(block) = self.row(step).filter(|row| !row.status.is_terminal()).and_then(Row::block) else {
            return;
        };
        let (begun, ending, active) = (block.begun, block.ending.is_some(), block.active);
        if ending || active > 0 {
            return;
        }
        match self.holds(step, repeat.while_.as_ref(), "while", true) {
            Ok(true) => {}
            Ok(false) => return self.complete(step),
            Err(error) => return self.fail(step, TaskStatus::Failed, error, None),
        }
        if begun >= repeat.max {
            let message = format!("the loop is not done after {begun} iterations, its `max`");
            let error = ErrorDetails::system(Code::IterationLimit, message);
            return self.fail(step, TaskStatus::Failed, error, None);
        }
        if self.begun_iterations >= CHUNK {
            return self.pause_loop(step, Span::from_millis(0));
        }
        if let Some(old) = begun.checked_sub(repeat.keep).and_then(|number| plan.iteration(step, number)) {
            self.remove(&old);
        }
        if let Some(iteration) = plan.iteration(step, begun) {
            self.begin_iteration(step, &iteration);
        }
    }

    /// An iteration has ended: the loop is done, or goes on after its pause.
    pub(super) fn round_ended(&mut self, step: &Step, repeat: &LoopNode, iteration: &Step) {
        let Some(block) = self.row(step).and_then(Row::block) else { return };
        if block.active > 0 {
            return;
        }
        let done = match repeat.until {
            Some(_) => self.holds(iteration, repeat.until.as_ref(), "until", false),
            None => Ok(false),
        };
        match done {
            Ok(true) => self.complete(step),
            Ok(false) => match pause(repeat, self.row(step).and_then(Row::block).map_or(1, |b| b.begun)) {
                Some(pause) => self.pause_loop(step, pause),
                None => self.agenda.push_back(Next::Round(step.clone())),
            },
            Err(error) => self.end_block(step, Ending::Failed { error, failed_at: step.path.clone() }),
        }
    }

    fn pause_loop(&mut self, step: &Step, pause: Span) {
        let until = self.now.after(pause);
        if let Some(block) = self.row_mut(step).and_then(Row::block_mut) {
            block.pause = Some(until);
        }
        self.arm(step);
    }

    /// The timer of a loop: its pause may be over.
    pub(super) fn loop_timer(&mut self, step: &Step) {
        let paused = self.row(step).filter(|row| !row.status.is_terminal()).and_then(Row::block);
        match paused.and_then(|block| block.pause) {
            Some(until) if self.now < until => self.arm(step),
            Some(_) => {
                if let Some(block) = self.row_mut(step).and_then(Row::block_mut) {
                    block.pause = None;
                }
                self.agenda.push_back(Next::Round(step.clone()));
            }
            None => self.stale("timer of a loop that does not pause"),
        }
    }

    /// The iteration that was begun last; the loop itself before the first.
    pub(super) fn last_round(&self, step: &Step) -> Step {
        let begun = self.row(step).and_then(Row::block).map_or(0, |block| block.begun);
        begun.checked_sub(1).and_then(|last| self.plan.iteration(step, last)).unwrap_or_else(|| step.clone())
    }

    fn holds(
        &self,
        step: &Step,
        condition: Option<&Expression>,
        what: &str,
        otherwise: bool,
    ) -> Result<bool, ErrorDetails> {
        let Some(condition) = condition else { return Ok(otherwise) };
        condition.evaluate_bool(&self.scope(step), &Limits::default()).map_err(|e| {
            mapping::unevaluated(e.cause, &format!("loop, {what} `{}`: {}", condition.source(), e.message))
        })
    }

    /// Forgets an iteration, unless something in it may have to be undone.
    fn remove(&mut self, iteration: &Step) {
        let can_be_undone =
            |step: &Step| self.row(step).and_then(Row::work).is_some_and(|work| work.closed_as.is_some());
        if self.reached_in(iteration).iter().any(can_be_undone) {
            return;
        }
        let Some(status) = self.row(iteration).map(|row| row.status) else { return };
        self.remove_all(iteration);
        let around = self.plan.parent(iteration);
        if let Some(block) = around.and_then(|step| self.block_mut(&step)) {
            block.settled -= 1;
            block.completed -= usize::from(status == TaskStatus::Completed);
        }
    }

    /// Forgets a step and all inside it.
    pub(super) fn remove_all(&mut self, step: &Step) {
        for step in self.reached_in(step) {
            self.run.waits.remove(&step.path);
            self.run.remove_row(&step.path);
        }
    }

    /// A step and all inside it that was reached.
    pub(super) fn reached_in(&self, step: &Step) -> Vec<Step> {
        let mut reached = vec![step.clone()];
        let mut next = 0;
        while let Some(step) = reached.get(next).cloned() {
            next += 1;
            let attached = self.plan.inside(&step).into_iter();
            let attached = attached.filter(|&node| self.plan.node(node).attached.is_some());
            let inside = attached.map(|node| self.plan.child(&step, node)).chain(self.children_of(&step));
            reached.extend(inside.filter(|step| self.run.rows.contains_key(&step.path)));
        }
        reached.retain(|step| self.run.rows.contains_key(&step.path));
        reached
    }
}

/// The pause after iteration `ended` (from 1); none where the next follows at once.
fn pause(repeat: &LoopNode, ended: usize) -> Option<Span> {
    let delay = repeat.delay?;
    let exponent = i32::try_from(ended.saturating_sub(1)).unwrap_or(i32::MAX);
    let factor = repeat.backoff_coefficient.powi(exponent);
    let longest = repeat.max_delay.unwrap_or(oarlock_protocol::duration::LONGEST);
    Some(delay.times(factor).min(longest))
}
