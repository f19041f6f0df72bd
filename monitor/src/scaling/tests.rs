//! The rule in single decisions.

use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(0).after(Span::from_secs(seconds))
}

fn load(waiting: u64, in_flight: u64, arrivals: f64, workers: u32) -> Load {
    let service = Some(Span::from_secs(5));
    Load { published: waiting, in_flight, arrivals_per_second: arrivals, service, workers, ..Load::default() }
}

/// Gives readings 10 s apart; the workers are always as many as were wanted.
fn play(settings: Settings, readings: impl IntoIterator<Item = Load>) -> Vec<u32> {
    let mut scaler = Scaler::new(settings);
    let mut workers = 0;
    let decide = |(index, load): (u64, Load)| {
        workers = scaler.decide(&Load { workers, ..load }, at(10 * index)).workers;
        workers
    };
    (0..).zip(readings).map(decide).collect()
}

#[test]
fn steady_work_wants_what_littles_law_says_and_its_root() {
    // 4 a second for 5 s: 20 busy slots, and 4.5 more.
    assert_eq!(Scaler::new(Settings::default()).decide(&load(0, 20, 4.0, 7), at(0)).workers, 7);
    let none = Settings { spare: 0.0, ..Settings::default() };
    assert_eq!(Scaler::new(none).decide(&load(0, 20, 4.0, 5), at(0)).workers, 5);
}

#[test]
fn a_backlog_is_drained_within_the_target_and_faster_where_it_is_late() {
    let backlog = load(240, 0, 0.0, 0);
    // 240 tasks of 5 s in 30 s: 40 slots.
    assert_eq!(Scaler::new(Settings::default()).decide(&backlog, at(0)).workers, 10);
    let late = Load { oldest_wait: Span::from_secs(15), ..backlog };
    assert_eq!(Scaler::new(Settings::default()).decide(&late, at(0)).workers, 20);
    for load in [
        Load { ready: 240, published: 0, ..backlog },
        Load { due: 240, published: 0, ..backlog },
        Load { ready: 80, published: 80, due: 80, ..backlog },
    ] {
        assert_eq!(Scaler::new(Settings::default()).decide(&load, at(0)).workers, 10, "{load:?}");
    }
    let huge = load(u64::MAX, u64::MAX, f64::INFINITY, u32::MAX);
    assert_eq!(Scaler::new(Settings::default()).decide(&huge, at(0)).workers, 100);
}

#[test]
fn up_is_at_once_and_down_after_the_window() {
    let calm = load(0, 0, 0.0, 0);
    let readings = std::iter::once(load(240, 0, 0.0, 0)).chain(std::iter::repeat_n(calm, 40));
    let wanted = play(Settings::default(), readings);
    assert_eq!(wanted[..19], [10; 19], "180 s");
    assert_eq!(wanted[19..30], [1; 11], "one stays until it was quiet for long");
    assert_eq!(wanted[30..], [0; 11]);
}

#[test]
fn one_reading_of_nothing_changes_nothing() {
    let steady = load(40, 20, 4.0, 0);
    let readings = (0..200).map(|index| if index % 7 == 6 { Load::default() } else { steady });
    let wanted = play(Settings::default(), readings);
    let most = wanted.iter().skip(10).max().unwrap();
    assert!(wanted.iter().skip(10).all(|workers| workers + 1 >= *most && *workers > 0), "{wanted:?}");
}

#[test]
fn what_is_busy_stays() {
    // Long tasks, nothing comes: 12 slots of 3 workers are busy for an hour.
    let wanted = play(
        Settings::default(),
        std::iter::once(load(72, 0, 0.0, 0)).chain((0..360).map(|_| load(0, 12, 0.0, 0))),
    );
    assert_eq!(wanted[..], [3; 361]);
}

#[test]
fn the_tail_of_an_average_keeps_no_worker() {
    let mut scaler = Scaler::new(Settings::default());
    let mut workers = scaler.decide(&load(8, 4, 4.0, 1), at(0)).workers;
    for seconds in (2..400).step_by(2) {
        // A rate that was averaged before falls by and by, and never to nothing.
        let rate = 4.0 * (-f64::from(seconds as u32) / 15.0).exp();
        workers = scaler.decide(&load(0, 0, rate, workers), at(seconds)).workers;
        let quiet = seconds >= 300;
        assert_eq!(workers == 0, quiet, "{workers} after {seconds} s");
    }
}

#[test]
fn from_none_as_soon_as_something_waits() {
    for load in [load(1, 0, 0.0, 0), Load { due: 1, ..Load::default() }, Load { ready: 1, ..Load::default() }]
    {
        assert_eq!(Scaler::new(Settings::default()).decide(&load, at(0)).workers, 1);
    }
    assert_eq!(Scaler::new(Settings::default()).decide(&Load::default(), at(0)).workers, 0);
    let two = Settings { min_workers: 2, ..Settings::default() };
    assert_eq!(Scaler::new(two).decide(&Load::default(), at(0)).workers, 2);
}

#[test]
fn the_service_time_is_told_or_follows_or_is_guessed() {
    let unknown = |load: Load| Load { service: None, ..load };
    let littles = Load { completions_per_second: 2.0, ..unknown(load(240, 10, 0.0, 3)) };
    assert_eq!(
        Scaler::new(Settings::default()).decide(&littles, at(0)).workers,
        10,
        "10 tasks at 2 a second: 5 s"
    );
    assert_eq!(Scaler::new(Settings::default()).decide(&unknown(load(240, 0, 0.0, 1)), at(0)).workers, 2);
}

#[test]
fn it_says_why() {
    let mut scaler = Scaler::new(Settings { max_workers: 50, ..Settings::default() });
    let more = scaler.decide(&load(240, 20, 4.0, 7), at(0));
    assert_eq!(more.text, "17 workers instead of 7: 4.0 tasks come a second and take 5.0 s each, 240 wait");
    let rows = [
        (
            load(0, 20, 4.0, 17),
            "17 workers as now: 4.0 tasks come a second and take 5.0 s each, 0 wait, and so many were wanted lately",
        ),
        (
            load(9000, 60, 4.0, 17),
            "50 workers instead of 17: 4.0 tasks come a second and take 5.0 s each, 9000 wait, the most allowed",
        ),
    ];
    for (load, expected) in rows {
        assert_eq!(scaler.decide(&load, at(1)).text, expected);
    }
    let fewer = scaler.decide(&load(0, 4, 4.0, 50), at(600));
    assert_eq!(
        fewer.text,
        "only 7 workers instead of 50: 4.0 tasks come a second and take 5.0 s each, 0 wait"
    );
}
