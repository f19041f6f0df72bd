//! The ratio of attempts that fail: whether it has grown. A sequential test of a Bernoulli ratio.

use oarlock_protocol::Timestamp;

use super::cusum::Cusum;
use super::level::{Moment, Open, Turn, adopts};
use crate::settings::Settings;
use crate::{Ending, Evidence};

/// Outcomes are learned when so many more have come, as values of a level are.
const RECENT: u32 = 32;

/// The failures of one series.
#[derive(Debug)]
pub(crate) struct Failures {
    usual: Counts,
    /// The latest outcomes, the newest in the lowest bit; a failure is 1.
    recent: u64,
    seen: u32,
    rise: Cusum,
    /// Evidence that it is as usual again, while a change is open.
    fall: Cusum,
    change: Option<Box<Change>>,
}

/// Attempts, decayed, and how many of them failed.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    attempts: f64,
    failed: f64,
}

/// A change that was told and has not ended.
#[derive(Debug)]
struct Change {
    open: Open,
    told_at: Timestamp,
    told_count: u64,
    fresh: Counts,
    /// The ratios between which it is judged whether it has ended: the usual one, and half of the way to what was told.
    usual: f64,
    grown: f64,
}

impl Failures {
    pub(crate) fn new() -> Self {
        Self {
            usual: Counts::default(),
            recent: 0,
            seen: 0,
            rise: Cusum::default(),
            fall: Cusum::default(),
            change: None,
        }
    }

    /// What is not as usual now. Baseline and current are ratios of 0..1.
    pub(crate) fn open(&self) -> Option<Open> {
        self.change.as_ref().map(|change| change.open)
    }

    /// Takes one outcome.
    pub(crate) fn observe(&mut self, failed: bool, moment: Moment<'_>) -> Option<Turn> {
        let oldest = (self.seen >= RECENT).then_some((self.recent >> (RECENT - 1)) & 1 == 1);
        self.recent = (self.recent << 1) | u64::from(failed);
        self.seen = (self.seen + 1).min(RECENT);
        if self.change.is_some() {
            return self.follow(failed, moment);
        }
        let known = moment.is_enough(self.usual.attempts);
        let turn = if known { self.test(failed, moment) } else { None };
        if let Some(oldest) = oldest {
            self.usual.add(oldest, moment.keep);
        }
        turn
    }

    /// Adds an outcome's evidence: how much likelier it is with the grown ratio than with the usual one.
    fn test(&mut self, failed: bool, moment: Moment<'_>) -> Option<Turn> {
        let Moment { settings, now, .. } = moment;
        let usual = self.usual.at_most().max(settings.failure_floor);
        let grown = grown(usual, settings);
        if grown <= usual {
            return None;
        }
        self.rise.add(evidence_for(grown, usual, failed), settings.failure_threshold, now);
        if self.rise.sum() < settings.failure_threshold {
            return None;
        }
        let count = self.rise.count();
        let (current, failures) = self.ratio_of_last(count);
        let baseline = self.usual.ratio();
        if failures < settings.failure_count || current < baseline + settings.failure_rise {
            return None;
        }
        let evidence = Evidence { baseline, current, count: u64::from(count), score: self.rise.sum() };
        let fresh = Counts { attempts: f64::from(count.min(RECENT)), failed: f64::from(failures) };
        let open = Open { since: self.rise.since(), evidence };
        // What is told first is more than it is: it was told because it was so many. Half way is surely worse than usual.
        let grown = usual + (current - usual) / 2.0;
        self.change =
            Some(Box::new(Change { open, told_at: now, told_count: u64::from(count), fresh, usual, grown }));
        self.fall = Cusum::default();
        Some(Turn::Began)
    }

    fn follow(&mut self, failed: bool, moment: Moment<'_>) -> Option<Turn> {
        let Moment { settings, now, keep, .. } = moment;
        let count = self.change.as_ref().map_or(0, |change| change.open.evidence.count) + 1;
        let (current, _) = self.ratio_of_last(u32::try_from(count).unwrap_or(RECENT));
        let (latest, _) = self.ratio_of_last(settings.settle);
        let change = self.change.as_mut()?;
        change.open.evidence.count = count;
        change.open.evidence.current = current;
        change.fresh.add(failed, keep);
        let since_told = count.saturating_sub(change.told_count);
        let enough = settings.failure_threshold;
        self.fall.add(-evidence_for(change.grown, change.usual, failed), enough, now);
        let near = usual_again(change, latest);
        let ending = if self.fall.sum() >= enough && near {
            change.open.evidence.current = latest;
            Ending::AsUsual
        } else if adopts(since_told, change.told_at, settings, now) {
            Ending::NewUsual
        } else {
            return None;
        };
        let change = self.change.take()?;
        self.rise = Cusum::default();
        if ending == Ending::NewUsual {
            (self.usual, self.recent, self.seen) = (change.fresh, 0, 0);
        }
        Some(Turn::Ended(ending, change.open))
    }

    /// The ratio of failures of the latest outcomes, at most so many, and their number.
    fn ratio_of_last(&self, count: u32) -> (f64, u32) {
        let count = count.clamp(1, RECENT).min(self.seen.max(1));
        let failures = (self.recent & ((1 << count) - 1)).count_ones();
        (f64::from(failures) / f64::from(count), failures)
    }
}

impl Counts {
    fn add(&mut self, failed: bool, keep: f64) {
        self.attempts = self.attempts * keep + 1.0;
        self.failed = self.failed * keep + f64::from(u8::from(failed));
    }

    fn ratio(&self) -> f64 {
        self.failed / self.attempts.max(1.0)
    }

    /// The ratio, and as much more as it may be off by in two of three cases.
    fn at_most(&self) -> f64 {
        let ratio = (self.failed + 0.5) / (self.attempts + 1.0);
        ratio + (ratio * (1.0 - ratio) / (self.attempts + 1.0)).sqrt()
    }
}

/// Whether the latest outcomes are nearer to the usual than half of the way: one lucky stretch does not end it.
fn usual_again(change: &Change, latest: f64) -> bool {
    latest <= change.usual + (change.grown - change.usual) / 2.0
}

/// How much an outcome speaks for the ratio `grown` and against `usual`: the logarithm of how much likelier it is.
fn evidence_for(grown: f64, usual: f64, failed: bool) -> f64 {
    if failed { (grown / usual).ln() } else { ((1.0 - grown) / (1.0 - usual)).ln() }
}

/// The ratio that is tested for: so much more than the usual one, and at least three times its odds.
fn grown(usual: f64, settings: &Settings) -> f64 {
    let odds = 3.0 * usual / (1.0 - usual).max(1e-6);
    (usual + settings.failure_rise).max(odds / (1.0 + odds)).min(0.95)
}
