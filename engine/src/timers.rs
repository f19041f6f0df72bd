//! When a run has to be looked at. Each of its timers follows from the run itself, so none of them is stored: a decision sets
//! and clears them by these rules as it goes, and an owner that loads a run derives them all.

use oarlock_protocol::definition::TaskTimeouts;
use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};
use oarlock_protocol::{Span, TaskPath, Timestamp};

use crate::plan::{NodeId, NodeKind, Plan, Step};
use crate::run::{Awaiting, Block, Body, Open, Row, Run, Stage, Work};
use crate::settings::Settings;

/// The timers of a run.
#[derive(Clone, Copy)]
pub struct Timers<'a> {
    plan: &'a Plan,
    run: &'a Run,
    settings: &'a Settings,
}

impl<'a> Timers<'a> {
    /// Those of `run`, whose definition is `plan`.
    pub fn new(plan: &'a Plan, run: &'a Run, settings: &'a Settings) -> Self {
        Self { plan, run, settings }
    }

    /// Every place that waits for a time, and for which; a time that has passed means at once.
    pub fn all(self) -> impl Iterator<Item = (TaskPath, Timestamp)> + 'a {
        self.run.rows.iter().filter_map(move |(path, row)| Some((path.clone(), self.of_row(path, row)?)))
    }

    /// For which time the step waits, where it does.
    pub fn at(self, path: &TaskPath) -> Option<Timestamp> {
        self.of_row(path, self.run.rows.get(path)?)
    }

    fn of_row(self, path: &TaskPath, row: &Row) -> Option<Timestamp> {
        if path.is_root() {
            return self.of_run();
        }
        match &row.body {
            Body::Work(work) => self.of_work(row.node, work),
            Body::Await(awaiting) if !row.status.is_terminal() => of_wait(awaiting),
            Body::Block(block) => self.of_block(path, row, block),
            Body::Await(_) | Body::Plain => None,
        }
    }

    /// The end of its total time while nothing has ended it, and that of its retention afterwards.
    fn of_run(self) -> Option<Timestamp> {
        let head = &self.run.head;
        if head.status.is_terminal() {
            let kept = self.plan.definition.retention.unwrap_or(self.settings.retention);
            return Some(head.end_time.unwrap_or(head.updated_at).after(kept));
        }
        let is_ending = head.ending.is_some() || head.compensating || head.handling;
        let total = self.plan.definition.timeouts.total.filter(|_| !is_ending)?;
        Some(head.opened_at.unwrap_or(head.created_at).after(total))
    }

    fn of_work(self, node: NodeId, work: &Work) -> Option<Timestamp> {
        let timeouts = self.timeouts(node);
        let deadline = deadline(timeouts, work);
        match &work.stage {
            Stage::Open(open) => self.of_attempt(timeouts, open),
            Stage::Waiting { until, .. } => [Some(*until), deadline].into_iter().flatten().min(),
            Stage::Ready { since } => {
                // The time of a pause is no time in a queue.
                let paused = self.run.head.status == WorkflowStatus::Paused;
                let queue = timeouts.queue.filter(|_| !paused);
                [queue.map(|span| since.after(span)), deadline].into_iter().flatten().min()
            }
            // No time ends what undoes a step: only an operator does.
            Stage::Held => {
                deadline.filter(|_| self.plan.work(node).is_some_and(|work| work.undoes.is_none()))
            }
            Stage::Closed => None,
        }
    }

    /// The earliest of the time limits of an open attempt.
    fn of_attempt(self, timeouts: TaskTimeouts, open: &Open) -> Option<Timestamp> {
        let slack = self.settings.slack;
        let begun = match open.started {
            _ if open.accepted => [None, None],
            None => [open.start_before.map(|at| at.after(slack)), None],
            Some(started) => {
                let execution = timeouts.execution.map(|span| started.after(span).after(slack));
                [execution, timeouts.heartbeat.and_then(|span| Some(open.seen?.after(span)))]
            }
        };
        let deadline = open.deadline.map(|at| at.after(slack));
        // What was told to end is told again, and not asked whether it lives.
        let next = open.cancelled_until.or(open.ask_at);
        begun.into_iter().chain([deadline, next]).flatten().min()
    }

    /// The pause of a `loop`; and at once, where one decision could not begin all that a `forEach` may.
    fn of_block(self, path: &TaskPath, row: &Row, block: &Block) -> Option<Timestamp> {
        if block.ending.is_some() || row.finished() {
            return None;
        }
        match &self.plan.node(row.node).kind {
            NodeKind::Loop(_) if !row.status.is_terminal() => block.pause,
            NodeKind::ForEach(each) if !row.status.is_terminal() || block.rest => {
                let total = each.iterations(row.items());
                let is_left = block.begun < total || !block.again.is_empty();
                let may_begin = is_left && block.active < each.concurrency.unwrap_or(total);
                let step = Step { node: row.node, path: path.clone() };
                (may_begin && !self.waits_for_its_turn(&step)).then_some(row.created_at)
            }
            _ => None,
        }
    }

    /// The limits in time of a task: its own, and the configured ones where it names none.
    pub(crate) fn timeouts(self, node: NodeId) -> TaskTimeouts {
        let work = self.plan.work(node);
        let own = work.map(|work| work.definition.timeouts).unwrap_or_default();
        if work.is_some_and(|work| work.child.is_some()) {
            // A child run has limits of its own: only the step's total counts here.
            return TaskTimeouts { total: own.total, ..TaskTimeouts::default() };
        }
        own.or(self.settings.timeouts)
    }

    /// When all attempts of a task must have ended.
    pub(crate) fn deadline(self, step: &Step) -> Option<Timestamp> {
        deadline(self.timeouts(step.node), self.run.rows.get(&step.path)?.work()?)
    }

    /// Whether a step is, or is inside, an iteration that is to be done again when others have ended.
    pub(crate) fn waits_for_its_turn(self, step: &Step) -> bool {
        let is_pending = |row: &Row| row.status == TaskStatus::Pending;
        let mut around = std::iter::once(step.clone()).chain(self.plan.around(step));
        around.any(|step| {
            self.plan.is_of_for_each(&step) && self.run.rows.get(&step.path).is_some_and(is_pending)
        })
    }
}

fn deadline(timeouts: TaskTimeouts, work: &Work) -> Option<Timestamp> {
    timeouts.total.map(|total: Span| work.first_ready.after(total))
}

fn of_wait(awaiting: &Awaiting) -> Option<Timestamp> {
    [awaiting.until.map(|(at, _)| at), awaiting.timeout].into_iter().flatten().min()
}
