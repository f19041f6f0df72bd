//! A system to test: a node over a broker and a store, and what tests ask of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use oarlock_broker::embedded::Embedded;
use oarlock_broker::rabbitmq;
use oarlock_broker::{Broker, Delivery, Message, Publication, Subscription, topology};
use oarlock_orchestrator::members::Members;
use oarlock_orchestrator::members::memory::Memory as Alone;
use oarlock_orchestrator::store::memory::Memory;
use oarlock_orchestrator::store::{Store, redis};
use oarlock_orchestrator::{Clock, Node, Settings};
use oarlock_protocol::instance::WorkflowInstance;
use oarlock_protocol::message::StartMessage;
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::{FORMAT, Json, RunId, RunKey};
use oarlock_test_servers::{Vhost, shared};
use oarlock_tests::resp::{RemovesKeys, command};
use oarlock_worker::{Builder, Worker};

use super::BACKEND;

/// Nothing here takes this long unless it hangs.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
pub(super) const TENANT: &str = "acme";

pub(super) struct System {
    pub(super) broker: Arc<dyn Broker>,
    pub(super) node: Node,
    /// Dropped last: removes what the test left on the servers.
    _parts: Option<Parts>,
}

/// What the nodes of a test run over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each module of tests runs over one of them")]
pub(super) enum Backend {
    /// The embedded broker and the store in memory.
    Embedded,
    /// RabbitMQ and one Redis.
    Servers,
    /// RabbitMQ and a Redis Cluster.
    Cluster,
}

/// What several nodes share: on servers every node has connections of its own.
pub(super) struct Parts {
    made: Made,
}

enum Made {
    Here { broker: Arc<dyn Broker>, store: Arc<dyn Store>, members: Arc<dyn Members> },
    There { vhost: Vhost, redis: redis::Settings, _removes: RemovesKeys },
}

impl Parts {
    pub(super) async fn fresh() -> Self {
        let servers = match BACKEND {
            Backend::Embedded => {
                let (broker, store) = (Arc::new(Embedded::new()), Arc::new(Memory::new()));
                return Self { made: Made::Here { broker, store, members: Arc::new(Alone::new()) } };
            }
            Backend::Servers => vec![shared().redis.clone()],
            Backend::Cluster => shared().redis_cluster.clone(),
        };
        let vhost = Vhost::create(&shared().management).unwrap();
        let removes = RemovesKeys::of(&servers);
        let redis = redis::Settings {
            nodes: servers,
            cluster: BACKEND == Backend::Cluster,
            prefix: removes.prefix().to_owned(),
            ..redis::Settings::default()
        };
        Self { made: Made::There { vhost, redis, _removes: removes } }
    }

    /// The store, as another node would see it.
    #[allow(dead_code, reason = "not every binary's tests need it")]
    pub(super) async fn store(&self) -> Arc<dyn Store> {
        let (_, store, _) = self.connect();
        // Asked before anything else; the answer is what the first node had fixed.
        store.partitions(1).await.unwrap();
        store
    }

    /// The virtual host on RabbitMQ.
    #[allow(dead_code, reason = "not every binary's tests need it")]
    pub(super) fn vhost(&self) -> &Vhost {
        let Made::There { vhost, .. } = &self.made else { panic!("there is no RabbitMQ") };
        vhost
    }

    /// Every key in Redis.
    #[allow(dead_code, reason = "not every binary's tests need it")]
    pub(super) fn keys(&self) -> BTreeSet<String> {
        let Made::There { redis, .. } = &self.made else { panic!("there is no Redis") };
        let pattern = format!("{}:*", redis.prefix);
        redis.nodes.iter().flat_map(|node| command(node, &["KEYS", &pattern]).texts()).collect()
    }

    fn connect(&self) -> (Arc<dyn Broker>, Arc<dyn Store>, Arc<dyn Members>) {
        match &self.made {
            Made::Here { broker, store, members } => (broker.clone(), store.clone(), members.clone()),
            Made::There { vhost, redis, .. } => {
                let rabbit = rabbitmq::Settings { nodes: vec![vhost.uri()], ..rabbitmq::Settings::default() };
                let redis = Arc::new(redis::Redis::connect(redis.clone()).unwrap());
                (Arc::new(rabbitmq::RabbitMq::connect(rabbit).unwrap()), redis.clone(), redis)
            }
        }
    }

    /// Another node over them.
    pub(super) async fn node(&self, name: &str, settings: Settings) -> System {
        let settings = Settings { node: name.to_owned(), ..settings };
        let (broker, store, members) = self.connect();
        System::begin_node(broker, store, members, settings, Clock::system()).await
    }
}

/// Settings for tests: one partition, short waits.
pub(super) fn settings() -> Settings {
    let mut settings = Settings { partitions: 1, delivery_limit: 3, ..Settings::default() };
    let producer = request("", Json::Null).security_context;
    settings.producers.insert("*".to_owned(), SecurityContext { user_id: "shop".to_owned(), ..producer });
    settings.engine.cancel_grace = oarlock_protocol::Span::from_secs(20);
    settings
}

impl System {
    pub(super) async fn start() -> Self {
        let parts = Parts::fresh().await;
        let system = parts.node("alone", settings()).await;
        Self { _parts: Some(parts), ..system }
    }

    /// A node over the given parts, embedded.
    #[allow(dead_code, reason = "not every backend's tests need it")]
    pub(super) async fn over(broker: Arc<dyn Broker>, store: Arc<dyn Store>, settings: Settings) -> Self {
        Self::with_clock(broker, store, settings, Clock::system()).await
    }

    /// The same, with a clock of its own.
    #[allow(dead_code, reason = "not every backend's tests need it")]
    pub(super) async fn with_clock(
        broker: Arc<dyn Broker>,
        store: Arc<dyn Store>,
        settings: Settings,
        clock: Clock,
    ) -> Self {
        Self::begin_node(broker, store, Arc::new(Alone::new()), settings, clock).await
    }

    async fn begin_node(
        broker: Arc<dyn Broker>,
        store: Arc<dyn Store>,
        members: Arc<dyn Members>,
        settings: Settings,
        clock: Clock,
    ) -> Self {
        let node = Node::start(broker.clone(), store, members, settings, clock).await.unwrap();
        assert!(node.ready_within(PATIENCE).await, "the partitions are not owned: {:?}", node.readiness());
        Self { broker, node, _parts: None }
    }

    pub(super) fn worker(&self) -> Builder {
        Worker::builder(self.broker.clone())
    }

    /// Registers a definition written as YAML.
    pub(super) async fn register(&self, yaml: &str) {
        let report = oarlock_definition::read("test.yaml", yaml);
        let definition = report.definition.as_ref().unwrap_or_else(|| panic!("{}", report.render(false)));
        self.node.register(TENANT, definition.clone()).await.unwrap();
    }

    pub(super) async fn begin(&self, workflow: &str, input: Json) -> RunKey {
        self.node.start_run(request(workflow, input)).await.unwrap().run
    }

    /// The run when it has ended.
    pub(super) async fn end(&self, run: &RunKey) -> WorkflowInstance {
        self.end_within(run, PATIENCE).await
    }

    /// The same, where much is to be done before.
    pub(super) async fn end_within(&self, run: &RunKey, patience: Duration) -> WorkflowInstance {
        let ended = self.node.wait(run, patience).await.unwrap().expect("the run is there");
        assert!(ended.status.is_terminal(), "still {:?}: {ended:#?}", ended.status);
        ended
    }

    pub(super) async fn run(&self, workflow: &str, input: Json) -> WorkflowInstance {
        let run = self.begin(workflow, input).await;
        self.end(&run).await
    }

    /// Takes the next message of a queue, and acknowledges it.
    pub(super) async fn take(&self, queue: &str) -> Message {
        let subscription = Subscription { queue: queue.to_owned(), prefetch: 1, priority: 0 };
        let mut consumer = self.broker.consume(subscription).await.unwrap();
        let delivery = next(&mut *consumer).await;
        consumer.acknowledger().ack(delivery.tag).await.unwrap();
        delivery.message
    }

    pub(super) async fn publish(&self, queue: &str, message: Message) {
        let published = self.broker.publish(vec![Publication { queue: queue.to_owned(), message }]).await;
        published.into_iter().for_each(|result| result.unwrap());
    }

    /// Sends a message to the inbox of the only partition.
    pub(super) async fn tell_inbox(&self, kind: &str, body: impl Into<Vec<u8>>) {
        let message = Message { kind: kind.to_owned(), body: body.into().into(), ..Message::default() };
        self.publish(&topology::inbox(0), message).await;
    }
}

pub(super) async fn next(consumer: &mut dyn oarlock_broker::Consumer) -> Delivery {
    let received = tokio::time::timeout(PATIENCE, consumer.receive(1)).await.expect("a message comes");
    received.unwrap().remove(0)
}

pub(super) fn request(workflow: &str, input: Json) -> StartMessage {
    StartMessage {
        parent: None,
        traceparent: None,
        format: FORMAT,
        workflow_instance_id: RunId::random(),
        workflow_definition_id: workflow.to_owned(),
        workflow_definition_version: None,
        input,
        idempotency_key: None,
        correlation_id: Some("from-a-test".to_owned()),
        priority: None,
        security_context: SecurityContext {
            user_id: "ada".to_owned(),
            tenant_id: TENANT.to_owned(),
            roles: vec!["clerk".to_owned()],
            permissions: vec!["read".to_owned(), "write".to_owned()],
            ..SecurityContext::default()
        },
    }
}

/// Polls `look` until it answers `Some`; fails when that takes too long.
pub(super) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    let begun = std::time::Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
