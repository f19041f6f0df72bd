//! The floor of a measurement: bare RabbitMQ, or the embedded broker with nothing around it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use oarlock_broker::rabbitmq::floor::{Floor as RabbitFloor, Load, MOST_INBOXES, Window};
use oarlock_broker::{Broker, Message, Publication, QueueDeclaration, QueueKind, Subscription};

use crate::Error;

/// Batches and queues of results that are tried: what is best differs between machines.
const BATCHES: [usize; 4] = [32, 128, 512, 1_000];
const INBOXES: [usize; 2] = [1, MOST_INBOXES];
/// The most tasks of a try.
const MOST_TRIED: usize = 8_000;

/// What moves the bytes.
pub enum Floor {
    /// Bare connections to RabbitMQ.
    RabbitMq(Box<RabbitFloor>),
    /// The embedded broker.
    Embedded(Arc<dyn Broker>),
}

impl Floor {
    /// Connects to RabbitMQ.
    ///
    /// # Errors
    /// It is away, or refuses.
    pub async fn rabbitmq(uri: &str) -> Result<Self, Error> {
        Ok(Self::RabbitMq(Box::new(RabbitFloor::open(uri, MOST_INBOXES).await?)))
    }

    /// The best window for a load, of those there are.
    ///
    /// # Errors
    /// The broker failed.
    pub async fn best_window(&self, load: &Load) -> Result<Window, Error> {
        let tried = Load { tasks: load.tasks.min(MOST_TRIED), ..*load };
        let mut best = None;
        let batches = BATCHES.into_iter().filter(|batch| *batch == BATCHES[0] || *batch <= load.in_flight);
        for batch in batches {
            for inboxes in INBOXES.into_iter().filter(|inboxes| *inboxes <= load.in_flight) {
                let window = Window { batch, inboxes };
                let took = self.measure(&tried, window).await?;
                if best.as_ref().is_none_or(|(least, _)| took < *least) {
                    best = Some((took, window));
                }
            }
        }
        Ok(best.map_or(Window { batch: 1, inboxes: 1 }, |(_, window)| window))
    }

    /// How long the load takes.
    ///
    /// # Errors
    /// The broker failed.
    pub async fn measure(&self, load: &Load, window: Window) -> Result<Duration, Error> {
        match self {
            Self::RabbitMq(floor) => Ok(floor.measure(load, window).await?),
            Self::Embedded(broker) => Ok(embedded(broker, load, window).await?),
        }
    }
}

const TASKS: &str = "floor.tasks";
const INBOX: &str = "floor.inbox";

/// The same over the port: one queue of tasks, one of results.
async fn embedded(
    broker: &Arc<dyn Broker>,
    load: &Load,
    window: Window,
) -> Result<Duration, oarlock_broker::Error> {
    for name in [TASKS, INBOX].map(str::to_owned) {
        let kind = QueueKind::Durable;
        broker
            .declare(&QueueDeclaration {
                name,
                kind,
                delivery_limit: None,
                dead_letter: None,
                hears: Vec::new(),
            })
            .await?;
    }
    let subscribe = |queue: &str| Subscription { queue: queue.to_owned(), prefetch: 2_000, priority: 0 };
    let mut tasks = broker.consume(subscribe(TASKS)).await?;
    let mut results = broker.consume(subscribe(INBOX)).await?;
    let began = Instant::now();
    let (worker, answer) = (Arc::clone(broker), message(load.result_bytes, None));
    let serving = tokio::spawn(async move {
        let acknowledger = tasks.acknowledger();
        while let Ok(deliveries) = tasks.receive(window.batch).await {
            let answers = deliveries.iter().map(|_| to(INBOX, &answer)).collect();
            worker.publish(answers).await;
            if let Some(last) = deliveries.last() {
                acknowledger.ack_through(last.tag).await.ok();
            }
        }
    });
    let task = message(load.task_bytes, Some(INBOX));
    let (mut sent, mut collected) = (load.in_flight.min(load.tasks), 0);
    broker.publish((0..sent).map(|_| to(TASKS, &task)).collect()).await;
    let acknowledger = results.acknowledger();
    while collected < load.tasks {
        let deliveries = results.receive(window.batch).await?;
        collected += deliveries.len();
        let next = deliveries.len().min(load.tasks - sent);
        sent += next;
        broker.publish((0..next).map(|_| to(TASKS, &task)).collect()).await;
        if let Some(last) = deliveries.last() {
            acknowledger.ack_through(last.tag).await?;
        }
    }
    let took = began.elapsed();
    serving.abort();
    Ok(took)
}

fn message(bytes: usize, reply_to: Option<&str>) -> Message {
    let id = "0190a6d2-6e3f-7c51-9c40-0a1b2c3d4e5f".to_owned();
    Message {
        body: vec![b'x'; bytes].into(),
        message_id: id.clone(),
        correlation_id: Some(id),
        reply_to: reply_to.map(str::to_owned),
        kind: "task".to_owned(),
        headers: Vec::new(),
    }
}

fn to(queue: &str, message: &Message) -> Publication {
    Publication { queue: queue.to_owned(), message: message.clone() }
}
