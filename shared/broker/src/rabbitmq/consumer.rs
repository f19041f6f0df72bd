//! A consumer of one queue on a channel of its own, and the handle that settles its deliveries.
//!
//! Made by [`super::RabbitMq`]. It never consumes again by itself: when its channel or connection is lost, or the server
//! cancels it, it has ended.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, message};
use tokio::runtime::Handle;
use tokio::task::coop;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::declare::Control;
use super::tags::Tags;
use super::{reason, wire};
use crate::{Acknowledge, Consumer, Delivery, Error, Subscription};

/// So many looks in a row must find a queue that is not empty before a consumer that gets nothing gives itself up: one
/// may meet a message that is just on its way.
const LOOKS: u32 = 2;

/// Ends when dropped.
pub(super) struct RabbitConsumer {
    queue: String,
    control: Arc<Control>,
    deliveries: lapin::Consumer,
    held: Arc<Held>,
    silence: Silence,
}

/// The channel, until the consumer ends, and what was handed out.
struct Held {
    open: Mutex<Open>,
    /// The consumer's name on its channel.
    name: ShortString,
    limit: Duration,
    /// Where the channel is closed: a consumer may be dropped by a thread without a runtime.
    runtime: Handle,
}

struct Open {
    channel: Option<Channel>,
    tags: Tags,
}

/// Since when nothing has come.
struct Silence {
    span: Duration,
    since: Instant,
    next_look: Pin<Box<Sleep>>,
    /// How many looks in a row found messages that did not come.
    looks: u32,
}

impl RabbitConsumer {
    pub(super) async fn join(
        control: Arc<Control>,
        subscription: Subscription,
        silence: Duration,
    ) -> Result<Self, Error> {
        let Subscription { queue, prefetch, priority } = subscription;
        if prefetch == 0 {
            return Err(Error::Refused("a prefetch must be at least 1".to_owned()));
        }
        let name = wire::short("name of the queue", queue.clone())?;
        let channel = control.open().await?;
        let mut arguments = FieldTable::default();
        arguments.insert("x-priority".into(), AMQPValue::LongInt(priority));
        let consuming = async {
            channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
            channel.basic_consume(name, "".into(), BasicConsumeOptions::default(), arguments).await
        };
        let deliveries = timeout(control.limit(), consuming)
            .await
            .map_err(|_| reason::no_answer(&format!("consuming the queue '{queue}'"), control.limit()))?
            .map_err(|error| reason::of_queue(&queue, &error))?;
        let held = Arc::new(Held {
            open: Mutex::new(Open { channel: Some(channel), tags: Tags::default() }),
            name: deliveries.tag(),
            limit: control.limit(),
            runtime: Handle::current(),
        });
        Ok(Self { queue, control, deliveries, held, silence: Silence::new(silence) })
    }

    /// Looks, when nothing has come for a while, whether something should have.
    async fn look(&mut self) -> Result<(), Error> {
        if !self.silence.is_over() || self.held.holds_something() {
            self.silence.wait_on();
            return Ok(());
        }
        self.silence.wait_anew();
        match self.control.depth(&self.queue).await {
            Ok(0) => self.silence.looks = 0,
            Ok(depth) => {
                self.silence.looks += 1;
                if self.silence.looks >= LOOKS {
                    let queue = &self.queue;
                    tracing::warn!(queue, depth, "messages wait, but none came for long; consuming anew");
                    return Err(self.held.end());
                }
            }
            Err(Error::NoQueue(_)) => return Err(self.held.end()),
            // The connection tells of its own end.
            Err(_) => {}
        }
        Ok(())
    }
}

#[async_trait]
impl Consumer for RabbitConsumer {
    async fn receive(&mut self, max: usize) -> Result<Vec<Delivery>, Error> {
        // A queue that never runs dry would otherwise keep its thread from all other tasks.
        coop::consume_budget().await;
        let first = loop {
            if !self.held.is_open() {
                return Err(self.held.end());
            }
            tokio::select! {
                biased;
                next = self.deliveries.next() => match next {
                    Some(Ok(first)) => break first,
                    Some(Err(_)) | None => return Err(self.held.end()),
                },
                () = self.silence.next_look.as_mut() => self.look().await?,
            }
        };
        // From here on nothing waits: whoever drops this future loses no delivery.
        self.silence.broken();
        let mut batch = vec![first];
        while batch.len() < max {
            match self.deliveries.next().now_or_never() {
                Some(Some(Ok(next))) => batch.push(next),
                Some(Some(Err(_)) | None) => {
                    // The end is told once only: it is remembered for the next call.
                    self.held.end();
                    break;
                }
                None => break,
            }
        }
        Ok(self.held.hand_out(batch))
    }

    async fn stop(&mut self) -> Result<(), Error> {
        let channel = self.held.lock().channel.clone().ok_or(Error::Ended)?;
        let cancelling = channel.basic_cancel(self.held.name.clone(), BasicCancelOptions::default());
        let limit = self.control.limit();
        timeout(limit, cancelling)
            .await
            .map_err(|_| reason::no_answer(&format!("stopping to consume '{}'", self.queue), limit))?
            .map_err(|_| Error::Ended)?;
        // What was on its way before the server knew: it came before the server's answer.
        while let Some(Some(Ok(unreceived))) = self.deliveries.next().now_or_never() {
            for delivery in self.held.hand_out(vec![unreceived]) {
                self.held.reject(delivery.tag, true).await?;
            }
        }
        Ok(())
    }

    fn acknowledger(&self) -> Arc<dyn Acknowledge> {
        Arc::clone(&self.held) as Arc<dyn Acknowledge>
    }
}

impl Drop for RabbitConsumer {
    fn drop(&mut self) {
        self.held.end();
    }
}

impl Held {
    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the channel stands. What it brought before it was lost goes to others too by now.
    fn is_open(&self) -> bool {
        self.lock().channel.as_ref().is_some_and(|channel| channel.status().connected())
    }

    fn holds_something(&self) -> bool {
        !self.lock().tags.is_empty()
    }

    fn hand_out(&self, incoming: Vec<message::Delivery>) -> Vec<Delivery> {
        let mut open = self.lock();
        incoming.iter().for_each(|delivery| open.tags.hand_out(delivery.delivery_tag));
        drop(open);
        incoming.into_iter().map(wire::delivery).collect()
    }

    /// Closes the channel, so that the server gives what is unsettled to others, in order.
    fn end(&self) -> Error {
        if let Some(channel) = self.lock().channel.take() {
            let mut ending = Box::pin(end(channel, self.name.clone(), self.limit));
            // Asked once, so that its first word stands behind every acknowledgement.
            if ending.as_mut().now_or_never().is_none() {
                self.runtime.spawn(ending);
            }
        }
        Error::Ended
    }

    /// Calls `send` with the channel and the tags. Under the lock, so that acknowledgements reach the server in the order
    /// in which the tags were taken out: otherwise one could name a delivery that another has just settled.
    fn settle(
        &self,
        send: impl FnOnce(&Channel, &mut Tags) -> Option<lapin::Result<()>>,
    ) -> Result<(), Error> {
        let mut open = self.lock();
        let Open { channel, tags } = &mut *open;
        let channel = channel.as_ref().filter(|channel| channel.status().connected()).ok_or(Error::Ended)?;
        match send(channel, tags) {
            // Queued: that it is written to the socket says no more.
            None | Some(Ok(())) => Ok(()),
            Some(Err(_)) => Err(Error::Ended),
        }
    }
}

/// Cancels the consumer, then closes its channel. The server keeps acknowledgements of a quorum queue back while many are
/// under way, and forgets them with the channel: their messages would come again. Before it answers the cancelling it has
/// heard of those under way, and passes the rest on.
async fn end(channel: Channel, consumer: ShortString, limit: Duration) {
    let _ = timeout(limit, channel.basic_cancel(consumer, BasicCancelOptions::default())).await;
    let _ = timeout(limit, channel.close(200, "OK".into())).await;
}

#[async_trait]
impl Acknowledge for Held {
    async fn ack(&self, tag: u64) -> Result<(), Error> {
        self.settle(|channel, tags| {
            tags.settle(tag)
                .then(|| channel.basic_ack(tag, BasicAckOptions::default()).now_or_never())
                .flatten()
        })
    }

    async fn ack_through(&self, tag: u64) -> Result<(), Error> {
        let options = BasicAckOptions { multiple: true };
        self.settle(|channel, tags| channel.basic_ack(tags.settle_through(tag)?, options).now_or_never())
    }

    async fn reject(&self, tag: u64, requeue: bool) -> Result<(), Error> {
        let options = BasicRejectOptions { requeue };
        self.settle(|channel, tags| {
            tags.settle(tag).then(|| channel.basic_reject(tag, options).now_or_never()).flatten()
        })
    }
}

impl Silence {
    fn new(span: Duration) -> Self {
        Self { span, since: Instant::now(), next_look: Box::pin(sleep(span)), looks: 0 }
    }

    /// Something came.
    fn broken(&mut self) {
        self.since = Instant::now();
        self.looks = 0;
    }

    fn is_over(&self) -> bool {
        self.since.elapsed() >= self.span
    }

    /// The next look comes when it has been silent for long enough.
    fn wait_on(&mut self) {
        let due = (self.since + self.span).max(Instant::now() + self.span / 4);
        self.next_look.as_mut().reset(due);
    }

    /// The next look comes after another such span.
    fn wait_anew(&mut self) {
        self.next_look.as_mut().reset(Instant::now() + self.span);
    }
}
