//! What a node tells of the admission of its task queues.

use super::Node;

impl Node {
    /// How many tasks of a queue wait here to be let out.
    pub fn waiting(&self, queue: &str) -> usize {
        self.shared.admissions.standing(queue).map_or(0, |standing| standing.waiting)
    }
}
