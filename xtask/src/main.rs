//! `cargo xtask`: the project's own chores. `.ci/run` calls it.

use std::path::Path;
use std::process::ExitCode;

use plan::Plan;

mod bench;
mod chaos;
mod deny;
mod install;
mod lint;
mod plan;
mod servers;
mod signals;
mod simulate;
mod soak;
mod steps;
mod test;
mod up;

const HELP: &str = "\
cargo xtask <CHORE>

  lint   format, clippy, documentation, and what the dependencies may be; changes nothing
  test   every test of the workspace, its documentation examples, and that the fuzz targets compile
  up     the servers of the tests, for work by hand, until Ctrl-C; prints their addresses
  soak [--minutes N] [--seed N]
         the long checks again and again, each time with another seed, for 30 minutes (at most 35), building included:
         random workflows, the simulation, any text as definition, expression and schema, the tests end to end over the servers, and
         a minute of chaos; prints what ran, how often, and what failed with which seed
  simulate --seed N
         orchestrators, workers, broker and store in one process under seeded time, chance and faults: one seed, with its faults,
         its workflows and all that happens; the same seed does the same again
  simulate [--seeds N] [--minutes M] [--from SEED]
         so many seeds on all cores (2000 where absent), at most so long; prints each seed that finds something wrong
  chaos [--seed N] [--minutes N]
         three RabbitMQ nodes, a Redis Cluster of three, three orchestrators and four workers, which are killed, stopped, restarted
         and cut off for 10 minutes (at most 60) under a steady load of runs of many kinds; prints a table of the faults and of the runs
         accepted, completed, lost and duplicated. test runs a minute of it
  bench [ARGUMENTS OF oarlock bench]
         how fast a release build is, beside what its broker alone can do; over a RabbitMQ and a Redis of its own

test, soak and up need RabbitMQ, Redis and a python3 with pika, chaos the first two. They take what is installed, else Docker for the servers, else
install Debian's packages where they run as root, else say what to install. They start private servers on free ports of
127.0.0.1 and stop them at the end. test and soak use those of a running up.

Each chore runs all its steps, tells what failed in its last line, and exits with 1 then.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    signals::watch();
    let passed = match arguments.as_slice() {
        [] | ["--help" | "-h" | "help"] => {
            steps::say(HELP);
            return ExitCode::SUCCESS;
        }
        ["lint"] => lint::run(root()),
        ["test"] => test::run(root()),
        ["simulate", arguments @ ..] => simulate::run(root(), arguments),
        ["up"] => up::run(root()),
        ["bench", arguments @ ..] => bench::run(root(), arguments),
        ["soak", arguments @ ..] => {
            match Plan::read("soak", arguments, soak::USUAL_MINUTES, soak::MOST_MINUTES) {
                Ok(plan) => soak::run(root(), &plan),
                Err(wrong) => return wrong_arguments(&wrong),
            }
        }
        ["chaos", arguments @ ..] => {
            match Plan::read("chaos", arguments, chaos::USUAL_MINUTES, chaos::MOST_MINUTES) {
                Ok(plan) => chaos::run(root(), &plan),
                Err(wrong) => return wrong_arguments(&wrong),
            }
        }
        unknown => {
            steps::say(&format!("there is no chore '{}'\n\n{HELP}", unknown.join(" ")));
            return ExitCode::from(2);
        }
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn wrong_arguments(wrong: &anyhow::Error) -> ExitCode {
    steps::say(&format!("{wrong:#}\n\n{HELP}"));
    ExitCode::from(2)
}

/// The folder of the workspace: the one above this crate's.
fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}
