//! `cargo xtask soak`: the long checks, again and again with other seeds, until the time is over.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::plan::Plan;
use crate::servers::Servers;
use crate::signals;
use crate::steps::{cargo, say};
use group::Ended;

mod group;
mod table;

pub(crate) const USUAL_MINUTES: u64 = 30;
/// More is no longer a check of an hour's work.
pub(crate) const MOST_MINUTES: u64 = 35;
/// A check that takes longer hangs: the slowest takes three minutes on two busy cores.
const LONGEST: Duration = Duration::from_secs(10 * 60);
/// So much of what a failed check has written is shown; its file has all of it.
const SHOWN_LINES: usize = 40;

/// One of the long checks: tests that are run with a seed of their own each time.
struct Check {
    name: &'static str,
    /// What cargo is told after `test --workspace --locked`.
    arguments: &'static [&'static str],
    /// So many cases of each property; none where the tests are no properties.
    cases: Option<u32>,
    needs_servers: bool,
    /// How long it takes, before that is known.
    expected: Duration,
}

/// Each takes a minute or two, so that all have had their turns after five.
const CHECKS: &[Check] = &[
    Check {
        name: "random workflows",
        arguments: &["--lib", "--", "decide::tests::random"],
        cases: Some(2_000),
        needs_servers: false,
        expected: Duration::from_secs(60),
    },
    Check {
        name: "simulation",
        arguments: &["--test", "simulation", "--", "whatever_fails"],
        cases: None,
        needs_servers: false,
        expected: Duration::from_secs(120),
    },
    Check {
        name: "any definition",
        arguments: &["--test", "never_panics", "--test", "generated"],
        cases: Some(20_000),
        needs_servers: false,
        expected: Duration::from_secs(60),
    },
    Check {
        name: "any expression",
        arguments: &["--lib", "--", "tests::properties"],
        cases: Some(50_000),
        needs_servers: false,
        expected: Duration::from_secs(30),
    },
    Check {
        name: "any schema",
        arguments: &["--lib", "--", "filling_twice", "a_schema_judges", "any_value_as_a_schema"],
        cases: Some(10_000),
        needs_servers: false,
        expected: Duration::from_secs(30),
    },
    Check {
        name: "end to end",
        arguments: &["--test", "end_to_end"],
        cases: None,
        needs_servers: true,
        expected: Duration::from_secs(120),
    },
    Check {
        name: "chaos",
        arguments: &["--test", "fleet", "--", "chaos"],
        cases: None,
        // It starts clusters of its own.
        needs_servers: false,
        expected: Duration::from_secs(150),
    },
];

/// What came of a check so far.
#[derive(Default)]
struct Tally {
    rounds: u64,
    tests: u64,
    took: Duration,
    longest: Duration,
    /// The seeds it failed with, and why.
    failed: Vec<(u64, String)>,
}

/// Runs the checks in turn until the time is over; returns whether none failed.
pub(crate) fn run(root: &Path, plan: &Plan) -> bool {
    let begun = Instant::now();
    let until = begun + Duration::from_secs(plan.minutes * 60);
    say(&format!("== soak: {} minutes, seeds from {}", plan.minutes, plan.seed));
    let mut tallies: Vec<Tally> = CHECKS.iter().map(|_| Tally::default()).collect();
    let prepared = prepare(root, until).and_then(|servers| rounds(root, plan, &servers, until, &mut tallies));
    if let Err(error) = &prepared {
        say(&format!("== soak FAILED: {error:#}"));
    }
    table::print(CHECKS, &tallies);
    let rounds: u64 = tallies.iter().map(|tally| tally.rounds).sum();
    let failed: Vec<_> = CHECKS.iter().zip(&tallies).filter(|(_, tally)| !tally.failed.is_empty()).collect();
    let names: Vec<&str> = failed.iter().map(|(check, _)| check.name).collect();
    let verdict = match (prepared.is_ok(), names.as_slice()) {
        (true, []) => "ok".to_owned(),
        (false, []) => "FAILED".to_owned(),
        (_, names) => format!("FAILED: {}", names.join(", ")),
    };
    say(&format!("xtask soak: {verdict}, {rounds} checks, {} s", begun.elapsed().as_secs()));
    prepared.is_ok() && names.is_empty()
}

/// Starts the servers, and builds what the checks run, so that the time of a check is its own.
fn prepare(root: &Path, until: Instant) -> Result<Servers> {
    fs::create_dir_all(folder(root))?;
    let servers = Servers::find_or_start(root)?;
    say("== soak: building the tests");
    let log = folder(root).join("build.log");
    let mut command = cargo(root);
    command.args(["test", "--workspace", "--locked", "--no-run"]);
    match group::run(write_to(&mut command, &log)?, until)? {
        Ended::Passed => Ok(servers),
        ended => bail!("the tests cannot be built ({ended}):\n{}", last_lines(&log)),
    }
}

fn rounds(root: &Path, plan: &Plan, servers: &Servers, until: Instant, tallies: &mut [Tally]) -> Result<()> {
    for seed in plan.seed.. {
        let before: u64 = tallies.iter().map(|tally| tally.rounds).sum();
        for (check, tally) in CHECKS.iter().zip(tallies.iter_mut()) {
            let expected = if tally.rounds == 0 { check.expected } else { tally.longest };
            if Instant::now() + expected > until {
                continue;
            }
            let begun = Instant::now();
            let Some(outcome) = once(root, check, seed, servers, until)? else { continue };
            tally.rounds += 1;
            tally.took += begun.elapsed();
            tally.longest = tally.longest.max(begun.elapsed());
            let told = match &outcome {
                Ok(tests) => format!("ok, {tests} tests"),
                Err(why) => format!("FAILED: {why}"),
            };
            say(&format!("== soak {}, seed {seed}: {told} ({} s)", check.name, begun.elapsed().as_secs()));
            match outcome {
                Ok(tests) => tally.tests += tests,
                Err(why) => tally.failed.push((seed, why)),
            }
        }
        let after: u64 = tallies.iter().map(|tally| tally.rounds).sum();
        if after == before {
            ensure!(after > 0, "the time was over before anything could be checked; give it more --minutes");
            break;
        }
    }
    Ok(())
}

/// How many tests passed, or why the check failed; nothing where the time was over before.
fn once(
    root: &Path,
    check: &Check,
    seed: u64,
    servers: &Servers,
    until: Instant,
) -> Result<Option<Result<u64, String>>> {
    let log = folder(root).join(format!("{}-{seed}.log", check.name.replace(' ', "-")));
    let mut command = cargo(root);
    command.args(["test", "--workspace", "--locked"]).args(check.arguments);
    command.env("PROPTEST_RNG_SEED", seed.to_string()).env("OARLOCK_TEST_SEED", seed.to_string());
    if let Some(cases) = check.cases {
        command.env("PROPTEST_CASES", cases.to_string());
    }
    if check.needs_servers {
        command.envs(servers.variables());
    }
    let limit = Instant::now() + LONGEST;
    let ended = group::run(write_to(&mut command, &log)?, limit.min(until))?;
    if let Some(signal) = signals::received() {
        bail!("interrupted by signal {signal}");
    }
    let tests = passed(&fs::read_to_string(&log).unwrap_or_default());
    let why = match ended {
        Ended::Passed if tests > 0 => {
            fs::remove_file(&log).ok();
            return Ok(Some(Ok(tests)));
        }
        Ended::TimeOver if limit > until => return Ok(None),
        Ended::Passed => "no test of that name ran".to_owned(),
        Ended::TimeOver | Ended::Failed(_) => format!("{ended}, see {}", log.display()),
    };
    say(&format!("{}\n   again: {}", last_lines(&log), again(check, seed)));
    Ok(Some(Err(why)))
}

/// The command line that does the same again; the servers have to be there, by `cargo xtask up`.
fn again(check: &Check, seed: u64) -> String {
    let cases = check.cases.map(|cases| format!("PROPTEST_CASES={cases} ")).unwrap_or_default();
    let seeds = format!("PROPTEST_RNG_SEED={seed} OARLOCK_TEST_SEED={seed}");
    format!("{cases}{seeds} cargo test --workspace --locked {}", check.arguments.join(" "))
}

/// Where the output of checks goes.
fn folder(root: &Path) -> PathBuf {
    root.join("target/soak")
}

fn write_to<'c>(command: &'c mut Command, log: &Path) -> Result<&'c mut Command> {
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let errors = file.try_clone()?;
    Ok(command.stdout(Stdio::from(file)).stderr(Stdio::from(errors)))
}

/// How many tests passed, as cargo tells it of each binary: `test result: ok. 3 passed; …`.
fn passed(output: &str) -> u64 {
    let results = output.lines().filter_map(|line| line.strip_prefix("test result: ok. "));
    results.filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok()).sum()
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_that_passed_are_counted_over_all_binaries() {
        let output =
            "running 2 tests\ntest result: ok. 2 passed; 0 failed\n\ntest result: ok. 40 passed; 0 failed\n";
        assert_eq!(passed(output), 42);
        assert_eq!(passed("test result: FAILED. 1 passed; 1 failed"), 0);
    }
}
