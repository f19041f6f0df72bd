//! What the store holds, read anew at every commit: runs, timers, outbox, index. `invariants` looks at it.
//!
//! It can be copied, so that it goes back together with a store that loses its last commits.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use oarlock_engine::run::{Body, Head, Row, Stage};
use oarlock_orchestrator::layout::{self, StoredRun, Timed, Unreadable};
use oarlock_orchestrator::statistics::series::{TaskSeries, WorkflowSeries};
use oarlock_orchestrator::store::{Key, Write};
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::{ExecutionId, Json, RunId, RunKey, TaskPath, Timestamp};

/// A run as it is stored.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunView {
    pub(crate) head: Option<Head>,
    /// What its start fixed: the head cannot be read without it.
    origin: Bytes,
    /// By place.
    pub(crate) rows: BTreeMap<String, Row>,
    /// Those that lie beside their rows.
    outputs: BTreeMap<String, Json>,
    /// The run's own, in its head or beside it.
    small_output: Option<Json>,
    large_output: Option<Json>,
    /// At which commit a step began, and counted as done.
    pub(crate) begun: BTreeMap<String, u64>,
    pub(crate) ended: BTreeMap<String, u64>,
    /// Whether only the memory of it is left.
    pub(crate) buried: bool,
}

/// What the store holds.
#[derive(Clone, Default)]
pub(crate) struct Mirror {
    pub(crate) runs: BTreeMap<RunKey, RunView>,
    /// Runs that ended, as they were when they were forgotten.
    pub(crate) forgotten: BTreeMap<RunKey, RunView>,
    /// By partition.
    pub(crate) timers: BTreeMap<u32, BTreeMap<String, i64>>,
    pub(crate) outbox: BTreeMap<u32, BTreeMap<String, BTreeMap<String, String>>>,
    /// By partition and run: the statuses under which it is listed.
    pub(crate) index: BTreeMap<(u32, String), BTreeSet<String>>,
    /// By partition and hour: how many attempts or ends of runs each field of the statistics counts.
    pub(crate) statistics: BTreeMap<(u32, Timestamp), BTreeMap<String, u64>>,
    /// How many attempts of workers have closed, and how many runs have ended, by what is stored of the runs.
    pub(crate) closed: u64,
    pub(crate) ended: u64,
    /// Whether a run was retried: what closes in the commit that begins its step anew is seen by nobody.
    pub(crate) begun_anew: bool,
    pub(crate) commits: u64,
}

/// Why something that is stored cannot be read.
struct Told(String);

impl From<Unreadable> for Told {
    fn from(error: Unreadable) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for Told {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

impl RunView {
    pub(crate) fn workflow(&self) -> &str {
        self.head.as_ref().map_or("", |head| &head.workflow_definition_id)
    }

    pub(crate) fn run_status(&self) -> Option<WorkflowStatus> {
        self.head.as_ref().map(|head| head.status)
    }

    /// How often the run has ended: once in each generation but the one that is under way.
    fn ends(&self) -> u64 {
        let ends = |head: &Head| head.generation + u64::from(head.status.is_terminal());
        self.head.as_ref().map_or(0, ends)
    }

    /// The status of the step at a place.
    pub(crate) fn status(&self, path: &str) -> Option<&'static str> {
        self.rows.get(path).map(|row| row.status.as_str())
    }

    /// The run that the step at a place has started.
    pub(crate) fn child(&self, path: &str) -> Option<RunId> {
        Some(RunId::child_of(self.rows.get(path)?.work()?.latest()?))
    }

    /// Whether an attempt of a task ended because its worker was told to, and was followed by another.
    pub(crate) fn was_told_to_end(&self, path: &str, number: u32) -> bool {
        let Some(work) = self.rows.get(path).and_then(Row::work) else { return false };
        let Some(last) = work.attempt_count.checked_sub(number) else { return false };
        let attempt = work.attempts.iter().rev().nth(last as usize).filter(|_| last > 0);
        attempt.and_then(|attempt| attempt.error.as_ref()).is_some_and(|error| error.code == "CANCELLED")
    }

    /// The attempts that are open: each with its place, and whether someone else completes it.
    pub(crate) fn open(&self) -> impl Iterator<Item = (&str, ExecutionId, bool)> {
        self.rows.iter().filter_map(|(path, row)| match &row.work()?.stage {
            Stage::Open(open) => Some((path.as_str(), open.execution_id, open.accepted)),
            Stage::Ready { .. } | Stage::Waiting { .. } | Stage::Held | Stage::Closed => None,
        })
    }

    /// How many attempts of the step at a place have closed, where workers have them.
    fn closed(&self, path: &str) -> u64 {
        let work = self.rows.get(path).and_then(Row::work).filter(|work| work.queue == "work");
        let open = |work: &oarlock_engine::run::Work| u32::from(matches!(work.stage, Stage::Open(_)));
        work.map_or(0, |work| u64::from(work.attempt_count - open(work)))
    }

    /// The steps that wait for a signal, each with the name of that.
    pub(crate) fn awaited(&self) -> Vec<(String, String)> {
        let waits = self.rows.iter().filter(|(_, row)| !row.status.is_terminal());
        let signals = waits.filter_map(|(path, row)| match &row.body {
            Body::Await(wait) => Some((path.clone(), wait.signals.first()?.0.clone())),
            Body::Plain | Body::Work(_) | Body::Block(_) => None,
        });
        signals.collect()
    }

    /// The output of the run.
    pub(crate) fn output(&self) -> &Json {
        self.small_output.as_ref().or(self.large_output.as_ref()).unwrap_or(&Json::Null)
    }

    /// The output of the step at a place.
    pub(crate) fn output_of(&self, path: &str) -> Option<&Json> {
        self.rows.get(path).and_then(|row| row.output.as_ref()).or_else(|| self.outputs.get(path))
    }

    fn set(&mut self, run: RunId, field: &str, value: &Bytes, commit: u64) -> Result<(), Told> {
        if field == "origin" {
            self.origin = value.clone();
        } else if field == "head" {
            let parts = [(field, value), ("origin", &self.origin)];
            let parts = parts.map(|(field, value)| (field.to_owned(), value.clone())).to_vec();
            let stored = StoredRun::read(parts)?;
            self.small_output = stored.as_ref().and_then(|stored| stored.output.clone());
            self.head = stored.map(|stored| stored.head);
        } else if field == "output" {
            self.large_output = serde_json::from_slice(value)?;
        } else if field == "tombstone" {
            self.buried = true;
        } else if let Some(path) = field.strip_prefix("t:") {
            let row = layout::read_row(run, &TaskPath::from(path), value)?;
            self.begun.entry(path.to_owned()).or_insert(commit);
            if row.settled {
                self.ended.entry(path.to_owned()).or_insert(commit);
            } else {
                self.ended.remove(path);
            }
            self.rows.insert(path.to_owned(), row);
        } else if let Some(path) = field.strip_prefix("o:") {
            self.outputs.insert(path.to_owned(), serde_json::from_slice(value)?);
        }
        Ok(())
    }

    fn remove(&mut self, field: &str) {
        if let Some(path) = field.strip_prefix("t:") {
            self.rows.remove(path);
            self.begun.remove(path);
            self.ended.remove(path);
        } else if let Some(path) = field.strip_prefix("o:") {
            self.outputs.remove(path);
        } else if field == "output" {
            self.large_output = None;
        } else if field == "head" {
            self.head = None;
        }
    }
}

impl Mirror {
    /// The run, also where it is forgotten.
    pub(crate) fn find(&self, run: &RunKey) -> Option<&RunView> {
        let there = self.runs.get(run).filter(|view| view.head.is_some());
        there.or_else(|| self.forgotten.get(run))
    }

    /// How many attempts and ends of runs the statistics count.
    pub(crate) fn counted(&self) -> (u64, u64) {
        let fields = || self.statistics.values().flatten();
        let sum = |kind| fields().filter(|(field, _)| field.starts_with(kind)).map(|(_, count)| count).sum();
        (sum('t'), sum('w'))
    }

    /// Whether an hour has statistics that the timer of this name removes.
    pub(crate) fn has_hour(&self, partition: u32, timer: &str) -> bool {
        let hours = self.statistics.keys().filter(|(other, _)| *other == partition);
        hours.map(|(_, hour)| Timed::Statistics(*hour).to_string()).any(|name| name == timer)
    }

    /// Takes in a commit; the runs it touched come back, each as it was before.
    pub(crate) fn apply(
        &mut self,
        partition: u32,
        writes: &[Write],
    ) -> Result<BTreeMap<RunKey, Option<RunView>>, String> {
        self.commits += 1;
        let mut touched = BTreeMap::new();
        for write in writes {
            if let Write::HashSet { key: Key::Run(run), .. }
            | Write::HashDelete { key: Key::Run(run), .. }
            | Write::Delete { key: Key::Run(run) } = write
            {
                touched.entry(run.clone()).or_insert_with(|| self.runs.get(run).cloned());
            }
            self.take(partition, write)
                .map_err(|Told(error)| format!("what is stored cannot be read: {error}"))?;
        }
        Ok(touched)
    }

    fn take(&mut self, partition: u32, write: &Write) -> Result<(), Told> {
        let commit = self.commits;
        match write {
            Write::HashSet { key: Key::Run(run), field, value } => {
                let view = self.runs.entry(run.clone()).or_default();
                let path = field.strip_prefix("t:").unwrap_or_default();
                let (closed, ends) = (view.closed(path), view.ends());
                view.set(run.run, field, value, commit)?;
                let now = view.closed(path);
                // One that was begun anew counts from the beginning.
                self.closed += now.checked_sub(closed).unwrap_or(now);
                self.ended += view.ends().saturating_sub(ends);
                self.begun_anew |= view.head.as_ref().is_some_and(|head| head.generation > 0);
            }
            Write::HashDelete { key: Key::Run(run), field } => {
                if let Some(view) = self.runs.get_mut(run) {
                    view.remove(field);
                }
            }
            Write::Delete { key: Key::Run(run) } => {
                if let Some(view) = self.runs.remove(run).filter(|view| view.head.is_some()) {
                    self.forgotten.insert(run.clone(), view);
                }
            }
            Write::HashSet { key: Key::Outbox, field, value } => {
                // One field says something else: it has no value.
                let entries = if value.is_empty() { BTreeMap::new() } else { serde_json::from_slice(value)? };
                self.outbox.entry(partition).or_default().insert(field.clone(), entries);
            }
            Write::HashDelete { key: Key::Outbox, field } => {
                self.outbox.entry(partition).or_default().remove(field);
            }
            Write::HashSet { key: Key::Statistics { hour }, field, value } => {
                let count = match field.starts_with('t') {
                    true => serde_json::from_slice::<TaskSeries>(value)?.attempts(),
                    false => serde_json::from_slice::<WorkflowSeries>(value)?.runs(),
                };
                self.statistics.entry((partition, *hour)).or_default().insert(field.clone(), count);
            }
            Write::SortedSet { key: Key::Timers, member, score } => {
                self.timers.entry(partition).or_default().insert(member.clone(), *score);
            }
            Write::SortedRemove { key: Key::Timers, member } => {
                self.timers.entry(partition).or_default().remove(member);
            }
            Write::SortedSet { key: Key::Runs { status, .. }, member, .. } => {
                self.index.entry((partition, member.clone())).or_default().insert(status.clone());
            }
            Write::SortedRemove { key: Key::Runs { status, .. }, member } => {
                if let Some(statuses) = self.index.get_mut(&(partition, member.clone())) {
                    statuses.remove(status);
                }
            }
            Write::HashSet { .. }
            | Write::HashDelete { .. }
            | Write::SortedSet { .. }
            | Write::SortedRemove { .. }
            | Write::Delete { .. } => {}
        }
        Ok(())
    }
}
