//! A cluster of three primaries: one is gone, a slot moves, the scripts are missing on one.

use oarlock_tests::resp::Reply;

use super::server::Server;
use super::*;

const PARTITIONS: u32 = 6;

/// Three primaries with all slots, ended when dropped.
struct Cluster {
    nodes: Vec<Server>,
}

impl Cluster {
    async fn start() -> Self {
        // The second port of each, for the nodes among themselves, is chosen freely too.
        let start = || {
            let bus = super::server::free_port().to_string();
            let arguments =
                ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "1000"];
            // The others go on when one is gone.
            (Server::start(&[&arguments[..], &["--cluster-require-full-coverage", "no"]].concat()), bus)
        };
        let nodes: Vec<(Server, String)> = (0..3).map(|_| start()).collect();
        for (index, (node, _)) in nodes.iter().enumerate() {
            let (first, last) = (index * 16384 / 3, (index + 1) * 16384 / 3 - 1);
            let range = [first.to_string(), last.to_string()];
            assert_eq!(node.command(&["CLUSTER", "ADDSLOTSRANGE", &range[0], &range[1]]).text(), "OK");
            assert_eq!(node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]).text(), "OK");
        }
        for (other, bus) in &nodes[1..] {
            let port = other.port().to_string();
            nodes[0].0.command(&["CLUSTER", "MEET", "127.0.0.1", &port, bus]);
        }
        let cluster = Self { nodes: nodes.into_iter().map(|(node, _)| node).collect() };
        cluster.is_whole().await;
        cluster
    }

    /// Waits until every node knows all others and all slots.
    async fn is_whole(&self) {
        let began = Instant::now();
        let whole = |node: &Server| {
            let info = node.command(&["CLUSTER", "INFO"]);
            let nodes = node.command(&["CLUSTER", "NODES"]);
            let links = nodes.text().matches(" connected").count();
            let text = info.text();
            text.contains("cluster_state:ok") && text.contains("cluster_slots_ok:16384") && links == 3
        };
        while !self.nodes.iter().all(whole) {
            assert!(began.elapsed() < PATIENCE, "the cluster is whole");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn store(&self) -> Redis {
        let nodes = self.nodes.iter().map(Server::url).collect();
        let store = Redis::connect(Settings { nodes, cluster: true, ..settings("") }).unwrap();
        assert_eq!(store.partitions(PARTITIONS).await, Ok(PARTITIONS));
        store
    }

    /// The `own` key of a partition, and the node that has it.
    fn own_key(&self, partition: u32) -> (String, usize) {
        let pattern = format!("*{{p{partition}.*:own");
        let found = self.nodes.iter().enumerate().find_map(|(index, node)| {
            node.command(&["KEYS", &pattern]).texts().pop().map(|key| (key, index))
        });
        found.expect("the partition was taken")
    }
}

async fn take_all(store: &Redis) -> Vec<Token> {
    let mut tokens = Vec::new();
    for partition in 0..PARTITIONS {
        tokens.push(own(store, partition, None).await.0);
    }
    tokens
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_lie_on_all_primaries_each_on_one() {
    let cluster = Cluster::start().await;
    let store = cluster.store().await;
    let tokens = take_all(&store).await;
    for (partition, token) in (0..).zip(&tokens) {
        let writes = [set(&run(1), "a", "1"), score(&Key::Timers, "t", 1), set(&Key::Outbox, "o", "1")];
        store.commit(partition, token, 1, &writes).await.unwrap();
    }
    let mut held = [0; 3];
    for partition in 0..PARTITIONS {
        let (_, node) = cluster.own_key(partition);
        held[node] += 1;
        let keys = cluster.nodes[node].command(&["KEYS", &format!("*{{p{partition}.*")]).texts();
        assert_eq!(keys.len(), 4, "{keys:?}");
    }
    assert_eq!(held, [2, 2, 2]);
    assert_eq!(store.findings(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_primary_stops_its_partitions_only_and_comes_back() {
    let mut cluster = Cluster::start().await;
    let store = cluster.store().await;
    let tokens = take_all(&store).await;
    let gone = cluster.own_key(0).1;
    let on_gone: Vec<bool> = (0..PARTITIONS).map(|p| cluster.own_key(p).1 == gone).collect();
    cluster.nodes[gone].kill();
    unavailable(store.commit(0, &tokens[0], 1, &[]).await);
    for (partition, token) in (0..).zip(&tokens).filter(|(p, _)| !on_gone[*p as usize]) {
        for seq in 1..=5 {
            let writes = [set(&Key::Outbox, &seq.to_string(), "x")];
            available(|| store.commit(partition, token, seq, &writes)).await;
        }
    }
    cluster.nodes[gone].start_again();
    let writes = [set(&Key::Outbox, "a", "1")];
    available(|| store.commit(0, &tokens[0], 1, &writes)).await;
    store.release(0, &tokens[0]).await.unwrap();
    assert!(own(&store, 0, None).await.2, "its server began anew");
    let other = (0..PARTITIONS).find(|p| !on_gone[*p as usize]).unwrap();
    store.release(other, &tokens[other as usize]).await.unwrap();
    assert!(!own(&store, other, None).await.2, "this one's did not");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_primary_that_evicts_is_enough_to_refuse() {
    let cluster = Cluster::start().await;
    cluster.nodes[2].command(&["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"]);
    let nodes = cluster.nodes.iter().map(Server::url).collect();
    let store = Redis::connect(Settings { nodes, cluster: true, ..settings("") }).unwrap();
    let text = unusable(store.partitions(PARTITIONS).await);
    assert!(text.contains("noeviction") && text.contains(&cluster.nodes[2].port().to_string()), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_one_primary_forgot_are_loaded_again() {
    let cluster = Cluster::start().await;
    let store = cluster.store().await;
    let tokens = take_all(&store).await;
    for seq in 1..=3 {
        cluster.nodes[seq as usize - 1].command(&["SCRIPT", "FLUSH"]);
        for (partition, token) in (0..).zip(&tokens) {
            store.commit(partition, token, seq, &[set(&Key::Outbox, &seq.to_string(), "x")]).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_moves_to_another_primary_while_it_commits() {
    let cluster = Cluster::start().await;
    let store = std::sync::Arc::new(cluster.store().await);
    let (token, ..) = own(&store, 0, None).await;
    store.commit(0, &token, 1, &[set(&run(1), "a", "1"), score(&Key::Timers, "t", 1)]).await.unwrap();
    let (key, from) = cluster.own_key(0);
    let to = (from + 1) % 3;
    let (writing, over) =
        (std::sync::Arc::clone(&store), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let stop = std::sync::Arc::clone(&over);
    let writer = tokio::spawn(async move {
        let mut seq = 1;
        while !stop.load(std::sync::atomic::Ordering::SeqCst) {
            seq += 1;
            let writes = [set(&Key::Outbox, &seq.to_string(), "x"), set(&run(1), "a", &seq.to_string())];
            available(|| writing.commit(0, &token, seq, &writes)).await;
        }
        seq
    });
    let nodes = &cluster.nodes;
    move_slot(nodes, &key, from, to).await;
    assert_eq!(cluster.own_key(0).1, to);
    over.store(true, std::sync::atomic::Ordering::SeqCst);
    let seq = writer.await.unwrap();
    assert_eq!(hash(&store, 0, &Key::Outbox).await.len() as u64, seq - 1);
    assert_eq!(hash(&store, 0, &run(1)).await, [pair("a", &seq.to_string())]);
}

/// As an operator's tool moves a slot: key by key, then the ownership.
async fn move_slot(nodes: &[Server], key: &str, from: usize, to: usize) {
    let Reply::Number(slot) = nodes[from].command(&["CLUSTER", "KEYSLOT", key]) else { panic!("no slot") };
    let slot = slot.to_string();
    let id = |node: &Server| node.command(&["CLUSTER", "MYID"]).text().to_owned();
    let (source, target) = (id(&nodes[from]), id(&nodes[to]));
    nodes[to].command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]);
    nodes[from].command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]);
    let port = nodes[to].port().to_string();
    loop {
        let keys = nodes[from].command(&["CLUSTER", "GETKEYSINSLOT", &slot, "1"]).texts();
        let Some(key) = keys.first() else { break };
        nodes[from].command(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for node in [to, from, (to + 1) % 3] {
        nodes[node].command(&["CLUSTER", "SETSLOT", &slot, "NODE", &target]);
    }
}
