//! One side of the floor: a consumer of one queue, and a channel that publishes what follows from its messages.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer};
use tokio::sync::oneshot;

use super::super::reason;
use super::batch::{Batches, Letter};
use super::{TASKS, take_one};
use crate::Error;

/// A consumer that ends when it is dropped, with its channel.
pub(super) struct Side {
    consuming: Channel,
    deliveries: Consumer,
    batches: Batches,
}

impl Side {
    pub(super) async fn open(
        publishing: &Connection,
        consuming: &Connection,
        queue: &str,
        batch: usize,
    ) -> Result<Self, Error> {
        let opening = async {
            let publisher = publishing.create_channel().await?;
            publisher.confirm_select(ConfirmSelectOptions::default()).await?;
            let channel = consuming.create_channel().await?;
            let prefetch = u16::try_from(2 * batch).unwrap_or(u16::MAX).max(1000);
            channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
            let options = BasicConsumeOptions::default();
            let deliveries =
                channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?;
            Ok((publisher, channel, deliveries))
        };
        let (publisher, consuming, deliveries) =
            opening.await.map_err(|error| reason::unavailable(&error))?;
        Ok(Self { consuming, deliveries, batches: Batches::start(publisher) })
    }

    /// Its channels, to be closed at the end.
    pub(super) fn channels(&self) -> [Channel; 2] {
        [self.consuming.clone(), self.batches.channel()]
    }

    /// The channel of its consumer.
    pub(super) fn channel(&self) -> &Channel {
        &self.consuming
    }

    /// Answers each task where it says, and acknowledges it once the answer is confirmed, until it is stopped.
    pub(super) async fn answer(
        mut self,
        body: Arc<[u8]>,
        batch: usize,
        mut stopped: oneshot::Receiver<()>,
    ) -> Result<(), Error> {
        loop {
            let deliveries = tokio::select! {
                received = self.receive(batch) => received?,
                _ = &mut stopped => return self.end().await,
            };
            let last = deliveries.last().map(|delivery| delivery.delivery_tag);
            let letters = deliveries.iter().map(|delivery| Letter {
                queue: delivery.properties.reply_to().clone().unwrap_or_default(),
                reply_to: None,
            });
            let acknowledged = last.map(|tag| (self.consuming.clone(), tag));
            self.batches.send(letters, &body, acknowledged).await?;
        }
    }

    /// Sends `first` tasks, then one for each that comes back while there are more; how many came back.
    pub(super) async fn collect(
        mut self,
        body: Arc<[u8]>,
        inbox: String,
        first: usize,
        left: Arc<AtomicUsize>,
        batch: usize,
    ) -> Result<usize, Error> {
        let task = || Letter { queue: TASKS.into(), reply_to: Some(inbox.as_str().into()) };
        let (mut open, mut collected) = (first, 0);
        for start in (0..first).step_by(batch.max(1)) {
            let count = batch.min(first - start);
            self.batches.send(std::iter::repeat_with(task).take(count), &body, None).await?;
        }
        while open > 0 {
            let deliveries = self.receive(batch).await?;
            collected += deliveries.len();
            open = open.saturating_sub(deliveries.len());
            let next = deliveries.iter().filter(|_| take_one(&left)).count();
            open += next;
            self.batches.send(std::iter::repeat_with(task).take(next), &body, None).await?;
            if let Some(last) = deliveries.last() {
                acknowledge(&self.consuming, last.delivery_tag);
            }
        }
        self.end().await?;
        Ok(collected)
    }

    /// Waits until all is confirmed and the server has heard of every acknowledgement: it forgets those of a quorum queue that
    /// it holds back when the channel is closed.
    async fn end(self) -> Result<(), Error> {
        self.batches.end().await?;
        let cancelled = self.consuming.basic_cancel(self.deliveries.tag(), BasicCancelOptions::default());
        cancelled.await.map_err(|error| reason::unavailable(&error))
    }

    /// Waits for a delivery, and takes what else is there.
    async fn receive(&mut self, most: usize) -> Result<Vec<Delivery>, Error> {
        let first = self.deliveries.next().await.ok_or(Error::Ended)?;
        let mut deliveries = vec![first.map_err(|error| reason::unavailable(&error))?];
        while deliveries.len() < most {
            let Some(Some(Ok(next))) = self.deliveries.next().now_or_never() else { break };
            deliveries.push(next);
        }
        Ok(deliveries)
    }
}

/// Acknowledges all up to and with this tag; that it is written to the socket says no more.
pub(super) fn acknowledge(channel: &Channel, tag: u64) {
    let _ = channel.basic_ack(tag, BasicAckOptions { multiple: true }).now_or_never();
}
