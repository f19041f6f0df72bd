//! `cargo xtask chaos`: a whole system on this machine whose parts fail in turn, for as long as asked.
//!
//! The test is `tests/tests/fleet/chaos.rs`, of which `cargo xtask test` runs one minute.

use std::path::Path;

use anyhow::{Context, Result};
use oarlock_test_servers::containers;

use crate::install;
use crate::plan::Plan;
use crate::steps::{self, Steps, cargo, say};

pub(crate) const USUAL_MINUTES: u64 = 10;
/// More is `soak`'s: other seeds find more than longer runs.
pub(crate) const MOST_MINUTES: u64 = 60;

/// Builds and runs it; returns whether all went well.
pub(crate) fn run(root: &Path, plan: &Plan) -> bool {
    let mut steps = Steps::new("chaos");
    let mut label = None;
    steps.step("servers", || {
        label = install::servers()?.then(|| std::process::id().to_string());
        Ok(())
    });
    let packages = ["--workspace", "--locked"];
    steps.step("build", || {
        steps::run(cargo(root).arg("build").args(packages).args(["--bin", "oarlock", "--test", "fleet"]))
    });
    steps.step("all parts fail", || fail(root, plan, &packages, label.as_deref()));
    if let Some(label) = &label {
        install::remove_containers(label);
    }
    steps.finish()
}

/// Runs the test with the seed. What it prints is the table; where it fails all logs are kept.
fn fail(root: &Path, plan: &Plan, packages: &[&str], label: Option<&str>) -> Result<()> {
    let Plan { minutes, seed } = plan;
    let again = format!("cargo xtask chaos --seed {seed} --minutes {minutes}");
    say(&format!("== {again}"));
    let mut command = cargo(root);
    command.arg("test").args(packages).args(["--test", "fleet", "--", "chaos", "--nocapture"]);
    command.env("OARLOCK_TEST_SEED", seed.to_string()).env("OARLOCK_TEST_MINUTES", minutes.to_string());
    command.env("OARLOCK_TEST_KEEP", "1").envs(label.map(|label| (containers::LABEL, label)));
    steps::run(&mut command).with_context(|| format!("again: {again}"))
}
