//! The timers of a partition that are due soon: in memory, ordered by time. The store holds them all.

use std::collections::BTreeSet;

use oarlock_protocol::{Span, Timestamp};

use oarlock_engine::map::Map;

use crate::layout::Place;

/// Timers due within this time are kept in memory.
pub(super) const HORIZON: Span = Span::from_secs(60);

/// The timers that are due soon.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: Map<Place, Timestamp>,
    order: BTreeSet<(Timestamp, Place)>,
}

impl Timers {
    /// Sets the timer of a place; one that is not due soon is left to the store.
    pub(super) fn set(&mut self, place: &Place, at: Timestamp, now: Timestamp) {
        self.clear(place);
        if at <= now.after(HORIZON) {
            self.due.insert(place.clone(), at);
            self.order.insert((at, place.clone()));
        }
    }

    /// Sets a timer as the store has it, unless memory knows a later time for it.
    pub(super) fn load(&mut self, place: Place, at: Timestamp) {
        if !self.due.contains_key(&place) {
            self.due.insert(place.clone(), at);
            self.order.insert((at, place));
        }
    }

    /// Forgets the timer of a place.
    pub(super) fn clear(&mut self, place: &Place) {
        if let Some(at) = self.due.remove(place) {
            self.order.remove(&(at, place.clone()));
        }
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes the next one that is due.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<Place> {
        if self.next()? > now {
            return None;
        }
        let (_, place) = self.order.pop_first()?;
        self.due.remove(&place);
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use oarlock_protocol::{RunId, RunKey, TaskPath};

    use super::*;

    fn place(name: &str) -> Place {
        Place { run: RunKey::new("t", RunId::keyed("t", "d", "k")), path: TaskPath::from(name) }
    }

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn timers_come_in_the_order_of_time_and_the_last_time_set_counts() {
        let mut timers = Timers::default();
        timers.set(&place("/a"), at(30), at(0));
        timers.set(&place("/b"), at(20), at(0));
        timers.set(&place("/a"), at(10), at(0));
        timers.load(place("/a"), at(5));
        timers.set(&place("/far"), at(3600), at(0));
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.take_due(at(9)), None);
        assert_eq!(timers.take_due(at(40)), Some(place("/a")));
        timers.clear(&place("/b"));
        assert_eq!(timers.take_due(at(9999)), None, "a far timer is the store's");
    }
}
