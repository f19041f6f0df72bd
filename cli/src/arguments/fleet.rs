//! The arguments of the processes of a fleet: `oarlock orchestrator`, `oarlock worker`, and `oarlock fleet`, which keeps several workers.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use oarlock_protocol::Span;

use super::Over;

/// The most workers that one `fleet` keeps: each is a process with a connection of its own.
const MOST_WORKERS: i64 = 1_000;

/// `oarlock orchestrator`.
#[derive(Debug, Args)]
pub(crate) struct Orchestrator {
    /// Definitions to register, once the fleet takes them.
    pub(crate) files: Vec<PathBuf>,
    /// Where to listen for HTTP.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Checks settings and definitions, shows what would be used, and connects to nothing.
    #[arg(long)]
    pub(crate) check: bool,
}

/// `oarlock worker`.
#[derive(Debug, Args)]
pub(crate) struct Worker {
    #[command(flatten)]
    pub(crate) over: Over,
    /// How long tasks may run on after SIGTERM, instead of the settings.
    #[arg(long, value_name = "TIME")]
    pub(crate) grace: Option<Span>,
    /// Where to answer /healthz and /readyz; nowhere where absent.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) http_health: Option<SocketAddr>,
    /// Checks the settings, shows what would be used, and connects to nothing.
    #[arg(long)]
    pub(crate) check: bool,
    /// For the process that keeps it, such as `fleet`: tells on stdout how many attempts it holds, a JSON line at each change; the line
    /// `end TIME` on stdin lets it take no more and end what it holds within that time, and the end of stdin is as SIGTERM.
    #[arg(long)]
    pub(crate) kept: bool,
}

/// `oarlock fleet`.
#[derive(Debug, Args)]
pub(crate) struct Fleet {
    /// The settings of the workers, as of `oarlock worker`; worker.toml here where absent.
    #[arg(long, value_name = "FILE")]
    pub(crate) worker: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) over: Over,
    /// The fewest workers; may be 0.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=MOST_WORKERS))]
    pub(crate) min: u32,
    /// The most workers.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(0..=MOST_WORKERS))]
    pub(crate) max: u32,
    /// Asks how many workers this queue wants, not all queues of the workers' tasks; of several the one that wants the most
    /// counts (may be repeated).
    #[arg(long = "queue", value_name = "NAME")]
    pub(crate) queues: Vec<String>,
    /// How long a worker may take to end what it holds once fewer are wanted.
    #[arg(long, value_name = "TIME", default_value = "1d")]
    pub(crate) finish: Span,
    /// How long tasks may run on after SIGTERM, instead of the settings.
    #[arg(long, value_name = "TIME")]
    pub(crate) grace: Option<Span>,
}
