//! How many tasks a second one process does, embedded and in memory: chains of five, and one wide run.
//!
//! `cargo bench -p oarlock-tests --bench embedded`. Prints figures; asserts nothing, since machines differ.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark: its figures are its output")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use oarlock_broker::Broker;
use oarlock_broker::embedded::Embedded;
use oarlock_orchestrator::store::memory::Memory;
use oarlock_orchestrator::{Clock, Node, Settings};
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::message::StartMessage;
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::{FORMAT, Json, RunId};
use oarlock_worker::{Running, TaskContext, TaskError, Worker};
use serde_json::json;
use tokio::task::JoinSet;

/// The allocator of the `oarlock` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PARTITIONS: u32 = 2;
const IN_FLIGHT: usize = 800;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let chains: usize =
        std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(20_000);
    runtime.block_on(async {
        for _ in 0..3 {
            chain_of_five(chains).await;
        }
        if std::env::args().any(|argument| argument == "chains") {
            return;
        }
        for _ in 0..2 {
            let small = wide(100, 50).await;
            let large = wide(10_000, 3).await;
            println!("parallel: time per task at 10,000 / at 100 = {:.2}", large / small);
            let small = sequence(100, 50).await;
            let large = sequence(10_000, 1).await;
            println!("sequence: time per task at 10,000 / at 100 = {:.2}", large / small);
        }
    });
}

async fn chain_of_five(runs: usize) {
    let steps: Vec<Json> =
        (1..=5).map(|n| json!({"id": format!("s{n}"), "task": "work", "inputMappings": {"n": n}})).collect();
    let (node, worker) = start(json!({"id": "chain", "version": 1, "tasks": steps})).await;
    let began = Instant::now();
    drive(&node, "chain", runs, IN_FLIGHT).await;
    let seconds = began.elapsed().as_secs_f64();
    println!("chain of 5: {runs} runs in {seconds:.2} s = {:.0} tasks/s", runs as f64 * 5.0 / seconds);
    stop(node, worker).await;
}

async fn wide(width: usize, runs: usize) -> f64 {
    let children: Vec<Json> = (0..width).map(|n| json!({"id": format!("t{n}"), "task": "work"})).collect();
    let (node, worker) =
        start(json!({"id": "wide", "version": 1, "tasks": [{"id": "all", "parallel": children}]})).await;
    measure(node, worker, "wide", width, runs).await
}

async fn sequence(length: usize, runs: usize) -> f64 {
    let steps: Vec<Json> = (0..length).map(|n| json!({"id": format!("t{n}"), "task": "work"})).collect();
    let (node, worker) = start(json!({"id": "sequence", "version": 1, "tasks": steps})).await;
    measure(node, worker, "sequence", length, runs).await
}

/// Microseconds per task of runs that follow each other.
async fn measure(node: Arc<Node>, worker: Running, id: &str, tasks: usize, runs: usize) -> f64 {
    drive(&node, id, 1, 1).await;
    let began = Instant::now();
    drive(&node, id, runs, 1).await;
    let per_task = began.elapsed().as_secs_f64() * 1e6 / (tasks * runs) as f64;
    println!("{id} of {tasks}: {per_task:.1} us a task");
    stop(node, worker).await;
    per_task
}

async fn start(definition: Json) -> (Arc<Node>, Running) {
    let broker: Arc<dyn Broker> = Arc::new(Embedded::new());
    let settings = Settings { partitions: PARTITIONS, ..Settings::default() };
    let node = Node::start(broker.clone(), Arc::new(Memory::new()), settings, Clock::system()).await.unwrap();
    assert!(node.ready_within(Duration::from_secs(10)).await);
    node.register("bench", serde_json::from_value(definition).unwrap()).await.unwrap();
    let worker =
        Worker::builder(broker).slots(512).task("work", work).build().unwrap().start().await.unwrap();
    (Arc::new(node), worker)
}

async fn work(input: Json, _: TaskContext) -> Result<Json, TaskError> {
    Ok(input)
}

async fn stop(node: Arc<Node>, worker: Running) {
    worker.drain(Duration::from_secs(5)).await;
    if let Ok(node) = Arc::try_unwrap(node) {
        node.stop().await;
    }
}

/// Starts runs, `in_flight` at a time, and waits for their ends.
async fn drive(node: &Arc<Node>, id: &str, runs: usize, in_flight: usize) {
    let lanes = in_flight.min(runs);
    let mut tasks = JoinSet::new();
    for lane in 0..lanes {
        let node = node.clone();
        let id = id.to_owned();
        let share = runs / lanes + usize::from(lane < runs % lanes);
        tasks.spawn(async move {
            for _ in 0..share {
                let started = node.start_run(request(&id)).await.unwrap();
                let ended = node.ended(&started.run).await;
                assert_eq!(ended.unwrap(), Some(WorkflowStatus::Completed));
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

fn request(id: &str) -> StartMessage {
    StartMessage {
        format: FORMAT,
        workflow_instance_id: RunId::random(),
        workflow_definition_id: id.to_owned(),
        workflow_definition_version: Some(1),
        input: json!({}),
        idempotency_key: None,
        correlation_id: None,
        security_context: SecurityContext {
            user_id: "bench".to_owned(),
            tenant_id: "bench".to_owned(),
            ..SecurityContext::default()
        },
    }
}
