//! `cargo xtask`: the project's own chores. `.ci/run` calls it.

use std::path::Path;
use std::process::ExitCode;

mod deny;
mod install;
mod lint;
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
         orchestrators that come and go; prints what ran, how often, and what failed with which seed

  simulate --seed N
         orchestrators, workers, broker and store in one process under seeded time, chance and faults: one seed, with its faults,
         its workflows and all that happens; the same seed does the same again
  simulate [--seeds N] [--minutes M] [--from SEED]
         so many seeds on all cores (2000 where absent), at most so long; prints each seed that finds something wrong

test, soak and up need RabbitMQ, Redis and a python3 with pika. They take what is installed, else Docker for the servers, else
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
        ["soak", arguments @ ..] => match soak::Plan::read(arguments) {
            Ok(plan) => soak::run(root(), &plan),
            Err(wrong) => {
                steps::say(&format!("{wrong:#}\n\n{HELP}"));
                return ExitCode::from(2);
            }
        },
        unknown => {
            steps::say(&format!("there is no chore '{}'\n\n{HELP}", unknown.join(" ")));
            return ExitCode::from(2);
        }
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The folder of the workspace: the one above this crate's.
fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}
