//! Times, by what waits for them and in their order: the places of one run, or what of a partition is due soon.

use std::collections::BTreeSet;
use std::hash::Hash;

use oarlock_engine::map::Map;
use oarlock_protocol::Timestamp;

/// One time for each of what waits.
#[derive(Debug)]
pub(super) struct Times<K> {
    at: Map<K, Timestamp>,
    order: BTreeSet<(Timestamp, K)>,
}

impl<K> Default for Times<K> {
    fn default() -> Self {
        Self { at: Map::default(), order: BTreeSet::new() }
    }
}

impl<K: Clone + Eq + Hash + Ord> FromIterator<(K, Timestamp)> for Times<K> {
    fn from_iter<I: IntoIterator<Item = (K, Timestamp)>>(times: I) -> Self {
        let mut all = Self::default();
        times.into_iter().for_each(|(who, at)| all.set(who, at));
        all
    }
}

impl<K: Clone + Eq + Hash + Ord> Times<K> {
    /// Sets the time of one, instead of any set before.
    pub(super) fn set(&mut self, who: K, at: Timestamp) {
        if let Some(before) = self.at.insert(who.clone(), at) {
            if before == at {
                return;
            }
            self.order.remove(&(before, who.clone()));
        }
        self.order.insert((at, who));
    }

    /// Lets it wait no more; for which time it had waited.
    pub(super) fn clear(&mut self, who: &K) -> Option<Timestamp> {
        let at = self.at.remove(who)?;
        self.order.remove(&(at, who.clone()));
        Some(at)
    }

    /// For which time it waits.
    pub(super) fn get(&self, who: &K) -> Option<Timestamp> {
        self.at.get(who).copied()
    }

    /// The earliest of the times.
    pub(super) fn first(&self) -> Option<Timestamp> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Those whose time has come by then, at most so many, in the order of time.
    pub(super) fn due(&self, now: Timestamp, most: usize) -> Vec<K> {
        let due = self.order.iter().take_while(|(at, _)| *at <= now);
        due.take(most).map(|(_, who)| who.clone()).collect()
    }

    /// Takes the next one whose time has come by then, with its time.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<(K, Timestamp)> {
        if self.first()? > now {
            return None;
        }
        let (at, who) = self.order.pop_first()?;
        self.at.remove(&who);
        Some((who, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn the_last_time_set_counts_and_the_earliest_comes_first() {
        let mut times: Times<&str> = [("a", at(30)), ("b", at(20)), ("c", at(25))].into_iter().collect();
        assert_eq!(times.first(), Some(at(20)));
        times.set("a", at(10));
        times.set("b", at(40));
        times.set("b", at(40));
        assert_eq!((times.first(), times.get(&"b")), (Some(at(10)), Some(at(40))));
        assert_eq!(times.due(at(9), 9), [""; 0]);
        assert_eq!(times.due(at(40), 9), ["a", "c", "b"]);
        assert_eq!(times.due(at(40), 2), ["a", "c"]);
        assert_eq!(times.take_due(at(9)), None);
        assert_eq!(times.take_due(at(10)), Some(("a", at(10))));
        assert_eq!((times.clear(&"c"), times.clear(&"c")), (Some(at(25)), None));
        assert_eq!(times.take_due(at(99)), Some(("b", at(40))));
        assert_eq!((times.first(), times.take_due(at(99))), (None, None));
    }
}
