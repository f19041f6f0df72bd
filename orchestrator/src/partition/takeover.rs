//! The first thing an owner does: finds what is open, and publishes again what may never have been published.

use oarlock_engine::admission::Ticket;
use oarlock_protocol::ExecutionId;

use super::batch::Dispatch;
use super::owner::Owner;
use super::{Lost, runs};
use crate::layout::{self, Place};
use crate::store::{Fields, Key, Range};

/// How many timers are read at once.
const PAGE: usize = 1_000;

impl Owner {
    /// Brings the partition's open work back to life.
    pub(super) async fn take_over(&mut self) -> Result<(), Lost> {
        let unconfirmed = self.unconfirmed().await?;
        let everything = !self.shared.broker.keeps_messages();
        let mut published = 0;
        // Whatever is open has a timer, so the timers name all of it.
        for place in self.timed_places().await? {
            let Some((attempt, queue)) = self.open_attempt(&place).await? else { continue };
            self.admission.opened(&queue, attempt);
            if everything || unconfirmed.contains(&attempt) {
                let dispatch = Dispatch { place, execution_id: attempt, queue };
                self.publisher.add(&dispatch);
                self.batch.dispatches.push(dispatch);
                published += 1;
            }
        }
        let ready = self.offer_ready().await?;
        if published + ready > 0 {
            tracing::info!(published, ready, "open work taken over");
        }
        self.load_timers().await?;
        self.finish_round().await
    }

    async fn unconfirmed(&mut self) -> Result<std::collections::HashSet<ExecutionId>, Lost> {
        let entries = self.shared.store.read_hash(self.partition, &Key::Outbox, Fields::All).await?;
        Ok(entries.into_iter().filter_map(|(field, _)| field.parse().ok()).collect())
    }

    async fn timed_places(&mut self) -> Result<Vec<Place>, Lost> {
        let mut places = Vec::new();
        let mut after: Option<(i64, String)> = None;
        loop {
            let range =
                Range { from: i64::MIN, to: i64::MAX, after: after.take(), limit: PAGE, descending: false };
            let page = self.shared.store.read_sorted(self.partition, &Key::Timers, &range).await?;
            let full = page.len() == PAGE;
            places.extend(page.iter().filter_map(|(member, _)| Place::parse(member).ok()));
            after = page.into_iter().last().map(|(member, at)| (at, member));
            if !full {
                return Ok(places);
            }
        }
    }

    async fn open_attempt(&mut self, place: &Place) -> Result<Option<(ExecutionId, String)>, Lost> {
        if place.path.is_root() {
            return Ok(None);
        }
        match self.runs.get(&self.shared, self.partition, &place.run).await {
            Ok(Some(cached)) => {
                Ok(cached.run.open(&place.path).map(|(work, open)| (open.execution_id, work.queue.clone())))
            }
            Ok(None) => Ok(None),
            Err(runs::Error::Store(error)) => Err(error.into()),
            Err(error) => {
                tracing::error!(run = %place.run, %error, "a run cannot be taken over");
                Ok(None)
            }
        }
    }

    /// Offers the ready tasks again that were waiting for admission.
    async fn offer_ready(&mut self) -> Result<usize, Lost> {
        let entries = self.shared.store.read_hash(self.partition, &Key::Ready, Fields::All).await?;
        let mut offered = 0;
        for (field, value) in entries {
            match (Place::parse(&field), layout::read_ready(&value)) {
                (Ok(place), Ok(task)) => {
                    let ticket = Ticket { run: place.run.clone(), path: place.path.clone() };
                    self.admission.offer(&task.queue, task.priority, ticket);
                    self.stored_ready.insert(place);
                    offered += 1;
                }
                (Err(error), _) | (_, Err(error)) => {
                    tracing::error!(field, %error, "a ready task is ignored")
                }
            }
        }
        Ok(offered)
    }
}
