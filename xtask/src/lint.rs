//! `cargo xtask lint`: what a program can check of style, safety and dependencies.

use std::path::Path;

use crate::deny;
use crate::steps::{self, Steps, cargo};

/// Runs every check; returns whether all passed.
pub(crate) fn run(root: &Path) -> bool {
    let mut steps = Steps::new("lint");
    steps.step("fmt", || steps::run(cargo(root).args(["fmt", "--all", "--check"])));
    steps.step("clippy", || {
        let all = ["clippy", "--workspace", "--all-targets", "--locked", "--keep-going"];
        steps::run(cargo(root).args(all).args(["--", "-D", "warnings"]))
    });
    steps.step("doc", || {
        let all = ["doc", "--workspace", "--no-deps", "--locked", "--keep-going"];
        steps::run(cargo(root).args(all).env("RUSTDOCFLAGS", "-D warnings"))
    });
    steps.step("deny", || deny::check(root));
    steps.finish()
}
