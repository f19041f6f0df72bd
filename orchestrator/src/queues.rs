//! What a node knows of the queues of the whole fleet: from the reports of all orchestrators, the beats of workers, and what
//! the broker counts itself.
//!
//! Pure: reports come in with the time at which they were heard; a view is made when somebody asks. `fleet.rs` feeds it.

use std::collections::{BTreeMap, BTreeSet};

use oarlock_monitor::Finding;
use oarlock_protocol::{Span, Timestamp};

use crate::books::{Figures, Sums};

mod rates;
mod report;
mod view;

use rates::Rates;
pub(crate) use report::{Report, WantedOf};
pub(crate) use view::{Depths, Workers, WorkersOf};
pub use view::{QueueView, QueuesView, TenantView};

/// One that was not heard for so long tells nothing any more: others have its partitions by then, or nobody has.
const SILENT_AFTER: Span = Span::from_secs(6);
/// The most orchestrators that are heard: far more than share partitions.
const MOST_HEARD: usize = 1_000;

/// What was heard of the queues.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    heard: BTreeMap<String, Heard>,
    /// Since when each queue has work that a worker could have and none has, without a break.
    waiting_since: BTreeMap<String, Timestamp>,
}

/// What one orchestrator told last.
#[derive(Debug)]
struct Heard {
    at: Timestamp,
    report: Report,
    rates: BTreeMap<String, Rates>,
}

impl Queues {
    /// Takes a report in, heard now.
    pub(crate) fn hear(&mut self, report: Report, now: Timestamp) {
        let id = report.member.id.clone();
        let (before, rates) = match self.heard.remove(&id) {
            // It was overtaken by a later one.
            Some(known) if known.report.at >= report.at => return drop(self.heard.insert(id, known)),
            Some(Heard { report, rates, .. }) => (Some(report), rates),
            None if self.heard.len() >= MOST_HEARD => return,
            None => (None, BTreeMap::new()),
        };
        let rates = match before {
            Some(before) => {
                rates::averaged(rates, &by_queue(&before), &by_queue(&report), passed(&before, &report))
            }
            None => rates,
        };
        self.heard.insert(id, Heard { at: now, report, rates });
    }

    /// Takes in what follows from a report that was heard just now.
    pub(crate) fn conclude(&mut self, report: &Report) {
        if let Some(heard) = self.heard.get_mut(&report.member.id) {
            heard.report = report.clone();
        }
    }

    /// What orchestrators find unusual, `except` one.
    pub(crate) fn findings(&self, except: &str) -> Vec<Finding> {
        let others = self.heard.values().filter(|heard| heard.report.member.id != except);
        others.flat_map(|heard| heard.report.findings.clone()).collect()
    }

    /// Forgets who was not heard for long, and notes which queues have work. Called about once a second.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        self.heard.retain(|_, heard| now.since(heard.at) < SILENT_AFTER);
        let mut waiting: BTreeMap<&str, u64> = BTreeMap::new();
        for line in self.heard.values().flat_map(|heard| &heard.report.lines) {
            *waiting.entry(&line.queue).or_default() += line.ready + line.published;
        }
        for (queue, held) in self.heard.values().flat_map(|heard| &heard.report.held_back) {
            waiting.entry(queue).and_modify(|waiting| *waiting = waiting.saturating_sub(*held));
        }
        waiting.retain(|_, waiting| *waiting > 0);
        self.waiting_since.retain(|queue, _| waiting.contains_key(queue.as_str()));
        for queue in waiting.into_keys() {
            self.waiting_since.entry(queue.to_owned()).or_insert(now);
        }
    }

    /// Since when a queue has work that a worker could have and none has.
    pub(crate) fn waiting_since(&self, queue: &str) -> Option<Timestamp> {
        self.waiting_since.get(queue).copied()
    }

    /// How many orchestrators have work of a queue; at least this one.
    pub(crate) fn with_work(&self, queue: &str) -> u64 {
        let has = |line: &Figures| line.queue == queue && line.ready + line.published > 0;
        let with_work = self.heard.values().filter(|heard| heard.report.lines.iter().any(has)).count();
        (with_work as u64).max(1)
    }

    /// What the orchestrator that lives longest thinks that queues want: everybody takes its word, so that all say the same.
    pub(crate) fn wanted(&self) -> Option<(&str, &[WantedOf])> {
        let eldest = self.eldest()?;
        Some((eldest.report.member.id.as_str(), &eldest.report.wanted))
    }

    /// Whether a node is the orchestrator that lives longest: it judges what concerns the fleet as a whole.
    pub(crate) fn is_eldest(&self, id: &str) -> bool {
        self.eldest().is_some_and(|eldest| eldest.report.member.id == id)
    }

    fn eldest(&self) -> Option<&Heard> {
        self.heard.values().min_by_key(|heard| (heard.report.began, &heard.report.member.id))
    }

    /// The partitions whose books nobody tells, of so many.
    fn untold(&self, partitions: u32) -> Vec<u32> {
        let told: BTreeSet<u32> =
            self.heard.values().flat_map(|heard| heard.report.partitions.clone()).collect();
        (0..partitions).filter(|partition| !told.contains(partition)).collect()
    }
}

/// What has happened in each queue, as a report tells it.
fn by_queue(report: &Report) -> BTreeMap<&str, Sums> {
    let mut sums: BTreeMap<&str, Sums> = BTreeMap::new();
    for line in &report.lines {
        sums.entry(&line.queue).or_default().add(&line.sums);
    }
    sums
}

fn passed(before: &Report, now: &Report) -> Span {
    now.at.since(before.at)
}

#[cfg(test)]
mod tests;
