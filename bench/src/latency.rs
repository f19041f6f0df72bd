//! How long things took, as a histogram that processes can send to each other.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Three digits are more than a noisy machine can tell.
const DIGITS: u8 = 3;
/// The longest time that is told apart: an hour, in microseconds.
const LONGEST: u64 = 3_600_000_000;

/// How often it took how many microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latencies(Vec<(u64, u64)>);

/// Collects times.
#[derive(Debug)]
pub struct Recorder(Option<Histogram<u64>>);

impl Default for Recorder {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST, DIGITS).ok())
    }
}

impl Recorder {
    /// Adds a time.
    pub fn add(&mut self, time: Duration) {
        let microseconds = u64::try_from(time.as_micros()).unwrap_or(LONGEST);
        self.add_many(microseconds, 1);
    }

    fn add_many(&mut self, microseconds: u64, count: u64) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record_n(microseconds.max(1), count);
        }
    }

    /// Adds what another has collected.
    pub fn add_all(&mut self, others: &Latencies) {
        others.0.iter().for_each(|(value, count)| self.add_many(*value, *count));
    }

    /// What was collected.
    pub fn latencies(&self) -> Latencies {
        let recorded = self.0.iter().flat_map(Histogram::iter_recorded);
        Latencies(recorded.map(|row| (row.value_iterated_to(), row.count_at_value())).collect())
    }

    /// The time in milliseconds within which this share of all was; nothing where there are none.
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(histogram.value_at_quantile(share) as f64 / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_processes_collected_is_one_distribution() {
        let (mut one, mut other, mut both) = (Recorder::default(), Recorder::default(), Recorder::default());
        (1..=50).for_each(|n| one.add(Duration::from_millis(n)));
        (51..=100).for_each(|n| other.add(Duration::from_millis(n)));
        both.add_all(&one.latencies());
        both.add_all(&other.latencies());
        let (half, most) = (both.quantile_ms(0.5).unwrap(), both.quantile_ms(0.99).unwrap());
        assert!((49.0..52.0).contains(&half) && (98.0..100.0).contains(&most), "{half} {most}");
        assert_eq!(Recorder::default().quantile_ms(0.5), None);
    }
}
