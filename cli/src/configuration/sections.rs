//! The sections of the settings, as they stand in a file. `configuration.rs` reads, checks and uses them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::SocketAddr;

use oarlock_monitor::Kind;
use oarlock_orchestrator::anomalies::Handle;
use oarlock_orchestrator::settings::Publish;
use oarlock_protocol::Span;
use oarlock_protocol::security::SecurityLevel;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::secret;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Orchestrator {
    pub(crate) node: String,
    pub(crate) partitions: u32,
    pub(crate) lease: Span,
    pub(crate) window: usize,
    pub(crate) cached_runs: usize,
    pub(crate) delivery_limit: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) payload_bytes: usize,
    pub(crate) snapshot_bytes: usize,
    pub(crate) iterations: usize,
    pub(crate) depth: u32,
    pub(crate) payload_store_bytes: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Payloads {
    pub(crate) url: String,
    pub(crate) offload_bytes: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Timeouts {
    pub(crate) queue: Span,
    pub(crate) execution: Span,
    pub(crate) heartbeat: Span,
    pub(crate) slack: Span,
    pub(crate) cancel_grace: Span,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refusals {
    pub(crate) limit: u32,
    pub(crate) delay: Span,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retention {
    pub(crate) finished_runs: Span,
    pub(crate) deduplication: Span,
    pub(crate) statistics: Span,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    pub(crate) listen: SocketAddr,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Client {
    pub(crate) server: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Principal {
    pub(crate) user: String,
    pub(crate) tenant: String,
    #[serde(default)]
    pub(crate) roles: Vec<String>,
    #[serde(default)]
    pub(crate) permissions: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Router {
    pub(crate) rules: Vec<RouteRule>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteRule {
    pub(crate) task: Option<String>,
    pub(crate) tenant: Option<String>,
    pub(crate) security_level: Option<SecurityLevel>,
    pub(crate) priority: Option<u8>,
    pub(crate) queue: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tenants {
    pub(crate) weights: HashMap<String, u32>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scaling {
    pub(crate) min_workers: u32,
    pub(crate) max_workers: u32,
    pub(crate) slots_per_worker: u32,
    pub(crate) drain: Span,
    pub(crate) average: Span,
    pub(crate) stabilization: Span,
    pub(crate) quiet: Span,
    pub(crate) service_guess: Span,
    pub(crate) queues: BTreeMap<String, ScalingOf>,
}

/// What of it differs for one queue.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ScalingOf {
    pub(crate) min_workers: Option<u32>,
    pub(crate) max_workers: Option<u32>,
    pub(crate) slots_per_worker: Option<u32>,
    pub(crate) drain: Option<Span>,
    pub(crate) average: Option<Span>,
    pub(crate) stabilization: Option<Span>,
    pub(crate) quiet: Option<Span>,
    pub(crate) service_guess: Option<Span>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Anomalies {
    pub(crate) enabled: bool,
    pub(crate) handle: Vec<Handle>,
    pub(crate) of: BTreeMap<Kind, Vec<Handle>>,
    pub(crate) run_grace: Span,
    pub(crate) queue_still: Span,
    pub(crate) worker_idle: Span,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Events {
    pub(crate) publish: Publish,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) json: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Broker {
    pub(crate) nodes: Addresses,
    pub(crate) heartbeat: Span,
    pub(crate) confirm_timeout: Span,
    pub(crate) connect_timeout: Span,
    pub(crate) silence: Span,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    pub(crate) nodes: Addresses,
    pub(crate) cluster: bool,
    pub(crate) prefix: String,
    pub(crate) replicas: u32,
    pub(crate) response_timeout: Span,
    pub(crate) connect_timeout: Span,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Worker {
    pub(crate) grace: Span,
    pub(crate) beat: Span,
    pub(crate) secrets: String,
}

/// Addresses of servers: a list, or a text with commas between them, as an environment gives it. They hold passwords.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Addresses(pub(crate) Vec<String>);

impl Addresses {
    /// As people may see them.
    pub(crate) fn shown(&self) -> Vec<String> {
        self.0.iter().map(|address| secret::hide(address)).collect()
    }
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.shown()).finish()
    }
}

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AddressesVisitor)
    }
}

/// One of its own, whose errors show no value.
struct AddressesVisitor;

impl<'de> Visitor<'de> for AddressesVisitor {
    type Value = Addresses;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of addresses, or a text with commas between them")
    }

    fn visit_str<E>(self, text: &str) -> Result<Addresses, E> {
        let addresses = text.split(',').map(str::trim).filter(|address| !address.is_empty());
        Ok(Addresses(addresses.map(str::to_owned).collect()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Addresses, A::Error> {
        let mut addresses = Vec::new();
        while let Some(address) = list.next_element::<String>()? {
            addresses.push(address);
        }
        Ok(Addresses(addresses))
    }
}
