//! The worker's own queue: cancels, and answers to its signs of life.

use std::sync::Arc;

use oarlock_broker::{Consumer, Delivery, Error, Subscription, topology};
use oarlock_protocol::message::{ControlMessage, Order};
use tokio::time::sleep;

use super::verdict::Ending;
use super::{Shared, backoff};

/// Orders are small and handled at once.
const PREFETCH: u16 = 256;
/// The queue has one consumer.
const PRIORITY: i32 = 0;

/// Makes the control queue and begins to consume it.
pub(super) async fn open(shared: &Shared) -> Result<Box<dyn Consumer>, Error> {
    shared.broker.declare(&topology::control_declaration(shared.worker_id.as_str())).await?;
    let queue = shared.control_queue.clone();
    shared.broker.consume(Subscription { queue, prefetch: PREFETCH, priority: PRIORITY }).await
}

/// Obeys orders, and opens the queue again whenever it is lost.
pub(super) async fn run(shared: Arc<Shared>, mut opened: Option<Box<dyn Consumer>>) {
    let mut failures = 0;
    loop {
        let error = match opened.take() {
            Some(mut consumer) => obey(&shared, &mut *consumer, &mut failures).await,
            None => match open(&shared).await {
                Ok(consumer) => {
                    opened = Some(consumer);
                    continue;
                }
                Err(error) => error,
            },
        };
        failures += 1;
        if failures == 1 {
            tracing::warn!(queue = shared.control_queue, %error, "waiting for the control queue");
        }
        sleep(backoff::delay(failures)).await;
    }
}

async fn obey(shared: &Shared, consumer: &mut dyn Consumer, failures: &mut u32) -> Error {
    let acknowledger = consumer.acknowledger();
    loop {
        let batch = match consumer.receive(usize::from(PREFETCH)).await {
            Ok(batch) => batch,
            Err(error) => return error,
        };
        *failures = 0;
        batch.iter().for_each(|delivery| order(shared, delivery));
        if let Some(last) = batch.last()
            && let Err(error) = acknowledger.ack_through(last.tag).await
        {
            return error;
        }
    }
}

fn order(shared: &Shared, delivery: &Delivery) {
    let message: ControlMessage = match serde_json::from_slice(&delivery.message.body) {
        Ok(message) => message,
        // The queue goes with this process: there is nobody to park it for.
        Err(error) => return tracing::warn!(%error, "an order that cannot be understood"),
    };
    let (executions, grace) = (&shared.executions, shared.limits.cancel_grace);
    match message.order {
        Order::Continue { .. } => executions.answered(message.execution_id),
        Order::Cancel { reason } => executions.end(message.execution_id, Ending::Cancelled(reason), grace),
        Order::Closed => executions.end(message.execution_id, Ending::Closed, grace),
    }
}
