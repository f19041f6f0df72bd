//! The first thing an owner does: finds what is open, and publishes again what may never have been published.

use oarlock_engine::admission::Ticket;
use oarlock_engine::map::Set;
use oarlock_engine::run::Stage;
use oarlock_engine::{Event, Run};
use oarlock_protocol::ExecutionId;
use oarlock_protocol::instance::WorkflowStatus;
use tokio::time::Instant;

use super::batch::Dispatch;
use super::owner::Owner;
use super::{Lost, runs};
use crate::layout::Place;
use crate::store::{Fields, Key, Range};

/// How many timers are read at once.
const PAGE: usize = 1_000;

impl Owner {
    /// Brings the partition's open work back to life.
    pub(super) async fn take_over(&mut self) -> Result<(), Lost> {
        let unconfirmed = self.unconfirmed().await?;
        // Without the messages, or without the last commits, nobody knows what was published: all of it is, again.
        let everything = !self.shared.broker.keeps_messages() || self.lease.restarted;
        let mut taken = Taken::default();
        let mut after: Option<(i64, String)> = None;
        loop {
            // Whatever is open or ready has a timer, so the timers name all of it.
            let range =
                Range { from: i64::MIN, to: i64::MAX, after: after.take(), limit: PAGE, descending: false };
            let page = self.shared.store.read_sorted(self.partition, &Key::Timers, &range).await?;
            let full = page.len() == PAGE;
            for place in page.iter().filter_map(|(member, _)| Place::parse(member).ok()) {
                self.take_over_place(place, everything, &unconfirmed, &mut taken).await?;
                self.stay_alive().await?;
            }
            // Page by page, so that the runs of a long backlog need not fit into memory together.
            self.commit().await?;
            self.perform().await?;
            self.pulse.beat();
            if Instant::now() >= self.lease.renew_at() {
                self.lease.renew(&self.shared, self.partition).await?;
            }
            after = page.into_iter().last().map(|(member, at)| (at, member));
            if !full {
                break;
            }
        }
        if taken.offered + taken.open.len() > 0 {
            tracing::info!(open = taken.open.len(), ready = taken.offered, "open work taken over");
        }
        self.load_timers().await?;
        self.finish_round().await
    }

    async fn take_over_place(
        &mut self,
        place: Place,
        everything: bool,
        unconfirmed: &Set<ExecutionId>,
        taken: &mut Taken,
    ) -> Result<(), Lost> {
        match self.waiting(&place).await? {
            // A timer that was set anew meanwhile comes twice.
            Some(Waiting::Open { attempt, queue }) if taken.open.insert(attempt) => {
                self.admission.opened(&queue, attempt);
                if everything {
                    // The worker that had begun it went with the messages.
                    let event = Event::MessagesLost { path: place.path.clone() };
                    if let Err(reason) = self.decide(&place.run, event).await? {
                        tracing::error!(run = %place.run, reason, "a run cannot be loaded");
                    }
                }
                if everything || unconfirmed.contains(&attempt) {
                    let dispatch = Dispatch { place, execution_id: attempt, queue };
                    self.publisher.add(&dispatch);
                    self.batch.dispatches.push(dispatch);
                }
            }
            Some(Waiting::Ready { queue, priority }) => {
                self.admission.offer(&queue, priority, Ticket { run: place.run, path: place.path });
                taken.offered += 1;
            }
            Some(Waiting::Open { .. }) | None => {}
        }
        Ok(())
    }

    async fn unconfirmed(&mut self) -> Result<Set<ExecutionId>, Lost> {
        let entries = self.shared.store.read_hash(self.partition, &Key::Outbox, Fields::All).await?;
        Ok(entries.into_iter().filter_map(|(field, _)| field.parse().ok()).collect())
    }

    /// What waits at a place for a worker or for admission.
    async fn waiting(&mut self, place: &Place) -> Result<Option<Waiting>, Lost> {
        if place.path.is_root() {
            return Ok(None);
        }
        match self.runs.get(&self.shared, self.partition, &place.run).await {
            Ok(Some(cached)) => Ok(waiting_in(&cached.run, place)),
            Ok(None) => Ok(None),
            Err(runs::Error::Store(error)) => Err(error.into()),
            Err(error) => {
                tracing::error!(run = %place.run, %error, "a run cannot be taken over");
                Ok(None)
            }
        }
    }
}

/// What a take-over has found so far.
#[derive(Default)]
struct Taken {
    open: Set<ExecutionId>,
    offered: usize,
}

/// What waits at a place.
enum Waiting {
    /// An attempt, for its worker.
    Open { attempt: ExecutionId, queue: String },
    /// A task, for admission.
    Ready { queue: String, priority: u8 },
}

fn waiting_in(run: &Run, place: &Place) -> Option<Waiting> {
    let work = run.rows.get(&place.path)?.work()?;
    let queue = work.queue.clone();
    match &work.stage {
        Stage::Open(open) => Some(Waiting::Open { attempt: open.execution_id, queue }),
        // A paused run's tasks are offered when it is resumed.
        Stage::Ready { .. } if run.head.status == WorkflowStatus::Paused => None,
        Stage::Ready { .. } => Some(Waiting::Ready { queue, priority: work.priority }),
        Stage::Waiting { .. } | Stage::Held | Stage::Closed => None,
    }
}
