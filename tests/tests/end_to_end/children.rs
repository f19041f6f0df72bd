//! Runs that start runs.

use std::sync::Arc;

use oarlock_broker::parking::Parked;
use oarlock_broker::topology;
use oarlock_orchestrator::node::Filter;
use oarlock_protocol::instance::{InstanceKind, TaskInstance, TaskStatus, WorkflowInstance, WorkflowStatus};
use oarlock_protocol::message::{AttemptAddress, Kind, Parent};
use oarlock_protocol::{ExecutionId, Json, RunId, RunKey, TaskInstanceId};
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;
use tokio::sync::Notify;

use super::nodes::{pair, run_owned_by};
use super::system::{Parts, System, TENANT, eventually, request, settings};

const DOUBLE: &str =
    "{id: double, version: 1, tasks: [{id: a, task: double, inputMappings: {n: '${ input.n }'}}],
    output: '${ tasks.a.output }'}";
const EACH: &str = "{id: each, version: 1, tasks: [{id: all,
    forEach: {items: '${ input.numbers }', as: n, collect: '${ one.output }'},
    tasks: [{id: one, workflow: {id: double}, inputMappings: {n: '${ n }'}}]}], output: '${ tasks.all.output }'}";

async fn double(input: Json, _: TaskContext) -> Result<Json, TaskError> {
    match input["n"].as_i64() {
        Some(n) if n >= 0 => Ok(json!(2 * n)),
        _ => Err(TaskError::new("NO_NUMBER", "it cannot be doubled")),
    }
}

async fn doubler(system: &System) -> oarlock_worker::Running {
    system.worker().task("double", double).build().unwrap().start().await.unwrap()
}

/// The steps of a run that start other runs.
fn children(run: &WorkflowInstance) -> Vec<&TaskInstance> {
    run.task_instances.iter().filter(|task| task.kind == InstanceKind::Workflow).collect()
}

fn child_of(run: &WorkflowInstance, number: usize) -> RunKey {
    RunKey::new(TENANT, children(run)[number].child_id.expect("it has started a run"))
}

async fn get(system: &System, run: &RunKey) -> Option<WorkflowInstance> {
    system.node.get(run).await.unwrap()
}

#[tokio::test]
async fn a_run_gathers_what_the_runs_it_starts_return() {
    let parts = Parts::fresh().await;
    let mut settings = settings();
    settings.partitions = 4;
    let system = parts.node("alone", settings).await;
    system.register(DOUBLE).await;
    system.register(EACH).await;
    let _worker = doubler(&system).await;
    let numbers: Vec<u32> = (0..20).collect();
    let run = system.run("each", json!({"numbers": numbers})).await;
    let doubled: Vec<u32> = numbers.iter().map(|n| 2 * n).collect();
    assert_eq!((run.status, run.output.clone()), (WorkflowStatus::Completed, Some(json!(doubled))));
    assert_eq!(run.metrics.attempts, 20);
    for (number, step) in children(&run).into_iter().enumerate() {
        let child = get(&system, &child_of(&run, number)).await.unwrap();
        let parent = child.parent.unwrap();
        assert_eq!(parent.workflow_instance_id, run.id);
        assert_eq!(parent.task_path, step.execution_context.task_path);
        assert_eq!((child.status, child.output), (WorkflowStatus::Completed, step.output.clone()));
        assert_eq!(
            (child.created_by.as_str(), child.correlation_id.as_deref()),
            ("ada", Some("from-a-test"))
        );
        assert_eq!(child.security_context, run.security_context);
    }
}

#[tokio::test]
async fn pain_15_a_child_that_fails_fails_its_parent() {
    let system = System::start().await;
    system.register(DOUBLE).await;
    system
        .register(
            "{id: twice, version: 1, tasks: [{id: c, workflow: {id: double}, inputMappings: {n: -1},
                retryPolicy: {maxRetries: 1, initialDelay: 10ms}}]}",
        )
        .await;
    let _worker = doubler(&system).await;
    let run = system.run("twice", json!({})).await;
    let error = run.error.clone().unwrap();
    assert_eq!((run.status, error.code.as_str()), (WorkflowStatus::Failed, "CHILD_FAILED"));
    let last = child_of(&run, 0);
    assert_eq!(error.details["workflowInstanceId"], json!(last.run));
    assert_eq!(error.details["error"]["code"], "NO_NUMBER");
    let attempts = &children(&run)[0].attempts;
    assert_eq!(attempts.len(), 2);
    let first = RunKey::new(TENANT, RunId::child_of(attempts[0].execution_id));
    assert_ne!(first, last);
    assert_eq!(attempts[0].worker_id.as_ref().unwrap().as_str(), format!("run-{}", first.run));
    assert_eq!(get(&system, &first).await.unwrap().status, WorkflowStatus::Failed);
}

#[tokio::test]
async fn a_cancel_reaches_the_runs_below_and_waits_for_them() {
    let system = System::start().await;
    system.register("{id: low, version: 1, tasks: [{id: a, task: wait}]}").await;
    system.register("{id: mid, version: 1, tasks: [{id: c, workflow: {id: low}}]}").await;
    system.register("{id: high, version: 1, tasks: [{id: c, workflow: {id: mid}}]}").await;
    let begun = Arc::new(Notify::new());
    let told = begun.clone();
    let wait = move |_: Json, context: TaskContext| {
        let told = told.clone();
        async move {
            told.notify_one();
            context.heartbeat(json!("begun"));
            context.cancelled().await;
            Err::<Json, _>(TaskError::new("CANCELLED", "ended as told"))
        }
    };
    let _worker = system.worker().task("wait", wait).build().unwrap().start().await.unwrap();
    let high = system.begin("high", json!({})).await;
    begun.notified().await;
    assert_eq!(system.node.cancel(high.clone(), "enough".to_owned()).await.unwrap(), Some(true));
    let high = system.end(&high).await;
    let mid = get(&system, &child_of(&high, 0)).await.unwrap();
    let low = get(&system, &child_of(&mid, 0)).await.unwrap();
    for run in [&high, &mid, &low] {
        assert_eq!(run.status, WorkflowStatus::Cancelled, "{}", run.workflow_definition_id);
        assert_eq!(run.task_instances[0].status, TaskStatus::Cancelled);
    }
    assert!(mid.end_time.unwrap() >= low.end_time.unwrap(), "it waited for the one below");
    assert!(low.error.unwrap().message.contains(&mid.id.to_string()), "it says who had started it");
}

#[tokio::test]
async fn a_workflow_that_starts_itself_ends_at_the_depth_limit() {
    let parts = Parts::fresh().await;
    let mut settings = settings();
    settings.engine.depth = 4;
    let system = parts.node("alone", settings).await;
    system.register("{id: again, version: 1, tasks: [{id: c, workflow: {id: again}}]}").await;
    let run = system.run("again", json!({})).await;
    let mut error = json!(run.error.unwrap());
    for _ in 0..4 {
        assert_eq!(error["code"], "CHILD_FAILED");
        error = error["details"]["error"].take();
    }
    assert_eq!(error["code"], "DEPTH_LIMIT");
    let all = Filter { tenant: TENANT.to_owned(), status: None, definition: None, limit: 100, after: None };
    let runs = system.node.list(&all).await.unwrap().runs;
    assert_eq!(runs.len(), 5, "one, and four below it");
    assert_eq!(runs.iter().filter(|run| run.parent.is_some()).count(), 4);
}

#[tokio::test]
async fn a_run_that_is_not_waited_for_goes_on_by_itself() {
    let system = System::start().await;
    system.register(DOUBLE).await;
    system
        .register(
            "{id: send, version: 1, tasks: [{id: c, workflow: {id: double, wait: false}, inputMappings: {n: 4}}],
                output: '${ tasks.c.output }'}",
        )
        .await;
    let run = system.run("send", json!({})).await;
    let child = child_of(&run, 0);
    assert_eq!(run.output, Some(json!({"workflowInstanceId": child.run})));
    assert!(!get(&system, &child).await.unwrap().status.is_terminal(), "no worker is there yet");
    let _worker = doubler(&system).await;
    assert_eq!(system.end(&child).await.output, Some(json!(8)));
}

#[tokio::test]
async fn a_start_that_is_refused_fails_the_step_for_good() {
    let system = System::start().await;
    system
        .register(
            "{id: lost, version: 1, tasks: [{id: c, workflow: {id: nowhere}, retryPolicy: {maxRetries: 5}}]}",
        )
        .await;
    let run = system.run("lost", json!({})).await;
    let step = children(&run)[0];
    let error = step.error.clone().unwrap();
    assert_eq!((error.code.as_str(), error.retryable, step.attempts.len()), ("CHILD_FAILED", false, 1));
    assert_eq!(error.details["error"]["code"], "NOT_FOUND");
    assert_eq!(get(&system, &child_of(&run, 0)).await, None, "nothing was started");
    assert_eq!(system.broker.depth(topology::PARKED).await, Ok(0));
}

/// A start of a run of `double` by a step of a run that is not there, as an orchestrator would send it.
fn forged(tenant: &str, child: impl Fn(ExecutionId) -> RunId) -> Json {
    let above = RunId::random();
    let attempt = ExecutionId::of(TaskInstanceId::of(above, "/c"), 1);
    let address =
        AttemptAddress { run: RunKey::new(tenant, above), task_path: "/c".into(), execution_id: attempt };
    let mut start = request("double", json!({}));
    start.workflow_instance_id = child(attempt);
    start.parent = Some(Parent { address, depth: 1, wait: true });
    json!(start)
}

#[tokio::test]
async fn a_start_in_the_name_of_another_tenant_or_attempt_is_parked() {
    let system = System::start().await;
    system.register(DOUBLE).await;
    let bad = [
        (forged("globex", RunId::child_of), "tenant 'globex'"),
        (forged(TENANT, |_| RunId::random()), "is not the one"),
    ];
    for (start, reason) in bad {
        system.tell_inbox(Kind::Start.as_str(), start.to_string()).await;
        let parked = Parked::read(system.take(topology::PARKED).await, None);
        assert!(parked.reason.contains(reason), "{}", parked.reason);
    }
    let mut own = request("double", json!({}));
    own.parent = serde_json::from_value(forged(TENANT, RunId::child_of)["parent"].take()).unwrap();
    assert!(system.node.start_run(own).await.unwrap_err().to_string().contains("parent"));
}

/// The run, once every child of it is there.
async fn all_begun(system: &System, run: &RunKey) -> Option<WorkflowInstance> {
    let run = get(system, run).await?;
    for step in children(&run) {
        get(system, &RunKey::new(TENANT, step.child_id?)).await?;
    }
    (children(&run).len() == 6).then_some(run)
}

async fn owns_all(system: &System) -> Option<()> {
    (system.node.readiness().partitions_owned.len() == 8).then_some(())
}

#[tokio::test]
async fn the_owners_of_both_runs_may_die() {
    let parts = Parts::fresh().await;
    let (one, two) = pair(&parts).await;
    one.register(DOUBLE).await;
    one.register(EACH).await;
    let mut start = request("each", json!({"numbers": [1, 2, 3, 4, 5, 6]}));
    start.workflow_instance_id = run_owned_by(&one);
    let run = one.node.start_run(start).await.unwrap().run;
    let before = eventually("every child has begun", || all_begun(&two, &run)).await;
    // As by a crash: nothing is flushed. The other takes all its partitions, and dies too.
    drop(one);
    eventually("the other owns all partitions", || owns_all(&two)).await;
    let mut settings = settings();
    settings.partitions = 8;
    settings.lease = oarlock_protocol::Span::from_secs(3);
    drop(two);
    let three = parts.node("three", settings).await;
    eventually("the third owns all partitions", || owns_all(&three)).await;
    let _worker = doubler(&three).await;
    let ended = three.end(&run).await;
    assert_eq!(
        (ended.status, ended.output.clone()),
        (WorkflowStatus::Completed, Some(json!([2, 4, 6, 8, 10, 12])))
    );
    let ids = |run: &WorkflowInstance| -> Vec<_> { children(run).iter().map(|step| step.child_id).collect() };
    assert_eq!(ids(&before), ids(&ended), "no run was started twice");
    assert!(children(&ended).iter().all(|step| step.attempts.len() == 1));
}
