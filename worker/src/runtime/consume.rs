//! Takes deliveries of one task queue while there are slots, and takes the queue up again whenever its consumer ends.

use std::sync::Arc;

use oarlock_broker::{Consumer, Error, Subscription};
use tokio::sync::watch;

use super::channel::Channel;
use super::{Shared, backoff, execute};

/// All consumers of a queue are alike: the broker spreads its messages over them.
const PRIORITY: i32 = 0;

/// Consumes `queue` until `stop`; after that it holds what was begun until it is dropped, and gives back the rest.
pub(super) async fn run(shared: Arc<Shared>, queue: String, mut stop: watch::Receiver<bool>) {
    let subscription = Subscription { queue, prefetch: shared.prefetch, priority: PRIORITY };
    let mut failures = 0;
    loop {
        let error = match shared.broker.consume(subscription.clone()).await {
            Ok(mut consumer) => {
                match take(&shared, &subscription.queue, &mut *consumer, &mut stop, &mut failures).await {
                    None => {
                        // Others get what this worker would only keep waiting.
                        if let Err(error) = consumer.stop().await {
                            tracing::debug!(queue = subscription.queue, %error, "the consumer has ended");
                        }
                        // The consumer must live: with it, what still runs would go back to the queue.
                        return std::future::pending().await;
                    }
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
            () = tokio::time::sleep(backoff::delay(failures)) => {}
            _ = stop.wait_for(|stopped| *stopped) => return,
        }
    }
}

/// Takes deliveries until the consumer ends (its error) or the worker is to stop (nothing).
async fn take(
    shared: &Arc<Shared>,
    queue: &str,
    consumer: &mut dyn Consumer,
    stop: &mut watch::Receiver<bool>,
    failures: &mut u32,
) -> Option<Error> {
    let channel = Channel::new(consumer.acknowledger());
    loop {
        let batch = tokio::select! {
            biased;
            _ = stop.wait_for(|stopped| *stopped) => return None,
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
                _ = stop.wait_for(|stopped| *stopped) => None,
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
