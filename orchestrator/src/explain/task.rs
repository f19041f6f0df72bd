//! A task in sentences: what it waits for, since when, how long still, and by what it is moved.

use oarlock_engine::run::{Open, Row, Stage, Work};
use oarlock_protocol::Timestamp;
use oarlock_protocol::definition::TaskTimeouts;
use oarlock_protocol::instance::{InstanceKind, TaskInstance, WorkflowStatus};
use oarlock_protocol::message::LimitKind;

use crate::partition::limits::limit_name;
use crate::pauses::{self, Labels, Pause};

use super::{Facts, Waiting, add, ago, ahead, error_text, word};

/// A task, or what else is attempted, while it is told.
pub(super) struct Told<'a> {
    pub(super) facts: &'a Facts<'a>,
    pub(super) instance: &'a TaskInstance,
    pub(super) row: &'a Row,
    pub(super) work: &'a Work,
    timeouts: TaskTimeouts,
    /// When all its attempts must have ended.
    pub(super) deadline: Option<Timestamp>,
}

/// What a task waits for; none where it has ended.
pub(super) fn waiting(facts: &Facts<'_>, instance: &TaskInstance, row: &Row) -> Option<Waiting> {
    let work = row.work()?;
    let node = facts.plan.work(row.node)?;
    let own = node.definition.timeouts;
    let (child, defaults) = (node.child.as_ref(), facts.settings.timeouts);
    let timeouts = if child.is_some() { own } else { own.or(defaults) };
    let deadline = timeouts.total.map(|total| work.first_ready.after(total));
    let told = Told { facts, instance, row, work, timeouts, deadline };
    let mut waiting = match (&work.stage, child) {
        (Stage::Ready { since }, Some(child)) => told.ready_child(child, *since),
        (Stage::Ready { since }, None) => told.ready(*since),
        (Stage::Open(open), Some(child)) => told.open_child(child, open),
        (Stage::Open(open), None) => told.open(open),
        (Stage::Waiting { until, since }, _) => told.retry(*until, *since),
        (Stage::Held, _) => told.held(),
        (Stage::Closed, _) => return None,
    };
    if instance.kind == InstanceKind::Compensation
        && let Some(undone) = facts.plan.locate(&waiting.task_path).and_then(|step| facts.plan.parent(&step))
    {
        waiting.text = format!("It undoes {}. {}", undone.path, waiting.text);
    }
    Some(waiting)
}

/// What ends a task from outside.
pub(super) const ENDED: [&str; 2] = ["complete", "fail"];

impl Told<'_> {
    /// It is decided and not let out yet.
    fn ready(&self, since: Timestamp) -> Waiting {
        let (facts, queue) = (self.facts, &self.work.queue);
        let mut text = format!("It is READY since {}", ago(since, facts.now));
        if facts.run.head.status == WorkflowStatus::Paused {
            text.push_str(", and is dispatched when the run goes on.");
            return self.waiting(since, self.deadline, text, &ENDED);
        }
        let pauses = self.pauses();
        if let Some(pause) = pauses.first() {
            return self.held_back(since, text, pause);
        }
        if let Some(limit) = self.full_limit() {
            text.push_str(&limit);
        } else if let Some(problem) = &facts.broker_problem {
            text.push_str(&format!(", and is dispatched when the broker takes messages again: {problem}."));
        } else {
            text.push_str(&format!(
                " for the queue '{queue}', and is let out in its turn, when fewer than {} tasks of that queue are out \
                 from its node.",
                facts.windows.get(queue).copied().unwrap_or_default()
            ));
            self.add_waiting_in_queue(&mut text);
            self.rate().iter().for_each(|rate| add(&mut text, rate));
        }
        let until = self.add_queue_limit(&mut text, self.timeouts.queue.map(|span| since.after(span)));
        self.waiting(since, until, text, &ENDED)
    }

    /// The limit of its definition of which no permit is free, as the store has it.
    fn full_limit(&self) -> Option<String> {
        let definition = &self.facts.plan.work(self.row.node)?.definition;
        let most = definition.concurrency_limit.as_ref()?.limit();
        let limit = limit_name(&self.facts.run.key.tenant, definition, self.work, LimitKind::Concurrency);
        let open = *self.facts.limits.get(&limit.to_string()).filter(|open| **open >= most)?;
        let counted = limit.key.map(|key| format!(" for the key {key:?}")).unwrap_or_default();
        Some(format!(
            ", and waits for a permit of the limit of '{}'{counted} (`concurrencyLimit`): {open} of {most} open.",
            limit.task
        ))
    }

    /// How its definition spreads what begins.
    fn rate(&self) -> Option<String> {
        let definition = &self.facts.plan.work(self.row.node)?.definition;
        let rate = definition.rate_limit.as_ref()?;
        let limit = limit_name(&self.facts.run.key.tenant, definition, self.work, LimitKind::Rate);
        let counted = limit.key.map(|key| format!(" for the key {key:?}")).unwrap_or_default();
        let (most, per) = (rate.limit, rate.per);
        Some(format!("At most {most} of '{}'{counted} begin in {per} (`rateLimit`).", limit.task))
    }

    /// The pauses that hold it back.
    fn pauses(&self) -> Vec<&Pause> {
        let facts = self.facts;
        let task = facts.plan.work(self.row.node).map_or("", |node| node.definition.id.as_str());
        let (queue, tenant) = (self.work.queue.as_str(), &*facts.run.key.tenant);
        let labels = Labels { queue, tenant, task, workflow: &facts.run.head.workflow_definition_id };
        facts.pauses.iter().filter(|pause| pauses::names(&pause.subject, labels)).collect()
    }

    /// Somebody has paused its queue or a definition of it.
    fn held_back(&self, since: Timestamp, mut text: String, pause: &Pause) -> Waiting {
        let reason = if pause.reason.is_empty() { String::new() } else { format!(" ({})", pause.reason) };
        text.push_str(&format!(
            ", and is held back: {} is paused since {} by {}{reason}. Its time in the queue counts from the end of that.",
            pause.named(),
            ago(pause.since, self.facts.now),
            pause.requested_by,
        ));
        self.add_deadline(&mut text);
        let mut waiting = self.waiting(since, self.deadline, text, &ENDED);
        waiting.commands.insert(0, pause.ended_by());
        waiting
    }

    /// An attempt of it is out.
    fn open(&self, open: &Open) -> Waiting {
        let attempt = self.work.attempts.last();
        let scheduled = attempt.map_or(self.row.updated_at, |attempt| attempt.scheduled_at);
        let number = self.work.attempt_count;
        let now = self.facts.now;
        let worker = attempt.and_then(|attempt| attempt.worker_id.as_ref());
        let (since, mut text, mut until) = match open.started {
            None => {
                let queue = &self.work.queue;
                let mut text = format!(
                    "Attempt {number} waits for a worker since {}, in the queue '{queue}'.",
                    ago(scheduled, now)
                );
                self.add_waiting_in_queue(&mut text);
                add(&mut text, "A worker of that queue with a free slot takes it.");
                let until = self.add_queue_limit(&mut text, open.start_before);
                (scheduled, text, until)
            }
            Some(started) => {
                let worker =
                    worker.map_or("an unknown worker".to_owned(), |worker| format!("worker {worker}"));
                let mut text = format!("Attempt {number} runs on {worker} since {}.", ago(started, now));
                let until = if open.accepted {
                    add(&mut text, "Its worker has handed it on: it lasts until somebody completes it.");
                    self.add_deadline(&mut text);
                    self.deadline
                } else {
                    self.add_running_limits(&mut text, started)
                };
                (started, text, until)
            }
        };
        if let Some(told) = open.cancelled_until {
            let end = format!("It was told to end; its answer is waited for until {}.", ahead(told, now));
            add(&mut text, &end);
            until = Some(told);
            return self.waiting(since, until, text, &[]);
        }
        self.add_last_error(&mut text);
        self.waiting(since, until, text, &ENDED)
    }

    /// Its next attempt waits for a time.
    fn retry(&self, until: Timestamp, since: Timestamp) -> Waiting {
        let now = self.facts.now;
        let number = self.work.attempt_count + 1;
        let mut text = match &self.row.error {
            Some(error) => format!("It failed at {} ({}).", ago(since, now), error_text(error)),
            None => format!("Its worker asked at {} to look at it again later.", ago(since, now)),
        };
        let paused = self.facts.run.head.status == WorkflowStatus::Paused;
        let then = if paused { "is due" } else { "begins" };
        add(&mut text, &format!("Attempt {number} {then} at {}", ahead(until, now)));
        text.push_str(if paused { ", and begins when the run goes on." } else { "." });
        self.add_deadline(&mut text);
        self.waiting(since, Some(until), text, &ENDED)
    }

    /// Its retries are spent, and an operator is asked.
    fn held(&self) -> Waiting {
        let since = self.row.updated_at;
        let error =
            self.row.error.as_ref().map(|error| format!(": {}", error_text(error))).unwrap_or_default();
        let mut text = format!(
            "It waits for an operator since {}: its retries are used up. Its last error is {}. A resume begins its \
             retries anew; to complete or fail it ends it as its worker would.",
            ago(since, self.facts.now),
            error.trim_start_matches(": ").trim_end_matches('.')
        );
        self.add_deadline(&mut text);
        self.waiting(since, self.deadline, text, &["resume", "complete", "fail"])
    }

    fn add_waiting_in_queue(&self, text: &mut String) {
        match self.facts.waiting.get(&self.work.queue) {
            None => {}
            Some(0) => add(text, "No message waits in that queue: workers have taken what was there."),
            Some(1) => add(text, "1 message waits in that queue."),
            Some(count) => add(text, &format!("{count} messages wait in that queue.")),
        }
    }

    /// Tells by when a worker must have begun; the earlier of that and the deadline comes back.
    fn add_queue_limit(&self, text: &mut String, start_before: Option<Timestamp>) -> Option<Timestamp> {
        if let Some(before) = start_before {
            let before = ahead(before, self.facts.now);
            add(text, &format!("Where none begins it by {before}, the attempt fails with TIMEOUT_QUEUE."));
        }
        self.add_deadline(text);
        [start_before, self.deadline].into_iter().flatten().min()
    }

    fn add_running_limits(&self, text: &mut String, started: Timestamp) -> Option<Timestamp> {
        if let Some(heartbeat) = self.timeouts.heartbeat {
            let told = format!(
                "Its worker gave a sign of life within the last {heartbeat}, or it would have been given up."
            );
            add(text, &told);
        }
        let end = self.timeouts.execution.map(|span| started.after(span));
        if let Some(end) = end {
            let end = ahead(end, self.facts.now);
            add(text, &format!("Where it has not ended by {end}, the attempt fails with TIMEOUT_EXECUTION."));
        }
        self.add_deadline(text);
        [end, self.deadline].into_iter().flatten().min()
    }

    pub(super) fn add_deadline(&self, text: &mut String) {
        if let Some(deadline) = self.deadline {
            let deadline = ahead(deadline, self.facts.now);
            add(text, &format!("All attempts together end by {deadline}; then the task is TIMED_OUT."));
        }
    }

    /// Why there was more than one attempt.
    pub(super) fn add_last_error(&self, text: &mut String) {
        let earlier = self.work.attempts.iter().rev().skip(1).find_map(|attempt| attempt.error.as_ref());
        if let Some(error) = earlier {
            add(text, &format!("The attempt before failed ({}).", error_text(error)));
        }
    }

    pub(super) fn waiting(
        &self,
        since: Timestamp,
        until: Option<Timestamp>,
        text: String,
        commands: &[&str],
    ) -> Waiting {
        let run = self.facts.run.key.run;
        let path = &self.instance.execution_context.task_path;
        let place = word(path.as_str());
        let command = |command: &&str| match *command {
            "complete" => format!("oarlock complete {run} {place} --output JSON"),
            "fail" => format!("oarlock fail {run} {place} --code CODE --message TEXT"),
            other => format!("oarlock {other} {run}"),
        };
        Waiting {
            task_path: path.clone(),
            kind: self.instance.kind,
            status: self.instance.status,
            since,
            until,
            text,
            commands: commands.iter().map(command).collect(),
        }
    }
}
