//! The workers, as this node hears them.

use super::Node;
use crate::fleet::WorkerEntry;

impl Node {
    /// The workers that beat, and those that stopped to so lately that they are still shown; by their ids. A node that has
    /// just started knows one after its next beat.
    pub fn workers(&self) -> Vec<WorkerEntry> {
        self.workers.entries(|queue| self.lookout.ready_of(queue))
    }
}
