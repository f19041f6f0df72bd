//! What the books tell of a queue: one line for each tenant, and how lines add up.

use std::collections::BTreeMap;

use oarlock_protocol::Timestamp;
use oarlock_protocol::instance::Attempt;
use serde::{Deserialize, Serialize};

use super::{MOST_LINES, OTHERS, Sums};

/// The work of one tenant in one queue, as it stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Figures {
    /// The task queue.
    pub(crate) queue: String,
    /// Whose work; `*` where the books had no line left for a tenant of its own.
    pub(crate) tenant: String,
    /// Tasks that wait for admission.
    pub(crate) ready: u64,
    /// Attempts that were published and that nobody is known to execute. Those of short tasks that a worker has are among
    /// them: it tells nothing before it answers.
    pub(crate) published: u64,
    /// Attempts that a worker is known to execute.
    pub(crate) running: u64,
    /// Tasks that wait for their next attempt.
    pub(crate) due: u64,
    /// Of these, those that are due within the horizon.
    pub(crate) due_soon: u64,
    /// Since when the oldest waits that no worker is known to have.
    pub(crate) oldest: Option<Timestamp>,
    /// What has happened so far.
    #[serde(flatten)]
    pub(crate) sums: Sums,
}

impl Figures {
    /// Adds what stands elsewhere of the same queue.
    pub(crate) fn add(&mut self, other: &Figures) {
        self.ready += other.ready;
        self.published += other.published;
        self.running += other.running;
        self.due += other.due;
        self.due_soon += other.due_soon;
        self.oldest = [self.oldest, other.oldest].into_iter().flatten().min();
        self.sums.add(&other.sums);
    }
}

impl Sums {
    /// Adds what has happened elsewhere.
    pub(crate) fn add(&mut self, other: &Sums) {
        self.arrived += other.arrived;
        self.completed += other.completed;
        self.failed += other.failed;
        self.retried += other.retried;
        self.service_ms = self.service_ms.saturating_add(other.service_ms);
        self.waited_ms = self.waited_ms.saturating_add(other.waited_ms);
        self.last_closed = self.last_closed.max(other.last_closed);
    }
}

/// Adds lines up, by queue and tenant.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum(BTreeMap<(String, String), Figures>);

impl Sum {
    pub(super) fn add(&mut self, mut figures: Figures) {
        let mut key = (figures.queue.clone(), figures.tenant.clone());
        if self.0.len() >= MOST_LINES && !self.0.contains_key(&key) {
            key.1 = OTHERS.to_owned();
            figures.tenant = key.1.clone();
        }
        match self.0.get_mut(&key) {
            Some(sum) => sum.add(&figures),
            None => drop(self.0.insert(key, figures)),
        }
    }

    pub(super) fn figures(self) -> Vec<Figures> {
        self.0.into_values().collect()
    }
}

/// How long a worker had a closed attempt, and how long that had waited for one, in milliseconds. A worker's own measure of the
/// first counts: clocks of two machines differ.
pub(crate) fn times(attempt: &Attempt) -> (u64, u64) {
    let Some(end) = attempt.end_time else { return (0, 0) };
    let begun = attempt.start_time.unwrap_or(end);
    let measured = attempt.metrics.map(|metrics| metrics.execution_time_ms).filter(|ms| *ms > 0);
    let service = measured.unwrap_or_else(|| end.since(begun).as_millis());
    (service, begun.since(attempt.ready_at).as_millis())
}
