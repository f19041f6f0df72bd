//! The cumulative sum: evidence for a change, collected over observations and forgotten where they speak against it.

use oarlock_protocol::Timestamp;

/// Evidence for one change (Page's CUSUM). It never falls below 0 and never grows beyond its threshold.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cusum {
    sum: f64,
    count: u32,
    since: Timestamp,
}

impl Cusum {
    /// Adds what the observation at `now` says for the change; negative where it speaks against it.
    pub(crate) fn add(&mut self, evidence: f64, threshold: f64, now: Timestamp) {
        if self.sum + evidence <= 0.0 {
            *self = Self::default();
            return;
        }
        if self.count == 0 {
            self.since = now;
        }
        self.sum = (self.sum + evidence).min(threshold);
        self.count = self.count.saturating_add(1);
    }

    /// The evidence that there is.
    pub(crate) fn sum(&self) -> f64 {
        self.sum
    }

    /// Over how many observations it was collected.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// When the first of them was.
    pub(crate) fn since(&self) -> Timestamp {
        self.since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_adds_up_is_bounded_and_is_forgotten() {
        let mut cusum = Cusum::default();
        let at = Timestamp::from_millis;
        [1.0, 2.0, 9.0].iter().zip(1..).for_each(|(evidence, now)| cusum.add(*evidence, 10.0, at(now)));
        assert_eq!((cusum.sum(), cusum.count(), cusum.since()), (10.0, 3, at(1)));
        cusum.add(-10.0, 10.0, at(4));
        assert_eq!((cusum.sum(), cusum.count()), (0.0, 0));
        cusum.add(f64::NAN, 10.0, at(5));
        assert!(cusum.sum() <= 10.0);
    }
}
