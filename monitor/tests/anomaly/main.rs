//! What the rule for anomalies tells of labelled streams, beside the rule of three sigmas. Prints the report, asserts
//! what is promised of it, and holds docs/ANOMALIES.md to it.
//!
//! The settings were tuned on seeds 1 to 100 only (`OARLOCK_TUNE=1`); this judges them on seeds 101 to 200.
//! `cargo test -p oarlock-monitor --test anomaly -- --nocapture` prints it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test, and what it prints is a report")]

mod behaviour;
mod chance;
mod score;
mod streams;

use std::fs::read_to_string;
use std::ops::RangeInclusive;

use oarlock_monitor::Settings;

use score::{Ours, Sigma, Tally, judge};

/// The seeds that nothing was tuned on.
const JUDGED: RangeInclusive<u64> = 101..=200;

#[test]
fn steps_are_told_soon_and_little_else_is() {
    let seeds = if std::env::var("OARLOCK_TUNE").is_ok() { 1..=100 } else { JUDGED };
    let ours = judge(seeds.clone(), || Box::new(Ours::new(Settings::default())));
    let sigma = judge(seeds.clone(), || Box::new(Sigma::of_values()));
    let log_sigma = judge(seeds.clone(), || Box::new(Sigma::of_logarithms()));
    let by_stream = Tally::by_stream(&ours);
    let rules: [(&str, &[Tally]); 3] = [
        ("Oarlock", &ours),
        ("three sigmas of the last 500", &sigma),
        ("three sigmas of their logarithms", &log_sigma),
    ];
    let by_rule = Tally::by_rule(&rules);
    println!("{by_stream}\n{by_rule}");

    let ours = Tally::total(&ours);
    assert!(
        ours.false_alarms_per_10_000() <= 1.0,
        "{} false alarms per 10,000",
        ours.false_alarms_per_10_000()
    );
    assert!(
        ours.threefold_within_30() >= 0.95,
        "{} of threefold steps within 30",
        ours.threefold_within_30()
    );
    assert!(ours.alarms_per_step() <= 1.05, "a step is told once, not {} times", ours.alarms_per_step());
    if seeds == JUDGED {
        let page = read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ANOMALIES.md")).unwrap();
        assert!(page.contains(&by_rule) && page.contains(&by_stream), "docs/ANOMALIES.md has other tables");
    }
}
