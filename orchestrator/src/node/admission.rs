//! What a node is told of its task queues, and what it tells of them.

use super::Node;

impl Node {
    /// Tells how many slots the workers of a task queue have together; none where no worker of it is known. The node keeps
    /// a little more attempts of it out than these can take at once.
    pub fn tell_slots(&self, queue: &str, slots: Option<u64>) {
        self.shared.admissions.tell_slots(queue, slots);
    }

    /// How many tasks of a queue wait here to be let out.
    pub fn waiting(&self, queue: &str) -> usize {
        self.shared.admissions.standing(queue).map_or(0, |standing| standing.waiting)
    }
}
