//! Looks at what stands still: runs, queues, workers.
//!
//! Runs are read from the store, in the partitions that are this node's to own, whoever owns them: a run that nobody looks after
//! is just what no owner tells.

use oarlock_monitor::rules::{MovedBy, QueueSnapshot, RunSnapshot};
use oarlock_protocol::{RunKey, Timestamp};
use tokio::time::sleep;

use super::Lookout;
use crate::anomalies::Fleet;
use crate::layout::Timed;
use crate::partition;
use crate::queues::QueueView;
use crate::store::{Key, Range, Store};

/// At every so manieth look of the node queues and workers are judged: each ten seconds.
const JUDGED_EVERY: f64 = 10.0;
/// At every so manieth of these runs are looked at too: each costs the store a question for each partition.
const RUNS_EVERY: u32 = 6;
/// The most runs of a partition that are told: where more stand still something else is wrong.
const MOST_RUNS: usize = 20;

impl Lookout {
    /// Looks until it is aborted; `mine` tells which partitions this node is to own.
    pub(crate) async fn patrol_for_ever(&self, mine: impl Fn() -> Vec<u32>) {
        let every = self.shared.settings.look.times(JUDGED_EVERY).into();
        let mut runs = Vec::new();
        for look in 0_u32.. {
            sleep(every).await;
            if look % RUNS_EVERY == RUNS_EVERY - 1 {
                runs = self.overdue(mine()).await;
            }
            self.anomalies.look(&runs, self.fleet());
        }
    }

    /// The queues and workers, where they are this node's to judge.
    fn fleet(&self) -> Option<Fleet> {
        let now = self.shared.clock.now();
        let by_queue = self.crew.by_queue();
        let mut state = self.state();
        if !state.queues.is_eldest(&self.me.id) {
            return None;
        }
        let manned = by_queue.iter().filter(|(_, of)| of.workers > 0).map(|(queue, _)| queue.clone());
        state.manned.note(manned, now);
        let view = state.queues.view(now, 0, &by_queue, &state.depths, None);
        let snapshot = |queue: &QueueView| QueueSnapshot {
            queue: queue.queue.clone(),
            ready: queue.for_workers(),
            ready_since: state.queues.waiting_since(&queue.queue),
            workers: queue.workers.into(),
            workers_since: state.manned.get(&queue.queue),
            last_closed: queue.last_closed,
            usual_gap: None,
            usual_duration: None,
        };
        let speed = |queue: &QueueView| {
            let service = queue.service_ms.map(oarlock_protocol::Span::from_millis);
            (queue.queue.clone(), (queue.completions_per_second, service))
        };
        let ready = |queue: &str| {
            let view = view.queues.iter().find(|of| of.queue == queue)?;
            Some((view.for_workers(), state.queues.waiting_since(queue)?))
        };
        Some(Fleet {
            queues: view.queues.iter().map(snapshot).collect(),
            speeds: view.queues.iter().map(speed).collect(),
            workers: self.crew.snapshots(&ready),
        })
    }

    /// Runs whose own time came long ago, and which nobody has looked at since.
    async fn overdue(&self, partitions: Vec<u32>) -> Vec<RunSnapshot> {
        let now = self.shared.clock.now();
        let grace =
            i64::try_from(self.shared.settings.anomalies.rules.run_grace.as_millis()).unwrap_or(i64::MAX);
        let to = now.as_millis().saturating_sub(grace);
        let mut found = Vec::new();
        for partition in partitions {
            for (run, due) in
                overdue(&*self.shared.store, partition, Timestamp::from_millis(to), MOST_RUNS).await
            {
                found.extend(self.snapshot(partition, &run, due).await);
            }
        }
        found
    }

    async fn snapshot(&self, partition: u32, key: &RunKey, due: Timestamp) -> Option<RunSnapshot> {
        let (run, _) = partition::load(&self.shared, partition, key).await.ok()??;
        if run.head.status.is_terminal() {
            return None;
        }
        let open = run.rows.iter().filter(|(_, row)| row.work().is_some() && !row.status.is_terminal());
        Some(RunSnapshot {
            tenant: key.tenant.to_string(),
            run: key.run.to_string(),
            place: open.map(|(path, _)| path.to_string()).min(),
            last_moved: run.head.updated_at,
            moved_by: MovedBy::Time(due),
        })
    }
}

/// The runs of a partition whose own time had come by `to`, each with that time, at most so many; none where the store does not
/// answer.
pub async fn overdue(
    store: &dyn Store,
    partition: u32,
    to: Timestamp,
    most: usize,
) -> Vec<(RunKey, Timestamp)> {
    let range = Range { from: i64::MIN, to: to.as_millis(), after: None, limit: most, descending: false };
    let due = store.read_sorted(partition, &Key::Timers, &range).await.unwrap_or_default();
    let runs = due.into_iter().filter_map(|(member, at)| match Timed::parse(&member) {
        Ok(Timed::Run(run)) => Some((run, Timestamp::from_millis(at))),
        _ => None,
    });
    runs.collect()
}
