//! The arguments by which a worker gets its handlers, of every command that begins one.

use std::path::PathBuf;

use clap::Args;

/// Where a worker's handlers come from.
#[derive(Debug, Args)]
pub(crate) struct Handlers {
    /// The worker's settings; worker.toml beside the definition where absent.
    #[arg(long, value_name = "FILE")]
    pub(crate) worker: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) over: Over,
}

/// What is given beside a worker's settings, and holds before them.
#[derive(Debug, Args)]
pub(crate) struct Over {
    /// Executes a task by a command: input JSON on stdin, output JSON on stdout (may be repeated).
    #[arg(long = "exec", value_name = "NAME='COMMAND'")]
    pub(crate) exec: Vec<String>,
    /// How many tasks a worker does at once, instead of its settings.
    #[arg(long, value_name = "N")]
    pub(crate) slots: Option<usize>,
    #[command(flatten)]
    pub(crate) secrets: Secrets,
}

/// Where a worker finds the values of secrets.
#[derive(Debug, Args)]
pub(crate) struct Secrets {
    /// The folder of the secrets that inputs name: a file for each, named like it, read anew for each task. Where it has
    /// none, the environment variable `OARLOCK_SECRET_<NAME>`.
    #[arg(long = "secrets", value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
}
