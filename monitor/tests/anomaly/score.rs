//! Plays streams to a rule and counts: false alarms, and after how many attempts a step is told.

use std::collections::VecDeque;
use std::fmt::Write;
use std::ops::RangeInclusive;

use oarlock_monitor::anomaly::{Attempt, Monitor};
use oarlock_monitor::{Change, Key, Settings};

use crate::streams::{Label, streams};

/// Something that tells alarms.
pub(crate) trait Rule {
    /// Takes an attempt; whether an alarm begins with it.
    fn alarms(&mut self, attempt: &Attempt) -> bool;
}

/// The rule under test.
pub(crate) struct Ours(Monitor, Key);

/// A value is an alarm where it is more than three standard deviations from the mean of the last 500; one that follows
/// another is the same alarm. It says nothing before 80.
pub(crate) struct Sigma {
    values: VecDeque<f64>,
    sum: f64,
    squares: f64,
    scale: fn(f64) -> f64,
    alarmed: bool,
}

impl Ours {
    pub(crate) fn new(settings: Settings) -> Self {
        Self(Monitor::new(settings), Key::new("default", "a"))
    }
}

impl Rule for Ours {
    fn alarms(&mut self, attempt: &Attempt) -> bool {
        self.0.observe(&self.1, attempt).iter().any(|change| matches!(change, Change::Began(_)))
    }
}

impl Sigma {
    pub(crate) fn of_values() -> Self {
        Self { values: VecDeque::new(), sum: 0.0, squares: 0.0, scale: |value| value, alarmed: false }
    }

    pub(crate) fn of_logarithms() -> Self {
        Self { scale: |value| value.max(1.0).ln(), ..Self::of_values() }
    }
}

impl Rule for Sigma {
    fn alarms(&mut self, attempt: &Attempt) -> bool {
        let value = (self.scale)(attempt.duration.unwrap_or_default().as_millis() as f64);
        let count = self.values.len() as f64;
        let mean = self.sum / count;
        let variance = self.squares / count - mean * mean;
        let was = self.alarmed;
        self.alarmed = count >= 80.0 && (value - mean).abs() > 3.0 * variance.sqrt();
        self.values.push_back(value);
        (self.sum, self.squares) = (self.sum + value, self.squares + value * value);
        if self.values.len() > 500
            && let Some(oldest) = self.values.pop_front()
        {
            (self.sum, self.squares) = (self.sum - oldest, self.squares - oldest * oldest);
        }
        self.alarmed && !was
    }
}

/// What a rule told of one kind of stream.
#[derive(Clone, Default)]
pub(crate) struct Tally {
    name: &'static str,
    attempts: u64,
    false_alarms: u64,
    /// Steps, and after how many attempts each was told.
    steps: u64,
    delays: Vec<usize>,
    /// The same for threefold steps alone.
    threefold: u64,
    threefold_delays: Vec<usize>,
    /// Alarms after a step, all in all.
    after: u64,
}

/// Plays every stream of every seed; a tally for each kind of stream.
pub(crate) fn judge(seeds: RangeInclusive<u64>, rule: impl Fn() -> Box<dyn Rule>) -> Vec<Tally> {
    let mut tallies: Vec<Tally> = Vec::new();
    for seed in seeds {
        for (index, stream) in streams(seed).enumerate() {
            if tallies.len() <= index {
                tallies.push(Tally { name: stream.name, ..Tally::default() });
            }
            let mut rule = rule();
            let alarms = stream.attempts.iter().map(|attempt| rule.alarms(attempt));
            let alarms: Vec<usize> =
                alarms.enumerate().filter_map(|(at, alarm)| alarm.then_some(at)).collect();
            tallies[index].count(stream.label, stream.attempts.len(), &alarms);
        }
    }
    tallies
}

impl Tally {
    fn count(&mut self, label: Label, length: usize, alarms: &[usize]) {
        let (at, threefold) = match label {
            Label::Usual => (length, false),
            Label::Step { at, ratio } => (at, ratio == 3.0),
            Label::Failing { at } => (at, false),
            Label::Drift => {
                self.steps += 1;
                self.delays.extend(alarms.first());
                return;
            }
        };
        self.attempts += at as u64;
        self.false_alarms += alarms.iter().filter(|alarm| **alarm < at).count() as u64;
        if label == Label::Usual {
            return;
        }
        self.steps += 1;
        self.threefold += u64::from(threefold);
        self.after += alarms.iter().filter(|alarm| **alarm >= at).count() as u64;
        if let Some(delay) = alarms.iter().find(|alarm| **alarm >= at).map(|alarm| alarm - at + 1) {
            self.delays.push(delay);
            if threefold {
                self.threefold_delays.push(delay);
            }
        }
    }

    pub(crate) fn total(tallies: &[Self]) -> Self {
        let mut total = Self::default();
        for tally in tallies {
            total.attempts += tally.attempts;
            total.false_alarms += tally.false_alarms;
            total.after += tally.after;
            // Of a drift it is not said when it should be told.
            if tally.attempts > 0 {
                total.steps += tally.steps;
                total.delays.extend(&tally.delays);
            }
            total.threefold += tally.threefold;
            total.threefold_delays.extend(&tally.threefold_delays);
        }
        total
    }

    pub(crate) fn false_alarms_per_10_000(&self) -> f64 {
        self.false_alarms as f64 * 10_000.0 / self.attempts as f64
    }

    pub(crate) fn threefold_within_30(&self) -> f64 {
        within_30(&self.threefold_delays, self.threefold)
    }

    /// How often a step that was told was told.
    pub(crate) fn alarms_per_step(&self) -> f64 {
        self.after as f64 / self.delays.len() as f64
    }

    /// The streams, one a row.
    pub(crate) fn by_stream(tallies: &[Self]) -> String {
        let mut text =
            "| stream | attempts | false alarms | told | within 30 | median delay | alarms each |\n"
                .to_owned();
        text.push_str("|---|---|---|---|---|---|---|\n");
        for tally in tallies {
            let _ = write!(text, "| {} | {} | {} |", tally.name, tally.attempts, tally.false_alarms);
            if tally.steps == 0 {
                text.push_str(" | | | |\n");
                continue;
            }
            let told = tally.delays.len() as f64 * 100.0 / tally.steps as f64;
            let soon = within_30(&tally.delays, tally.steps) * 100.0;
            let _ = writeln!(
                text,
                " {told:.0} % | {soon:.0} % | {} | {:.2} |",
                median(&tally.delays),
                tally.alarms_per_step()
            );
        }
        text
    }

    /// The rules, one a row.
    pub(crate) fn by_rule(rules: &[(&str, &[Self])]) -> String {
        let mut text =
            "| rule | false alarms per 10,000 attempts | threefold steps told within 30 | median delay, attempts | alarms for each step |\n|---|---|---|---|---|\n"
                .to_owned();
        for (name, tallies) in rules {
            let total = Self::total(tallies);
            let _ = writeln!(
                text,
                "| {name} | {:.2} | {:.1} % | {} | {:.2} |",
                total.false_alarms_per_10_000(),
                total.threefold_within_30() * 100.0,
                median(&total.threefold_delays),
                total.alarms_per_step()
            );
        }
        text
    }
}

fn within_30(delays: &[usize], steps: u64) -> f64 {
    delays.iter().filter(|delay| **delay <= 30).count() as f64 / steps as f64
}

fn median(delays: &[usize]) -> usize {
    let mut delays = delays.to_vec();
    delays.sort_unstable();
    delays.get(delays.len() / 2).copied().unwrap_or_default()
}
