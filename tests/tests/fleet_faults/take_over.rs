//! An owner dies, and a task's time runs out before the next one is there: its result, which waits in the inbox, counts.

use std::time::Duration;

use oarlock_orchestrator::Settings;
use oarlock_orchestrator::store::{Key, Range, Store};
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::message::StartMessage;
use oarlock_protocol::{Json, RunId, RunKey, Span};
use oarlock_worker::{TaskContext, Worker};
use serde_json::json;

use super::fleet::{PARTITIONS, PATIENCE, TENANT, eventually, node_with, register, settings, start};
use super::servers::Servers;

const LIMITED: &str =
    "{id: limited, version: 1, tasks: [{id: a, task: lasts, timeouts: {execution: 8s, heartbeat: 3s}}],
    output: '${ tasks.a.output }'}";

/// More than an owner hears at once, all of one partition.
const RUNS: usize = 400;

/// Settings of a node that gives a worker's answer no time to arrive.
fn strict(name: &str) -> Settings {
    let mut settings = settings(name);
    settings.engine.slack = Span::default();
    settings.window = RUNS;
    settings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_that_wait_at_a_take_over_come_before_limits_that_have_passed() {
    let servers = Servers::start();
    let places = servers.places();
    let first = node_with(&places, strict("first")).await;
    register(&first, LIMITED).await;
    let worker =
        Worker::builder(places.broker()).slots(RUNS).task("lasts", |_: Json, _: TaskContext| async {
            tokio::time::sleep(Duration::from_secs(6)).await;
            Ok(json!("done"))
        });
    let _worker = worker.build().unwrap().start().await.unwrap();
    let ids = std::iter::repeat_with(RunId::random).filter(|run| run.partition(PARTITIONS) == 0);
    let runs: Vec<_> = ids.take(RUNS).map(|run| RunKey::new(TENANT, run)).collect();
    let mut starts = tokio::task::JoinSet::new();
    for run in &runs {
        let limited = StartMessage {
            parent: None,
            traceparent: None,
            workflow_definition_id: "limited".to_owned(),
            workflow_instance_id: run.run,
            ..start(0)
        };
        let first = first.clone();
        starts.spawn(async move { first.start_run(limited).await.unwrap() });
    }
    starts.join_all().await;
    for run in &runs {
        eventually("the task is known to run", || runs_at(&first, run)).await;
    }
    drop(first);
    until_limits_have_passed(&servers).await;
    let second = node_with(&places, strict("second")).await;
    for run in &runs {
        let ended = second.wait(run, PATIENCE).await.unwrap().unwrap();
        assert_eq!((ended.status, ended.metrics.attempts), (WorkflowStatus::Completed, 1), "{ended:#?}");
    }
    servers.until_nothing_is_left().await;
}

async fn runs_at(node: &oarlock_orchestrator::Node, run: &RunKey) -> Result<(), String> {
    let run = node.get(run).await.unwrap().unwrap();
    run.task_instances[0].start_time.map(drop).ok_or_else(|| format!("{run:?}"))
}

/// Waits until every timer of the store is due.
async fn until_limits_have_passed(servers: &Servers) {
    let store = servers.places().store();
    store.partitions(PARTITIONS).await.unwrap();
    let now = || oarlock_orchestrator::Clock::system().now().as_millis();
    let all = Range { from: i64::MIN, to: i64::MAX, after: None, limit: 10_000, descending: false };
    // A run that has ended already has a timer of days.
    let soon = now() + 60_000;
    let mut last = 0;
    for partition in 0..PARTITIONS {
        let timers = store.read_sorted(partition, &Key::Timers, &all).await.unwrap();
        last = timers.iter().map(|(_, at)| *at).filter(|at| *at < soon).fold(last, i64::max);
    }
    assert!(last > now(), "nobody has looked at them");
    // The timer may be that of the heartbeat, which is given anew; the limit is eight seconds after the begin.
    let last = last + 8_000;
    eventually("the limits have passed", || async {
        let left = last - now();
        (left < 0).then_some(()).ok_or_else(|| format!("{left} ms are left"))
    })
    .await;
}
