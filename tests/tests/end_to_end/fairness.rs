//! One tenant's backlog and another tenant's single run; and how many attempts are out for workers that nobody knows of.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use oarlock_orchestrator::Settings;
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::{Json, RunKey};
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;
use tokio::sync::Semaphore;

use super::system::{Backend, PATIENCE, Parts, System, request, settings};

/// So many runs wait while another tenant starts one. Over servers fewer show the same within seconds.
const BACKLOG: usize = if matches!(super::BACKEND, Backend::Embedded) { 10_000 } else { 3_000 };
/// So many starts are on their way at once.
const BATCH: usize = 500;
const SLOTS: usize = 10;
const STEP: Duration = Duration::from_millis(100);

async fn step(_: Json, _: TaskContext) -> Result<Json, TaskError> {
    tokio::time::sleep(STEP).await;
    Ok(Json::Null)
}

async fn start(system: &System, tenant: &str) -> RunKey {
    let mut start = request("chain", json!({}));
    start.security_context.tenant_id = tenant.to_owned();
    RunKey::new(tenant, system.node.start_run(start).await.unwrap().run.run)
}

/// How long a run of this tenant takes.
async fn timed(system: &System, tenant: &str) -> Duration {
    let began = Instant::now();
    let run = start(system, tenant).await;
    assert_eq!(system.end(&run).await.status, WorkflowStatus::Completed);
    began.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

async fn many_partitions() -> (Parts, System) {
    let parts = Parts::fresh().await;
    let system = parts.node("alone", Settings { partitions: 16, ..settings() }).await;
    for tenant in ["big", "small"] {
        let text = "{id: chain, version: 1, tasks: [{id: a, task: step}, {id: b, task: step, dependsOn: [a]}, \
                    {id: c, task: step, dependsOn: [b]}]}";
        let definition = oarlock_definition::read("chain.yaml", text).definition.unwrap();
        system.node.register(tenant, definition).await.unwrap();
    }
    (parts, system)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pain_25_a_run_takes_less_than_twice_its_time_while_ten_thousand_of_another_tenant_wait() {
    let (_parts, system) = many_partitions().await;
    let _worker = system.worker().slots(SLOTS).task("step", step).build().unwrap().start().await.unwrap();
    let mut alone = Vec::new();
    for _ in 0..5 {
        alone.push(timed(&system, "small").await);
    }
    let began = Instant::now();
    for _ in 0..BACKLOG / BATCH {
        join_all((0..BATCH).map(|_| start(&system, "big"))).await;
    }
    println!("started within {:?}", began.elapsed());
    let mut beside = Vec::new();
    for _ in 0..9 {
        beside.push(timed(&system, "small").await);
    }
    let waiting = system.node.waiting("step");
    println!("alone {alone:?}, while {waiting} tasks wait {beside:?}");
    assert!(waiting > BACKLOG / 2, "{waiting} wait: nothing is shown");
    assert!(median(beside) < 2 * median(alone));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_of_many_slots_are_all_given_work() {
    const SLOTS: usize = 600;
    let (_parts, system) = many_partitions().await;
    let (begun, most) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (begins, counts) = (begun.clone(), most.clone());
    let hold = move |_: Json, _: TaskContext| {
        counts.fetch_add(1, Ordering::SeqCst);
        begins.add_permits(1);
        std::future::pending::<Result<Json, TaskError>>()
    };
    let worker = system.worker().slots(SLOTS).task("step", hold).build().unwrap().start().await.unwrap();
    for _ in 0..2 {
        join_all((0..BATCH).map(|_| start(&system, "big"))).await;
    }
    let all = begun.acquire_many(SLOTS as u32);
    drop(tokio::time::timeout(PATIENCE, all).await.expect("the window grows until all are at work"));
    assert_eq!(most.load(Ordering::SeqCst), SLOTS);
    assert!(system.node.waiting("step") > 0, "not all that waits is let out");
    drop(worker);
}
