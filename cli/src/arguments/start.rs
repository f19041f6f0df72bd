//! The arguments of `oarlock run` and `oarlock start`: what starts a run.

use std::path::PathBuf;

use clap::Args;
use oarlock_protocol::Span;

use super::Handlers;
use super::values::priority;

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The definition, YAML or JSON.
    pub(crate) file: PathBuf,
    /// The definitions of the workflows that it starts by `workflow` steps.
    #[arg(value_name = "CHILD")]
    pub(crate) children: Vec<PathBuf>,
    /// The input: JSON, or @FILE, or @- for stdin.
    #[arg(long, value_name = "JSON|@FILE")]
    pub(crate) input: Option<String>,
    /// How urgent the run is, 0 to 9, greater is sooner: the priority of its tasks whose steps name none, and of the runs that
    /// it starts. Without it they have 4.
    #[arg(long, value_name = "N", value_parser = priority)]
    pub(crate) priority: Option<u8>,
    /// Ends the run after this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) timeout: Option<Span>,
    #[command(flatten)]
    pub(crate) handlers: Handlers,
}

#[derive(Debug, Args)]
pub(crate) struct Start {
    /// The workflow's id.
    pub(crate) workflow: String,
    /// Its version; the newest where absent.
    #[arg(long = "workflow-version", value_name = "N")]
    pub(crate) version: Option<u32>,
    /// The input: JSON, or @FILE, or @- for stdin.
    #[arg(long, value_name = "JSON|@FILE")]
    pub(crate) input: Option<String>,
    /// Your name for the run: the same key starts one run, however often it is sent.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Your own mark of the run, handed to every task.
    #[arg(long, value_name = "ID")]
    pub(crate) correlation_id: Option<String>,
    /// How urgent the run is, 0 to 9, greater is sooner: the priority of its tasks whose steps name none, and of the runs that
    /// it starts. Without it they have 4.
    #[arg(long, value_name = "N", value_parser = priority)]
    pub(crate) priority: Option<u8>,
    /// Waits until the run has ended.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Waits no longer than this; then exit code 4.
    #[arg(long, value_name = "TIME", requires = "wait")]
    pub(crate) timeout: Option<Span>,
}
