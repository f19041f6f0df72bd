//! Servers that are set up wrongly, or with less than they could: what is refused, what is told, and what mends it.

use super::server::{Server, free_port};
use super::*;

#[tokio::test]
async fn a_good_server_gives_no_cause_for_words() {
    let server = Server::start(&[]);
    let store = store(&server.url()).await;
    assert_eq!(store.findings(), [""; 0]);
}

#[tokio::test]
async fn what_a_crash_may_cost_is_told() {
    let server = Server::start(&["--appendfsync", "everysec"]);
    let first = store(&server.url()).await;
    assert!(first.findings()[0].contains("appendfsync everysec"), "{:?}", first.findings());
    server.command(&["CONFIG", "SET", "appendonly", "no"]);
    let second = store(&server.url()).await;
    assert!(second.findings()[0].contains("no append-only file"), "{:?}", second.findings());
    assert!(second.findings()[0].contains(&server.port().to_string()));
}

#[tokio::test]
async fn a_wrong_password_is_told_and_never_shown() {
    let server = Server::start(&["--requirepass", "right-secret"]);
    let url = |user: &str| format!("redis://{user}@127.0.0.1:{}", server.port());
    for user in [":wrong-secret", "somebody:wrong-secret"] {
        let text = unusable(Redis::connect(settings(&url(user))).unwrap().partitions(4).await);
        assert!(text.contains("password") && text.contains(&server.port().to_string()), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
    let text = unusable(Redis::connect(settings(&server.url())).unwrap().partitions(4).await);
    assert!(text.contains("user and password"), "{text}");
    store(&url(":right-secret")).await;
}

#[tokio::test]
async fn addresses_that_cannot_be_understood_are_refused_without_their_password() {
    for url in [
        "",
        "redis",
        "http://:secret@host",
        "redis://:sec ret@:x",
        "redis://u:secret@h:99999",
        "rediss:/secret",
    ] {
        let nodes = vec!["redis://127.0.0.1".to_owned(), url.to_owned()];
        let outcome = Redis::connect(Settings { nodes, ..Settings::default() });
        let text = unusable(outcome.map(drop));
        assert!(
            text.contains("node 2") && !text.contains("secret") && !text.contains("ret"),
            "{url}: {text}"
        );
    }
    let none = Redis::connect(Settings { nodes: Vec::new(), ..Settings::default() });
    assert!(unusable(none.map(drop)).contains("no Redis node"));
    let braces = Redis::connect(Settings { prefix: "a{b}".to_owned(), ..Settings::default() });
    assert!(unusable(braces.map(drop)).contains("prefix"));
    let hasty = Redis::connect(Settings { response_timeout: Span::from_millis(0), ..Settings::default() });
    assert!(unusable(hasty.map(drop)).contains("timeouts"));
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_told_and_found_later() {
    let port = free_port();
    let text = unavailable(store_at(&format!("redis://127.0.0.1:{port}")).partitions(4).await);
    assert!(text.contains("nothing listens"), "{text}");
    let text = unavailable(store_at("redis://no-such-host.invalid").partitions(4).await);
    assert!(text.contains("no such host"), "{text}");
    // Of several nodes the first that can be used.
    let server = Server::start(&[]);
    let nodes = vec![format!("redis://127.0.0.1:{port}"), server.url()];
    let store = Redis::connect(Settings { nodes, ..settings("") }).unwrap();
    assert_eq!(store.partitions(4).await, Ok(4));
}

fn store_at(url: &str) -> Redis {
    Redis::connect(settings(url)).unwrap()
}

#[tokio::test]
async fn pain_18_a_store_that_drops_keys_is_refused_until_it_does_not() {
    let server = Server::start(&["--maxmemory-policy", "allkeys-lru"]);
    let store = store_at(&server.url());
    let text = unusable(store.partitions(4).await);
    assert!(text.contains("set maxmemory-policy noeviction"), "{text}");
    server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    assert_eq!(store.partitions(4).await, Ok(4));
}

#[tokio::test]
async fn a_full_server_loses_nothing_and_goes_on_when_there_is_room() {
    let server = Server::start(&["--maxmemory", "4mb"]);
    let store = store(&server.url()).await;
    let (token, ..) = own(&store, 0, None).await;
    let large = "x".repeat(100_000);
    let mut seq = 0;
    let full = loop {
        seq += 1;
        let writes = [set(&run(1), &format!("f{seq}"), &large), score(&Key::Timers, "t", seq)];
        match store.commit(0, &token, seq as u64, &writes).await {
            Ok(()) => assert!(seq < 1000, "it should be full"),
            Err(error) => break error,
        }
    };
    assert!(unavailable(Err::<(), _>(full)).contains("maxmemory"));
    let timers = store.read_sorted(0, &Key::Timers, &all()).await.unwrap();
    assert_eq!(timers, [("t".to_owned(), seq - 1)], "a commit is there wholly or not at all");
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    store.commit(0, &token, seq as u64, &[score(&Key::Timers, "t", seq)]).await.unwrap();
}

fn all() -> Range {
    Range { from: i64::MIN, to: i64::MAX, after: None, limit: 100, descending: false }
}

#[tokio::test]
async fn a_user_with_only_the_commands_that_are_needed_works() {
    let server = Server::start(&[]);
    let needed = "+evalsha +script|load +info +time +ping +get +set +wait +hget +hset +hdel +hmget +hgetall +hvals \
                  +zadd +zrem +zrange +zrank +zscore +zcount +unlink";
    let mut words = vec!["ACL", "SETUSER", "oarlock", "on", ">pw", "~test:*"];
    words.extend(needed.split_whitespace());
    assert_eq!(server.command(&words).text(), "OK");
    let url = format!("redis://oarlock:pw@127.0.0.1:{}", server.port());
    let store = store(&url).await;
    assert!(store.findings()[0].contains("CONFIG GET"), "{:?}", store.findings());
    let (token, ..) = own(&store, 0, None).await;
    let writes = [set(&run(1), "a", "1"), score(&Key::Timers, "t", 1), Write::Delete { key: run(2) }];
    store.commit(0, &token, 1, &writes).await.unwrap();
    assert_eq!(hash(&store, 0, &run(1)).await, [pair("a", "1")]);
    let range = Range { after: Some((0, "a".to_owned())), ..all() };
    assert_eq!(store.read_sorted(0, &Key::Timers, &range).await.unwrap().len(), 1);
    let member = oarlock_orchestrator::members::Member { id: "a".to_owned(), name: "a".to_owned() };
    let members: &dyn oarlock_orchestrator::members::Members = &store;
    assert_eq!(members.beat(&member, LONG).await, Ok(vec![member.clone()]));
    members.leave("a").await.unwrap();
    store.release(0, &token).await.unwrap();
    // One less, and it is said what is missing.
    server.command(&["ACL", "SETUSER", "oarlock", "-zrange"]);
    let text = unusable(store.read_sorted(0, &Key::Timers, &all()).await);
    assert!(text.contains("may not") && text.contains("zrange"), "{text}");
}

#[tokio::test]
async fn a_replica_is_refused() {
    let primary = Server::start(&[]);
    let replica = Server::start(&["--replicaof", "127.0.0.1", &primary.port().to_string()]);
    let text = unusable(store_at(&replica.url()).partitions(4).await);
    assert!(text.contains("name its primary"), "{text}");
    // Where both are named the primary is taken.
    let nodes = vec![replica.url(), primary.url()];
    let store = Redis::connect(Settings { nodes, ..settings("") }).unwrap();
    assert_eq!(store.partitions(4).await, Ok(4));
}

#[tokio::test]
async fn a_cluster_and_a_single_server_are_not_mixed_up() {
    let single = Server::start(&[]);
    let store = Redis::connect(Settings { cluster: true, ..settings(&single.url()) }).unwrap();
    assert!(unusable(store.partitions(4).await).contains("cluster = false"));
    let node = Server::start(&["--cluster-enabled", "yes"]);
    assert!(unusable(store_at(&node.url()).partitions(4).await).contains("cluster = true"));
}

#[tokio::test]
async fn a_number_of_partitions_without_sense_is_refused() {
    let server = Server::start(&[]);
    let store = store_at(&server.url());
    for count in [0, 4097, u32::MAX] {
        assert!(unusable(store.partitions(count).await).contains("partitions"));
    }
    assert!(unusable(store.own(0, &claim(None)).await).contains("not fixed"));
    assert_eq!(store.partitions(3).await, Ok(3));
    // Fixed once, nobody's wish matters.
    assert_eq!(store_at(&server.url()).partitions(0).await, Ok(3));
    assert!(unusable(store.own(3, &claim(None)).await).contains("no partition 3"));
    // Under a store that somebody emptied, runs would be looked for in other partitions.
    server.command(&["FLUSHALL"]);
    assert_eq!(store_at(&server.url()).partitions(5).await, Ok(5));
    assert!(unusable(store.partitions(3).await).contains("had 3 partitions and has 5"));
}
