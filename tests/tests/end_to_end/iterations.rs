//! Iterations in great numbers: bounded work, bounded memory, and nobody else kept waiting.

use std::time::{Duration, Instant};

use oarlock_orchestrator::Settings;
use oarlock_orchestrator::store::memory::Memory;
use oarlock_protocol::Json;
use oarlock_protocol::instance::{WorkflowInstance, WorkflowStatus};
use oarlock_worker::{Running, TaskContext, TaskError};
use serde_json::json;

use super::system::{System, settings};

/// Ten thousand tasks take ten seconds where two cores have much else to do.
const PATIENCE: Duration = Duration::from_secs(120);

async fn step(input: Json, _: TaskContext) -> Result<Json, TaskError> {
    Ok(input["n"].clone())
}

async fn sum(input: Json, _: TaskContext) -> Result<i64, TaskError> {
    Ok(input["n"].as_array().unwrap().iter().map(|n| n.as_i64().unwrap()).sum())
}

async fn worker(system: &System) -> Running {
    system.worker().slots(512).task("step", step).task("sum", sum).build().unwrap().start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_that_never_ends_keeps_no_other_run_waiting() {
    let system = System::start().await;
    let _worker = worker(&system).await;
    system.register("{id: short, version: 1, tasks: [{id: a, task: step}, {id: b, task: step}]}").await;
    system
        .register(
            "{id: endless, version: 1, variables: {n: 0}, tasks: [{id: again, loop: {while: 'true', max: 1000000},
                tasks: [{id: count, set: {n: '${ variables.n + 1 }'}}]}]}",
        )
        .await;
    let alone = short_runs(&system).await;
    let endless = system.begin("endless", json!({})).await;
    let beside = short_runs(&system).await;
    let now = system.node.get(&endless).await.unwrap().unwrap();
    let rounds = now.variables["n"].as_u64().unwrap();
    println!(
        "a short run: {alone:?} alone, {beside:?} beside {rounds} rounds; kept steps {}",
        now.task_instances.len()
    );
    assert_eq!(now.status, WorkflowStatus::Running);
    assert!(rounds > 512, "it goes on meanwhile: {rounds}");
    assert!(now.task_instances.len() <= 1 + 2 * 11, "only the latest are kept: {}", now.task_instances.len());
    assert!(beside < Duration::from_secs(2), "{alone:?} alone, {beside:?} beside it");
    assert_eq!(system.node.cancel(endless.clone(), "enough".to_owned()).await.unwrap(), Some(true));
    assert_eq!(system.end(&endless).await.status, WorkflowStatus::Cancelled);
}

/// The median time of some short runs, one after the other.
async fn short_runs(system: &System) -> Duration {
    let mut times = Vec::new();
    for _ in 0..15 {
        let begun = Instant::now();
        assert_eq!(system.run("short", json!({})).await.status, WorkflowStatus::Completed);
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

fn each(batch: Option<usize>, task: &str) -> String {
    let batch = batch.map_or(String::new(), |batch| format!(", batch: {batch}"));
    format!(
        "{{id: each, version: 1, tasks: [{{id: all, forEach: {{items: '${{ input.items }}', collect: '${{ one.output }}'{batch}}},
            tasks: [{{id: one, task: {task}, inputMappings: {{n: '${{ item }}'}}}}]}}], output: '${{ tasks.all.output }}'}}"
    )
}

async fn over(definition: &str, settings: Settings) -> System {
    let parts =
        (std::sync::Arc::new(oarlock_broker::embedded::Embedded::new()), std::sync::Arc::new(Memory::new()));
    let system = System::over(parts.0, parts.1, settings).await;
    system.register(definition).await;
    system
}

/// The run over these items when it has ended.
async fn run_each(system: &System, items: Json) -> WorkflowInstance {
    let run = system.begin("each", json!({"items": items})).await;
    system.end_within(&run, PATIENCE).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pain_17_a_million_items_are_refused_with_the_remedy_and_run_in_batches() {
    let items = vec![1; 1_000_000];
    let settings = || {
        let mut settings = settings();
        settings.engine.payload_bytes = 8 * 1024 * 1024;
        settings
    };
    let system = over(&each(None, "step"), settings()).await;
    let begun = Instant::now();
    let refused = run_each(&system, json!(items)).await;
    let error = refused.error.unwrap();
    assert_eq!(error.code, "ITERATION_LIMIT", "{error:?}");
    assert!(error.message.contains("1000000 items") && error.message.contains("`batch`"), "{error:?}");
    println!("refused after {:?}", begun.elapsed());
    let system = over(&each(Some(100), "sum"), settings()).await;
    let _worker = worker(&system).await;
    let begun = Instant::now();
    let run = run_each(&system, json!(items)).await;
    assert_eq!(run.status, WorkflowStatus::Completed, "{:?}", run.error);
    assert_eq!(run.output, Some(json!(vec![100; 10_000])));
    println!("a million items in 10,000 batches: {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_most_items_that_fit_a_payload_run_and_one_more_is_refused() {
    // A list of ones has two bytes an item, with its comma; its brackets two more, and some stand around it.
    let most = (settings().engine.payload_bytes - r#"{"items":}"#.len() - 4) / 2;
    let system = over(&each(Some(100), "sum"), settings()).await;
    let _worker = worker(&system).await;
    let begun = Instant::now();
    let run = run_each(&system, json!(vec![1; most])).await;
    assert_eq!(run.status, WorkflowStatus::Completed, "{:?}", run.error);
    println!("{most} items of one byte in batches of 100: {:?}", begun.elapsed());
    let more = super::system::request("each", json!({"items": vec![1; most + 1]}));
    let refused = system.node.start_run(more).await.unwrap_err().to_string();
    assert!(refused.contains("the workflow's input is larger than 1048576 bytes"), "{refused}");
}

/// The run of so many items, its time an item, and how many bytes of memory an item took.
async fn items(count: usize) -> (WorkflowInstance, Duration, i64) {
    let system = over(&each(None, "step"), settings()).await;
    let _worker = worker(&system).await;
    let (begun, before) = (Instant::now(), resident());
    let run = run_each(&system, json!((0..count).collect::<Vec<_>>())).await;
    let count = u32::try_from(count).unwrap();
    (run, begun.elapsed() / count, (resident() - before) / i64::from(count))
}

/// The resident memory of this process in bytes.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<i64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pain_17_an_item_of_ten_thousand_costs_what_an_item_of_a_thousand_costs() {
    items(1_000).await;
    let mut ratios = Vec::new();
    // The machine may be busy with something else: one good try of some tells what it costs.
    for _ in 0..3 {
        let (few, per_few, _) = items(1_000).await;
        let (many, per_many, bytes) = items(10_000).await;
        assert_eq!(few.output, Some(json!((0..1_000).collect::<Vec<_>>())));
        assert_eq!(many.output, Some(json!((0..10_000).collect::<Vec<_>>())));
        assert_eq!(many.metrics.attempts, 10_000);
        let ratio = per_many.as_secs_f64() / per_few.as_secs_f64();
        println!(
            "an item: {per_few:?} of 1,000, {per_many:?} of 10,000 ({ratio:.2}), {bytes} bytes of memory"
        );
        assert!(bytes < 32 * 1024, "{bytes} bytes of memory an item");
        if ratio < 2.0 {
            return;
        }
        ratios.push(ratio);
    }
    panic!("time an item, at 10,000 over that at 1,000: {ratios:?}");
}
