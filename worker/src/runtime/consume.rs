//! Takes deliveries of one task queue while there are slots, and takes the queue up again whenever its consumer ends.

use std::sync::Arc;

use oarlock_broker::{Consumer, Error, Subscription};
use tokio::sync::watch;

use super::channel::Channel;
use super::{Phase, Shared, backoff, execute};

/// All consumers of a queue are alike: the broker spreads its messages over them.
const PRIORITY: i32 = 0;

/// Consumes `queue` until the worker drains; then it gives back what was not begun, and holds the rest until all has ended.
pub(super) async fn run(shared: Arc<Shared>, queue: String, mut phase: watch::Receiver<Phase>) {
    let subscription = Subscription { queue, prefetch: shared.prefetch, priority: PRIORITY };
    let mut failures = 0;
    loop {
        let consumed = tokio::select! {
            biased;
            _ = phase.wait_for(Phase::takes_no_more) => return,
            consumed = shared.broker.consume(subscription.clone()) => consumed,
        };
        let error = match consumed {
            Ok(mut consumer) => {
                match take(&shared, &subscription.queue, &mut *consumer, &mut phase, &mut failures).await {
                    None => return hold(&mut *consumer, &subscription.queue, phase).await,
                    Some(error) => error,
                }
            }
            Err(error) => error,
        };
        failures += 1;
        if failures == 1 {
            tracing::info!(queue = subscription.queue, %error, "waiting for the queue");
        }
        tokio::select! {
            biased;
            _ = phase.wait_for(Phase::takes_no_more) => return,
            () = tokio::time::sleep(backoff::delay(failures)) => {}
        }
    }
}

/// Keeps a consumer that takes no more: without it, what still runs would go back to the queue.
async fn hold(consumer: &mut dyn Consumer, queue: &str, mut phase: watch::Receiver<Phase>) {
    // Others get what this worker would only keep waiting.
    if let Err(error) = consumer.stop().await {
        tracing::debug!(queue, %error, "the consumer has ended");
    }
    let _ = phase.wait_for(|phase| *phase == Phase::Drained).await;
    // Once more: the broker answers after it has heard of every acknowledgement.
    if let Err(error) = consumer.stop().await {
        tracing::debug!(queue, %error, "the last acknowledgements may be lost");
    }
}

/// Takes deliveries until the consumer ends (its error) or the worker is to stop (nothing).
async fn take(
    shared: &Arc<Shared>,
    queue: &str,
    consumer: &mut dyn Consumer,
    phase: &mut watch::Receiver<Phase>,
    failures: &mut u32,
) -> Option<Error> {
    let channel = Channel::new(consumer.acknowledger());
    loop {
        let batch = tokio::select! {
            biased;
            _ = phase.wait_for(Phase::takes_no_more) => return None,
            received = consumer.receive(usize::from(shared.prefetch)) => match received {
                Ok(batch) => batch,
                Err(error) => return Some(error),
            },
        };
        *failures = 0;
        channel.received(&batch);
        let mut batch = batch.into_iter();
        while let Some(delivery) = batch.next() {
            let slot = tokio::select! {
                biased;
                _ = phase.wait_for(Phase::takes_no_more) => None,
                slot = Arc::clone(&shared.slots).acquire_owned() => slot.ok(),
            };
            let Some(slot) = slot else {
                let unbegun = std::iter::once(delivery).chain(batch);
                channel.give_back(unbegun.map(|delivery| delivery.tag)).await;
                return None;
            };
            execute::accept(shared, &channel, queue, delivery, slot).await;
        }
    }
}
