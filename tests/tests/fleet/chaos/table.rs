//! The table that the chaos prints.

use std::collections::BTreeMap;

use oarlock_protocol::Timestamp;

use super::super::evidence::time;
use super::faults::{Fault, Kind};
use super::follow::Outcome;
use super::verdict::Verdict;

/// What is printed beside what was found.
pub(super) struct Circumstances {
    pub(super) seed: u64,
    pub(super) minutes: u64,
    pub(super) retries: usize,
}

pub(super) fn print(around: &Circumstances, faults: &[Fault], outcome: &Outcome, verdict: &Verdict) {
    row("seed", around.seed);
    row("minutes of load", around.minutes);
    row("faults", faults.len());
    let mut kinds: BTreeMap<(&str, Kind), usize> = BTreeMap::new();
    faults.iter().for_each(|fault| *kinds.entry((fault.of, fault.kind)).or_default() += 1);
    kinds.iter().for_each(|((of, kind), count)| row(&format!("  {of} {}", word(*kind)), count));
    row("accepted", outcome.ended.len() + outcome.lost.len());
    for (name, status) in
        [("completed", "COMPLETED"), ("failed, as meant", "FAILED"), ("cancelled, as meant", "CANCELLED")]
    {
        row(name, outcome.ended.iter().filter(|ended| ended.run["status"] == status).count());
    }
    row("lost", outcome.lost.len());
    row("duplicated calls", verdict.duplicated);
    row("most calls of one attempt", verdict.most_calls);
    row("tasks called", verdict.tasks);
    row("attempts called", verdict.attempts);
    row("calls", verdict.attempts + verdict.duplicated);
    row("runs of other runs", outcome.ended.iter().map(|ended| ended.children.len()).sum::<usize>());
    row("runs that were looked at twice", outcome.ended.iter().filter(|ended| ended.again).count());
    row("starts asked again", around.retries);
    let asked = outcome.ended.iter().map(|ended| ended.asked).max().unwrap_or_default();
    row("longest until a start was accepted", format!("{:.1} s", asked.as_secs_f64()));
    let healed = faults.iter().map(|fault| fault.to).max();
    let last = outcome.ended.iter().filter_map(|ended| time(&ended.run, "endTime")).max();
    row("from the last heal to the last end", format!("{:.1} s", seconds(healed, last)));
    row("not as it should be", verdict.wrong.len());
}

/// From one to the other; nothing where the other was earlier.
fn seconds(from: Option<Timestamp>, to: Option<Timestamp>) -> f64 {
    let span = from.zip(to).filter(|(from, to)| to > from).map(|(from, to)| to.since(from).into());
    span.unwrap_or(std::time::Duration::ZERO).as_secs_f64()
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Killed => "killed",
        Kind::Restarted => "restarted",
        Kind::Stopped => "stopped",
        Kind::CutOff => "cut off",
        Kind::Silenced => "silenced",
    }
}

fn row(name: &str, value: impl ToString) {
    println!("{name:<40} {:>10}", value.to_string());
}
