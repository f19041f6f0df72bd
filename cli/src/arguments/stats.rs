//! The arguments of `oarlock stats`.

use clap::{Args, ValueEnum};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Of {
    /// Attempts, by task definition.
    Tasks,
    /// Runs, by workflow.
    Workflows,
}

#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// Of what.
    #[arg(value_enum, default_value_t = Of::Tasks)]
    pub(crate) of: Of,
    /// Only of this task definition or workflow.
    #[arg(long, value_name = "ID")]
    pub(crate) only: Option<String>,
    /// Of so many hours: the one at hand and those before it.
    #[arg(long, value_name = "N", default_value_t = 24)]
    pub(crate) hours: u32,
}
