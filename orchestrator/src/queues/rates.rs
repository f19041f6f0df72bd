//! How fast a queue moves: exponential averages of what reports say has happened between them.

use std::collections::BTreeMap;

use oarlock_protocol::Span;

use crate::books::Sums;

/// Over so long rates are averaged: long enough to be steady, short enough to follow a burst.
const AVERAGED_OVER: Span = Span::from_secs(15);

/// What happens in a queue each second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rates {
    /// Tasks that become ready.
    pub(super) arrivals: f64,
    /// Attempts that close, failed or not.
    pub(super) completions: f64,
    /// Of these, those that fail.
    pub(super) failures: f64,
    /// Of these, those that were not the first of their task.
    pub(super) retries: f64,
    /// How many milliseconds of work workers do.
    service_ms: f64,
    /// How many milliseconds the closed ones had waited.
    waited_ms: f64,
}

impl Rates {
    /// Adds what happens elsewhere.
    pub(super) fn add(&mut self, other: &Rates) {
        self.arrivals += other.arrivals;
        self.completions += other.completions;
        self.failures += other.failures;
        self.retries += other.retries;
        self.service_ms += other.service_ms;
        self.waited_ms += other.waited_ms;
    }

    /// How long a worker has an attempt, in the mean; none where none closed lately.
    pub(super) fn service(&self) -> Option<Span> {
        self.mean(self.service_ms)
    }

    /// How long an attempt waits for a worker, in the mean; none where none closed lately.
    pub(super) fn waited(&self) -> Option<Span> {
        self.mean(self.waited_ms)
    }

    fn mean(&self, sum: f64) -> Option<Span> {
        // Less than one in ten minutes says nothing any more.
        (self.completions > 1.0 / 600.0).then(|| Span::from_millis((sum / self.completions) as u64))
    }

    fn follow(&mut self, now: &Rates, share: f64) {
        let pairs = [
            (&mut self.arrivals, now.arrivals),
            (&mut self.completions, now.completions),
            (&mut self.failures, now.failures),
            (&mut self.retries, now.retries),
            (&mut self.service_ms, now.service_ms),
            (&mut self.waited_ms, now.waited_ms),
        ];
        for (average, now) in pairs {
            *average += share * (now - *average);
        }
    }
}

/// The averages after another report, which came `passed` after the one before.
pub(super) fn averaged(
    mut rates: BTreeMap<String, Rates>,
    before: &BTreeMap<&str, Sums>,
    now: &BTreeMap<&str, Sums>,
    passed: Span,
) -> BTreeMap<String, Rates> {
    let seconds = passed.as_millis() as f64 / 1000.0;
    if seconds <= 0.0 {
        return rates;
    }
    let share = 1.0 - (-seconds / (AVERAGED_OVER.as_millis() as f64 / 1000.0)).exp();
    rates.retain(|queue, _| now.contains_key(queue.as_str()));
    for (queue, sums) in now {
        let current = between(before.get(queue).copied().unwrap_or_default(), *sums, seconds);
        rates.entry((*queue).to_owned()).or_default().follow(&current, share);
    }
    rates
}

fn between(before: Sums, now: Sums, seconds: f64) -> Rates {
    let rate = |before: u64, now: u64| now.saturating_sub(before) as f64 / seconds;
    Rates {
        arrivals: rate(before.arrived, now.arrived),
        completions: rate(before.completed + before.failed, now.completed + now.failed),
        failures: rate(before.failed, now.failed),
        retries: rate(before.retried, now.retried),
        service_ms: rate(before.service_ms, now.service_ms),
        waited_ms: rate(before.waited_ms, now.waited_ms),
    }
}
