//! `oarlock orchestrator --check`: what would be used, without passwords. It connects to nothing.

use std::net::SocketAddr;
use std::process::ExitCode;

use oarlock_orchestrator::store::redis::Redis;
use oarlock_protocol::definition::WorkflowDefinition;
use serde_json::json;

use crate::commands::{say, say_json};
use crate::configuration::Configuration;
use crate::exit::Failure;
use crate::fleet;
use crate::show::table;

pub(super) fn check(
    configuration: &Configuration,
    address: SocketAddr,
    definitions: &[WorkflowDefinition],
    json: bool,
) -> Result<ExitCode, Failure> {
    fleet::check_broker(configuration)?;
    Redis::connect(configuration.redis()).map_err(|e| Failure::usage(e.to_string()))?;
    let (broker, store) = (&configuration.broker, &configuration.store);
    configuration.payloads()?;
    let payloads = configuration.payloads_url();
    let settings = configuration.orchestrator();
    let definitions: Vec<_> = definitions.iter().map(|d| format!("{} version {}", d.id, d.version)).collect();
    let mut producers: Vec<&str> = settings.producers.keys().map(String::as_str).collect();
    producers.sort_unstable();
    let principal = configuration.principal();
    if json {
        say_json(&json!({
            "node": settings.node,
            "listen": address.to_string(),
            "broker": {"nodes": broker.nodes.shown(), "heartbeat": broker.heartbeat},
            "store": {
                "nodes": store.nodes.shown(), "cluster": store.cluster, "prefix": store.prefix,
                "replicas": store.replicas,
            },
            "payloads": payloads,
            "traces": configuration.telemetry.endpoint(),
            "partitions": settings.partitions,
            "lease": settings.lease,
            "principal": {"user": principal.user_id, "tenant": principal.tenant_id},
            "producers": producers,
            "definitions": definitions,
        }));
        return Ok(ExitCode::SUCCESS);
    }
    let none = |list: &str| if list.is_empty() { "none".to_owned() } else { list.to_owned() };
    let kind = if store.cluster { "cluster" } else { "single server" };
    let rows = [
        ("node", settings.node),
        ("HTTP", address.to_string()),
        ("broker", broker.nodes.shown().join(", ")),
        ("heartbeat", broker.heartbeat.to_string()),
        ("store", format!("{} ({kind})", store.nodes.shown().join(", "))),
        ("prefix", store.prefix.clone()),
        ("replicas", store.replicas.to_string()),
        ("payloads", none(payloads.unwrap_or_default())),
        ("traces", none(configuration.telemetry.endpoint().unwrap_or_default())),
        ("partitions", format!("{} where the store is new", settings.partitions)),
        ("lease", settings.lease.to_string()),
        ("principal", format!("{} of tenant {}", principal.user_id, principal.tenant_id)),
        ("producers", none(&producers.join(", "))),
        ("definitions", none(&definitions.join(", "))),
    ];
    let rows: Vec<_> = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    say(&table::text(&rows));
    Ok(ExitCode::SUCCESS)
}
