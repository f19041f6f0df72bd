//! What is told of a series over its life: once, in a sentence, with an end, in bounded memory.

use oarlock_monitor::anomaly::{Attempt, Monitor, Outcome};
use oarlock_monitor::{Change, Ending, Finding, Key, Kind, Settings, Severity};
use oarlock_protocol::{Span, Timestamp};

use crate::chance::Chance;

/// A series that is fed with attempts ten seconds apart.
struct Fed {
    monitor: Monitor,
    key: Key,
    now: Timestamp,
    chance: Chance,
    changes: Vec<Change>,
}

impl Fed {
    fn new() -> Self {
        Self {
            monitor: Monitor::new(Settings::default()),
            key: Key::new("default", "payment.charge"),
            now: Timestamp::from_millis(0),
            chance: Chance(7),
            changes: Vec::new(),
        }
    }

    /// So many attempts, of which `with` sets what matters; it is given a factor around 1.
    fn feed(&mut self, count: u32, with: impl Fn(&mut Attempt, f64)) {
        for _ in 0..count {
            self.now = self.now.after(Span::from_secs(10));
            let mut attempt = Attempt { closed_at: self.now, ..Attempt::default() };
            with(&mut attempt, (0.2 * self.chance.normal()).exp());
            self.changes.extend(self.monitor.observe(&self.key, &attempt));
        }
    }

    fn takes(&mut self, count: u32, ms: f64) {
        self.feed(count, |attempt, factor| attempt.duration = Some(Span::from_millis((ms * factor) as u64)));
    }

    fn open(&self) -> Vec<Finding> {
        self.monitor.findings(self.now).collect()
    }

    /// The endings so far.
    fn endings(&self) -> Vec<Ending> {
        let ending = |change: &Change| match change {
            Change::Began(_) => None,
            Change::Ended { ending, .. } => Some(*ending),
        };
        self.changes.iter().filter_map(ending).collect()
    }
}

/// Sets a signal of an attempt, given a factor around 1.
type Set = dyn Fn(&mut Attempt, f64);

#[test]
fn a_step_is_told_once_in_a_sentence_and_ends_when_it_is_gone() {
    let mut fed = Fed::new();
    fed.takes(600, 1000.0);
    assert_eq!(fed.changes, []);
    fed.takes(40, 3100.0);
    let [Change::Began(began)] = &fed.changes[..] else { panic!("{:?}", fed.changes) };
    assert_eq!(began.kind, Kind::Duration);
    assert_eq!(began.since, Timestamp::from_millis(6_010_000), "told to have begun where it began");
    let [open] = &fed.open()[..] else { panic!("{:?}", fed.open()) };
    assert_eq!(open.severity, Severity::Severe);
    let expected = "`payment.charge` takes 3.3 s since 01:40 UTC, 3.3 times its usual 991 ms (40 attempts)";
    assert_eq!(open.text, expected);
    fed.takes(80, 1000.0);
    assert_eq!((fed.endings(), fed.open()), (vec![Ending::AsUsual], vec![]));
}

#[test]
fn what_stays_becomes_the_usual() {
    let mut fed = Fed::new();
    fed.takes(600, 1000.0);
    fed.takes(2000, 3000.0);
    assert_eq!((fed.changes.len(), fed.endings()), (2, vec![Ending::NewUsual]));
    fed.takes(60, 9000.0);
    let [open] = &fed.open()[..] else { panic!("{:?}", fed.open()) };
    assert!((open.evidence.baseline / 3000.0 - 1.0).abs() < 0.1, "{:?}", open.evidence);
}

#[test]
fn outliers_few_attempts_and_small_changes_are_not_told() {
    let mut fed = Fed::new();
    fed.takes(60, 1000.0);
    fed.takes(40, 9000.0);
    assert_eq!(fed.changes, [], "nothing is known yet");
    let mut fed = Fed::new();
    for _ in 0..200 {
        fed.takes(25, 1000.0);
        fed.takes(3, 1e6);
    }
    assert_eq!(fed.changes, [], "three of a kind do not agree");
    let mut fed = Fed::new();
    fed.takes(600, 5.0);
    fed.takes(600, 25.0);
    assert_eq!(fed.changes, [], "five times as long, and nobody notices 20 ms");
}

#[test]
fn every_signal_is_watched() {
    let mebibyte = 1024.0 * 1024.0;
    let set: [(Kind, Box<Set>); 5] = [
        (
            Kind::QueueTime,
            Box::new(|attempt, x| attempt.queue_time = Some(Span::from_millis((900.0 * x) as u64))),
        ),
        (Kind::Memory, Box::new(move |attempt, x| attempt.memory = Some((50.0 * mebibyte * x) as u64))),
        (Kind::InputSize, Box::new(|attempt, x| attempt.input_size = Some((1e5 * x) as u64))),
        (Kind::OutputSize, Box::new(|attempt, x| attempt.output_size = Some((1e5 * x) as u64))),
        (
            Kind::FailureRatio,
            Box::new(|attempt, x| {
                attempt.outcome = if x > 5.0 { Outcome::Failed } else { Outcome::Completed };
            }),
        ),
    ];
    for (kind, set) in set {
        let mut fed = Fed::new();
        fed.feed(400, &set);
        fed.feed(60, |attempt, x| set(attempt, 5.0 * x));
        let kinds: Vec<Kind> = fed.open().iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds, [kind]);
        fed.feed(200, &set);
        assert_eq!(fed.endings(), [Ending::AsUsual], "{kind:?}");
    }
}

#[test]
fn failed_attempts_say_nothing_of_durations() {
    let mut fed = Fed::new();
    fed.takes(400, 1000.0);
    fed.feed(30, |attempt, _| {
        (attempt.duration, attempt.outcome) = (Some(Span::from_millis(1)), Outcome::Failed);
    });
    let kinds: Vec<Kind> = fed.open().iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [Kind::FailureRatio]);
}

#[test]
fn a_series_that_falls_silent_ends_its_findings() {
    let mut fed = Fed::new();
    fed.takes(600, 1000.0);
    fed.takes(40, 3000.0);
    assert_eq!(fed.monitor.tick(fed.now.after(Span::from_secs(3600))), []);
    let ended = fed.monitor.tick(fed.now.after(Span::from_secs(25 * 3600)));
    assert!(matches!(ended[..], [Change::Ended { ending: Ending::Quiet, .. }]), "{ended:?}");
    assert_eq!(fed.open(), []);
}

#[test]
fn memory_is_bounded_and_the_busy_keep_their_place() {
    let mut fed = Fed::new();
    fed.monitor = Monitor::new(Settings { series: 10, ..Settings::default() });
    fed.takes(600, 1000.0);
    for other in 0..1000 {
        let attempt = Attempt { closed_at: fed.now, ..Attempt::default() };
        fed.monitor.observe(&Key::new("default", &format!("once.{other}")), &attempt);
        fed.takes(1, 1000.0);
    }
    assert_eq!(fed.monitor.series(), 10);
    fed.takes(20, 3000.0);
    assert_eq!(fed.open().len(), 1, "it was not forgotten");
    (0..50).for_each(|other| {
        let attempt = Attempt { closed_at: fed.now, ..Attempt::default() };
        fed.changes.extend(fed.monitor.observe(&Key::new("acme", &format!("new.{other}")), &attempt));
    });
    assert_eq!(fed.endings(), [Ending::Quiet], "who loses its place ends its findings");
}

#[test]
fn strange_input_is_harmless() {
    let mut fed = Fed::new();
    for (index, at) in [i64::MAX, 0, i64::MIN, -1, i64::MAX].into_iter().cycle().take(2000).enumerate() {
        let length = if index % 3 == 0 { u64::MAX } else { 0 };
        let attempt = Attempt {
            closed_at: Timestamp::from_millis(at),
            duration: Some(Span::from_millis(length)),
            memory: Some(length),
            ..Attempt::default()
        };
        fed.monitor.observe(&fed.key, &attempt);
    }
    assert!(fed.monitor.findings(fed.now).all(|finding| finding.evidence.current.is_finite()));
}
