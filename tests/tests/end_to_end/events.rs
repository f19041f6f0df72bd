//! Changes of status, as whoever listens to `oarlock.events` hears them.

use std::collections::BTreeMap;

use oarlock_broker::{Consumer, Hears, Message, QueueDeclaration, QueueKind, Subscription, topic, topology};
use oarlock_orchestrator::Settings;
use oarlock_orchestrator::settings::Publish;
use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};
use oarlock_protocol::message::{Kind, RunEvent, TaskEvent};
use oarlock_protocol::{Json, RunKey};
use oarlock_worker::{Running, TaskContext, TaskError};
use serde_json::json;

use super::system::{Parts, System, TENANT, next, settings};

const ORDER: &str = "{id: order_v2, version: 3, tasks: [{id: a, task: shop.pay},
    {id: group, tasks: [{id: b, task: shop.fail, continueOnFailure: true}]}],
    taskDefinitions: [{id: shop.fail, retryPolicy: {maxRetries: 0}}]}";

async fn system(publish: Publish) -> (Parts, System, Running) {
    let parts = Parts::fresh().await;
    let system = parts.node("alone", Settings { publish, ..settings() }).await;
    system.register(ORDER).await;
    let pay = |_: Json, _: TaskContext| async { Ok::<_, TaskError>(json!({})) };
    let fail = |_: Json, _: TaskContext| async { Err::<Json, _>(TaskError::new("BROKEN", "as always")) };
    let worker = system.worker().task("shop.pay", pay).task("shop.fail", fail);
    let running = worker.build().unwrap().start().await.unwrap();
    (parts, system, running)
}

/// A queue that hears the topics of a pattern.
async fn listener(system: &System, pattern: &str) -> Box<dyn Consumer> {
    let hears = vec![Hears { exchange: topology::EVENTS.to_owned(), pattern: pattern.to_owned() }];
    let name = "oarlock.listener".to_owned();
    let queue = QueueDeclaration {
        name: name.clone(),
        kind: QueueKind::Exclusive,
        delivery_limit: None,
        dead_letter: None,
        hears,
    };
    system.broker.declare(&queue).await.unwrap();
    system.broker.consume(Subscription { queue: name, prefetch: 100, priority: 0 }).await.unwrap()
}

/// What is heard until the run has ended.
async fn heard(listener: &mut dyn Consumer, run: &RunKey) -> (Vec<RunEvent>, Vec<TaskEvent>) {
    let (mut runs, mut tasks) = (Vec::new(), Vec::new());
    loop {
        let Message { body, kind, correlation_id, .. } = next(listener).await.message;
        assert_eq!(correlation_id.as_deref(), Some("from-a-test"));
        if kind == Kind::TaskEvent.as_str() {
            tasks.push(serde_json::from_slice::<TaskEvent>(&body).unwrap());
            continue;
        }
        assert_eq!(kind, Kind::RunEvent.as_str());
        let event: RunEvent = serde_json::from_slice(&body).unwrap();
        assert_eq!(&event.run, run);
        let ended = event.status.is_terminal();
        runs.push(event);
        if ended {
            return (runs, tasks);
        }
    }
}

#[tokio::test]
async fn who_listens_hears_each_status_of_a_run_once_and_nothing_of_tasks() {
    let (_parts, system, _worker) = system(Publish::Runs).await;
    let mut listener = listener(&system, "#").await;
    let run = system.begin("order_v2", json!({})).await;
    let (runs, tasks) = heard(&mut *listener, &run).await;
    let statuses: Vec<_> = runs.iter().map(|event| event.status).collect();
    assert_eq!(statuses, [WorkflowStatus::Running, WorkflowStatus::Completed], "{runs:#?}");
    assert_eq!((runs[0].workflow.as_str(), runs[0].version), ("order_v2", 3));
    assert!(runs[0].time <= runs[1].time && tasks.is_empty());
}

#[tokio::test]
async fn a_pattern_chooses_by_kind_status_tenant_and_workflow() {
    let (_parts, system, _worker) = system(Publish::Tasks).await;
    let pattern = format!("*.failed.{}.order_v2.#", topic::word(TENANT));
    let mut failed = listener(&system, &pattern).await;
    let run = system.begin("order_v2", json!({})).await;
    system.end(&run).await;
    // A second run, so that whatever else the first had told would have come by now.
    let second = system.begin("order_v2", json!({})).await;
    for expected in [run, second] {
        let message = next(&mut *failed).await.message;
        let event: TaskEvent = serde_json::from_slice(&message.body).unwrap();
        assert_eq!((&event.run, event.status), (&expected, TaskStatus::Failed));
    }
}

#[tokio::test]
async fn with_tasks_each_status_of_a_task_is_told_with_its_attempt_and_error() {
    let (_parts, system, _worker) = system(Publish::Tasks).await;
    let mut listener = listener(&system, "#").await;
    let run = system.begin("order_v2", json!({})).await;
    let (runs, tasks) = heard(&mut *listener, &run).await;
    assert_eq!(runs.len(), 2);
    let mut of: BTreeMap<&str, Vec<&TaskEvent>> = BTreeMap::new();
    tasks.iter().for_each(|event| of.entry(event.task_path.as_str()).or_default().push(event));
    let shown = system.node.get(&run).await.unwrap().unwrap();
    for (path, task, end) in
        [("/a", "shop.pay", TaskStatus::Completed), ("/group/b", "shop.fail", TaskStatus::Failed)]
    {
        let told = of.get(path).unwrap_or_else(|| panic!("{path} is missing: {tasks:#?}"));
        let mut statuses: Vec<_> = told.iter().map(|event| event.status).collect();
        assert_eq!(statuses.last(), Some(&end));
        statuses.sort_unstable();
        statuses.dedup();
        assert_eq!(statuses.len(), told.len(), "each once: {told:#?}");
        let last = told.last().unwrap();
        let instance = shown.task_instances.iter().find(|of| of.execution_context.task_path.as_str() == path);
        let attempt = instance.unwrap().attempts.last().unwrap();
        assert_eq!((last.task.as_str(), last.attempt), (task, 1));
        assert_eq!(last.execution_id, Some(attempt.execution_id));
        assert_eq!(last.error_code.as_deref(), (end == TaskStatus::Failed).then_some("BROKEN"));
    }
    assert!(!of.contains_key("/group"), "a group is no task");
}
