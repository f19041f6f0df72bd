//! The first thing an owner does: finds what is open, and publishes again what may never have been published.

use bytes::Bytes;
use oarlock_engine::admission::Ticket;
use oarlock_engine::map::Set;
use oarlock_engine::run::Stage;
use oarlock_engine::{Event, Plan, Run, child_message};
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::{ExecutionId, RunKey, TaskPath, Timestamp};

use super::batch::{Dispatch, Entry, What};
use super::owner::Owner;
use super::timers::Stored;
use super::{Lost, runs};
use crate::layout::{Place, Timed};
use crate::store::{Fields, Key, Range, Write};

/// The entry of the outbox that says so: everything open is to be published again, and is not yet.
const EVERYTHING: &str = "everything";

/// How many timers are read at once, and the most places that are taken over between two commits.
const PAGE: usize = 1_000;

impl Owner {
    /// Brings the partition's open work back to life.
    pub(super) async fn take_over(&mut self) -> Result<(), Lost> {
        let Unconfirmed { entries: unconfirmed, ends, everything } = self.unconfirmed().await?;
        // Without the messages, or without the last commits, nobody knows what was published: all of it is, again.
        let keeps_messages = self.shared.broker.keeps_messages();
        let everything = everything || !keeps_messages || self.lease.restarted;
        if everything && keeps_messages {
            // Where this one breaks off, the next goes through all of it.
            let (field, value) = (EVERYTHING.to_owned(), Bytes::new());
            self.batch.writes.push(Write::HashSet { key: Key::Outbox, field, value });
        }
        let mut taken = Taken::default();
        let mut after: Option<(i64, String)> = None;
        loop {
            // Whatever is open or ready has a time limit, so the timers name every run in which something is.
            let range =
                Range { from: i64::MIN, to: i64::MAX, after: after.take(), limit: PAGE, descending: false };
            let page = self.shared.store.read_sorted(self.partition, &Key::Timers, &range).await?;
            let full = page.len() == PAGE;
            for (member, at) in &page {
                // What has ended waits for its time alone, and is not loaded.
                let Ok(Timed::Run(run)) = Timed::parse(member) else { continue };
                let at = Timestamp::from_millis(*at);
                for place in self.waiting_places(run, at).await? {
                    self.take_over_place(place, everything, &unconfirmed, &mut taken).await?;
                    taken.places += 1;
                    self.stay_alive().await?;
                    if taken.places % PAGE == 0 {
                        self.commit().await?;
                        self.perform().await?;
                    }
                }
                self.stay_alive().await?;
            }
            // Page by page, so that the runs of a long backlog need not fit into memory together.
            self.commit().await?;
            self.perform().await?;
            self.stay_alive().await?;
            after = page.into_iter().last().map(|(member, at)| (at, member));
            if !full {
                break;
            }
        }
        self.take_over_ends(ends).await?;
        if taken.offered + taken.open.len() > 0 {
            tracing::info!(open = taken.open.len(), ready = taken.offered, "open work taken over");
        }
        self.load_timers().await?;
        if everything && keeps_messages {
            let field = EVERYTHING.to_owned();
            self.batch.writes.push(Write::HashDelete { key: Key::Outbox, field });
        }
        self.finish_round().await
    }

    async fn take_over_place(
        &mut self,
        place: Place,
        everything: bool,
        unconfirmed: &Set<Entry>,
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
                let dispatch = Dispatch { place, what: What::Task { attempt, queue } };
                self.take_over_attempt(dispatch, everything, unconfirmed).await?;
            }
            Some(Waiting::HandedOn { attempt }) if taken.open.insert(attempt) => {
                if unconfirmed.contains(&attempt.into()) {
                    self.drop_entry(attempt.into());
                }
            }
            // A run is not lost with the messages: where it is known, the start is answered.
            Some(Waiting::Child { attempt }) if taken.open.insert(attempt) => {
                let dispatch = Dispatch { place, what: What::Child { attempt } };
                self.take_over_attempt(dispatch, everything, unconfirmed).await?;
            }
            Some(Waiting::Ready { queue, priority }) => {
                self.admission.offer(&queue, priority, Ticket { run: place.run, path: place.path });
                taken.offered += 1;
            }
            Some(Waiting::Open { .. } | Waiting::HandedOn { .. } | Waiting::Child { .. }) | None => {}
        }
        Ok(())
    }

    async fn take_over_attempt(
        &mut self,
        dispatch: Dispatch,
        everything: bool,
        unconfirmed: &Set<Entry>,
    ) -> Result<(), Lost> {
        if unconfirmed.contains(&dispatch.entry()) {
            return self.dispatch_again(dispatch).await;
        }
        if everything {
            // Into the outbox again: until it is confirmed a later owner has to know of it.
            self.dispatch(dispatch);
        }
        Ok(())
    }

    async fn unconfirmed(&mut self) -> Result<Unconfirmed, Lost> {
        let outbox = self.shared.store.read_hash(self.partition, &Key::Outbox, Fields::All).await?;
        let mut unconfirmed = Unconfirmed::default();
        for (field, value) in outbox {
            unconfirmed.everything |= field == EVERYTHING;
            unconfirmed.entries.extend(field.parse::<Entry>().ok());
            let place = std::str::from_utf8(&value).ok().and_then(|text| Place::parse(text).ok());
            unconfirmed.ends.extend(place.filter(|place| place.path.is_root()));
        }
        Ok(unconfirmed)
    }

    /// Tells the steps that started runs how these ended, where they may not have heard.
    async fn take_over_ends(&mut self, ends: Vec<Place>) -> Result<(), Lost> {
        for (number, place) in ends.into_iter().enumerate() {
            match self.runs.get(&self.shared, self.partition, &place.run).await {
                Ok(Some(cached)) if child_message::result(&cached.run).is_some() => {
                    self.dispatch_again(Dispatch { place, what: What::End }).await?;
                }
                Ok(_) => self.drop_entry(Entry::of_end(&place.run)),
                Err(runs::Error::Store(error)) => return Err(error.into()),
                Err(error) => tracing::error!(run = %place.run, %error, "a run cannot be taken over"),
            }
            self.stay_alive().await?;
            if number % PAGE == PAGE - 1 {
                self.commit().await?;
                self.perform().await?;
            }
        }
        Ok(())
    }

    fn drop_entry(&mut self, entry: Entry) {
        self.batch.writes.push(Write::HashDelete { key: Key::Outbox, field: entry.to_string() });
    }

    /// The places of a run at which something waits for a worker or for admission, in the order of their time limits. The
    /// store has `at` for the run.
    async fn waiting_places(&mut self, run: RunKey, at: Timestamp) -> Result<Vec<Place>, Lost> {
        let cached = match self.runs.get(&self.shared, self.partition, &run).await {
            Ok(Some(cached)) => cached,
            Ok(None) => {
                self.batch.timers.insert(Timed::Run(run), None);
                return Ok(Vec::new());
            }
            Err(runs::Error::Store(error)) => return Err(error.into()),
            Err(error) => {
                tracing::error!(%run, %error, "a run cannot be taken over");
                return Ok(Vec::new());
            }
        };
        cached.stored = Stored::At(at);
        let waits = |path: &&TaskPath| waiting_in(&cached.plan, &cached.run, path).is_some();
        let paths = cached.run.rows.keys().filter(waits);
        let mut paths: Vec<_> = paths.map(|path| (cached.timers.get(path), path.clone())).collect();
        paths.sort_unstable();
        if cached.timers.first().is_none_or(|first| first < at) {
            // Configured time limits are shorter by now.
            self.put_into_batch(&run);
        }
        Ok(paths.into_iter().map(|(_, path)| Place { run: run.clone(), path }).collect())
    }

    /// What waits at a place for a worker or for admission.
    async fn waiting(&mut self, place: &Place) -> Result<Option<Waiting>, Lost> {
        match self.runs.get(&self.shared, self.partition, &place.run).await {
            Ok(Some(cached)) => Ok(waiting_in(&cached.plan, &cached.run, &place.path)),
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
    /// How many places were looked at.
    places: usize,
}

/// What the outbox names.
#[derive(Default)]
struct Unconfirmed {
    entries: Set<Entry>,
    /// Runs of whose end those that started them may not have heard.
    ends: Vec<Place>,
    /// Whether a take-over broke off that had to publish everything again.
    everything: bool,
}

/// What waits at a place.
enum Waiting {
    /// An attempt, for its worker.
    Open { attempt: ExecutionId, queue: String },
    /// An attempt that its worker has handed on.
    HandedOn { attempt: ExecutionId },
    /// An attempt, for the end of the run that it is.
    Child { attempt: ExecutionId },
    /// A task, for admission.
    Ready { queue: String, priority: u8 },
}

fn waiting_in(plan: &Plan, run: &Run, path: &TaskPath) -> Option<Waiting> {
    let row = run.rows.get(path)?;
    let work = row.work()?;
    let is_child = plan.work(row.node).is_some_and(|work| work.child.is_some());
    let queue = work.queue.clone();
    match &work.stage {
        Stage::Open(open) if is_child => Some(Waiting::Child { attempt: open.execution_id }),
        Stage::Open(open) if open.accepted => Some(Waiting::HandedOn { attempt: open.execution_id }),
        Stage::Open(open) => Some(Waiting::Open { attempt: open.execution_id, queue }),
        // A paused run's tasks are offered when it is resumed.
        Stage::Ready { .. } if run.head.status == WorkflowStatus::Paused => None,
        Stage::Ready { .. } => Some(Waiting::Ready { queue, priority: work.priority }),
        Stage::Waiting { .. } | Stage::Held | Stage::Closed => None,
    }
}
