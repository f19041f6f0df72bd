//! What the partitions hold of all limits of concurrency whose home a partition is, whatever its store knows of that: it may
//! have lost the last commits before the partition was taken. Until it is known nothing more is leased of these limits.

use std::collections::BTreeSet;
use std::time::Duration;

use oarlock_protocol::chance;
use tokio::time::Instant;
use uuid::Uuid;

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
    Open { question: Uuid, silent: BTreeSet<u32>, asked: Option<Instant>, until: Option<Instant> },
    /// All have, or have been waited for.
    Closed,
}

impl Census {
    /// Begins it, where there was none yet.
    pub(super) fn begin(&mut self, partitions: u32) {
        if matches!(self, Self::Unneeded) {
            let silent = (0..partitions).collect();
            // Not an epoch: one may come again where the store has lost commits.
            *self = Self::Open { question: chance::fresh(), silent, asked: None, until: None };
        }
    }

    /// A partition has said what it holds, in answer to this question.
    pub(super) fn is_told(&mut self, partition: u32, answered: Uuid) {
        if let Self::Open { question, silent, .. } = self
            && *question == answered
        {
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

    /// The question, and the partitions that are to be asked it now; none while the broker takes nothing. Their time runs
    /// once their answers can be `heard`, and do not lie behind what waits in the inbox.
    pub(super) fn asks(
        &mut self,
        broker_takes: bool,
        heard: bool,
        now: Instant,
    ) -> Option<(Uuid, BTreeSet<u32>)> {
        let Self::Open { question, silent, asked, until } = self else { return None };
        if !broker_takes {
            (*asked, *until) = (None, None);
            return None;
        }
        if heard {
            until.get_or_insert(now + WAITED_FOR);
        }
        if asked.is_some_and(|asked| now - asked < AGAIN) {
            return None;
        }
        *asked = Some(now);
        Some((*question, silent.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(census: &mut Census, now: Instant) -> (Uuid, Vec<u32>) {
        let (question, silent) = census.asks(true, true, now).unwrap_or_default();
        (question, silent.into_iter().collect())
    }

    #[test]
    fn it_closes_when_all_have_spoken() {
        let (mut census, now) = (Census::default(), Instant::now());
        assert!(!census.closes(now) && asked(&mut census, now).1.is_empty() && !census.is_closed());
        census.begin(3);
        let (question, silent) = asked(&mut census, now);
        assert_eq!(silent, [0, 1, 2]);
        census.is_told(1, question);
        census.is_told(0, chance::fresh());
        assert!(asked(&mut census, now).1.is_empty(), "they were asked just now");
        assert_eq!(asked(&mut census, now + AGAIN), (question, vec![0, 2]));
        census.is_told(0, question);
        assert!(!census.closes(now + AGAIN));
        census.is_told(2, question);
        assert!(census.closes(now + AGAIN) && census.is_closed() && !census.closes(now + AGAIN));
    }

    #[test]
    fn the_time_counts_from_when_they_could_be_asked_and_heard() {
        let (mut census, begun) = (Census::default(), Instant::now());
        let at = |halves: u32| begun + WAITED_FOR / 2 * halves;
        census.begin(2);
        assert!(!census.closes(at(4)), "nobody was asked");
        assert_eq!(asked(&mut census, at(4)).1.len(), 2);
        assert!(census.asks(false, true, at(5)).is_none());
        assert!(!census.closes(at(7)), "the broker took no question");
        assert!(census.asks(true, false, at(7)).is_some());
        assert!(!census.closes(at(10)), "no answer could be heard");
        asked(&mut census, at(10));
        assert!(!census.closes(at(11)) && census.closes(at(12)));
    }
}
