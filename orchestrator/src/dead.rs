//! Tasks that the broker gave up: each becomes a failed attempt, so that no run waits for it. Other dead mail is parked.

use std::sync::Arc;
use std::time::Duration;

use oarlock_broker::{Broker, Consumer, Delivery, Error, Message, Publication, Subscription, topology};
use oarlock_protocol::code::Code;
use oarlock_protocol::instance::TaskMetrics;
use oarlock_protocol::message::{AttemptAddress, Kind, Outcome, ResultMessage, TaskMessage};
use oarlock_protocol::{ErrorDetails, FORMAT, RunKey, WorkerId};

use crate::parked;

/// How many dead messages are taken at once: there are few.
const ROUND: usize = 64;
/// The pause before a broker that failed is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// Answers dead tasks until it is aborted.
pub(crate) async fn answer_for_ever(broker: Arc<dyn Broker>, node: String) {
    let worker = WorkerId::fresh(&node);
    loop {
        match answer(&*broker, &worker).await {
            Ok(()) => {}
            // Whoever keeps the connection tells that it is lost.
            Err(error @ (Error::Unavailable(_) | Error::Ended)) => {
                tracing::debug!(%error, "dead letters are not answered now; trying again");
            }
            Err(error) => tracing::warn!(%error, "dead letters are not answered now; trying again"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn answer(broker: &dyn Broker, worker: &WorkerId) -> Result<(), Error> {
    topology::declare_shared(broker).await?;
    let prefetch = u16::try_from(ROUND).unwrap_or(u16::MAX);
    let subscription = Subscription { queue: topology::DEAD.to_owned(), prefetch, priority: 0 };
    let mut dead: Box<dyn Consumer> = broker.consume(subscription).await?;
    let acknowledger = dead.acknowledger();
    loop {
        let deliveries = dead.receive(ROUND).await?;
        for delivery in &deliveries {
            let published = match answer_to(delivery, worker) {
                Some(answer) => broker.publish(vec![answer]).await.into_iter().collect(),
                None => park(broker, delivery).await,
            };
            match published {
                Ok(()) => {}
                // It names an inbox that is not there: nobody waits for the answer.
                Err(Error::NoQueue(_) | Error::Refused(_)) => park(broker, delivery).await?,
                // It stays unacknowledged and comes again.
                Err(error) => return Err(error),
            }
            acknowledger.ack(delivery.tag).await?;
        }
    }
}

async fn park(broker: &dyn Broker, delivery: &Delivery) -> Result<(), Error> {
    let told = "dead, and nobody to answer";
    parked::park(broker, &delivery.message, topology::DEAD, None, told).await
}

/// The failed attempt that a dead task is, addressed to its inbox; none where it is no task.
fn answer_to(delivery: &Delivery, worker: &WorkerId) -> Option<Publication> {
    let (queue, result) = failed_attempt(&delivery.message, worker)?;
    let message = Message {
        body: serde_json::to_vec(&result).unwrap_or_default().into(),
        message_id: format!("{}-dead", result.address.execution_id),
        correlation_id: Some(result.address.execution_id.to_string()),
        kind: Kind::Result.as_str().to_owned(),
        ..Message::default()
    };
    Some(Publication { queue, message })
}

fn failed_attempt(message: &Message, worker: &WorkerId) -> Option<(String, ResultMessage)> {
    let inbox = message.reply_to.clone()?;
    let task: TaskMessage = serde_json::from_slice(&message.body).ok()?;
    let context = task.execution_context;
    let address = AttemptAddress {
        run: RunKey::new(context.security_context.tenant_id.as_str(), context.workflow_instance_id),
        task_path: context.task_path,
        execution_id: context.execution_id?,
    };
    let told = "the broker gave the task up after too many deliveries; did it end its workers?";
    let result = ResultMessage {
        format: FORMAT,
        address,
        worker_id: worker.clone(),
        outcome: Outcome::Failed { error: ErrorDetails::system(Code::DeliveryLimit, told) },
        metrics: TaskMetrics::default(),
        deliveries: 0,
    };
    Some((inbox, result))
}
