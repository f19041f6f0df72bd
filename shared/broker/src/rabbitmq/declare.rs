//! Queues: made, counted, and made again on a server that lost them. Every argument of a queue is written here; their
//! names are made in [`crate::topology`].
//!
//! [`super::RabbitMq`] and consumers call it. It works on the connection that consumes, since an exclusive queue belongs to
//! the connection that declares it. Every declaration goes to the server; what is remembered only restores.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ExchangeKind};
use tokio::time::timeout;

use super::line::{Lines, Role, Watch};
use super::{reason, wire};
use crate::port::{MOST_HEARD, check_exchange};
use crate::{Error, QueueDeclaration, QueueKind};

/// The most declarations that are remembered: far more than partitions and task queues of one process.
const MOST_REMEMBERED: usize = 10_000;

/// The limit of a queue without one. RabbitMQ 4 gives up after 20 deliveries where nothing is said, and -1, its word for
/// never, makes 3.x give up at once.
const UNLIMITED: i64 = i32::MAX as i64;

/// Asks the server about queues.
pub(super) struct Control {
    line: Watch,
    limit: Duration,
    /// One at a time: the server closes it over a wrong question, and it is made anew.
    channel: tokio::sync::Mutex<Option<Channel>>,
    durable: Mutex<BTreeMap<String, QueueDeclaration>>,
    exchanges: Mutex<BTreeSet<String>>,
}

impl Control {
    pub(super) fn new(lines: &Lines, limit: Duration) -> Self {
        let line = lines.watch(Role::Consume);
        let (channel, durable, exchanges) = Default::default();
        Self { line, limit, channel, durable, exchanges }
    }

    /// Makes sure that a queue exists.
    pub(super) async fn declare(&self, queue: &QueueDeclaration) -> Result<(), Error> {
        queue.check_hears()?;
        self.ask(&queue.name, options(queue.kind), arguments(queue)).await?;
        if queue.kind == QueueKind::Entry {
            let channel = self.line.channel(self.limit).await?;
            let opened = timeout(self.limit, open_entry(&channel, &queue.name)).await;
            opened
                .map_err(|_| reason::no_answer(&format!("the exchange '{}'", queue.name), self.limit))?
                .map_err(|error| reason::of_queue(&queue.name, &error))?;
            channel.close(200, "done".into()).await.ok();
        }
        self.hear(queue).await?;
        if queue.kind != QueueKind::Exclusive {
            let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
            if durable.len() < MOST_REMEMBERED {
                durable.insert(queue.name.clone(), queue.clone());
            }
        }
        Ok(())
    }

    /// Makes sure that a topic exchange exists.
    pub(super) async fn declare_exchange(&self, exchange: &str) -> Result<(), Error> {
        check_exchange(exchange)?;
        let channel = self.line.channel(self.limit).await?;
        let opened = timeout(self.limit, open_topics(&channel, exchange)).await;
        opened
            .map_err(|_| reason::no_answer(&format!("the exchange '{exchange}'"), self.limit))?
            .map_err(|error| reason::of_exchange(exchange, &error))?;
        channel.close(200, "done".into()).await.ok();
        let mut exchanges = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
        if exchanges.len() < MOST_REMEMBERED {
            exchanges.insert(exchange.to_owned());
        }
        Ok(())
    }

    /// Lets a queue hear what it is to hear. Its bindings go with it, so they are not remembered.
    async fn hear(&self, queue: &QueueDeclaration) -> Result<(), Error> {
        for hears in &queue.hears {
            self.declare_exchange(&hears.exchange).await?;
            let channel = self.line.channel(self.limit).await?;
            let pattern = wire::short("pattern", hears.pattern.clone())?;
            let (name, exchange) = (queue.name.as_str().into(), hears.exchange.as_str().into());
            let options = QueueBindOptions::default();
            let binding = channel.queue_bind(name, exchange, pattern, options, FieldTable::default());
            timeout(self.limit, binding)
                .await
                .map_err(|_| reason::no_answer(&format!("binding the queue '{}'", queue.name), self.limit))?
                .map_err(|error| reason::of_queue(&queue.name, &error))?;
            channel.close(200, "done".into()).await.ok();
        }
        Ok(())
    }

    /// How many messages wait in a queue.
    pub(super) async fn depth(&self, queue: &str) -> Result<u64, Error> {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        self.ask(queue, passive, FieldTable::default()).await
    }

    /// A channel for a consumer.
    pub(super) async fn open(&self) -> Result<Channel, Error> {
        self.line.channel(self.limit).await
    }

    /// How long an answer may take.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// Declares every durable queue and every exchange that this process has declared before, on a new connection: the
    /// server may have lost them, and who declares at its start only would never learn of it.
    pub(super) async fn restore(&self, connection: &Connection) {
        let durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let exchanges = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut channel = None;
        for exchange in &exchanges {
            let declared = async { open_topics(usable(&mut channel, connection).await?, exchange).await };
            match timeout(self.limit, declared).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let error = reason::of_exchange(exchange, &error);
                    tracing::warn!(exchange, %error, "the exchange could not be declared again");
                }
                Err(_) => return tracing::warn!(exchange, "no answer to declaring the exchange again"),
            }
        }
        for queue in durable.values() {
            let declared = async {
                let channel = usable(&mut channel, connection).await?;
                let name = queue.name.as_str().into();
                channel.queue_declare(name, options(queue.kind), arguments(queue)).await?;
                if queue.kind == QueueKind::Entry {
                    open_entry(channel, &queue.name).await?;
                }
                Ok(())
            };
            match timeout(self.limit, declared).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    let error = reason::of_queue(&queue.name, &error);
                    tracing::warn!(queue = queue.name, %error, "the queue could not be declared again");
                }
                Err(_) => {
                    return tracing::warn!(queue = queue.name, "no answer to declaring the queue again");
                }
            }
        }
    }

    /// Declares a queue and answers how many messages wait in it.
    async fn ask(
        &self,
        queue: &str,
        options: QueueDeclareOptions,
        arguments: FieldTable,
    ) -> Result<u64, Error> {
        let name = wire::short("name of the queue", queue.to_owned())?;
        if queue.is_empty() {
            return Err(Error::Refused("a queue needs a name".to_owned()));
        }
        let mut place = self.channel.lock().await;
        // Taken out, so that whoever is dropped while it waits leaves no channel behind that owes an answer.
        let usable = place.take().filter(|channel| channel.status().connected());
        let channel = match usable {
            Some(channel) => channel,
            None => self.line.channel(self.limit).await?,
        };
        let answer = timeout(self.limit, channel.queue_declare(name, options, arguments)).await;
        let answer = answer.map_err(|_| reason::no_answer(&format!("the queue '{queue}'"), self.limit))?;
        let count = answer.map_err(|error| reason::of_queue(queue, &error))?.message_count();
        *place = Some(channel);
        Ok(u64::from(count))
    }
}

/// The channel, or another where the server has closed it.
async fn usable<'a>(place: &'a mut Option<Channel>, connection: &Connection) -> lapin::Result<&'a Channel> {
    let usable = place.take().filter(|channel| channel.status().connected());
    Ok(match usable {
        Some(usable) => place.insert(usable),
        None => place.insert(connection.create_channel().await?),
    })
}

/// A topic exchange that outlives the server's restart.
async fn open_topics(channel: &Channel, exchange: &str) -> lapin::Result<()> {
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(exchange.into(), ExchangeKind::Topic, durable, FieldTable::default()).await
}

/// The exchange that leads to a queue and to nothing else, whatever routing key a publisher names.
async fn open_entry(channel: &Channel, queue: &str) -> lapin::Result<()> {
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let none = FieldTable::default();
    channel.exchange_declare(queue.into(), ExchangeKind::Fanout, durable, none.clone()).await?;
    channel.queue_bind(queue.into(), queue.into(), "".into(), QueueBindOptions::default(), none).await
}

fn options(kind: QueueKind) -> QueueDeclareOptions {
    let exclusive = kind == QueueKind::Exclusive;
    let base = QueueDeclareOptions::default();
    QueueDeclareOptions { durable: !exclusive, exclusive, auto_delete: exclusive, ..base }
}

/// The arguments of a queue. They can never be changed: another value is refused for a queue that stands.
pub(super) fn arguments(queue: &QueueDeclaration) -> FieldTable {
    let mut arguments = FieldTable::default();
    if queue.kind == QueueKind::Exclusive {
        if !queue.hears.is_empty() {
            // The oldest go where nobody reads.
            arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(MOST_HEARD as i64));
        }
        return arguments;
    }
    let text = |text: &str| AMQPValue::LongString(text.into());
    // The server counts how often a message came back, which is once less than it was delivered.
    let returns = queue.delivery_limit.map_or(UNLIMITED, |deliveries| i64::from(deliveries.max(1)) - 1);
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(returns));
    if let Some(dead_letter) = &queue.dead_letter {
        arguments.insert("x-dead-letter-exchange".into(), text(""));
        arguments.insert("x-dead-letter-routing-key".into(), text(dead_letter));
        // A dead letter leaves its queue only when the other one has confirmed it; the server asks for the second then.
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        arguments.insert("x-overflow".into(), text("reject-publish"));
    }
    arguments
}
