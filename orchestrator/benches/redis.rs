//! Measures commits to Redis against the same writes in bare pipelines, in the same run and on the same number of connections.
//!
//! `OARLOCK_TEST_REDIS=redis://127.0.0.1:PORT cargo bench -p oarlock-orchestrator --bench redis`, with a server that syncs every write.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a measuring program may fail loudly"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use oarlock_orchestrator::store::redis::{Redis, Settings};
use oarlock_orchestrator::store::{Claim, Key, Ownership, Store, Write};
use oarlock_protocol::{RunId, RunKey, Span};
use redis::aio::MultiplexedConnection;

/// How long each figure is measured, and how often: the two take turns.
const LENGTH: Duration = Duration::from_secs(2);
const ROUNDS: u32 = 3;
/// As many connections as the store has.
const CONNECTIONS: u32 = 4;
/// Pairs of a task's row and its timer in one commit.
const PAIRS: u64 = 50;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let url = std::env::var("OARLOCK_TEST_REDIS").expect("OARLOCK_TEST_REDIS names a server");
    let client = redis::Client::open(url.as_str()).unwrap();
    for owners in [1, 4, 16] {
        let (mut commits, mut pipelines) = (0.0, 0.0);
        for round in 0..ROUNDS {
            let prefix = format!("bench-{}-{owners}-{round}", std::process::id());
            commits += measure_store(&url, &prefix, owners).await / f64::from(ROUNDS);
            pipelines += measure_pipelines(&client, &prefix, owners).await / f64::from(ROUNDS);
            remove(&client, &prefix).await;
        }
        println!(
            "{owners:>2} owner(s): {commits:>6.0} commits/s, {pipelines:>6.0} bare pipelines/s of {} writes: {:.2}",
            2 * PAIRS,
            commits / pipelines
        );
    }
}

async fn measure_store(url: &str, prefix: &str, owners: u32) -> f64 {
    let settings = Settings { nodes: vec![url.to_owned()], prefix: prefix.to_owned(), ..Settings::default() };
    let store = Arc::new(Redis::connect(settings).unwrap());
    store.partitions(owners).await.unwrap();
    per_second(owners, |owner| commit(Arc::clone(&store), owner)).await
}

async fn measure_pipelines(client: &redis::Client, prefix: &str, owners: u32) -> f64 {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(client.get_multiplexed_async_connection().await.unwrap());
    }
    let connection = |owner: u32| connections[(owner % CONNECTIONS) as usize].clone();
    per_second(owners, |owner| pipeline(connection(owner), format!("{prefix}:bare:{owner}"))).await
}

/// How often all owners together did it.
async fn per_second<F: Future<Output = u64> + Send + 'static>(owners: u32, work: impl Fn(u32) -> F) -> f64 {
    let began = Instant::now();
    let working: Vec<_> = (0..owners).map(|owner| tokio::spawn(work(owner))).collect();
    let mut count = 0;
    for owner in working {
        count += owner.await.unwrap();
    }
    count as f64 / began.elapsed().as_secs_f64()
}

async fn commit(store: Arc<Redis>, partition: u32) -> u64 {
    let claim = Claim { holder: "bench".to_owned(), lease: Span::from_secs(60), token: None };
    let Ok(Ownership::Owned { token, .. }) = store.own(partition, &claim).await else { panic!("it is free") };
    let began = Instant::now();
    let mut seq = 0;
    while began.elapsed() < LENGTH {
        seq += 1;
        store.commit(partition, &token, seq, &batch(seq)).await.unwrap();
    }
    seq
}

async fn pipeline(mut connection: MultiplexedConnection, prefix: String) -> u64 {
    let began = Instant::now();
    let mut seq = 0;
    while began.elapsed() < LENGTH {
        seq += 1;
        let mut commands = redis::pipe();
        for write in batch(seq) {
            match write {
                Write::HashSet { key: Key::Run(run), field, value } => {
                    commands.cmd("HSET").arg(format!("{prefix}:run:{run}")).arg(field).arg(value.as_ref());
                }
                Write::SortedSet { member, score, .. } => {
                    commands.cmd("ZADD").arg(format!("{prefix}:timers")).arg(score).arg(member);
                }
                other => panic!("{other:?} is not measured"),
            }
        }
        commands.query_async::<redis::Value>(&mut connection).await.unwrap();
    }
    seq
}

/// What closing tasks of 25 runs writes: a row and a timer each.
fn batch(seq: u64) -> Vec<Write> {
    let value = Bytes::from_static(&[b'x'; 200]);
    let pair = |number: u64| {
        let run = RunKey::new(
            "acme",
            RunId::from_uuid(uuid::Uuid::from_u128(u128::from(seq % 40 * 25 + number / 2))),
        );
        let place = format!("{run}/task-{}", number % 2);
        let row = Write::HashSet {
            key: Key::Run(run),
            field: format!("t:/task-{}", number % 2),
            value: value.clone(),
        };
        [row, Write::SortedSet { key: Key::Timers, member: place, score: (seq + number) as i64 }]
    };
    (0..PAIRS).flat_map(pair).collect()
}

async fn remove(client: &redis::Client, prefix: &str) {
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> =
        redis::cmd("KEYS").arg(format!("{prefix}*")).query_async(&mut connection).await.unwrap();
    for part in keys.chunks(500) {
        redis::cmd("UNLINK").arg(part).query_async::<()>(&mut connection).await.unwrap();
    }
}
