//! What a failure of lapin means: a sentence for operators, or an error of the port.
//!
//! Called by every part of the adapter. It never holds a password.

use std::io;
use std::time::Duration;

use lapin::ErrorKind;
use lapin::protocol::AMQPError;

use super::address::Node;
use crate::Error;

/// The server refuses what this user may not do, or the login.
const ACCESS_REFUSED: u16 = 403;
/// There is no such queue.
const NOT_FOUND: u16 = 404;
/// An exclusive queue of another connection.
const RESOURCE_LOCKED: u16 = 405;
/// The queue stands with other arguments.
const PRECONDITION_FAILED: u16 = 406;
/// The virtual host is missing or not for this user.
const NOT_ALLOWED: u16 = 530;

/// Why a connection to a node could not be made.
pub(super) fn of_connecting(node: &Node, error: &lapin::Error) -> String {
    let place = node.place();
    match error.kind() {
        ErrorKind::ProtocolError(error) if error.get_id() == ACCESS_REFUSED => {
            format!("{place} refused the login of user '{}': wrong name or password", node.user())
        }
        ErrorKind::ProtocolError(error) if error.get_id() == NOT_ALLOWED => {
            let vhost = &node.uri.vhost;
            format!(
                "{place} did not let user '{}' into the virtual host '{vhost}': {}",
                node.user(),
                text(error)
            )
        }
        ErrorKind::ProtocolError(error) => format!("{place} closed the connection: {}", text(error)),
        ErrorKind::IOError(error) => of_io(node, error),
        _ => format!("cannot connect to {place}: {error}"),
    }
}

fn of_io(node: &Node, error: &io::Error) -> String {
    let place = node.place();
    let unreachable = [
        io::ErrorKind::ConnectionRefused,
        io::ErrorKind::TimedOut,
        io::ErrorKind::HostUnreachable,
        io::ErrorKind::NetworkUnreachable,
    ];
    let closed =
        [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::UnexpectedEof];
    if unreachable.contains(&error.kind()) {
        format!("the server is not reachable at {place}: {error}")
    } else if closed.contains(&error.kind()) {
        format!(
            "{place} ended the connection before the login: is it RabbitMQ, and the port right for TLS or none?"
        )
    } else if node.is_encrypted() {
        format!("TLS with {place} failed: {error}")
    } else {
        format!("cannot connect to {place}: {error}")
    }
}

/// Why a connection that stood is lost.
pub(super) fn of_loss(node: &Node, error: Option<&lapin::Error>) -> String {
    let place = node.place();
    match error.map(lapin::Error::kind) {
        Some(ErrorKind::ProtocolError(error)) => format!("{place} closed the connection: {}", text(error)),
        Some(ErrorKind::MissingHeartbeatError) => format!("{place} is silent: no heartbeat came"),
        Some(_) | None => format!("the connection to {place} is lost"),
    }
}

/// What an operation on a queue failed of.
pub(super) fn of_queue(queue: &str, error: &lapin::Error) -> Error {
    let ErrorKind::ProtocolError(error) = error.kind() else { return unavailable(error) };
    match error.get_id() {
        NOT_FOUND => Error::NoQueue(queue.to_owned()),
        PRECONDITION_FAILED => Error::Refused(format!(
            "the queue '{queue}' exists with other arguments; use the settings it was made with, or empty it and delete \
             it so that it is made anew: {}",
            text(error)
        )),
        ACCESS_REFUSED => {
            Error::Refused(format!("the user has no permission for the queue '{queue}': {}", text(error)))
        }
        // An exclusive queue outlives its lost connection for a moment.
        RESOURCE_LOCKED => Error::Unavailable(format!("the queue '{queue}' belongs to another connection")),
        _ => Error::Unavailable(format!("queue '{queue}': {}", text(error))),
    }
}

/// What an operation on an exchange failed of.
pub(super) fn of_exchange(exchange: &str, error: &lapin::Error) -> Error {
    let ErrorKind::ProtocolError(error) = error.kind() else { return unavailable(error) };
    match error.get_id() {
        PRECONDITION_FAILED => Error::Refused(format!(
            "the exchange '{exchange}' exists otherwise; delete it so that it is made anew: {}",
            text(error)
        )),
        ACCESS_REFUSED => Error::Refused(format!(
            "the user has no permission for the exchange '{exchange}': {}",
            text(error)
        )),
        _ => Error::Unavailable(format!("exchange '{exchange}': {}", text(error))),
    }
}

/// Whether what was asked about is not there.
pub(super) fn is_missing(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if error.get_id() == NOT_FOUND)
}

/// A failure that says nothing about what was asked.
pub(super) fn unavailable(error: &lapin::Error) -> Error {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Error::Unavailable(text(error)),
        ErrorKind::InvalidChannelState(..) | ErrorKind::InvalidConnectionState(_) | ErrorKind::IOError(_) => {
            Error::Unavailable("the connection is lost".to_owned())
        }
        _ => Error::Unavailable(error.to_string()),
    }
}

/// The server let a question wait too long.
pub(super) fn no_answer(what: &str, limit: Duration) -> Error {
    Error::Unavailable(format!("no answer within {limit:?}: {what}"))
}

fn text(error: &AMQPError) -> String {
    error.get_message().to_string()
}
