//! What ran, how often, and what failed with which seed.

use super::{Check, Tally};
use crate::steps::say;

/// Prints a line for each check, and one below it for each seed it failed with.
pub(super) fn print(checks: &[Check], tallies: &[Tally]) {
    for line in lines(checks, tallies) {
        say(&line);
    }
}

fn lines(checks: &[Check], tallies: &[Tally]) -> Vec<String> {
    let header = ["check", "times", "cases", "tests", "seconds", "failed"];
    let mut lines = vec![row(header.map(str::to_owned))];
    for (check, tally) in checks.iter().zip(tallies) {
        let cases =
            check.cases.map_or_else(|| "-".to_owned(), |cases| (u64::from(cases) * tally.rounds).to_string());
        lines.push(row([
            check.name.to_owned(),
            tally.rounds.to_string(),
            cases,
            tally.tests.to_string(),
            tally.took.as_secs().to_string(),
            tally.failed.len().to_string(),
        ]));
        lines.extend(tally.failed.iter().map(|(seed, why)| format!("   seed {seed}: {why}")));
    }
    lines
}

fn row([name, times, cases, tests, seconds, failed]: [String; 6]) -> String {
    format!("{name:<20} {times:>6} {cases:>10} {tests:>8} {seconds:>8} {failed:>7}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_failure_is_told_with_its_seed() {
        let check = |name, cases| Check {
            name,
            arguments: &[],
            cases,
            needs_servers: false,
            expected: Duration::ZERO,
        };
        let failed =
            Tally { rounds: 2, failed: vec![(7, "exit status: 101".to_owned())], ..Tally::default() };
        let lines = lines(
            &[check("good", Some(100)), check("bad", None)],
            &[Tally { rounds: 3, ..Tally::default() }, failed],
        );
        assert!(lines[1].starts_with("good ") && lines[1].contains(" 300 "), "{lines:#?}");
        assert!(lines[2].starts_with("bad ") && lines[2].ends_with(" 1"), "{lines:#?}");
        assert_eq!(lines[3], "   seed 7: exit status: 101");
    }
}
