//! How many tasks wait in the queues of workers, and since when without a break, as the broker tells.
//!
//! The fleet looks now and then; what it finds is kept here. One question for each queue, and none where no worker lives.

use std::collections::{BTreeMap, BTreeSet};

use oarlock_broker::{Broker, Error, topology};
use oarlock_protocol::Timestamp;

/// The queues in which tasks wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Depths(BTreeMap<String, (u64, Timestamp)>);

impl Depths {
    /// How many tasks wait in a queue, and since when there are any; none where none wait or nothing is known.
    pub(super) fn ready_of(&self, queue: &str) -> Option<(u64, Timestamp)> {
        self.0.get(queue).copied()
    }

    /// What a look has found: the depth of each queue. Of a queue that does not stand there nothing is known any more.
    pub(super) fn take_in(&mut self, found: BTreeMap<String, u64>, now: Timestamp) {
        let before = std::mem::take(&mut self.0);
        let since = |queue: &String| before.get(queue).map_or(now, |(_, since)| *since);
        let deep = found.into_iter().filter(|(_, depth)| *depth > 0);
        self.0 = deep.map(|(queue, depth)| (queue.clone(), (depth, since(&queue)))).collect();
    }
}

/// Asks the broker for the depth of each queue.
pub(super) async fn look(broker: &dyn Broker, queues: BTreeSet<String>) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for queue in queues {
        match broker.depth(&topology::tasks(&queue)).await {
            Ok(depth) => _ = found.insert(queue, depth),
            // No workflow needs it yet.
            Err(Error::NoQueue(_) | Error::Refused(_)) => {}
            // The others would not be answered either.
            Err(Error::Unavailable(_) | Error::Ended) => break,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_deep_since_it_last_was_empty() {
        let mut depths = Depths::default();
        let at = Timestamp::from_millis;
        let mut look = |depth: Option<u64>, now| {
            let found = depth.map(|depth| ("q".to_owned(), depth)).into_iter().collect();
            depths.take_in(found, at(now));
            depths.ready_of("q")
        };
        assert_eq!(look(Some(0), 1), None);
        assert_eq!(look(Some(5), 2), Some((5, at(2))));
        assert_eq!(look(Some(7), 3), Some((7, at(2))));
        assert_eq!(look(Some(0), 4), None);
        assert_eq!(look(Some(1), 5), Some((1, at(5))));
        assert_eq!(look(None, 6), None);
        assert_eq!(look(Some(1), 7), Some((1, at(7))));
    }
}
