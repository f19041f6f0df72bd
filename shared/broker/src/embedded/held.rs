//! The deliveries of one consumer: assigned to it, handed to it, settled by tag.
//!
//! The consumer's queue calls it under its lock. It never settles what was not handed out: a tag that nobody has seen
//! names nothing.

use std::collections::VecDeque;

use crate::{Delivery, Message};

/// Settled slots that may stand before they are swept out: keeps sweeping rare where deliveries are settled out of order.
const SLACK: usize = 64;

/// A message in a queue.
pub(super) struct Entry {
    /// What was sent.
    pub(super) message: Message,
    /// How often it was handed out.
    pub(super) deliveries: u32,
    /// Its place in the order of arrival.
    pub(super) position: u64,
}

/// What one consumer holds, in the order of tags.
#[derive(Default)]
pub(super) struct Held {
    slots: VecDeque<Slot>,
    /// How many slots are not settled.
    unsettled: usize,
    /// How many slots, all at the back, are not handed out.
    waiting: usize,
    last_tag: u64,
}

struct Slot {
    tag: u64,
    /// Absent once settled.
    entry: Option<Entry>,
}

impl Held {
    /// How many messages are assigned or handed out, and not settled.
    pub(super) fn unsettled(&self) -> usize {
        self.unsettled
    }

    /// Assigns a message; answers whether it is the only one that waits to be handed out.
    pub(super) fn assign(&mut self, entry: Entry) -> bool {
        self.last_tag += 1;
        self.slots.push_back(Slot { tag: self.last_tag, entry: Some(entry) });
        self.unsettled += 1;
        self.waiting += 1;
        self.waiting == 1
    }

    /// Hands out at most `max` of the messages that wait.
    pub(super) fn hand_out(&mut self, max: usize) -> Vec<Delivery> {
        let first = self.slots.len() - self.waiting;
        let count = self.waiting.min(max);
        self.waiting -= count;
        self.slots.range_mut(first..first + count).filter_map(Slot::deliver).collect()
    }

    /// Takes out the delivery with this tag.
    pub(super) fn settle(&mut self, tag: u64) -> Option<Entry> {
        let index = self.slots.binary_search_by_key(&tag, |slot| slot.tag).ok()?;
        if index >= self.slots.len() - self.waiting {
            return None;
        }
        let entry = self.slots.get_mut(index)?.entry.take()?;
        self.unsettled -= 1;
        self.sweep();
        Some(entry)
    }

    /// Takes out every delivery up to and with this tag.
    pub(super) fn settle_through(&mut self, tag: u64) -> Vec<Entry> {
        let handed = self.slots.len() - self.waiting;
        let through = self.slots.partition_point(|slot| slot.tag <= tag).min(handed);
        let settled: Vec<_> = self.slots.drain(..through).filter_map(|slot| slot.entry).collect();
        self.unsettled -= settled.len();
        settled
    }

    /// Takes out what was not handed out, in the order of tags.
    pub(super) fn take_waiting(&mut self) -> Vec<Entry> {
        let handed = self.slots.len() - self.waiting;
        self.waiting = 0;
        let taken: Vec<_> = self.slots.drain(handed..).filter_map(|slot| slot.entry).collect();
        self.unsettled -= taken.len();
        taken
    }

    /// Everything that is not settled, in the order of tags.
    pub(super) fn into_entries(self) -> impl DoubleEndedIterator<Item = Entry> {
        self.slots.into_iter().filter_map(|slot| slot.entry)
    }

    /// Removes settled slots: at the front always, in between when they are the greater part.
    fn sweep(&mut self) {
        while self.slots.front().is_some_and(|slot| slot.entry.is_none()) {
            self.slots.pop_front();
        }
        if self.slots.len() > 2 * self.unsettled + SLACK {
            self.slots.retain(|slot| slot.entry.is_some());
        }
    }
}

impl Slot {
    fn deliver(&mut self) -> Option<Delivery> {
        let entry = self.entry.as_mut()?;
        entry.deliveries = entry.deliveries.saturating_add(1);
        Some(Delivery {
            tag: self.tag,
            deliveries: entry.deliveries,
            user_id: None,
            message: entry.message.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(count: u64) -> Held {
        let mut held = Held::default();
        for position in 0..count {
            held.assign(Entry { message: Message::default(), deliveries: 0, position });
        }
        held
    }

    #[test]
    fn a_tag_that_was_not_handed_out_names_nothing() {
        let mut held = held(3);
        assert_eq!(held.hand_out(1).len(), 1);
        assert!(held.settle(2).is_none());
        assert_eq!(held.settle_through(u64::MAX).len(), 1);
        assert_eq!(held.hand_out(9).iter().map(|d| d.tag).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn a_delivery_settles_once() {
        let mut held = held(2);
        held.hand_out(2);
        assert!(held.settle(2).is_some());
        assert!(held.settle(2).is_none());
        assert_eq!(held.settle_through(2).len(), 1);
        assert_eq!(held.unsettled(), 0);
    }

    #[test]
    fn one_old_delivery_does_not_let_the_settled_pile_up() {
        let mut held = held(1);
        held.hand_out(1);
        for tag in 2..10_000 {
            held.assign(Entry { message: Message::default(), deliveries: 0, position: tag });
            held.hand_out(1);
            assert!(held.settle(tag).is_some());
        }
        assert!(held.slots.len() <= 2 + SLACK, "{}", held.slots.len());
        assert_eq!(held.into_entries().map(|entry| entry.position).collect::<Vec<_>>(), [0]);
    }
}
