//! Announces to topic exchanges, on channels of its own: one for each exchange.
//!
//! [`super::RabbitMq`] calls it. It declares nothing, waits for no connection, and sends nothing twice: what cannot be told now is
//! not told.
//!
//! An exchange that is not there, or not for this user, costs the channel that names it. lapin may still have messages of a
//! channel to write when the server closes it, and for these the server would close the connection, on which others publish.
//! So a new channel first asks whether the exchange is there, then sends one message and waits for the server's word on it;
//! only a channel that has passed carries several at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection, ExchangeKind, PublisherConfirm};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::line::{Lines, Role, Watch};
use super::{Settings, reason, wire};
use crate::{Announcement, Error, Message};

/// The longest that a caller waits until its announcements are written: many times what a server needs that is well.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many callers may wait to be served.
const WAITING: usize = 1024;
/// The most bytes that wait to be written: as much as a window of publications.
const WAITING_BYTES: usize = 16 * 1024 * 1024;
/// What an announcement costs beside its body: names, properties, and what lapin keeps of it.
const OVERHEAD: usize = 512;
/// The most unconfirmed announcements of a channel: more would let a slow server's backlog grow.
const WINDOW: usize = 100;
/// The most exchanges that have a channel: far more than Oarlock has.
const EXCHANGES: usize = 64;

/// Announces over the connection that only publishes.
pub(super) struct Announcer {
    line: Watch,
    asked: mpsc::Sender<Asked>,
    room: Arc<Semaphore>,
}

/// What one caller announces.
struct Asked {
    announcements: Vec<Announcement>,
    answer: oneshot::Sender<Result<(), Error>>,
    _room: OwnedSemaphorePermit,
}

impl Announcer {
    /// Announces from now on; it has to be called within a runtime.
    pub(super) fn new(lines: &Lines, settings: &Settings, user: Option<&str>) -> Self {
        let (asked, waiting) = mpsc::channel(WAITING);
        let speaker = Speaker {
            line: lines.watch(Role::Publish),
            channels: HashMap::new(),
            limit: settings.connect_timeout.into(),
            user: user.and_then(|user| ShortString::try_new(user.to_owned()).ok()),
        };
        // It ends with the last sender: this.
        tokio::spawn(speaker.run(waiting));
        Self { line: lines.watch(Role::Publish), asked, room: Arc::new(Semaphore::new(WAITING_BYTES)) }
    }

    /// Announces, and returns when it is written to the connection, or after [`PATIENCE`].
    pub(super) async fn announce(&self, announcements: Vec<Announcement>) -> Result<(), Error> {
        announcements.iter().try_for_each(Announcement::check)?;
        self.line.now()?;
        let bytes: usize = announcements.iter().map(|one| one.message.body.len() + OVERHEAD).sum();
        let bytes = u32::try_from(bytes).ok().filter(|bytes| *bytes as usize <= WAITING_BYTES);
        let bytes = bytes.ok_or_else(|| {
            Error::Refused(format!("announcements of one call may have {WAITING_BYTES} bytes together"))
        })?;
        let full = || Error::Unavailable("too many announcements wait to be written".to_owned());
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes).map_err(|_| full())?;
        let (answer, answered) = oneshot::channel();
        self.asked.try_send(Asked { announcements, answer, _room: room }).map_err(|_| full())?;
        match timeout(PATIENCE, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Error::Unavailable("announcing has ended".to_owned())),
            Err(_) => {
                Err(Error::Unavailable(format!("not written within {PATIENCE:?}; it may still be told")))
            }
        }
    }
}

/// Writes announcements, one after the other.
struct Speaker {
    line: Watch,
    /// By exchange.
    channels: HashMap<String, Spoken>,
    limit: Duration,
    /// Who announces, where that is known: the server lets nobody name another.
    user: Option<ShortString>,
}

/// A channel that has passed.
struct Spoken {
    channel: Channel,
    /// What was written last. It is looked at when there are [`WINDOW`] of them.
    unconfirmed: Vec<PublisherConfirm>,
}

impl Spoken {
    /// Waits until the server has taken what was written.
    async fn settle(&mut self, exchange: &str, limit: Duration) -> Result<(), Error> {
        let unconfirmed = std::mem::take(&mut self.unconfirmed);
        let confirmed = async {
            for confirm in unconfirmed {
                confirm.await.map_err(|error| reason::of_exchange(exchange, &error))?;
            }
            Ok(())
        };
        let late = |_| reason::no_answer(&format!("announcements to '{exchange}'"), limit);
        timeout(limit, confirmed).await.map_err(late)?
    }
}

impl Speaker {
    async fn run(mut self, mut waiting: mpsc::Receiver<Asked>) {
        while let Some(Asked { announcements, answer, _room }) = waiting.recv().await {
            // Whoever waits no longer may have been told that it was not written.
            let outcome = self.tell(announcements).await;
            answer.send(outcome).ok();
        }
    }

    /// Tells as much as can be told: what one exchange does not take keeps nothing from another.
    async fn tell(&mut self, announcements: Vec<Announcement>) -> Result<(), Error> {
        let mut by_exchange: Vec<(String, Vec<(String, Message)>)> = Vec::new();
        for Announcement { exchange, topic, message } in announcements {
            match by_exchange.iter_mut().find(|(known, _)| *known == exchange) {
                Some((_, messages)) => messages.push((topic, message)),
                None => by_exchange.push((exchange, vec![(topic, message)])),
            }
        }
        let mut outcome = Ok(());
        for (exchange, messages) in by_exchange {
            let told = self.tell_exchange(&exchange, messages).await;
            outcome = outcome.and(told);
        }
        outcome
    }

    async fn tell_exchange(&mut self, exchange: &str, messages: Vec<(String, Message)>) -> Result<(), Error> {
        let connection = self.line.now()?;
        let mut messages = messages.into_iter();
        let mut spoken =
            match self.channels.remove(exchange).filter(|spoken| spoken.channel.status().connected()) {
                Some(spoken) => spoken,
                None => {
                    let Some(first) = messages.next() else { return Ok(()) };
                    match timeout(self.limit, self.open(&connection, exchange, first)).await {
                        Ok(Ok(Some(channel))) => Spoken { channel, unconfirmed: Vec::new() },
                        // The exchange is not there, so nobody listens.
                        Ok(Ok(None)) => return Ok(()),
                        Ok(Err(error)) => return Err(error),
                        Err(_) => {
                            return Err(reason::no_answer(&format!("the exchange '{exchange}'"), self.limit));
                        }
                    }
                }
            };
        for (topic, message) in messages {
            if spoken.unconfirmed.len() >= WINDOW {
                spoken.settle(exchange, self.limit).await?;
            }
            spoken.unconfirmed.push(self.send(&spoken.channel, exchange, &topic, message).await?);
        }
        if self.channels.len() >= EXCHANGES {
            // They are opened again where they are needed.
            self.channels.clear();
        }
        self.channels.insert(exchange.to_owned(), spoken);
        Ok(())
    }

    /// A channel that has passed and told the first message; none where the exchange is not there.
    async fn open(
        &self,
        connection: &Connection,
        exchange: &str,
        (topic, message): (String, Message),
    ) -> Result<Option<Channel>, Error> {
        let channel = connection.create_channel().await.map_err(|error| reason::unavailable(&error))?;
        // Asking whether it is there needs no permission.
        let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        let none = FieldTable::default();
        match channel.exchange_declare(exchange.into(), ExchangeKind::Topic, passive, none).await {
            Ok(()) => {}
            Err(error) if reason::is_missing(&error) => return Ok(None),
            Err(error) => return Err(reason::of_exchange(exchange, &error)),
        }
        let confirms = channel.confirm_select(ConfirmSelectOptions::default()).await;
        confirms.map_err(|error| reason::unavailable(&error))?;
        let confirm = self.send(&channel, exchange, &topic, message).await?;
        confirm.await.map_err(|error| reason::of_exchange(exchange, &error))?;
        Ok(Some(channel))
    }

    /// Writes one message.
    async fn send(
        &self,
        channel: &Channel,
        exchange: &str,
        topic: &str,
        mut message: Message,
    ) -> Result<PublisherConfirm, Error> {
        let properties = wire::properties(&mut message, wire::seconds_now(), self.user.as_ref())?;
        let topic = wire::short("topic", topic.to_owned())?;
        let options = BasicPublishOptions::default();
        let sending = channel.basic_publish(exchange.into(), topic, options, &message.body, properties);
        sending.await.map_err(|error| reason::of_exchange(exchange, &error))
    }
}
