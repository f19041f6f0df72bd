//! Which deliveries of one consumer were handed out and are not settled.
//!
//! Kept by the consumer under its lock. The server closes a channel that settles what it does not hold, with all its
//! deliveries; so nothing is sent that does not stand here.

use std::collections::VecDeque;

/// The tags of unsettled deliveries, in growing order: at most the prefetch.
#[derive(Default)]
pub(super) struct Tags(VecDeque<u64>);

impl Tags {
    /// A delivery is handed out; tags grow.
    pub(super) fn hand_out(&mut self, tag: u64) {
        debug_assert!(self.0.back().is_none_or(|last| *last < tag));
        self.0.push_back(tag);
    }

    /// Takes one delivery out. Whether it stood here.
    pub(super) fn settle(&mut self, tag: u64) -> bool {
        match self.0.binary_search(&tag) {
            Ok(index) => self.0.remove(index).is_some(),
            Err(_) => false,
        }
    }

    /// Takes out every delivery up to and with this tag. The last of them, which is what the server must be told: it may
    /// know `tag` no more.
    pub(super) fn settle_through(&mut self, tag: u64) -> Option<u64> {
        let count = self.0.partition_point(|held| *held <= tag);
        self.0.drain(..count).next_back()
    }

    /// Whether everything is settled.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed_out(count: u64) -> Tags {
        let mut tags = Tags::default();
        (1..=count).for_each(|tag| tags.hand_out(tag));
        tags
    }

    #[test]
    fn a_delivery_settles_once() {
        let mut tags = handed_out(3);
        assert!(tags.settle(2));
        assert!(!tags.settle(2));
        assert!(!tags.settle(4));
        assert_eq!(tags.settle_through(9), Some(3));
        assert_eq!(tags.settle_through(9), None);
        assert!(tags.is_empty());
    }

    #[test]
    fn settling_through_names_the_last_that_was_held() {
        let mut tags = handed_out(5);
        assert!(tags.settle(4));
        assert_eq!(tags.settle_through(4), Some(3));
        assert!(!tags.is_empty());
        assert!(tags.settle(5));
    }
}
