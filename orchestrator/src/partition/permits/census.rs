//! What the partitions hold of all limits of concurrency whose home a partition is, whatever its store knows of that: it may
//! have lost the last commits before the partition was taken. Until it is known nothing more is leased of these limits.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

/// Partitions that are silent are asked again after this time.
const AGAIN: Duration = Duration::from_secs(5);
/// They are waited for so long from the first question on, or from the last time at which nobody could be asked: longer than a
/// take-over takes.
const WAITED_FOR: Duration = Duration::from_secs(15);

/// Who has said what it holds.
#[derive(Debug, Default)]
pub(super) enum Census {
    /// There has been no such limit yet.
    #[default]
    Unneeded,
    /// These have not.
    Open { silent: BTreeSet<u32>, asked: Option<Instant>, until: Option<Instant> },
    /// All have, or have been waited for.
    Closed,
}

impl Census {
    /// Begins it, where there was none yet.
    pub(super) fn begin(&mut self, partitions: u32) {
        if matches!(self, Self::Unneeded) {
            *self = Self::Open { silent: (0..partitions).collect(), asked: None, until: None };
        }
    }

    /// A partition has said what it holds.
    pub(super) fn is_told(&mut self, partition: u32) {
        if let Self::Open { silent, .. } = self {
            silent.remove(&partition);
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// Closes it where it is time; whether it did.
    pub(super) fn closes(&mut self, now: Instant) -> bool {
        let Self::Open { silent, until, .. } = self else { return false };
        let is_time = silent.is_empty() || until.is_some_and(|until| until <= now);
        if is_time {
            *self = Self::Closed;
        }
        is_time
    }

    /// The partitions that are to be asked now; none while the broker takes nothing.
    pub(super) fn asks(&mut self, broker_takes: bool, now: Instant) -> BTreeSet<u32> {
        let Self::Open { silent, asked, until } = self else { return BTreeSet::new() };
        if !broker_takes {
            (*asked, *until) = (None, None);
            return BTreeSet::new();
        }
        if asked.is_some_and(|asked| now - asked < AGAIN) {
            return BTreeSet::new();
        }
        *asked = Some(now);
        until.get_or_insert(now + WAITED_FOR);
        silent.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_closes_when_all_have_spoken() {
        let (mut census, now) = (Census::default(), Instant::now());
        assert!(!census.closes(now) && census.asks(true, now).is_empty() && !census.is_closed());
        census.begin(3);
        assert_eq!(census.asks(true, now), BTreeSet::from([0, 1, 2]));
        census.is_told(1);
        assert!(census.asks(true, now).is_empty(), "they were asked just now");
        assert_eq!(census.asks(true, now + AGAIN), BTreeSet::from([0, 2]));
        census.is_told(0);
        assert!(!census.closes(now + AGAIN));
        census.is_told(2);
        assert!(census.closes(now + AGAIN) && census.is_closed() && !census.closes(now + AGAIN));
    }

    #[test]
    fn the_time_counts_from_when_they_could_be_asked() {
        let (mut census, begun) = (Census::default(), Instant::now());
        let at = |halves: u32| begun + WAITED_FOR / 2 * halves;
        census.begin(2);
        assert!(!census.closes(at(4)), "nobody was asked");
        assert_eq!(census.asks(true, at(4)).len(), 2);
        assert!(census.asks(false, at(5)).is_empty());
        assert!(!census.closes(at(7)), "the broker took no question");
        assert_eq!(census.asks(true, at(7)).len(), 2);
        assert!(!census.closes(at(8)) && census.closes(at(9)));
    }
}
