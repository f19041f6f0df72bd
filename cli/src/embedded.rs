//! Everything in one process: the embedded broker, a store, a node and a worker.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use oarlock_broker::Broker;
use oarlock_broker::embedded::Embedded as EmbeddedBroker;
use oarlock_engine::{Plan, router};
use oarlock_orchestrator::members::memory::Memory;
use oarlock_orchestrator::store::{Store, file, memory};
use oarlock_orchestrator::{Clock, Node, Settings};
use oarlock_protocol::definition::WorkflowDefinition;
use oarlock_telemetry::Telemetry;
use oarlock_worker::Running;
use oarlock_worker::settings::Settings as WorkerSettings;

use crate::arguments::Handlers;
use crate::configuration::Configuration;
use crate::exit::Failure;
use crate::fleet::LAST_SPANS;
use crate::handlers;

/// How long a worker may take to finish what it holds when the process is told to end.
const DRAIN: Duration = Duration::from_secs(10);
/// How long the partitions may take to be owned: in one process they are at once.
const OWNED: Duration = Duration::from_secs(30);

/// A whole Oarlock in this process.
pub(crate) struct Embedded {
    pub(crate) node: Arc<Node>,
    worker: Option<Running>,
    telemetry: Telemetry,
}

/// The worker of this process, before it is started.
pub(crate) struct Hands {
    settings: WorkerSettings,
    /// The file its settings came from.
    pub(crate) file: Option<PathBuf>,
}

impl Hands {
    /// Reads the worker's settings: the named file, else worker.toml in `folder`; then the flags.
    pub(crate) fn load(
        handlers: &Handlers,
        folder: &Path,
        configuration: &Configuration,
    ) -> Result<Self, Failure> {
        let beside = folder.join("worker.toml");
        let file = handlers.worker.clone().or_else(|| beside.is_file().then_some(beside));
        let settings = handlers::settings(file.as_deref(), folder, &handlers.over, configuration)?;
        Ok(Self { settings, file })
    }

    /// Takes tasks from the queues that a definition's tasks are sent to in runs of this priority, and names the tasks that have no handler here.
    pub(crate) fn fit(
        &mut self,
        definition: &WorkflowDefinition,
        priority: Option<u8>,
        configuration: &Configuration,
    ) -> Vec<String> {
        let Ok(plan) = Plan::compile(Arc::new(definition.clone())) else { return Vec::new() };
        let routes = configuration.orchestrator().engine.routes;
        let tenant = configuration.principal().tenant_id;
        let mut missing = BTreeSet::new();
        // A run of another workflow needs no hands of its own.
        let tasks = plan.nodes().filter_map(|node| node.work()).filter(|work| work.child.is_none());
        for work in tasks {
            let task = &work.definition.id;
            let priority = router::priority(work.priority, priority);
            self.settings.set_queue(task, &router::route(&routes, &work.definition, &tenant, priority));
            let http = self.settings.has_http() && task == oarlock_worker::http::TASK;
            if !http && !self.settings.commands().contains_key(task) {
                missing.insert(task.clone());
            }
        }
        missing.into_iter().collect()
    }
}

impl Embedded {
    /// Starts broker, store and node, registers the definitions, and starts the worker where it has handlers.
    pub(crate) async fn start(
        configuration: &Configuration,
        data: Option<&Path>,
        hands: Hands,
        definitions: Vec<WorkflowDefinition>,
    ) -> Result<Embedded, Failure> {
        let broker: Arc<dyn Broker> = Arc::new(EmbeddedBroker::new());
        let store: Arc<dyn Store> = match data {
            Some(folder) => Arc::new(file::File::open(folder).map_err(|e| Failure::usage(e.to_string()))?),
            None => Arc::new(memory::Memory::new()),
        };
        let payloads = configuration.payloads()?;
        let telemetry = configuration.telemetry.start("oarlock")?;
        let settings = Settings {
            payloads: payloads.clone(),
            telemetry: telemetry.clone(),
            ..configuration.orchestrator()
        };
        let payload_bytes = settings.engine.payload_bytes;
        let node = Node::start(broker.clone(), store, Arc::new(Memory::new()), settings, Clock::system())
            .await
            .map_err(|e| Failure::usage(format!("the orchestrator cannot start: {e}")))?;
        if !node.ready_within(OWNED).await {
            return Err(Failure::unreachable(
                "the partitions are not owned after 30 s; see the log (--log info)",
            ));
        }
        let tenant = configuration.principal().tenant_id;
        for definition in definitions {
            node.register(&tenant, definition).await.map_err(|e| Failure::usage(e.to_string()))?;
        }
        let worker = if hands.settings.is_empty() {
            None
        } else {
            let builder = hands.settings.into_worker(broker).map_err(|e| Failure::usage(e.to_string()))?;
            let builder = builder.max_payload_bytes(payload_bytes).telemetry(telemetry.clone());
            let mut builder = builder.beat(configuration.worker.beat.into());
            if let Some(payloads) = payloads {
                builder = builder.payloads(payloads);
            }
            let worker = builder.build().map_err(|e| Failure::usage(e.to_string()))?;
            Some(worker.start().await.map_err(|e| Failure::unreachable(e.to_string()))?)
        };
        Ok(Embedded { node: Arc::new(node), worker, telemetry })
    }

    /// Ends the worker, then the node, in order, and tells of the last that they did.
    pub(crate) async fn stop(self) {
        if let Some(worker) = self.worker {
            worker.drain(DRAIN).await;
        }
        self.node.stop().await;
        self.telemetry.end(LAST_SPANS).await;
    }
}
