//! `cargo xtask`: the project's own chores. Needs nothing but cargo; `.ci/run` calls it.

use std::path::Path;
use std::process::ExitCode;

mod deny;
mod lint;
mod steps;
mod test;

const HELP: &str = "\
cargo xtask <CHORE>

  lint   format, clippy, documentation, and what the dependencies may be; changes nothing
  test   every test of the workspace, its documentation examples, and that the fuzz targets compile

Each chore runs all its steps, tells what failed in its last line, and exits with 1 then.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let passed = match arguments.as_slice() {
        [] | ["--help" | "-h" | "help"] => {
            steps::say(HELP);
            return ExitCode::SUCCESS;
        }
        ["lint"] => lint::run(root()),
        ["test"] => test::run(root()),
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
