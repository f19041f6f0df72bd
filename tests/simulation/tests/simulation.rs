//! Seeds of the simulation, that a seed repeats itself, and that each protection taken out is missed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that fails names its line; which seed finds what is for whoever runs it"
)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use oarlock_simulation::{Mutation, Report, simulate};

/// So many seeds run with every test run.
const SEEDS: u64 = 2_000;
/// A protection that is taken out is missed within so many.
const SOON: u64 = 200;

/// Where the seeds begin: somewhere else each time where a soak says so.
fn first_seed() -> u64 {
    let asked: u64 = std::env::var("OARLOCK_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    asked.wrapping_mul(SEEDS)
}

/// Runs seeds on all cores, until `enough` says so of one; the reports it said so of.
fn run(from: u64, count: u64, mutation: Mutation, enough: impl Fn(&Report) -> bool + Sync) -> Vec<Report> {
    let (next, found) = (AtomicU64::new(from), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while found.lock().unwrap().is_empty() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + count {
                        return;
                    }
                    let report = simulate(seed, mutation, false).unwrap();
                    if enough(&report) {
                        found.lock().unwrap().push(report);
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}

#[test]
fn whatever_fails_every_run_comes_to_what_it_must() {
    let wrong = run(first_seed(), SEEDS, Mutation::None, |report| report.wrong.is_some());
    if let Some(report) = wrong.first() {
        panic!("{}\n{}\n{report}", report.plan, report.trace.join("\n"));
    }
}

#[test]
fn a_seed_takes_the_same_course_again() {
    let courses = || (0..40).map(|seed| simulate(seed, Mutation::None, false).unwrap());
    let digests = |report: Report| (report.seed, report.lines, report.digest);
    let first: Vec<_> = courses().map(digests).collect();
    // On another thread, so that nothing of the first time is at hand.
    let again: Vec<_> =
        std::thread::scope(|scope| scope.spawn(|| courses().map(digests).collect()).join().unwrap());
    assert_eq!(first, again);
    assert!(first.windows(2).all(|pair| pair[0].2 != pair[1].2), "no two seeds are alike");
}

#[track_caller]
fn is_missed(mutation: Mutation) {
    let wrong = run(0, SOON, mutation, |report| report.wrong.is_some());
    let first = wrong.iter().min_by_key(|report| report.seed);
    let first = first.unwrap_or_else(|| panic!("{mutation:?} is not noticed within {SOON} seeds"));
    println!(
        "{mutation:?} is noticed by seed {}: {}",
        first.seed,
        first.wrong.as_deref().unwrap_or_default()
    );
}

#[test]
fn a_store_that_does_not_look_at_the_token_is_noticed() {
    is_missed(Mutation::NoToken);
}

#[test]
fn a_store_that_does_not_look_at_the_seq_is_noticed() {
    is_missed(Mutation::NoSeq);
}

#[test]
fn a_store_without_an_outbox_is_noticed() {
    is_missed(Mutation::NoOutbox);
}

#[test]
fn a_result_that_closes_whichever_attempt_is_open_is_noticed() {
    is_missed(Mutation::NoDuplicateCheck);
}
