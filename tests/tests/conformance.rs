//! Every adapter of a port passes the port's suite: a test for each rule and adapter.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a harness that cannot be made fails its test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use oarlock_broker::embedded::Embedded;
use oarlock_broker::rabbitmq::{RabbitMq, Settings as RabbitMqSettings};
use oarlock_orchestrator::members;
use oarlock_orchestrator::store::Store;
use oarlock_orchestrator::store::file::File;
use oarlock_orchestrator::store::lease::Clock;
use oarlock_orchestrator::store::memory::Memory;
use oarlock_orchestrator::store::redis::{Redis, Settings as RedisSettings};
use oarlock_payloads::Objects;
use oarlock_test_servers::{Vhost, shared};
use oarlock_tests::conformance::{broker, members as membership, payloads, store};
use oarlock_tests::resp;

mod brokers {
    use super::*;

    oarlock_tests::broker_rules!(embedded, fresh_embedded);
    oarlock_tests::broker_rules!(rabbitmq, fresh_rabbitmq);

    async fn fresh_embedded() -> broker::Harness {
        broker::Harness::new(Arc::new(Embedded::new()), "test.", Duration::from_millis(20), ())
    }

    async fn fresh_rabbitmq() -> broker::Harness {
        let vhost = Vhost::create(&shared().management).unwrap();
        let settings = RabbitMqSettings { nodes: vec![vhost.uri()], ..RabbitMqSettings::default() };
        let rabbitmq = Arc::new(RabbitMq::connect(settings).unwrap());
        broker::Harness::new(rabbitmq, "test.", Duration::from_millis(150), vhost)
    }
}

mod stores {
    use super::*;

    oarlock_tests::store_rules!(memory, fresh_memory);
    oarlock_tests::store_rules!(file, fresh_file);
    oarlock_tests::store_rules!(redis, fresh_redis);
    oarlock_tests::store_rules!(redis_cluster, fresh_redis_cluster);

    async fn fresh_memory() -> store::Harness {
        let (clock, pass) = manual_clock();
        let memory: Arc<dyn Store> = Arc::new(Memory::with_clock(clock));
        store::Harness::new(Arc::clone(&memory), memory, pass, ())
    }

    async fn fresh_file() -> store::Harness {
        let (clock, pass) = manual_clock();
        let folder = tempfile::tempdir().unwrap();
        let file: Arc<dyn Store> = Arc::new(File::open_with_clock(folder.path(), clock).unwrap());
        store::Harness::new(Arc::clone(&file), file, pass, folder)
    }

    async fn fresh_redis() -> store::Harness {
        let ([one, other], guard) = redis_nodes(vec![shared().redis.clone()], false);
        store::Harness::new(one, other, real_time(), guard)
    }

    async fn fresh_redis_cluster() -> store::Harness {
        let ([one, other], guard) = redis_nodes(cluster_nodes(), true);
        store::Harness::new(one, other, real_time(), guard)
    }
}

mod members_of_nodes {
    use super::*;

    oarlock_tests::members_rules!(memory, fresh_memory);
    oarlock_tests::members_rules!(redis, fresh_redis);
    oarlock_tests::members_rules!(redis_cluster, fresh_redis_cluster);

    async fn fresh_memory() -> membership::Harness {
        let (clock, pass) = manual_clock();
        let memory = Arc::new(members::memory::Memory::with_clock(clock));
        membership::Harness::new(memory.clone(), memory, pass, ())
    }

    async fn fresh_redis() -> membership::Harness {
        let ([one, other], guard) = redis_nodes(vec![shared().redis.clone()], false);
        membership::Harness::new(one, other, real_time(), guard)
    }

    async fn fresh_redis_cluster() -> membership::Harness {
        let ([one, other], guard) = redis_nodes(cluster_nodes(), true);
        membership::Harness::new(one, other, real_time(), guard)
    }
}

mod stores_of_payloads {
    use super::*;

    oarlock_tests::payload_rules!(memory, fresh_memory);
    oarlock_tests::payload_rules!(directory, fresh_directory);

    async fn fresh_memory() -> payloads::Harness {
        let memory = Arc::new(Objects::memory(payloads::LARGEST));
        payloads::Harness::new(memory.clone(), memory, ())
    }

    async fn fresh_directory() -> payloads::Harness {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}", folder.path().display());
        let handle = || Arc::new(Objects::open(&url, payloads::LARGEST).unwrap());
        payloads::Harness::new(handle(), handle(), folder)
    }
}

/// A clock that stands still, and what makes it go on.
fn manual_clock() -> (Clock, store::Pass) {
    let now_ms = Arc::new(AtomicU64::new(1));
    let set = Arc::clone(&now_ms);
    let pass: store::Pass = Box::new(move |span| {
        set.fetch_add(span.as_millis(), Ordering::SeqCst);
        Box::pin(std::future::ready(()))
    });
    (Arc::new(move || now_ms.load(Ordering::SeqCst)), pass)
}

/// The clock of a server cannot be set, so time really passes.
fn real_time() -> store::Pass {
    Box::new(|span| Box::pin(tokio::time::sleep(span.into())))
}

/// Two nodes on one fresh prefix, and what removes its keys.
fn redis_nodes(nodes: Vec<String>, cluster: bool) -> ([Arc<Redis>; 2], resp::RemovesKeys) {
    let removes = resp::RemovesKeys::of(&nodes);
    let settings =
        RedisSettings { nodes, cluster, prefix: removes.prefix().to_owned(), ..RedisSettings::default() };
    let node = || Arc::new(Redis::connect(settings.clone()).unwrap());
    ([node(), node()], removes)
}

fn cluster_nodes() -> Vec<String> {
    shared().redis_cluster.clone()
}

/// A rule that a suite's list forgets is never run.
#[test]
fn every_rule_is_listed() {
    let suites = [
        (
            include_str!("../src/conformance/broker.rs"),
            [
                include_str!("../src/conformance/broker/announcing.rs"),
                include_str!("../src/conformance/broker/consuming.rs"),
                include_str!("../src/conformance/broker/load.rs"),
                include_str!("../src/conformance/broker/publishing.rs"),
                include_str!("../src/conformance/broker/queues.rs"),
                include_str!("../src/conformance/broker/settling.rs"),
            ]
            .concat(),
        ),
        (
            include_str!("../src/conformance/store.rs"),
            [
                include_str!("../src/conformance/store/commits.rs"),
                include_str!("../src/conformance/store/ownership.rs"),
                include_str!("../src/conformance/store/reading.rs"),
                include_str!("../src/conformance/store/writing.rs"),
            ]
            .concat(),
        ),
        (
            include_str!("../src/conformance/members.rs"),
            include_str!("../src/conformance/members.rs").to_owned(),
        ),
        (
            include_str!("../src/conformance/payloads.rs"),
            include_str!("../src/conformance/payloads.rs").to_owned(),
        ),
    ];
    for (list, rules) in suites {
        let names = rules.lines().filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next());
        for name in names {
            assert!(list.contains(&format!("            {name},\n")), "{name} is in no list");
        }
    }
}
