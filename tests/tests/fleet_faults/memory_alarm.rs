//! RabbitMQ has too little memory for some seconds: it takes no messages, and what it has it still hands out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use oarlock_protocol::{ExecutionId, Json, RunId, RunKey};
use oarlock_worker::{TaskContext, Worker};
use serde_json::json;

use super::fleet::{Fleet, PATIENCE, TENANT, register, start, work};
use super::servers::Servers;

/// Longer than the silence that [`LASTING`] allows.
const BLOCKED: Duration = Duration::from_secs(7);

/// A task that is under way all the time, and whose worker cannot say so.
const LASTING: &str = "{id: lasting, version: 1, tasks: [{id: a, task: lasts, timeouts: {heartbeat: 3s}}],
    output: '${ tasks.a.output }'}";

/// How often a handler was begun, by attempt.
type Begun = Arc<Mutex<HashMap<ExecutionId, u32>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memory_alarm_holds_runs_up_and_doubles_nothing() {
    let servers = Servers::start();
    let places = servers.places();
    let fleet = Fleet::start(&places).await;
    let begun = Begun::default();
    let worker = Worker::builder(places.broker()).task("lasts", {
        let begun = begun.clone();
        move |_: Json, context: TaskContext| {
            *begun.lock().unwrap().entry(context.execution_id()).or_default() += 1;
            async {
                tokio::time::sleep(Duration::from_secs(12)).await;
                Ok(json!("done"))
            }
        }
    });
    let _worker = worker.build().unwrap().start().await.unwrap();
    register(&fleet.nodes[0], LASTING).await;
    let mut lasting = start(0);
    lasting.workflow_definition_id = "lasting".to_owned();
    lasting.workflow_instance_id = RunId::keyed(TENANT, "lasting", "0");
    let lasting = fleet.nodes[0].start_run(lasting).await.unwrap().run;
    until_running(&fleet, &lasting).await;
    fleet.begin_all(0..20).await;
    work(|| servers.rabbitmq.alarm(true)).unwrap();
    let blocked = Instant::now();
    let starts = fleet.begin(20..100);
    println!("told after {:?}", fleet.until_it_says("the broker takes no messages: ").await);
    let reasons = fleet.nodes[0].readiness().problems;
    assert!(reasons.iter().any(|reason| reason.contains("memory")), "the reason is told: {reasons:?}");
    tokio::time::sleep_until((blocked + BLOCKED).into()).await;
    assert!(!fleet.nodes[1].readiness().ready, "it lasts");
    work(|| servers.rabbitmq.alarm(false)).unwrap();
    println!("the nodes are ready {:?} after the alarm", fleet.until_ready().await);
    let accepted = fleet.accepted(starts).await;
    fleet.all_complete((0..20).chain(accepted)).await;
    let ended = fleet.nodes[1].wait(&lasting, PATIENCE).await.unwrap().unwrap();
    assert_eq!(ended.output, Some(json!("done")), "{ended:#?}");
    assert_eq!((ended.metrics.attempts, ended.metrics.retries), (1, 0));
    let begun = begun.lock().unwrap();
    assert!(begun.len() == 1 && begun.values().all(|times| *times == 1), "{begun:?}");
    servers.until_nothing_is_left().await;
}

async fn until_running(fleet: &Fleet, run: &RunKey) {
    super::fleet::eventually("the task is known to run", || async {
        let run = fleet.nodes[0].get(run).await.unwrap().unwrap();
        run.task_instances[0].start_time.map(drop).ok_or_else(|| format!("{run:?}"))
    })
    .await;
}
