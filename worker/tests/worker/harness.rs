//! The partition's side of a worker: sends tasks, reads what comes back, gives orders. Every wait has an end.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use oarlock_broker::embedded::Embedded;
use oarlock_broker::{Broker, Consumer, Delivery, Message, Publication, Subscription, topology};
use oarlock_protocol::instance::TaskExecutionContext;
use oarlock_protocol::message::{
    ControlMessage, Kind, Order, Outcome, ProgressMessage, ResultMessage, TaskMessage,
};
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::{ErrorDetails, ExecutionId, FORMAT, Json, RunId, TaskInstanceId, TaskPath};
use oarlock_worker::{Builder, Running, Worker};

/// Far longer than anything here takes, short enough for a test that hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A partition that talks to workers.
pub(crate) struct Partition {
    pub(crate) broker: Embedded,
    inbox: Box<dyn Consumer>,
    results: HashMap<ExecutionId, Vec<ResultMessage>>,
    signs: Vec<ProgressMessage>,
    pub(crate) raw: Vec<Delivery>,
}

impl Partition {
    /// A partition, and the task queues `queues`.
    pub(crate) async fn with(queues: &[&str]) -> Self {
        let broker = Embedded::new();
        for queue in topology::shared_declarations() {
            broker.declare(&queue).await.unwrap();
        }
        for queue in queues {
            broker.declare(&topology::tasks_declaration(queue, 20)).await.unwrap();
        }
        broker.declare(&topology::inbox_declaration(0)).await.unwrap();
        let inbox = consume(&broker, &topology::inbox(0)).await;
        Self { broker, inbox, results: HashMap::new(), signs: Vec::new(), raw: Vec::new() }
    }

    pub(crate) fn worker(&self) -> Builder {
        Worker::builder(Arc::new(self.broker.clone())).name("test").cancel_grace(Duration::from_millis(200))
    }

    /// Sends a task to the queue of its name.
    pub(crate) async fn send(&self, task: &TaskMessage) -> ExecutionId {
        self.publish(topology::tasks(&task.task), envelope(task)).await;
        task.execution_context.execution_id.unwrap()
    }

    pub(crate) async fn publish(&self, queue: String, message: Message) {
        let outcome = self.broker.publish(vec![Publication { queue, message }]).await;
        assert_eq!(outcome, [Ok(())]);
    }

    pub(crate) async fn order(&self, control_queue: &str, execution_id: ExecutionId, order: Order) {
        let body = serde_json::to_vec(&ControlMessage { format: FORMAT, execution_id, order }).unwrap();
        let kind = Kind::Control.as_str().to_owned();
        let message = Message { body: body.into(), kind, ..Message::default() };
        self.publish(control_queue.to_owned(), message).await;
    }

    /// The next result of an attempt.
    pub(crate) async fn result(&mut self, id: ExecutionId) -> ResultMessage {
        within(async {
            loop {
                if let Some(results) = self.results.get_mut(&id)
                    && !results.is_empty()
                {
                    return results.remove(0);
                }
                self.receive().await;
            }
        })
        .await
    }

    /// The output of an attempt that completed.
    pub(crate) async fn output(&mut self, id: ExecutionId) -> Json {
        match self.result(id).await.outcome {
            Outcome::Completed { output } => output,
            other => panic!("not completed: {other:?}"),
        }
    }

    /// The error of an attempt that failed.
    pub(crate) async fn failure(&mut self, id: ExecutionId) -> ErrorDetails {
        match self.result(id).await.outcome {
            Outcome::Failed { error } => error,
            other => panic!("not failed: {other:?}"),
        }
    }

    /// The next sign of life of any attempt.
    pub(crate) async fn sign(&mut self) -> ProgressMessage {
        within(async {
            loop {
                if !self.signs.is_empty() {
                    return self.signs.remove(0);
                }
                self.receive().await;
            }
        })
        .await
    }

    /// Whether neither a result of the attempt nor a sign of life is waiting.
    pub(crate) fn is_silent(&self, id: ExecutionId) -> bool {
        self.results.get(&id).is_none_or(Vec::is_empty) && self.signs.is_empty()
    }

    /// The next message of a queue that nobody else consumes.
    pub(crate) async fn take_from(&self, queue: &str) -> Delivery {
        let mut consumer = consume(&self.broker, queue).await;
        let delivery = within(consumer.receive(1)).await.unwrap().remove(0);
        consumer.acknowledger().ack(delivery.tag).await.unwrap();
        delivery
    }

    async fn receive(&mut self) {
        let batch = self.inbox.receive(100).await.unwrap();
        for delivery in batch {
            self.inbox.acknowledger().ack(delivery.tag).await.unwrap();
            let body = &delivery.message.body;
            match Kind::parse(&delivery.message.kind) {
                Some(Kind::Result) => {
                    let result: ResultMessage = serde_json::from_slice(body).unwrap();
                    self.results.entry(result.address.execution_id).or_default().push(result);
                }
                Some(Kind::Progress) => self.signs.push(serde_json::from_slice(body).unwrap()),
                other => panic!("an inbox of a worker's partition never gets {other:?}"),
            }
            self.raw.push(delivery);
        }
    }
}

/// A task that may run for a minute.
pub(crate) fn task(name: &str, input: Json) -> TaskMessage {
    let run = RunId::random();
    let instance = TaskInstanceId::of(run, "/step");
    let security_context =
        SecurityContext { user_id: "ada".into(), tenant_id: "acme".into(), ..SecurityContext::default() };
    TaskMessage {
        state: None,
        format: FORMAT,
        task: name.to_owned(),
        execution_context: TaskExecutionContext {
            workflow_instance_id: run,
            workflow_variables: serde_json::Map::from_iter([("colour".to_owned(), "red".into())]),
            task_path: TaskPath::from("/step"),
            execution_id: Some(ExecutionId::of(instance, 1)),
            security_context,
            correlation_id: Some("order-7".into()),
        },
        input,
        attempt: 1,
        idempotency_key: instance,
        timeout_ms: 60_000,
        heartbeat_ms: 60_000,
        start_before: None,
        ask_after: None,
        deadline: None,
    }
}

/// The message that carries a task.
pub(crate) fn envelope(task: &TaskMessage) -> Message {
    let id = task.execution_context.execution_id.unwrap().to_string();
    Message {
        body: serde_json::to_vec(task).unwrap().into(),
        message_id: id.clone(),
        correlation_id: Some(id),
        reply_to: Some(topology::inbox(0)),
        kind: Kind::Task.as_str().to_owned(),
        headers: Vec::new(),
    }
}

/// Stops a worker that holds nothing, which acknowledges all it has answered.
pub(crate) async fn stop(worker: Running) {
    assert_eq!(within(worker.drain(PATIENCE)).await.given_back, 0);
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it took too long")
}

/// Looks again and again until `holds`.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let look = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("never: {what}"));
}

async fn consume(broker: &Embedded, queue: &str) -> Box<dyn Consumer> {
    let subscription = Subscription { queue: queue.to_owned(), prefetch: 100, priority: 0 };
    broker.consume(subscription).await.unwrap()
}
