//! The end of a round: ready tasks are let out, everything decided is committed at once, and only then performed.

use std::time::Duration;

use oarlock_broker::{Health, Message, Publication, topology};
use oarlock_engine::{Event, task_message};
use oarlock_protocol::code::Code;
use oarlock_protocol::instance::TaskMetrics;
use oarlock_protocol::message::{AttemptAddress, Kind, Outcome, ResultMessage};
use oarlock_protocol::trace::TRACEPARENT;
use oarlock_protocol::{ErrorDetails, ExecutionId, FORMAT, RunKey, TaskPath, WorkerId};
use tokio::time::Instant;

use super::Lost;
use super::answer::Reply;
use super::batch::{Dispatch, Entry, What};
use super::effects::Verdict;
use super::owner::{Owner, ROUND, STORE_AGAIN};
use super::publisher::Outgoing;
use super::{removal, requests, runs};
use crate::layout::{self, Place, outbox};
use crate::store::{self, Key, Write};
use crate::traces;

/// Confirmed publications leave the outbox within this time even when nothing else is committed.
const FLUSH: Duration = Duration::from_millis(200);
/// How long publications on their way are waited for when a partition is given up: what is not confirmed then is published
/// again by the next owner.
const LEAVE: Duration = Duration::from_secs(1);

impl Owner {
    /// Lets ready tasks out, commits what was decided, and performs it.
    pub(super) async fn finish_round(&mut self) -> Result<(), Lost> {
        self.let_back();
        // What the broker does not take now stays ready: nothing piles up on its way.
        self.admission.takes(self.broker_takes() && !self.publisher.is_full());
        let mut held = false;
        for _ in 0..ROUND {
            let Some(ticket) = self.admission.take() else { break };
            if !self.has_permits(&ticket).await? {
                held = true;
                continue;
            }
            self.discount_pauses(&ticket.run, &ticket.path).await?;
            let decided = self.decide(&ticket.run, Event::Admitted { path: ticket.path.clone() }).await?;
            self.settle_permits(&ticket, decided.as_ref().is_ok_and(|verdict| *verdict == Verdict::Waits));
            if let Err(reason) = decided {
                tracing::error!(run = %ticket.run, reason, "a ready task's run cannot be loaded");
            }
            self.admission.settle();
        }
        if held {
            // Their places in the windows are free for others.
            self.admission.deal();
        }
        self.admission.wake_for_the_rest();
        self.republish_failed().await?;
        self.ask_for_permits();
        self.grant_permits();
        self.commit().await?;
        self.perform().await
    }

    /// Gives the partition up in order: what is on its way is confirmed where that is soon, and the outbox says so.
    pub(super) async fn leave(&mut self) -> Result<(), Lost> {
        self.admission.takes(false);
        self.publisher.wait_for_all(LEAVE).await;
        self.flush_at = self.publisher.outbox().has_done().then(Instant::now);
        self.commit().await
    }

    pub(super) fn broker_takes(&self) -> bool {
        *self.health.borrow() == Health::Ready
    }

    /// Fails the attempts whose message the broker refuses for good: trying again is of no use.
    pub(super) async fn fail_refused(
        &mut self,
        refused: Vec<(Dispatch, oarlock_broker::Error)>,
    ) -> Result<(), Lost> {
        for (dispatch, error) in refused {
            let attempt = match &dispatch.what {
                What::Task { attempt, .. } | What::Child { attempt } => *attempt,
                What::End | What::EndInBrief { .. } => {
                    self.tell_end_in_brief(dispatch, &error).await?;
                    continue;
                }
            };
            let Place { run, path } = dispatch.place;
            let message = format!("its message cannot be published: {error}");
            let result = ResultMessage {
                format: FORMAT,
                address: AttemptAddress { run: run.clone(), task_path: path, execution_id: attempt },
                worker_id: WorkerId::from(self.shared.settings.node.clone()),
                outcome: Outcome::Failed { error: ErrorDetails::system(Code::PayloadTooLarge, message) },
                metrics: TaskMetrics::default(),
                deliveries: 0,
            };
            if let Err(reason) = self.decide(&run, Event::Result(Box::new(result))).await? {
                tracing::error!(%run, reason, "a run cannot be loaded");
            }
        }
        Ok(())
    }

    /// The broker refuses what the step that started a run waits to hear: it hears less.
    async fn tell_end_in_brief(
        &mut self,
        refused: Dispatch,
        error: &oarlock_broker::Error,
    ) -> Result<(), Lost> {
        let Dispatch { place, what } = refused;
        if matches!(what, What::EndInBrief { .. }) {
            tracing::error!(run = %place.run, %error, "the run that started it cannot be told how it ended");
            self.publisher.close(Entry::of_end(&place.run));
            return Ok(());
        }
        let what = What::EndInBrief { reason: error.to_string() };
        self.dispatch_again(Dispatch { place, what }).await
    }

    /// Publishes again what could not be published, if it is still open.
    async fn republish_failed(&mut self) -> Result<(), Lost> {
        if !self.broker_takes() || self.publisher.is_full() {
            return Ok(());
        }
        for dispatch in self.publisher.take_failed() {
            self.dispatch_again(dispatch).await?;
        }
        Ok(())
    }

    /// Publishes it with this round, beside what is in the outbox already.
    pub(super) async fn dispatch_again(&mut self, dispatch: Dispatch) -> Result<(), Lost> {
        // Loaded here where it left memory meanwhile: the message is built from the run.
        match self.runs.get(&self.shared, self.partition, &dispatch.place.run).await {
            Ok(_) => {
                self.publisher.add(&dispatch);
                self.batch.dispatches.push(dispatch);
            }
            Err(runs::Error::Store(error)) => return Err(error.into()),
            Err(error) => tracing::error!(run = %dispatch.place.run, %error, "a run cannot be loaded"),
        }
        Ok(())
    }

    pub(super) async fn commit(&mut self) -> Result<(), Lost> {
        self.settle_timers();
        let flush = self.flush_at.is_some_and(|at| at <= Instant::now());
        let changed = self
            .batch
            .runs
            .iter()
            .any(|key| self.runs.cached(key).is_some_and(|c| !c.run.changes.is_empty()));
        let others =
            !(self.batch.writes.is_empty() && self.batch.timers.is_empty() && self.batch.outbox.is_empty());
        let others = std::mem::take(&mut self.batch.confirms) || others;
        if !(changed || others || flush) {
            if self.publisher.outbox().has_done() && self.flush_at.is_none() {
                self.flush_at = Some(Instant::now() + FLUSH);
            }
            return Ok(());
        }
        let mut writes = std::mem::take(&mut self.batch.writes);
        let written = self.write_runs(&mut writes);
        self.write_statistics(&mut writes);
        self.write_timers(&mut writes);
        self.write_outbox(&mut writes);
        self.flush_at = None;
        let began = Instant::now();
        self.commit_until_answered(&writes).await?;
        self.shared.tallies.committed(began.elapsed(), written.len());
        for (key, paths) in written {
            if let Some(cached) = self.runs.cached(&key) {
                cached.run.compact(&cached.plan, &paths);
            }
        }
        Ok(())
    }

    fn write_runs(&mut self, writes: &mut Vec<Write>) -> Vec<(RunKey, Vec<TaskPath>)> {
        let mut written = Vec::with_capacity(self.batch.runs.len());
        for key in &self.batch.runs {
            if let Some(cached) = self.runs.cached(key) {
                written.push((key.clone(), layout::write_changes(&mut cached.run, writes)));
            }
        }
        // The run's own timer goes with it, or tells later that its key need not be remembered any more.
        let now = self.shared.clock.now();
        let [own, child] = [false, true].map(|is_child| self.remembered(is_child));
        for key in &self.batch.forgotten {
            if let Some(cached) = self.runs.cached(key) {
                let remember = if cached.run.head.parent.is_some() { child } else { own };
                let stays = layout::forget(&cached.run, remember.as_millis() > 0, writes);
                let place = Place { run: key.clone(), path: TaskPath::root() };
                self.batch.timers.insert(place.into(), stays.then_some(now.after(remember)));
                if self.shared.settings.payloads.is_some() {
                    self.batch.timers.insert(removal::place(key).into(), Some(now));
                }
            }
        }
        written
    }

    fn write_outbox(&mut self, writes: &mut Vec<Write>) {
        let seq = self.lease.seq + 1;
        let mut added = std::mem::take(&mut self.batch.outbox);
        // What was closed by the same batch is not published at all.
        added.retain(|(entry, _)| self.publisher.awaits(*entry));
        if let Some(value) = outbox::write(added.iter().map(|(entry, place)| (entry.0, place))) {
            writes.push(Write::HashSet { key: Key::Outbox, field: outbox::field(seq), value });
        }
        added.into_iter().for_each(|(entry, _)| self.publisher.file(entry, seq));
        for seq in self.publisher.outbox().take_done() {
            writes.push(Write::HashDelete { key: Key::Outbox, field: outbox::field(seq) });
        }
    }

    /// Sends the same batch until the store has answered: a commit may have happened although its answer was lost. When the
    /// lease is over before that, the partition is lost: whoever takes it next finds out what the store has.
    async fn commit_until_answered(&mut self, writes: &[Write]) -> Result<(), Lost> {
        let seq = self.lease.seq + 1;
        let mut told = false;
        loop {
            match self.shared.store.commit(self.partition, &self.lease.token, seq, writes).await {
                Ok(()) => break,
                Err(store::Error::Unavailable(reason)) if !self.lease.is_over() => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(reason, "the store does not answer; the same commit is sent again");
                    }
                    self.pulse.beat();
                    tokio::time::sleep(STORE_AGAIN).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.lease.seq = seq;
        Ok(())
    }

    /// Does what was decided, now that it is committed.
    ///
    /// The store has just taken the commit; but this process may have stood still since. A lease that may be over is
    /// renewed before anything leaves: who is fenced publishes nothing.
    pub(super) async fn perform(&mut self) -> Result<(), Lost> {
        while self.lease.is_over() {
            self.lease.renew(&self.shared, self.partition).await?;
        }
        let mut outgoing = Vec::with_capacity(self.batch.dispatches.len());
        let takes = self.broker_takes() && !self.publisher.is_full();
        for dispatch in std::mem::take(&mut self.batch.dispatches) {
            // Tasks are let out only while the broker takes them; runs are started as they come.
            if !takes && !matches!(dispatch.what, What::Task { .. }) {
                self.publisher.put_off(dispatch);
            } else if let Some(publication) = self.publication(&dispatch) {
                outgoing.push(Outgoing { dispatch, publication });
            }
        }
        if !outgoing.is_empty() {
            self.publisher.publish(outgoing);
        }
        for (run, to) in std::mem::take(&mut self.batch.watchers) {
            requests::watch_for(&self.shared, &run, to);
        }
        // Those who watch hear of a change before those who waited for it go on.
        for change in std::mem::take(&mut self.batch.changes) {
            self.shared.watch.tell(change);
        }
        self.tell_observers();
        self.export_spans();
        let mut tell = std::mem::take(&mut self.batch.tell);
        tell.extend(std::mem::take(&mut self.batch.replies).into_iter().filter_map(Reply::give));
        if !tell.is_empty() {
            // A worker that is gone has no control queue any more; it needs no answer either. Nor does who asked and left.
            let broker = self.shared.broker.clone();
            tokio::spawn(async move { broker.publish(tell).await });
        }
        for key in std::mem::take(&mut self.batch.runs) {
            match self.runs.cached(&key) {
                Some(cached) if cached.run.head.status.is_terminal() => self.runs.drop(&key),
                Some(cached) => cached.in_batch = false,
                None => {}
            }
        }
        self.batch.forgotten.clear();
        self.runs.end_round();
        self.schedules.clear();
        self.runs.shrink(self.shared.cached_runs());
        Ok(())
    }

    fn publication(&mut self, dispatch: &Dispatch) -> Option<Publication> {
        let run = &dispatch.place.run;
        match &dispatch.what {
            What::Task { attempt, queue } => self.task_publication(&dispatch.place, *attempt, queue),
            What::Child { .. } => self.child_start(&dispatch.place),
            What::End => self.child_end(run, None),
            What::EndInBrief { reason } => self.child_end(run, Some(reason)),
        }
    }

    fn task_publication(&mut self, place: &Place, attempt: ExecutionId, queue: &str) -> Option<Publication> {
        let settings = &self.shared.settings.engine;
        let cached = self.runs.cached(&place.run)?;
        let message = task_message::build(&cached.plan, &cached.run, &place.path, settings)?;
        let trace = traces::handed_on(&cached.run, attempt, &self.shared.settings.telemetry);
        let message = Message {
            body: serde_json::to_vec(&message).ok()?.into(),
            message_id: attempt.to_string(),
            correlation_id: Some(attempt.to_string()),
            reply_to: Some(topology::inbox(self.partition)),
            kind: Kind::Task.as_str().to_owned(),
            headers: trace.map(|trace| (TRACEPARENT.to_owned(), trace.to_string())).into_iter().collect(),
        };
        Some(Publication { queue: topology::tasks(queue), message })
    }
}
