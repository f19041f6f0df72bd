//! One signal that has a size: whether its values have become others than they usually are.
//!
//! What is usual lags behind: a value is learned when 32 more have come. So the values by which a change is found are
//! not among those it is judged by, and nothing has to be chosen to be learned or not, which would bend it.

use std::collections::VecDeque;

use oarlock_protocol::Timestamp;

use super::cusum::Cusum;
use super::histogram::Histogram;
use crate::settings::{Settings, Worth};
use crate::{Ending, Evidence};

/// How many values are known as they are: enough for a steady median.
const RECENT: usize = 32;

/// What an observation has changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Turn {
    /// It is no longer as usual.
    Began,
    /// What was not as usual has ended; as it was at last.
    Ended(Ending, Open),
}

/// Something that is not as usual now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Open {
    /// Since when.
    pub(crate) since: Timestamp,
    /// How it is beside how it was.
    pub(crate) evidence: Evidence,
}

/// What observing depends on beside the value.
#[derive(Clone, Copy)]
pub(crate) struct Moment<'a> {
    /// The time.
    pub(crate) now: Timestamp,
    /// The share of its weight that earlier knowledge keeps.
    pub(crate) keep: f64,
    /// How many values must be known before anything is told; none are enough where that is not set.
    pub(crate) warm_up: Option<f64>,
    pub(crate) settings: &'a Settings,
}

impl Moment<'_> {
    /// Whether knowledge of so many values is enough.
    pub(crate) fn is_enough(&self, known: f64) -> bool {
        self.warm_up.is_some_and(|warm_up| known >= warm_up)
    }
}

/// A signal of one series.
#[derive(Debug)]
pub(crate) struct Level {
    usual: Histogram,
    recent: VecDeque<(Timestamp, f64)>,
    rise: Cusum,
    fall: Cusum,
    change: Option<Box<Change>>,
}

/// A change that was told and has not ended.
#[derive(Debug)]
struct Change {
    open: Open,
    told_at: Timestamp,
    told_count: u64,
    /// What is usual since, where it stays so.
    fresh: Histogram,
}

impl Level {
    pub(crate) fn new() -> Self {
        Self {
            usual: Histogram::new(),
            recent: VecDeque::with_capacity(RECENT),
            rise: Cusum::default(),
            fall: Cusum::default(),
            change: None,
        }
    }

    /// What is not as usual now.
    pub(crate) fn open(&self) -> Option<Open> {
        self.change.as_ref().map(|change| change.open)
    }

    /// Takes one value.
    pub(crate) fn observe(&mut self, value: f64, worth: &Worth, moment: Moment<'_>) -> Option<Turn> {
        let oldest = if self.recent.len() == RECENT { self.recent.pop_front() } else { None };
        self.recent.push_back((moment.now, value));
        if self.change.is_some() {
            return self.follow(value, worth, moment);
        }
        let known = moment.is_enough(self.usual.size());
        let turn = if known { self.test(value, worth, moment) } else { None };
        if let Some((_, oldest)) = oldest {
            self.usual.add(oldest, moment.keep);
        }
        turn
    }

    /// Adds a value's evidence, and tells a change where there is enough of it and it is worth it.
    fn test(&mut self, value: f64, worth: &Worth, moment: Moment<'_>) -> Option<Turn> {
        let Moment { settings, now, .. } = moment;
        // A median known from few values may be off: by this much in two of three cases.
        let unsure = 1.25 / self.usual.size().sqrt();
        let allowance = settings.allowance + unsure;
        let score = |value| self.usual.score(value).clamp(-settings.score_limit, settings.score_limit);
        // Half way to what is worth telling, in factors: what is nearer, such as a season of the day, is no evidence.
        let more = score(value / worth.more.sqrt());
        let less = -score(value * worth.less.unwrap_or(1.0).sqrt());
        self.rise.add(more - allowance, settings.threshold, now);
        self.fall.add(less - allowance, settings.threshold, now);
        let is_enough = |cusum: &Cusum| cusum.sum() >= settings.threshold && cusum.count() >= settings.agree;
        let rise = Some((self.rise, 1.0));
        let fall = worth.less.map(|_| (self.fall, -1.0));
        let ways = [rise, fall].into_iter().flatten().filter(|(cusum, _)| is_enough(cusum));
        let (cusum, way) = ways.max_by_key(|(cusum, _)| cusum.count())?;
        let baseline = self.usual.median();
        if !is_worth(baseline, self.median_of_last(cusum.count() as usize), worth) {
            return None;
        }
        let count = self.agreeing(way, settings).min(cusum.count() as usize);
        let agreeing = || self.recent.iter().rev().take(count);
        let since = agreeing().next_back().map_or(cusum.since(), |(time, _)| *time);
        let mut fresh = Histogram::new();
        agreeing().for_each(|(_, value)| fresh.add(*value, 1.0));
        let current = self.median_of_last(count);
        let evidence = Evidence { baseline, current, count: count as u64, score: cusum.sum() };
        let open = Open { since, evidence };
        self.change = Some(Box::new(Change { open, told_at: now, told_count: evidence.count, fresh }));
        Some(Turn::Began)
    }

    /// Follows a change that was told until all is as before, or the new level is the usual one.
    fn follow(&mut self, value: f64, worth: &Worth, moment: Moment<'_>) -> Option<Turn> {
        let Moment { settings, now, keep, .. } = moment;
        let count = self.change.as_ref().map_or(0, |change| change.open.evidence.count) + 1;
        let current = self.median_of_last(usize::try_from(count).unwrap_or(RECENT));
        let latest = self.median_of_last(settings.settle as usize);
        let change = self.change.as_mut()?;
        change.open.evidence.count = count;
        change.open.evidence.current = current;
        change.fresh.add(value, keep);
        let since_told = count.saturating_sub(change.told_count);
        // Half way back, in factors: who ended where it began would begin and end in turns.
        let half_way =
            Worth { more: worth.more.sqrt(), less: worth.less.map(f64::sqrt), floor: worth.floor / 2.0 };
        let ending = if since_told >= u64::from(settings.settle)
            && !is_worth(change.open.evidence.baseline, latest, &half_way)
        {
            change.open.evidence.current = latest;
            Ending::AsUsual
        } else if adopts(since_told, change.told_at, settings, now) {
            Ending::NewUsual
        } else {
            return None;
        };
        let change = self.change.take()?;
        (self.rise, self.fall) = (Cusum::default(), Cusum::default());
        if ending == Ending::NewUsual {
            self.usual = change.fresh;
            // They are in there.
            self.recent.clear();
        }
        Some(Turn::Ended(ending, change.open))
    }

    /// How many of the latest values belong to the change: so many that all before them speak against it. The CUSUM may
    /// have begun a little earlier, by chance.
    fn agreeing(&self, way: f64, settings: &Settings) -> usize {
        let (mut sum, mut best) = (0.0, (f64::NEG_INFINITY, 1));
        for (index, (_, value)) in self.recent.iter().rev().enumerate() {
            let score = way * self.usual.score(*value);
            sum += score.clamp(-settings.score_limit, settings.score_limit) - 2.0 * settings.allowance;
            if sum > best.0 && index + 1 >= settings.agree as usize {
                best = (sum, index + 1);
            }
        }
        best.1
    }

    /// The median of the latest values, at most so many.
    fn median_of_last(&self, count: usize) -> f64 {
        let latest = self.recent.iter().rev().take(count.max(1));
        let mut latest: Vec<f64> = latest.map(|(_, value)| *value).collect();
        latest.sort_by(f64::total_cmp);
        latest.get(latest.len() / 2).copied().unwrap_or_default()
    }
}

/// Whether a change is large enough to be told.
fn is_worth(baseline: f64, current: f64, worth: &Worth) -> bool {
    let large_enough = if current > baseline {
        current >= baseline * worth.more
    } else {
        worth.less.is_some_and(|less| baseline >= current * less)
    };
    large_enough && (current - baseline).abs() >= worth.floor
}

/// Whether what was told so long ago has become usual.
pub(crate) fn adopts(count: u64, told_at: Timestamp, settings: &Settings, now: Timestamp) -> bool {
    let passed = now.since(told_at);
    let often = count >= u64::from(settings.adopt_attempts) && passed >= settings.adopt_time;
    often || (count >= u64::from(settings.warm_up) && passed >= settings.adopt_rare_time)
}
