//! Limits of task definitions over the whole fleet: two nodes, four partitions, and one of the nodes gone in the middle.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use oarlock_orchestrator::Settings;
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::{Json, RunKey, Span};
use oarlock_worker::{Running, TaskContext, TaskError};
use serde_json::json;
use tokio::sync::Semaphore;

use super::system::{Parts, System, eventually, settings};

const PARTITIONS: usize = 4;

const FEW: &str = "{id: few, version: 1, taskDefinitions: [{id: careful, queue: shared, concurrencyLimit: 3}], \
                   tasks: [{id: a, task: careful}]}";
const SLOWLY: &str = "{id: slowly, version: 1, taskDefinitions: [{id: paced, queue: shared, \
                      rateLimit: {limit: 20, per: 1s}}], tasks: [{id: a, task: paced}]}";
const FREE: &str = "{id: free, version: 1, taskDefinitions: [{id: easy, queue: shared}], \
                    tasks: [{id: a, task: easy}]}";

/// Two nodes, each of which owns some of the partitions.
pub(super) async fn two(parts: &Parts) -> (System, System) {
    let settings = Settings { partitions: PARTITIONS as u32, lease: Span::from_secs(1), ..settings() };
    let one = parts.node("one", settings.clone()).await;
    loop {
        let two = parts.node("two", settings.clone()).await;
        let shares = || async {
            let shares = [&one, &two].map(|system| system.node.readiness().partitions_owned.len());
            let knows = [&one, &two].iter().all(|system| system.node.readiness().members.len() == 2);
            (knows && shares.iter().sum::<usize>() == PARTITIONS).then_some(shares)
        };
        if !eventually("the two share the partitions", shares).await.contains(&0) {
            return (one, two);
        }
        two.node.stop().await;
    }
}

async fn begin(system: &System, workflow: &str, runs: usize) -> Vec<RunKey> {
    join_all((0..runs).map(|_| system.begin(workflow, json!({})))).await
}

pub(super) async fn all_complete(system: &System, runs: &[RunKey]) {
    for ended in join_all(runs.iter().map(|run| system.end(run))).await {
        assert_eq!(ended.status, WorkflowStatus::Completed);
        assert_eq!(ended.metrics.retries, 0);
    }
}

/// What the handlers of a task see of each other.
#[derive(Default)]
struct Seen {
    now: AtomicUsize,
    most: AtomicUsize,
    done: AtomicUsize,
}

async fn careful(system: &System, seen: &Arc<Seen>, takes: Duration) -> Running {
    let seen = seen.clone();
    let handler = move |_: Json, _: TaskContext| {
        let seen = seen.clone();
        async move {
            let now = seen.now.fetch_add(1, Ordering::SeqCst) + 1;
            seen.most.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(takes).await;
            seen.now.fetch_sub(1, Ordering::SeqCst);
            seen.done.fetch_add(1, Ordering::SeqCst);
            Ok::<_, TaskError>(Json::Null)
        }
    };
    system.worker().slots(20).task_on("shared", "careful", handler).build().unwrap().start().await.unwrap()
}

/// A worker whose tasks under the limit wait for the gate.
async fn gated(system: &System, gate: &Arc<Semaphore>, began: &Arc<AtomicUsize>) -> Running {
    let (gate, began) = (gate.clone(), began.clone());
    let careful = move |_: Json, _: TaskContext| {
        began.fetch_add(1, Ordering::SeqCst);
        let gate = gate.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            Ok::<_, TaskError>(Json::Null)
        }
    };
    let easy = |_: Json, _: TaskContext| async { Ok::<_, TaskError>(Json::Null) };
    let worker = system.worker().slots(20).task_on("shared", "careful", careful);
    worker.task_on("shared", "easy", easy).build().unwrap().start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_than_the_limit_are_open_at_once_also_when_a_node_is_gone() {
    let parts = Parts::fresh().await;
    let (one, two) = two(&parts).await;
    two.register(FEW).await;
    let seen = Arc::new(Seen::default());
    let _worker = careful(&two, &seen, Duration::from_millis(50)).await;
    let runs = begin(&two, "few", 40).await;
    let some = || async { (seen.done.load(Ordering::SeqCst) >= 12).then_some(()) };
    eventually("some are done", some).await;
    // Dropped as by a crash: homes and holders among its partitions are taken over.
    drop(one);
    all_complete(&two, &runs).await;
    assert_eq!(seen.done.load(Ordering::SeqCst), 40);
    assert_eq!(seen.most.load(Ordering::SeqCst), 3, "as many as may be, and no more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_begin_no_faster_than_their_rate() {
    let parts = Parts::fresh().await;
    let (_one, two) = two(&parts).await;
    two.register(SLOWLY).await;
    let begun = Arc::new(Mutex::new(Vec::new()));
    let notes = begun.clone();
    let handler = move |_: Json, _: TaskContext| {
        notes.lock().unwrap().push(Instant::now());
        async { Ok::<_, TaskError>(Json::Null) }
    };
    let worker = two.worker().slots(20).task_on("shared", "paced", handler).build().unwrap();
    let _worker = worker.start().await.unwrap();
    let runs = begin(&two, "slowly", 60).await;
    all_complete(&two, &runs).await;
    let mut begun = begun.lock().unwrap().clone();
    begun.sort_unstable();
    let took = begun[59] - begun[0];
    // Two come at once, the others evenly: 2.9 s.
    assert!(took > Duration::from_millis(2_700) && took < Duration::from_secs(8), "60 tasks within {took:?}");
    let within =
        |from: usize| begun[from..].iter().filter(|at| **at - begun[from] < Duration::from_secs(1)).count();
    let most = (0..60).map(within).max().unwrap();
    println!("60 tasks within {took:?}, at most {most} in a second");
    assert!(most <= 24, "{most} began within a second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_one_after_another_begin_no_faster_than_their_rate() {
    let parts = Parts::fresh().await;
    let (_one, two) = two(&parts).await;
    // The limit is forgotten between two of them: nothing is open under it, and nothing waits.
    two.register(
        "{id: line, version: 1, taskDefinitions: [{id: paced, rateLimit: {limit: 10, per: 1s}}], \
         tasks: [{id: each, forEach: {items: '${ range(25) }', concurrency: 1}, tasks: [{id: a, task: paced}]}]}",
    )
    .await;
    let handler = |_: Json, _: TaskContext| async { Ok::<_, TaskError>(Json::Null) };
    let _worker = two.worker().task("paced", handler).build().unwrap().start().await.unwrap();
    let began = Instant::now();
    let run = begin(&two, "line", 1).await;
    all_complete(&two, &run).await;
    let took = began.elapsed();
    assert!(took > Duration::from_millis(2_300), "25 tasks within {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_open_before_there_was_a_limit_counts() {
    let parts = Parts::fresh().await;
    let (_one, two) = two(&parts).await;
    two.register(&FEW.replace(", concurrencyLimit: 3", "")).await;
    let (gate, began) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let _worker = gated(&two, &gate, &began).await;
    let began_are = |wanted| {
        let began = &began;
        move || async move { (began.load(Ordering::SeqCst) == wanted).then_some(()) }
    };
    let before = begin(&two, "few", 8).await;
    eventually("all are open", began_are(8)).await;
    two.register(&FEW.replace("version: 1", "version: 2")).await;
    let after = begin(&two, "few", 8).await;
    for run in &after {
        let run = two.node.get(run).await.unwrap().unwrap();
        assert_eq!(run.workflow_definition_version, 2);
    }
    gate.add_permits(5);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(began.load(Ordering::SeqCst), 8, "three are open still");
    let told = || async {
        let explained = join_all(after.iter().map(|run| two.node.explain(run))).await;
        let mut waits = explained.into_iter().flat_map(|of| of.unwrap().unwrap().waits);
        waits.all(|waiting| waiting.text.contains("`concurrencyLimit`): 3 of 3 open.")).then_some(())
    };
    eventually("what waits for a permit is told", told).await;
    gate.add_permits(1);
    eventually("one more begins", began_are(9)).await;
    gate.add_permits(100);
    all_complete(&two, &before).await;
    all_complete(&two, &after).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_holds_up_no_other_task_of_the_same_queue() {
    let parts = Parts::fresh().await;
    let (_one, two) = two(&parts).await;
    two.register(FEW).await;
    two.register(FREE).await;
    let (gate, began) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let _worker = gated(&two, &gate, &began).await;
    let held = begin(&two, "few", 300).await;
    let full = || async { (began.load(Ordering::SeqCst) == 3).then_some(()) };
    eventually("all permits are taken", full).await;
    let free = begin(&two, "free", 30).await;
    all_complete(&two, &free).await;
    assert_eq!(began.load(Ordering::SeqCst), 3);
    gate.add_permits(1_000);
    all_complete(&two, &held).await;
}

/// A queue with one worker slot and many tasks that each take so long: among them a task under a limit has its turn like any
/// other. So many of them begin before it.
async fn among_many(limit: &str, takes: Duration, (before, after): (usize, usize)) -> usize {
    let parts = Parts::fresh().await;
    let system = parts.node("alone", Settings { window: 1, ..settings() }).await;
    let yaml = |id: &str, limit: &str| {
        format!(
            "{{id: {id}, version: 1, taskDefinitions: [{{id: {id}.work, queue: shared{limit}}}], \
             tasks: [{{id: a, task: {id}.work}}]}}"
        )
    };
    system.register(&yaml("many", "")).await;
    system.register(&yaml("one", limit)).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = |name: &'static str| {
        let order = order.clone();
        move |_: Json, _: TaskContext| {
            order.lock().unwrap().push(name);
            async move {
                tokio::time::sleep(takes).await;
                Ok::<_, TaskError>(Json::Null)
            }
        }
    };
    let worker = system.worker().slots(1).task_on("shared", "many.work", note("many"));
    let before = begin(&system, "many", before).await;
    let limited = begin(&system, "one", 1).await;
    let after = begin(&system, "many", after).await;
    let _worker = worker.task_on("shared", "one.work", note("one")).build().unwrap().start().await.unwrap();
    all_complete(&system, &limited).await;
    all_complete(&system, &before).await;
    all_complete(&system, &after).await;
    let order = order.lock().unwrap();
    order.iter().position(|name| *name == "one").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_under_a_limit_has_its_turn_in_a_queue_that_is_full() {
    let begun = among_many(", concurrencyLimit: 1", Duration::from_millis(20), (20, 200)).await;
    assert!(begun < 120, "{begun} of 220 before it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_under_a_slow_rate_has_its_turn_in_a_queue_that_is_full() {
    // Its turn comes longer after its permit than one lasts.
    let limit = ", rateLimit: {limit: 1, per: 1m}";
    let begun = among_many(limit, Duration::from_millis(1_300), (1, 5)).await;
    assert!(begun < 5, "{begun} of 6 before it");
}
