//! Pauses of queues and definitions at their home partition; and what a pause means to the time of a task that it holds back.

use oarlock_engine::Event;
use oarlock_engine::admission::{Offered, Ticket};
use oarlock_engine::run::Stage;
use oarlock_protocol::message::{Answer, Operation, PauseMessage, PauseSubject};
use oarlock_protocol::{RunKey, TaskPath, name};

use super::Lost;
use super::answer::{self, INVALID_REQUEST};
use super::owner::Owner;
use crate::pauses::{self, Labels, Pause};

/// The longest reason that is kept, in bytes.
const LONGEST_REASON: usize = 500;

impl Owner {
    /// Begins or ends a pause.
    pub(super) async fn pause(&mut self, message: PauseMessage) -> Result<Answer, Lost> {
        let PauseMessage { subject, operation, mut reason, requested_by, .. } = message;
        if let Err(told) = check(&subject, operation) {
            return Ok(answer::refused(INVALID_REQUEST, told));
        }
        oarlock_protocol::error::cut(&mut reason, LONGEST_REASON);
        let known = pauses::read(&*self.shared.store, self.partition).await?;
        let now = self.shared.clock.now();
        let lasting = known.get(&subject).filter(|pause| pause.until.is_none());
        let pause = match (operation, lasting) {
            (Operation::Pause, None) => {
                Pause { subject: subject.clone(), since: now, requested_by, reason, until: None }
            }
            (Operation::Resume, Some(pause)) => Pause { until: Some(now), ..pause.clone() },
            _ => {
                self.batch.confirms = true;
                return Ok(Answer::Recorded { existing: true });
            }
        };
        let Some(writes) = pauses::put(&known, &pause, now) else {
            let told =
                format!("{} pauses last, as many as may be; `oarlock pauses` lists them", pauses::MOST);
            return Ok(answer::refused(answer::CONFLICT, told));
        };
        tracing::info!(
            ?subject,
            ?operation,
            by = pause.requested_by,
            "an operator holds work back, or lets it go on"
        );
        self.batch.writes.extend(writes);
        Ok(Answer::Recorded { existing: false })
    }

    /// Offers a ready task to admission.
    pub(super) fn offer(&mut self, queue: &str, priority: u8, ticket: Ticket) {
        let Some(cached) = self.runs.cached(&ticket.run) else { return };
        let row = cached.run.rows.get(&ticket.path);
        let task = row.and_then(|row| cached.plan.work(row.node)).map(|work| work.definition.id.as_str());
        let task = task.unwrap_or_default().into();
        let workflow = cached.run.head.workflow_definition_id.as_str().into();
        self.admission.offer(queue, priority, Offered { ticket, task, workflow });
    }

    /// The time for which a pause held a ready task back is no time in a queue: it counts from the end of the pause.
    pub(super) async fn discount_pauses(&mut self, run: &RunKey, path: &TaskPath) -> Result<(), Lost> {
        if self.asides.is_waiting(run) {
            return Ok(());
        }
        let now = self.shared.clock.now();
        let Some(cached) = self.runs.cached(run) else { return Ok(()) };
        let Some(row) = cached.run.rows.get(path) else { return Ok(()) };
        let Some((work, node)) = row.work().zip(cached.plan.work(row.node)) else { return Ok(()) };
        let Stage::Ready { since } = work.stage else { return Ok(()) };
        let workflow = cached.run.head.workflow_definition_id.as_str();
        let labels = Labels { queue: &work.queue, tenant: &run.tenant, task: &node.definition.id, workflow };
        let Some(until) = self.shared.pauses.held_until(labels, now).filter(|until| *until > since) else {
            return Ok(());
        };
        if let Err(reason) = self.decide(run, Event::HeldBack { path: path.clone(), until }).await? {
            tracing::error!(%run, reason, "a run cannot be loaded");
        }
        Ok(())
    }
}

fn check(subject: &PauseSubject, operation: Operation) -> Result<(), String> {
    if operation == Operation::Retry {
        return Err("a queue or definition is paused or resumed; RETRY is for runs".to_owned());
    }
    let (tenant, named) = match subject {
        PauseSubject::Queue { queue } => (None, queue),
        PauseSubject::Task { tenant_id, task } => (Some(tenant_id), task),
        PauseSubject::Workflow { tenant_id, workflow } => (Some(tenant_id), workflow),
    };
    if named.is_empty() || named.len() > name::LONGEST || named.contains(char::is_control) {
        return Err(format!(
            "the name of what is paused has 1 to {} bytes and no control characters",
            name::LONGEST
        ));
    }
    tenant.map_or(Ok(()), |tenant| name::check_tenant(tenant).map_err(|error| error.to_string()))
}
