//! Runs the steps of a chore one after the other, tells what each does, and sums up in one line.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::signals;

/// The steps of one chore and how they went.
pub(crate) struct Steps {
    chore: &'static str,
    begun: Instant,
    passed: usize,
    failed: Vec<&'static str>,
}

impl Steps {
    /// A chore before its first step.
    pub(crate) fn new(chore: &'static str) -> Self {
        Self { chore, begun: Instant::now(), passed: 0, failed: Vec::new() }
    }

    /// Runs one step. A failure is told at once and again in the last line; the other steps still run.
    pub(crate) fn step(&mut self, name: &'static str, run: impl FnOnce() -> Result<()>) {
        if signals::received().is_some() {
            if self.failed.last() != Some(&"interrupted") {
                self.failed.push("interrupted");
            }
            return;
        }
        let begun = Instant::now();
        say(&format!("== {} {name}", self.chore));
        match run() {
            Ok(()) => {
                self.passed += 1;
                say(&format!("== {} {name}: ok ({} s)", self.chore, begun.elapsed().as_secs()));
            }
            Err(error) => {
                self.failed.push(name);
                say(&format!("== {} {name}: FAILED: {error:#}", self.chore));
            }
        }
    }

    /// Prints the closing line, such as `xtask lint: ok, 4 steps, 83 s`. Returns whether every step passed.
    pub(crate) fn finish(self) -> bool {
        let seconds = self.begun.elapsed().as_secs();
        let verdict = match self.failed.as_slice() {
            [] => format!("ok, {} steps", self.passed),
            failed => format!("FAILED: {}", failed.join(", ")),
        };
        say(&format!("xtask {}: {verdict}, {seconds} s", self.chore));
        self.failed.is_empty()
    }
}

/// The cargo that runs this program, in the folder of the workspace and without input.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).stdin(Stdio::null());
    command
}

/// Prints a command, runs it, and fails unless it exits with 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    let line = format!("{} {}", command.get_program().to_string_lossy(), arguments.join(" "));
    say(&format!("$ {line}"));
    let mut child = command.spawn().with_context(|| format!("cannot run {line}"))?;
    signals::pass_to(child.id());
    let status = child.wait();
    signals::pass_to(0);
    let status = status.with_context(|| format!("cannot wait for {line}"))?;
    ensure!(status.success(), "{status}");
    Ok(())
}

/// Whether a command runs and exits with 0; it prints nothing.
pub(crate) fn works(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Prints a line.
#[allow(clippy::print_stdout, reason = "this program's output is for whoever runs it")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
