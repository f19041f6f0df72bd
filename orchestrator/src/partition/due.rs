//! The timers of a partition at work: loaded from the store ahead of time, fired when due.

use std::time::Duration;

use oarlock_engine::Event;
use oarlock_protocol::Timestamp;
use tokio::time::Instant;

use super::asides::What;
use super::effects::Verdict;
use super::owner::{Owner, ROUND};
use super::timers::HORIZON;
use super::{Lost, removal};
use crate::layout::Place;
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
                match Place::parse(member) {
                    Ok(place) => self.timers.load(place, Timestamp::from_millis(*at)),
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

    pub(super) async fn fire_timers(&mut self) -> Result<(), Lost> {
        let now = self.shared.clock.now();
        for _ in 0..ROUND {
            let Some(place) = self.timers.take_due(now) else { break };
            if removal::is_removal(&place) {
                self.begin_removal(place).await?;
                continue;
            }
            self.fire_timer(place).await?;
        }
        Ok(())
    }

    /// Fires a timer that is due.
    pub(super) async fn fire_timer(&mut self, place: Place) -> Result<(), Lost> {
        self.make_undoable(&place.run).await?;
        // Whatever the engine sets anew replaces this; a timer of something closed goes.
        self.batch.timers.insert(place.clone(), None);
        let event = Event::Timer { path: place.path.clone() };
        match self.decide(&place.run, event).await? {
            Err(reason) => {
                tracing::error!(run = %place.run, reason, "a timer's run cannot be loaded");
                self.batch.timers.remove(&place);
            }
            // The store holds it until it is decided.
            Ok(Verdict::Waits) => {
                self.batch.timers.remove(&place);
                self.asides.replace(|| What::Timer(place));
            }
            Ok(_) if place.path.is_root() && self.runs.cached(&place.run).is_none() => {
                // The run is gone and so is the time for which its key was remembered.
                self.batch.writes.push(Write::Delete { key: Key::Run(place.run) });
            }
            Ok(_) => {}
        }
        Ok(())
    }
}
