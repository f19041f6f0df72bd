//! The floor: what RabbitMQ itself takes for a task, with nothing of Oarlock around it. `oarlock bench` measures itself against it.
//!
//! Bare lapin moves the bytes of a task message to a queue, to a consumer, and those of its result back, with the guarantees that
//! Oarlock gives: quorum queues, persistent and mandatory messages, confirms, an acknowledgement only after what follows from
//! a message is confirmed or (at the inbox, where a commit would stand) done. Acknowledgements are `multiple`, messages go in
//! batches of at most a window. Nothing is decided, stored, read or written as JSON.
//!
//! ```text
//! collector ──▶ oarlock.floor.tasks ──▶ worker ──▶ oarlock.floor.inbox.<n> ──▶ collector
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lapin::options::{ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions};
use lapin::{Channel, Connection, ConnectionProperties};
use oarlock_protocol::Span;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::address::Node;
use super::{declare, reason};
use crate::{Error, QueueDeclaration, topology};
use side::Side;

mod batch;
mod side;

const TASKS: &str = "oarlock.floor.tasks";
/// How often the floor lets a task be delivered: nothing comes near it.
const DELIVERY_LIMIT: u32 = 10;
const INBOX: &str = "oarlock.floor.inbox.";
/// The most queues of results that a floor has.
pub const MOST_INBOXES: usize = 4;

/// What is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// How many tasks.
    pub tasks: usize,
    /// How many of them are under way at once.
    pub in_flight: usize,
    /// The bytes of a task message's body.
    pub task_bytes: usize,
    /// The bytes of a result message's body.
    pub result_bytes: usize,
}

/// How it is moved; the best of several counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The most messages published or acknowledged together.
    pub batch: usize,
    /// How many queues bring results.
    pub inboxes: usize,
}

/// Bare connections to one RabbitMQ, as many as an orchestrator and a worker have.
pub struct Floor {
    publishing: [Connection; 2],
    consuming: [Connection; 2],
    inboxes: usize,
}

impl Floor {
    /// Connects, and declares its queues.
    ///
    /// # Errors
    /// The server is away or refuses.
    pub async fn open(uri: &str, inboxes: usize) -> Result<Self, Error> {
        let node = Node::parse(uri, Span::from_secs(10))?;
        let connect = || Connection::connect_uri(node.uri.clone(), ConnectionProperties::default());
        let bare = async {
            let publishing = [connect().await?, connect().await?];
            Ok(([connect().await?, connect().await?], publishing))
        };
        let (consuming, publishing) = bare.await.map_err(|error| reason::unavailable(&error))?;
        let floor = Self { publishing, consuming, inboxes };
        let [first, _] = &floor.consuming;
        let channel = first.create_channel().await.map_err(|error| reason::unavailable(&error))?;
        for name in floor.queues() {
            let declaration = declaration(name);
            let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            let name = declaration.name.as_str().into();
            let declared = channel.queue_declare(name, options, declare::arguments(&declaration)).await;
            declared.map_err(|error| reason::of_queue(&declaration.name, &error))?;
        }
        Ok(floor)
    }

    fn queues(&self) -> impl Iterator<Item = String> + use<> {
        queues(self.inboxes)
    }

    /// Moves the load, and tells how long it took.
    ///
    /// # Errors
    /// The server is away, or lost a message.
    pub async fn measure(&self, load: &Load, window: Window) -> Result<Duration, Error> {
        let inboxes = window.inboxes.clamp(1, self.inboxes).min(load.in_flight.max(1));
        let left = Arc::new(AtomicUsize::new(load.tasks.saturating_sub(load.in_flight)));
        let [of_collectors, of_worker] = &self.publishing;
        let [to_collectors, to_worker] = &self.consuming;
        let worker = Side::open(of_worker, to_worker, TASKS, window.batch).await?;
        let mut channels: Vec<Channel> = worker.channels().into();
        let mut collectors = Vec::new();
        for number in 0..inboxes {
            let side = Side::open(of_collectors, to_collectors, &inbox(number), window.batch).await?;
            let first = share(load.in_flight.min(load.tasks), inboxes, number);
            channels.extend(side.channels());
            collectors.push((side, number, first));
        }
        // What an earlier measurement that failed has left.
        for name in self.queues() {
            let purged =
                worker.channel().queue_purge(name.as_str().into(), QueuePurgeOptions::default()).await;
            purged.map_err(|error| reason::of_queue(&name, &error))?;
        }
        let began = Instant::now();
        let mut working = JoinSet::new();
        let answer = Arc::<[u8]>::from(vec![b'r'; load.result_bytes]);
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(worker.answer(answer, window.batch, stopped));
        for (side, number, first) in collectors {
            let body = Arc::<[u8]>::from(vec![b't'; load.task_bytes]);
            working.spawn(side.collect(body, inbox(number), first, Arc::clone(&left), window.batch));
        }
        let mut collected = 0;
        while let Some(outcome) = working.join_next().await {
            collected += outcome.map_err(|error| Error::Unavailable(error.to_string()))??;
        }
        let took = began.elapsed();
        stop.send(()).ok();
        serving.await.map_err(|error| Error::Unavailable(error.to_string()))??;
        for channel in channels {
            channel.close(200, "done".into()).await.ok();
        }
        if collected < load.tasks {
            return Err(Error::Unavailable(format!("{collected} of {} tasks came back", load.tasks)));
        }
        Ok(took)
    }
}

/// Its queues are those of Oarlock by another name: with the same limit of deliveries, and the same care for dead letters.
fn declaration(name: String) -> QueueDeclaration {
    if name == TASKS {
        return QueueDeclaration { name, ..topology::tasks_declaration("", DELIVERY_LIMIT) };
    }
    QueueDeclaration { name, ..topology::inbox_declaration(0) }
}

fn queues(inboxes: usize) -> impl Iterator<Item = String> {
    std::iter::once(TASKS.to_owned()).chain((0..inboxes).map(inbox))
}

/// Removes the queues and exchanges of a measurement: Oarlock's own, in a virtual host where nothing of it runs any more, and the floor's.
///
/// # Errors
/// The server is away.
pub async fn remove_all(uri: &str, partitions: u32, tasks: &[&str]) -> Result<(), Error> {
    let node = Node::parse(uri, Span::from_secs(10))?;
    let connecting = Connection::connect_uri(node.uri, ConnectionProperties::default());
    let connection = connecting.await.map_err(|error| reason::unavailable(&error))?;
    let shared = topology::shared_declarations().into_iter().map(|declaration| declaration.name);
    let inboxes = (0..partitions).map(topology::inbox);
    let tasks = tasks.iter().map(|task| topology::tasks(task));
    let channel = connection.create_channel().await.map_err(|error| reason::unavailable(&error))?;
    for queue in shared.chain(inboxes).chain(tasks).chain(queues(MOST_INBOXES)) {
        let deleted = channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await;
        deleted.map_err(|error| reason::of_queue(&queue, &error))?;
    }
    // An exchange of that name leads to the queue of starts.
    for exchange in [topology::START].into_iter().chain(topology::shared_exchanges()) {
        let deleted = channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default()).await;
        deleted.map_err(|error| reason::unavailable(&error))?;
    }
    Ok(())
}

fn inbox(number: usize) -> String {
    format!("{INBOX}{number}")
}

/// How many of `all` the part `number` of `parts` gets.
fn share(all: usize, parts: usize, number: usize) -> usize {
    all / parts + usize::from(number < all % parts)
}

/// Whether another task is to be sent; counts it.
fn take_one(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}
