//! Runs a command with all the processes it starts, and ends all of them when the time is over.

use std::fmt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::signals;

/// How often it looks whether the command has ended.
const PAUSE: Duration = Duration::from_millis(100);
/// How long processes may take to end when they are told to; then they are killed.
const GRACE: Duration = Duration::from_secs(5);

/// How a command ended.
pub(super) enum Ended {
    Passed,
    Failed(ExitStatus),
    /// It was ended, because the time was over or this program was told to end.
    TimeOver,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Failed(status) => write!(f, "{status}"),
            Self::TimeOver => f.write_str("it did not end in time"),
        }
    }
}

/// Runs a command in a process group of its own, at most until that instant.
pub(super) fn run(command: &mut Command, until: Instant) -> Result<Ended> {
    let mut child = command.process_group(0).spawn().context("cannot run cargo")?;
    let group = child.id();
    let mut told_at = None;
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for cargo")? {
            // What it has started and left behind goes too.
            signals::kill_group(group);
            return Ok(match (told_at, status.success()) {
                (Some(_), _) => Ended::TimeOver,
                (None, true) => Ended::Passed,
                (None, false) => Ended::Failed(status),
            });
        }
        let over = Instant::now() >= until || signals::received().is_some();
        match told_at {
            None if over => {
                signals::end_group(group);
                told_at = Some(Instant::now());
            }
            Some(at) if at.elapsed() >= GRACE => signals::kill_group(group),
            None | Some(_) => {}
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_end_is_ended_with_all_it_has_started() {
        let begun = Instant::now();
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & sleep 600"]);
        let ended = run(&mut command, begun + Duration::from_millis(200)).unwrap();
        assert!(matches!(ended, Ended::TimeOver) && begun.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn what_ends_by_itself_passed_or_failed() {
        let until = Instant::now() + Duration::from_secs(600);
        assert!(matches!(run(&mut Command::new("true"), until).unwrap(), Ended::Passed));
        assert!(matches!(run(&mut Command::new("false"), until).unwrap(), Ended::Failed(_)));
    }
}
