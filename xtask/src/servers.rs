//! The servers that all tests of a run share: one RabbitMQ, one Redis, one cluster of three. Called by `test` and `up`.

use std::path::Path;

use anyhow::{Result, anyhow};
use oarlock_test_servers::{RabbitMq, Redis, RedisCluster, Shared, containers, rabbitmq, redis, shared};

use crate::install;
use crate::steps::say;

/// The servers, and where they are. They end when this is dropped, by their process ids.
pub(crate) struct Servers {
    /// Where they are.
    pub(crate) shared: Shared,
    /// Set where servers run in containers.
    label: Option<String>,
    /// Nothing where those of another process are used.
    own: Option<(RabbitMq, Redis, RedisCluster)>,
}

impl Servers {
    /// Those the environment names or a running `up` has started, else new ones.
    pub(crate) fn find_or_start(root: &Path) -> Result<Self> {
        let Some(shared) = shared::found() else { return Self::start(root) };
        say(&format!("using the servers that run: {}, {}", shared.rabbitmq, shared.redis));
        Ok(Self { shared, label: None, own: None })
    }

    /// Installs what is missing and starts a private set, all at the same time.
    pub(crate) fn start(root: &Path) -> Result<Self> {
        let label = install::servers()?.then(|| std::process::id().to_string());
        install::compose();
        install::promtool();
        let python = install::python(root)?;
        if let Some(label) = &label {
            set_label(label);
        }
        let (rabbit, redis, cluster) = std::thread::scope(|scope| {
            let rabbit = scope.spawn(|| RabbitMq::start(rabbitmq::Options::default()));
            let cluster = scope.spawn(|| RedisCluster::start(3));
            let redis = Redis::start(redis::Options::default());
            (rabbit.join(), redis, cluster.join())
        });
        let died = |_| anyhow!("a thread that starts a server died");
        let (rabbit, redis, cluster) = (rabbit.map_err(died)??, redis?, cluster.map_err(died)??);
        let shared = Shared {
            rabbitmq: rabbit.uri(),
            management: rabbit.management(),
            redis: redis.uri(),
            redis_cluster: cluster.uris(),
            python,
        };
        Ok(Self { shared, label, own: Some((rabbit, redis, cluster)) })
    }

    /// What tests find them by.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let label = self.label.iter().map(|label| (containers::LABEL, label.clone()));
        self.shared.variables().into_iter().chain(label).collect()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.own = None;
        if let Some(label) = &self.label {
            install::remove_containers(label);
        }
    }
}

/// Tells the servers' own crate, in this process, to use containers.
#[allow(unsafe_code, reason = "the environment may be changed while no other thread runs")]
fn set_label(label: &str) {
    // SAFETY: called before any thread is started.
    unsafe { std::env::set_var(containers::LABEL, label) };
}
