//! What attempts and runs took, by definition: exact, in the commits that close them, neither lost nor doubled when an owner goes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use oarlock_orchestrator::Settings;
use oarlock_orchestrator::node::Asked;
use oarlock_orchestrator::statistics::summary::{Task, Workflow};
use oarlock_protocol::instance::{WorkflowInstance, WorkflowStatus};
use oarlock_protocol::{Json, RunId, Span};
use oarlock_worker::{Answer, TaskContext, TaskError};
use serde_json::json;
use tokio::sync::Semaphore;

use super::system::{Parts, System, TENANT, eventually, request, settings};

const ORDER: &str = "{id: order, version: 1, tasks: [
    {id: a, task: charge, inputMappings: {does: '${ input.does }'}, retryPolicy: {maxRetries: 2, initialDelay: 1ms, strategy: FIXED}},
    {id: b, task: ship}], output: '${ tasks.b.output }'}";
const PARENT: &str = "{id: parent, version: 1, tasks: [{id: one, workflow: {id: order}, inputMappings: {does: '${ input.does }'}}]}";

/// Does what its input says.
async fn charge(input: Json, context: TaskContext) -> Result<Answer, TaskError> {
    match (input["does"].as_str(), context.attempt()) {
        (Some("fail"), _) => Err(TaskError::new("DECLINED", "no").not_retryable()),
        (Some("retry"), 1) => Err(TaskError::new("BUSY", "later")),
        (Some("defer"), 1) => {
            Ok(Answer::Deferred { after: std::time::Duration::from_millis(1), state: Json::Null })
        }
        _ => Ok(Answer::Completed(json!({"charged": true}))),
    }
}

async fn ship(_: Json, _: TaskContext) -> Result<Json, TaskError> {
    Ok(Json::Null)
}

fn asked(tenant: &str) -> Asked {
    Asked { tenant: tenant.to_owned(), id: None, hours: 2 }
}

async fn tasks(system: &System, tenant: &str) -> BTreeMap<String, Task> {
    let told = system.node.task_statistics(&asked(tenant)).await.unwrap();
    told.tasks.into_iter().map(|task| (task.task.clone(), task)).collect()
}

async fn workflows(system: &System, tenant: &str) -> BTreeMap<String, Workflow> {
    let told = system.node.workflow_statistics(&asked(tenant)).await.unwrap();
    told.workflows.into_iter().map(|workflow| (workflow.workflow.clone(), workflow)).collect()
}

#[tokio::test]
async fn runs_of_several_outcomes_are_counted_exactly_and_by_tenant() {
    let system = System::start().await;
    system.register(ORDER).await;
    system.register(PARENT).await;
    let worker = system.worker().task("charge", charge).task("ship", ship);
    let _worker = worker.build().unwrap().start().await.unwrap();
    let mut runs = Vec::new();
    for does in ["complete", "complete", "fail", "retry", "defer"] {
        runs.push(system.run("order", json!({"does": does})).await);
    }
    assert_eq!(system.run("parent", json!({"does": "retry"})).await.status, WorkflowStatus::Completed);
    let charged = &tasks(&system, TENANT).await["charge"];
    assert_eq!((charged.attempts, charged.completed, charged.put_off, charged.failed), (9, 5, 1, 3));
    assert_eq!(charged.failures, BTreeMap::from([("BUSY".to_owned(), 2), ("DECLINED".to_owned(), 1)]));
    assert_eq!((charged.cancelled, charged.retries), (0, 3));
    for summary in
        [charged.queue_time_ms, charged.execution_time_ms, charged.input_bytes, charged.output_bytes]
    {
        assert_eq!(summary.count, 9, "{charged:#?}");
    }
    let attempts = runs.iter().map(|run| &run.task_instances[0].attempts[0]);
    let longest = attempts.map(|attempt| attempt.input_bytes).max();
    assert_eq!(Some(charged.input_bytes.max), longest);
    let shipped = &tasks(&system, TENANT).await["ship"];
    assert_eq!((shipped.attempts, shipped.completed, shipped.retries), (5, 5, 0));
    let told = workflows(&system, TENANT).await;
    let (order, parent) = (&told["order"], &told["parent"]);
    assert_eq!((order.runs, order.completed, order.failed, order.cancelled), (6, 5, 1, 0));
    assert_eq!((parent.runs, parent.completed, parent.attempts.max), (1, 1, 1));
    assert_eq!((order.attempts.min, order.attempts.max, order.retries.max), (1, 3, 1));
    let longest =
        runs.iter().map(|run| run.end_time.unwrap().since(run.start_time.unwrap()).as_millis()).max();
    assert!(order.duration_ms.max >= longest.unwrap(), "{order:#?}");
    assert_eq!(tasks(&system, TENANT).await.len(), 2, "an attempt that is a run is no task's");

    // Another tenant sees its own.
    assert_eq!((tasks(&system, "other").await.len(), workflows(&system, "acm").await.len()), (0, 0));
    let definition = oarlock_definition::read("test.yaml", ORDER).definition.unwrap();
    system.node.register("other", definition).await.unwrap();
    let mut start = request("order", json!({"does": "complete"}));
    start.security_context.tenant_id = "other".to_owned();
    let run = system.node.start_run(start).await.unwrap().run;
    system.end(&run).await;
    assert_eq!(tasks(&system, "other").await["charge"].attempts, 1);
    assert_eq!(tasks(&system, TENANT).await["charge"].attempts, 9);
    let one = Asked { id: Some("ship".to_owned()), ..asked("other") };
    let only: Vec<String> =
        system.node.task_statistics(&one).await.unwrap().tasks.into_iter().map(|task| task.task).collect();
    assert_eq!(only, ["ship"]);
}

#[tokio::test]
async fn what_is_cancelled_is_no_failure() {
    let parts = Parts::fresh().await;
    let mut settings = settings();
    settings.engine.cancel_grace = Span::from_millis(200);
    let system = parts.node("alone", settings).await;
    system.register(ORDER).await;
    let run = system.begin("order", json!({"does": "nothing"})).await;
    system.node.cancel(run.clone(), "enough".to_owned()).await.unwrap();
    system.end(&run).await;
    let told = tasks(&system, TENANT).await;
    let charged = &told["charge"];
    assert_eq!((charged.attempts, charged.failed, charged.cancelled), (1, 0, 1));
    assert_eq!((charged.queue_time_ms.count, charged.execution_time_ms.count), (1, 0), "nobody had begun it");
    let order = &workflows(&system, TENANT).await["order"];
    assert_eq!((order.runs, order.cancelled), (1, 1));
}

const WIDE: &str = "{id: wide, version: 1, tasks: [{id: all, forEach: {items: '${ input.items }', concurrency: 20}, tasks: [
    {id: one, task: held, inputMappings: {n: '${ item }'}, retryPolicy: {maxRetries: 1, initialDelay: 1ms, strategy: FIXED}}]}]}";
/// So many items of each run.
const ITEMS: usize = 60;

/// What the runs tell, of their attempts: how many, how many failed, and how many were given later.
fn counted(runs: &[WorkflowInstance]) -> (u64, u64, u64) {
    let tasks = runs.iter().flat_map(|run| &run.task_instances);
    let attempts = tasks.flat_map(|task| task.attempts.iter().enumerate());
    attempts.fold((0, 0, 0), |(all, failed, retries), (number, attempt)| {
        (all + 1, failed + u64::from(attempt.error.is_some()), retries + u64::from(number > 0))
    })
}

#[tokio::test]
async fn statistics_survive_owners_that_go_in_the_middle_neither_lost_nor_doubled() {
    let parts = Parts::fresh().await;
    let settings = Settings { partitions: 3, lease: Span::from_secs(1), ..settings() };
    let (gate, done) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let held = {
        let (gate, done) = (gate.clone(), done.clone());
        move |input: Json, context: TaskContext| {
            let (gate, done) = (gate.clone(), done.clone());
            async move {
                gate.acquire().await.unwrap().forget();
                done.fetch_add(1, Ordering::Relaxed);
                match input["n"].as_u64() {
                    Some(n) if n % 3 == 0 && context.attempt() == 1 => Err(TaskError::new("BUSY", "later")),
                    _ => Ok(input["n"].clone()),
                }
            }
        }
    };
    let mut system = parts.node("first", settings.clone()).await;
    // Wide enough that those which hang keep nobody waiting, even where they were handed out twice.
    let _worker = system.worker().slots(400).task("held", held).build().unwrap().start().await.unwrap();
    system.register(WIDE).await;
    let items: Vec<usize> = (0..ITEMS).collect();
    let mut runs = Vec::new();
    for partition in 0..3 {
        let mut start = request("wide", json!({"items": items}));
        start.workflow_instance_id =
            std::iter::repeat_with(RunId::random).find(|run| run.partition(3) == partition).unwrap();
        runs.push(system.node.start_run(start).await.unwrap().run);
    }
    for owner in 0..3 {
        let before = done.load(Ordering::Relaxed);
        gate.add_permits(40);
        eventually("some more are done", || async {
            (done.load(Ordering::Relaxed) >= before + 40).then_some(())
        })
        .await;
        let told = tasks(&system, TENANT).await;
        let so_far = told.get("held").map_or(0, |task| task.attempts);
        // As a crash would.
        drop(system);
        system = parts.node(&format!("owner-{owner}"), settings.clone()).await;
        let told = tasks(&system, TENANT).await;
        assert!(told.get("held").map_or(0, |task| task.attempts) >= so_far, "what was told is forgotten");
    }
    gate.add_permits(10_000);
    let mut ended = Vec::new();
    for run in &runs {
        ended.push(system.end(run).await);
    }
    let (attempts, failed, retries) = counted(&ended);
    let told = tasks(&system, TENANT).await;
    let held = &told["held"];
    assert_eq!((held.attempts, held.failed, held.retries), (attempts, failed, retries));
    assert!(attempts >= 3 * ITEMS as u64 + retries && retries >= ITEMS as u64, "{attempts} {retries}");
    assert_eq!((held.queue_time_ms.count, held.input_bytes.count), (attempts, attempts));
    assert_eq!(workflows(&system, TENANT).await["wide"].completed, 3);
}
