//! RabbitMQ as the broker: an adapter of the port over AMQP 0-9-1.
//!
//! The binary makes one where a server is configured; everything else sees [`Broker`] only. It publishes on one connection
//! and consumes on another, because a server that runs out of memory or disk stops reading from those that publish, their
//! acknowledgements included. It never decides what a message means, and never gives a message up by itself.
//!
//! Durable queues are quorum queues, so RabbitMQ 3.10 is the least. Tested with 3.10.8. Not tested with 4.x: how it counts
//! deliveries towards `x-delivery-limit` when a consumer gives a delivery back (4.x may count fewer of them), its smaller
//! frames before login, and its refusal of messages above 16 MiB, which this adapter refuses itself.
//!
//! A connection that is lost is made again by this adapter, over the nodes in turn. Consumers end with it; who holds one
//! consumes again. Publications on their way are of unknown fate and fail; who holds them publishes them again, with the
//! same message id.

use std::sync::Arc;

use async_trait::async_trait;
use oarlock_protocol::Span;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::{Announcement, Broker, Consumer, Error, Health, Publication, QueueDeclaration, Subscription};
use address::Node;
use announce::Announcer;
use consumer::RabbitConsumer;
use declare::Control;
use line::{Lines, Role};
use publish::Publisher;
use supervisor::Supervisor;

mod address;
mod announce;
mod consumer;
mod declare;
pub mod floor;
mod headers;
mod line;
mod publish;
mod reason;
mod reconnect;
mod supervisor;
mod tags;
mod wire;

/// The target of the AMQP library's own log lines. They hold whole messages, of those that no queue took: leave them off.
/// What of them matters to operators this adapter tells.
pub const LIBRARY_LOG: &str = "lapin";

/// How to reach RabbitMQ, and how long to wait for it.
#[derive(Clone)]
pub struct Settings {
    /// URIs of the cluster's nodes, `amqp://user:password@host:port/vhost` or `amqps://…`; tried in turn. The authorities
    /// that `amqps` trusts beside those of the system stand in a file of PEM certificates named by `?cacertfile=PATH`.
    pub nodes: Vec<String>,
    /// What the server shows operators as the connection's name.
    pub name: String,
    /// How often each side says that it lives; a side that is silent for twice as long is given up. Whole seconds, at least one.
    pub heartbeat: Span,
    /// How long a publication may wait until the server confirms it.
    pub confirm_timeout: Span,
    /// How long to wait for a connection, and for the answer to a declaration.
    pub connect_timeout: Span,
    /// After so long without a delivery a consumer that holds nothing looks whether its queue is empty.
    pub silence: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            nodes: vec!["amqp://127.0.0.1:5672".to_owned()],
            name: "oarlock".to_owned(),
            heartbeat: Span::from_secs(5),
            confirm_timeout: Span::from_secs(30),
            connect_timeout: Span::from_secs(5),
            silence: Span::from_secs(30),
        }
    }
}

impl Settings {
    /// Checks the nodes without connecting.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where there is no node, a URI is none, or its file of certificates cannot be read.
    pub fn check(&self) -> Result<(), Error> {
        self.read().map(drop)
    }

    fn read(&self) -> Result<Arc<[Node]>, Error> {
        let nodes: Result<Vec<_>, _> =
            self.nodes.iter().map(|uri| Node::parse(uri, self.heartbeat)).collect();
        let nodes = nodes?;
        if nodes.is_empty() {
            return Err(Error::Refused("no node of RabbitMQ is named".to_owned()));
        }
        Ok(nodes.into())
    }
}

/// RabbitMQ, reached over two connections that are made again when they are lost. Dropping it closes them once its
/// consumers are gone too.
pub struct RabbitMq {
    settings: Settings,
    lines: Arc<Lines>,
    control: Arc<Control>,
    publisher: Publisher,
    announcer: Announcer,
    supervisors: [AbortHandle; 2],
}

impl Settings {
    /// Whom the server knows its clients by; none where the nodes are told different users, or certificates tell who it is.
    ///
    /// # Errors
    /// [`Error::Refused`], where a node is no URI.
    pub fn user(&self) -> Result<Option<String>, Error> {
        let nodes = self.nodes.iter().map(|uri| Node::parse(uri, self.heartbeat));
        let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
        Ok(address::user_of_all(&nodes).map(str::to_owned))
    }
}

impl RabbitMq {
    /// Begins to connect and returns at once; [`Broker::health`] tells when it is done. Until then calls wait, at most for
    /// the times of the settings.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where there is no node, a URI is none, its file of certificates cannot be read, or there is no
    /// tokio runtime to connect in.
    pub fn connect(settings: Settings) -> Result<Self, Error> {
        let runtime =
            tokio::runtime::Handle::try_current().map_err(|error| Error::Refused(error.to_string()))?;
        let nodes = settings.read()?;
        let first = nodes.first().map(Node::place).unwrap_or_default();
        let lines = Arc::new(Lines::new(&format!("connecting to {first}")));
        let control = Arc::new(Control::new(&lines, settings.connect_timeout.into()));
        let supervisors = [Role::Publish, Role::Consume].map(|role| {
            let supervisor = Supervisor {
                role,
                nodes: Arc::clone(&nodes),
                lines: Arc::clone(&lines),
                control: Arc::clone(&control),
                name: settings.name.clone(),
                connect_timeout: settings.connect_timeout.into(),
            };
            runtime.spawn(supervisor.run()).abort_handle()
        });
        let user = address::user_of_all(&nodes);
        let publisher = Publisher::new(&lines, &settings, user);
        let announcer = Announcer::new(&lines, &settings, user);
        Ok(Self { settings, lines, control, publisher, announcer, supervisors })
    }
}

#[async_trait]
impl Broker for RabbitMq {
    async fn declare(&self, queue: &QueueDeclaration) -> Result<(), Error> {
        self.control.declare(queue).await
    }

    async fn declare_exchange(&self, exchange: &str) -> Result<(), Error> {
        self.control.declare_exchange(exchange).await
    }

    async fn publish(&self, publications: Vec<Publication>) -> Vec<Result<(), Error>> {
        self.publisher.publish(publications).await
    }

    async fn announce(&self, announcements: Vec<Announcement>) -> Result<(), Error> {
        self.announcer.announce(announcements).await
    }

    async fn consume(&self, subscription: Subscription) -> Result<Box<dyn Consumer>, Error> {
        let consumer =
            RabbitConsumer::join(Arc::clone(&self.control), subscription, self.settings.silence.into());
        Ok(Box::new(consumer.await?))
    }

    async fn depth(&self, queue: &str) -> Result<u64, Error> {
        self.control.depth(queue).await
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.lines.health()
    }

    fn keeps_messages(&self) -> bool {
        true
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        self.supervisors.iter().for_each(AbortHandle::abort);
        self.lines.hang_up();
    }
}
