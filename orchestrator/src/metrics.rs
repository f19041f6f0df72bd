//! What `/metrics` tells of what has happened on this node: counted as it happens, in families of bounded size.
//!
//! The owners of partitions call it after the commit, so it never waits. What stands where now is not kept here: it is read at
//! the scrape by `node/metrics.rs`.

use std::time::Duration;

use oarlock_metrics::{Bounded, Counter, Histogram, MOST_HISTOGRAMS, MOST_SERIES, Registry};
use oarlock_protocol::message::RunEvent;

use crate::books;
use crate::partition::observe::{ClosedAttempt, EndedRun, Observer};

/// What has happened since this node began.
pub(crate) struct Tallies {
    execution: Bounded<Histogram, 1>,
    queued: Bounded<Histogram, 1>,
    runs: Bounded<Counter, 2>,
    durations: Bounded<Histogram, 1>,
    commit_seconds: Histogram,
    commit_runs: Histogram,
}

impl Default for Tallies {
    fn default() -> Self {
        let seconds = |label| Bounded::new([label], MOST_HISTOGRAMS, oarlock_metrics::seconds);
        Self {
            execution: seconds("queue"),
            queued: seconds("queue"),
            // Of each workflow a series for every status.
            runs: Bounded::new(["workflow", "status"], MOST_SERIES / STATUSES, Counter::default),
            durations: seconds("workflow"),
            commit_seconds: oarlock_metrics::short_seconds(),
            commit_runs: oarlock_metrics::sizes(),
        }
    }
}

/// How many statuses a run may have.
const STATUSES: usize = 8;

impl Tallies {
    /// A commit was answered after this time; it wrote so many runs.
    pub(crate) fn committed(&self, time: Duration, runs: usize) {
        self.commit_seconds.observe(time.as_secs_f64());
        self.commit_runs.observe(runs as f64);
    }

    /// Puts everything where it is read.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "attempt_execution_seconds",
            "How long workers had the attempts that have closed, by task queue",
            self.execution.clone(),
        );
        registry.register(
            "attempt_queue_seconds",
            "How long the attempts that have closed had waited for a worker, by task queue",
            self.queued.clone(),
        );
        registry.register(
            "runs",
            "Runs that came to a status, by workflow: RUNNING counts those that began",
            self.runs.clone(),
        );
        registry.register(
            "run_duration_seconds",
            "How long the runs that have ended took from their start, by workflow",
            self.durations.clone(),
        );
        registry.register(
            "commit_seconds",
            "How long the store took to answer a commit: everything a run does waits for it",
            self.commit_seconds.clone(),
        );
        registry.register(
            "commit_runs",
            "How many runs a commit wrote: large numbers mean much work at once, and few commits for it",
            self.commit_runs.clone(),
        );
    }
}

impl Observer for Tallies {
    fn attempt_closed(&self, closed: &ClosedAttempt) {
        if closed.is_child || closed.attempt.start_time.is_none() {
            return;
        }
        let queue = [closed.attempt.queue.as_str()];
        let (service, waited) = books::times(&closed.attempt);
        self.execution.of(queue).observe(Duration::from_millis(service).as_secs_f64());
        self.queued.of(queue).observe(Duration::from_millis(waited).as_secs_f64());
    }

    fn run_ended(&self, ended: &EndedRun) {
        let time = ended.ended.since(ended.began).as_millis();
        let time = Duration::from_millis(time).as_secs_f64();
        self.durations.of([&ended.workflow]).observe(time);
    }

    fn run_changed(&self, changed: &RunEvent) {
        self.runs.of([&changed.workflow, changed.status.as_str()]).inc();
    }
}
