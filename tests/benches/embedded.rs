//! How many tasks a second one process does, embedded and in memory: chains of five, and one wide run.
//!
//! `cargo bench -p oarlock-tests --bench embedded`. Prints figures; asserts nothing, since machines differ.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark: its figures are its output")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use oarlock_broker::Broker;
use oarlock_broker::embedded::Embedded;
use oarlock_orchestrator::store::memory::Memory;
use oarlock_orchestrator::{Clock, Node, Settings, members};
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

/// How often each figure is taken; its median is told with the least and the greatest.
const REPEATS: usize = 7;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let chains: usize =
        std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(20_000);
    runtime.block_on(async {
        let mut rates = Vec::new();
        chain_of_five(chains / 4).await;
        for _ in 0..REPEATS {
            rates.push(chain_of_five(chains).await);
        }
        tell("chain of 5, tasks per second", rates);
        for kind in ["parallel", "sequence"] {
            let (mut small, mut large, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..REPEATS {
                small.push(per_task(kind, 100, 300).await);
                large.push(per_task(kind, 10_000, 3).await);
                ratios.push(large[large.len() - 1] / small[small.len() - 1]);
            }
            tell(&format!("{kind} of 100, microseconds a task"), small);
            tell(&format!("{kind} of 10,000, microseconds a task"), large);
            tell(&format!("{kind}, time per task at 10,000 over that at 100"), ratios);
        }
    });
}

fn tell(what: &str, mut figures: Vec<f64>) {
    figures.sort_by(f64::total_cmp);
    let [least, median, greatest] = [0, figures.len() / 2, figures.len() - 1].map(|index| figures[index]);
    println!("{what}: median {median:.2} (least {least:.2}, greatest {greatest:.2})");
}

/// Tasks per second of runs of five tasks in a row.
async fn chain_of_five(runs: usize) -> f64 {
    let steps: Vec<Json> =
        (1..=5).map(|n| json!({"id": format!("s{n}"), "task": "work", "inputMappings": {"n": n}})).collect();
    let (node, worker) = start(json!({"id": "bench", "version": 1, "tasks": steps})).await;
    let began = Instant::now();
    drive(&node, "bench", runs, IN_FLIGHT).await;
    let seconds = began.elapsed().as_secs_f64();
    stop(node, worker).await;
    runs as f64 * 5.0 / seconds
}

/// Microseconds per task of runs of this many tasks that follow each other, after one to warm up.
async fn per_task(kind: &str, tasks: usize, runs: usize) -> f64 {
    let steps: Vec<Json> = (0..tasks).map(|n| json!({"id": format!("t{n}"), "task": "work"})).collect();
    let steps = if kind == "parallel" { json!([{"id": "all", "parallel": steps}]) } else { json!(steps) };
    let (node, worker) = start(json!({"id": "bench", "version": 1, "tasks": steps})).await;
    drive(&node, "bench", 1, 1).await;
    let began = Instant::now();
    drive(&node, "bench", runs, 1).await;
    let per_task = began.elapsed().as_secs_f64() * 1e6 / (tasks * runs) as f64;
    stop(node, worker).await;
    per_task
}

async fn start(definition: Json) -> (Arc<Node>, Running) {
    let broker: Arc<dyn Broker> = Arc::new(Embedded::new());
    let settings = Settings { partitions: PARTITIONS, ..Settings::default() };
    let node = Node::start(
        broker.clone(),
        Arc::new(Memory::new()),
        Arc::new(members::memory::Memory::new()),
        settings,
        Clock::system(),
    )
    .await
    .unwrap();
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
    node.stop().await;
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
        parent: None,
        traceparent: None,
        format: FORMAT,
        workflow_instance_id: RunId::random(),
        workflow_definition_id: id.to_owned(),
        workflow_definition_version: Some(1),
        input: json!({}),
        idempotency_key: None,
        correlation_id: None,
        priority: None,
        security_context: SecurityContext {
            user_id: "bench".to_owned(),
            tenant_id: "bench".to_owned(),
            ..SecurityContext::default()
        },
    }
}
