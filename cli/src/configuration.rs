//! The settings: defaults compiled in, then a file, the environment, flags. An unknown key is an error.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::{Config, Environment, File, FileFormat};
use oarlock_broker::rabbitmq;
use oarlock_engine::router::Rule;
use oarlock_orchestrator::Settings;
use oarlock_orchestrator::store::redis;
use oarlock_payloads::Objects;
use oarlock_protocol::definition::TaskTimeouts;
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::{Span, name};
use oarlock_worker::ENVIRONMENT_PREFIX;
use serde::Deserialize;

use crate::arguments::{Global, Secrets};
use crate::exit::Failure;

mod fleet;
mod sections;
mod telemetry;
#[cfg(test)]
mod tests;

pub(crate) use sections::Log;
use sections::{
    Anomalies, Broker, Client, Events, Http, Limits, Orchestrator, Payloads, Principal, Refusals, Retention,
    Router, Scaling, Store, Tenants, Timeouts, Worker,
};

/// The defaults, each with its comment.
const DEFAULTS: &str = include_str!("../../config/oarlock.toml");
/// The sections that a worker.toml may hold beside what is its own.
const OF_WORKERS: [&str; 6] = ["broker", "limits", "log", "payloads", "telemetry", "worker"];

/// Every setting.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Configuration {
    orchestrator: Orchestrator,
    pub(crate) broker: Broker,
    pub(crate) store: Store,
    pub(crate) worker: Worker,
    limits: Limits,
    payloads: Payloads,
    timeouts: Timeouts,
    refusals: Refusals,
    retention: Retention,
    pub(crate) http: Http,
    pub(crate) client: Client,
    principal: Principal,
    router: Router,
    tenants: Tenants,
    scaling: Scaling,
    anomalies: Anomalies,
    events: Events,
    producers: HashMap<String, Principal>,
    pub(crate) log: Log,
    pub(crate) telemetry: telemetry::Section,
}

/// The file that holds settings of one's own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// There is none.
    None,
    /// Like config/oarlock.toml.
    Settings(&'a Path),
    /// A worker.toml, which holds some of their sections; what else is in it is not read here.
    Worker(&'a Path),
}

impl Configuration {
    /// Reads every source, and checks what the types cannot.
    pub(crate) fn load(global: &Global, source: Source<'_>) -> Result<Self, Failure> {
        Self::load_from(global, source, std::env::vars().collect())
    }

    fn load_from(
        global: &Global,
        source: Source<'_>,
        environment: HashMap<String, String>,
    ) -> Result<Self, Failure> {
        let file = match source {
            Source::None => String::new(),
            Source::Settings(path) | Source::Worker(path) => format!(" (with {})", path.display()),
        };
        let wrong = |e: config::ConfigError| {
            Failure::usage(format!("the settings{file} are wrong: {e}; config/oarlock.toml lists every key"))
        };
        let mut builder = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
        match source {
            Source::None => {}
            Source::Settings(path) => {
                builder = builder.add_source(File::from_str(&read(path)?, FileFormat::Toml));
            }
            Source::Worker(path) => {
                builder = builder.add_source(of_worker(&read(path)?).map_err(wrong)?);
            }
        }
        // Only names with a section are settings: commands of workers are given OARLOCK_RUN and others. A secret is none,
        // whatever its name.
        let is_setting = |name: &str| {
            name.starts_with("OARLOCK_") && name.contains("__") && !name.starts_with(ENVIRONMENT_PREFIX)
        };
        let ours = environment.clone().into_iter().filter(|(name, _)| is_setting(name));
        let variables =
            Environment::with_prefix("OARLOCK").prefix_separator("_").separator("__").try_parsing(true);
        builder = builder.add_source(variables.source(Some(ours.collect())));
        let mut configuration: Configuration =
            builder.build().map_err(wrong)?.try_deserialize().map_err(wrong)?;
        configuration.apply(global);
        configuration.telemetry.complete(&environment);
        configuration
            .check()
            .map_err(|reason| Failure::usage(format!("the settings{file} are wrong: {reason}")))?;
        Ok(configuration)
    }

    fn apply(&mut self, global: &Global) {
        let principal = &mut self.principal;
        if let Some(user) = &global.user {
            principal.user.clone_from(user);
        }
        if let Some(tenant) = &global.tenant {
            principal.tenant.clone_from(tenant);
        }
        principal.roles.extend(global.roles.iter().cloned());
        principal.permissions.extend(global.permissions.iter().cloned());
        if let Some(server) = &global.server {
            self.client.server.clone_from(server);
        }
        if let Some(level) = &global.log {
            self.log.level.clone_from(level);
        }
        if self.orchestrator.node.is_empty() {
            self.orchestrator.node = oarlock_worker::host_name();
        }
    }

    fn check(&self) -> Result<(), String> {
        name::check_tenant(&self.principal.tenant).map_err(|e| e.to_string())?;
        let at_least = |least: u64, value: u64, key: &str| {
            if value < least { Err(format!("{key} is {value}; it is at least {least}")) } else { Ok(()) }
        };
        at_least(1, self.orchestrator.partitions.into(), "orchestrator.partitions")?;
        at_least(1, self.orchestrator.window as u64, "orchestrator.window")?;
        at_least(1, self.orchestrator.delivery_limit.into(), "orchestrator.delivery_limit")?;
        at_least(100, self.orchestrator.cached_runs as u64, "orchestrator.cached_runs")?;
        at_least(1_000, self.orchestrator.lease.as_millis(), "orchestrator.lease, in milliseconds,")?;
        at_least(1_024, self.limits.payload_bytes as u64, "limits.payload_bytes")?;
        if self.orchestrator.partitions > 4_096 {
            return Err("orchestrator.partitions is more than 4096".to_owned());
        }
        // Below the 16 MiB that a broker takes as one message, with room for what stands around a payload.
        if self.limits.payload_bytes > 8 * 1024 * 1024 {
            return Err(
                "limits.payload_bytes is more than 8 MiB; keep large data elsewhere and pass its address"
                    .to_owned(),
            );
        }
        self.check_payloads()?;
        self.check_scaling()?;
        self.anomalies().check().map_err(|reason| format!("anomalies.of: {reason}"))?;
        if !(1_000..=60_000).contains(&self.worker.beat.as_millis()) {
            return Err(format!("worker.beat is {}; it is 1s to 1m", self.worker.beat));
        }
        self.telemetry.check()?;
        for (key, span) in self.times() {
            at_least(1, span.as_millis(), &format!("{key}, in milliseconds,"))?;
        }
        name::check_task_name(&self.orchestrator.node).map_err(|e| format!("orchestrator.node: {e}"))?;
        for rule in &self.router.rules {
            let sample = rule.queue.replace("{queue}", "q").replace("{tenant}", "t");
            name::check_task_name(&sample).map_err(|e| format!("router.rules: {e}"))?;
        }
        Ok(())
    }

    fn check_payloads(&self) -> Result<(), String> {
        let (limits, offload) = (&self.limits, self.payloads.offload_bytes);
        if offload < 1_024 {
            return Err(format!("payloads.offload_bytes is {offload}; it is at least 1024"));
        }
        if offload > limits.payload_bytes && self.payloads_url().is_some() {
            return Err(format!(
                "payloads.offload_bytes is {offload}, more than limits.payload_bytes, {}: what lies between would be refused",
                limits.payload_bytes
            ));
        }
        if limits.payload_store_bytes < limits.payload_bytes {
            return Err("limits.payload_store_bytes is less than limits.payload_bytes".to_owned());
        }
        // Read, a payload takes several times its size in memory.
        if limits.payload_store_bytes > 1024 * 1024 * 1024 {
            return Err("limits.payload_store_bytes is more than 1 GiB".to_owned());
        }
        Ok(())
    }

    /// Times that make no sense when they are zero.
    fn times(&self) -> [(&'static str, Span); 6] {
        let (broker, store) = (&self.broker, &self.store);
        [
            ("broker.heartbeat", broker.heartbeat),
            ("broker.confirm_timeout", broker.confirm_timeout),
            ("broker.connect_timeout", broker.connect_timeout),
            ("broker.silence", broker.silence),
            ("store.response_timeout", store.response_timeout),
            ("store.connect_timeout", store.connect_timeout),
        ]
    }

    /// Checks what matters to an orchestrator of a fleet alone.
    pub(crate) fn check_fleet(&self) -> Result<(), Failure> {
        let (heartbeat, lease) = (self.broker.heartbeat, self.orchestrator.lease);
        // The connection counts whole seconds.
        let seconds = heartbeat.as_millis().div_ceil(1_000).max(1);
        if seconds * 2_000 > lease.as_millis() {
            return Err(Failure::usage(format!(
                "broker.heartbeat is {heartbeat}, counted as {seconds} s, and orchestrator.lease is {lease}: a heartbeat is at \
                 most half the lease, so that a lost owner's messages are free when its partition is"
            )));
        }
        Ok(())
    }

    /// The folder of a worker's secrets: of the flag, else of the settings; none where only its worker.toml may name one.
    pub(crate) fn secrets(&self, flag: &Secrets) -> Option<PathBuf> {
        let setting = Some(&self.worker.secrets).filter(|folder| !folder.is_empty());
        flag.folder.clone().or_else(|| setting.map(PathBuf::from))
    }

    /// How to reach RabbitMQ; `name` is what it shows operators.
    pub(crate) fn rabbitmq(&self, name: String) -> rabbitmq::Settings {
        let broker = &self.broker;
        rabbitmq::Settings {
            nodes: broker.nodes.0.clone(),
            name,
            heartbeat: broker.heartbeat,
            confirm_timeout: broker.confirm_timeout,
            connect_timeout: broker.connect_timeout,
            silence: broker.silence,
        }
    }

    /// How to reach Redis.
    pub(crate) fn redis(&self) -> redis::Settings {
        let store = &self.store;
        redis::Settings {
            nodes: store.nodes.0.clone(),
            cluster: store.cluster,
            prefix: store.prefix.clone(),
            replicas: store.replicas,
            response_timeout: store.response_timeout,
            connect_timeout: store.connect_timeout,
        }
    }

    /// The largest input, output or variable, in bytes of JSON.
    pub(crate) fn payload_bytes(&self) -> usize {
        self.limits.payload_bytes
    }

    /// The address of the payload store, where there is one.
    pub(crate) fn payloads_url(&self) -> Option<&str> {
        Some(self.payloads.url.as_str()).filter(|url| !url.is_empty())
    }

    /// The payload store, where there is one.
    ///
    /// # Errors
    /// Its address cannot be used.
    pub(crate) fn payloads(&self) -> Result<Option<oarlock_payloads::Payloads>, Failure> {
        let Some(url) = self.payloads_url() else { return Ok(None) };
        let largest_bytes = self.limits.payload_store_bytes;
        let store =
            Objects::open(url, largest_bytes as u64).map_err(|error| Failure::usage(error.to_string()))?;
        let limits = oarlock_payloads::Limits { offload_bytes: self.payloads.offload_bytes, largest_bytes };
        Ok(Some(oarlock_payloads::Payloads::new(Arc::new(store), limits)))
    }

    /// The settings of an orchestrator, without the payload store and without traces.
    pub(crate) fn orchestrator(&self) -> Settings {
        Settings {
            node: self.orchestrator.node.clone(),
            partitions: self.orchestrator.partitions,
            lease: self.orchestrator.lease,
            window: self.orchestrator.window,
            tenant_weights: self.tenants.weights.clone(),
            cached_runs: self.orchestrator.cached_runs,
            delivery_limit: self.orchestrator.delivery_limit,
            deduplication: self.retention.deduplication,
            statistics: self.retention.statistics,
            producers: self.producers.iter().map(|(user, who)| (user.clone(), who.context())).collect(),
            orchestrators: None,
            watchdog: false,
            payloads: None,
            scaling: self.scaling(),
            anomalies: self.anomalies(),
            look: Settings::default().look,
            workers_kept: Settings::default().workers_kept,
            telemetry: oarlock_telemetry::Telemetry::default(),
            publish: self.events.publish,
            engine: self.engine(),
        }
    }

    fn engine(&self) -> oarlock_engine::Settings {
        let timeouts = &self.timeouts;
        let rules = self.router.rules.iter().map(|rule| Rule {
            task: rule.task.clone(),
            tenant: rule.tenant.clone(),
            security_level: rule.security_level,
            priority: rule.priority,
            queue: rule.queue.clone(),
        });
        oarlock_engine::Settings {
            payload_bytes: self.limits.payload_bytes,
            decision_bytes: oarlock_engine::Settings::default().decision_bytes,
            snapshot_bytes: self.limits.snapshot_bytes,
            iterations: self.limits.iterations,
            depth: self.limits.depth,
            timeouts: TaskTimeouts {
                queue: Some(timeouts.queue),
                execution: Some(timeouts.execution),
                heartbeat: Some(timeouts.heartbeat),
                total: None,
            },
            slack: timeouts.slack,
            cancel_grace: timeouts.cancel_grace,
            refusals: self.refusals.limit,
            refusal_delay: self.refusals.delay,
            retention: self.retention.finished_runs,
            routes: rules.collect(),
        }
    }

    /// On whose behalf this command acts.
    pub(crate) fn principal(&self) -> SecurityContext {
        self.principal.context()
    }
}

impl Principal {
    fn context(&self) -> SecurityContext {
        SecurityContext {
            user_id: self.user.clone(),
            tenant_id: self.tenant.clone(),
            roles: self.roles.clone(),
            permissions: self.permissions.clone(),
            ..SecurityContext::default()
        }
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|e| Failure::usage(format!("the settings {} cannot be read: {e}", path.display())))
}

/// The sections of a worker.toml that are settings like all others.
fn of_worker(text: &str) -> Result<Config, config::ConfigError> {
    let all = Config::builder().add_source(File::from_str(text, FileFormat::Toml)).build()?;
    let mut ours = Config::builder();
    for section in OF_WORKERS {
        match all.get::<config::Value>(section) {
            // The worker's own settings read it: it is named from the folder of the file.
            Ok(values) if section == "worker" => {
                let mut values = values.into_table()?;
                values.remove("secrets");
                ours = ours.set_override(section, values)?;
            }
            Ok(values) => ours = ours.set_override(section, values)?,
            Err(config::ConfigError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    ours.build()
}
