//! What `/metrics` tells of a worker: what its attempts came to, and how long they took.
//!
//! The runtime counts when an attempt ends. The series of each task are made when the worker is built, so counting one finds them
//! and allocates nothing. What stands where now is read at the scrape.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use oarlock_broker::{Broker, Health};
use oarlock_metrics::{
    Bounded, Collector, Counter, DescriptorEncoder, Histogram, MOST_HISTOGRAMS, MOST_SERIES, OTHER, Scrape,
    Sheet,
};
use oarlock_protocol::message::Outcome;

use crate::Worker;

/// How many attempts are held now.
type Open = Box<dyn Fn() -> usize + Send + Sync>;

/// What has happened since this worker was built.
pub(crate) struct Tallies {
    tasks: HashMap<String, Tally>,
    /// Of tasks that have no handler here.
    others: Tally,
    completed: Bounded<Counter, 1>,
    failed: Bounded<Counter, 1>,
    execution: Bounded<Histogram, 1>,
    refused: Counter,
    given_back: Counter,
    open: OnceLock<Open>,
}

/// The series of one task.
#[derive(Clone)]
struct Tally {
    completed: Counter,
    failed: Counter,
    execution: Histogram,
}

impl Tallies {
    /// Nothing has happened yet to these tasks.
    pub(crate) fn new<'a>(tasks: impl Iterator<Item = &'a String>) -> Self {
        let completed = Bounded::new(["task"], MOST_SERIES, Counter::default);
        let failed = Bounded::new(["task"], MOST_SERIES, Counter::default);
        let execution = Bounded::new(["task"], MOST_HISTOGRAMS, oarlock_metrics::seconds);
        let tally = |task: &str| Tally {
            completed: completed.of([task]),
            failed: failed.of([task]),
            execution: execution.of([task]),
        };
        let tasks = tasks.map(|task| (task.clone(), tally(task))).collect();
        let others = tally(OTHER);
        let (refused, given_back) = (Counter::default(), Counter::default());
        Self { tasks, others, completed, failed, execution, refused, given_back, open: OnceLock::new() }
    }

    /// From now on the worker holds attempts.
    pub(crate) fn begin(&self, open: Open) {
        self.open.set(open).ok();
    }

    /// An attempt is answered.
    pub(crate) fn answered(&self, task: &str, outcome: &Outcome, time: Duration) {
        let tally = self.tasks.get(task).unwrap_or(&self.others);
        match outcome {
            Outcome::Failed { .. } => tally.failed.inc(),
            _ => tally.completed.inc(),
        };
        tally.execution.observe(time.as_secs_f64());
    }

    /// A task was refused, because there is no handler for it.
    pub(crate) fn refused(&self) {
        self.refused.inc();
    }

    /// An attempt went back to its queue.
    pub(crate) fn given_back(&self) {
        self.given_back.inc();
    }
}

impl Worker {
    /// The figures of this worker, as `/metrics` serves them: also before it is started and after it has ended.
    pub fn metrics(&self) -> Scrape {
        let tallies = &self.tallies;
        let mut registry = oarlock_metrics::registry("worker");
        registry.register(
            "worker_attempts_completed",
            "Attempts that this worker completed, by task; those it is to look at again later are among them",
            tallies.completed.clone(),
        );
        registry.register(
            "worker_attempts_failed",
            "Attempts that failed on this worker, by task: of those it held at the end of their time limit too",
            tallies.failed.clone(),
        );
        registry.register(
            "worker_attempt_execution_seconds",
            "How long this worker took from receiving an attempt to its answer, by task",
            tallies.execution.clone(),
        );
        registry.register(
            "worker_tasks_refused",
            "Tasks that this worker has no handler for: it takes from a queue that holds other tasks too",
            tallies.refused.clone(),
        );
        registry.register(
            "worker_attempts_given_back",
            "Attempts that went back to their queue, because the worker was told to end",
            tallies.given_back.clone(),
        );
        let (broker, slots) = (Arc::clone(&self.broker), self.slots);
        registry.register_collector(Box::new(Standing { tallies: Arc::clone(tallies), broker, slots }));
        Arc::new(move |format| oarlock_metrics::exposition(&registry, format))
    }
}

/// What stands where on a worker.
struct Standing {
    tallies: Arc<Tallies>,
    broker: Arc<dyn Broker>,
    slots: u16,
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standing").finish_non_exhaustive()
    }
}

impl Collector for Standing {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut sheet = Sheet::new(encoder);
        let open = self.tallies.open.get().map_or(0, |open| open());
        let help = "Attempts that this worker holds: running, or ended and not yet confirmed";
        sheet.gauge("worker_open_attempts", help, open as f64)?;
        sheet.gauge("worker_slots", "Attempts that this worker runs at once", f64::from(self.slots))?;
        let health = self.broker.health().borrow().clone();
        sheet.broker(!matches!(health, Health::Down(_)), matches!(health, Health::Blocked(_)))
    }
}
