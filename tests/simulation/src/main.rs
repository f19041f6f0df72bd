//! Runs seeds of the simulation and tells what it found: `cargo xtask simulate` calls it.

#![allow(clippy::print_stdout, reason = "telling is what it is for")]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use oarlock_simulation::{Mutation, Report, simulate};

const USAGE: &str = "oarlock-simulation --seed N | --seeds N [--minutes M] [--from SEED]";

/// What is to be run.
struct Wanted {
    from: u64,
    seeds: u64,
    minutes: Option<u64>,
    /// One seed, with all of its trace.
    alone: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(wanted) = read(&arguments) else {
        println!("{USAGE}");
        return ExitCode::from(2);
    };
    if wanted.alone {
        return one(wanted.from);
    }
    many(&wanted)
}

fn read(arguments: &[String]) -> Option<Wanted> {
    let mut wanted = Wanted { from: 0, seeds: 2_000, minutes: None, alone: false };
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { return None };
        let value: u64 = value.parse().ok()?;
        match name.as_str() {
            "--seed" => (wanted.from, wanted.alone) = (value, true),
            "--seeds" => wanted.seeds = value,
            "--minutes" => wanted.minutes = Some(value),
            "--from" => wanted.from = value,
            _ => return None,
        }
    }
    Some(wanted)
}

fn one(seed: u64) -> ExitCode {
    match simulate(seed, Mutation::None, true) {
        Ok(report) => {
            println!("{}\n{}", report.plan, report.trace.join("\n"));
            println!("{report}");
            if report.wrong.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            println!("seed {seed} cannot be run: {error}");
            ExitCode::from(2)
        }
    }
}

fn many(wanted: &Wanted) -> ExitCode {
    let (next, begun) = (AtomicU64::new(wanted.from), Instant::now());
    let until = wanted.minutes.map(|minutes| begun + Duration::from_secs(60 * minutes));
    let end = wanted.from.saturating_add(wanted.seeds);
    let (found, done) = (Mutex::new(Vec::<Report>::new()), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while until.is_none_or(|until| Instant::now() < until) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let Ok(report) = simulate(seed, Mutation::None, false) else { return };
                    done.fetch_add(1, Ordering::Relaxed);
                    if report.wrong.is_some() {
                        println!("{report}");
                        found.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(report);
                    }
                }
            });
        }
    });
    let found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (done, seconds) = (done.into_inner(), begun.elapsed().as_secs_f64());
    println!(
        "{done} seeds from {} in {seconds:.0} s ({:.0} a second), {} with something wrong",
        wanted.from,
        done as f64 / seconds,
        found.len()
    );
    if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
