//! The arguments of `oarlock schedule`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Schedule {
    /// Registers schedules, or replaces them; whether one is paused stays.
    Apply {
        /// The schedules, YAML or JSON (docs/schedules.md); - for stdin.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Lists the schedules of the tenant, with their next due times.
    List,
    /// Shows one: its next due times, its last run, what was skipped and missed.
    Get(ScheduleName),
    /// Lets nothing become due until it is resumed; runs that it has started go on.
    Pause {
        #[command(flatten)]
        name: ScheduleName,
        /// Why, for people.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Lets runs become due again, from now on.
    Resume(ScheduleName),
    /// Removes it; runs that it has started go on.
    Delete(ScheduleName),
    /// Starts a run now, paused or not.
    Trigger {
        #[command(flatten)]
        name: ScheduleName,
        /// Your name for the run: the same key starts one run, however often it is sent.
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
}

/// Which schedule.
#[derive(Debug, Args)]
pub(crate) struct ScheduleName {
    /// The schedule's id.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}
