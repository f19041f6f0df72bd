//! Families of series that cannot grow without end: what comes beyond the bound is counted under `other`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// The value of a label that stands for all beyond the bound.
pub const OTHER: &str = "other";
/// The most values of a label that stands for a series of its own: a server keeps each for weeks, of every process.
pub const MOST_SERIES: usize = 500;
/// The same where it stands for a histogram, which has 13 series: 500 of them at most.
pub const MOST_HISTOGRAMS: usize = 37;

/// The series of a metric by labels. The first label may have any value, so its values are bounded: later ones are [`OTHER`].
/// The others have few values by themselves, such as statuses.
pub struct Bounded<M, const N: usize>(Arc<Inner<M, N>>);

struct Inner<M, const N: usize> {
    labels: [&'static str; N],
    make: fn() -> M,
    names: Names,
    series: Mutex<BTreeMap<[Box<str>; N], M>>,
}

impl<M: Clone, const N: usize> Bounded<M, N> {
    /// No series yet, of at most `most` values of the first label.
    pub fn new(labels: [&'static str; N], most: usize, make: fn() -> M) -> Self {
        let (names, series) = (Names::new(most), Mutex::default());
        Self(Arc::new(Inner { labels, make, names, series }))
    }

    /// The series of these values; made where it is not there.
    pub fn of(&self, mut values: [&str; N]) -> M {
        if let Some(first) = values.first_mut()
            && !self.0.names.knows(first)
        {
            *first = OTHER;
        }
        let mut series = lock(&self.0.series);
        series.entry(values.map(Box::from)).or_insert_with(self.0.make).clone()
    }
}

impl<M, const N: usize> Clone for Bounded<M, N> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M, const N: usize> fmt::Debug for Bounded<M, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bounded").field("labels", &self.0.labels).finish_non_exhaustive()
    }
}

impl<M: EncodeMetric + TypedMetric, const N: usize> EncodeMetric for Bounded<M, N> {
    fn encode(&self, mut encoder: MetricEncoder) -> fmt::Result {
        for (values, metric) in lock(&self.0.series).iter() {
            let mut values = values.iter();
            let labels = self.0.labels.map(|label| (label, values.next().map_or("", |value| &**value)));
            metric.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}

/// The values that have a series of their own: those that came first. They keep it, so that no counter ever falls.
#[derive(Debug)]
pub struct Names {
    most: usize,
    known: Mutex<BTreeSet<Box<str>>>,
}

impl Names {
    /// None yet, and never more than `most`.
    pub fn new(most: usize) -> Self {
        Self { most, known: Mutex::default() }
    }

    /// Whether a value has a series of its own; it gets one where there is room.
    pub fn knows(&self, name: &str) -> bool {
        let mut known = lock(&self.known);
        known.contains(name) || (known.len() < self.most && known.insert(name.into()))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves the map whole: each change of it is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn what_comes_beyond_the_bound_is_counted_under_other() {
        let family: Bounded<Counter, 2> = Bounded::new(["queue", "status"], 2, Counter::default);
        for (queue, status) in [("a", "x"), ("b", "x"), ("c", "x"), ("d", "y"), ("a", "y"), ("c", "x")] {
            family.of([queue, status]).inc();
        }
        let mut registry = crate::Registry::default();
        registry.register("n", "Help", family);
        let text = crate::exposition(&registry, crate::Format::Text);
        assert!(text.contains("n_total{queue=\"other\",status=\"x\"} 2\n"), "{text}");
        assert!(text.contains("n_total{queue=\"a\",status=\"y\"} 1\n"), "{text}");
        assert!(!text.contains("\"c\"") && !text.contains("\"d\""), "{text}");
    }

    #[test]
    fn all_histograms_of_a_family_have_500_series_at_most() {
        let family = Bounded::new(["queue"], MOST_HISTOGRAMS, crate::seconds);
        (0..100).for_each(|n| family.of([&n.to_string()]).observe(1.0));
        let mut registry = crate::Registry::default();
        registry.register("n", "Help", family);
        let text = crate::exposition(&registry, crate::Format::Text);
        let series = text.lines().filter(|line| !line.starts_with('#')).count();
        assert!((450..=MOST_SERIES).contains(&series), "{series}");
    }
}
