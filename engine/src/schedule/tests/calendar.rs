//! Which times an expression means, above all where clocks change.

use oarlock_protocol::Timestamp;
use proptest::prelude::*;

use super::super::Calendar;
use super::at;

/// The times that follow `after`, as long as they are before `until`.
fn due(cron: &str, zone: &str, after: &str, until: &str) -> Vec<String> {
    let calendar = Calendar::read(cron, zone).unwrap();
    let next = |due: &Timestamp| calendar.next(*due);
    let all = std::iter::successors(calendar.next(at(after)), next);
    all.take_while(|due| *due < at(until)).map(|due| due.to_string()[5..16].replace('T', " ")).collect()
}

#[test]
fn five_fields_six_and_names_are_read() {
    let day = |cron| due(cron, "UTC", "2026-11-26T23:59:59Z", "2026-11-28T00:00:00Z").len();
    let counts =
        ["0 3 * * *", "0 3 * * MON-FRI", "*/30 * * * * *", "@hourly", "@daily", "0 0 * * SAT", "0 0 L * *"]
            .map(day);
    assert_eq!(counts, [1, 1, 2880, 24, 1, 0, 0]);
    assert_eq!(
        due("@monthly", "UTC", "2026-11-27T00:00:00Z", "2027-02-02T00:00:00Z"),
        ["12-01 00:00", "01-01 00:00", "02-01 00:00"]
    );
}

#[test]
fn the_page_shows_expressions_that_are_read() {
    let page = include_str!("../../../../docs/schedules.md");
    let rows = page
        .split_once("| `cron` | is due |")
        .unwrap()
        .1
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let shown: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(shown.len() >= 10, "{shown:?}");
    for cron in shown {
        assert!(Calendar::read(cron, "UTC").unwrap().next(at("2026-11-27T00:00:00Z")).is_some(), "{cron}");
    }
    let both = due("0 0 1-7 * +MON", "UTC", "2026-11-27T00:00:00Z", "2027-02-02T00:00:00Z");
    assert_eq!(both, ["12-07 00:00", "01-04 00:00", "02-01 00:00"]);
}

#[test]
fn a_zone_moves_with_its_clocks() {
    // 03:00 in Berlin is 01:00 UTC in summer, 02:00 UTC in winter.
    let days = due("0 3 * * *", "Europe/Berlin", "2026-10-23T12:00:00Z", "2026-10-27T12:00:00Z");
    assert_eq!(days, ["10-24 01:00", "10-25 02:00", "10-26 02:00", "10-27 02:00"]);
}

#[test]
fn a_time_of_day_that_does_not_exist_is_due_at_the_first_moment_after_the_gap() {
    // In Berlin 02:00 to 03:00 does not exist on 2026-03-29: 01:59:59 is followed by 03:00:00, which is 01:00 UTC.
    let days = due("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", "2026-03-30T12:00:00Z");
    assert_eq!(days, ["03-28 01:30", "03-29 01:00", "03-30 00:30"]);
    // Both of them lie in the gap, and come to one.
    let twice = due("15,45 2 * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-29T12:00:00Z");
    assert_eq!(twice, ["03-29 01:00"]);
    let york = due("0 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", "2026-03-09T12:00:00Z");
    assert_eq!(york, ["03-08 07:00", "03-09 06:00"]);
    let listed = due("0 2,14 * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-30T00:00:00Z");
    assert_eq!(listed, ["03-29 01:00", "03-29 12:00"]);
    // A whole day that one zone left out.
    assert_eq!(
        due("0 12 30 * *", "Pacific/Apia", "2011-12-29T00:00:00Z", "2012-01-05T00:00:00Z"),
        ["12-30 10:00"]
    );
}

#[test]
fn a_time_of_day_that_exists_twice_is_due_once() {
    // In Berlin 02:00 to 03:00 comes twice on 2026-10-25: first at 00:00 UTC, then at 01:00 UTC.
    let days = due("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z");
    assert_eq!(days, ["10-25 00:30", "10-26 01:30"]);
    let listed = due("0,30 2,14 * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", "2026-10-25T20:00:00Z");
    assert_eq!(listed, ["10-25 00:00", "10-25 00:30", "10-25 13:00", "10-25 13:30"]);
    // Asked while it is 02:10 for the second time.
    assert_eq!(
        due("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", "2026-10-26T12:00:00Z"),
        ["10-26 01:30"]
    );
}

#[test]
fn what_is_due_every_so_often_goes_by_the_time_that_passes() {
    let hours = due("0 * * * *", "Europe/Berlin", "2026-03-28T23:30:00Z", "2026-03-29T03:30:00Z");
    assert_eq!(hours, ["03-29 00:00", "03-29 01:00", "03-29 02:00", "03-29 03:00"]);
    let hours = due("0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", "2026-10-25T03:30:00Z");
    assert_eq!(hours, ["10-25 00:00", "10-25 01:00", "10-25 02:00", "10-25 03:00"]);
    let halves = due("*/20 2 * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", "2026-10-25T03:30:00Z");
    assert_eq!(
        halves,
        ["10-25 00:00", "10-25 00:20", "10-25 00:40", "10-25 01:00", "10-25 01:20", "10-25 01:40"]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Whatever the zone and however close to a change of its clocks: each time is later than the one before, and none is left
    /// out when one looks from between two.
    #[test]
    fn times_go_on(
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu"]),
        cron in prop::sample::select(vec!["*/7 * * * *", "30 2 * * *", "0 0 * * *", "15 1,2,3 * * *", "0 */2 * * *", "*/40 * * * * *", "59 23 * * SUN"]),
        begin in 1_767_225_600_000_i64..1_830_000_000_000,
        part in 1_i64..1_000,
    ) {
        let calendar = Calendar::read(cron, zone).unwrap();
        let mut after = Timestamp::from_millis(begin);
        for _ in 0..40 {
            let due = calendar.next(after).unwrap();
            prop_assert!(due > after);
            let between = after.as_millis() + (due.as_millis() - after.as_millis()) * part / 1_000;
            let seen = calendar.next(Timestamp::from_millis(between.min(due.as_millis() - 1)));
            prop_assert_eq!(seen, Some(due));
            after = due;
        }
    }
}
