//! What those who watch the fleet see of a decision: attempts that have closed, runs that have ended.
//!
//! Made by the owner from the run as it stands right after the decision. What is written goes with the commit of that
//! decision; whoever else looks on is told after it.

use oarlock_engine::run::Stage;
use oarlock_protocol::instance::{Attempt, TaskStatus, WorkflowMetrics, WorkflowStatus};
use oarlock_protocol::message::{RunEvent, TaskEvent};
use oarlock_protocol::{ErrorDetails, ExecutionId, FORMAT, RunKey, TaskPath, Timestamp};

use super::owner::Owner;
use super::runs::Cached;
use crate::books;
use crate::events::Event;

/// An attempt that has closed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClosedAttempt {
    /// Its run.
    pub(crate) run: RunKey,
    /// The step.
    pub(crate) path: TaskPath,
    /// The workflow definition.
    pub(crate) workflow: String,
    /// The task definition; of a step that starts a run, the workflow it starts.
    pub(crate) task: String,
    /// The number of the attempt, from 1.
    pub(crate) number: u32,
    /// Whether the attempt was a run, and no worker had it.
    pub(crate) is_child: bool,
    /// Whether its worker wants to look again later.
    pub(crate) put_off: bool,
    /// All that is kept of it. `error` is absent where it completed, or is to be looked at again later.
    pub(crate) attempt: Attempt,
}

/// A run that has ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EndedRun {
    /// The run.
    pub(crate) run: RunKey,
    /// Its definition.
    pub(crate) workflow: String,
    /// How it ended.
    pub(crate) status: WorkflowStatus,
    /// When it had begun.
    pub(crate) began: Timestamp,
    /// When it ended.
    pub(crate) ended: Timestamp,
    /// What it cost.
    pub(crate) metrics: WorkflowMetrics,
}

/// Looks on. Called by the owners of all partitions of a node, after the commit: it must be quick and never wait.
pub(crate) trait Observer: Send + Sync + 'static {
    /// An attempt has closed.
    fn attempt_closed(&self, closed: &ClosedAttempt);

    /// A run has ended.
    fn run_ended(&self, _ended: &EndedRun) {}

    /// The status of a run has changed.
    fn run_changed(&self, _changed: &RunEvent) {}
}

impl Owner {
    /// Tells those who look on, now that it is committed.
    pub(super) fn tell_observers(&mut self) {
        let (closed, ended) = (std::mem::take(&mut self.batch.closed), std::mem::take(&mut self.batch.ended));
        for observer in &self.shared.observers {
            closed.iter().for_each(|closed| observer.attempt_closed(closed));
            ended.iter().for_each(|ended| observer.run_ended(ended));
        }
        for event in std::mem::take(&mut self.batch.events) {
            if let Event::Run(changed) = &event {
                self.shared.observers.iter().for_each(|observer| observer.run_changed(changed));
            }
            self.shared.events.tell(event);
        }
    }

    /// Books where a task stands by now.
    pub(super) fn book(&mut self, run: &RunKey, path: &TaskPath) {
        let Some(cached) = self.runs.cached(run) else { return };
        let now = books::entry(&cached.plan, &cached.run, path);
        let before = match &now {
            Some(entry) => cached.entries.insert(path.clone(), entry.clone()),
            None => cached.entries.remove(path),
        };
        if before != now {
            self.books.open().moves(run, path, before.as_ref(), now.as_ref());
        }
    }

    /// Notes that an attempt has closed.
    pub(super) fn note_closed(&mut self, run: &RunKey, path: &TaskPath, attempt: ExecutionId) {
        let Some(closed) = self.runs.cached(run).and_then(|cached| closed(cached, path, attempt)) else {
            return;
        };
        self.books.open().closed(&closed);
        if self.keeps_statistics() {
            self.statistics.attempt_closed(&closed);
        }
        self.batch.closed.push(closed);
    }

    /// Notes that the status of a run has changed.
    pub(super) fn note_run_change(&mut self, run: &RunKey, status: WorkflowStatus, now: Timestamp) {
        let Some(cached) = self.runs.cached(run) else { return };
        let head = &cached.run.head;
        let changed = RunEvent {
            format: FORMAT,
            run: run.clone(),
            workflow: head.workflow_definition_id.clone(),
            version: head.workflow_definition_version,
            status,
            time: now,
            correlation_id: head.correlation_id.clone(),
        };
        self.batch.events.push(Event::Run(changed));
    }

    /// Notes that the status of a task has changed, where that is announced.
    pub(super) fn note_task_change(
        &mut self,
        run: &RunKey,
        path: &TaskPath,
        status: TaskStatus,
        attempt: u32,
        error: Option<&ErrorDetails>,
        now: Timestamp,
    ) {
        if self.shared.events.tells_tasks()
            && let Some(cached) = self.runs.cached(run)
        {
            let changed = task_event(cached, path, status, attempt, error, now);
            self.batch.events.extend(changed.map(Event::Task));
        }
    }

    /// Notes that a run has ended.
    pub(super) fn note_ended(&mut self, run: &RunKey) {
        let ended = self.runs.cached(run).and_then(|cached| ended(cached));
        if let Some(ended) = &ended
            && self.keeps_statistics()
        {
            self.statistics.run_ended(ended);
        }
        self.batch.ended.extend(ended);
    }
}

fn closed(cached: &Cached, path: &TaskPath, execution: ExecutionId) -> Option<ClosedAttempt> {
    let row = cached.run.rows.get(path)?;
    let work = row.work()?;
    let node = cached.plan.work(row.node)?;
    let attempt = work.attempts.iter().rev().find(|attempt| attempt.execution_id == execution)?;
    let later = work.attempts.iter().rev().take_while(|other| other.execution_id != execution).count();
    Some(ClosedAttempt {
        run: cached.run.key.clone(),
        path: path.clone(),
        workflow: cached.run.head.workflow_definition_id.clone(),
        task: node.definition.id.clone(),
        number: work.attempt_count.saturating_sub(u32::try_from(later).unwrap_or(u32::MAX)),
        is_child: node.child.is_some(),
        // What completed settles its step; what is put off waits on, or its step was ended meanwhile.
        put_off: attempt.error.is_none()
            && (matches!(work.stage, Stage::Waiting { .. }) || row.status == TaskStatus::Cancelled),
        attempt: attempt.clone(),
    })
}

/// None of a step that is neither a task nor starts a run.
fn task_event(
    cached: &Cached,
    path: &TaskPath,
    status: TaskStatus,
    attempt: u32,
    error: Option<&ErrorDetails>,
    now: Timestamp,
) -> Option<TaskEvent> {
    let (run, row) = (&cached.run, cached.run.rows.get(path)?);
    let node = cached.plan.work(row.node)?;
    // A decision may have opened the next attempt meanwhile.
    let is_latest = |work: &&oarlock_engine::run::Work| attempt > 0 && work.attempt_count == attempt;
    let latest = row.work().filter(is_latest).and_then(|work| work.attempts.last());
    Some(TaskEvent {
        format: FORMAT,
        run: run.key.clone(),
        workflow: run.head.workflow_definition_id.clone(),
        version: run.head.workflow_definition_version,
        task_path: path.clone(),
        task: node.definition.id.clone(),
        status,
        time: now,
        attempt,
        execution_id: latest.map(|attempt| attempt.execution_id),
        error_code: error.map(|error| error.code.clone()),
        correlation_id: run.head.correlation_id.clone(),
    })
}

fn ended(cached: &Cached) -> Option<EndedRun> {
    let head = &cached.run.head;
    Some(EndedRun {
        run: cached.run.key.clone(),
        workflow: head.workflow_definition_id.clone(),
        status: head.status,
        began: head.start_time.unwrap_or(head.created_at),
        ended: head.end_time?,
        metrics: head.metrics,
    })
}
