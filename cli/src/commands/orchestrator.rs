//! `oarlock orchestrator`: one of a fleet's orchestrators, over RabbitMQ and Redis, until it is told to end.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use oarlock_broker::rabbitmq::RabbitMq;
use oarlock_orchestrator::store::redis::Redis;
use oarlock_orchestrator::store::{self, Store};
use oarlock_orchestrator::{Clock, Node, http, node};
use oarlock_payloads::Payloads;
use oarlock_protocol::definition::WorkflowDefinition;
use oarlock_telemetry::Telemetry;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{note, read_definition, say, say_json};
use crate::arguments::Orchestrator;
use crate::configuration::Configuration;
use crate::exit::Failure;
use crate::fleet;
use crate::serving::{Door, Serving};
use crate::signals::Signals;

mod check;

/// How long open requests may take when the process is told to end: the partitions wait for it.
const END_REQUESTS: Duration = Duration::from_secs(1);
/// The pause before a store that is away is asked again.
const STORE_AGAIN: Duration = Duration::from_millis(500);
/// The pause before a definition is registered again.
const REGISTER_AGAIN: Duration = Duration::from_secs(1);
/// How often to look whether all is ready at the beginning.
const LOOK: Duration = Duration::from_millis(100);

pub(super) async fn orchestrator(
    configuration: &Configuration,
    arguments: Orchestrator,
    json: bool,
) -> Result<ExitCode, Failure> {
    configuration.check_fleet()?;
    let definitions: Vec<WorkflowDefinition> =
        arguments.files.iter().map(|file| read_definition(file)).collect::<Result<_, _>>()?;
    let address = arguments.listen.unwrap_or(configuration.http.listen);
    if arguments.check {
        return check::check(configuration, address, &definitions, json);
    }
    let mut signals = Signals::hear()?;
    let redis = Redis::connect(configuration.redis()).map_err(|e| Failure::usage(e.to_string()))?;
    let name = configuration.orchestrator().node;
    let broker = fleet::broker(configuration, format!("oarlock orchestrator {name}"))?;
    let payloads = configuration.payloads()?;
    let telemetry = configuration.telemetry.start("oarlock-orchestrator")?;
    let beginning =
        Beginning { configuration, redis: Arc::new(redis), broker, payloads, telemetry: telemetry.clone() };
    let door = Door::open(address, "--listen")?;
    tell_where(&door, configuration, &name, json);
    let reminder = tokio::spawn(fleet::remind_for_ever(beginning.broker.clone()));
    let node = tokio::select! {
        node = beginning.begin(&door) => Arc::new(node?),
        _ = signals.told_to_end() => return Ok(ExitCode::SUCCESS),
    };
    let redis = beginning.redis.clone();
    let warnings = Arc::new(move || redis.findings());
    let router = http::router_with_warnings(node.clone(), configuration.principal(), warnings);
    let mut serving = door.serve(router)?;
    let outcome = tokio::select! {
        broken = serving.broken() => return Err(broken),
        failed = accompany(&node, configuration, definitions, json) => Err(failed),
        _ = signals.told_to_end() => Ok(ExitCode::SUCCESS),
    };
    reminder.abort();
    if !json {
        note("handing over (Ctrl-C or SIGTERM again leaves at once)");
    }
    tokio::select! {
        handed_over = hand_over(&node, serving, configuration) => {
            telemetry.end(fleet::LAST_SPANS).await;
            outcome.and_then(|code| handed_over.map(|()| code))
        }
        _ = signals.told_to_end() => outcome,
    }
}

/// What a node begins with.
struct Beginning<'a> {
    configuration: &'a Configuration,
    redis: Arc<Redis>,
    broker: Arc<RabbitMq>,
    payloads: Option<Payloads>,
    telemetry: Telemetry,
}

impl Beginning<'_> {
    /// Waits for the store, telling at the door for what, and starts the node. The broker the node waits for by itself.
    ///
    /// # Errors
    /// What waiting does not mend: somebody has to change it.
    async fn begin(&self, door: &Door) -> Result<Node, Failure> {
        let (tell, problem) = watch::channel("the store has not answered yet".to_owned());
        let waiting = door.serve(http::waiting(Arc::new(move || vec![problem.borrow().clone()])))?;
        let node = loop {
            self.wait_for_store(&tell).await?;
            match self.node().await {
                Err(node::Error::Store(store::Error::Unavailable(_))) => {}
                Err(error) => return Err(Failure::usage(format!("the orchestrator cannot start: {error}"))),
                Ok(node) => break node,
            }
        };
        tokio::spawn(waiting.end(END_REQUESTS, || {}));
        Ok(node)
    }

    async fn node(&self) -> Result<Node, node::Error> {
        let mut settings = self.configuration.orchestrator();
        // Here the process is the node and nothing else.
        settings.watchdog = true;
        settings.payloads = self.payloads.clone();
        settings.telemetry = self.telemetry.clone();
        settings.orchestrators = self.configuration.rabbitmq(String::new()).user()?;
        if settings.orchestrators.is_none() {
            tracing::warn!(
                "the broker's user of the orchestrators is not known: whoever reaches an inbox may ask anything of it"
            );
        }
        let (broker, redis) = (self.broker.clone(), self.redis.clone());
        Node::start(broker, redis.clone(), redis, settings, Clock::system()).await
    }

    async fn wait_for_store(&self, problem: &watch::Sender<String>) -> Result<(), Failure> {
        let wanted = self.configuration.orchestrator().partitions;
        let (mut told, mut told_at) = (String::new(), Instant::now());
        loop {
            let reason = match self.redis.partitions(wanted).await {
                Ok(fixed) => {
                    if fixed != wanted {
                        tracing::warn!(
                            fixed,
                            configured = wanted,
                            "the number of partitions was fixed when the store was new; the setting changes nothing"
                        );
                    }
                    if !told.is_empty() {
                        tracing::info!("the store answers");
                    }
                    return Ok(());
                }
                Err(store::Error::Unavailable(reason)) => reason,
                Err(error) => return Err(Failure::usage(error.to_string())),
            };
            if reason != told || told_at.elapsed() >= fleet::REMIND {
                tracing::warn!("waiting for the store: {reason}");
                (told, told_at) = (reason.clone(), Instant::now());
            }
            problem.send_replace(format!("the store cannot be reached: {reason}"));
            tokio::time::sleep(STORE_AGAIN).await;
        }
    }
}

/// Registers the definitions when all is ready, and tells; then there is nothing left to do. Returns where one is refused.
async fn accompany(
    node: &Node,
    configuration: &Configuration,
    definitions: Vec<WorkflowDefinition>,
    json: bool,
) -> Failure {
    while !node.is_ready() {
        tokio::time::sleep(LOOK).await;
    }
    let tenant = configuration.principal().tenant_id;
    let mut registered = Vec::new();
    for definition in definitions {
        let name = format!("{} version {}", definition.id, definition.version);
        match register(node, &tenant, definition).await {
            Ok(new) => {
                if !json {
                    say(&format!("{}: {name}", if new { "registered" } else { "unchanged" }));
                }
                registered.push(name);
            }
            Err(failure) => return failure,
        }
    }
    let readiness = node.readiness();
    let (owned, all) = (readiness.partitions_owned.len(), readiness.partitions);
    if json {
        say_json(
            &json!({"ready": true, "partitionsOwned": owned, "partitions": all, "registered": registered}),
        );
    } else {
        say(&format!("ready, with {owned} of {all} partitions"));
    }
    std::future::pending().await
}

/// Registers a definition as soon as its partition has an owner; whether it was new.
async fn register(node: &Node, tenant: &str, definition: WorkflowDefinition) -> Result<bool, Failure> {
    let mut told = false;
    loop {
        let problem = match node.register(tenant, definition.clone()).await {
            Ok(new) => return Ok(new),
            Err(node::Error::Refused(error)) if error.code != "UNAVAILABLE" => {
                let name = format!("{} version {}", definition.id, definition.version);
                return Err(
                    Failure::usage(format!("{name} is refused: {}", error.message)).answered(error.code)
                );
            }
            Err(error) => error,
        };
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(definition = definition.id, "cannot be registered yet, trying on: {problem}");
        }
        tokio::time::sleep(REGISTER_AGAIN).await;
    }
}

/// Takes no more requests, and gives the partitions to the others.
async fn hand_over(node: &Node, serving: Serving, configuration: &Configuration) -> Result<(), Failure> {
    serving.end(END_REQUESTS, || node.end_waits()).await;
    // After a lease the others take the partitions anyway.
    let lease = configuration.orchestrator().lease;
    tokio::time::timeout(lease.into(), node.stop()).await.map_err(|_| {
        Failure::unreachable(format!(
            "the partitions could not be handed over within {lease}; the others take them now that the lease is over"
        ))
    })
}

fn tell_where(door: &Door, configuration: &Configuration, name: &str, json: bool) {
    let (broker, store) = (configuration.broker.nodes.shown(), configuration.store.nodes.shown());
    let address = door.address;
    if json {
        let listening = format!("http://{address}");
        say_json(&json!({"listening": listening, "node": name, "broker": broker, "store": store}));
        return;
    }
    say(&format!("node {name}, broker {}, store {}", broker.join(", "), store.join(", ")));
    say(&format!("listening on http://{address}; SIGTERM hands over and ends"));
}
