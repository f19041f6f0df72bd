//! What happens, for those who look on: a bounded broadcast that never holds anything up.

use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};
use oarlock_protocol::{ErrorDetails, RunKey, TaskPath, Timestamp};
use tokio::sync::broadcast;

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

/// Sends changes to whoever watches.
#[derive(Clone, Debug)]
pub struct Watch(broadcast::Sender<Change>);

impl Default for Watch {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }
}

impl Watch {
    /// Receives every change from now on; a receiver that lags too far is told how many it missed.
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.0.subscribe()
    }

    /// Whether anyone watches.
    pub fn is_watched(&self) -> bool {
        self.0.receiver_count() > 0
    }

    /// Tells a change; without watchers it is dropped.
    pub fn tell(&self, change: Change) {
        self.0.send(change).ok();
    }
}
