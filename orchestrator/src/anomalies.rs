//! Feeds the rules of `oarlock-monitor` and hands what they find to `handling.rs`.
//!
//! Each orchestrator judges the attempts of its own partitions, after the commit that closed them, and the runs of the
//! partitions that are its to own. What concerns the fleet as a whole, queues and workers, only the orchestrator that lives
//! longest judges. What is usual is learned anew by a process that begins: nothing of it is stored.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oarlock_monitor::anomaly::{Attempt, Monitor, Outcome};
use oarlock_monitor::rules::{self, QueueSnapshot, RunSnapshot, WorkerSnapshot};
use oarlock_monitor::{Board, Change, Finding, Key, Kind, Subject};
use oarlock_protocol::code::Code;
use oarlock_protocol::{Clock, Span, Timestamp};
use tokio::sync::mpsc;

use crate::partition::observe::{ClosedAttempt, Observer};

pub(crate) mod handling;
mod retries;
mod usual;

pub use handling::{AnomaliesView, Handle, Settings};
use retries::Retries;
use usual::Usual;

/// Findings that begin or end between two turns of who handles them. Beyond that they are counted only: the list shows them.
const MOST_UNHANDLED: usize = 1_000;

/// What is unusual, as far as this node sees it.
pub(crate) struct Anomalies {
    settings: Settings,
    clock: Clock,
    state: Mutex<State>,
    changes: mpsc::Sender<Change>,
    /// Changes that nobody handled: too many at once.
    unhandled: AtomicU64,
}

struct State {
    monitor: Monitor,
    board: Board,
    retries: Retries,
    usual: BTreeMap<String, Usual>,
}

/// What a look at the whole fleet rests on.
pub(crate) struct Fleet {
    /// The queues; what is usual of them is not known yet.
    pub(crate) queues: Vec<QueueSnapshot>,
    /// How fast they move: completions a second, and how long a worker has an attempt.
    pub(crate) speeds: BTreeMap<String, (f64, Option<Span>)>,
    /// The workers.
    pub(crate) workers: Vec<WorkerSnapshot>,
}

impl Anomalies {
    /// One that knows nothing, and where what it finds comes out to be handled.
    pub(crate) fn new(settings: Settings, clock: Clock) -> (Arc<Self>, mpsc::Receiver<Change>) {
        let (changes, found) = mpsc::channel(MOST_UNHANDLED);
        let rules = settings.rules.clone();
        let state = State {
            monitor: Monitor::new(rules.clone()),
            board: Board::new(rules),
            retries: Retries::default(),
            usual: BTreeMap::new(),
        };
        let state = Mutex::new(state);
        let anomalies = Self { settings, clock, state, changes, unhandled: AtomicU64::new(0) };
        (Arc::new(anomalies), found)
    }

    /// Those who look on at closed attempts: this, where anything is watched.
    pub(crate) fn observers(self: Arc<Self>) -> Vec<Arc<dyn Observer>> {
        if self.settings.enabled { vec![self] } else { Vec::new() }
    }

    /// Whether anything is watched.
    pub(crate) fn is_enabled(&self) -> bool {
        self.settings.enabled
    }

    /// Looks at runs that stand still, at retries, and where the fleet is this node's to judge at queues and workers too.
    pub(crate) fn look(&self, runs: &[RunSnapshot], fleet: Option<Fleet>) {
        let (now, rules) = (self.clock.now(), &self.settings.rules);
        let mut state = self.state();
        let mut findings: Vec<Finding> =
            runs.iter().filter_map(|run| rules::stuck(run, rules, now)).collect();
        findings.extend(state.retries.look(now).iter().filter_map(|task| rules::storm(task, rules, now)));
        if let Some(fleet) = fleet {
            usual::learn(&mut state.usual, &fleet.speeds, now);
            for mut queue in fleet.queues {
                let usual = state.usual.get(&queue.queue);
                (queue.usual_gap, queue.usual_duration) =
                    usual.map_or((None, None), |usual| (Some(usual.gap()), usual.duration()));
                findings.extend(rules::stalled(&queue, rules, now));
            }
            findings.extend(fleet.workers.iter().filter_map(|worker| rules::silent(worker, rules, now)));
        }
        let mut changes = state.board.look(findings, now);
        changes.extend(state.monitor.tick(now));
        drop(state);
        self.hand_over(changes);
    }

    /// Everything that is open, as this node sees it, the worst first.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let now = self.clock.now();
        let state = self.state();
        let mut findings: Vec<Finding> = state.monitor.findings(now).collect();
        findings.extend(state.board.findings().cloned());
        drop(state);
        sort(&mut findings);
        findings
    }

    /// How many changes nobody handled.
    pub(crate) fn unhandled(&self) -> u64 {
        self.unhandled.load(Ordering::Relaxed)
    }

    fn hand_over(&self, changes: Vec<Change>) {
        for change in changes {
            if self.changes.try_send(change).is_err() {
                self.unhandled.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere may have left an attempt out of what is usual.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Anomalies {
    fn attempt_closed(&self, closed: &ClosedAttempt) {
        let Some(attempt) = judged(closed) else { return };
        let key = Key::new(&closed.run.tenant, &closed.task);
        let mut state = self.state();
        state.retries.count(&key, closed.number > 1, attempt.outcome == Outcome::Completed);
        let changes = state.monitor.observe(&key, &attempt);
        drop(state);
        self.hand_over(changes);
    }
}

/// A closed attempt as the rules see it; none where it says nothing of its task: it was a run, it was told to end, or no worker
/// had begun it.
fn judged(closed: &ClosedAttempt) -> Option<Attempt> {
    let attempt = &closed.attempt;
    let code = attempt.error.as_ref().map(|error| error.code.as_str());
    let untold = [Code::Cancelled, Code::UnknownTask];
    if closed.is_child || untold.iter().any(|untold| code == Some(&*untold.as_str())) {
        return None;
    }
    let measured = attempt.metrics.unwrap_or_default();
    let began = attempt.start_time;
    let (service, _) = crate::books::times(attempt);
    Some(Attempt {
        closed_at: attempt.end_time?,
        duration: began.map(|_| Span::from_millis(service)),
        queue_time: began.map(|began| began.since(attempt.ready_at)),
        outcome: if code.is_some() { Outcome::Failed } else { Outcome::Completed },
        memory: (measured.memory_bytes > 0).then_some(measured.memory_bytes),
        input_size: Some(attempt.input_bytes),
        output_size: Some(attempt.output_bytes),
    })
}

/// The worst first, then the oldest.
pub(crate) fn sort(findings: &mut [Finding]) {
    findings.sort_by(|one, other| {
        let worse = other.severity.cmp(&one.severity);
        worse.then(one.since.cmp(&other.since)).then_with(|| one.subject.cmp(&other.subject))
    });
}

/// What several orchestrators see, each finding once: of two that are the same the worse.
pub(crate) fn merged(findings: impl IntoIterator<Item = Finding>) -> Vec<Finding> {
    let mut merged: BTreeMap<(Kind, Subject), Finding> = BTreeMap::new();
    for finding in findings {
        let key = (finding.kind, finding.subject.clone());
        match merged.get_mut(&key) {
            Some(known) if known.severity >= finding.severity => {
                known.since = known.since.min(finding.since);
            }
            Some(known) => *known = Finding { since: known.since.min(finding.since), ..finding },
            None => drop(merged.insert(key, finding)),
        }
    }
    let mut findings: Vec<Finding> = merged.into_values().collect();
    sort(&mut findings);
    findings
}

/// Since when something is so, without a break.
#[derive(Debug, Default)]
pub(crate) struct Since(BTreeMap<String, Timestamp>);

impl Since {
    /// Notes which are so now.
    pub(crate) fn note(&mut self, names: impl IntoIterator<Item = String>, now: Timestamp) {
        let mut before = std::mem::take(&mut self.0);
        self.0 = names
            .into_iter()
            .map(|name| {
                let since = before.remove(&name).unwrap_or(now);
                (name, since)
            })
            .collect();
    }

    /// Since when it is so.
    pub(crate) fn get(&self, name: &str) -> Option<Timestamp> {
        self.0.get(name).copied()
    }
}

#[cfg(test)]
mod tests;
