//! Publishes in windows of confirmed messages, each window on a channel that it has for itself. [`gather`] makes the windows.
//!
//! [`super::RabbitMq`] calls it. It never publishes a message twice: what is not confirmed is the caller's to decide.
//!
//! lapin takes the message that the server returned and the confirmation that comes next for a pair, and counts the messages
//! of a channel in the order of the calls. So a channel serves one window at a time, and a returned message is recognized
//! by what it carries.

use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation, PublisherConfirm};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use super::line::{Lines, Role, Watch};
use super::{Settings, reason, wire};
use crate::{Error, Message, Publication};
use gather::Asked;

mod gather;

/// The most unconfirmed messages of a channel: lapin looks through all of them when many are confirmed at once.
const WINDOW: usize = 1000;
/// The most bytes of bodies in a window, since lapin copies them; one message may have more.
const WINDOW_BYTES: usize = 16 * 1024 * 1024;
/// The most windows at once: some that are slow hold up no other.
const CHANNELS: usize = 64;
/// How many callers may wait for a window.
const ASKED: usize = 1024;

/// Publishes over the connection that only publishes. What several callers publish at the same time goes in common windows.
pub(super) struct Publisher {
    asked: mpsc::Sender<Asked>,
}

/// Channels that nobody uses now, and what it takes to open more.
pub(super) struct Pool {
    line: Watch,
    idle: Mutex<Vec<Channel>>,
    places: Arc<Semaphore>,
    connect_timeout: Duration,
    confirm_timeout: Duration,
    /// Who publishes, where that is known: the server lets nobody name another.
    user: Option<ShortString>,
}

impl Publisher {
    /// Publishes from now on; it has to be called within a runtime.
    pub(super) fn new(lines: &Lines, settings: &Settings, user: Option<&str>) -> Self {
        let (asked, waiting) = mpsc::channel(ASKED);
        let pool = Pool {
            line: lines.watch(Role::Publish),
            idle: Mutex::default(),
            places: Arc::new(Semaphore::new(CHANNELS)),
            connect_timeout: settings.connect_timeout.into(),
            confirm_timeout: settings.confirm_timeout.into(),
            user: user.and_then(|user| ShortString::try_new(user.to_owned()).ok()),
        };
        // It ends with the last sender: this.
        tokio::spawn(gather::run(Arc::new(pool), waiting));
        Self { asked }
    }

    /// Publishes, and answers for each what became of it, in order.
    pub(super) async fn publish(&self, mut publications: Vec<Publication>) -> Vec<Result<(), Error>> {
        let mut outcomes = Vec::with_capacity(publications.len());
        while !publications.is_empty() {
            let rest = publications.split_off(window(&publications));
            let publications = std::mem::replace(&mut publications, rest);
            let count = publications.len();
            let (answer, answered) = oneshot::channel();
            let gone = || vec![Err(Error::Unavailable("publishing has ended".to_owned())); count];
            match self.asked.send(Asked { publications, answer }).await {
                Ok(()) => outcomes.extend(answered.await.unwrap_or_else(|_| gone())),
                Err(_) => outcomes.extend(gone()),
            }
        }
        outcomes
    }
}

impl Pool {
    /// Publishes a window, and answers for each message what became of it.
    async fn publish_window(self: &Arc<Self>, publications: Vec<Publication>) -> Vec<Result<(), Error>> {
        let count = publications.len();
        let deadline = Instant::now() + self.confirm_timeout;
        let lease = match self.lease(deadline).await {
            Ok(lease) => lease,
            Err(error) => return vec![Err(error); count],
        };
        let (answer, outcomes) = oneshot::channel();
        // On its own, so that the channel is left in order where the time is over.
        tokio::spawn(serve(lease, publications, self.user.clone(), deadline, answer));
        outcomes.await.unwrap_or_else(|_| vec![Err(unconfirmed(self.confirm_timeout)); count])
    }

    /// A channel that nobody else uses, once the server takes messages.
    async fn lease(self: &Arc<Self>, deadline: Instant) -> Result<Lease, Error> {
        self.line.connection(self.connect_timeout).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        let connection = self.line.unblocked(left).await?;
        let busy = |_| Error::Unavailable("too many publications wait for their confirmation".to_owned());
        let place = timeout_at(deadline, Arc::clone(&self.places).acquire_owned()).await.map_err(busy)?;
        let place = place.map_err(|error| Error::Unavailable(error.to_string()))?;
        let channel = match self.take() {
            Some(channel) => channel,
            None => {
                let opening = async {
                    let channel = connection.create_channel().await?;
                    channel.confirm_select(ConfirmSelectOptions::default()).await?;
                    Ok(channel)
                };
                timeout_at(deadline, opening)
                    .await
                    .map_err(|_| reason::no_answer("opening a channel", self.confirm_timeout))?
                    .map_err(|error| reason::unavailable(&error))?
            }
        };
        Ok(Lease { channel, pool: Arc::clone(self), _place: place })
    }

    /// An idle channel that still stands.
    fn take(&self) -> Option<Channel> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find(|channel| channel.status().connected())
    }
}

/// How many of the first publications make a window: at least one.
fn window(publications: &[Publication]) -> usize {
    let mut bytes = 0;
    let fits = |publication: &&Publication| {
        bytes += publication.message.body.len();
        bytes <= WINDOW_BYTES
    };
    publications.iter().take(WINDOW).take_while(fits).count().max(1)
}

/// A channel in use. Dropping it closes the channel.
struct Lease {
    channel: Channel,
    pool: Arc<Pool>,
    _place: OwnedSemaphorePermit,
}

impl Lease {
    /// Leaves the channel to the next.
    fn give_back(self) {
        let Self { channel, pool, _place } = self;
        pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(channel);
    }
}

/// A message on its way.
enum Sending<F> {
    /// Not all of it is written to the socket.
    Writing(Pin<Box<F>>),
    /// Written, not confirmed.
    Written(PublisherConfirm),
    /// Nothing was sent.
    Failed(Error),
}

/// What names a message among those of its window.
struct Label {
    queue: String,
    message_id: String,
}

/// Publishes a window on the channel, answers, and leaves the channel in order.
async fn serve(
    lease: Lease,
    publications: Vec<Publication>,
    user: Option<ShortString>,
    deadline: Instant,
    answer: oneshot::Sender<Vec<Result<(), Error>>>,
) {
    let began = Instant::now();
    let seconds = wire::seconds_now();
    let mut labels = Vec::with_capacity(publications.len());
    let mut sendings = Vec::with_capacity(publications.len());
    for Publication { queue, mut message } in publications {
        sendings.push(match prepare(&queue, &mut message, seconds, user.as_ref()) {
            Ok((routing_key, properties)) => {
                begin(send(&lease.channel, routing_key, properties, message.body))
            }
            Err(error) => Sending::Failed(error),
        });
        labels.push(Label { queue, message_id: message.message_id });
    }
    let mut returned = Returned::default();
    let mut outcomes = Vec::with_capacity(sendings.len());
    let mut late = false;
    let mut over = pin!(sleep_until(deadline));
    for sending in &mut sendings {
        let outcome =
            if late { sending.outcome().now_or_never() } else { within(over.as_mut(), sending).await };
        late = late || outcome.is_none();
        outcomes.push(match outcome {
            Some(Ok(confirmation)) => returned.take_in(confirmation),
            Some(Err(error)) => Err(error),
            None => Err(unconfirmed(deadline.saturating_duration_since(began))),
        });
    }
    returned.blame(&labels, &mut outcomes);
    let _ = answer.send(outcomes);
    if late {
        // A channel must not be closed before everything is written: the rest would be sent on a closed channel, for
        // which the server closes the connection.
        for sending in &mut sendings {
            sending.write().await;
        }
    } else if lease.channel.status().connected() {
        drop(sendings);
        lease.give_back();
    }
}

fn prepare(
    queue: &str,
    message: &mut Message,
    seconds: u64,
    user: Option<&ShortString>,
) -> Result<(ShortString, BasicProperties), Error> {
    Ok((wire::short("name of the queue", queue.to_owned())?, wire::properties(message, seconds, user)?))
}

async fn send(
    channel: &Channel,
    routing_key: ShortString,
    properties: BasicProperties,
    body: Bytes,
) -> lapin::Result<PublisherConfirm> {
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    channel.basic_publish("".into(), routing_key, options, &body, properties).await
}

/// Puts a message into lapin's queue, behind all before it.
fn begin<F: Future<Output = lapin::Result<PublisherConfirm>>>(publishing: F) -> Sending<F> {
    let mut publishing = Box::pin(publishing);
    match publishing.as_mut().now_or_never() {
        None => Sending::Writing(publishing),
        Some(Ok(confirm)) => Sending::Written(confirm),
        Some(Err(error)) => Sending::Failed(reason::unavailable(&error)),
    }
}

/// The outcome, or none where the time is over.
async fn within<F>(over: Pin<&mut Sleep>, sending: &mut Sending<F>) -> Option<Result<Confirmation, Error>>
where
    F: Future<Output = lapin::Result<PublisherConfirm>>,
{
    tokio::select! {
        biased;
        outcome = sending.outcome() => Some(outcome),
        () = over => None,
    }
}

impl<F: Future<Output = lapin::Result<PublisherConfirm>>> Sending<F> {
    /// Waits until it is written. It may be dropped and called again.
    async fn write(&mut self) {
        if let Self::Writing(publishing) = self {
            *self = match publishing.as_mut().await {
                Ok(confirm) => Self::Written(confirm),
                Err(error) => Self::Failed(reason::unavailable(&error)),
            };
        }
    }

    /// Waits for its confirmation. It may be dropped and called again until it has answered.
    async fn outcome(&mut self) -> Result<Confirmation, Error> {
        self.write().await;
        match self {
            Self::Written(confirm) => confirm.await.map_err(|error| reason::unavailable(&error)),
            Self::Failed(error) => Err(error.clone()),
            Self::Writing(_) => Err(Error::Ended),
        }
    }
}

/// The messages of a window that no queue took, by queue and message id, and how many of each.
#[derive(Default)]
struct Returned(HashMap<(String, String), usize>);

impl Returned {
    /// Takes a confirmation in, and the returned message that it may carry: often that of another publication.
    fn take_in(&mut self, confirmation: Confirmation) -> Result<(), Error> {
        let outcome = match &confirmation {
            Confirmation::Ack(_) | Confirmation::NotRequested => Ok(()),
            Confirmation::Nack(_) => {
                Err(Error::Unavailable("the queue did not take the message, or it is full".to_owned()))
            }
        };
        if let Some(message) = confirmation.take_message() {
            let id = message.delivery.properties.message_id().clone().unwrap_or_default();
            let label = (message.delivery.routing_key.into(), id.into());
            *self.0.entry(label).or_default() += 1;
        }
        outcome
    }

    /// Writes down whose messages they were.
    fn blame(mut self, labels: &[Label], outcomes: &mut [Result<(), Error>]) {
        if self.0.is_empty() {
            return;
        }
        for (label, outcome) in labels.iter().zip(outcomes) {
            let name = (label.queue.clone(), label.message_id.clone());
            if let Some(left) = self.0.get_mut(&name).filter(|left| **left > 0) {
                *left -= 1;
                *outcome = Err(Error::NoQueue(name.0));
            }
        }
    }
}

fn unconfirmed(limit: Duration) -> Error {
    Error::Unavailable(format!("not confirmed within {limit:?}; the message may have been taken"))
}
