//! The timers of a partition at work: loaded from the store ahead of time, fired when due, written where the store must
//! wake its owner earlier, or later.

use std::time::Duration;

use oarlock_engine::Event;
use oarlock_protocol::{RunKey, TaskPath, Timestamp};
use tokio::time::Instant;

use super::asides::What;
use super::effects::Verdict;
use super::owner::{Owner, ROUND};
use super::timers::{HORIZON, Stored};
use super::{Lost, removal, runs};
use crate::layout::{Place, Timed};
use crate::store::{Key, Range, Write};

impl Owner {
    /// Loads the timers that will be due before the next load.
    pub(super) async fn load_timers(&mut self) -> Result<(), Lost> {
        if Instant::now() < self.load_timers_at {
            return Ok(());
        }
        let to = self.shared.clock.now().after(HORIZON).as_millis();
        let mut after = None;
        loop {
            let range = Range { from: i64::MIN, to, after: after.take(), limit: 1_000, descending: false };
            let page = self.shared.store.read_sorted(self.partition, &Key::Timers, &range).await?;
            let full = page.len() == range.limit;
            for (member, at) in &page {
                match Timed::parse(member) {
                    Ok(timed) => self.timers.load(timed, Timestamp::from_millis(*at)),
                    Err(error) => tracing::error!(member, %error, "a timer is ignored"),
                }
            }
            after = page.into_iter().last().map(|(member, at)| (at, member));
            if !full {
                break;
            }
        }
        self.load_timers_at = Instant::now() + Duration::from(HORIZON) / 2;
        Ok(())
    }

    /// Fires what is due, in the order of time.
    pub(super) async fn fire_timers(&mut self) -> Result<(), Lost> {
        let now = self.shared.clock.now();
        let mut left = ROUND;
        while left > 0
            && let Some((timed, at)) = self.timers.take_due(now)
        {
            let fired = match timed {
                Timed::Run(run) => self.look_at(&run, at, left).await?,
                Timed::Place(place) if removal::is_removal(&place) => {
                    self.begin_removal(place).await?;
                    1
                }
                Timed::Place(place) => {
                    self.look_at_the_rest(place).await?;
                    1
                }
            };
            left = left.saturating_sub(fired);
        }
        Ok(())
    }

    /// Fires what is due in a run, at most so many; how many were. The store has woken its owner for `at`: where that was too
    /// early nothing is due, and only the stored time moves.
    async fn look_at(&mut self, run: &RunKey, at: Timestamp, most: usize) -> Result<usize, Lost> {
        if self.asides.is_waiting(run) {
            // It is looked at again when that is decided.
            return Ok(1);
        }
        let now = self.shared.clock.now();
        let due = match self.runs.get(&self.shared, self.partition, run).await {
            Ok(Some(cached)) => {
                cached.stored = Stored::At(at);
                cached.timers.due(now, most)
            }
            Ok(None) => {
                self.batch.timers.insert(Timed::Run(run.clone()), None);
                return Ok(1);
            }
            Err(runs::Error::Store(error)) => return Err(error.into()),
            Err(error) => {
                tracing::error!(%run, %error, "a timer's run cannot be loaded");
                return Ok(1);
            }
        };
        self.put_into_batch(run);
        let fired = due.len().max(1);
        for path in due {
            let waits_for = self.runs.cached(run).and_then(|cached| cached.timers.get(&path));
            // What fired before may have ended it.
            if waits_for.is_some_and(|at| at <= now) && !self.asides.is_waiting(run) {
                self.fire_timer(Place { run: run.clone(), path }).await?;
            }
        }
        Ok(fired)
    }

    /// Fires a timer that is due in a run under way.
    pub(super) async fn fire_timer(&mut self, place: Place) -> Result<(), Lost> {
        self.make_undoable(&place.run).await?;
        self.discount_pauses(&place.run, &place.path).await?;
        // Whatever the engine sets anew replaces this.
        let waited_for = match self.runs.get(&self.shared, self.partition, &place.run).await {
            Ok(cached) => cached.and_then(|cached| cached.timers.clear(&place.path)),
            Err(runs::Error::Store(error)) => return Err(error.into()),
            Err(_) => None,
        };
        let event = Event::Timer { path: place.path.clone() };
        match self.decide(&place.run, event).await? {
            Err(reason) => tracing::error!(run = %place.run, reason, "a timer's run cannot be loaded"),
            // It still waits until it is decided, and so does the stored time.
            Ok(Verdict::Waits) => {
                if let (Some(at), Some(cached)) = (waited_for, self.runs.cached(&place.run)) {
                    cached.timers.set(place.path.clone(), at);
                }
                self.asides.replace(|| What::Timer(place));
            }
            Ok(_) => {}
        }
        Ok(())
    }

    /// The time of a run that has ended is over, or that for which its key was remembered.
    async fn look_at_the_rest(&mut self, place: Place) -> Result<(), Lost> {
        self.make_undoable(&place.run).await?;
        let timed = Timed::Place(place.clone());
        self.batch.timers.insert(timed.clone(), None);
        match self.decide(&place.run, Event::Timer { path: place.path.clone() }).await? {
            Err(reason) => {
                tracing::error!(run = %place.run, reason, "a timer's run cannot be loaded");
                self.batch.timers.remove(&timed);
            }
            // The store holds it until it is decided.
            Ok(Verdict::Waits) => drop(self.batch.timers.remove(&timed)),
            Ok(Verdict::NoRun) if place.path.is_root() => {
                self.batch.writes.push(Write::Delete { key: Key::Run(place.run) });
            }
            Ok(_) => {}
        }
        Ok(())
    }

    /// Takes in for which time a place waits, where it does. How long a run that has ended is kept is the store's to know: what
    /// has ended is not kept in memory, and not loaded at a take-over.
    pub(super) fn set_timer(&mut self, place: Place, at: Option<Timestamp>) {
        let Some(cached) = self.runs.cached(&place.run) else { return };
        match at {
            _ if cached.run.head.status.is_terminal() && place.path.is_root() => {
                self.batch.timers.insert(Timed::Place(place), at);
            }
            Some(at) => cached.timers.set(place.path, at),
            None => drop(cached.timers.clear(&place.path)),
        }
    }

    /// Sees to it that the store wakes the owner of each run in the batch in time, and not more often than it must.
    pub(super) fn settle_timers(&mut self) {
        let now = self.shared.clock.now();
        let timers = &mut self.batch.timers;
        for key in &self.batch.runs {
            let Some(cached) = self.runs.cached(key) else { continue };
            let run = Timed::Run(key.clone());
            if cached.run.head.status.is_terminal() {
                if matches!(cached.stored, Stored::Unknown | Stored::At(_)) {
                    timers.insert(run, None);
                }
                cached.stored = Stored::Ended;
                continue;
            }
            let ended = Timed::Place(Place { run: key.clone(), path: TaskPath::root() });
            if cached.stored == Stored::Ended || timers.contains_key(&ended) {
                // It goes on: an operator has opened it again.
                timers.insert(ended, None);
            }
            if cached.stored == Stored::Unknown {
                cached.stored = self.timers.get(&run).map_or(Stored::Unknown, Stored::At);
            }
            if cached.stored == Stored::Unknown && cached.run.changes.is_empty() {
                // Nothing waits for an earlier time than before: what is there will do.
                continue;
            }
            match (cached.stored.moves_to(cached.timers.first(), now), cached.stored) {
                (Some(at), _) => {
                    cached.stored = at.map_or(Stored::Nothing, Stored::At);
                    timers.insert(run, at);
                }
                // It may have fired, and there may be more that is due.
                (None, Stored::At(at)) => self.timers.set(run, at, now),
                (None, Stored::Unknown | Stored::Nothing | Stored::Ended) => {}
            }
        }
    }

    pub(super) fn write_timers(&mut self, writes: &mut Vec<Write>) {
        let now = self.shared.clock.now();
        for (timed, at) in std::mem::take(&mut self.batch.timers) {
            let member = timed.to_string();
            match at {
                Some(at) => {
                    self.timers.set(timed, at, now);
                    writes.push(Write::SortedSet { key: Key::Timers, member, score: at.as_millis() });
                }
                None => {
                    self.timers.clear(&timed);
                    writes.push(Write::SortedRemove { key: Key::Timers, member });
                }
            }
        }
    }
}
