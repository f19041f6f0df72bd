//! Which fields of the store's outbox still name something that is not confirmed.

use oarlock_engine::map::Map;

/// How much of each field of the outbox is neither confirmed nor closed. A field is named by the seq of the commit that wrote it.
#[derive(Default)]
pub(super) struct Outbox {
    open: Map<u64, usize>,
    /// Fields of which nothing is: the next commit removes them.
    done: Vec<u64>,
}

impl Outbox {
    /// Counts `count` more under a field.
    pub(super) fn enter(&mut self, field: u64, count: usize) {
        *self.open.entry(field).or_default() += count;
    }

    /// Counts one less.
    pub(super) fn leave(&mut self, field: u64) {
        let Some(count) = self.open.get_mut(&field) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.open.remove(&field);
            self.done.push(field);
        }
    }

    /// Whether a commit has something to remove.
    pub(super) fn has_done(&self) -> bool {
        !self.done.is_empty()
    }

    /// What the commit at hand removes.
    pub(super) fn take_done(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_done_when_the_last_of_it_has_left() {
        let mut outbox = Outbox::default();
        outbox.enter(7, 2);
        outbox.enter(8, 1);
        outbox.leave(7);
        assert!(!outbox.has_done());
        outbox.leave(7);
        outbox.leave(7);
        assert_eq!(outbox.take_done(), [7]);
        outbox.leave(8);
        assert_eq!(outbox.take_done(), [8]);
        assert!(!outbox.has_done());
    }
}
