//! What an orchestrator tells the others each second: the books of the partitions that it owns.
//!
//! It is announced, and may be lost: the next one tells all of it again.

use std::collections::BTreeMap;

use oarlock_monitor::Finding;
use oarlock_protocol::{FORMAT, Timestamp};
use serde::{Deserialize, Serialize};

use crate::books::{Figures, OTHERS};
use crate::members::Member;

/// The most lines of a report, each a queue and a tenant. The rest of a queue is told together. About 200 bytes each: with all else
/// a report fits into an announcement.
const MOST_LINES: usize = 400;
/// The most queues of which the rest is told.
const MOST_RESTS: usize = 200;
/// The most queues whose wanted workers are told.
const MOST_WANTED: usize = 200;
/// The most queues of which it is told what is held back.
const MOST_HELD_BACK: usize = 200;
/// The most findings that are told.
const MOST_FINDINGS: usize = 50;

/// The books of one orchestrator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Version of this form.
    pub(crate) format: u32,
    /// Who tells.
    #[serde(flatten)]
    pub(crate) member: Member,
    /// When it began, by its own clock.
    pub(crate) began: Timestamp,
    /// When this was so, by its own clock: times of the lines count from here.
    pub(crate) at: Timestamp,
    /// The partitions whose books are in it.
    pub(crate) partitions: Vec<u32>,
    /// What stands where.
    pub(crate) lines: Vec<Figures>,
    /// How many of the tasks that are ready in a queue a pause or a limit holds back, where it does.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) held_back: BTreeMap<String, u64>,
    /// How many workers it thinks that queues want, where they are scaled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) wanted: Vec<WantedOf>,
    /// What it finds unusual, the worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) findings: Vec<Finding>,
}

/// How many workers a queue wants, as one orchestrator thinks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WantedOf {
    pub(crate) queue: String,
    pub(crate) workers: u32,
    pub(crate) text: String,
}

impl Report {
    /// The report of `member`, which began then.
    pub(crate) fn new(
        member: Member,
        began: Timestamp,
        at: Timestamp,
        partitions: Vec<u32>,
        figures: Vec<Figures>,
    ) -> Self {
        Self {
            format: FORMAT,
            member,
            began,
            at,
            partitions,
            lines: bounded(figures),
            held_back: BTreeMap::new(),
            wanted: Vec::new(),
            findings: Vec::new(),
        }
    }
}

impl Report {
    /// Adds what is held back, as far as there is room: of queues beyond, what is held back counts as what is not.
    pub(crate) fn holding_back(mut self, held_back: BTreeMap<String, u64>) -> Self {
        self.held_back = held_back.into_iter().take(MOST_HELD_BACK).collect();
        self
    }

    /// Adds what it concludes, as far as there is room.
    pub(crate) fn concluding(mut self, mut wanted: Vec<WantedOf>, mut findings: Vec<Finding>) -> Self {
        wanted.truncate(MOST_WANTED);
        findings.truncate(MOST_FINDINGS);
        (self.wanted, self.findings) = (wanted, findings);
        self
    }
}

/// The lines with the most work, and what the others of each queue come to.
fn bounded(mut figures: Vec<Figures>) -> Vec<Figures> {
    if figures.len() <= MOST_LINES {
        return figures;
    }
    figures.sort_by_key(|line| std::cmp::Reverse(line.ready + line.published + line.running + line.due));
    let mut rest: BTreeMap<String, Figures> = BTreeMap::new();
    for line in figures.split_off(MOST_LINES) {
        let queue = line.queue.clone();
        let empty = || Figures { queue: queue.clone(), tenant: OTHERS.to_owned(), ..Figures::default() };
        rest.entry(queue.clone()).or_insert_with(empty).add(&line);
    }
    // Beyond that they are not told.
    figures.extend(rest.into_values().take(MOST_RESTS));
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_keeps_the_lines_with_the_most_work_and_adds_up_the_rest() {
        let line = |number: u64| Figures {
            queue: "q".into(),
            tenant: format!("t{number}"),
            ready: number,
            ..Figures::default()
        };
        let told = bounded((0..MOST_LINES as u64 + 3).map(line).collect());
        assert_eq!(told.len(), MOST_LINES + 1);
        let last = told.last().unwrap();
        assert_eq!((&*last.tenant, last.ready), (OTHERS, 3));
    }

    #[test]
    fn a_report_of_a_later_release_is_read() {
        let text = r#"{"format": 1, "id": "a-1", "name": "a", "began": "2026-01-01T00:00:00.000Z", "at": "2026-01-01T00:00:01.000Z",
            "partitions": [1], "lines": [{"queue": "q", "tenant": "t", "ready": 2, "new": true}], "more": {}}"#;
        let report: Report = serde_json::from_str(text).unwrap();
        assert_eq!((report.lines[0].ready, report.lines[0].sums.arrived), (2, 0));
    }
}
