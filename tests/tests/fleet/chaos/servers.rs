//! The servers of the chaos: RabbitMQ and Redis as clusters of three, each node behind a proxy.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread::scope;
use std::time::Duration;

use oarlock_test_servers::redis::Reply;
use oarlock_test_servers::{
    Proxy, Queue, RabbitMq, RabbitMqCluster, Redis, RedisCluster, Result, management,
};

use super::super::evidence::now;
use super::super::harness::KEEP;
use super::chance::{Chance, Range};
use super::faults::{Group, Kind};

const NODES: usize = 3;
/// A node of RabbitMQ that saw that it was alone restarts its application within seconds.
const COMES_BACK: Duration = Duration::from_secs(30);
/// The first part of every key in Redis.
pub(super) const PREFIX: &str = "chaos";

pub(super) struct Brokers {
    pub(super) cluster: RabbitMqCluster,
    pub(super) proxies: Vec<Proxy>,
    /// Nodes that stood still since the cluster was whole.
    stopped: Vec<usize>,
}

pub(super) struct Stores {
    pub(super) cluster: RedisCluster,
    pub(super) proxies: Vec<Proxy>,
}

/// Starts both at the same time.
pub(super) fn start() -> Result<(Brokers, Stores)> {
    scope(|scope| {
        let brokers = scope.spawn(Brokers::start);
        let stores = Stores::start()?;
        Ok((brokers.join().unwrap()?, stores))
    })
}

/// Where the test fails and logs are to be kept: copies them, for the folders of servers go with them.
fn keep_logs<'f>(name: &str, folders: impl Iterator<Item = &'f Path>) {
    if !std::thread::panicking() || std::env::var_os(KEEP).is_none() {
        return;
    }
    for (index, folder) in folders.enumerate() {
        let kept =
            std::env::temp_dir().join(format!("oarlock-chaos-{}-{name}-{index}.log", std::process::id()));
        if std::fs::copy(folder.join("server.log"), &kept).is_ok() {
            println!("the log of {name} {index} is {}", kept.display());
        }
    }
}

fn proxies(uris: &[String]) -> Result<Vec<Proxy>> {
    uris.iter().map(|uri| Proxy::start(uri)).collect()
}

fn through(proxies: &[Proxy], uris: &[String]) -> String {
    let uris = proxies.iter().zip(uris).map(|(proxy, uri)| proxy.uri(uri));
    uris.collect::<Vec<_>>().join(",")
}

impl Brokers {
    fn start() -> Result<Self> {
        let cluster = RabbitMqCluster::start(NODES)?;
        Ok(Self { proxies: proxies(&cluster.uris())?, cluster, stopped: Vec::new() })
    }

    /// Where processes connect, with commas between.
    pub(super) fn places(&self) -> String {
        through(&self.proxies, &self.cluster.uris())
    }

    /// Does what an administrator has to do where a node was given up by the others and has missed that it was: restarts it. RabbitMQ sees to
    /// a partition only while it lasts, and a node that goes on is connected again before it has looked.
    fn restart_stopped(&mut self) {
        for index in std::mem::take(&mut self.stopped) {
            println!("{} RabbitMQ {index} does not come back by itself: restarted", now());
            self.node(index).kill();
            self.node(index).start_again().unwrap();
        }
    }

    /// Waits until all nodes would know these queues after a power cut. See [`RabbitMq::until_on_disk`].
    pub(super) fn until_on_disk(&self, queues: &BTreeSet<String>) {
        for queue in queues {
            for node in self.cluster.nodes() {
                node.until_on_disk("/", queue).unwrap();
            }
        }
    }

    /// The queues there are, by the first node.
    pub(super) fn queues(&self) -> Result<Vec<Queue>> {
        oarlock_test_servers::queues(&self.cluster.nodes()[0].management(), "%2F")
    }

    pub(super) fn delete(&self, queue: &str) -> Result<()> {
        let management = self.cluster.nodes()[0].management();
        management::ask("DELETE", &management, &format!("/api/queues/%2F/{queue}"), "").map(drop)
    }

    fn node(&mut self, index: usize) -> &mut RabbitMq {
        &mut self.cluster.nodes_mut()[index]
    }
}

impl Drop for Brokers {
    fn drop(&mut self) {
        keep_logs(Self::NAME, self.cluster.nodes().iter().map(RabbitMq::data_folder));
    }
}

impl Group for Brokers {
    const NAME: &'static str = "RabbitMQ";
    const COUNT: usize = NODES;
    const MOST_AWAY: usize = 2;
    const PAUSE: Range = (2_000, 6_000);

    fn choose(chance: &mut Chance, several: bool) -> (Kind, Duration) {
        let kind = Kind::ALL[chance.below(Kind::ALL.len())];
        let lasts = match kind {
            Kind::Killed | Kind::Restarted => (200, 4_000),
            // Longer than the others wait for it. It restarts its application then.
            Kind::Stopped if !several && chance.once_in(3) => (11_000, 14_000),
            Kind::Stopped => (500, 4_000),
            Kind::CutOff | Kind::Silenced => (500, 8_000),
        };
        (kind, chance.time(lasts))
    }

    fn harm(&mut self, index: usize, kind: Kind) {
        match kind {
            Kind::Killed => self.node(index).kill(),
            Kind::Restarted => self.node(index).stop().unwrap(),
            Kind::Stopped => {
                self.stopped.push(index);
                self.node(index).pause();
            }
            Kind::CutOff => self.proxies[index].reset().unwrap(),
            Kind::Silenced => self.proxies[index].swallow(),
        }
    }

    fn heal(&mut self, index: usize, kind: Kind) {
        match kind {
            Kind::Killed | Kind::Restarted => self.node(index).start_again().unwrap(),
            Kind::Stopped => self.node(index).resume(),
            Kind::CutOff | Kind::Silenced => self.proxies[index].pass().unwrap(),
        }
    }

    fn settle(&mut self) {
        if self.cluster.until_whole(COMES_BACK).is_err() {
            self.restart_stopped();
            self.cluster.until_whole(COMES_BACK * 4).unwrap();
        }
        self.stopped.clear();
    }
}

impl Stores {
    fn start() -> Result<Self> {
        let mut cluster = RedisCluster::start(NODES)?;
        let proxies = proxies(&cluster.uris())?;
        cluster.announce(&proxies)?;
        Ok(Self { cluster, proxies })
    }

    /// Where processes connect, with commas between.
    pub(super) fn places(&self) -> String {
        through(&self.proxies, &self.cluster.uris())
    }
}

impl Stores {
    /// Sends one command about one key to the node that has it.
    pub(super) fn ask(&self, words: &[&str]) -> Result<Reply> {
        let mut replies = self.cluster.nodes().iter().map(|node| node.command(words));
        let last = replies.next_back();
        replies.find(Result::is_ok).or(last).unwrap()
    }

    pub(super) fn number(&self, words: &[&str]) -> Result<usize> {
        Ok(self.ask(words)?.text().parse().unwrap_or(0))
    }

    pub(super) fn texts(&self, words: &[&str]) -> Result<Vec<String>> {
        let Reply::Array(items) = self.ask(words)? else { return Ok(Vec::new()) };
        Ok(items.iter().map(Reply::text).collect())
    }
}

impl Drop for Stores {
    fn drop(&mut self) {
        keep_logs(Self::NAME, self.cluster.nodes().iter().map(Redis::data_folder));
    }
}

impl Group for Stores {
    const NAME: &'static str = "Redis";
    const COUNT: usize = NODES;
    const MOST_AWAY: usize = 2;
    const PAUSE: Range = (4_000, 9_000);

    fn choose(chance: &mut Chance, _several: bool) -> (Kind, Duration) {
        let kind = Kind::ALL[chance.below(Kind::ALL.len())];
        // The other nodes take one for lost after two seconds, its clients by their own time limits.
        (kind, chance.time((200, 6_000)))
    }

    fn harm(&mut self, index: usize, kind: Kind) {
        let node = &mut self.cluster.nodes_mut()[index];
        match kind {
            Kind::Killed => node.kill(),
            Kind::Restarted => node.stop().unwrap(),
            Kind::Stopped => node.pause(),
            Kind::CutOff => self.proxies[index].reset().unwrap(),
            Kind::Silenced => self.proxies[index].swallow(),
        }
    }

    fn heal(&mut self, index: usize, kind: Kind) {
        let node = &mut self.cluster.nodes_mut()[index];
        match kind {
            Kind::Killed | Kind::Restarted => node.start_again().unwrap(),
            Kind::Stopped => node.resume(),
            Kind::CutOff | Kind::Silenced => self.proxies[index].pass().unwrap(),
        }
    }

    fn settle(&mut self) {
        self.cluster.until_whole().unwrap();
    }
}
