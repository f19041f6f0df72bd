//! What the rule for anomalies tells of labelled streams, beside the rule of three sigmas. Prints the report and asserts
//! what is promised of it.
//!
//! The settings were tuned on seeds 1 to 100 only (`OARLOCK_TUNE=1`); this judges them on seeds 101 to 200.
//! `cargo test -p oarlock-monitor --test anomaly -- --nocapture` prints it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test, and what it prints is a report")]

mod behaviour;
mod chance;
mod score;
mod streams;

use oarlock_monitor::Settings;

use score::{Ours, Sigma, Tally, judge};

#[test]
fn steps_are_told_soon_and_little_else_is() {
    let seeds = match std::env::var("OARLOCK_TUNE") {
        Ok(_) => 1..=100,
        Err(_) => 101..=200,
    };
    let ours = judge(seeds.clone(), || Box::new(Ours::new(Settings::default())));
    let sigma = judge(seeds.clone(), || Box::new(Sigma::of_values()));
    let log_sigma = judge(seeds, || Box::new(Sigma::of_logarithms()));
    println!("{}", Tally::by_stream(&ours));
    let rules: [(&str, &[Tally]); 3] = [
        ("Oarlock", &ours),
        ("three sigmas of the last 500", &sigma),
        ("three sigmas of their logarithms", &log_sigma),
    ];
    println!("{}", Tally::by_rule(&rules));

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
}
