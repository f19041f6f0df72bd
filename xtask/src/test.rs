//! `cargo xtask test`: every test there is, with the servers they share.

use std::path::Path;

use anyhow::Result;

use crate::servers::Servers;
use crate::steps::{self, Steps, cargo, say};

/// Runs every test; returns whether all passed.
pub(crate) fn run(root: &Path) -> bool {
    let mut steps = Steps::new("test");
    let mut servers = None;
    steps.step("servers", || Servers::find_or_start(root).map(|started| servers = Some(started)));
    // Without servers the tests that need none still tell something.
    let variables = servers.as_ref().map(Servers::variables).unwrap_or_default();
    steps.step("tests", || tests(root, &variables));
    // Before anything that only compiles.
    drop(servers);
    steps.step("examples in the documentation", || {
        steps::run(cargo(root).args(["test", "--workspace", "--locked", "--doc"]))
    });
    if root.join("fuzz/Cargo.toml").is_file() {
        steps.step("fuzz targets compile", || fuzz(root));
    }
    steps.finish()
}

/// With nextest, where it is installed: it runs the tests of all crates side by side. Else with cargo itself.
fn tests(root: &Path, variables: &[(&str, String)]) -> Result<()> {
    let nextest = ["nextest", "run", "--workspace", "--locked", "--no-fail-fast", "--show-progress=none"];
    let plain = ["test", "--workspace", "--locked", "--no-fail-fast", "--lib", "--bins", "--tests"];
    if steps::works(cargo(root).args(["nextest", "--version"])) {
        return steps::run(cargo(root).args(nextest).envs(variables.iter().cloned()));
    }
    say("cargo-nextest is not installed: the tests run with cargo, one crate after the other");
    steps::run(cargo(root).args(plain).envs(variables.iter().cloned()))
}

/// The fuzz targets stand outside the workspace: checked in its target folder, so that crates built for the tests serve.
fn fuzz(root: &Path) -> Result<()> {
    let check = ["check", "--locked", "--manifest-path", "fuzz/Cargo.toml", "--target-dir", "target/fuzz"];
    steps::run(cargo(root).args(check))
}
