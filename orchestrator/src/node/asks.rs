//! Asks partitions that other nodes own: a message to the inbox, the answer on this node's own queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oarlock_broker::{Broker, Consumer, Delivery, Error as BrokerError, Message, Publication};
use oarlock_broker::{Subscription, topology};
use oarlock_protocol::message::{Answer, AnswerMessage, CancelMessage, Kind, RegisterMessage, WatchMessage};
use oarlock_protocol::{FORMAT, chance};
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Error;
use super::gate::Gate;
use crate::partition::Request;

/// How long an answer is waited for: a partition without an owner has one again by then, where any node lives.
pub(super) const PATIENCE: Duration = Duration::from_secs(25);
/// After this long the same is asked again: the answer may have been lost with a connection. Requests may be repeated.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// The pause before a broker that failed is tried again.
const LISTEN_AGAIN: Duration = Duration::from_millis(200);
/// Answers held at once; they are small.
const PREFETCH: u16 = 1_000;

type Pending = Arc<Mutex<HashMap<String, oneshot::Sender<Answer>>>>;

/// Asks other nodes, and hears their answers.
pub(super) struct Asks {
    broker: Arc<dyn Broker>,
    node: String,
    pending: Pending,
    /// Open while its own queue is consumed.
    listening: Arc<Gate>,
    listener: JoinHandle<()>,
}

/// A question whose answer comes later. Dropping it forgets it.
pub(super) struct Question {
    id: String,
    pending: Pending,
    answer: oneshot::Receiver<Answer>,
}

impl Asks {
    /// Begins to listen on the queue of the node of that id.
    pub(super) fn start(broker: Arc<dyn Broker>, node: &str) -> Self {
        let pending = Pending::default();
        let listening = Arc::<Gate>::default();
        let listen = listen_for_ever(broker.clone(), node.to_owned(), pending.clone(), listening.clone());
        let listener = tokio::spawn(listen);
        Self { broker, node: node.to_owned(), pending, listening, listener }
    }

    /// Asks the owner of a partition, and waits for the answer until then.
    ///
    /// # Errors
    /// The broker does not take the request, or nobody answers: whether it was done is unknown.
    pub(super) async fn ask(
        &self,
        partition: u32,
        request: &Request,
        until: Instant,
    ) -> Result<Answer, Error> {
        let mut question = self.question();
        let mut problem = "nobody answered".to_owned();
        while Instant::now() < until {
            match tokio::time::timeout_at(until, self.send(partition, request, &question)).await {
                Ok(Ok(())) => {}
                Ok(Err(error @ BrokerError::Refused(_))) => return Err(error.into()),
                Ok(Err(error)) => problem = error.to_string(),
                Err(_) => break,
            }
            let again = (Instant::now() + ASK_AGAIN).min(until);
            match tokio::time::timeout_at(again, &mut question.answer).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(_)) => {
                    let problem = "its answer cannot be read by this release".to_owned();
                    return Err(Error::NoAnswer { partition, problem });
                }
                Err(_) => {}
            }
        }
        Err(Error::NoAnswer { partition, problem })
    }

    /// Sends a question once. Its answer may never come.
    pub(super) async fn send(
        &self,
        partition: u32,
        request: &Request,
        question: &Question,
    ) -> Result<(), BrokerError> {
        // Without the queue the answer would have nowhere to go.
        self.listening.pass().await;
        let (kind, body) = message_of(request);
        let message = Message {
            body: body.into(),
            message_id: question.id.clone(),
            correlation_id: Some(question.id.clone()),
            reply_to: Some(topology::node(&self.node)),
            kind: kind.as_str().to_owned(),
            ..Message::default()
        };
        let publication = Publication { queue: topology::inbox(partition), message };
        self.broker.publish(vec![publication]).await.into_iter().collect()
    }

    /// A question that was not sent yet.
    pub(super) fn question(&self) -> Question {
        let id = chance::fresh().to_string();
        let (sender, answer) = oneshot::channel();
        lock(&self.pending).insert(id.clone(), sender);
        Question { id, pending: self.pending.clone(), answer }
    }
}

impl Question {
    /// The answer; none where it will not come.
    pub(super) async fn answer(&mut self) -> Option<Answer> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        lock(&self.pending).remove(&self.id);
    }
}

impl Drop for Asks {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

fn message_of(request: &Request) -> (Kind, Vec<u8>) {
    fn body(message: &impl Serialize) -> Vec<u8> {
        // Everything asked is made of words that always have a JSON form.
        serde_json::to_vec(message).unwrap_or_default()
    }
    match request {
        Request::Start(start) => (Kind::Start, body(start)),
        Request::Cancel { run, reason, parent } => {
            let (run, reason, requested_by) = (run.clone(), reason.clone(), String::new());
            let parent = parent.clone();
            (Kind::Cancel, body(&CancelMessage { format: FORMAT, run, reason, requested_by, parent }))
        }
        Request::Register { tenant, definition } => {
            let definition = (**definition).clone();
            let message = RegisterMessage { format: FORMAT, tenant_id: tenant.clone(), definition };
            (Kind::Register, body(&message))
        }
        Request::Watch(run) => (Kind::Watch, body(&WatchMessage { format: FORMAT, run: run.clone() })),
        Request::Signal(signal) => (Kind::Signal, body(signal)),
        Request::Complete(complete) => (Kind::Complete, body(complete)),
        Request::Operation(operation) => (Kind::Operation, body(operation)),
        Request::Pause(pause) => (Kind::Pause, body(pause)),
    }
}

async fn listen_for_ever(broker: Arc<dyn Broker>, node: String, pending: Pending, listening: Arc<Gate>) {
    loop {
        if let Err(error) = listen(&*broker, &node, &pending, &listening).await {
            tracing::debug!(%error, "answers of other nodes are not heard now; trying again");
        }
        listening.shut();
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

async fn listen(
    broker: &dyn Broker,
    node: &str,
    pending: &Pending,
    listening: &Gate,
) -> Result<(), BrokerError> {
    broker.declare(&topology::node_declaration(node)).await?;
    let subscription = Subscription { queue: topology::node(node), prefetch: PREFETCH, priority: 0 };
    let mut consumer: Box<dyn Consumer> = broker.consume(subscription).await?;
    let acknowledger = consumer.acknowledger();
    listening.open();
    loop {
        let deliveries = consumer.receive(usize::from(PREFETCH)).await?;
        for delivery in &deliveries {
            hear(delivery, pending);
        }
        if let Some(last) = deliveries.last() {
            acknowledger.ack_through(last.tag).await?;
        }
    }
}

/// Hands an answer to who waits for it. One that nobody waits for came too late, or twice.
fn hear(delivery: &Delivery, pending: &Pending) {
    let message = &delivery.message;
    let Some(sender) = message.correlation_id.as_ref().and_then(|id| lock(pending).remove(id)) else {
        return;
    };
    match serde_json::from_slice::<AnswerMessage>(&message.body) {
        Ok(told) => drop(sender.send(told.answer)),
        Err(error) => tracing::warn!(%error, "an answer of another node cannot be read"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves the map whole: each change of it is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
