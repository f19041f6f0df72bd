//! Messages that are garbage, forged, doubled or dead.

use oarlock_broker::{Message, Subscription, topology};
use oarlock_protocol::instance::{TaskMetrics, TaskStatus, WorkflowStatus};
use oarlock_protocol::message::{AttemptAddress, Kind, Outcome, ResultMessage, TaskMessage};
use oarlock_protocol::{ExecutionId, FORMAT, Json, RunKey, WorkerId};
use serde_json::json;

use super::system::{System, TENANT, next};

const TWO_STEPS: &str = "{id: two, version: 1, variables: {n: 0}, tasks: [
    {id: a, task: step, variableMappings: [{type: EXPRESSION, target: n, expression: variables.n + taskOutput}]},
    {id: b, task: step, variableMappings: [{type: EXPRESSION, target: n, expression: variables.n + taskOutput}]}],
    output: \"${ variables.n }\"}";

fn read(message: &Message) -> TaskMessage {
    serde_json::from_slice(&message.body).unwrap()
}

fn result(task: &TaskMessage, output: Json) -> ResultMessage {
    let context = &task.execution_context;
    ResultMessage {
        format: FORMAT,
        address: AttemptAddress {
            run: RunKey::new(TENANT, context.workflow_instance_id),
            task_path: context.task_path.clone(),
            execution_id: context.execution_id.unwrap(),
        },
        worker_id: WorkerId::fresh("by-hand"),
        outcome: Outcome::Completed { output },
        metrics: TaskMetrics::default(),
        deliveries: 1,
    }
}

async fn answer(system: &System, result: &ResultMessage) {
    system.tell_inbox(Kind::Result.as_str(), serde_json::to_vec(result).unwrap()).await;
}

#[tokio::test]
async fn pain_09_a_doubled_or_forged_result_changes_nothing() {
    let system = System::start().await;
    system.register(TWO_STEPS).await;
    let run = system.begin("two", json!({})).await;
    let first = read(&system.take("oarlock.tasks.step").await);
    let mut forged = result(&first, json!(1000));
    forged.address.execution_id = ExecutionId::of(first.idempotency_key, 77);
    answer(&system, &forged).await;
    let genuine = result(&first, json!(1));
    answer(&system, &genuine).await;
    answer(&system, &genuine).await;
    let second = read(&system.take("oarlock.tasks.step").await);
    assert_ne!(first.execution_context.task_path, second.execution_context.task_path);
    answer(&system, &result(&first, json!(500))).await;
    answer(&system, &result(&second, json!(10))).await;
    let ended = system.end(&run).await;
    assert_eq!((ended.status, ended.output), (WorkflowStatus::Completed, Some(json!(11))));
    assert!(ended.task_instances.iter().all(|task| task.attempts.len() == 1));
    let stale = system.node.counters().stale_events.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(stale, 3, "one forged, one doubled, one late");
}

#[tokio::test]
async fn what_cannot_be_understood_is_parked_with_its_reason() {
    let system = System::start().await;
    let rows: [(&str, &[u8], &str); 5] = [
        ("oarlock.result", b"no json", "cannot be read"),
        ("oarlock.result", br#"{"format":1}"#, "missing field"),
        ("oarlock.result", br#"{"format":99,"new":true}"#, "newer release"),
        ("nonsense", b"{}", "unknown"),
        ("oarlock.task", b"{}", "does not belong"),
    ];
    for (kind, body, reason) in rows {
        system.tell_inbox(kind, body).await;
        let parked = system.take(topology::PARKED).await;
        assert_eq!((parked.kind.as_str(), &parked.body[..]), (kind, body));
        let told = &parked.headers.iter().find(|(name, _)| name == "x-reason").unwrap().1;
        assert!(told.contains(reason), "{kind}: {told}");
    }
    system.register("{id: fine, version: 1, tasks: [{id: a, set: {x: 1}}]}").await;
    assert_eq!(system.run("fine", json!({})).await.status, WorkflowStatus::Completed, "nothing stopped");
}

#[tokio::test]
async fn pain_04_a_task_whose_workers_always_die_is_given_up_as_a_failed_attempt() {
    let system = System::start().await;
    system.register("{id: deadly, version: 1, tasks: [{id: a, task: deadly}]}").await;
    let run = system.begin("deadly", json!({})).await;
    for delivered in 1..=3 {
        let queue = topology::tasks("deadly");
        let mut consumer =
            system.broker.consume(Subscription { queue, prefetch: 1, priority: 0 }).await.unwrap();
        // A worker that ends while it holds the task: neither acknowledged nor rejected.
        assert_eq!(next(&mut *consumer).await.deliveries, delivered);
    }
    let ended = system.end(&run).await;
    assert_eq!(
        (ended.status, ended.error.unwrap().code.as_str()),
        (WorkflowStatus::Failed, "DELIVERY_LIMIT")
    );
    assert_eq!(ended.task_instances[0].status, TaskStatus::Failed);
}

#[tokio::test]
async fn a_message_for_a_run_of_another_partition_is_parked_and_counted() {
    let mut settings = super::system::settings();
    settings.partitions = 4;
    let broker = std::sync::Arc::new(oarlock_broker::embedded::Embedded::new());
    let store = std::sync::Arc::new(oarlock_orchestrator::store::memory::Memory::new());
    let system = System::over(broker, store, settings).await;
    system.register("{id: fine, version: 1, tasks: [{id: a, set: {x: 1}}]}").await;
    let mut start = super::system::request("fine", json!({}));
    while start.workflow_instance_id.partition(4) == 0 {
        start.workflow_instance_id = oarlock_protocol::RunId::random();
    }
    system.tell_inbox(Kind::Start.as_str(), serde_json::to_vec(&start).unwrap()).await;
    let parked = system.take(topology::PARKED).await;
    assert!(parked.headers[0].1.contains("belongs to partition"), "{:?}", parked.headers);
    let key = RunKey::new(TENANT, start.workflow_instance_id);
    assert_eq!(system.node.get(&key).await.unwrap(), None);
    assert_eq!(system.node.counters().parked_messages.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test]
async fn dead_mail_that_is_no_task_is_parked() {
    let system = System::start().await;
    let message = Message { kind: "mystery".to_owned(), body: "?".into(), ..Message::default() };
    system.publish(topology::DEAD, message).await;
    assert_eq!(system.take(topology::PARKED).await.kind, "mystery");
}
