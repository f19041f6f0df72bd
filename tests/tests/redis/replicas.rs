//! Commits that replicas confirm.

use super::server::Server;
use super::*;

struct Pair {
    primary: Server,
    replica: Server,
}

impl Pair {
    async fn start() -> Self {
        let primary = Server::start(&[]);
        let replica = Server::start(&["--replicaof", "127.0.0.1", &primary.port().to_string()]);
        let began = Instant::now();
        while !primary.command(&["INFO", "replication"]).text().contains("state=online") {
            assert!(began.elapsed() < PATIENCE, "the replica joins");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self { primary, replica }
    }

    async fn store(&self) -> Redis {
        let settings = Settings { replicas: 1, ..settings(&self.primary.url()) };
        let store = Redis::connect(settings).unwrap();
        assert_eq!(store.partitions(4).await, Ok(4));
        store
    }

    fn on_replica(&self) -> String {
        let keys = self.replica.command(&["KEYS", "*:outbox"]).texts();
        keys.first()
            .map(|key| self.replica.command(&["HGET", key, "a"]).text().to_owned())
            .unwrap_or_default()
    }
}

#[tokio::test]
async fn a_commit_is_on_the_replica_when_it_is_answered() {
    let pair = Pair::start().await;
    let store = pair.store().await;
    assert_eq!(store.findings(), [""; 0]);
    let (token, ..) = own(&store, 0, None).await;
    for seq in 1..=20_u64 {
        store.commit(0, &token, seq, &[set(&Key::Outbox, "a", &seq.to_string())]).await.unwrap();
        assert_eq!(pair.on_replica(), seq.to_string());
    }
}

#[tokio::test]
async fn a_commit_that_no_replica_confirms_is_sent_again_until_one_does() {
    let pair = Pair::start().await;
    let store = pair.store().await;
    let (token, ..) = own(&store, 0, None).await;
    store.commit(0, &token, 1, &[set(&Key::Outbox, "a", "1")]).await.unwrap();
    pair.replica.pause();
    let writes = [set(&Key::Outbox, "a", "2")];
    let commit = || store.commit(0, &token, 2, &writes);
    assert!(unavailable(commit().await).contains("0 of 1 replicas"));
    // A connection that wrote nothing itself must not be content with what others wrote before.
    pair.primary.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    for _ in 0..2 {
        let text = unavailable(commit().await);
        assert!(text.contains("0 of 1 replicas") || text.contains("lost"), "{text}");
    }
    // Renewals and reads wait for nobody.
    assert_eq!(own(&store, 0, Some(&token)).await.1, 2);
    pair.replica.resume();
    available(commit).await;
    assert_eq!(pair.on_replica(), "2");
}

#[tokio::test]
async fn missing_replicas_are_told_at_once() {
    let server = Server::start(&[]);
    let store = Redis::connect(Settings { replicas: 1, ..settings(&server.url()) }).unwrap();
    assert!(unavailable(store.partitions(4).await).contains("0 of 1 replicas"));
    assert!(store.findings()[0].contains("has 0 replicas"), "{:?}", store.findings());
}

#[tokio::test]
async fn a_promoted_replica_has_every_answered_commit_and_is_known_as_new() {
    let mut pair = Pair::start().await;
    let nodes = vec![pair.primary.url(), pair.replica.url()];
    let store = Redis::connect(Settings { nodes, replicas: 1, ..settings("") }).unwrap();
    store.partitions(4).await.unwrap();
    let (token, ..) = own(&store, 0, None).await;
    store.commit(0, &token, 1, &[set(&Key::Outbox, "a", "1")]).await.unwrap();
    pair.primary.kill();
    pair.replica.command(&["REPLICAOF", "NO", "ONE"]);
    // Nobody is left to confirm: the promoted one alone does not do.
    assert_eq!(available(|| store.read_hash(0, &Key::Outbox, Fields::All)).await, [super::pair("a", "1")]);
    assert!(unavailable(store.commit(0, &token, 2, &[]).await).contains("0 of 1 replicas"));
    store.release(0, &token).await.unwrap();
    let (.., restarted) = own(&store, 0, None).await;
    assert!(restarted, "a failover may lose commits");
}
