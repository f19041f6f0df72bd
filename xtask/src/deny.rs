//! Checks the dependencies with cargo-deny by the rules in `deny.toml`: bans, licences and sources; advisories too where
//! their database is at hand. Called by `lint`; never fetches the database itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::steps::{self, cargo, say};

/// The release that is installed where there is none: a newer one may judge otherwise.
const VERSION: &str = "0.20.2";

/// Runs the checks, with a cargo-deny of its own where none is installed.
pub(crate) fn check(root: &Path) -> Result<()> {
    let program = program(root)?;
    let mut arguments = vec!["--locked", "check", "bans", "licenses", "sources"];
    if has_advisories() {
        arguments.splice(2..2, ["--disable-fetch", "advisories"]);
    } else {
        say("advisories are not checked: no database at hand (`cargo deny fetch db` brings it)");
    }
    let mut command = Command::new(program);
    steps::run(command.args(arguments).current_dir(root))
}

/// The cargo-deny that is installed, else one in `target/tools`, built once. Building it takes about four minutes of
/// one core as a release; without optimization it takes half of that and still checks in seconds.
fn program(root: &Path) -> Result<PathBuf> {
    let own = root.join("target/tools/bin/cargo-deny");
    for program in [PathBuf::from("cargo-deny"), own.clone()] {
        if steps::works(Command::new(&program).arg("--version")) {
            return Ok(program);
        }
    }
    say("cargo-deny is not installed: building it into target/tools, once");
    let mut install = cargo(root);
    install.args(["install", "cargo-deny", "--version", VERSION, "--locked", "--no-default-features"]);
    install.args(["--debug", "--config", "profile.dev.debug=false", "--root", "target/tools"]);
    // A build folder given for this workspace is not meant for a tool.
    steps::run(install.env_remove("CARGO_TARGET_DIR")).context("cannot build cargo-deny")?;
    Ok(own)
}

/// Whether `cargo deny fetch` has brought the advisory database to this machine.
fn has_advisories() -> bool {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    let databases = cargo_home.or(home).map(|cargo| cargo.join("advisory-dbs"));
    databases
        .and_then(|folder| std::fs::read_dir(folder).ok())
        .is_some_and(|mut entries| entries.next().is_some())
}
