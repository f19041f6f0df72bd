//! How fast a queue usually moves, learned from the looks at which it did.

use std::collections::BTreeMap;

use oarlock_protocol::{Span, Timestamp};

/// Over so long it is learned.
const LEARNED_OVER: Span = Span::from_secs(3600);
/// A queue that did not move for so long is forgotten.
const FORGOTTEN_AFTER: Span = Span::from_secs(24 * 3600);
/// The most queues that are known.
const MOST_QUEUES: usize = 5_000;
/// How much longer than the mean an attempt usually takes that takes long.
const LONG: f64 = 3.0;

/// What is usual of a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usual {
    /// Completions a second. Their mean, not that of the gaps between them: one look at a queue that hardly moves yet would
    /// outweigh hundreds.
    completions: f64,
    /// How long an attempt takes, in milliseconds.
    duration: Option<f64>,
    /// How often it was looked at.
    looks: f64,
    last: Timestamp,
}

impl Usual {
    /// The time between two attempts that close.
    pub(super) fn gap(&self) -> Span {
        Span::from_millis((1000.0 / self.completions) as u64)
    }

    /// How long an attempt takes that takes long.
    pub(super) fn duration(&self) -> Option<Span> {
        self.duration.map(|mean| Span::from_millis((mean * LONG) as u64))
    }

    fn follow(&mut self, completions: f64, duration: Option<f64>, now: Timestamp) {
        let passed = now.since(self.last).as_millis() as f64;
        self.looks += 1.0;
        // At first each look counts as much as any before it.
        let share = (1.0 - (-passed / LEARNED_OVER.as_millis() as f64).exp()).max(1.0 / self.looks);
        self.completions += share * (completions - self.completions);
        self.duration = match (self.duration, duration) {
            (Some(known), Some(now)) => Some(known + share * (now - known)),
            (known, now) => now.or(known),
        };
        self.last = now;
    }
}

/// Learns from the queues that move: completions a second, and how long a worker has an attempt. One that stands still teaches
/// nothing, or standing still would soon be usual.
pub(super) fn learn(
    known: &mut BTreeMap<String, Usual>,
    speeds: &BTreeMap<String, (f64, Option<Span>)>,
    now: Timestamp,
) {
    known.retain(|_, usual| now.since(usual.last) < FORGOTTEN_AFTER);
    for (queue, (completions, service)) in speeds {
        // Less than one in a hundred seconds is the tail of an average.
        if *completions < 0.01 {
            continue;
        }
        let (completions, duration) = (*completions, service.map(|span| span.as_millis() as f64));
        let is_full = known.len() >= MOST_QUEUES;
        match known.get_mut(queue) {
            Some(usual) => usual.follow(completions, duration, now),
            None if is_full => {}
            None => drop(known.insert(queue.clone(), Usual { completions, duration, looks: 1.0, last: now })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_still_teaches_nothing() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let speeds =
            |completions| BTreeMap::from([("q".to_owned(), (completions, Some(Span::from_secs(2))))]);
        let mut known = BTreeMap::new();
        learn(&mut known, &speeds(0.0), at(0));
        assert!(known.is_empty());
        learn(&mut known, &speeds(10.0), at(10));
        learn(&mut known, &speeds(0.0), at(3600));
        let usual = known["q"];
        assert_eq!((usual.gap(), usual.duration()), (Span::from_millis(100), Some(Span::from_secs(6))));
        learn(&mut known, &speeds(5.0), at(3610));
        assert!(known["q"].gap() > Span::from_millis(140), "{:?}", known["q"]);
        learn(&mut known, &BTreeMap::new(), at(3610 + 24 * 3600));
        assert!(known.is_empty());
    }

    #[test]
    fn what_is_seen_first_counts_no_more_than_what_follows() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let mut known = BTreeMap::new();
        // A single attempt has closed a while ago.
        learn(&mut known, &BTreeMap::from([("q".to_owned(), (0.02, Some(Span::from_secs(9))))]), at(0));
        assert_eq!(known["q"].gap(), Span::from_secs(50));
        for look in 1..=30 {
            learn(
                &mut known,
                &BTreeMap::from([("q".to_owned(), (10.0, Some(Span::from_secs(1))))]),
                at(look * 10),
            );
        }
        let usual = known["q"];
        assert!(
            usual.gap() < Span::from_millis(110) && usual.duration() < Some(Span::from_secs(4)),
            "{usual:?}"
        );
    }
}
