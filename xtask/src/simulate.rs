//! `cargo xtask simulate`: runs seeds of the simulation, one with all of its trace, or many.

use std::path::Path;

use crate::steps::{self, cargo, say};

/// Builds the simulation and hands it what is asked for; whether nothing was found to be wrong.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> bool {
    let mut command = cargo(root);
    // As the tests build it: building all of it optimized takes longer than the thousands of seeds that it would win.
    command.args(["run", "--quiet", "--locked", "--package", "oarlock-simulation", "--"]);
    match steps::run(command.args(arguments)) {
        Ok(()) => true,
        Err(error) => {
            say(&format!("xtask simulate: FAILED: {error:#}"));
            false
        }
    }
}
