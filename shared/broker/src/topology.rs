//! The queues: every name and declaration is made here.
//!
//! The embedded broker keeps a declaration as it is. What it becomes on RabbitMQ, as arguments of a queue, is written in
//! `rabbitmq/declare.rs` and nowhere else: a durable queue is a quorum queue with a delivery limit, an exclusive one a
//! classic queue of the connection that consumes. Every message that counts goes through the default exchange, dead letters
//! too. What is only told, and may be lost, goes to a topic exchange: each who listens has a queue of its own, bound to it.
//!
//! ```text
//! producer ──▶ oarlock.start ─────────▶ orchestrator (any)      an exchange of that name leads there too
//!              oarlock.inbox.<p> ─────▶ owner of partition p: results, progress, starts, signals, cancels
//!              oarlock.tasks.<queue> ─▶ workers            ──dead──▶ oarlock.dead
//!              oarlock.control.<worker> ▶ that worker: answers, cancels (exclusive)
//!              oarlock.node.<node> ───▶ that orchestrator: answers to what it asked of other owners (exclusive)
//!              oarlock.parked ────────▶ operators: what could not be understood, with its reason
//!
//!      whoever has news ──▶ oarlock.events ··▶ anybody who listens: what became of runs and tasks, what was found
//!      workers, nodes ────▶ oarlock.fleet ···▶ oarlock.fleet.<node>: every orchestrator hears who lives (exclusive)
//! ```

use crate::{Broker, Error, Hears, QueueDeclaration, QueueKind, topic};

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
/// The topic exchange of news: changes of status, findings. For anybody.
pub const EVENTS: &str = "oarlock.events";
/// The topic exchange of the fleet: beats of workers, reports of orchestrators. Every orchestrator hears all of it.
pub const FLEET: &str = "oarlock.fleet";

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

/// The queue on which an orchestrator hears the fleet.
pub fn fleet(node: &str) -> String {
    format!("{FLEET}.{node}")
}

/// The topic of a worker's beats on [`FLEET`].
pub fn worker_topic(worker: &str) -> String {
    format!("worker.{}", topic::word(worker))
}

/// A partition's inbox: never gives a message up.
pub fn inbox_declaration(partition: u32) -> QueueDeclaration {
    QueueDeclaration {
        name: inbox(partition),
        kind: QueueKind::Durable,
        delivery_limit: None,
        dead_letter: None,
        hears: Vec::new(),
    }
}

/// A task queue: after `delivery_limit` deliveries a task goes to [`DEAD`].
pub fn tasks_declaration(queue: &str, delivery_limit: u32) -> QueueDeclaration {
    QueueDeclaration {
        name: tasks(queue),
        kind: QueueKind::Durable,
        delivery_limit: Some(delivery_limit),
        dead_letter: Some(DEAD.to_owned()),
        hears: Vec::new(),
    }
}

/// A worker's control queue.
pub fn control_declaration(worker: &str) -> QueueDeclaration {
    QueueDeclaration {
        name: control(worker),
        kind: QueueKind::Exclusive,
        delivery_limit: None,
        dead_letter: None,
        hears: Vec::new(),
    }
}

/// An orchestrator's queue of answers.
pub fn node_declaration(name: &str) -> QueueDeclaration {
    QueueDeclaration {
        name: node(name),
        kind: QueueKind::Exclusive,
        delivery_limit: None,
        dead_letter: None,
        hears: Vec::new(),
    }
}

/// An orchestrator's queue of what the fleet tells: all of it.
pub fn fleet_declaration(node: &str) -> QueueDeclaration {
    let hears = vec![Hears { exchange: FLEET.to_owned(), pattern: "#".to_owned() }];
    QueueDeclaration {
        name: fleet(node),
        kind: QueueKind::Exclusive,
        delivery_limit: None,
        dead_letter: None,
        hears,
    }
}

/// The topic exchanges, made by orchestrators so that others need not be allowed to.
pub fn shared_exchanges() -> [&'static str; 2] {
    [EVENTS, FLEET]
}

/// The queues that every orchestrator shares: of starts, of dead letters, of what is parked.
pub fn shared_declarations() -> [QueueDeclaration; 3] {
    [(START, QueueKind::Entry), (DEAD, QueueKind::Durable), (PARKED, QueueKind::Durable)].map(
        |(name, kind)| QueueDeclaration {
            name: name.to_owned(),
            kind,
            delivery_limit: None,
            dead_letter: None,
            hears: Vec::new(),
        },
    )
}

/// Declares the queues that every orchestrator shares, and the topic exchanges.
///
/// # Errors
/// The broker is away, or refuses.
pub async fn declare_shared(broker: &dyn Broker) -> Result<(), Error> {
    for declaration in shared_declarations() {
        broker.declare(&declaration).await?;
    }
    for exchange in shared_exchanges() {
        broker.declare_exchange(exchange).await?;
    }
    Ok(())
}
