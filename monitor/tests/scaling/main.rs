//! Plays recorded arrivals to the scaling rule and to what others do, and holds docs/SCALING-WORKERS.md to what comes of it.
//!
//! Where the figures have changed the test prints the table that the page should have.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test, and what it prints is a table")]

mod arrivals;
#[path = "../anomaly/chance.rs"]
mod chance;
mod fleet;
mod rules;

use std::fmt::Write;
use std::fs::read_to_string;

use arrivals::{Record, records};
use fleet::{Outcome, play};
use rules::{Depth, Fixed, Ours, PerDepth, Rule};

/// What came of a record: by rule, in the order of the table.
struct Row {
    ours: Outcome,
    mean: Outcome,
    peak: Outcome,
    ready: Outcome,
    all: Outcome,
    slots: Outcome,
}

fn row(record: &Record) -> Row {
    let play = |mut rule: Box<dyn Rule>| play(record, &mut *rule);
    Row {
        ours: play(Box::new(Ours::new())),
        mean: play(Box::new(Fixed::for_mean(record))),
        peak: play(Box::new(Fixed::for_peak(record))),
        ready: play(Box::new(PerDepth::of(Depth::Ready, 20.0))),
        all: play(Box::new(PerDepth::of(Depth::All, 20.0))),
        slots: play(Box::new(PerDepth::of(Depth::All, f64::from(fleet::SLOTS)))),
    }
}

fn table(records: &[Record], rows: &[Row]) -> String {
    let mut text =
        "| arrivals | rule | mean wait, s | p99 wait, s | worker-hours |\n|---|---|---|---|---|\n".to_owned();
    for (record, row) in records.iter().zip(rows) {
        let named = [
            ("Oarlock".to_owned(), row.ours),
            (format!("fixed, {} for the mean", Fixed::for_mean(record).0), row.mean),
            (format!("fixed, {} for the peak", Fixed::for_peak(record).0), row.peak),
            ("20 ready messages a worker".to_owned(), row.ready),
            ("20 messages a worker, with unacknowledged".to_owned(), row.all),
            ("4 messages a worker, with unacknowledged".to_owned(), row.slots),
        ];
        for (rule, outcome) in named {
            let Outcome { mean_wait_s, p99_wait_s, worker_hours } = outcome;
            let name = record.name;
            let _ = writeln!(
                text,
                "| {name} | {rule} | {mean_wait_s:.1} | {p99_wait_s:.1} | {worker_hours:.1} |"
            );
        }
    }
    text
}

#[test]
fn the_page_tells_what_the_simulation_gives() {
    let records = records();
    let rows: Vec<Row> = records.iter().map(row).collect();
    let table = table(&records, &rows);
    println!("{table}");
    let page = read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/SCALING-WORKERS.md")).unwrap();
    assert!(page.contains(&table), "the table of docs/SCALING-WORKERS.md should be:\n{table}");

    let [steady, burst, day] = &rows[..] else { panic!("three records") };
    assert!(steady.ours.p99_wait_s < 5.0 && steady.ours.worker_hours < steady.mean.worker_hours * 1.1);
    for row in [burst, day] {
        let of_peak = row.ours.worker_hours / row.peak.worker_hours;
        assert!(of_peak < 0.6, "{of_peak} of the hours of a fleet for the peak");
        assert!(
            row.ours.p99_wait_s < 45.0,
            "the target of 30 s, and half of the time that workers take to start"
        );
    }
    for row in &rows {
        for depth in [row.ready, row.all] {
            assert!(row.ours.p99_wait_s < depth.p99_wait_s * 0.6, "waits, beside a depth of 20");
        }
    }
    let slots = burst.slots;
    assert!(burst.ours.p99_wait_s < slots.p99_wait_s * 0.6, "waits in bursts, beside a depth of 4");
    assert!(burst.ours.worker_hours < slots.worker_hours * 0.8, "cost of bursts, beside a depth of 4");
}
