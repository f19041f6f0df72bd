//! The arguments of `oarlock pause` and `oarlock resume`.

use clap::Args;
use oarlock_protocol::RunId;

use super::values::run_id;

#[derive(Debug, Args)]
pub(crate) struct Pause {
    #[command(flatten)]
    pub(crate) subject: Subject,
    /// Why a queue or definition is paused, for people.
    #[arg(long, conflicts_with = "run")]
    pub(crate) reason: Option<String>,
}

/// What is paused or resumed.
#[derive(Debug, Args)]
#[group(required = true, multiple = false, id = "subject")]
pub(crate) struct Subject {
    /// The run's id.
    #[arg(value_parser = run_id)]
    pub(crate) run: Option<RunId>,
    /// A task queue, for all tenants.
    #[arg(long)]
    pub(crate) queue: Option<String>,
    /// A task definition of this tenant, in whatever workflow.
    #[arg(long)]
    pub(crate) task: Option<String>,
    /// A workflow of this tenant, in all versions.
    #[arg(long)]
    pub(crate) workflow: Option<String>,
}
