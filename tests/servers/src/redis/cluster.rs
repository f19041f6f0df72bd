//! A private Redis Cluster: primaries that share the slots, with replicas where asked for.

use std::time::Duration;

use super::{Options, Redis, Reply};
use crate::ports::Port;
use crate::{Proxy, Result, wait};

/// How many slots every Redis Cluster has.
const SLOTS: usize = 16_384;
/// It takes two seconds: the nodes meet by gossip.
const MEET: Duration = Duration::from_secs(60);

/// A private Redis Cluster. Ends, with its folders, when dropped.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
    primaries: usize,
    // The nodes speak among themselves on ports of their own.
    _bus: Vec<Port>,
}

impl RedisCluster {
    /// Starts this many primaries, and waits until each of them answers for the whole cluster.
    pub fn start(primaries: usize) -> Result<Self> {
        Self::start_with_replicas(primaries, 0)
    }

    /// The same with `replicas` for each primary: a replica takes over some seconds after its primary is gone. The nodes are in this order:
    /// all primaries, then one replica of each, then the next of each.
    pub fn start_with_replicas(primaries: usize, replicas: usize) -> Result<Self> {
        let count = primaries * (1 + replicas);
        let bus: Vec<Port> = (0..count).map(|_| Port::take()).collect::<Result<_>>()?;
        let nodes: Vec<Redis> = bus.iter().map(node).collect::<Result<_>>()?;
        let cluster = Self { nodes, primaries, _bus: bus };
        cluster.meet()?;
        cluster.follow()?;
        cluster.until_whole()?;
        Ok(cluster)
    }

    /// Makes the nodes name these proxies to clients instead of themselves, one for each, and waits until all of them do. What a client is sent
    /// elsewhere for goes through a proxy then, too.
    pub fn announce(&mut self, proxies: &[Proxy]) -> Result<()> {
        for (node, proxy) in self.nodes.iter_mut().zip(proxies) {
            let port = proxy.port().to_string();
            node.command(&["CONFIG", "SET", "cluster-announce-port", &port])?;
            node.arguments.extend(["--cluster-announce-port".to_owned(), port]);
        }
        wait::until("the nodes name their proxies", MEET, || {
            let ask = |node: &Redis| node.command(&["CLUSTER", "NODES"]).map_err(|error| error.to_string());
            let texts = self.nodes.iter().map(|node| ask(node).map(|reply| reply.text()));
            let texts: Vec<String> = texts.collect::<std::result::Result<_, _>>()?;
            let names = |text: &String| {
                proxies.iter().all(|proxy| text.contains(&format!("127.0.0.1:{}@", proxy.port())))
            };
            texts.iter().find(|text| !names(text)).map_or(Ok(()), |text| Err(text.clone()))
        })
    }

    /// Where clients connect: one `redis://127.0.0.1:PORT` for each node.
    pub fn uris(&self) -> Vec<String> {
        self.nodes.iter().map(Redis::uri).collect()
    }

    /// Its nodes, to look at.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// Its nodes, to kill, pause and start again.
    pub fn nodes_mut(&mut self) -> &mut [Redis] {
        &mut self.nodes
    }

    /// Waits until every node answers for the whole cluster again.
    pub fn until_whole(&self) -> Result<()> {
        wait::until("the cluster is whole", MEET, || self.is_whole())
    }

    /// Gives each primary its share of the slots, and makes all nodes known to the first.
    fn meet(&self) -> Result<()> {
        let primaries = self.primaries;
        for (index, node) in self.nodes.iter().enumerate() {
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()])?;
            if index < primaries {
                let (first, end) = (SLOTS * index / primaries, SLOTS * (index + 1) / primaries);
                node.command(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &(end - 1).to_string()])?;
            }
            if let Some(bus) = self._bus.get(index).filter(|_| index > 0) {
                let (port, bus) = (node.port().to_string(), bus.number().to_string());
                self.nodes[0].command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
            }
        }
        Ok(())
    }

    /// Makes every node behind the primaries a replica of one of them, as soon as it knows it.
    fn follow(&self) -> Result<()> {
        let primaries = self.primaries;
        for (index, node) in self.nodes.iter().enumerate().skip(primaries) {
            let id = self.nodes[index % primaries].command(&["CLUSTER", "MYID"])?.text();
            wait::until("a replica knows its primary", MEET, || {
                node.command(&["CLUSTER", "REPLICATE", &id]).map_err(|error| error.to_string())
            })?;
        }
        Ok(())
    }

    /// Whether every node knows an owner of every slot, and every replica is in touch with its primary.
    fn is_whole(&self) -> std::result::Result<(), String> {
        let primaries = self.primaries;
        for (index, node) in self.nodes.iter().enumerate() {
            let ask = |words: &[&str]| node.command(words).map_err(|error| error.to_string());
            let info = ask(&["CLUSTER", "INFO"])?.text();
            let known = format!("cluster_known_nodes:{}\r", self.nodes.len());
            let is_linked =
                index < primaries || ask(&["INFO", "replication"])?.text().contains("master_link_status:up");
            let Reply::Array(ranges) = ask(&["CLUSTER", "SLOTS"])? else { return Err(info) };
            let is_ok = info.contains("cluster_state:ok") && info.contains(&known);
            if !is_ok || !is_linked || ranges.len() != primaries {
                return Err(format!("{}: {info}", node.uri()));
            }
        }
        Ok(())
    }
}

fn node(bus: &Port) -> Result<Redis> {
    let bus = bus.number().to_string();
    let arguments = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "2000"];
    Redis::start(Options { arguments: arguments.map(str::to_owned).to_vec(), ..Options::default() })
}
