//! The books of a partition: how much work of each task queue and tenant stands where, and how fast it moves.
//!
//! The owner of the partition keeps them from its own decisions, one entry for each task that is open; the node reads them
//! whenever somebody asks. They follow from the runs: who takes the partition over counts them anew. They are never written
//! to the store, and no decision rests on them.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oarlock_engine::map::Map;
use oarlock_engine::run::{Run, Stage};
use oarlock_engine::{Plan, run};
use oarlock_protocol::{RunKey, Span, TaskPath, Timestamp};
use serde::{Deserialize, Serialize};

use crate::partition::observe::ClosedAttempt;

mod figures;

pub(crate) use figures::{Figures, times};

/// The most lines, each a queue and a tenant: what comes beyond is booked under [`OTHERS`] of its queue.
const MOST_LINES: usize = 5_000;
/// The tenant under which the books add up those that have no line of their own; no tenant is named so.
pub(crate) const OTHERS: &str = "*";
/// So many of what is due soon are counted at most: a reader must not hold the owner up.
const MOST_COUNTED: usize = 10_000;

/// Where a task stands that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It waits for admission, since then.
    Ready(Timestamp),
    /// It was published; the time is since when it was ready.
    Published(Timestamp),
    /// A worker is known to execute it.
    Running,
    /// It waits for its next attempt, until then.
    Due(Timestamp),
}

/// What the books have of an open task.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    queue: Arc<str>,
    standing: Standing,
}

/// The entries of a run's open tasks, by place.
pub(crate) type Entries = Map<TaskPath, Entry>;

/// The books of one partition.
#[derive(Debug, Default)]
pub(crate) struct Books {
    lines: Map<Arc<str>, Map<Arc<str>, Line>>,
    count: usize,
}

/// The work of one tenant in one queue.
#[derive(Debug, Default)]
pub(crate) struct Line {
    ready: u64,
    published: u64,
    running: u64,
    /// Those that no worker is known to execute, by since when.
    waiting: BTreeSet<(Timestamp, u64)>,
    /// Those that wait for their next attempt, by when it is due.
    due: BTreeSet<(Timestamp, u64)>,
    /// What has happened since the books were begun.
    sums: Sums,
}

/// What has happened in a queue, counted up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Sums {
    /// Tasks that became ready for an attempt.
    pub(crate) arrived: u64,
    /// Attempts that completed, or are to be looked at again later.
    pub(crate) completed: u64,
    /// Attempts that failed.
    pub(crate) failed: u64,
    /// Of the closed attempts those that were not the first of their task.
    pub(crate) retried: u64,
    /// How long workers had the closed attempts, in milliseconds.
    pub(crate) service_ms: u64,
    /// How long the closed attempts had waited for a worker, in milliseconds.
    pub(crate) waited_ms: u64,
    /// When the latest attempt closed.
    pub(crate) last_closed: Option<Timestamp>,
}

/// Where a task of a run stands; none where it is no task for workers, or waits for none.
pub(crate) fn entry(plan: &Plan, run: &Run, path: &TaskPath) -> Option<Entry> {
    let row = run.rows.get(path)?;
    let work = row.work()?;
    if plan.work(row.node).is_none_or(|node| node.child.is_some()) {
        return None;
    }
    let standing = match &work.stage {
        Stage::Ready { since } => Standing::Ready(*since),
        // Somebody else completes it: no worker has it, and no queue.
        Stage::Open(open) if open.accepted => return None,
        Stage::Open(open) if open.started.is_some() => Standing::Running,
        Stage::Open(_) => Standing::Published(ready_at(work)?),
        Stage::Waiting { until, .. } => Standing::Due(*until),
        Stage::Held | Stage::Closed => return None,
    };
    Some(Entry { queue: work.queue.as_str().into(), standing })
}

fn ready_at(work: &run::Work) -> Option<Timestamp> {
    work.attempts.last().map(|attempt| attempt.ready_at)
}

/// Where every open task of a run stands.
pub(crate) fn entries(plan: &Plan, run: &Run) -> Entries {
    run.rows.keys().filter_map(|path| Some((path.clone(), entry(plan, run, path)?))).collect()
}

impl Books {
    /// Takes in the open tasks of a run that was found at a take-over.
    pub(crate) fn take_in(&mut self, run: &RunKey, entries: &Entries) {
        for (path, entry) in entries {
            self.line(&entry.queue, &run.tenant).enter(entry.standing, number(run, path));
        }
    }

    /// Moves a task from where it stood to where it stands now.
    pub(crate) fn moves(&mut self, run: &RunKey, path: &TaskPath, from: Option<&Entry>, to: Option<&Entry>) {
        let number = number(run, path);
        if let Some(from) = from {
            self.line(&from.queue, &run.tenant).leave(from.standing, number);
        }
        if let Some(to) = to {
            let line = self.line(&to.queue, &run.tenant);
            line.enter(to.standing, number);
            let was_ready =
                matches!(from.map(|from| from.standing), Some(Standing::Ready(_) | Standing::Published(_)));
            line.sums.arrived += u64::from(matches!(to.standing, Standing::Ready(_)) && !was_ready);
        }
    }

    /// Counts an attempt that has closed.
    pub(crate) fn closed(&mut self, closed: &ClosedAttempt) {
        if closed.is_child {
            return;
        }
        let attempt = &closed.attempt;
        let queue: Arc<str> = attempt.queue.as_str().into();
        let sums = &mut self.line(&queue, &closed.run.tenant).sums;
        sums.completed += u64::from(attempt.error.is_none());
        sums.failed += u64::from(attempt.error.is_some());
        sums.retried += u64::from(closed.number > 1);
        let (service, waited) = figures::times(attempt);
        sums.service_ms = sums.service_ms.saturating_add(service);
        sums.waited_ms = sums.waited_ms.saturating_add(waited);
        sums.last_closed = sums.last_closed.max(attempt.end_time);
    }

    /// What stands where now, a line for each queue and tenant that has anything to tell.
    pub(crate) fn figures(&self, now: Timestamp, horizon: Span) -> Vec<Figures> {
        let soon = (now.after(horizon), u64::MAX);
        let lines =
            self.lines.iter().flat_map(|(queue, tenants)| tenants.iter().map(move |of| (queue, of.0, of.1)));
        lines
            .map(|(queue, tenant, line)| Figures {
                queue: queue.to_string(),
                tenant: tenant.to_string(),
                ready: line.ready,
                published: line.published,
                running: line.running,
                due: line.due.len() as u64,
                due_soon: line.due.range(..=soon).take(MOST_COUNTED).count() as u64,
                oldest: line.waiting.first().map(|(since, _)| *since),
                sums: line.sums,
            })
            .collect()
    }

    /// What has happened so far, without what stands where.
    fn past(&self) -> impl Iterator<Item = Figures> {
        self.lines.iter().flat_map(|(queue, tenants)| {
            tenants.iter().map(move |(tenant, line)| Figures {
                queue: queue.to_string(),
                tenant: tenant.to_string(),
                sums: line.sums,
                ..Figures::default()
            })
        })
    }

    fn line(&mut self, queue: &Arc<str>, tenant: &Arc<str>) -> &mut Line {
        let is_new = self.lines.get(queue).is_none_or(|tenants| !tenants.contains_key(tenant));
        let tenant = if is_new && self.count >= MOST_LINES { Arc::from(OTHERS) } else { tenant.clone() };
        let tenants = self.lines.entry(queue.clone()).or_default();
        self.count += usize::from(!tenants.contains_key(&tenant));
        tenants.entry(tenant).or_default()
    }
}

impl Line {
    fn enter(&mut self, standing: Standing, number: u64) {
        match standing {
            Standing::Ready(since) => {
                self.ready += 1;
                self.waiting.insert((since, number));
            }
            Standing::Published(since) => {
                self.published += 1;
                self.waiting.insert((since, number));
            }
            Standing::Running => self.running += 1,
            Standing::Due(at) => drop(self.due.insert((at, number))),
        }
    }

    fn leave(&mut self, standing: Standing, number: u64) {
        match standing {
            Standing::Ready(since) => {
                self.ready = self.ready.saturating_sub(1);
                self.waiting.remove(&(since, number));
            }
            Standing::Published(since) => {
                self.published = self.published.saturating_sub(1);
                self.waiting.remove(&(since, number));
            }
            Standing::Running => self.running = self.running.saturating_sub(1),
            Standing::Due(at) => drop(self.due.remove(&(at, number))),
        }
    }
}

/// Tells tasks of one time apart. Two with the same number would be taken for one, in the ages alone.
fn number(run: &RunKey, path: &TaskPath) -> u64 {
    BuildHasherDefault::<std::hash::DefaultHasher>::default().hash_one((run.run, path))
}

/// Books that the owners of partitions keep and their node reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<Shelf>>);

#[derive(Debug, Default)]
struct Shelf {
    books: Map<u32, Arc<Mutex<Books>>>,
    /// What had happened in partitions that have left: who reads rates from sums must never see one fall.
    past: figures::Sum,
}

/// The books of a partition that is owned here. Dropping it takes them off the shelf.
#[derive(Debug)]
pub(crate) struct Kept {
    ledger: Ledger,
    partition: u32,
    books: Arc<Mutex<Books>>,
}

impl Ledger {
    /// Begins new books of a partition. The node sees them once they are shelved.
    pub(crate) fn begin(&self, partition: u32) -> Kept {
        Kept { ledger: self.clone(), partition, books: Arc::default() }
    }

    /// What stands where in all partitions that are owned here, and which these are.
    pub(crate) fn figures(&self, now: Timestamp, horizon: Span) -> (Vec<u32>, Vec<Figures>) {
        let shelf = lock(&self.0);
        let mut all = shelf.past.clone();
        let mut partitions: Vec<u32> = shelf.books.keys().copied().collect();
        partitions.sort_unstable();
        let books: Vec<_> = shelf.books.values().cloned().collect();
        drop(shelf);
        for books in books {
            lock(&books).figures(now, horizon).into_iter().for_each(|figures| all.add(figures));
        }
        (partitions, all.figures())
    }
}

impl Kept {
    /// Puts the books where the node reads them: all open tasks are in them by now.
    pub(crate) fn shelve(&self) {
        lock(&self.ledger.0).books.insert(self.partition, self.books.clone());
    }

    /// The books, for an entry.
    pub(crate) fn open(&self) -> MutexGuard<'_, Books> {
        lock(&self.books)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut shelf = lock(&self.ledger.0);
        // The next owner may be this node again, and have shelved its own.
        if shelf.books.get(&self.partition).is_some_and(|books| Arc::ptr_eq(books, &self.books)) {
            shelf.books.remove(&self.partition);
            lock(&self.books).past().for_each(|figures| shelf.past.add(figures));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere may leave an entry out; the figures are for people and rates, nothing rests on them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
