//! `cargo xtask test`: every test there is. None needs a server.

use std::path::Path;

use anyhow::Result;

use crate::steps::{self, Steps, cargo, say};

/// Runs every test; returns whether all passed.
pub(crate) fn run(root: &Path) -> bool {
    let mut steps = Steps::new("test");
    steps.step("tests", || tests(root));
    steps.step("examples in the documentation", || {
        steps::run(cargo(root).args(["test", "--workspace", "--locked", "--doc"]))
    });
    if root.join("fuzz/Cargo.toml").is_file() {
        steps.step("fuzz targets compile", || fuzz(root));
    }
    steps.finish()
}

/// With nextest, where it is installed: it runs the tests of all crates side by side. Else with cargo itself.
fn tests(root: &Path) -> Result<()> {
    let nextest = ["nextest", "run", "--workspace", "--locked", "--no-fail-fast", "--show-progress=none"];
    let plain = ["test", "--workspace", "--locked", "--no-fail-fast", "--lib", "--bins", "--tests"];
    if steps::works(cargo(root).args(["nextest", "--version"])) {
        return steps::run(cargo(root).args(nextest));
    }
    say("cargo-nextest is not installed: the tests run with cargo, one crate after the other");
    steps::run(cargo(root).args(plain))
}

/// The fuzz targets stand outside the workspace: checked in its target folder, so that crates built for the tests serve.
fn fuzz(root: &Path) -> Result<()> {
    let check = ["check", "--locked", "--manifest-path", "fuzz/Cargo.toml", "--target-dir", "target/fuzz"];
    steps::run(cargo(root).args(check))
}
