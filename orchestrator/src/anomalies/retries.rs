//! How many attempts of each task definition were made again within the window, and how many usually are.

use std::collections::BTreeMap;

use oarlock_monitor::Key;
use oarlock_monitor::rules::RetrySnapshot;
use oarlock_protocol::{Span, Timestamp};

/// Over so long attempts are counted.
const WINDOW: Span = Span::from_secs(60);
/// A window counts so much for what is usual: an hour is remembered.
const SHARE: f64 = 1.0 / 60.0;
/// The most task definitions that are counted, as many as the monitor watches: those that had no attempt in a window go first.
const MOST_KEYS: usize = 2_000;

/// The counts of all task definitions.
#[derive(Debug, Default)]
pub(super) struct Retries {
    counts: BTreeMap<Key, Counts>,
    began: Option<Timestamp>,
    /// What the last whole window came to.
    last: Vec<RetrySnapshot>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    retries: u64,
    completed: u64,
    usual: Option<f64>,
}

impl Retries {
    /// Counts a closed attempt.
    pub(super) fn count(&mut self, key: &Key, is_retry: bool, completed: bool) {
        if self.counts.len() >= MOST_KEYS && !self.counts.contains_key(key) {
            return;
        }
        let counts = self.counts.entry(key.clone()).or_default();
        counts.retries += u64::from(is_retry);
        counts.completed += u64::from(completed);
    }

    /// What the last whole window came to; it is the same until the next one is over.
    pub(super) fn look(&mut self, now: Timestamp) -> &[RetrySnapshot] {
        let began = *self.began.get_or_insert(now);
        let window = now.since(began);
        if window >= WINDOW {
            self.began = Some(now);
            self.last = self.counts.iter().map(|(key, counts)| snapshot(key, *counts, window)).collect();
            self.counts.retain(|_, counts| counts.begin_anew());
        }
        &self.last
    }
}

impl Counts {
    /// Learns what is usual from this window and begins the next; whether there is anything to remember.
    fn begin_anew(&mut self) -> bool {
        let seen = self.retries + self.completed > 0;
        if seen {
            let ratio = self.retries as f64 / self.completed.max(1) as f64;
            self.usual = Some(self.usual.map_or(ratio, |usual| usual + SHARE * (ratio - usual)));
        }
        (self.retries, self.completed) = (0, 0);
        seen || self.usual.is_some_and(|usual| usual > 0.0)
    }
}

fn snapshot(key: &Key, counts: Counts, window: Span) -> RetrySnapshot {
    RetrySnapshot {
        key: key.clone(),
        window,
        retries: counts.retries,
        completed: counts.completed,
        usual_ratio: counts.usual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn a_window_is_held_against_those_before_it() {
        let (mut retries, key) = (Retries::default(), Key::new("t", "pay"));
        assert!(retries.look(at(0)).is_empty());
        for window in 0..3 {
            for number in 0..10 {
                retries.count(&key, number == 0, true);
            }
            assert!(retries.look(at(window * 60 + 59)).len() <= 1);
            let [told] = retries.look(at(window * 60 + 60)) else { panic!("one task") };
            let usual = if window == 0 { None } else { Some(0.1) };
            assert_eq!((told.retries, told.completed, told.usual_ratio), (1, 10, usual));
        }
    }

    #[test]
    fn a_task_without_attempts_and_retries_is_forgotten() {
        let (mut retries, key) = (Retries::default(), Key::new("t", "pay"));
        retries.look(at(0));
        retries.count(&key, false, true);
        retries.look(at(60));
        assert_eq!(retries.counts.len(), 1);
        retries.look(at(120));
        assert_eq!(retries.counts.len(), 0);
    }
}
