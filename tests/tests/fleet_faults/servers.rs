//! The servers of one test, and the network before them.

use std::path::Path;
use std::sync::Arc;

use oarlock_broker::rabbitmq;
use oarlock_broker::{Broker, topology};
use oarlock_orchestrator::store::{Fields, Key, Store, redis};
use oarlock_protocol::Span;
use oarlock_test_servers::redis::{AppendSync, Options};
use oarlock_test_servers::{RabbitMq, Redis, Vhost};

use super::fleet::{PARTITIONS, eventually, work};
use super::tap::Tap;

/// A RabbitMQ and a Redis of one test.
pub(super) struct Servers {
    pub(super) vhost: Vhost,
    pub(super) rabbitmq: RabbitMq,
    pub(super) redis: Redis,
}

/// Where nodes and workers connect: the servers themselves, or a proxy before one.
#[derive(Clone)]
pub(super) struct Places {
    pub(super) rabbitmq: String,
    pub(super) redis: String,
    /// The first part of every key in Redis.
    pub(super) prefix: String,
    /// Whether a [`Tap`] doubles what is published.
    pub(super) doubles: bool,
}

impl Servers {
    pub(super) fn start() -> Self {
        tokio::task::block_in_place(|| {
            let rabbitmq = RabbitMq::start(oarlock_test_servers::rabbitmq::Options::default()).unwrap();
            let options = Options { append_sync: Some(AppendSync::Always), ..Options::default() };
            let redis = Redis::start(options).unwrap();
            Self { vhost: Vhost::create(&rabbitmq.management()).unwrap(), rabbitmq, redis }
        })
    }

    pub(super) fn places(&self) -> Places {
        let (rabbitmq, redis) = (self.vhost.uri(), self.redis.uri());
        Places { rabbitmq, redis, prefix: "fleet".to_owned(), doubles: false }
    }

    /// Waits until RabbitMQ would know the queues after a power cut.
    pub(super) fn until_queues_are_on_disk(&self) {
        let inboxes = (0..PARTITIONS).map(topology::inbox);
        let others = [topology::tasks("step"), topology::START.to_owned(), topology::DEAD.to_owned()];
        tokio::task::block_in_place(|| {
            for queue in inboxes.chain(others) {
                self.rabbitmq.until_on_disk(self.vhost.name(), &queue).unwrap();
            }
        });
    }

    /// Waits until no queue holds a message and no outbox an entry.
    pub(super) async fn until_nothing_is_left(&self) {
        self.until_nothing_is_left_at(&self.places()).await;
    }

    /// The same, of a fleet with a prefix of its own.
    pub(super) async fn until_nothing_is_left_at(&self, places: &Places) {
        eventually("no queue holds a message", || async {
            let queues = tokio::task::block_in_place(|| self.vhost.queues()).unwrap();
            let full = queues.iter().find(|queue| queue.ready + queue.unacknowledged > 0);
            full.map_or(Ok(()), |queue| Err(format!("{queue:?}")))
        })
        .await;
        self.until_outboxes_are_empty_at(places).await;
    }

    /// Waits until every task that was published is known to be.
    pub(super) async fn until_outboxes_are_empty(&self) {
        self.until_outboxes_are_empty_at(&self.places()).await;
    }

    async fn until_outboxes_are_empty_at(&self, places: &Places) {
        let store = places.store();
        store.partitions(PARTITIONS).await.unwrap();
        eventually("the outboxes are empty", || async {
            for partition in 0..PARTITIONS {
                let left = store.read_hash(partition, &Key::Outbox, Fields::All).await.unwrap();
                if !left.is_empty() {
                    return Err(format!("partition {partition}: {left:?}"));
                }
            }
            Ok(())
        })
        .await;
    }

    /// Does what blocks its thread: ends and starts servers.
    pub(super) fn change<T>(&mut self, change: impl FnOnce(&mut Self) -> T) -> T {
        work(|| change(self))
    }
}

impl Places {
    /// Connections of one process to RabbitMQ.
    pub(super) fn broker(&self) -> Arc<dyn Broker> {
        let nodes = vec![self.rabbitmq.clone()];
        let settings =
            rabbitmq::Settings { nodes, heartbeat: Span::from_secs(1), ..rabbitmq::Settings::default() };
        let broker = Arc::new(rabbitmq::RabbitMq::connect(settings).unwrap());
        if self.doubles { Arc::new(Tap(broker)) } else { broker }
    }

    /// Connections of one process to Redis.
    pub(super) fn store(&self) -> Arc<redis::Redis> {
        let (nodes, prefix) = (vec![self.redis.clone()], self.prefix.clone());
        let settings = redis::Settings { nodes, prefix, ..redis::Settings::default() };
        Arc::new(redis::Redis::connect(settings).unwrap())
    }
}

/// Copies a folder of files.
pub(super) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
