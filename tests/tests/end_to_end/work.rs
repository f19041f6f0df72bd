//! Work done by workers of the SDK.

use oarlock_protocol::Json;
use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};
use oarlock_worker::{Answer, TaskContext, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::system::{Parts, System, TENANT, eventually, request, settings};

#[derive(Deserialize)]
struct Order {
    amount: u64,
}

#[derive(Serialize)]
struct Receipt {
    charged: u64,
}

async fn charge(order: Order, context: TaskContext) -> Result<Receipt, TaskError> {
    assert_eq!(context.security_context().tenant_id, TENANT);
    assert_eq!(context.security_context().permissions, ["write"], "the least it can work with");
    assert_eq!(context.correlation_id(), Some("from-a-test"));
    if context.attempt() == 1 {
        return Err(TaskError::new("GATEWAY_TIMEOUT", "the gateway did not answer"));
    }
    Ok(Receipt { charged: order.amount * 2 })
}

const PAY: &str = r#"
id: pay
version: 1
variables: {total: 0}
taskDefinitions:
  - id: payment.charge
    retryPolicy: {maxRetries: 2, initialDelay: 10ms, retryableErrors: [GATEWAY_TIMEOUT]}
    securityRequirements: {requiredPermissions: [write]}
tasks:
  - id: charge
    task: payment.charge
    inputMappings: {amount: "${ input.amount + 1 }"}
    variableMappings: {total: "${ taskOutput.charged }"}
output: {total: "${ variables.total }"}
"#;

#[tokio::test]
async fn a_typed_task_is_retried_and_its_output_reaches_the_workflow() {
    let system = System::start().await;
    system.register(PAY).await;
    let worker = system.worker().task("payment.charge", charge).build().unwrap().start().await.unwrap();
    let run = system.run("pay", json!({"amount": 20})).await;
    assert_eq!((run.status, run.output), (WorkflowStatus::Completed, Some(json!({"total": 42}))));
    let task = &run.task_instances[0];
    assert_eq!((task.status, task.retry_count, task.attempts.len()), (TaskStatus::Completed, 1, 2));
    assert_eq!(task.attempts[0].error.as_ref().unwrap().code, "GATEWAY_TIMEOUT");
    assert_eq!(task.attempts[1].worker_id.as_ref(), Some(worker.worker_id()));
    assert_ne!(task.attempts[0].execution_id, task.attempts[1].execution_id);
    assert_eq!((run.metrics.attempts, run.metrics.retries, run.metrics.completed_tasks), (2, 1, 1));
}

#[tokio::test]
async fn a_task_without_its_permission_is_never_dispatched() {
    let system = System::start().await;
    system.register(PAY).await;
    let mut request = request("pay", json!({"amount": 1}));
    request.security_context.permissions = vec!["read".to_owned()];
    let run = system.node.start_run(request).await.unwrap().run;
    let run = system.end(&run).await;
    assert_eq!(run.error.unwrap().code, "PERMISSION_DENIED");
    assert!(run.task_instances[0].attempts.is_empty());
    assert_eq!(system.broker.depth("oarlock.tasks.payment.charge").await, Ok(0));
}

#[tokio::test]
async fn a_panic_is_a_failure_with_its_message() {
    let system = System::start().await;
    system.register("{id: bad, version: 1, tasks: [{id: a, task: explode}]}").await;
    async fn explode(_: Json, _: TaskContext) -> Result<Json, TaskError> {
        panic!("the boiler burst")
    }
    let _worker = system.worker().task("explode", explode).build().unwrap().start().await.unwrap();
    let error = system.run("bad", json!({})).await.error.unwrap();
    assert_eq!(
        (error.code.as_str(), error.message.contains("the boiler burst")),
        ("PANIC", true),
        "{error:?}"
    );
}

#[tokio::test]
async fn rules_send_tasks_to_other_queues() {
    let mut settings = settings();
    let rule = oarlock_engine::router::Rule {
        tenant: Some(TENANT.to_owned()),
        queue: "{queue}.of-{tenant}".to_owned(),
        ..Default::default()
    };
    settings.engine.routes = vec![rule];
    let broker = std::sync::Arc::new(oarlock_broker::embedded::Embedded::new());
    let store = std::sync::Arc::new(oarlock_orchestrator::store::memory::Memory::new());
    let system = System::over(broker, store, settings).await;
    system.register("{id: routed, version: 1, tasks: [{id: a, task: step}]}").await;
    async fn step(_: Json, _: TaskContext) -> Result<Json, TaskError> {
        Ok(json!("done"))
    }
    let worker =
        system.worker().task_on("step.of-acme", "step", step).build().unwrap().start().await.unwrap();
    let run = system.run("routed", json!({})).await;
    assert_eq!(run.status, WorkflowStatus::Completed);
    assert_eq!(run.task_instances[0].attempts[0].queue, "step.of-acme");
    drop(worker);
}

#[tokio::test]
async fn a_key_starts_one_run_however_often_it_is_sent() {
    let system = System::start().await;
    system.register("{id: once, version: 1, tasks: [{id: a, set: {x: 1}}]}").await;
    let mut first = request("once", json!({"n": 1}));
    first.workflow_instance_id = oarlock_protocol::RunId::keyed(TENANT, "once", "order-7");
    let starts = (0..50).map(|_| system.node.start_run(first.clone()));
    let mut existing = 0;
    for start in starts {
        let started = start.await.unwrap();
        assert_eq!(started.run.run, first.workflow_instance_id);
        existing += usize::from(started.existing);
    }
    assert_eq!(existing, 49);
    let mut other = first.clone();
    other.input = json!({"n": 2});
    assert!(system.node.start_run(other).await.unwrap_err().to_string().contains("different request"));
}

#[tokio::test]
async fn a_task_that_is_handed_on_keeps_no_place_from_others() {
    let parts = Parts::fresh().await;
    let system = parts.node("alone", oarlock_orchestrator::Settings { window: 1, ..settings() }).await;
    system
        .register("{id: w, version: 1, tasks: [{id: p, parallel: [{id: a, task: x}, {id: b, task: x}]}]}")
        .await;
    let hand_on = |_: Json, _: TaskContext| async { Ok::<_, TaskError>(Answer::<Json>::Accepted) };
    let _worker = system.worker().task("x", hand_on).build().unwrap().start().await.unwrap();
    let run = system.begin("w", json!({})).await;
    let both = || async {
        let now = system.node.get(&run).await.unwrap()?;
        let running = now.task_instances.iter().filter(|step| step.status == TaskStatus::Running);
        (running.filter(|step| !step.attempts.is_empty()).count() == 2).then_some(())
    };
    eventually("both are handed on, though there is one place", both).await;
}
