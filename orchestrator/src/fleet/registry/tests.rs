//! The registry over given times: who is shown, in which state, marked with what, and when who is forgotten.

use oarlock_protocol::{FORMAT, WorkerId};

use super::*;

fn settings() -> Settings {
    Settings { kept: Span::from_secs(120), rules: oarlock_monitor::Settings::default() }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

/// A beat of a worker whose clock is an hour ahead, sent at that second of this node's clock.
fn beat(worker: &str, second: i64) -> BeatMessage {
    let there = |second: i64| at(second + 3_600);
    BeatMessage {
        format: FORMAT,
        worker_id: WorkerId::from(worker.to_owned()),
        host: "clerk".to_owned(),
        version: "test 1".to_owned(),
        sent_at: there(second),
        started_at: there(0),
        beat_ms: 5_000,
        queues: vec!["b".to_owned(), "a".to_owned()],
        tasks: vec!["a".to_owned()],
        slots: 4,
        open: 0,
        last_active: None,
        completed: 0,
        failed: 0,
        leaving: false,
    }
}

fn heard(beats: impl IntoIterator<Item = (BeatMessage, i64)>) -> Registry {
    let mut registry = Registry::default();
    beats.into_iter().for_each(|(beat, second)| {
        registry.hear(beat, &settings(), at(second)).unwrap();
    });
    registry
}

/// The states and marks at that second, where nothing waits.
fn seen(registry: &Registry, second: i64) -> Vec<(WorkerState, Vec<String>)> {
    let entries = registry.entries(&settings(), at(second), |_| None);
    entries.into_iter().map(|entry| (entry.state, entry.marks)).collect()
}

#[test]
fn a_worker_is_silent_after_three_beats_and_gone_two_minutes_later() {
    let mut registry = heard([(beat("w", 100), 100)]);
    assert_eq!(seen(&registry, 114), [(WorkerState::Idle, vec![])]);
    let told = "worker `w` was last heard 15 s ago, though it beats every 5.0 s".to_owned();
    assert_eq!(seen(&registry, 115), [(WorkerState::Silent, vec![told])]);
    assert_eq!(seen(&registry, 234).len(), 1);
    assert_eq!(seen(&registry, 235), []);
    registry.forget(&settings(), at(234));
    assert_eq!(registry.0.len(), 1);
    registry.forget(&settings(), at(235));
    assert!(registry.0.is_empty());
}

#[test]
fn a_beat_brings_a_silent_worker_back_and_its_last_one_ends_it() {
    let busy = BeatMessage { open: 2, ..beat("w", 130) };
    let mut registry = heard([(beat("w", 100), 100), (busy, 130)]);
    assert_eq!(seen(&registry, 131), [(WorkerState::Busy, vec![])]);
    let leaving = BeatMessage { leaving: true, ..beat("w", 132) };
    registry.hear(leaving.clone(), &settings(), at(132)).unwrap();
    assert_eq!(seen(&registry, 132), []);
    // It may come twice.
    registry.hear(leaving, &settings(), at(133)).unwrap();
    assert_eq!(seen(&registry, 133), []);
}

#[test]
fn times_are_those_of_this_node_whatever_the_workers_clock_says() {
    let told = BeatMessage { last_active: Some(at(3_600 + 90)), ..beat("w", 100) };
    // The one that came fastest tells best when it was started.
    let registry = heard([(told.clone(), 101), (told, 103)]);
    let entry = registry.entries(&settings(), at(104), |_| None).remove(0);
    assert_eq!((entry.since, entry.last_beat, entry.last_active), (at(1), at(103), Some(at(93))));
    // Times that make no sense do no harm.
    let (least, most) = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
    let wild = BeatMessage { sent_at: most, started_at: least, last_active: Some(least), ..beat("w", 0) };
    let back = BeatMessage { sent_at: least, started_at: most, last_active: Some(most), ..beat("x", 0) };
    let registry = heard([(wild, 5), (back, 5)]);
    assert_eq!(seen(&registry, 6).len(), 2);
}

#[test]
fn a_worker_that_does_nothing_beside_a_deep_queue_is_marked() {
    let settings = settings();
    let marks = |beat: BeatMessage, ready: u64, second: i64| {
        let registry = heard([(beat, second)]);
        let ready_of = |queue: &str| (queue == "a").then_some((ready, at(1_000)));
        let entry = registry.entries(&settings, at(second), ready_of).remove(0);
        assert_ne!(entry.state, WorkerState::Silent);
        entry.marks
    };
    let told =
        "worker `w` beats but has done nothing for 2.0 min, though 8 tasks are in its queue".to_owned();
    assert_eq!(marks(beat("w", 1_120), 8, 1_120), [told]);
    assert_eq!(marks(beat("w", 1_119), 8, 1_119), [""; 0]);
    assert_eq!(marks(beat("w", 1_120), 7, 1_120), [""; 0], "not deep for four slots");
    assert_eq!(marks(BeatMessage { open: 1, ..beat("w", 1_120) }, 8, 1_120), [""; 0]);
    let active = BeatMessage { last_active: Some(at(3_600 + 1_001)), ..beat("w", 1_120) };
    assert_eq!(marks(active, 8, 1_120), [""; 0]);
    // All its queues count: four wait in each.
    let registry = heard([(beat("w", 1_120), 1_120)]);
    let entry = registry.entries(&settings, at(1_120), |_| Some((4, at(1_000)))).remove(0);
    assert!(entry.marks[0].contains("8 tasks"), "{:?}", entry.marks);
}

#[test]
fn what_is_told_is_bounded() {
    let long = "x".repeat(100_000);
    let names: Vec<String> = (0..500).map(|number| format!("{number}{long}")).collect();
    let mut large = beat("w", 0);
    (large.host, large.version, large.beat_ms) = (long.clone(), long.clone(), u64::MAX);
    (large.queues, large.tasks) = (names.clone(), names);
    let registry = heard([(large, 0)]);
    let entry = registry.entries(&settings(), at(0), |_| None).remove(0);
    // With the mark that says that it is cut.
    let longest = LONGEST_TEXT + '…'.len_utf8();
    assert!(entry.host.len() <= longest && entry.version.len() <= longest);
    assert_eq!((entry.queues.len(), entry.tasks.len()), (MOST_NAMES, MOST_NAMES));
    assert!(entry.queues.iter().chain(&entry.tasks).all(|name| name.len() <= longest));
    // It says that it beats once in ages; it is missed all the same.
    assert_eq!(seen(&registry, 180)[0].0, WorkerState::Silent);
    let mut registry = registry;
    for id in [String::new(), long] {
        assert!(registry.hear(beat(&id, 0), &settings(), at(0)).is_err());
    }
}

#[test]
fn there_are_ten_thousand_workers_and_no_more() {
    let mut registry = heard((0..MOST_WORKERS).map(|number| (beat(&format!("w{number}"), 0), 0)));
    let settings = settings();
    let full = registry.hear(beat("another", 1), &settings, at(1)).unwrap_err();
    assert!(full.contains("10000 workers"), "{full}");
    // Those that are known are heard on, and who is gone makes room.
    registry.hear(beat("w7", 130), &settings, at(130)).unwrap();
    registry.hear(beat("another", 135), &settings, at(135)).unwrap();
    assert_eq!(seen(&registry, 135).len(), 2);
}

#[test]
fn of_a_queue_those_count_that_are_heard_each_once() {
    let twice = BeatMessage { queues: vec!["a".to_owned(), "a".to_owned()], ..beat("v", 120) };
    let registry = heard([(beat("w", 100), 100), (twice, 120)]);
    let of = |second: i64| registry.by_queue(&settings(), at(second)).get("a").copied();
    assert_eq!(of(114), Some(WorkersOf { workers: 2, slots: 8 }));
    assert_eq!(of(115), Some(WorkersOf { workers: 1, slots: 4 }), "one is silent");
    assert_eq!(of(135), None);
}

#[test]
fn distinct_queues_are_looked_at_and_not_too_many() {
    let many = (0..MOST_QUEUES).map(|number| {
        let queues = vec!["a".to_owned(), format!("q{number}")];
        (BeatMessage { queues, ..beat(&format!("w{number}"), 0) }, 0)
    });
    let queues = heard(many).by_queue(&settings(), at(0));
    assert_eq!(queues.len(), MOST_QUEUES);
    assert!(queues.contains_key("a"));
}
