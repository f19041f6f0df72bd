//! What attempts and runs took, as the owner of a partition counts it and writes it with the commits that close and end them.
//!
//! Counted in memory from the moment this owner first meets a definition in an hour, and written whole under a field of its
//! own: nothing is ever read for it, a commit sent twice changes nothing, and when the partition is lost memory goes with
//! it. `orchestrator/src/layout/statistics.rs` tells the fields. The hash of an hour is removed by a stored timer.

use bytes::Bytes;
use oarlock_engine::map::Map;
use oarlock_protocol::Timestamp;

use super::observe::{ClosedAttempt, EndedRun};
use super::owner::Owner;
use crate::layout::Timed;
use crate::layout::statistics::{self, Kind, OTHERS};
use crate::statistics::series::{TaskSeries, WorkflowSeries};
use crate::statistics::{HOUR, hour_of};
use crate::store::{Key, Write};

/// The most series of their own in an hour of a partition, about 2 MB of memory at worst: a fleet has some hundred
/// definitions. The attempts and runs of any others of a tenant are counted in one more series.
const MOST_SERIES: usize = 1_024;
/// The most tenants with such another series. What comes beyond is not counted.
const MOST_OTHERS: usize = 1_024;
/// The hours kept in memory: the one at hand, and one beside it for a clock that is set back at the border.
const HOURS: usize = 2;

/// What the owner counts.
#[derive(Default)]
pub(super) struct Statistics {
    /// The one that was used last comes last.
    hours: Vec<Hour>,
}

/// An hour.
struct Hour {
    begins: Timestamp,
    /// Whether this owner has put its removal among the timers.
    has_timer: bool,
    /// By name.
    series: Map<String, Counted>,
    /// The names of what the next commit writes.
    touched: Vec<String>,
    /// How many of the series stand for the others of a tenant.
    others: usize,
    /// How much was not counted.
    left_out: u64,
}

/// What is counted of one definition.
struct Counted {
    /// Its field, once it is written.
    field: Option<String>,
    is_touched: bool,
    numbers: Numbers,
}

enum Numbers {
    Task(Box<TaskSeries>),
    Workflow(Box<WorkflowSeries>),
}

impl Statistics {
    /// Counts an attempt. One that was a run is counted as that.
    pub(super) fn attempt_closed(&mut self, closed: &ClosedAttempt) {
        if closed.is_child {
            return;
        }
        let at = closed.attempt.end_time.unwrap_or(closed.attempt.scheduled_at);
        let hour = self.hour(hour_of(at));
        if let Some(Numbers::Task(series)) = hour.numbers(Kind::Task, &closed.run.tenant, &closed.task) {
            series.record(&closed.attempt, closed.number, closed.put_off);
        }
    }

    /// Counts the end of a run.
    pub(super) fn run_ended(&mut self, ended: &EndedRun) {
        let hour = self.hour(hour_of(ended.ended));
        if let Some(Numbers::Workflow(series)) =
            hour.numbers(Kind::Workflow, &ended.run.tenant, &ended.workflow)
        {
            series.record(ended.status, ended.ended.since(ended.began), &ended.metrics);
        }
    }

    /// What the commit `seq` writes; the hours come back whose removal is not among the timers yet.
    pub(super) fn write(&mut self, seq: u64, writes: &mut Vec<Write>) -> Vec<Timestamp> {
        let mut new = Vec::new();
        for hour in &mut self.hours {
            if !hour.touched.is_empty() && !std::mem::replace(&mut hour.has_timer, true) {
                new.push(hour.begins);
            }
            for name in std::mem::take(&mut hour.touched) {
                let Some(counted) = hour.series.get_mut(&name) else { continue };
                counted.is_touched = false;
                let field = counted.field.get_or_insert_with(|| statistics::field(&name, seq)).clone();
                let key = Key::Statistics { hour: hour.begins };
                writes.push(Write::HashSet { key, field, value: counted.numbers.stored() });
            }
        }
        let too_many = self.hours.len().saturating_sub(HOURS);
        // Written by now. What still comes for one of them begins a field of its own.
        for gone in self.hours.drain(..too_many).filter(|hour| hour.left_out > 0) {
            tracing::warn!(hour = %gone.begins, left_out = gone.left_out, "too many tenants and definitions for the statistics of an hour");
        }
        new
    }

    /// Forgets an hour that is removed.
    pub(super) fn forget(&mut self, begins: Timestamp) {
        self.hours.retain(|hour| hour.begins != begins || !hour.touched.is_empty());
        // What is counted for it and not yet written is written after its removal, and is to be removed, too.
        self.hours.iter_mut().filter(|hour| hour.begins == begins).for_each(|hour| hour.has_timer = false);
    }

    fn hour(&mut self, begins: Timestamp) -> &mut Hour {
        let found = self.hours.iter().position(|hour| hour.begins == begins);
        let hour = found.map_or_else(|| Hour::new(begins), |at| self.hours.remove(at));
        self.hours.push(hour);
        let last = self.hours.len() - 1;
        &mut self.hours[last]
    }
}

impl Hour {
    fn new(begins: Timestamp) -> Self {
        let (series, touched) = (Map::default(), Vec::new());
        Self { begins, has_timer: false, series, touched, others: 0, left_out: 0 }
    }

    /// Where a definition is counted; the next commit writes it. None where there is no room.
    fn numbers(&mut self, kind: Kind, tenant: &str, id: &str) -> Option<&mut Numbers> {
        let mut name = statistics::name(kind, tenant, id);
        if !self.series.contains_key(&name) && self.series.len() - self.others >= MOST_SERIES {
            name = statistics::name(kind, tenant, OTHERS);
            if !self.series.contains_key(&name) {
                if self.others >= MOST_OTHERS {
                    self.left_out += 1;
                    return None;
                }
                self.others += 1;
            }
        }
        let new = || Counted { field: None, is_touched: false, numbers: Numbers::new(kind) };
        let counted = self.series.entry(name.clone()).or_insert_with(new);
        if !std::mem::replace(&mut counted.is_touched, true) {
            self.touched.push(name);
        }
        Some(&mut counted.numbers)
    }
}

impl Numbers {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Task => Self::Task(Box::default()),
            Kind::Workflow => Self::Workflow(Box::default()),
        }
    }

    fn stored(&self) -> Bytes {
        // Names and numbers always have a JSON form.
        let json = match self {
            Self::Task(series) => serde_json::to_vec(series),
            Self::Workflow(series) => serde_json::to_vec(series),
        };
        json.unwrap_or_default().into()
    }
}

impl Owner {
    pub(super) fn keeps_statistics(&self) -> bool {
        !self.shared.settings.statistics.is_zero()
    }

    /// Writes what was counted since the last commit, and sees to it that it is removed in time.
    pub(super) fn write_statistics(&mut self, writes: &mut Vec<Write>) {
        for hour in self.statistics.write(self.lease.seq + 1, writes) {
            let at = self.removed_at(hour);
            self.batch.timers.insert(Timed::Statistics(hour), Some(at));
        }
    }

    /// The time of an hour's statistics is over; or not yet, where they are kept for longer by now.
    pub(super) fn remove_statistics(&mut self, hour: Timestamp) {
        let at = self.removed_at(hour);
        if self.keeps_statistics() && self.shared.clock.now() < at {
            self.batch.timers.insert(Timed::Statistics(hour), Some(at));
            return;
        }
        self.statistics.forget(hour);
        self.batch.timers.insert(Timed::Statistics(hour), None);
        self.batch.writes.push(Write::Delete { key: Key::Statistics { hour } });
    }

    fn removed_at(&self, hour: Timestamp) -> Timestamp {
        hour.after(HOUR).after(self.shared.settings.statistics)
    }
}

#[cfg(test)]
mod tests;
