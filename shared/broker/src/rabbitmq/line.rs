//! The state of both connections, and the health that follows from it.
//!
//! The supervisors write it; publishing, consuming and declaring wait on it. It never connects.

use std::sync::Arc;
use std::time::Duration;

use lapin::{Channel, Connection};
use tokio::sync::watch;
use tokio::time::timeout;

use super::reason;
use crate::{Error, Health};

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Publish,
    Consume,
}

impl Role {
    /// How the connection's name ends.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Consume => "consume",
        }
    }
}

/// One connection, or why there is none.
#[derive(Clone)]
pub(super) enum Line {
    /// Not connected; the text says why.
    Down(String),
    /// Connected; `blocked` is the server's reason while it takes nothing.
    Up { connection: Arc<Connection>, blocked: Option<String> },
}

/// Both connections.
pub(super) struct Lines {
    publish: watch::Sender<Line>,
    consume: watch::Sender<Line>,
    health: watch::Sender<Health>,
}

impl Lines {
    /// Lines that are down, for the reason told.
    pub(super) fn new(reason: &str) -> Self {
        let line = Line::Down(reason.to_owned());
        Self {
            publish: watch::Sender::new(line.clone()),
            consume: watch::Sender::new(line),
            health: watch::Sender::new(Health::Down(reason.to_owned())),
        }
    }

    pub(super) fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    pub(super) fn watch(&self, role: Role) -> Watch {
        Watch(self.sender(role).subscribe())
    }

    /// Tells everyone the new state of a connection.
    pub(super) fn set(&self, role: Role, line: Line) {
        self.sender(role).send_replace(line);
        // Both lines are read while the health is locked: who comes last sees both.
        self.health.send_if_modified(|health| {
            let now = self.judge();
            let changed = *health != now;
            *health = now;
            changed
        });
    }

    /// Lets go of both connections: they close when nobody uses them any more.
    pub(super) fn hang_up(&self) {
        for role in [Role::Publish, Role::Consume] {
            self.set(role, Line::Down("it was closed".to_owned()));
        }
    }

    fn sender(&self, role: Role) -> &watch::Sender<Line> {
        match role {
            Role::Publish => &self.publish,
            Role::Consume => &self.consume,
        }
    }

    fn judge(&self) -> Health {
        match (&*self.publish.borrow(), &*self.consume.borrow()) {
            (Line::Down(reason), _) | (_, Line::Down(reason)) => Health::Down(reason.clone()),
            (Line::Up { blocked: Some(reason), .. }, Line::Up { .. }) => Health::Blocked(reason.clone()),
            (Line::Up { blocked: None, .. }, Line::Up { .. }) => Health::Ready,
        }
    }
}

/// Who waits for a connection.
#[derive(Clone)]
pub(super) struct Watch(watch::Receiver<Line>);

impl Watch {
    /// The connection, as soon as it stands. [`Error::Unavailable`] with the reason where that takes longer than `limit`.
    pub(super) async fn connection(&self, limit: Duration) -> Result<Arc<Connection>, Error> {
        self.wait(limit, |line| matches!(line, Line::Up { .. })).await
    }

    /// The connection, as soon as it stands and is not blocked.
    pub(super) async fn unblocked(&self, limit: Duration) -> Result<Arc<Connection>, Error> {
        self.wait(limit, |line| matches!(line, Line::Up { blocked: None, .. })).await
    }

    /// The connection, where it stands now and is not blocked.
    pub(super) fn now(&self) -> Result<Arc<Connection>, Error> {
        taken(self.0.borrow().clone(), |line| matches!(line, Line::Up { blocked: None, .. }))
    }

    /// A new channel of the connection, once it stands.
    pub(super) async fn channel(&self, limit: Duration) -> Result<Channel, Error> {
        let connection = self.connection(limit).await?;
        timeout(limit, connection.create_channel())
            .await
            .map_err(|_| reason::no_answer("opening a channel", limit))?
            .map_err(|error| reason::unavailable(&error))
    }

    async fn wait(&self, limit: Duration, fits: impl Fn(&Line) -> bool) -> Result<Arc<Connection>, Error> {
        let mut receiver = self.0.clone();
        // It ends early only where the broker itself is gone.
        let _ = timeout(limit, receiver.wait_for(|line| fits(line))).await;
        let line = receiver.borrow().clone();
        taken(line, fits)
    }
}

/// The connection of a line that fits, or why there is none.
fn taken(line: Line, fits: impl Fn(&Line) -> bool) -> Result<Arc<Connection>, Error> {
    let fits = fits(&line);
    match line {
        Line::Up { connection, .. } if fits => Ok(connection),
        Line::Up { blocked, .. } => {
            let reason = blocked.unwrap_or_default();
            Err(Error::Unavailable(format!("it takes no messages: {reason}")))
        }
        Line::Down(reason) => Err(Error::Unavailable(reason)),
    }
}
