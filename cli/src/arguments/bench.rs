//! The arguments of `oarlock bench`.

use clap::{Args, ValueEnum};

/// `oarlock bench`.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// What the runs look like.
    #[arg(long, value_enum, default_value_t = Shape::Chain)]
    pub(crate) shape: Shape,
    /// How many runs a round has.
    #[arg(long, value_name = "N", default_value_t = 4_000)]
    pub(crate) workflows: usize,
    /// How many tasks a run has.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) tasks: usize,
    /// How many runs are under way at once.
    #[arg(long, value_name = "N", default_value_t = 800)]
    pub(crate) in_flight: usize,
    /// The bytes of data that each task is given and gives back.
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    pub(crate) payload: usize,
    /// How many worker processes.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) workers: usize,
    /// How many orchestrator processes; each starts its share of the runs.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) orchestrators: usize,
    /// How many pairs of rounds, of the floor and of Oarlock.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: u16,
    /// Measures the embedded broker and a store in memory, in this process.
    #[arg(long, conflicts_with_all = ["workers", "orchestrators"])]
    pub(crate) embedded: bool,
    /// Tells what another process on this machine uses, too: `rabbitmq=4711` (may be repeated).
    #[arg(long = "watch", value_name = "NAME=PID", value_parser = watched)]
    pub(crate) watched: Vec<oarlock_bench::usage::Watched>,
    /// Measures, at the end, what the processes use while nothing happens, for so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) idle: u64,
    /// Measures, at the end, how long another orchestrator takes to take all partitions over.
    #[arg(long, conflicts_with = "embedded")]
    pub(crate) take_over: bool,
    /// What a process is that a measurement has started.
    #[arg(long, hide = true, value_enum)]
    pub(crate) part: Option<Part>,
}

/// What the runs look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// Tasks one after the other, each with the output of the one before.
    Chain,
    /// A forEach: all tasks at once.
    Fanout,
    /// One task, then all but two at once, then one.
    Diamond,
    /// A chain of which each task fails once.
    Retry,
    /// Runs without tasks.
    Start,
    /// Runs that wait for a signal.
    Wait,
}

/// What a process of a measurement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// It decides, and starts runs.
    Orchestrator,
    /// It executes tasks.
    Worker,
}

impl Bench {
    /// What is measured.
    pub(crate) fn plan(&self) -> oarlock_bench::Plan {
        oarlock_bench::Plan {
            shape: match self.shape {
                Shape::Chain => oarlock_bench::Shape::Chain,
                Shape::Fanout => oarlock_bench::Shape::Fanout,
                Shape::Diamond => oarlock_bench::Shape::Diamond,
                Shape::Retry => oarlock_bench::Shape::Retry,
                Shape::Start => oarlock_bench::Shape::Start,
                Shape::Wait => oarlock_bench::Shape::Wait,
            },
            workflows: self.workflows,
            tasks: self.tasks,
            in_flight: self.in_flight,
            payload: self.payload,
        }
    }
}

fn watched(text: &str) -> Result<oarlock_bench::usage::Watched, String> {
    let wrong = || format!("'{text}' is no NAME=PID, such as rabbitmq=4711");
    let (name, pid) = text.split_once('=').ok_or_else(wrong)?;
    let pid = pid.parse().map_err(|_| wrong())?;
    Ok(oarlock_bench::usage::Watched { name: name.to_owned(), pid })
}
