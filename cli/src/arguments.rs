//! The arguments of the command.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::{RunId, Span};

/// Runs workflows on a fleet of workers, or all in one process.
#[derive(Debug, Parser)]
#[command(name = "oarlock", version, after_help = crate::exit::HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every subcommand takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Prints JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// A file of settings; see config/oarlock.toml for all of them. Of `worker`: its worker.toml.
    #[arg(long, global = true, env = "OARLOCK_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Acts on behalf of this user.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Acts in this tenant.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) tenant: Option<String>,
    /// Acts in this role (may be repeated).
    #[arg(long = "role", global = true, value_name = "NAME")]
    pub(crate) roles: Vec<String>,
    /// Holds this permission (may be repeated).
    #[arg(long = "permission", global = true, value_name = "NAME")]
    pub(crate) permissions: Vec<String>,
    /// The server to speak to (apply, start, get, list, cancel, history, parked, ready); of several, with commas between, one
    /// that answers.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// What is logged to stderr, such as info or warn,oarlock_worker=debug.
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs one workflow in this process, with no server, and shows it until it ends.
    Run(Run),
    /// Runs everything in this process until Ctrl-C, with HTTP: for developing.
    Dev(Dev),
    /// Runs an orchestrator of a fleet, over RabbitMQ and Redis, until SIGTERM.
    Orchestrator(Orchestrator),
    /// Runs a worker of a fleet, over RabbitMQ, until SIGTERM.
    Worker(Worker),
    /// Checks definitions and reports every problem with its place.
    Validate(Validate),
    /// Registers definitions with a server.
    Apply(Files),
    /// Starts a run on a server.
    Start(Start),
    /// Shows a run.
    Get(RunName),
    /// Lists runs, the newest first.
    List(List),
    /// Asks a run to end.
    Cancel(Cancel),
    /// Shows what happened in a run, in the order of time.
    History(RunName),
    /// Shows, puts back or drops messages that nobody could understand.
    #[command(subcommand)]
    Parked(Parked),
    /// Asks whether a server is ready, for health checks: exit code 0 where it is, 4 where it is not.
    Ready,
}

/// Where a worker's handlers come from.
#[derive(Debug, Args)]
pub(crate) struct Handlers {
    /// The worker's settings; worker.toml beside the definition where absent.
    #[arg(long, value_name = "FILE")]
    pub(crate) worker: Option<PathBuf>,
    /// Executes a task by a command: input JSON on stdin, output JSON on stdout (may be repeated).
    #[arg(long = "exec", value_name = "NAME='COMMAND'")]
    pub(crate) exec: Vec<String>,
    /// How many tasks run at once, instead of the worker's settings.
    #[arg(long, value_name = "N")]
    pub(crate) slots: Option<usize>,
    #[command(flatten)]
    pub(crate) secrets: Secrets,
}

/// Where a worker finds the values of secrets.
#[derive(Debug, Args)]
pub(crate) struct Secrets {
    /// The folder of the secrets that inputs name: a file for each, named like it, read anew for each task. Where it has
    /// none, the environment variable OARLOCK_SECRET_<NAME>.
    #[arg(long = "secrets", value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The definition, YAML or JSON.
    pub(crate) file: PathBuf,
    /// The input: JSON, or @FILE, or @- for stdin.
    #[arg(long, value_name = "JSON|@FILE")]
    pub(crate) input: Option<String>,
    /// Ends the run after this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) timeout: Option<Span>,
    #[command(flatten)]
    pub(crate) handlers: Handlers,
}

#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// Definitions to register.
    pub(crate) files: Vec<PathBuf>,
    /// Keeps runs in this folder; in memory where absent.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Where to listen for HTTP.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) handlers: Handlers,
}

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

#[derive(Debug, Args)]
pub(crate) struct Worker {
    /// Executes a task by a command: input JSON on stdin, output JSON on stdout (may be repeated).
    #[arg(long = "exec", value_name = "NAME='COMMAND'")]
    pub(crate) exec: Vec<String>,
    /// How many tasks run at once, instead of the worker's settings.
    #[arg(long, value_name = "N")]
    pub(crate) slots: Option<usize>,
    #[command(flatten)]
    pub(crate) secrets: Secrets,
    /// How long tasks may run on after SIGTERM, instead of the settings.
    #[arg(long, value_name = "TIME")]
    pub(crate) grace: Option<Span>,
    /// Where to answer /healthz and /readyz; nowhere where absent.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) http_health: Option<SocketAddr>,
    /// Checks the settings, shows what would be used, and connects to nothing.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Parked {
    /// Lists the oldest parked messages.
    List,
    /// Shows one, with its body.
    Show {
        /// The message's id, as `list` prints it.
        id: String,
    },
    /// Puts messages back where they came from.
    Requeue(Choice),
    /// Drops messages for good.
    Drop(Choice),
}

/// Which parked messages.
#[derive(Debug, Args)]
pub(crate) struct Choice {
    /// Their ids, as `parked list` prints them.
    #[arg(value_name = "ID", required_unless_present = "all")]
    pub(crate) ids: Vec<String>,
    /// All that `parked list` shows.
    #[arg(long, conflicts_with = "ids")]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// The definitions, YAML or JSON; - for stdin.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Files {
    /// The definitions, YAML or JSON.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
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
    /// Waits until the run has ended.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Waits no longer than this; then exit code 4.
    #[arg(long, value_name = "TIME", requires = "wait")]
    pub(crate) timeout: Option<Span>,
}

#[derive(Debug, Args)]
pub(crate) struct RunName {
    /// The run's id.
    #[arg(value_parser = run_id)]
    pub(crate) run: RunId,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only runs in this status, such as RUNNING.
    #[arg(long, value_name = "STATUS", value_parser = status)]
    pub(crate) status: Option<WorkflowStatus>,
    /// Only runs of this workflow.
    #[arg(long, value_name = "ID")]
    pub(crate) workflow: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
    /// Begins behind an earlier page: its `next`.
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The run's id.
    #[arg(value_parser = run_id)]
    pub(crate) run: RunId,
    /// Why, for people.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

fn run_id(text: &str) -> Result<RunId, String> {
    text.parse().map_err(|_| "a run's id is a UUID, as `start` and `list` print it".to_owned())
}

fn status(text: &str) -> Result<WorkflowStatus, String> {
    let named = WorkflowStatus::ALL.iter().find(|status| status.as_str().eq_ignore_ascii_case(text));
    named.copied().ok_or_else(|| {
        let all: Vec<_> = WorkflowStatus::ALL.iter().map(|status| status.as_str()).collect();
        format!("a status is one of {}", all.join(", "))
    })
}
