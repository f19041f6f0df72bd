//! One consumer's deliveries that are not settled yet, and their acknowledgement in as few calls as may be.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use oarlock_broker::{Acknowledge, Delivery, Error};
use tokio::sync::Notify;

/// The acknowledging side of one consumer.
pub(super) struct Channel {
    acknowledger: Arc<dyn Acknowledge>,
    /// Tags received and not settled: at most the prefetch.
    outstanding: Mutex<BTreeSet<u64>>,
    /// Of attempts that last: to be acknowledged as soon as the consumer may hold less.
    early: Mutex<Vec<u64>>,
    /// Whether the consumer takes no more.
    stopped: AtomicBool,
    /// Wakes whoever consumes the queue.
    changed: Arc<Notify>,
}

/// One delivery that is to be acknowledged once its answer is confirmed. Forgetting it leaves it to the broker.
pub(super) struct Receipt {
    channel: Arc<Channel>,
    tag: u64,
}

impl Channel {
    /// That of a consumer which has handed out nothing yet. `changed` is told when something is to be acknowledged early, and
    /// when a stopped consumer holds less.
    pub(super) fn new(acknowledger: Arc<dyn Acknowledge>, changed: Arc<Notify>) -> Arc<Self> {
        let (outstanding, early, stopped) = (Mutex::default(), Mutex::default(), AtomicBool::new(false));
        Arc::new(Self { acknowledger, outstanding, early, stopped, changed })
    }

    /// Notes deliveries that were received, all of a batch before the first of them is handled.
    pub(super) fn received(&self, deliveries: &[Delivery]) {
        let mut outstanding = self.outstanding.lock().unwrap_or_else(PoisonError::into_inner);
        outstanding.extend(deliveries.iter().map(|delivery| delivery.tag));
    }

    /// The receipt of one delivery of this channel.
    pub(super) fn receipt(self: &Arc<Self>, tag: u64) -> Receipt {
        Receipt { channel: Arc::clone(self), tag }
    }

    /// How many deliveries were received and are not settled.
    pub(super) fn outstanding(&self) -> usize {
        self.outstanding.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Notes that the consumer takes no more.
    pub(super) fn stopped(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Gives back a delivery that was received and not begun.
    pub(super) async fn give_back(&self, tag: u64) {
        self.forget(&[tag]);
        if let Err(error) = self.acknowledger.reject(tag, true).await {
            // The broker hands out again what an ended consumer held.
            tracing::debug!(%error, "a delivery could not be given back");
        }
    }

    /// Whether deliveries wait to be acknowledged early.
    pub(super) fn owes_early(&self) -> bool {
        !self.early.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Acknowledges the deliveries that wait for it.
    pub(super) async fn settle_early(&self) {
        let mut tags = std::mem::take(&mut *self.early.lock().unwrap_or_else(PoisonError::into_inner));
        if tags.is_empty() {
            return;
        }
        tags.sort_unstable();
        if let Err(error) = self.settle(&tags).await {
            tracing::debug!(%error, "deliveries could not be acknowledged early");
        }
    }

    /// Acknowledges the deliveries of these tags, which grow.
    async fn settle(&self, tags: &[u64]) -> Result<(), Error> {
        let below = self.forget(tags);
        let (through, single) = tags.split_at(below);
        match through {
            [] => {}
            [tag] => self.acknowledger.ack(*tag).await?,
            [.., last] => self.acknowledger.ack_through(*last).await?,
        }
        for tag in single {
            self.acknowledger.ack(*tag).await?;
        }
        Ok(())
    }

    /// Takes the tags off the outstanding ones; how many of them lie below every tag that stays.
    fn forget(&self, tags: &[u64]) -> usize {
        let mut outstanding = self.outstanding.lock().unwrap_or_else(PoisonError::into_inner);
        for tag in tags {
            outstanding.remove(tag);
        }
        if self.stopped.load(Ordering::Relaxed) {
            self.changed.notify_one();
        }
        outstanding.first().map_or(tags.len(), |first| tags.partition_point(|tag| tag < first))
    }
}

impl Receipt {
    /// Leaves the delivery to whoever consumes its queue, to be acknowledged before its attempt has ended.
    pub(super) fn acknowledge_early(self) {
        self.channel.early.lock().unwrap_or_else(PoisonError::into_inner).push(self.tag);
        self.channel.changed.notify_one();
    }
}

/// Acknowledges each delivery, channel by channel.
pub(super) async fn settle(mut receipts: Vec<Receipt>) {
    receipts.sort_unstable_by_key(|receipt| (Arc::as_ptr(&receipt.channel), receipt.tag));
    for group in receipts.chunk_by(|a, b| Arc::ptr_eq(&a.channel, &b.channel)) {
        let tags: Vec<u64> = group.iter().map(|receipt| receipt.tag).collect();
        let Some(Receipt { channel, .. }) = group.first() else { continue };
        if let Err(error) = channel.settle(&tags).await {
            // The broker hands them out again; they are then answered from what this worker remembers.
            tracing::debug!(%error, deliveries = tags.len(), "deliveries could not be acknowledged");
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use oarlock_broker::Message;

    use super::*;

    #[derive(Default)]
    struct Record(Mutex<Vec<(&'static str, u64)>>);

    #[async_trait]
    impl Acknowledge for Record {
        async fn ack(&self, tag: u64) -> Result<(), Error> {
            self.0.lock().unwrap().push(("one", tag));
            Ok(())
        }

        async fn ack_through(&self, tag: u64) -> Result<(), Error> {
            self.0.lock().unwrap().push(("through", tag));
            Ok(())
        }

        async fn reject(&self, _: u64, _: bool) -> Result<(), Error> {
            Ok(())
        }
    }

    fn received(tags: std::ops::RangeInclusive<u64>) -> (Arc<Record>, Arc<Channel>) {
        let record = Arc::new(Record::default());
        let channel = Channel::new(Arc::clone(&record) as Arc<dyn Acknowledge>, Arc::default());
        let deliveries: Vec<_> = tags
            .map(|tag| Delivery { tag, deliveries: 1, user_id: None, message: Message::default() })
            .collect();
        channel.received(&deliveries);
        (record, channel)
    }

    #[tokio::test]
    async fn what_is_done_below_all_that_runs_goes_in_one_call() {
        let (record, channel) = received(1..=6);
        settle([5, 2, 1, 3].map(|tag| channel.receipt(tag)).into()).await;
        assert_eq!(*record.0.lock().unwrap(), [("through", 3), ("one", 5)]);
    }

    #[tokio::test]
    async fn a_delivery_that_still_runs_is_never_acknowledged_with_others() {
        let (record, channel) = received(1..=4);
        settle([2, 3, 4].map(|tag| channel.receipt(tag)).into()).await;
        assert_eq!(*record.0.lock().unwrap(), [("one", 2), ("one", 3), ("one", 4)]);
        settle(vec![channel.receipt(1)]).await;
        assert_eq!(record.0.lock().unwrap().last(), Some(&("one", 1)));
    }

    #[tokio::test]
    async fn consumers_are_settled_apart() {
        let (first, one) = received(1..=2);
        let (second, two) = received(1..=2);
        settle(vec![one.receipt(2), two.receipt(1), one.receipt(1)]).await;
        assert_eq!(*first.0.lock().unwrap(), [("through", 2)]);
        assert_eq!(*second.0.lock().unwrap(), [("one", 1)]);
    }
}
