//! Keeps one connection: makes it, watches it, makes it again at the next node.
//!
//! [`super::RabbitMq`] runs two, one for publishing and one for consuming. It rebuilds no consumer: who holds one learns
//! of its end and consumes again. It never logs a password.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use lapin::tcp::AMQPUriTcpExt;
use lapin::{Connection, ConnectionProperties, Event};
use tokio::time::{Instant, sleep, timeout};

use super::address::Node;
use super::declare::Control;
use super::line::{Line, Lines, Role};
use super::reason;
use super::reconnect::Pauses;

/// A connection that stood for so long was a good one: the next attempt comes soon again.
const STEADY: Duration = Duration::from_secs(5);
/// How often to look at the connection itself, should it end without an event.
const LOOK: Duration = Duration::from_secs(1);

/// What keeps one connection.
pub(super) struct Supervisor {
    pub(super) role: Role,
    pub(super) nodes: Arc<[Node]>,
    pub(super) lines: Arc<Lines>,
    pub(super) control: Arc<Control>,
    pub(super) name: String,
    pub(super) connect_timeout: Duration,
}

impl Supervisor {
    /// Works until it is aborted.
    pub(super) async fn run(self) {
        let mut pauses = Pauses::new();
        let mut told = String::new();
        for node in self.nodes.iter().cycle() {
            let reason = match self.connect(node).await {
                Ok(connection) => {
                    let since = Instant::now();
                    tracing::info!(
                        connection = self.role.as_str(),
                        node = node.place(),
                        "connected to RabbitMQ"
                    );
                    let reason = self.keep(node, connection).await;
                    told.clear();
                    if since.elapsed() > STEADY {
                        pauses.reset();
                    }
                    reason
                }
                Err(reason) => reason,
            };
            // The same reason again and again is no news.
            if reason != told {
                tracing::warn!(
                    connection = self.role.as_str(),
                    reason,
                    "no connection to RabbitMQ; trying on"
                );
                told.clone_from(&reason);
            }
            self.lines.set(self.role, Line::Down(reason));
            sleep(pauses.next()).await;
        }
    }

    /// Connects to one node; else the reason, for operators.
    async fn connect(&self, node: &Node) -> Result<Connection, String> {
        let limit = self.connect_timeout;
        let tls = node.tls.clone();
        let name = format!("{} {}", self.name, self.role.as_str());
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let runtime = lapin::runtime::default_runtime().map_err(|error| error.to_string())?;
        // In a time limit of its own, since lapin's thread goes on when nobody waits for it any more.
        let open = async move |uri: lapin::uri::AMQPUri, runtime| {
            let opening = uri.connect_with_config_async(tls.as_ref(), &runtime);
            let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
            Ok(timeout(limit, opening).await.map_err(late)??)
        };
        let connecting = Connection::connector(node.uri.clone(), runtime, open, properties);
        match timeout(limit * 2, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(reason::of_connecting(node, &error)),
            Err(_) => Err(format!("{} did not answer the login within {:?}", node.place(), limit * 2)),
        }
    }

    /// Tells everyone of the connection and watches it until it is lost; the reason, for operators.
    async fn keep(&self, node: &Node, connection: Connection) -> String {
        let mut events = connection.events_listener();
        let connection = Arc::new(connection);
        if self.role == Role::Consume {
            self.control.restore(&connection).await;
        }
        let mut blocked = connection.status().blocked().then(|| "a resource alarm".to_owned());
        let mut last_error = None;
        while connection.status().connected() {
            let line = Line::Up { connection: Arc::clone(&connection), blocked: blocked.clone() };
            self.lines.set(self.role, line);
            match self.event(&mut events, &connection).await {
                Some(Event::ConnectionBlocked(reason)) => {
                    tracing::warn!(node = node.place(), reason, "RabbitMQ takes no messages");
                    blocked = Some(reason);
                }
                Some(Event::ConnectionUnblocked) => {
                    tracing::info!(node = node.place(), "RabbitMQ takes messages again");
                    blocked = None;
                }
                Some(Event::Error(error)) => last_error = Some(error),
                Some(_) | None => {}
            }
        }
        reason::of_loss(node, last_error.as_ref())
    }

    /// The next event that matters, or none once the connection is lost.
    async fn event(
        &self,
        events: &mut (impl Stream<Item = Event> + Unpin),
        connection: &Connection,
    ) -> Option<Event> {
        while connection.status().connected() {
            if let Ok(event) = timeout(LOOK, events.next()).await {
                return event;
            }
        }
        None
    }
}
