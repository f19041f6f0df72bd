//! The arguments of the command.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::{ExecutionId, RunId, TaskPath};

mod bench;
mod fleet;
mod handlers;
mod pause;
mod schedule;
mod start;
mod stats;
mod values;

pub(crate) use bench::{Bench, Part};
pub(crate) use fleet::{Fleet, Orchestrator, Worker};
pub(crate) use handlers::{Handlers, Over, Secrets};
pub(crate) use pause::{Pause, Subject};
pub(crate) use schedule::Schedule;
pub(crate) use start::{Run, Start};
pub(crate) use stats::{Of, Stats};
use values::{execution_id, run_id, status, task_path};

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
#[command(next_help_heading = "Options of all commands")]
pub(crate) struct Global {
    /// Prints JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// A file of settings; see config/oarlock.toml for all of them. Of `worker` and `fleet`: the worker.toml.
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
    /// The server to speak to, of all commands but run, dev, orchestrator, worker and validate; of several, with commas
    /// between, one that answers.
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
    /// Keeps as many workers on this machine as the orchestrators want, until SIGTERM.
    Fleet(Fleet),
    /// Checks definitions and reports every problem with its place.
    Validate(Validate),
    /// Tries a definition out: tasks answer what a file says, and time skips.
    Test(Test),
    /// Draws a definition: prints it as a Mermaid flowchart, steps as nodes and order as edges.
    Graph(Graph),
    /// Registers definitions with a server.
    Apply(Files),
    /// Starts a run on a server.
    Start(Start),
    /// Shows a run.
    Get(Get),
    /// Lists runs, the newest first.
    List(List),
    /// Asks a run to end.
    Cancel(Cancel),
    /// Shows what happened in a run, in the order of time.
    History(RunName),
    /// Tells what a run waits for, since when, and which command moves it.
    Explain(RunName),
    /// Shows what attempts and runs took, by task definition or workflow.
    Stats(Stats),
    /// Tells a run something that one of its `wait` steps waits for, now or later.
    Signal(Signal),
    /// Ends a task as done: one that somebody else is to complete, one that waits for an operator, or any that is open.
    Complete(Complete),
    /// Ends the attempt of a task as failed; the task's retry policy decides what follows.
    Fail(Fail),
    /// Lets a run, a queue or a definition dispatch nothing more until it is resumed.
    Pause(Pause),
    /// Lets a paused run, queue or definition go on; tasks of a run that had used up their retries begin them anew.
    Resume(Subject),
    /// Lists the queues and definitions that are paused.
    Pauses,
    /// Does again what did not complete in a run that ended FAILED, CANCELLED or TIMED_OUT.
    Retry(RunName),
    /// Shows what waits in each task queue, how fast it moves, and who works on it.
    Queues(Queues),
    /// Shows what is unusual in the fleet now, the worst first.
    Anomalies,
    /// Shows queues, workers, runs and what is unusual on one screen, live, and why a queue waits.
    Top,
    /// Lists the workers, and what is wrong with one.
    Workers(Workers),
    /// Registers, shows, changes or removes what starts runs at the times of a cron expression.
    #[command(subcommand)]
    Schedule(Schedule),
    /// Shows, puts back or drops messages that nobody could understand.
    #[command(subcommand)]
    Parked(Parked),
    /// Measures how fast tasks go, beside what the broker alone can do, on RabbitMQ and Redis that nobody else uses.
    Bench(Bench),
    /// Asks whether a server is ready, for health checks: exit code 0 where it is, 4 where it is not.
    Ready,
}

/// `oarlock queues`.
#[derive(Debug, Args)]
pub(crate) struct Queues {
    /// Only this queue.
    #[arg(long, value_name = "NAME")]
    pub(crate) queue: Option<String>,
    /// Only the work of this tenant, where work is shown by tenant.
    #[arg(long, value_name = "NAME")]
    pub(crate) of: Option<String>,
    /// Shows the work of each tenant.
    #[arg(long)]
    pub(crate) tenants: bool,
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
pub(crate) struct Workers {
    /// Only those that take tasks from this queue.
    #[arg(long, value_name = "NAME")]
    pub(crate) queue: Option<String>,
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
pub(crate) struct Test {
    /// The definition, YAML or JSON.
    pub(crate) file: PathBuf,
    /// The cases: what the tasks answer, and what is expected (docs/testing.md).
    #[arg(long)]
    pub(crate) mocks: PathBuf,
    /// Only the cases with this in their names.
    #[arg(long)]
    pub(crate) only: Option<String>,
    /// Fails where the cases take less of the definition's branches, in percent.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) coverage: u32,
    /// Shows the path taken of every case, not only of those that failed.
    #[arg(long)]
    pub(crate) path: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Graph {
    /// The definition, YAML or JSON; - for stdin.
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Files {
    /// The definitions, YAML or JSON.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
}

/// `oarlock get`.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The run's id.
    #[arg(value_parser = run_id)]
    pub(crate) run: RunId,
    /// Reads what is kept in the payload store, and shows it in its place.
    #[arg(long)]
    pub(crate) payloads: bool,
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

#[derive(Debug, Args)]
pub(crate) struct Signal {
    /// The run's id.
    #[arg(value_parser = run_id)]
    pub(crate) run: RunId,
    /// The signal's name: that which the step waits for.
    pub(crate) name: String,
    /// What is told: JSON, or @FILE, or @- for stdin; null where absent.
    #[arg(long, value_name = "JSON|@FILE")]
    pub(crate) payload: Option<String>,
    /// Your id of the signal: the same id counts once, however often it is sent.
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
}

/// A task of a run, and which attempt of it.
#[derive(Debug, Args)]
pub(crate) struct TaskName {
    /// The run's id.
    #[arg(value_parser = run_id)]
    pub(crate) run: RunId,
    /// The task's path, such as /charge, as `get` and `explain` print it.
    #[arg(value_name = "PATH", value_parser = task_path)]
    pub(crate) path: TaskPath,
    /// Only where this attempt is the open one: its executionId.
    #[arg(long, value_name = "ID", value_parser = execution_id)]
    pub(crate) execution: Option<ExecutionId>,
}

#[derive(Debug, Args)]
pub(crate) struct Complete {
    #[command(flatten)]
    pub(crate) task: TaskName,
    /// The task's output: JSON, or @FILE, or @- for stdin; null where absent.
    #[arg(long, value_name = "JSON|@FILE")]
    pub(crate) output: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Fail {
    #[command(flatten)]
    pub(crate) task: TaskName,
    /// The error's code, which retry policies and error handlers name.
    #[arg(long, value_name = "CODE")]
    pub(crate) code: String,
    /// The error's message, for people.
    #[arg(long, value_name = "TEXT")]
    pub(crate) message: String,
    /// What else there is to tell: JSON, or @FILE, or @- for stdin.
    #[arg(long, value_name = "JSON|@FILE")]
    pub(crate) details: Option<String>,
    /// Trying again may help: the retry policy may take it.
    #[arg(long)]
    pub(crate) retryable: bool,
}
