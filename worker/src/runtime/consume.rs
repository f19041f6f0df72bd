//! Takes deliveries of one task queue while there are slots, and takes the queue up again whenever its consumer ends.
//!
//! A worker never takes what it has no slot for. An attempt that is acknowledged early keeps its slot, and to the broker it
//! looks like a free one; so the consumer is first replaced by one that may hold less. When slots are free again, by one that
//! may hold more. The replaced one is kept until all it has handed out is settled.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use oarlock_broker::{Consumer, Delivery, Error, Subscription};
use tokio::sync::{Notify, OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

use super::channel::Channel;
use super::{Phase, Shared, backoff, execute};

/// All consumers of a queue are alike: the broker spreads its messages over them.
const PRIORITY: i32 = 0;
/// A consumer is replaced no more often: each replacement costs the broker a channel, and a worker of many slots has many
/// attempts that last.
const REPLACED_EVERY: Duration = Duration::from_secs(1);

/// Consumes `queue` until the worker drains; then it gives back what was not begun, and holds the rest until all has ended.
pub(super) async fn run(shared: Arc<Shared>, queue: String, mut phase: watch::Receiver<Phase>) {
    let mut line = Line::new(shared, queue);
    loop {
        match line.next(&mut phase).await {
            Happened::Drain => return line.hold(phase).await,
            Happened::Slot(slot) => line.begin(slot).await,
            Happened::Received(Ok(deliveries)) => line.received(deliveries),
            Happened::Received(Err(error)) => {
                line.current = None;
                line.failed(&error);
            }
            Happened::Changed => line.tidy().await,
            Happened::Due => tokio::select! {
                biased;
                _ = phase.wait_for(Phase::takes_no_more) => {}
                () = line.replace() => {}
            },
        }
    }
}

/// One task queue, as this worker consumes it.
struct Line {
    shared: Arc<Shared>,
    queue: String,
    current: Option<Consuming>,
    /// Replaced consumers, with what they have handed out.
    replaced: Vec<Consuming>,
    /// Received, and waiting for a slot.
    unbegun: VecDeque<(Arc<Channel>, Delivery)>,
    /// How many attempts of this worker were acknowledged early and still run.
    lasting: watch::Receiver<usize>,
    /// Told by the channels: something is to be acknowledged early, or a replaced consumer holds less.
    changed: Arc<Notify>,
    /// When the consumer may be replaced, or is tried again.
    due: Instant,
    failures: u32,
}

struct Consuming {
    consumer: Box<dyn Consumer>,
    channel: Arc<Channel>,
    prefetch: usize,
}

enum Happened {
    /// The worker is to take no more.
    Drain,
    /// A slot for a delivery that waits for one.
    Slot(OwnedSemaphorePermit),
    Received(Result<Vec<Delivery>, Error>),
    /// Other attempts last, or have ended.
    Changed,
    /// The consumer does not hold what it should.
    Due,
}

impl Line {
    fn new(shared: Arc<Shared>, queue: String) -> Self {
        Self {
            lasting: shared.executions.lasting(),
            shared,
            queue,
            current: None,
            replaced: Vec::new(),
            unbegun: VecDeque::new(),
            changed: Arc::default(),
            due: Instant::now(),
            failures: 0,
        }
    }

    async fn next(&mut self, phase: &mut watch::Receiver<Phase>) -> Happened {
        let is_amiss = self.is_amiss();
        let Self { shared, current, unbegun, lasting, changed, due, .. } = self;
        let waits = !unbegun.is_empty();
        let received = async {
            match current {
                Some(Consuming { consumer, prefetch, .. }) => consumer.receive(*prefetch).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = phase.wait_for(Phase::takes_no_more) => Happened::Drain,
            _ = lasting.changed() => Happened::Changed,
            () = changed.notified() => Happened::Changed,
            slot = Arc::clone(&shared.slots).acquire_owned(), if waits => slot.map_or(Happened::Drain, Happened::Slot),
            () = sleep_until(*due), if is_amiss => Happened::Due,
            received = received, if !waits => Happened::Received(received),
        }
    }

    /// Begins the delivery that has waited the longest.
    async fn begin(&mut self, slot: OwnedSemaphorePermit) {
        if let Some((channel, delivery)) = self.unbegun.pop_front() {
            execute::accept(&self.shared, &channel, &self.queue, delivery, slot).await;
        }
    }

    fn received(&mut self, deliveries: Vec<Delivery>) {
        self.failures = 0;
        let Some(Consuming { channel, .. }) = &self.current else { return };
        channel.received(&deliveries);
        self.unbegun.extend(deliveries.into_iter().map(|delivery| (Arc::clone(channel), delivery)));
    }

    fn failed(&mut self, error: &Error) {
        self.failures += 1;
        if self.failures == 1 {
            tracing::info!(queue = self.queue, %error, "waiting for the queue");
        }
        self.due = Instant::now() + backoff::delay(self.failures);
    }

    /// How many deliveries there are slots for, beside the attempts that last and what replaced consumers hold.
    fn room(&self) -> usize {
        let held: usize = self.replaced.iter().map(|replaced| replaced.channel.outstanding()).sum();
        usize::from(self.shared.prefetch).saturating_sub(*self.lasting.borrow() + held)
    }

    fn is_amiss(&self) -> bool {
        match &self.current {
            Some(current) => current.prefetch != self.room() || current.channel.owes_early(),
            None => self.room() > 0,
        }
    }

    /// Lets go of replaced consumers that hold nothing any more.
    async fn tidy(&mut self) {
        for replaced in &mut self.replaced {
            replaced.channel.settle_early().await;
        }
        self.replaced.retain(|replaced| replaced.channel.outstanding() > 0);
    }

    /// Puts a consumer in the place of the current one that holds as many deliveries as there is room for. What lasts is
    /// acknowledged in between: before that the broker would fill its place, after that nothing more comes.
    async fn replace(&mut self) {
        if let Some(current) = &mut self.current {
            current.stop(&self.queue).await;
            current.channel.settle_early().await;
            self.replaced.extend(self.current.take());
        }
        self.tidy().await;
        self.due = Instant::now() + REPLACED_EVERY;
        let prefetch = self.room();
        if prefetch == 0 {
            return;
        }
        let subscription = Subscription {
            queue: self.queue.clone(),
            prefetch: u16::try_from(prefetch).unwrap_or(u16::MAX),
            priority: PRIORITY,
        };
        match self.shared.broker.consume(subscription).await {
            Ok(consumer) => {
                let channel = Channel::new(consumer.acknowledger(), Arc::clone(&self.changed));
                self.current = Some(Consuming { consumer, channel, prefetch });
            }
            Err(error) => self.failed(&error),
        }
    }

    /// Keeps consumers that take no more: without them, what still runs would go back to the queue.
    async fn hold(mut self, mut phase: watch::Receiver<Phase>) {
        for (channel, delivery) in std::mem::take(&mut self.unbegun) {
            channel.give_back(delivery.tag).await;
        }
        let mut held: Vec<Consuming> = self.replaced.into_iter().chain(self.current).collect();
        for consuming in &mut held {
            // Others get what this worker would only keep waiting.
            consuming.stop(&self.queue).await;
        }
        loop {
            for consuming in &mut held {
                consuming.channel.settle_early().await;
            }
            tokio::select! {
                biased;
                _ = phase.wait_for(|phase| *phase == Phase::Drained) => break,
                () = self.changed.notified() => {}
            }
        }
        for consuming in &mut held {
            // Once more: the broker answers after it has heard of every acknowledgement.
            consuming.stop(&self.queue).await;
        }
    }
}

impl Consuming {
    async fn stop(&mut self, queue: &str) {
        if let Err(error) = self.consumer.stop().await {
            tracing::debug!(queue, %error, "the consumer has ended; acknowledgements may be lost");
        }
        self.channel.stopped();
    }
}
