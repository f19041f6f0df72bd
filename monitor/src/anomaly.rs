//! Anomalies of task definitions, found attempt by attempt.
//!
//! Each signal of a series is held against a decaying histogram of its own values. An attempt's rank in it is its robust
//! z-score (`histogram.rs`), whose spread is the same for every shape of distribution; a CUSUM over these scores
//! (`cusum.rs`) tells when several attempts agree; what is told must also be a change that a person would call one
//! (`level.rs`). Failures are a Bernoulli CUSUM (`failures.rs`).

mod cusum;
mod failures;
mod histogram;
mod level;

use std::collections::HashMap;

use oarlock_protocol::{Span, Timestamp};

use crate::settings::{Settings, Worth};
use crate::{Change, Ending, Evidence, Finding, Key, Kind, Severity, Subject, sentence};
use failures::Failures;
use level::{Level, Moment, Open, Turn};

/// A closed attempt, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Attempt {
    /// When it closed. One that is earlier than the one before counts as of the same time.
    pub closed_at: Timestamp,
    /// From its beginning to its end. Learned from attempts that did not fail: those that do are quick, or end at a limit.
    pub duration: Option<Span>,
    /// From its publication to its beginning.
    pub queue_time: Option<Span>,
    /// Whether it failed.
    pub outcome: Outcome,
    /// The most memory that it took, in bytes.
    pub memory: Option<u64>,
    /// The size of its input, in bytes.
    pub input_size: Option<u64>,
    /// The size of its output, in bytes.
    pub output_size: Option<u64>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// With an output.
    #[default]
    Completed,
    /// With an error, whether or not it is retried.
    Failed,
}

/// Watches every series: O(1) for an attempt, and a fixed amount of memory for each of a bounded number of series.
#[derive(Debug)]
pub struct Monitor {
    settings: Settings,
    places: HashMap<Key, usize>,
    /// In the order in which they first came, so that listing them has an order.
    series: Vec<Series>,
    /// Where the search for a series to be given up goes on.
    hand: usize,
}

/// What is known of one task definition.
#[derive(Debug)]
struct Series {
    key: Key,
    first: Timestamp,
    last: Timestamp,
    attempts: u64,
    /// Whether it had an attempt since the hand last passed.
    touched: bool,
    signals: [(Kind, Level); 5],
    failures: Failures,
}

impl Monitor {
    /// One that knows nothing.
    pub fn new(settings: Settings) -> Self {
        Self { settings, places: HashMap::new(), series: Vec::new(), hand: 0 }
    }

    /// Takes a closed attempt and tells what it changes among the findings.
    pub fn observe(&mut self, key: &Key, attempt: &Attempt) -> Vec<Change> {
        let mut changes = Vec::new();
        let place = match self.places.get(key) {
            Some(place) => *place,
            None => self.place_for(key, attempt.closed_at, &mut changes),
        };
        if let Some(series) = self.series.get_mut(place) {
            series.observe(attempt, &self.settings, &mut changes);
        }
        changes
    }

    /// Ends what is open of series that had no attempt for long. Called now and then.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        let quiet = self.settings.quiet;
        for series in self.series.iter_mut().filter(|series| now.since(series.last) >= quiet) {
            series.give_up(now, &self.settings, &mut changes);
        }
        changes
    }

    /// Every open finding as it stands at `now`.
    pub fn findings(&self, now: Timestamp) -> impl Iterator<Item = Finding> {
        self.series.iter().flat_map(move |series| {
            series.open().map(move |(kind, open)| finding(&series.key, kind, open, &self.settings, now))
        })
    }

    /// How many series are watched.
    pub fn series(&self) -> usize {
        self.series.len()
    }

    /// A place for a new series: a free one, or that of one without an attempt since the last search (a clock, so that
    /// the search takes constant time in the mean).
    fn place_for(&mut self, key: &Key, now: Timestamp, changes: &mut Vec<Change>) -> usize {
        let fresh = Series::new(key.clone(), now);
        if self.series.len() < self.settings.series.max(1) {
            self.series.push(fresh);
            self.places.insert(key.clone(), self.series.len() - 1);
            return self.series.len() - 1;
        }
        while let Some(series) = self.series.get_mut(self.hand)
            && series.touched
        {
            series.touched = false;
            self.hand = (self.hand + 1) % self.series.len();
        }
        let place = self.hand;
        self.hand = (self.hand + 1) % self.series.len();
        if let Some(series) = self.series.get_mut(place) {
            series.give_up(now, &self.settings, changes);
            self.places.remove(&series.key);
            *series = fresh;
        }
        self.places.insert(key.clone(), place);
        place
    }
}

impl Series {
    fn new(key: Key, now: Timestamp) -> Self {
        let kinds = [Kind::Duration, Kind::QueueTime, Kind::Memory, Kind::InputSize, Kind::OutputSize];
        let signals = kinds.map(|kind| (kind, Level::new()));
        Self { key, first: now, last: now, attempts: 0, touched: true, signals, failures: Failures::new() }
    }

    fn observe(&mut self, attempt: &Attempt, settings: &Settings, changes: &mut Vec<Change>) {
        let now = attempt.closed_at.max(self.last);
        let (keep, warm_up) = (keep(now.since(self.last), settings), self.warm_up(now, settings));
        let moment = Moment { now, keep, warm_up, settings };
        self.attempts += 1;
        (self.last, self.touched) = (now, true);
        for (kind, level) in &mut self.signals {
            let (Some(value), Some(worth)) = (value_of(*kind, attempt), worth_of(*kind, settings)) else {
                continue;
            };
            if let Some(turn) = level.observe(value, worth, moment) {
                let change = change(&self.key, *kind, turn, level.open(), settings, now);
                changes.extend(change);
            }
        }
        let failed = attempt.outcome == Outcome::Failed;
        if let Some(turn) = self.failures.observe(failed, moment) {
            let open = self.failures.open();
            changes.extend(change(&self.key, Kind::FailureRatio, turn, open, settings, now));
        }
    }

    /// How many values must be known; none are enough for a series whose attempts are so rare that what is known of them
    /// spans hours, and which was not watched for more than a day: it has not seen a night, or not a noon.
    fn warm_up(&self, now: Timestamp, settings: &Settings) -> Option<f64> {
        let watched = now.since(self.first);
        let span = watched.as_millis() as f64 / self.attempts.max(1) as f64 * f64::from(settings.warm_up);
        let rare = span > 3.0 * settings.memory.as_millis() as f64;
        // Rare attempts are learned over so many that their knowledge may never grow beyond.
        let warm_up = f64::from(settings.warm_up).min(0.9 * settings.memory_min_attempts);
        (!rare || watched >= settings.season).then_some(warm_up)
    }

    fn open(&self) -> impl Iterator<Item = (Kind, Open)> {
        let levels = self.signals.iter().filter_map(|(kind, level)| Some((*kind, level.open()?)));
        levels.chain(self.failures.open().map(|open| (Kind::FailureRatio, open)))
    }

    /// Ends what is open and forgets all that was known.
    fn give_up(&mut self, now: Timestamp, settings: &Settings, changes: &mut Vec<Change>) {
        let open: Vec<(Kind, Open)> = self.open().collect();
        if open.is_empty() {
            return;
        }
        for (kind, open) in open {
            let turn = Turn::Ended(Ending::Quiet, open);
            changes.extend(change(&self.key, kind, turn, None, settings, now));
        }
        *self = Self { touched: self.touched, last: self.last, ..Self::new(self.key.clone(), now) };
    }
}

/// The share of its weight that what is known keeps when an attempt comes `passed` after the one before: forgotten by
/// time, but neither sooner than so many attempts nor later than so many others.
fn keep(passed: Span, settings: &Settings) -> f64 {
    let by_time = passed.as_millis() as f64 / (settings.memory.as_millis() as f64).max(1.0);
    let fewest = 1.0 / settings.memory_min_attempts.max(1.0);
    let most = 1.0 / settings.memory_max_attempts.max(1.0);
    1.0 - by_time.min(fewest).max(most)
}

fn value_of(kind: Kind, attempt: &Attempt) -> Option<f64> {
    let milliseconds = |span: Span| span.as_millis() as f64;
    let completed = attempt.outcome == Outcome::Completed;
    match kind {
        Kind::Duration if completed => attempt.duration.map(milliseconds),
        Kind::OutputSize if completed => attempt.output_size.map(|bytes| bytes as f64),
        Kind::QueueTime => attempt.queue_time.map(milliseconds),
        Kind::Memory => attempt.memory.map(|bytes| bytes as f64),
        Kind::InputSize => attempt.input_size.map(|bytes| bytes as f64),
        _ => None,
    }
}

fn worth_of(kind: Kind, settings: &Settings) -> Option<&Worth> {
    match kind {
        Kind::Duration => Some(&settings.duration),
        Kind::QueueTime => Some(&settings.queue_time),
        Kind::Memory => Some(&settings.memory_use),
        Kind::InputSize | Kind::OutputSize => Some(&settings.payload),
        _ => None,
    }
}

fn change(
    key: &Key,
    kind: Kind,
    turn: Turn,
    open: Option<Open>,
    settings: &Settings,
    now: Timestamp,
) -> Option<Change> {
    match turn {
        Turn::Began => Some(Change::Began(finding(key, kind, open?, settings, now))),
        Turn::Ended(ending, open) => {
            let mut finding = finding(key, kind, open, settings, now);
            finding.text = sentence::ended(key, kind, open.evidence, ending, now.since(open.since));
            Some(Change::Ended { finding, ending })
        }
    }
}

fn finding(key: &Key, kind: Kind, open: Open, settings: &Settings, now: Timestamp) -> Finding {
    let Open { since, evidence } = open;
    Finding {
        kind,
        subject: Subject::Task(key.clone()),
        since,
        severity: severity(kind, evidence, settings),
        evidence,
        text: sentence::unusual(key, kind, evidence, since, now),
    }
}

/// Less of something is a notice; more a warning, from so many times on severe.
fn severity(kind: Kind, evidence: Evidence, settings: &Settings) -> Severity {
    let Evidence { baseline, current, .. } = evidence;
    let severe = match kind {
        Kind::FailureRatio => current >= settings.severe_failures,
        _ => current >= baseline * settings.severe_ratio,
    };
    if current < baseline {
        Severity::Notice
    } else if severe {
        Severity::Severe
    } else {
        Severity::Warning
    }
}
