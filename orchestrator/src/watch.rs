//! What happens, for those who look on: a bounded broadcast that never holds anything up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};
use oarlock_protocol::{ErrorDetails, RunKey, TaskPath, Timestamp};
use tokio::sync::{broadcast, oneshot};

/// How many changes a slow watcher may lag behind before it misses some.
const KEPT: usize = 4096;

/// A committed change of status.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// In which run.
    pub run: RunKey,
    /// When.
    pub at: Timestamp,
    /// What changed.
    pub what: Changed,
}

/// What changed its status.
#[derive(Clone, Debug, PartialEq)]
pub enum Changed {
    /// A task or step of the run.
    Task {
        /// Where it stands.
        path: TaskPath,
        /// Its status now.
        status: TaskStatus,
        /// The number of its attempts.
        attempt: u32,
        /// Its error, where it has one.
        error: Option<ErrorDetails>,
    },
    /// The run.
    Run {
        /// Its status now.
        status: WorkflowStatus,
    },
}

/// Sends changes to whoever watches, and ends of runs to whoever waits for one.
#[derive(Clone, Debug)]
pub struct Watch {
    changes: broadcast::Sender<Change>,
    waiting: Waiting,
}

/// Those who wait for the end of a run, by run: who waits for one is not woken by the others.
type Waiting = Arc<Mutex<HashMap<RunKey, Vec<oneshot::Sender<WorkflowStatus>>>>>;

impl Default for Watch {
    fn default() -> Self {
        Self { changes: broadcast::Sender::new(KEPT), waiting: Waiting::default() }
    }
}

impl Watch {
    /// Receives every change from now on; a receiver that lags too far is told how many it missed.
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Whether anyone watches every change.
    pub fn is_watched(&self) -> bool {
        self.changes.receiver_count() > 0
    }

    /// How many watch every change, or wait for the end of a run.
    pub fn watchers(&self) -> usize {
        self.changes.receiver_count() + lock(&self.waiting).values().map(Vec::len).sum::<usize>()
    }

    /// Tells a change; without watchers it is dropped.
    pub fn tell(&self, change: Change) {
        let ended = match change.what {
            Changed::Run { status } if status.is_terminal() => Some((status, change.run.clone())),
            Changed::Run { .. } | Changed::Task { .. } => None,
        };
        if self.is_watched() {
            self.changes.send(change).ok();
        }
        if let Some((status, run)) = ended
            && let Some(waiting) = lock(&self.waiting).remove(&run)
        {
            for waits in waiting {
                waits.send(status).ok();
            }
        }
    }

    /// The end of a run, where it comes after this call.
    pub fn end_of(&self, run: &RunKey) -> EndOf {
        let (sender, end) = oneshot::channel();
        lock(&self.waiting).entry(run.clone()).or_default().push(sender);
        EndOf { run: run.clone(), waiting: self.waiting.clone(), end }
    }

    /// Ends all waits that began before this call: none of them sees an end.
    pub fn end_waits(&self) {
        lock(&self.waiting).clear();
    }
}

/// Waits for the end of a run. Dropping it leaves nothing behind.
#[derive(Debug)]
pub struct EndOf {
    run: RunKey,
    waiting: Waiting,
    end: oneshot::Receiver<WorkflowStatus>,
}

impl EndOf {
    /// The status the run ended in; none where the node ended first.
    pub async fn status(&mut self) -> Option<WorkflowStatus> {
        (&mut self.end).await.ok()
    }
}

impl Drop for EndOf {
    fn drop(&mut self) {
        self.end.close();
        let mut waiting = lock(&self.waiting);
        if let Some(senders) = waiting.get_mut(&self.run) {
            senders.retain(|sender| !sender.is_closed());
            if senders.is_empty() {
                waiting.remove(&self.run);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves the map whole: each change of it is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use oarlock_protocol::RunId;

    use super::*;

    fn ended(run: &RunKey) -> Change {
        let what = Changed::Run { status: WorkflowStatus::Completed };
        Change { run: run.clone(), at: Timestamp::default(), what }
    }

    #[tokio::test]
    async fn pain_22_who_waits_for_an_end_hears_of_it_and_leaves_nothing_behind() {
        let watch = Watch::default();
        let [one, two] = ["1", "2"].map(|key| RunKey::new("t", RunId::keyed("t", "d", key)));
        let (mut first, mut second, other) = (watch.end_of(&one), watch.end_of(&one), watch.end_of(&two));
        watch.tell(ended(&one));
        assert_eq!(first.status().await, Some(WorkflowStatus::Completed));
        assert_eq!(second.status().await, Some(WorkflowStatus::Completed));
        drop((first, second, other));
        assert!(lock(&watch.waiting).is_empty());
    }
}
