//! The last answers of this process, for attempts that the broker or a new owner of the partition hands out again.
//!
//! It spares work and nothing depends on it: execution is at least once.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use oarlock_protocol::ExecutionId;

/// As many as a broker may hand out again after a lost connection, with room to spare.
const MOST: usize = 4096;
/// Larger answers are not kept: together they take 8 MiB at most.
const LARGEST_BYTES: usize = 2048;

/// The newest small answers, by attempt.
#[derive(Default)]
pub(super) struct Recent {
    bodies: HashMap<ExecutionId, Bytes>,
    oldest_first: VecDeque<ExecutionId>,
}

impl Recent {
    /// Keeps an answer, and forgets the oldest where there are too many.
    pub(super) fn keep(&mut self, execution: ExecutionId, body: Bytes) {
        if body.len() > LARGEST_BYTES || self.bodies.insert(execution, body).is_some() {
            return;
        }
        self.oldest_first.push_back(execution);
        if self.oldest_first.len() > MOST
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.bodies.remove(&oldest);
        }
    }

    /// The answer that was given to this attempt.
    pub(super) fn get(&self, execution: ExecutionId) -> Option<Bytes> {
        self.bodies.get(&execution).cloned()
    }
}

#[cfg(test)]
mod tests {
    use oarlock_protocol::{RunId, TaskInstanceId};

    use super::*;

    #[test]
    fn keeps_the_newest_small_ones() {
        let task = TaskInstanceId::of(RunId::random(), "/a");
        let mut recent = Recent::default();
        for attempt in 0..=MOST as u32 {
            recent.keep(ExecutionId::of(task, attempt), Bytes::from_static(b"{}"));
        }
        recent.keep(ExecutionId::of(task, 9_999), Bytes::from(vec![0; LARGEST_BYTES + 1]));
        assert!(recent.get(ExecutionId::of(task, 0)).is_none());
        assert!(recent.get(ExecutionId::of(task, 1)).is_some());
        assert!(recent.get(ExecutionId::of(task, 9_999)).is_none());
        assert_eq!(recent.bodies.len(), MOST);
    }
}
