//! A private RabbitMQ cluster: nodes on loopback ports that share queues, users and virtual hosts.

use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::Duration;

use super::{Names, Options, RabbitMq, folder};
use crate::{Error, Result, management, wait};

/// It takes some twenty seconds on two busy cores: each node boots for itself, then they join one after the other.
const MEET: Duration = Duration::from_secs(120);
/// A node that is silent for so long is taken for dead by the others, in seconds. RabbitMQ's own choice is a minute; with less a
/// machine that is merely busy would be taken for dead.
const SILENCE_SECONDS: u32 = 10;

/// A private RabbitMQ cluster. Ends, with its folders, when dropped.
#[derive(Debug)]
pub struct RabbitMqCluster {
    nodes: Vec<RabbitMq>,
}

impl RabbitMqCluster {
    /// Starts this many nodes, all at once, and waits until each sees all the others. A node that sees less than half of them
    /// stands still until it does (`pause_minority`).
    pub fn start(count: usize) -> Result<Self> {
        let folders = (0..count).map(|_| folder()).collect::<Result<Vec<_>>>()?;
        let Some(first) = folders.first() else { return Ok(Self { nodes: Vec::new() }) };
        let names = Arc::new(Names::start(first.path())?);
        let nodes = folders.into_iter().map(|folder| RabbitMq::prepare(folder, Arc::clone(&names)));
        let mut cluster = Self { nodes: nodes.collect::<Result<_>>()? };
        cluster.configure()?;
        cluster.boot()?;
        cluster.until_whole(MEET)?;
        Ok(cluster)
    }

    /// Where clients connect: one `amqp://guest:guest@127.0.0.1:PORT` for each node.
    pub fn uris(&self) -> Vec<String> {
        self.nodes.iter().map(RabbitMq::uri).collect()
    }

    /// Its nodes, to look at.
    pub fn nodes(&self) -> &[RabbitMq] {
        &self.nodes
    }

    /// Its nodes, to kill, pause and start again.
    pub fn nodes_mut(&mut self) -> &mut [RabbitMq] {
        &mut self.nodes
    }

    /// Whichever node is the first founds the cluster, the others join it; all know one another by a cookie.
    fn configure(&self) -> Result<()> {
        // Nobody else reaches their ports, which are of the loopback address; it only has to be the same for all.
        let cookie = format!("oarlock{}", self.nodes.first().map_or(0, |node| node.amqp.number()));
        for node in &self.nodes {
            let mut lines = [
                "cluster_partition_handling = pause_minority",
                "cluster_formation.peer_discovery_backend = classic_config",
                // They take turns by a lock. The first finds nobody to join, and the others wait until it has tried so often.
                "cluster_formation.discovery_retry_limit = 4",
                "cluster_formation.discovery_retry_interval = 500",
            ]
            .map(str::to_owned)
            .to_vec();
            lines.push(format!("net_ticktime = {SILENCE_SECONDS}"));
            lines.extend(self.nodes.iter().enumerate().map(|(number, node)| {
                format!("cluster_formation.classic_config.nodes.{} = {}", number + 1, node.node_name())
            }));
            node.configure(&Options { configuration: lines, ..Options::default() })?;
            give_cookie(node, &cookie)?;
        }
        Ok(())
    }

    fn boot(&mut self) -> Result<()> {
        std::thread::scope(|scope| {
            let boots: Vec<_> =
                self.nodes.iter_mut().map(|node| scope.spawn(|| node.start_again())).collect();
            let died =
                || Error::Refused { request: "starting RabbitMQ".into(), answer: "it panicked".into() };
            boots.into_iter().try_for_each(|boot| boot.join().unwrap_or_else(|_| Err(died())))
        })
    }

    /// Waits until every node sees every other running, at most so long.
    pub fn until_whole(&self, limit: Duration) -> Result<()> {
        wait::until("the nodes of RabbitMQ see one another", limit, || self.is_whole())
    }

    fn is_whole(&self) -> std::result::Result<(), String> {
        for node in &self.nodes {
            let seen = management::ask("GET", &node.management(), "/api/nodes", "");
            let seen = seen.map_err(|error| error.to_string())?;
            let running = seen.as_array().into_iter().flatten().filter(|one| one["running"] == true).count();
            if running != self.nodes.len() {
                return Err(format!("{} sees {running} nodes run", node.uri()));
            }
        }
        Ok(())
    }
}

/// Erlang reads the cookie from a file that only its owner may read, and makes one where there is none.
fn give_cookie(node: &RabbitMq, cookie: &str) -> Result<()> {
    let path = node.data_folder().join(".erlang.cookie");
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| std::io::Write::write_all(&mut file, cookie.as_bytes()));
    written.map_err(Error::io("the cookie of RabbitMQ"))
}
