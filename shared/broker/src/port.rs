//! The broker port: what Oarlock asks of a message queue. RabbitMQ's semantics are the measure.
//!
//! Every adapter passes the suite `tests/src/conformance/broker.rs`. The rules, beyond the signatures:
//!
//! - A delivery that is neither acknowledged nor rejected goes back to the front of its queue when its consumer ends.
//! - A consumer never holds more unacknowledged deliveries than its prefetch.
//! - A publication that no queue takes is an error of that publication (`mandatory`), never a silent loss.
//! - Among consumers of a queue the greatest priority is served first; the others when it is full.
//! - An announcement reaches whoever listens to its topic now, and may be lost: nothing may rest on it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

/// What a caller can do about a failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The broker cannot be reached or does not answer: try again later; publications are of unknown fate.
    #[error("the broker cannot be reached: {0}")]
    Unavailable(String),
    /// The broker refused: trying the same again is of no use.
    #[error("the broker refused: {0}")]
    Refused(String),
    /// No queue of that name.
    #[error("no queue named '{0}'")]
    NoQueue(String),
    /// The consumer has ended (closed, or cancelled by the broker): its deliveries are gone back.
    #[error("the consumer has ended")]
    Ended,
}

/// The longest name of a queue, exchange or topic in bytes, as in AMQP.
pub(crate) const LONGEST_NAME: usize = 255;

/// The header in which a dead letter tells its reason: `rejected` or `delivery-limit`.
pub const REASON_HEADER: &str = "x-reason";

/// The largest body of an announcement, in bytes: it tells that something happened, and carries no data. The report of an
/// orchestrator with hundreds of busy queues fits.
pub const LARGEST_ANNOUNCEMENT: usize = 256 * 1024;

/// The most announcements that wait in a queue that hears; the oldest is dropped then. A minute of a large fleet: whoever reads so
/// late must not fill the memory of a server.
pub const MOST_HEARD: usize = 10_000;

/// A message queue.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// Makes sure that the queue exists. Repeating it with the same declaration does nothing.
    async fn declare(&self, queue: &QueueDeclaration) -> Result<(), Error>;

    /// Makes sure that the topic exchange exists. A queue that hears it makes sure too; this is for those who announce.
    async fn declare_exchange(&self, exchange: &str) -> Result<(), Error>;

    /// Publishes each message and returns when each is confirmed or has failed, in the order given.
    async fn publish(&self, publications: Vec<Publication>) -> Vec<Result<(), Error>>;

    /// Tells each announcement to every queue that hears its topic now: to nobody, and without an error, where none does or
    /// where the exchange is not there. Nothing is confirmed, and what is told may be lost. It never waits for long:
    /// [`Error::Unavailable`] at once where the broker is away, takes nothing, or takes it too slowly.
    async fn announce(&self, announcements: Vec<Announcement>) -> Result<(), Error>;

    /// Begins to consume a queue, on a channel of its own.
    async fn consume(&self, subscription: Subscription) -> Result<Box<dyn Consumer>, Error>;

    /// How many messages of the queue wait to be delivered.
    async fn depth(&self, queue: &str) -> Result<u64, Error>;

    /// Whether the broker can be used; the receiver sees every change.
    fn health(&self) -> watch::Receiver<Health>;

    /// Whether messages outlive this process: where false, whoever takes over publishes every open attempt again.
    fn keeps_messages(&self) -> bool;
}

/// Deliveries of one queue. Dropping it ends it: what is unacknowledged goes back.
#[async_trait]
pub trait Consumer: Send {
    /// Waits for at least one delivery and returns what is there, at most `max`. Cancel-safe: no delivery is lost.
    async fn receive(&mut self, max: usize) -> Result<Vec<Delivery>, Error>;

    /// Takes no more: what was not received yet goes back to the queue, and nothing comes after it. What was received may
    /// still be settled, until the consumer is dropped. Called again it returns when the broker has heard of what was settled.
    async fn stop(&mut self) -> Result<(), Error>;

    /// The handle that acknowledges; it may be used from other tasks and after others took the deliveries.
    fn acknowledger(&self) -> Arc<dyn Acknowledge>;
}

/// Settles deliveries of one consumer, by their tags.
#[async_trait]
pub trait Acknowledge: Send + Sync {
    /// Acknowledges one delivery. An unknown tag does nothing.
    async fn ack(&self, tag: u64) -> Result<(), Error>;

    /// Acknowledges every delivery up to and with this tag.
    async fn ack_through(&self, tag: u64) -> Result<(), Error>;

    /// Gives a delivery back: with `requeue` to its queue, else to the queue's dead-letter queue.
    async fn reject(&self, tag: u64, requeue: bool) -> Result<(), Error>;
}

/// Whether a broker can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Connected, and publishing works.
    Ready,
    /// Connected, but the broker takes nothing (a memory or disk alarm); the text is its reason.
    Blocked(String),
    /// Not connected; the text says since when or why.
    Down(String),
}

/// What a queue is for, from which an adapter derives its durability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueKind {
    /// Outlives broker and processes; replicated where the broker can.
    Durable,
    /// As durable, and reached by an exchange of its own name too: who may publish to that alone can reach nothing else.
    Entry,
    /// Belongs to the process that declared it, and goes with it.
    Exclusive,
}

/// A queue that is to exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDeclaration {
    /// Its full name.
    pub name: String,
    /// What it is for.
    pub kind: QueueKind,
    /// After so many deliveries a message goes to the dead-letter queue; never where absent.
    pub delivery_limit: Option<u32>,
    /// Where rejected and given-up messages go; they are dropped where absent.
    pub dead_letter: Option<String>,
    /// Which announcements it hears, from when it is declared; only an exclusive queue may. It keeps the newest [`MOST_HEARD`].
    pub hears: Vec<Hears>,
}

/// Which announcements a queue hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hears {
    /// The full name of the topic exchange; it is made where it is not there.
    pub exchange: String,
    /// The topics: words between dots, where `*` stands for one word and `#` for any number of them, none included.
    pub pattern: String,
}

/// How to consume a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The queue's full name.
    pub queue: String,
    /// The most unacknowledged deliveries at once: at least 1.
    pub prefetch: u16,
    /// Greater is served first.
    pub priority: i32,
}

/// A message and its properties, named as in AMQP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// What it says, usually JSON.
    pub body: Bytes,
    /// Names it: the same for a message that is published again.
    pub message_id: String,
    /// What it belongs to: for task, result and progress the attempt.
    pub correlation_id: Option<String>,
    /// The queue an answer goes to.
    pub reply_to: Option<String>,
    /// The text of its [`oarlock_protocol::message::Kind`].
    pub kind: String,
    /// Further properties: trace and signature, later the reason of a parked message.
    pub headers: Vec<(String, String)>,
}

/// A message on its way to a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// The queue's full name.
    pub queue: String,
    /// What is sent.
    pub message: Message,
}

/// A message for whoever listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The full name of the topic exchange.
    pub exchange: String,
    /// What it is about: words between dots, at most 255 bytes.
    pub topic: String,
    /// What is told; its body has at most [`LARGEST_ANNOUNCEMENT`] bytes.
    pub message: Message,
}

impl Announcement {
    /// Checks what every adapter refuses.
    ///
    /// # Errors
    /// [`Error::Refused`], where a name is too long or the body too large.
    pub fn check(&self) -> Result<(), Error> {
        check_exchange(&self.exchange)?;
        let bytes = self.message.body.len();
        if self.topic.len() > LONGEST_NAME {
            return Err(Error::Refused(format!(
                "a topic has at most {LONGEST_NAME} bytes: '{}'",
                self.topic
            )));
        }
        if bytes > LARGEST_ANNOUNCEMENT {
            return Err(Error::Refused(format!(
                "an announcement has {bytes} bytes; at most {LARGEST_ANNOUNCEMENT} are taken"
            )));
        }
        Ok(())
    }
}

impl QueueDeclaration {
    /// Checks what every adapter refuses of the announcements that a queue hears.
    ///
    /// # Errors
    /// [`Error::Refused`], where the queue is not exclusive or a name is too long.
    pub fn check_hears(&self) -> Result<(), Error> {
        if !self.hears.is_empty() && self.kind != QueueKind::Exclusive {
            return Err(Error::Refused(format!(
                "only an exclusive queue may hear announcements: '{}'",
                self.name
            )));
        }
        for hears in &self.hears {
            check_exchange(&hears.exchange)?;
            if hears.pattern.len() > LONGEST_NAME {
                return Err(Error::Refused(format!(
                    "a pattern has at most {LONGEST_NAME} bytes: '{}'",
                    hears.pattern
                )));
            }
        }
        Ok(())
    }
}

/// Checks the name of an exchange.
///
/// # Errors
/// [`Error::Refused`], where it is empty or too long.
pub fn check_exchange(exchange: &str) -> Result<(), Error> {
    if exchange.is_empty() || exchange.len() > LONGEST_NAME {
        return Err(Error::Refused(format!(
            "the name of an exchange has 1 to {LONGEST_NAME} bytes: '{exchange}'"
        )));
    }
    Ok(())
}

/// A message handed to a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Names it at this consumer, growing from 1.
    pub tag: u64,
    /// How often this message was handed out, this time included.
    pub deliveries: u32,
    /// Who published it, as the broker itself has checked; absent where the publisher did not say or the broker cannot know.
    pub user_id: Option<String>,
    /// What was sent.
    pub message: Message,
}
