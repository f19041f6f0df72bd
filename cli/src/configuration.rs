//! The settings: defaults compiled in, then a file, the environment, flags. An unknown key is an error.

use std::collections::HashMap;
use std::net::SocketAddr;

use config::{Config, Environment, File, FileFormat};
use oarlock_engine::router::Rule;
use oarlock_orchestrator::Settings;
use oarlock_protocol::definition::TaskTimeouts;
use oarlock_protocol::security::{SecurityContext, SecurityLevel};
use oarlock_protocol::{Span, name};
use serde::Deserialize;

use crate::arguments::Global;
use crate::exit::Failure;

/// The defaults, each with its comment.
const DEFAULTS: &str = include_str!("../../config/oarlock.toml");

/// Every setting.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Configuration {
    orchestrator: Orchestrator,
    limits: Limits,
    timeouts: Timeouts,
    refusals: Refusals,
    retention: Retention,
    pub(crate) http: Http,
    pub(crate) client: Client,
    principal: Principal,
    router: Router,
    tenants: Tenants,
    producers: HashMap<String, Principal>,
    pub(crate) log: Log,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Orchestrator {
    node: String,
    partitions: u32,
    lease: Span,
    window: usize,
    cached_runs: usize,
    delivery_limit: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    payload_bytes: usize,
    snapshot_bytes: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Timeouts {
    queue: Span,
    execution: Span,
    heartbeat: Span,
    slack: Span,
    cancel_grace: Span,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusals {
    limit: u32,
    delay: Span,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Retention {
    finished_runs: Span,
    deduplication: Span,
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
struct Principal {
    user: String,
    tenant: String,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    permissions: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Router {
    rules: Vec<RouteRule>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteRule {
    task: Option<String>,
    tenant: Option<String>,
    security_level: Option<SecurityLevel>,
    priority: Option<u8>,
    queue: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tenants {
    weights: HashMap<String, u32>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) json: bool,
}

impl Configuration {
    /// Reads every source, and checks what the types cannot.
    pub(crate) fn load(global: &Global) -> Result<Self, Failure> {
        Self::load_from(global, std::env::vars().collect())
    }

    fn load_from(global: &Global, environment: HashMap<String, String>) -> Result<Self, Failure> {
        let mut builder = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
        if let Some(path) = &global.config {
            let text = std::fs::read_to_string(path).map_err(|e| {
                Failure::usage(format!("the settings {} cannot be read: {e}", path.display()))
            })?;
            builder = builder.add_source(File::from_str(&text, FileFormat::Toml));
        }
        // Only names with a section are settings: commands of workers are given OARLOCK_RUN and others.
        let ours =
            environment.into_iter().filter(|(name, _)| name.starts_with("OARLOCK_") && name.contains("__"));
        let source =
            Environment::with_prefix("OARLOCK").prefix_separator("_").separator("__").try_parsing(true);
        builder = builder.add_source(source.source(Some(ours.collect())));
        let file =
            global.config.as_ref().map(|path| format!(" (with {})", path.display())).unwrap_or_default();
        let wrong = |e: config::ConfigError| {
            Failure::usage(format!("the settings{file} are wrong: {e}; config/oarlock.toml lists every key"))
        };
        let mut configuration: Configuration =
            builder.build().map_err(wrong)?.try_deserialize().map_err(wrong)?;
        configuration.apply(global);
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
        for rule in &self.router.rules {
            let sample = rule.queue.replace("{queue}", "q").replace("{tenant}", "t");
            name::check_task_name(&sample).map_err(|e| format!("router.rules: {e}"))?;
        }
        Ok(())
    }

    /// The settings of an orchestrator.
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
            producers: self.producers.iter().map(|(user, who)| (user.clone(), who.context())).collect(),
            watchdog: false,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn global(config: Option<&std::path::Path>) -> Global {
        Global {
            json: false,
            config: config.map(std::path::Path::to_path_buf),
            user: None,
            tenant: None,
            roles: Vec::new(),
            permissions: Vec::new(),
            server: None,
            log: None,
        }
    }

    fn load(file: Option<&str>, environment: &[(&str, &str)]) -> Result<Configuration, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        let file = file.map(|text| {
            std::fs::write(&path, text).unwrap();
            path.as_path()
        });
        let environment = environment.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        Configuration::load_from(&global(file), environment).map_err(|failure| format!("{failure:?}"))
    }

    #[test]
    fn the_defaults_are_those_of_the_crates() {
        let defaults = load(None, &[]).unwrap().orchestrator();
        let engine = oarlock_engine::Settings::default();
        assert_eq!(format!("{:?}", defaults.engine), format!("{engine:?}"));
    }

    #[test]
    fn later_sources_win() {
        let file = "[http]\nlisten = '127.0.0.1:1'\n[limits]\npayload_bytes = 2048";
        let environment =
            [("OARLOCK_HTTP__LISTEN", "127.0.0.1:2"), ("OARLOCK_RUN", "of a command"), ("OTHER__X", "1")];
        let configuration = load(Some(file), &environment).unwrap();
        assert_eq!(configuration.http.listen.port(), 2);
        assert_eq!(configuration.limits.payload_bytes, 2048);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let rows = [
            ("[http]\nlisen = 'x'", "lisen"),
            ("[nonsense]\na = 1", "nonsense"),
            ("[timeouts]\nqueue = 30", "queue"),
            ("[timeouts]\nqueue = '30 parsecs'", "parsecs"),
            ("[orchestrator]\npartitions = 0", "orchestrator.partitions"),
            ("[principal]\ntenant = 'a/b'", "a/b"),
            ("[router]\nrules = [{queue = 'a b'}]", "a b"),
            ("[limits]\npayload_bytes = 100000000", "payload_bytes"),
            ("= nonsense", "settings"),
        ];
        for (file, named) in rows {
            let error = load(Some(file), &[]).expect_err(file);
            assert!(error.contains(named) && error.contains("settings.toml"), "{file}: {error}");
        }
        assert!(load(None, &[("OARLOCK_HTTP__LISEN", "x")]).unwrap_err().contains("lisen"));
    }
}
