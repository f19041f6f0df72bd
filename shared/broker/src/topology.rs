//! The queues: every name and declaration is made here.
//!
//! The embedded broker keeps a declaration as it is. What it becomes on RabbitMQ, as arguments of a queue, is written in
//! `rabbitmq/declare.rs` and nowhere else: a durable queue is a quorum queue with a delivery limit, an exclusive one a
//! classic queue of the connection that consumes. Every message goes through the default exchange, dead letters too, so
//! there is no exchange and no binding to declare.
//!
//! ```text
//! producer ──▶ oarlock.start ─────────▶ orchestrator (any)      an exchange of that name leads there too
//!              oarlock.inbox.<p> ─────▶ owner of partition p: results, progress, starts, signals, cancels
//!              oarlock.tasks.<queue> ─▶ workers            ──dead──▶ oarlock.dead
//!              oarlock.control.<worker> ▶ that worker: answers, cancels (exclusive)
//!              oarlock.node.<node> ───▶ that orchestrator: answers to what it asked of other owners (exclusive)
//!              oarlock.parked ────────▶ operators: what could not be understood, with its reason
//! ```

use crate::{Broker, Error, QueueDeclaration, QueueKind};

/// How every queue of Oarlock begins.
pub const PREFIX: &str = "oarlock.";
/// Where producers ask for runs.
pub const START: &str = "oarlock.start";
/// Where the broker puts tasks it gave up.
pub const DEAD: &str = "oarlock.dead";
/// Where messages that could not be understood wait for an operator.
pub const PARKED: &str = "oarlock.parked";

/// How the inboxes of partitions begin.
pub const INBOX: &str = "oarlock.inbox.";
/// How the queues of tasks begin.
pub const TASKS: &str = "oarlock.tasks.";
/// How the queues of orchestrators begin.
const NODE: &str = "oarlock.node.";

/// The queue that carries every event of a partition's runs.
pub fn inbox(partition: u32) -> String {
    format!("{INBOX}{partition}")
}

/// The queue of tasks named `queue` (already checked by [`oarlock_protocol::name::check_task_name`]).
pub fn tasks(queue: &str) -> String {
    format!("{TASKS}{queue}")
}

/// The queue on which a worker hears answers and cancels.
pub fn control(worker: &str) -> String {
    format!("oarlock.control.{worker}")
}

/// The queue on which an orchestrator hears answers to what it asked of partitions that others own.
pub fn node(node: &str) -> String {
    format!("{NODE}{node}")
}

/// Whether orchestrators hear on a queue: its own of one of them, or an inbox.
pub fn is_of_orchestrators(queue: &str) -> bool {
    queue.starts_with(NODE) || queue.starts_with(INBOX)
}

/// A partition's inbox: never gives a message up.
pub fn inbox_declaration(partition: u32) -> QueueDeclaration {
    QueueDeclaration {
        name: inbox(partition),
        kind: QueueKind::Durable,
        delivery_limit: None,
        dead_letter: None,
    }
}

/// A task queue: after `delivery_limit` deliveries a task goes to [`DEAD`].
pub fn tasks_declaration(queue: &str, delivery_limit: u32) -> QueueDeclaration {
    QueueDeclaration {
        name: tasks(queue),
        kind: QueueKind::Durable,
        delivery_limit: Some(delivery_limit),
        dead_letter: Some(DEAD.to_owned()),
    }
}

/// A worker's control queue.
pub fn control_declaration(worker: &str) -> QueueDeclaration {
    QueueDeclaration {
        name: control(worker),
        kind: QueueKind::Exclusive,
        delivery_limit: None,
        dead_letter: None,
    }
}

/// An orchestrator's queue of answers.
pub fn node_declaration(name: &str) -> QueueDeclaration {
    QueueDeclaration { name: node(name), kind: QueueKind::Exclusive, delivery_limit: None, dead_letter: None }
}

/// The queues that every orchestrator shares: of starts, of dead letters, of what is parked.
pub fn shared_declarations() -> [QueueDeclaration; 3] {
    [(START, QueueKind::Entry), (DEAD, QueueKind::Durable), (PARKED, QueueKind::Durable)].map(
        |(name, kind)| QueueDeclaration {
            name: name.to_owned(),
            kind,
            delivery_limit: None,
            dead_letter: None,
        },
    )
}

/// Declares the queues that every orchestrator shares.
///
/// # Errors
/// The broker is away, or refuses.
pub async fn declare_shared(broker: &dyn Broker) -> Result<(), Error> {
    for declaration in shared_declarations() {
        broker.declare(&declaration).await?;
    }
    Ok(())
}
