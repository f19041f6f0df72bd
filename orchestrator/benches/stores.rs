//! Measures the embedded stores: writes in batches, and durable commits. Run with `cargo bench -p oarlock-orchestrator`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a measuring program may fail loudly"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use oarlock_orchestrator::store::file::File;
use oarlock_orchestrator::store::memory::Memory;
use oarlock_orchestrator::store::{Claim, Key, Ownership, Store, Token, Write};
use oarlock_protocol::{RunId, RunKey, Span};

/// How long each figure is measured.
const LENGTH: Duration = Duration::from_secs(3);
/// Tasks in one commit; each is eight writes.
const TASKS: usize = 64;

#[tokio::main(worker_threads = 2)]
async fn main() {
    for partitions in [1, 4, 16] {
        let (commits, writes) = measure(Arc::new(Memory::new()), partitions).await;
        println!("memory, {partitions:>2} partition(s): {commits:>8.0} commits/s, {writes:>9.0} writes/s");
    }
    for partitions in [1, 4, 16] {
        let folder = tempfile::tempdir().unwrap();
        let (commits, writes) = measure(Arc::new(File::open(folder.path()).unwrap()), partitions).await;
        println!("file,   {partitions:>2} partition(s): {commits:>8.0} commits/s, {writes:>9.0} writes/s");
    }
}

/// Commits and writes per second, with an owner for each partition at work at the same time.
async fn measure(store: Arc<dyn Store>, partitions: u32) -> (f64, f64) {
    store.partitions(partitions).await.unwrap();
    let began = Instant::now();
    let owners: Vec<_> = (0..partitions).map(|p| tokio::spawn(commit(Arc::clone(&store), p))).collect();
    let mut commits = 0;
    for owner in owners {
        commits += owner.await.unwrap();
    }
    let per_second = commits as f64 / began.elapsed().as_secs_f64();
    (per_second, per_second * batch(1, 0).len() as f64)
}

/// Commits until the time is over and answers how often.
async fn commit(store: Arc<dyn Store>, partition: u32) -> u64 {
    let token = own(&*store, partition).await;
    let began = Instant::now();
    let mut seq = 0;
    while began.elapsed() < LENGTH {
        seq += 1;
        store.commit(partition, &token, seq, &batch(seq, partition)).await.unwrap();
    }
    seq
}

async fn own(store: &dyn Store, partition: u32) -> Token {
    let claim = Claim { holder: "bench".to_owned(), lease: Span::from_secs(3600), token: None };
    match store.own(partition, &claim).await.unwrap() {
        Ownership::Owned { token, .. } => token,
        Ownership::HeldBy { .. } => panic!("the partition is free"),
    }
}

/// What 64 tasks write when they close and the next ones begin, in 16 runs of which one ends.
fn batch(seq: u64, partition: u32) -> Vec<Write> {
    let value = Bytes::from_static(&[b'v'; 300]);
    let set = |key: &Key, field: String| Write::HashSet { key: key.clone(), field, value: value.clone() };
    let mut writes = Vec::with_capacity(TASKS * 8 + 2);
    for task in 0..TASKS {
        let run = run(seq / 8 * 16 + task as u64 % 16, partition);
        let member = |seq: u64| format!("{partition}/{task}/{seq}");
        writes.push(set(&run, "head".to_owned()));
        writes.push(set(&run, format!("task/{}", seq * 64 + task as u64)));
        writes.push(set(&run, "variable/total".to_owned()));
        writes.push(set(&run, format!("task/{}", seq * 64 + task as u64 + 64)));
        writes.push(set(&Key::Outbox, member(seq)));
        writes.push(Write::HashDelete { key: Key::Outbox, field: member(seq - 1) });
        writes.push(Write::SortedSet { key: Key::Timers, member: member(seq), score: seq as i64 });
        writes.push(Write::SortedRemove { key: Key::Timers, member: member(seq - 1) });
    }
    if seq.is_multiple_of(8) {
        writes.extend((0..16).map(|n| Write::Delete { key: run((seq / 8 - 1) * 16 + n, partition) }));
    }
    writes
}

fn run(number: u64, partition: u32) -> Key {
    Key::Run(RunKey::new("acme", RunId::keyed("acme", "bench", &format!("{partition}/{number}"))))
}
