//! The first thing an owner does: finds what is open, and publishes again what may never have been published.

use bytes::Bytes;
use oarlock_engine::admission::Ticket;
use oarlock_engine::map::{Map, Set};
use oarlock_engine::run::Stage;
use oarlock_engine::{Event, Plan, Run, child_message};
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::{ExecutionId, RunKey, TaskPath, Timestamp};

use super::batch::{Dispatch, Entry, What};
use super::owner::Owner;
use super::timers::Stored;
use super::{Lost, limits, runs};
use crate::layout::outbox::{self, EVERYTHING};
use crate::layout::{Place, Timed};
use crate::store::{Fields, Key, Range, Write};

/// How many timers are read at once, and the most places that are taken over between two commits.
const PAGE: usize = 1_000;

impl Owner {
    /// Brings the partition's open work back to life.
    pub(super) async fn take_over(&mut self) -> Result<(), Lost> {
        let Unconfirmed { entries: unconfirmed, ends, fields, everything } = self.unconfirmed().await?;
        // Held until all that they name was looked for.
        fields.iter().for_each(|field| self.publisher.outbox().enter(*field, 1));
        // Without the messages, or without the last commits, nobody knows what was published: all of it is, again.
        let keeps_messages = self.shared.broker.keeps_messages();
        let everything = everything || !keeps_messages || self.lease.restarted;
        if everything && keeps_messages {
            // Where this one breaks off, the next goes through all of it.
            let (field, value) = (EVERYTHING.to_owned(), Bytes::new());
            self.batch.writes.push(Write::HashSet { key: Key::Outbox, field, value });
        }
        self.load_limits().await?;
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
                let places = self.waiting_places(run, at, &mut taken).await?;
                taken.misses |= places.is_none();
                for place in places.unwrap_or_default() {
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
        taken.misses |= !self.take_over_ends(ends, &unconfirmed).await?;
        // What is open of them is counted by now; of the others nothing is left to publish. What could not be read may be among
        // them: then they stay for the next owner.
        if !taken.misses {
            fields.into_iter().for_each(|field| self.publisher.outbox().leave(field));
        }
        if taken.offered + taken.open.len() > 0 {
            tracing::info!(open = taken.open.len(), ready = taken.offered, "open work taken over");
        }
        self.books.shelve();
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
        unconfirmed: &Map<Entry, u64>,
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
            // A run is not lost with the messages: where it is known, the start is answered.
            Some(Waiting::Child { attempt }) if taken.open.insert(attempt) => {
                let dispatch = Dispatch { place, what: What::Child { attempt } };
                self.take_over_attempt(dispatch, everything, unconfirmed).await?;
            }
            Some(Waiting::Ready { queue, priority }) => {
                self.offer(&queue, priority, Ticket { run: place.run, path: place.path });
                taken.offered += 1;
            }
            Some(Waiting::Open { .. } | Waiting::Child { .. }) | None => {}
        }
        Ok(())
    }

    async fn take_over_attempt(
        &mut self,
        dispatch: Dispatch,
        everything: bool,
        unconfirmed: &Map<Entry, u64>,
    ) -> Result<(), Lost> {
        if let Some(field) = unconfirmed.get(&dispatch.entry()) {
            let entry = dispatch.entry();
            self.dispatch_again(dispatch).await?;
            self.publisher.file(entry, *field);
            return Ok(());
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
            let Some(seq) = outbox::seq(&field) else {
                unconfirmed.everything |= field == EVERYTHING;
                continue;
            };
            unconfirmed.fields.push(seq);
            match outbox::read(&value) {
                Ok(entries) => {
                    entries.into_iter().for_each(|(id, place)| unconfirmed.take(Entry(id), place, seq))
                }
                Err(error) => {
                    tracing::error!(%error, field, "everything open is published again");
                    unconfirmed.everything = true;
                }
            }
        }
        Ok(unconfirmed)
    }

    /// Tells the steps that started runs how these ended, where they may not have heard; whether all could be read.
    async fn take_over_ends(
        &mut self,
        ends: Vec<Place>,
        unconfirmed: &Map<Entry, u64>,
    ) -> Result<bool, Lost> {
        let mut all = true;
        for (number, place) in ends.into_iter().enumerate() {
            match self.runs.get(&self.shared, self.partition, &place.run).await {
                Ok(Some(cached)) if child_message::result(&cached.run).is_some() => {
                    self.take_over_attempt(Dispatch { place, what: What::End }, false, unconfirmed).await?;
                }
                Ok(_) => {}
                Err(runs::Error::Store(error)) => return Err(error.into()),
                Err(error) => {
                    tracing::error!(run = %place.run, %error, "a run cannot be taken over");
                    all = false;
                }
            }
            self.stay_alive().await?;
            if number % PAGE == PAGE - 1 {
                self.commit().await?;
                self.perform().await?;
            }
        }
        Ok(all)
    }

    /// The places of a run at which something waits for a worker or for admission, in the order of their time limits. The
    /// store has `at` for the run. None where the run cannot be read.
    async fn waiting_places(
        &mut self,
        run: RunKey,
        at: Timestamp,
        taken: &mut Taken,
    ) -> Result<Option<Vec<Place>>, Lost> {
        let cached = match self.runs.get(&self.shared, self.partition, &run).await {
            Ok(Some(cached)) => cached,
            Ok(None) => {
                self.batch.timers.insert(Timed::Run(run), None);
                return Ok(Some(Vec::new()));
            }
            Err(runs::Error::Store(error)) => return Err(error.into()),
            Err(error) => {
                tracing::error!(%run, %error, "a run cannot be taken over");
                return Ok(None);
            }
        };
        cached.stored = Stored::At(at);
        let mut counted = Vec::new();
        if taken.booked.insert(run.clone()) {
            self.books.open().take_in(&run, &cached.entries);
            counted = limits::open_in(cached);
        }
        let waits = |path: &&TaskPath| waiting_in(&cached.plan, &cached.run, path).is_some();
        let paths = cached.run.rows.keys().filter(waits);
        let mut paths: Vec<_> = paths.map(|path| (cached.timers.get(path), path.clone())).collect();
        paths.sort_unstable();
        if cached.timers.first().is_none_or(|first| first < at) {
            // Configured time limits are shorter by now.
            self.put_into_batch(&run);
        }
        counted.into_iter().for_each(|(attempt, (limit, has))| self.limits.found(attempt, &limit, has));
        Ok(Some(paths.into_iter().map(|(_, path)| Place { run: run.clone(), path }).collect()))
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
    /// Whether a run could not be read.
    misses: bool,
    /// Runs that the books have: a run whose timer was set anew meanwhile comes twice.
    booked: Set<RunKey>,
    open: Set<ExecutionId>,
    offered: usize,
    /// How many places were looked at.
    places: usize,
}

/// What the outbox names.
#[derive(Default)]
struct Unconfirmed {
    /// With the field that names each.
    entries: Map<Entry, u64>,
    /// Runs of whose end those that started them may not have heard.
    ends: Vec<Place>,
    fields: Vec<u64>,
    /// Whether a take-over broke off that had to publish everything again.
    everything: bool,
}

impl Unconfirmed {
    fn take(&mut self, entry: Entry, place: Place, field: u64) {
        self.entries.insert(entry, field);
        if place.path.is_root() {
            self.ends.push(place);
        }
    }
}

/// What waits at a place.
enum Waiting {
    /// An attempt, for its worker.
    Open { attempt: ExecutionId, queue: String },
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
        // Its worker has handed it on: no queue holds it.
        Stage::Open(open) if open.accepted => None,
        Stage::Open(open) => Some(Waiting::Open { attempt: open.execution_id, queue }),
        // A paused run's tasks are offered when it is resumed.
        Stage::Ready { .. } if run.head.status == WorkflowStatus::Paused => None,
        Stage::Ready { .. } => Some(Waiting::Ready { queue, priority: work.priority }),
        Stage::Waiting { .. } | Stage::Held | Stage::Closed => None,
    }
}
